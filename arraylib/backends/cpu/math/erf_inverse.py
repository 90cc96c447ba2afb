"""The inverse of erf of floats where a register of coefficients can be looked up in.

erfinv(x) is x times a function of v = 1 - x^2, which is smooth within each octave of v: the
exponent chooses a polynomial of the mantissa. One instruction finds a coefficient for every lane
among those of 32 octaves, so there is neither a logarithm nor a branch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from arraylib.backends.cpu.emitter import Reg, lanes, scalar, vector
from arraylib.backends.cpu.math.floats import as_float, as_integer, constant, in_registers

ENTRIES, LANES = 32, 16  # what one instruction chooses from, and for how many

# erfinv(x) / x in t, v = (t + 3/2) 2^-n; highest power first, in each n = 1, 2, ...
# `tests/support/octaves.py` prints this.
_OCTAVES = (
    (0.001544575897, 0.001474678102, 0.001401452173, 0.001331348435, 0.001267019459,
     0.001209069377, 0.00115722015, 0.001110737585, 0.001068974439, 0.001031280853,
     0.0009970935385, 0.0009659351897, 0.0009374053345, 0.0009111685808, 0.0008869434042,
     0.000864492472, 0.0008436146448, 0.0008241384901, 0.0008059170591, 0.0007888236884,
     0.0007727486142, 0.0007575983093, 0.0007432849929, 0.0007297371362),
    (-0.002567164397, -0.002452073325, -0.002328521089, -0.00220891181, -0.002098753041,
     -0.00199954186, -0.001910887083, -0.001831730398, -0.001760844019, -0.001697068031,
     -0.001639394028, -0.001586968684, -0.00153907873, -0.001495129684, -0.001454625113,
     -0.001417148623, -0.001382349007, -0.001349928247, -0.001319631908, -0.001291241471,
     -0.001264568191, -0.001239438157, -0.001215728159, -0.001193302882),
    (0.00363068691, 0.003479588931, 0.003307980576, 0.003137285486, 0.002978045934,
     0.00283388149, 0.002704895713, 0.002589843849, 0.002486980379, 0.002394625381,
     0.002311284192, 0.002235682882, 0.002166754378, 0.002103609742, 0.002045507957,
     0.001991828957, 0.001942051112, 0.00189573296, 0.001852498573, 0.00181202588,
     0.001774037334, 0.001738290587, 0.001704579774, 0.001672719691),
    (-0.006646913425, -0.006398485664, -0.00609647749, -0.005786129026, -0.005491747188,
     -0.005223068438, -0.004981903948, -0.004766526285, -0.004574017911, -0.004401325606,
     -0.004245661723, -0.004104622052, -0.003976181912, -0.003858651012, -0.00375061972,
     -0.003650909071, -0.003558528216, -0.003472639595, -0.003392530916, -0.003317592738,
     -0.003247300555, -0.003181205342, -0.003118902386, -0.003060051178),
    (0.01274553989, 0.01234527899, 0.01180172371, 0.01121442058, 0.01064285633,
     0.01011452051, 0.00963765787, 0.009211090258, 0.008829971196, 0.008488543688,
     0.008181318173, 0.007903468797, 0.00765089771, 0.007420173568, 0.007208433952,
     0.007013287511, 0.006832728114, 0.006665063603, 0.006508858106, 0.006362885807,
     0.006226093977, 0.006097573942, 0.005976535003, 0.005862288563),
    (-0.02560493408, -0.02506084331, -0.02411048742, -0.02297935525, -0.02182313705,
     -0.02072658951, -0.01972449448, -0.01882369659, -0.01801820809, -0.01729750312,
     -0.01665041195, -0.01606667732, -0.01553741866, -0.01505513926, -0.01461357036,
     -0.01420747787, -0.01383247998, -0.01348489111, -0.01316159359, -0.01285993429,
     -0.01257764178, -0.01231275929, -0.01206359448, -0.01182867214),
    (0.05711791606, 0.05698694741, 0.05558300296, 0.05341586593, 0.05092410131,
     0.04840471904, 0.04602010655, 0.04383814079, 0.04187257265, 0.04011129865,
     0.03853254665, 0.03711285808, 0.03583046368, 0.03466638212, 0.03360451348,
     0.03263135077, 0.0317355896, 0.03090774915, 0.03013984301, 0.02942510676,
     0.02875777716, 0.02813291476, 0.02754626197, 0.02699412825),
    (-0.1587121428, -0.1651113947, -0.1669881651, -0.1651212282, -0.1606197509,
     -0.1545807224, -0.1478816621, -0.1411204215, -0.134648166, -0.1286368276,
     -0.1231447421, -0.118166379, -0.1136649621, -0.1095917273, -0.1058962508,
     -0.1025313846, -0.09945518459, -0.09663129075, -0.09402858825, -0.09162059193,
     -0.08938477391, -0.08730193372, -0.08535564751, -0.08353180366),
    (0.953872554, 1.122624833, 1.295636784, 1.468565936, 1.63808424, 1.802035405,
     1.959300624, 2.109528209, 2.252854693, 2.389682406, 2.520528299, 2.645933248,
     2.766413959, 2.882441455, 2.99443458, 3.102761184, 3.207742721, 3.309659947,
     3.408758583, 3.505254467, 3.599338013, 3.691177993, 3.780924705, 3.868712608),
)
_MANTISSA, _ONE = (1 << 23) - 1, 127 << 23


def _entries(power: int) -> list[float]:
    """A coefficient by the low bits of v's exponent: its octaves, and v = 0 and 1 themselves."""
    found = [0.0] * ENTRIES
    for number, coefficient in enumerate(_OCTAVES[-1 - power], 1):
        found[(127 - number) % ENTRIES] = coefficient
    if power == 0:
        found[0], found[127 % ENTRIES] = math.inf, math.sqrt(math.pi) / 2
    if power == 1:
        found[127 % ENTRIES] = -0.0  # then what is added for x = -0 is -0
    return found


