"""Matrix products of a plan as calls of the GEMM library."""

from __future__ import annotations

from dataclasses import replace

from arraylib import dtypes as dt
from arraylib.backends.cpu import gemm, pool
from arraylib.backends.cpu.gemm import PACKING_PATHS, Gemm, Path, Word, scratch_bytes
from arraylib.backends.lower.plan import GemmStep, View, row_major
from arraylib.dtypes import Dtype


def gemm_of(step: GemmStep) -> Gemm:
    """What the library is asked for."""
    (a, b), c = _operands(step), step.c
    m, n = c.shape[-2:]
    assert c.strides[-1] == 1 or n == 1, f"columns of a product that are not neighbours: {c}"
    if step.panels:
        a_row, a_col = a.strides
        return Gemm(m, n, a.shape[-1], a_row, a_col, 0, 0, c.strides[0], (), step.accumulate,
                    gemm_dtype(a.dtype, c.dtype), panels=True)
    batch = tuple(zip(c.shape[:-2], a.strides[:-2], b.strides[:-2], c.strides[:-2], strict=True))
    (a_row, a_col), (b_row, b_col) = a.strides[-2:], b.strides[-2:]
    makes_a, makes_b = (made is not None for made in step.prologues)
    return Gemm(m, n, a.shape[-1], a_row, a_col, b_row, b_col, c.strides[-2], batch,
                step.accumulate, gemm_dtype(a.dtype, c.dtype), makes_a=makes_a, makes_b=makes_b)


def _operands(step: GemmStep) -> list[View]:
    """The operands; those that are computed as if dense, with the prologue's inner axis last."""
    found = []
    for view, made in zip((step.a, step.b), step.prologues):
        if made:
            *batch, rows, columns = view.shape
            steps = (columns, 1) if made.inner else (1, rows)
            products = tuple(step * rows * columns for step in row_major(batch))
            view = view.laid(view.shape, (*products, *steps))
        found.append(view)
    return found


def packs(step: GemmStep) -> tuple[int, int]:
    """How often a product packs each operand; 0 where it reads that in place."""
    product = gemm_of(step)
    words = product.words(1)
    if words[Word.PATH] not in PACKING_PATHS or product.is_complex \
            or min(product.m, product.n, product.k) < 2:
        return 0, 0
    a = -(-int(words[Word.N]) // int(words[Word.BLOCK_COLUMNS]))
    return (1, a) if words[Word.SWAPPED] else (a, 1)


def gemm_dtype(operand: Dtype, result: Dtype) -> str:
    """The library's name for these dtypes, whether it has them or not."""
    short = dt.short_name(operand)
    return short if operand == result else f"{short}_{dt.short_name(result)}"


def panel_columns(operand: Dtype, result: Dtype) -> int:
    """How many columns of B may lie side by side in panels; 0 where they may not."""
    name = gemm_dtype(operand, result)
    return gemm.panel_columns(name) if name in gemm.DTYPES else 0


def descriptor_bytes(words: int) -> int:
    """Room for a library's descriptor of so many words."""
    return -(-8 * words // 64) * 64


def gemm_room(step: GemmStep) -> int:
    """Bytes of memory for the product's descriptor, and behind it for what the library wants."""
    product = gemm_of(step)
    ways = [product, replace(product, by_rows=True)]  # the second for a product with an epilogue
    most = max(scratch_bytes(way, pool.threads()) for way in ways)
    return descriptor_bytes(Word.COUNT) + most


def blocked_by_rows(step: GemmStep) -> Gemm | None:
    """The product with whole rows done one after another; None where that is not its way."""
    product = replace(gemm_of(step), by_rows=True)
    words = product.words(pool.threads())
    by_rows = words[Word.PATH] in (Path.BLOCKED, Path.SHARED)
    return product if by_rows and not words[Word.SWAPPED] else None
