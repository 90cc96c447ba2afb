"""The shape of a register tile and the types on its way, by dtype and target.

A micro-kernel keeps `rows` by `columns` sums of C in registers and walks along k. Its operands come
from packed panels: for each step of k, `a_width` words of A and `columns` words of B. A word is one
number of the type that is computed in, or, with `pairs`, two neighbouring bfloat16 along k.
"""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Reg, element_bytes, is_float, like, vector
from arraylib.backends.cpu.gemm import halves
from arraylib.backends.cpu.target import Target
from arraylib.record import record


@record
class Tile:
    """A micro-kernel's geometry. `element` and `result` are LLVM types of A and B, and of C; as
    elements there are also unsigned integers, `u8`, and 8-bit floats, `e5m2`."""

    dtype: str
    element: str
    result: str
    compute: str
    lanes: int           # of `compute` in a vector register
    rows: int
    vectors: int         # registers side by side: `columns / lanes`
    pairs: bool = False
    converts_halves: bool = True   # has instructions between float and float16

    @property
    def columns(self) -> int:
        """Columns of C in a tile, and width of a packed panel of B."""
        return self.lanes * self.vectors

    @property
    def a_width(self) -> int:
        """Width of a packed panel of A: `rows` rounded up to whole vectors."""
        return -(-self.rows // self.lanes) * self.lanes

    @property
    def step(self) -> int:
        """Elements along k in one word."""
        return 2 if self.pairs else 1

    @property
    def word(self) -> str:
        """Type of a word of a packed panel."""
        return "i32" if self.pairs else self.compute

    @property
    def word_bytes(self) -> int:
        """Size of a word, which is also the size of a sum."""
        return element_bytes(self.compute)

    @property
    def stored(self) -> str:
        """Type that elements of A and B are loaded as."""
        return _in_memory(self.element)

    @property
    def kept(self) -> str:
        """Type that elements of C are stored as."""
        return _in_memory(self.result)

    @property
    def converts(self) -> bool:
        """Whether sums have another type than C, so that they cannot be kept in C itself."""
        return self.result != self.compute

    @property
    def loads_b_in_place(self) -> bool:
        """Whether kernels for unpacked B differ from those for packed B."""
        return self.stored != self.word


# Narrow floats are moved as integers, which every target does well.
_IN_MEMORY = {"half": "i16", "bfloat": "i16", "e5m2": "i8", "e4m3": "i8",
              "u8": "i8", "u16": "i16", "u32": "i32"}


def _in_memory(type: str) -> str:
    return _IN_MEMORY.get(type, type)


# dtype -> element, result, compute. Where C is no wider than A and B, signs make no difference.
_TYPES = {
    "f32": ("float", "float", "float"), "f64": ("double", "double", "double"),
    "bf16": ("bfloat", "bfloat", "float"), "f16": ("half", "half", "float"),
    "c64": ("float", "float", "float"), "c128": ("double", "double", "double"),
    "i8": ("i8", "i8", "i32"), "i16": ("i16", "i16", "i32"), "i32": ("i32", "i32", "i32"),
    "i64": ("i64", "i64", "i64"), "u8": ("i8", "i8", "i32"), "u16": ("i16", "i16", "i32"),
    "u32": ("i32", "i32", "i32"), "u64": ("i64", "i64", "i64"),
    "bf16_f32": ("bfloat", "float", "float"), "f16_f32": ("half", "float", "float"),
    "f32_f64": ("float", "double", "double"),
    "i8_i32": ("i8", "i32", "i32"), "i16_i32": ("i16", "i32", "i32"),
    "i32_i64": ("i32", "i64", "i64"), "u8_i32": ("u8", "i32", "i32"),
    "u8_u32": ("u8", "i32", "i32"), "u16_u32": ("u16", "i32", "i32"),
    "u32_u64": ("u32", "i64", "i64"),
    "f8_e5m2_f32": ("e5m2", "float", "float"), "f8_e5m2_f16": ("e5m2", "half", "float"),
    "f8_e5m2_bf16": ("e5m2", "bfloat", "float"),
    "f8_e4m3fn_f32": ("e4m3", "float", "float"), "f8_e4m3fn_f16": ("e4m3", "half", "float"),
    "f8_e4m3fn_bf16": ("e4m3", "bfloat", "float"),
}
DTYPES = tuple(_TYPES)
COMPLEX = {"c64": "f32", "c128": "f64"}   # and what their parts are


def tile_for(dtype: str, target: Target) -> Tile:
    """The tile of a dtype: as many sums as the target's registers hold beside the operands."""
    element, result, compute = _TYPES[dtype]
    pairs = element == "bfloat" and target.has("avx512bf16")
    lanes = target.vector_bytes() // element_bytes(compute)
    arm = target.triple.startswith(("aarch64", "arm64"))
    # Sixteen registers hold 6 x 2 sums, a row of B and a factor. Thirty-two would hold 14 x 2, but
    # 13 x 2 are faster by a sixth: what is loaded ahead needs registers too.
    rows = 13 if target.has("avx512f") else 12 if arm else 6
    halves_too = arm or target.has("f16c") or target.has("avx512f")
    return Tile(dtype, element, result, compute, lanes, rows, 2, pairs, halves_too)


def multiply_add(f: Function, tile: Tile, a: Reg, b: Reg, total: Reg) -> Reg:
    """`total + a * b` for vectors of words."""
    if a.type == "<16 x i32>" and tile.pairs:
        twins = "<32 x bfloat>"
        return f.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", total, f.bitcast(a, twins),
                           f.bitcast(b, twins), overloads=())
    return f.fma(a, b, total) if is_float(tile.compute) else total + a * b


