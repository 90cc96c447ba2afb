"""Sums, products and quotients of complex numbers, absolute values, square roots, order.

Results are within a few units of the last place of their absolute value. Special values are those
of C99 (Annex G) where NumPy has them: a product is the plain formula, a quotient is not.

complex64 is divided in double, where no square overflows. Elsewhere ordinary numbers, whose squares
are normal, take a short way; if a register has others, it takes the long one for those lanes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from arraylib.backends.cpu.emitter import Reg, scalar
from arraylib.backends.cpu.math.floats import constant, narrow, widen

Parts = tuple[Reg, Reg]

# The squares of numbers between these, and their sums and products, are far from any limit.
_ORDINARY = {"float": (2.0**-40, 2.0**60), "double": (2.0**-400, 2.0**500)}
_SCALE = {"float": 2.0**80, "double": 2.0**600}  # brings all others there


def parts(x: Reg) -> Parts:
    """The real and the imaginary part."""
    return x.function.parts(x)


def number(real: Reg, imag: Reg) -> Reg:
    """The number with these parts."""
    return real.function.pair(real, imag)


def is_single(x: Reg) -> bool:
    """Whether parts are float lanes, of which double holds all squares."""
    return scalar(x.type) == "float"


def either(x: Parts, holds: Callable[[Reg], Reg]) -> Reg:
    """Whether something holds for one of the parts."""
    return holds(x[0]) | holds(x[1])


def is_nan(x: Reg) -> Reg:
    return x.function.compare("uno", x, 0.0)


def is_infinite(x: Reg) -> Reg:
    return x.function.compare("oeq", x.function.absolute(x), math.inf)


def is_zero(x: Reg) -> Reg:
    return x.function.compare("oeq", x, 0.0)


def choose(mask: Reg, yes: Sequence[Reg | float], no: Parts) -> Parts:
    """The parts of the one or the other number."""
    select = mask.function.select
    return select(mask, yes[0], no[0]), select(mask, yes[1], no[1])


def largest_part(x: Parts) -> Reg:
    """The size of the larger part; of nan anything."""
    absolute = x[0].function.absolute
    a, b = absolute(x[0]), absolute(x[1])
    return a.function.select(a > b, a, b)


def is_ordinary(x: Parts) -> Reg:
    """Whether squares can be taken: neither too large nor too small, but zero will do."""
    f, (low, high) = x[0].function, _ORDINARY[scalar(x[0].type)]
    a, b = f.absolute(x[0]), f.absolute(x[1])
    some = f.compare("oge", a, low) | f.compare("oge", b, low)
    none = f.compare("oeq", a, 0.0) & f.compare("oeq", b, 0.0)
    return (some | none) & f.compare("ole", a, high) & f.compare("ole", b, high)


def scaled(x: Parts) -> tuple[Parts, Reg]:
    """The number times a power of two that makes its squares harmless, and that power."""
    f, (low, high) = x[0].function, _ORDINARY[scalar(x[0].type)]
    scale, size = _SCALE[scalar(x[0].type)], largest_part(x)
    factor = f.select(f.compare("ogt", size, high), constant(size, 1 / scale), 1.0)
    factor = f.select(f.compare("olt", size, low), scale, factor)
    return (x[0] * factor, x[1] * factor), factor


def unless(ordinary: Reg, found: Sequence[Reg], long: Callable[[], Sequence[Reg]]) -> list[Reg]:
    """What was found, but in the other lanes what the long way gives, if there are any."""
    f = ordinary.function
    strange = ~ordinary

    def both() -> list[Reg]:
        # Only those lanes: a result must not depend on its neighbours.
        return [f.select(strange, new, old) for new, old in zip(long(), found)]
    return f.conditional(f.any(strange), both, found)


# -- sums and products -----------------------------------------------------------------------------


def add(x: Reg, y: Reg) -> Reg:
    return x.function.on_parts(lambda a, b: a + b, x, y)


def subtract(x: Reg, y: Reg) -> Reg:
    return x.function.on_parts(lambda a, b: a - b, x, y)


def negate(x: Reg) -> Reg:
    return x.function.on_parts(lambda a: -a, x)


def conjugate(x: Reg) -> Reg:
    real, imag = parts(x)
    return number(real, -imag)


def times(x: Parts, y: Parts) -> Parts:
    """The product of x and y, every product and sum rounded: x times its conjugate is real."""
    (a, b), (c, d) = x, y
    return a * c - b * d, a * d + b * c


def multiply(x: Reg, y: Reg) -> Reg:
    """The product by the plain formula."""
    return number(*times(parts(x), parts(y)))


def times_with_limits(x: Parts, y: Parts) -> Parts:
    """The product, which of an infinite number and one that is not 0 is infinite, as C99 has it."""
    return with_limits(x, y, times(x, y))


def with_limits(x: Parts, y: Parts, plain: Parts) -> Parts:
    """A product of x and y, or where its parts are nan but those of x or y infinite, its limit."""
    def long() -> Parts:
        endless = either(x, is_infinite), either(y, is_infinite)
        (a, b), (c, d) = (
            [f.select(own, _direction(v), f.select(is_nan(v), f.copysign(0.0, v), v)) for v in z]
            for z, own in zip((x, y), endless))
        limit = times((a, b), (c, d))
        return choose(endless[0] | endless[1], (limit[0] * math.inf, limit[1] * math.inf), plain)
    f = plain[0].function
    a, b = unless(~(is_nan(plain[0]) & is_nan(plain[1])), plain, long)
    return a, b


def square(x: Reg) -> Reg:
    """x times x, the real part by factors, which neither overflow nor cancel early."""
    f, (a, b) = x.function, parts(x)
    same = f.compare("oeq", f.absolute(a), f.absolute(b)) & ~is_infinite(a)
    return number(f.select(same, 0.0, (a - b) * (a + b)), a * b * 2.0)


# -- quotients -------------------------------------------------------------------------------------


def divide(x: Reg, y: Reg) -> Reg:
    """x / y; of zeros and infinities what C99 says."""
    return number(*quotient(parts(x), parts(y)))


def quotient(x: Parts, y: Parts) -> Parts:
    """x / y."""
    if is_single(x[0]):
        wide = _plain_quotient((widen(x[0]), widen(x[1])), (widen(y[0]), widen(y[1])))
        a, b = map(narrow, wide)
        ordinary = ~(is_nan(a) & is_nan(b))
        a, b = unless(ordinary, (a, b), lambda: _with_limits(x, y, (a, b)))
        return a, b
    found = _plain_quotient(x, y)
    ordinary = is_ordinary(x) & is_ordinary(y) & ~either(found, is_nan)
    a, b = unless(ordinary, found, lambda: _with_limits(x, y, _scaled_quotient(x, y)))
    return a, b


def _plain_quotient(x: Parts, y: Parts) -> Parts:
    (a, b), (c, d) = x, y
    below = c * c + d * d
    return (a * c + b * d) / below, (b * c - a * d) / below


def _scaled_quotient(x: Parts, y: Parts) -> Parts:
    """With x and y scaled first, and the quotient back."""
    (x, of_x), (y, of_y) = scaled(x), scaled(y)
    a, b = _plain_quotient(x, y)
    f, inverse = a.function, 1.0 / of_x
    # Of two that cancel neither is applied: the quotient might be lost in between.
    cancel = f.compare("oeq", of_x, of_y)
    first, second = (f.select(cancel, 1.0, each) for each in (of_y, inverse))
    return a * first * second, b * first * second


def _with_limits(x: Parts, y: Parts, plain: Parts) -> Parts:
    """The quotient, or its limit where that is nan but x or y alone is infinite or y is zero."""
    f = x[0].function
    lost = is_nan(plain[0]) & is_nan(plain[1])
    by_zero = is_zero(y[0]) & is_zero(y[1]) & ~(is_nan(x[0]) & is_nan(x[1]))
    endless = either(x, is_infinite) & _is_finite(y)
    vanishing = either(y, is_infinite) & _is_finite(x)
    a, b = (f.select(endless, _direction(v), v) for v in x)
    c, d = (f.select(vanishing, _direction(v), v) for v in y)
    factor = f.select(vanishing, constant(a, 0.0), math.inf)
    limit = factor * (a * c + b * d), factor * (b * c - a * d)
    pole = f.copysign(math.inf, y[0])
    found = choose(lost & (endless | vanishing), limit, plain)
    return choose(by_zero, (pole * x[0], pole * x[1]), found)


def _is_finite(x: Parts) -> Reg:
    f = x[0].function
    return f.compare("olt", f.absolute(x[0]), math.inf) & \
        f.compare("olt", f.absolute(x[1]), math.inf)


def _direction(x: Reg) -> Reg:
    """1 for infinities, 0 for all others, with their signs."""
    f = x.function
    return f.copysign(f.select(is_infinite(x), constant(x, 1.0), 0.0), x)


def reciprocal(x: Parts) -> Parts:
    """1 / x."""
    return quotient((constant(x[0], 1.0), constant(x[0], 0.0)), x)


# -- absolute values and roots ---------------------------------------------------------------------


def absolute(x: Reg) -> Reg:
    """The absolute value, a real number; inf if a part is infinite."""
    return size_of(parts(x))


def size_of(x: Parts) -> Reg:
    """The absolute value: no square overflows, or vanishes beside the other."""
    def long() -> list[Reg]:
        if is_single(x[0]):
            size = narrow(_root_of_squares((widen(x[0]), widen(x[1]))))
        else:
            inside, factor = scaled(x)
            size = _root_of_squares(inside) * (1.0 / factor)
        return [size.function.select(either(x, is_infinite), math.inf, size)]
    return unless(is_ordinary(x), [_root_of_squares(x)], long)[0]


def _root_of_squares(x: Parts) -> Reg:
    a, b = x
    return a.function.intrinsic("llvm.sqrt", a.function.fma(a, a, b * b))


def sign(x: Reg) -> Reg:
    """x / |x|; 0 for 0. Of numbers infinite in one part the direction, in both nan."""
    z = parts(x)
    f, size = x.function, size_of(z)
    fits = is_ordinary((size, size))
    tiny, _ = scaled(z)
    a, b, below = unless(fits, (z[0], z[1], size), lambda: (*tiny, size_of(tiny)))
    found = a / below, b / below
    found = choose(is_zero(size), (0.0, 0.0), found)
    both = is_infinite(z[0]) & is_infinite(z[1])
    limit = tuple(f.select(both, math.nan, f.select(is_infinite(v), f.copysign(1.0, v), 0.0))
                  for v in z)
    return number(*choose(is_infinite(size), limit, choose(is_nan(size), (size, size), found)))


def sqrt(x: Reg) -> Reg:
    """The principal root: its real part is not negative."""
    return number(*root_of(parts(x)))


def root_of(x: Parts) -> Parts:
    """The principal root. A negative number's imaginary part has the sign of the number's own."""
    def long() -> list[Reg]:
        if is_single(x[0]):
            found = _plain_root((widen(x[0]), widen(x[1])))
            a, b = narrow(found[0]), narrow(found[1])
        else:
            inside, factor = scaled(x)
            back = 1.0 / factor.function.intrinsic("llvm.sqrt", factor)
            a, b = (part * back for part in _plain_root(inside))
        return list(_root_of_infinite(x, (a, b)))
    a, b = unless(is_ordinary(x), _plain_root(x), long)
    return a, b


def _plain_root(x: Parts) -> Parts:
    f, (a, b) = x[0].function, x
    size = f.absolute(a)
    larger = f.intrinsic("llvm.sqrt", (size + _root_of_squares(x)) * 0.5)
    smaller = f.select(is_zero(larger), b, b / (larger + larger))
    negative = f.compare("olt", a, 0.0)
    return choose(negative, (f.absolute(smaller), f.copysign(larger, b)), (larger, smaller))


def _root_of_infinite(x: Parts, found: Parts) -> Parts:
    f, (a, b) = x[0].function, x
    upwards = f.compare("oeq", a, math.inf)
    downwards = f.compare("oeq", a, -math.inf)
    nothing = f.select(is_nan(b), b, f.copysign(0.0, b))
    found = choose(upwards, (constant(a, math.inf), nothing), found)
    found = choose(downwards, (f.absolute(nothing), f.copysign(math.inf, b)), found)
    return choose(is_infinite(b), (constant(a, math.inf), b), found)


def rsqrt(x: Reg) -> Reg:
    """1 / sqrt(x)."""
    return number(*reciprocal(root_of(parts(x))))


# -- order -----------------------------------------------------------------------------------------


def compare(x: Reg, y: Reg, *, direction: str) -> Reg:
    """Equality; or NumPy's order, by the real parts and then by the imaginary ones."""
    f, (a, b), (c, d) = x.function, parts(x), parts(y)
    if direction in ("EQ", "NE"):
        equal = f.compare("oeq", a, c) & f.compare("oeq", b, d)
        return equal if direction == "EQ" else ~equal
    strictly = "o" + direction[0].lower() + "t"
    known = ~(is_nan(b) | is_nan(d))
    tie = f.compare("oeq", a, c) & f.compare("o" + direction.lower(), b, d)
    return f.compare(strictly, a, c) & known | tie


def maximum(x: Reg, y: Reg) -> Reg:
    """The one that is not below in NumPy's order; the first that is nan."""
    return _extreme(x, y, "GE")


def minimum(x: Reg, y: Reg) -> Reg:
    """The one that is not above in NumPy's order; the first that is nan."""
    return _extreme(x, y, "LE")


def _extreme(x: Reg, y: Reg, direction: str) -> Reg:
    first = compare(x, y, direction=direction) | either(parts(x), is_nan)
    return x.function.select(first, x, y)