_TABLES = [_entries(power) for power in range(len(_OCTAVES))]


def can_look_up(x: Reg) -> bool:
    """Whether the target finds float coefficients by one instruction."""
    return scalar(x.type) == "float" and "avx512f" in x.function.module.features


def erf_inv_by_octaves(x: Reg) -> Reg:
    """The inverse of erf; nan beyond 1."""
    function, fma = x.function, x.function.fma
    v = fma(-x, x, 1.0)
    octave = as_integer(v).lshr(23)
    t = as_float(as_integer(v) & _MANTISSA | _ONE, x) - 1.5
    *lower, total = (_looked_up(table, octave) for table in _TABLES)
    for coefficient in reversed(lower[1:]):
        total = fma(total, t, coefficient)
    # The largest term is added last, with one rounding.
    value = fma(x, lower[0], x * (total * t))
    return function.select(function.compare("olt", v, 0.0), constant(x, math.nan), value)


def _looked_up(table: Sequence[float], index: Reg) -> Reg:
    """The entry that the low bits of each lane's index name."""
    function, count = index.function, lanes(index.type)
    if count < LANES:
        wide = function.splat(index, LANES) if count == 1 else \
            function.shuffle(index, None, [i % count for i in range(LANES)])
        found = _looked_up(table, wide)
        return function.extract(found, 0) if count == 1 \
            else function.shuffle(found, None, range(count))
    return in_registers(lambda part: _chosen(table, part), index)


def _chosen(table: Sequence[float], index: Reg) -> Reg:
    """The same for one register."""
    function, type = index.function, vector("float", LANES)
    return function.intrinsic(
        "llvm.x86.avx512.vpermi2var.ps.512", function.const(type, table[:LANES]), index,
        function.const(type, table[LANES:]), overloads=())