def widen(f: Function, tile: Tile, x: Reg) -> Reg:
    """Elements as they were loaded, scalar or vector, in the type that is computed in."""
    return _widen(f, tile, tile.element, x)


def _widen(f: Function, tile: Tile, type: str, x: Reg) -> Reg:
    wide = like(x.type, tile.compute)
    if type == "bfloat":
        return halves.bfloat_to_float(f, x)
    if type == "e4m3":
        return halves.e4m3_to_float(f, x)
    if type == "e5m2":   # the upper half of a half
        type, x = "half", f.cast("zext", x, like(x.type, "i16")) << 8
    if type == "half" and tile.converts_halves:
        return f.cast("fpext", f.bitcast(x, like(x.type, "half")), wide)
    if type == "half":
        return halves.half_to_float(f, x)
    if type == "float":
        return f.cast("fpext", x, wide)
    return f.cast("zext" if type.startswith("u") else "sext", x, wide)


def narrow(f: Function, tile: Tile, x: Reg) -> Reg:
    """Sums rounded to C's type, in the form that is stored."""
    if tile.result == "bfloat":
        return halves.float_to_bfloat(f, x)
    if tile.result == "half" and tile.converts_halves:
        return f.bitcast(f.cast("fptrunc", x, like(x.type, "half")), like(x.type, "i16"))
    if tile.result == "half":
        return halves.float_to_half(f, x)
    return f.cast("trunc", x, like(x.type, tile.result))


def load_result(f: Function, tile: Tile, place: Reg, lanes: int, mask: Reg | None) -> Reg:
    """Elements of C in the type that is computed in; from a vector of places, each from its own."""
    type = vector(tile.kept, lanes)
    if mask is None:
        x = f.load(place, type)
    elif place.type == "ptr":
        x = f.masked_load(place, type, mask)
    else:
        x = f.gather(place, type, mask)
    return _widen(f, tile, tile.result, x)


def store_result(f: Function, tile: Tile, x: Reg, place: Reg, mask: Reg | None) -> None:
    """Round sums to C's type and store them; to a vector of places, each to its own."""
    x = narrow(f, tile, x)
    if mask is None:
        f.store(x, place)
    elif place.type == "ptr":
        f.masked_store(x, place, mask)
    else:
        f.scatter(x, place, mask)
