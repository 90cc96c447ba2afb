"""Products of arrays by other names than dot_general: dot, einsum, ragged_dot; and index_select."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from arraylib import dtypes as dt
from arraylib.hlo.ir import type_of
from arraylib.hlo.mlir.pieces import read_numbers
from arraylib.hlo.ops import elementwise as ew, reduction as red, structured as st
from arraylib.hlo.ops.constant import full_like, iota
from arraylib.hlo.ops.indexed import gather
from arraylib.hlo.passes.rules.operation import Foreign, Rule

Axes = tuple[int, ...]


def _product(op: Foreign, x: Any, y: Any, batching: tuple[Axes, Axes],
             contracting: tuple[Axes, Axes]) -> Any:
    """dot_general, of the dtype that the program states."""
    dtype = op.results[0].dtype
    attrs: dict[str, Any] = {}
    if (precision := op.written.get("precision_config")) and op.name.startswith("stablehlo."):
        attrs["precision"] = precision
    return red.dot_general(
        x, y, lhs_batching=batching[0], rhs_batching=batching[1], lhs_contracting=contracting[0],
        rhs_contracting=contracting[1], dtype=None if dtype == type_of(x).dtype else dtype, **attrs)


def _dot(op: Foreign) -> Sequence[Any]:
    """Vectors and matrices: the last axis of x with the first of y."""
    x, y = op.arrays(2)
    for v in (x, y):
        if type_of(v).rank not in (1, 2):
            raise op.wrong("takes vectors and matrices", "stablehlo.dot_general")
    return [_product(op, x, y, ((), ()), ((type_of(x).rank - 1,), (0,)))]


# -- einsum ----------------------------------------------------------------------------------------


def _labels(op: Foreign, ranks: Sequence[int]) -> tuple[list[str], str]:
    """A letter for each axis of operands and result; `...` gets letters that nobody uses."""
    config = str(op.attribute("einsum_config")).replace(" ", "")
    left, arrow, right = config.partition("->")
    words = left.split(",")
    if len(words) != len(ranks):
        raise op.wrong(f"{config!r} is for {len(words)} operands, not {len(ranks)}")
    spare = [c for c in string.ascii_letters if c not in config]
    hidden = [rank - len(word.replace("...", "")) if "..." in word else 0
              for word, rank in zip(words, ranks)]
    ellipsis = "".join(spare[:max((*hidden, 0))])
    found = [word.replace("...", ellipsis[len(ellipsis) - n:]) if n >= 0 else ""
             for word, n in zip(words, hidden)]
    for i, (labels, rank) in enumerate(zip(found, ranks)):
        if len(labels) != rank:
            raise op.wrong(f"{words[i]!r} does not name the {rank} axes of operand {i}")
    if not arrow:
        every = "".join(found)
        right = "".join(sorted(c for c in set(every) - set(ellipsis) if every.count(c) == 1))
        return found, ellipsis + right
    return found, right.replace("...", ellipsis)


def _diagonal(x: Any, labels: str) -> tuple[Any, str]:
    """x with one axis for each label: of a repeated one the elements where its indices agree."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first, second = labels.index(label), labels.rindex(label)
            shape = type_of(x).shape
            rows, columns = (iota(shape=shape, dimension=i, dtype=dt.int32)
                             for i in (first, second))
            equal = ew.compare(rows, columns, direction="EQ")
            x = st.reduce_add(ew.select(equal, x, full_like(x, 0)), dimensions=(second,))
            labels = labels[:second] + labels[second + 1:]
    return x, labels


def _summed(x: Any, labels: str, kept: str) -> tuple[Any, str]:
    """x without the axes that nobody else has."""
    gone = tuple(i for i, c in enumerate(labels) if c not in kept)
    return (st.reduce_add(x, dimensions=gone) if gone else x), "".join(
        c for c in labels if c in kept)


def _arranged(x: Any, labels: str, wanted: str) -> Any:
    order = tuple(labels.index(c) for c in wanted)
    return x if order == tuple(range(len(order))) else st.transpose(x, permutation=order)


def _check_output(op: Foreign, labels: str, output: str) -> None:
    missing = [c for c in output if c not in labels]
    if missing or len(set(output)) != len(output):
        raise op.wrong(f"the result's labels {output!r} are not each once among {labels!r}")


def _unary_einsum(op: Foreign) -> Sequence[Any]:
    (x,) = op.arrays(1)
    (labels,), output = _labels(op, [type_of(x).rank])
    _check_output(op, labels, output)
    x, labels = _summed(*_diagonal(x, labels), output)
    return [_arranged(x, labels, output)]


def _einsum(op: Foreign) -> Sequence[Any]:
    """Labels of one operand alone are summed before, shared ones kept or contracted."""
    operands = op.arrays(2)
    words, output = _labels(op, [type_of(x).rank for x in operands])
    _check_output(op, "".join(words), output)
    (x, left), (y, right) = (_diagonal(v, word) for v, word in zip(operands, words))
    x, left = _summed(x, left, right + output)
    y, right = _summed(y, right, left + output)
    shared = [c for c in left if c in right]
    def places(kept: bool) -> tuple[Axes, Axes]:
        chosen = [c for c in shared if (c in output) == kept]
        return tuple(map(left.index, chosen)), tuple(map(right.index, chosen))
    out = _product(op, x, y, places(True), places(False))
    batch = [c for c in shared if c in output]
    rest = [c for word in (left, right) for c in word if c not in shared]
    return [_arranged(out, "".join([*batch, *rest]), output)]


# -- ragged products -------------------------------------------------------------------------------


def _ragged_dot(op: Foreign) -> Sequence[Any]:
    """A product whose rows (or contracted axis) come in groups, each with a matrix of its own.

    Every group gets the whole operand with zeros for the elements of the others.
    """
    x, y, sizes = op.arrays(3)
    numbers = read_numbers(op.written.get("ragged_dot_dimension_numbers"))
    if numbers is None:
        raise op.wrong("has no ragged_dot_dimension_numbers", "#chlo.ragged_dot<...>")
    def axes(name: str) -> Axes:
        return tuple(numbers.get(f"{name}_dimensions", ()))
    batching = axes("lhs_batching"), axes("rhs_batching")
    contracting = axes("lhs_contracting"), axes("rhs_contracting")
    ragged, grouped = axes("lhs_ragged"), axes("rhs_group")
    if len(ragged) != 1 or len(grouped) > 1:
        raise op.wrong("takes one ragged axis and at most one of groups")
    if ragged[0] in batching[0]:
        return [_product(op, x, y, batching, contracting)]
    wide = _by_group(op, x, sizes, ragged[0], batching[0])
    shifted = tuple(d + 1 for d in batching[0]), tuple(d + 1 for d in contracting[0])
    if ragged[0] not in contracting[0]:
        if len(grouped) != 1:
            raise op.wrong("the second operand has no axis of groups")
        return [_product(op, wide, y, (shifted[0], batching[1]),
                         ((0, *shifted[1]), (*grouped, *contracting[1])))]
    out = _product(op, wide, y, (shifted[0], batching[1]), (shifted[1], contracting[1]))
    n, rank = len(batching[0]), type_of(out).rank  # batches come first, then groups
    return [st.transpose(out, permutation=(n, *range(n), *range(n + 1, rank)))]


def _by_group(op: Foreign, x: Any, sizes: Any, axis: int, batching: Axes) -> Any:
    """x with a leading axis of groups: in each, zeros but for the group's part of an axis."""
    type, count = type_of(x), type_of(sizes)
    if not count.rank or (count.rank > 1 and count.rank != len(batching) + 1):
        raise op.wrong(f"group sizes {count} do not fit {type}")
    ends = _running_sum(sizes)
    starts = ew.subtract(ends, sizes)
    shape = (count.shape[-1], *type.shape)
    lead = [d + 1 for d in batching] if count.rank > 1 else []
    def spread(v: Any) -> Any:
        return st.broadcast_in_dim(v, shape=shape, broadcast_dimensions=(*lead, 0))
    place = iota(shape=shape, dimension=axis + 1, dtype=count.dtype)
    inside = ew.and_(ew.compare(place, spread(starts), direction="GE"),
                     ew.compare(place, spread(ends), direction="LT"))
    wide = st.broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(range(1, len(shape))))
    return ew.select(inside, wide, full_like(wide, 0))


def _running_sum(x: Any) -> Any:
    """The sums up to each element of the last axis, by a product with a triangle of ones."""
    type = type_of(x)
    shape = (*type.shape, type.shape[-1])
    before = ew.compare(iota(shape=shape, dimension=type.rank - 1, dtype=dt.int32),
                        iota(shape=shape, dimension=type.rank, dtype=dt.int32), direction="LE")
    wide = st.broadcast_in_dim(x, shape=shape, broadcast_dimensions=tuple(range(type.rank)))
    kept = ew.select(before, wide, full_like(wide, 0))
    return st.reduce_add(kept, dimensions=(type.rank - 1,))


# -- selection -------------------------------------------------------------------------------------


def _index_select(op: Foreign) -> Sequence[Any]:
    """The places of one axis that an array of indices names, for each of the leading batches."""
    x, index = op.arrays(2)
    type, places = type_of(x), type_of(index)
    axis, batch = op.axis("dim", type.rank), int(op.attribute("batch_dims"))
    if not 0 <= batch <= min(axis, places.rank) or type.shape[:batch] != places.shape[:batch]:
        raise op.wrong(f"batch_dims = {batch} is no number of leading axes that both have")
    own = places.rank - batch
    offsets = (*range(batch, axis), *range(axis + own, type.rank - 1 + own))
    sizes = tuple(1 if i < batch or i == axis else n for i, n in enumerate(type.shape))
    return [gather(
        x, index, offset_dims=offsets, collapsed_slice_dims=(axis,),
        operand_batching_dims=tuple(range(batch)), start_indices_batching_dims=tuple(range(batch)),
        start_index_map=(axis,), index_vector_dim=places.rank, slice_sizes=sizes)]


RULES: dict[str, Rule] = {
    "stablehlo.dot": _dot,
    "stablehlo.einsum": _einsum,
    "stablehlo.unary_einsum": _unary_einsum,
    "stablehlo.torch_index_select": _index_select,
    "chlo.ragged_dot": _ragged_dot,
}
