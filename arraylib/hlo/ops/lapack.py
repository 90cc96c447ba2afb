"""Factors of matrices as LAPACK has them, with derivatives: what programs from elsewhere call.

JAX's programs factor matrices by custom calls of LAPACK's routines. NumPy computes what they
return (`hlo.custom_calls`), one function for each; here is what the results are when the matrix
changes a little. Where that is a short formula in the factors, it is one of the rules below; of the
routines on Householder's reflections it is the derivative of the loop over columns that makes them
(`reflections`). These are not in the table of operations: a function has no text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.errors import DtypeError, ShapeError, TraceError, mistake
from arraylib.hlo.ir import Node, Type, trace_graph, type_of
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import elementwise as ew, reflections
from arraylib.hlo.ops.constant import constant, full, full_like, iota, zeros
from arraylib.hlo.ops.indexed import gather
from arraylib.hlo.ops.linalg import (
    cholesky_tangent,
    conjugate,
    masked,
    matmul,
    triangular_solve,
)
from arraylib.hlo.ops.loop import scan
from arraylib.hlo.ops.reduction import reduce_maximum
from arraylib.hlo.ops.reflections import adjoint, like
from arraylib.hlo.ops.shape import pad, repeat_leading
from arraylib.hlo.ops.structured import broadcast_in_dim, reduce_add, transpose
from arraylib.record import record

Pairs = list[tuple[Any, Any]]


@record
class Routine:
    """A routine with its settings: a function of result types, then of NumPy arrays."""

    name: str  # without the letter that says the dtype
    settings: tuple[tuple[str, Any], ...]
    function: Callable[..., tuple[Any, ...]]  # (settings, types of the results, *arrays)

    def __call__(self, results: tuple[Type, ...], *arrays: Any) -> tuple[Any, ...]:
        return self.function(dict(self.settings), results, *arrays)

    @property
    def __name__(self) -> str:
        return f"{self.name} of LAPACK"

    def choice(self, name: str) -> Any:
        """A setting; where LAPACK has a letter for it, that letter, which may be a number."""
        value = dict(self.settings)[name]
        return chr(value) if type(value) is int else value

    def having(self, **settings: Any) -> Routine:
        """The same with other settings."""
        changed = {**dict(self.settings), **settings}
        return Routine(self.name, tuple(changed.items()), self.function)


def _jvp(jvp: Any, node: Node, primals: Sequence[Any], tangents: Sequence[Any]) -> Pairs:
    outs, rule = lapack(*primals, **node.attrs), _RULES.get(node.attrs["routine"].name)
    if all(t is None for t in tangents):
        return [(out, None) for out in outs]
    if rule is None:
        raise mistake(TraceError, node.attrs["routine"].name, "the derivative of this routine of "
                      "LAPACK is not known", where=node.where,
                      hint="stop_gradient on its operands, if none is meant")
    filled = [t if t is not None or not dt.is_inexact(type_of(x).dtype) else zeros(type_of(x))
              for x, t in zip(primals, tangents)]
    found = rule(_Change(jvp, node, tuple(primals), tuple(filled), outs))
    return list(zip(outs, [*found, *[None] * (len(outs) - len(found))]))


def _batch(batch: Any, node: Node, pairs: Pairs, size: int) -> Pairs:
    """Every routine takes matrices with leading axes."""
    xs = [x if has else repeat_leading(x, size) for x, has in pairs]
    results = tuple(t.with_shape((size, *t.shape)) for t in node.attrs["results"])
    return [(out, True) for out in lapack(*xs, routine=node.attrs["routine"], results=results)]


def _transposed(transposed: Any, node: Node, linear: Sequence[bool],
                cotangents: Sequence[Any]) -> list[Any]:
    name = node.attrs["routine"].name
    rule = _TRANSPOSES.get(name)
    found = None if rule is None else rule(node, linear, cotangents)
    if found is None:
        raise mistake(TraceError, name, "is not linear in these operands, so it cannot be "
                      "transposed", where=node.where,
                      hint="vjp differentiates functions that are not linear")
    return found


def _gesv_transposed(node: Node, linear: Sequence[bool],
                     cotangents: Sequence[Any]) -> list[Any] | None:
    """A solution is linear in the right side: its cotangent is solved for with the transpose."""
    *others, ct, _ = cotangents
    if linear[0] or any(c is not None for c in others):
        return None
    a = node.inputs[0]
    rank = type_of(a).rank
    flipped = transpose(a, permutation=(*range(rank - 2), rank - 1, rank - 2))
    return [None if ct is None else lapack(flipped, ct, **node.attrs)[2]]


lapack: OpDef = OpDef(
    "lapack", "What a routine of LAPACK returns for a batch of matrices.",
    lambda *xs, routine, results: routine(results, *xs),
    results=lambda types, attrs, where: tuple(attrs["results"]), dtypes=ew.ANY, mixed=True,
    multiple=True, opaque=True, dialect="arraylib", jvp_node=_jvp,
    transpose_node=_transposed, batch_node=_batch)


# -- derivatives -----------------------------------------------------------------------------------


@record
class _Change:
    """A call, its results, and the tangents of its operands."""

    jvp: Any
    node: Node
    operands: tuple[Any, ...]
    tangents: tuple[Any, ...]
    outs: tuple[Any, ...]

    @property
    def routine(self) -> Routine:
        return self.node.attrs["routine"]  # type: ignore[no-any-return]

    def through(self, function: Callable[..., Sequence[Any]]) -> list[Any]:
        """The tangents of a function that says in the graph's operations what the routine does."""
        graph = trace_graph([type_of(x) for x in self.operands], function)
        return [t for _, t in self.jvp(graph, self.operands, self.tangents)]


def _potrf(change: _Change) -> list[Any]:
    """The other triangle of the result is that of the matrix."""
    (a,), (t,), factor = change.operands, change.tangents, change.outs[0]
    lower = change.routine.choice("uplo") == "L"
    tangent = cholesky_tangent(t, masked(factor, "GE" if lower else "LE"), a, lower=lower)
    return [ew.add(masked(tangent, "GE" if lower else "LE"), masked(t, "LT" if lower else "GT"))]


def _getrf(change: _Change) -> list[Any]:
    """L tril(X) + triu(X) U, with X = L^-1 P dA U^-1, both factors made square."""
    (t,), (lu, pivots, _) = change.tangents, change.outs
    return [_lu_tangent(t, lu, permutation(pivots, type_of(lu).shape[-2]))]


def _lu_tangent(t: Any, lu: Any, order: Any) -> Any:
    rows, columns = type_of(lu).shape[-2:]
    permuted = take_rows(t, order)
    low = resized(masked(lu, "GT"), rows, rows)
    missing = np.diag((np.arange(columns) >= rows).astype(type_of(lu).dtype))
    up = resized(masked(lu, "LE"), columns, columns)
    up = ew.add(up, _everywhere(constant(value=missing), type_of(up)))
    solve = partial(triangular_solve, transpose_a="NO_TRANSPOSE")
    x = solve(low, permuted, left_side=True, lower=True, unit_diagonal=True)
    x = solve(up, x, left_side=False, lower=False, unit_diagonal=False)
    strict = masked(x, "GT")
    return ew.add(ew.add(strict, matmul(low, strict)), matmul(masked(x, "LE"), up))


def _gesv(change: _Change) -> list[Any]:
    """a dx = db - da x, with the factors of a as they are."""
    (ta, tb), (lu, pivots, x, _) = change.tangents, change.outs
    order = permutation(pivots, type_of(lu).shape[-2])
    moved = solved(lu, take_rows(ew.subtract(tb, matmul(ta, x)), order))
    return [_lu_tangent(ta, lu, order), None, moved]


def solved(lu: Any, b: Any) -> Any:
    """x of L U x = b."""
    solve = partial(triangular_solve, lu, left_side=True, transpose_a="NO_TRANSPOSE")
    return solve(solve(b, lower=True, unit_diagonal=True), lower=False, unit_diagonal=False)


def permutation(pivots: Any, rows: int) -> Any:
    """Which row each row was, i32[..., rows], once rows have changed places as pivots say.

    Pivots count from 1; those below and above the rows mean the first and the last.
    """
    if type_of(pivots).dtype != dt.int32:
        pivots = ew.convert(pivots, dtype=dt.int32)
    result = Type(dt.int32, (*type_of(pivots).shape[:-1], rows))
    return lapack(pivots, routine=PERMUTATION, results=(result,))[0]


def _changed_places(settings: Any, results: tuple[Type, ...], pivots: Any) -> tuple[Any, ...]:
    order = np.zeros(results[0].shape, np.int32)
    _check_pivots(Type(pivots.dtype, pivots.shape), results[0])
    order[...] = np.arange(order.shape[-1])
    others = np.clip(pivots.astype(np.int64), 1, max(order.shape[-1], 1)) - 1
    for place in np.ndindex(order.shape[:-1]):
        own = order[place]
        for i, k in enumerate(others[place]):
            own[[i, k]] = own[[k, i]]
    return (order,)


def _check_pivots(pivots: Type, order: Type) -> None:
    """Programs from elsewhere may say any types."""
    if not dt.is_integer(pivots.dtype) or order.dtype != dt.int32:
        raise mistake(DtypeError, "permutation", f"an order of {dt.name(order.dtype)} for pivots "
                      f"of {dt.name(pivots.dtype)}", operands=[pivots],
                      hint="pivots of integers, an order of int32")
    if (not 0 < pivots.rank == order.rank or pivots.shape[:-1] != order.shape[:-1]
            or pivots.shape[-1] > order.shape[-1]):
        raise mistake(ShapeError, "permutation", f"an order of shape {order.shape} for pivots of "
                      f"shape {pivots.shape}", operands=[pivots],
                      hint="as many rows as pivots, or more, and the same leading axes")


PERMUTATION = Routine("permutation", (), _changed_places)


def written_out(*xs: Any, routine: Routine, results: tuple[Type, ...]) -> Sequence[Any] | None:
    """What is not in XLA's runtime in terms of what is; None for all other routines."""
    if routine is PERMUTATION:
        return [_permutation_written_out(*xs, type=results[0])]
    if routine.name != "gesv":
        return None
    (a, b), (factors, places, _, info) = xs, results
    factor = Routine("getrf", (), routine.function)
    lu, pivots, info = lapack(a, routine=factor, results=(factors, places, info))
    order = _permutation_written_out(pivots, type=places)
    return [lu, pivots, solved(lu, take_rows(b, order)), info]


def _permutation_written_out(pivots: Any, *, type: Type) -> Any:
    """The rows change places one after the other."""
    rank, count = type.rank, type_of(pivots).shape[-1]
    rows = iota(shape=type.shape, dimension=rank - 1, dtype=dt.int32)
    each = Type(dt.int32, type.shape[:-1])

    def step(order: Any, pivot: Any, i: Any) -> list[Any]:
        inner = iota(shape=type.shape, dimension=rank - 1, dtype=dt.int32)
        other = ew.subtract(pivot, full_like(pivot, 1))
        places = [ew.compare(inner, broadcast_in_dim(
            x, shape=type.shape, broadcast_dimensions=tuple(range(type_of(x).rank))),
            direction="EQ") for x in (i, other)]
        found = [broadcast_in_dim(
            reduce_add(ew.select(here, order, full_like(order, 0)), dimensions=(rank - 1,)),
            shape=type.shape, broadcast_dimensions=tuple(range(rank - 1))) for here in places]
        return [ew.select(places[0], found[1], ew.select(places[1], found[0], order))]

    pivots = transpose(pivots, permutation=(rank - 1, *range(rank - 1)))
    steps = iota(shape=(count,), dimension=0, dtype=dt.int32)
    body = trace_graph([type, each, Type(dt.int32, ())], step)
    return scan(rows, pivots, steps, body=body, consts=0, carry=1, length=count, reverse=False)[0]


def take_rows(x: Any, order: Any) -> Any:
    """The rows of matrices in another order."""
    shape = type_of(x).shape
    rank, leading = len(shape), tuple(range(len(shape) - 2))
    return gather(
        x, order, offset_dims=(rank - 1,), collapsed_slice_dims=(rank - 2,),
        operand_batching_dims=leading, start_indices_batching_dims=leading,
        start_index_map=(rank - 2,), index_vector_dim=rank - 1,
        slice_sizes=(*(min(1, n) for n in shape[:-1]), shape[-1]))


def resized(x: Any, rows: int, columns: int) -> Any:
    """Matrices with zeros added, or cut, on the right and below."""
    *batch, m, n = type_of(x).shape
    if (m, n) == (rows, columns):
        return x
    none = (0,) * len(batch)
    return pad(x, full((), 0, type_of(x).dtype), low=(*none, 0, 0),
               high=(*none, rows - m, columns - n), interior=(*none, 0, 0))


def _everywhere(x: Any, type: Type) -> Any:
    """A matrix, or a vector along the columns, for each of a batch."""
    rank = type_of(x).rank
    axes = tuple(range(type.rank - rank, type.rank))
    return broadcast_in_dim(x, shape=type.shape, broadcast_dimensions=axes)


def _columns(x: Any, type: Type) -> Any:
    """Vectors of a batch, each as all rows of a matrix of this type."""
    axes = (*range(type.rank - 2), type.rank - 1)
    return broadcast_in_dim(x, shape=type.shape, broadcast_dimensions=axes)


def _rows(x: Any, type: Type) -> Any:
    """Vectors of a batch, each as all columns of a matrix of this type."""
    return broadcast_in_dim(x, shape=type.shape, broadcast_dimensions=tuple(range(type.rank - 1)))


def _diagonal(x: Any) -> Any:
    """The diagonals of square matrices, real."""
    kept = masked(x, "EQ")
    real = ew.real(kept) if dt.is_complex(type_of(x).dtype) else kept
    return reduce_add(real, dimensions=(type_of(x).rank - 1,))


def _off_diagonal(x: Any, divisor: Any) -> Any:
    """x / divisor, 0 on the diagonal."""
    off = ew.subtract(x, masked(x, "EQ"))
    safe = ew.add(divisor, masked(full_like(divisor, 1), "EQ"))
    return ew.divide(off, like(safe, off))


def _syevd(change: _Change) -> list[Any]:
    """dw = diag(V^H dA V), dV = V (V^H dA V / (w_j - w_i)); one triangle of dA is looked at."""
    (a,), (t,), (v, w, _) = change.operands, change.tangents, change.outs
    if change.routine.choice("mode") != "V":  # the vectors are needed all the same
        types = type_of(a), type_of(w), change.node.attrs["results"][2]
        v = lapack(a, routine=change.routine.having(mode="V"), results=types)[0]
    strict = masked(t, "GT" if change.routine.choice("uplo") == "L" else "LT")
    diagonal = masked(t, "EQ")
    half = ew.multiply(ew.add(diagonal, conjugate(diagonal)), full_like(diagonal, 0.5))
    whole = ew.add(ew.add(strict, adjoint(strict)), half)
    inside = matmul(matmul(adjoint(v), whole), v)
    if change.routine.choice("mode") != "V":
        return [None, _diagonal(inside)]
    square = type_of(w).with_shape(type_of(a).shape)
    gaps = ew.subtract(_columns(w, square), _rows(w, square))
    return [matmul(v, _off_diagonal(inside, gaps)), _diagonal(inside)]


def _geev(change: _Change) -> list[Any]:
    """With left vectors u: dw_j = u_j^H dA v_j / u_j^H v_j."""
    (a,), (t,) = change.operands, change.tangents
    left, right = (change.routine.choice(f"compute_{side}") == "V" for side in ("left", "right"))
    both = change.routine.having(compute_left="V", compute_right="V")
    *w, u, v, _ = lapack(a, routine=both, results=change.node.attrs["results"])
    values, t = w[0] if len(w) == 1 else ew.complex_(*w), like(t, v)
    dw, dv = _eigen_tangents(values, u, v, t)
    du = _eigen_tangents(conjugate(values), v, u, adjoint(t))[1] if left else None
    return [*([dw] if len(w) == 1 else [ew.real(dw), ew.imag(dw)]), du, dv if right else None]


def _eigen_tangents(w: Any, u: Any, v: Any, t: Any) -> tuple[Any, Any]:
    """Of eigenvalues, and of vectors v of length 1 whose largest element is real.

    dv is free along v: those two conditions say how much of v it has.
    """
    type, axis = type_of(v), type_of(v).rank - 2
    total = partial(reduce_add, dimensions=(axis,))
    scales = total(ew.multiply(conjugate(u), v))
    inside = ew.divide(matmul(matmul(adjoint(u), t), v), _rows(scales, type))
    free = matmul(v, _off_diagonal(inside, ew.subtract(_columns(w, type), _rows(w, type))))
    is_real = ew.compare(ew.imag(v), full_like(ew.imag(v), 0), direction="EQ")
    sizes = ew.select(is_real, ew.abs(ew.real(v)), full_like(ew.real(v), -1))
    most = reduce_maximum(sizes, dimensions=(axis,))
    chosen = ew.compare(sizes, _columns(most, type_of(sizes)), direction="EQ")
    turned, real = (total(ew.select(chosen, x, full_like(x, 0)))
                    for x in (ew.imag(free), ew.real(v)))
    along = ew.complex_(total(ew.real(ew.multiply(conjugate(v), free))), ew.divide(turned, real))
    dv = ew.subtract(free, ew.multiply(v, _columns(along, type)))
    return reduce_add(masked(inside, "EQ"), dimensions=(axis,)), dv


def _gesdd(change: _Change) -> list[Any]:
    """Of thin factors; the phase of singular vectors is that for which U^H dU is the smallest."""
    (a,), (t,), mode = change.operands, change.tangents, change.routine.choice("mode")
    _, s, u, vh = change.outs[:4]
    m, n = type_of(a).shape[-2:]
    if mode == "A" and m != n:
        raise mistake(TraceError, "svd", "the derivative of all singular vectors of matrices that "
                      "are not square", where=change.node.where, hint="full_matrices=False")
    if mode == "N":
        u, vh = _thin_factors(change)
    inside = matmul(matmul(adjoint(u), t), adjoint(vh))  # U^H dA V
    ds = _diagonal(inside)
    if mode == "N":
        return [None, ds]
    square = type_of(s).with_shape((*type_of(s).shape, type_of(s).shape[-1]))
    right, left = _columns(s, square), _rows(s, square)
    gaps = ew.multiply(ew.subtract(right, left), ew.add(right, left))
    along, across = (ew.multiply(inside, like(x, inside)) for x in (right, left))
    phase = ew.divide(ew.multiply(ew.subtract(inside, adjoint(inside)), full_like(inside, 0.5)),
                      like(left, inside))
    turn_u = ew.add(_off_diagonal(ew.add(along, adjoint(along)), gaps), masked(phase, "EQ"))
    turn_v = _off_diagonal(ew.add(across, adjoint(across)), gaps)
    v = adjoint(vh)
    du = ew.add(matmul(u, turn_u), _outside(u, matmul(t, v), s))
    dv = ew.add(matmul(v, turn_v), _outside(v, matmul(adjoint(t), u), s))
    return [None, ds, du, adjoint(dv)]


def _thin_factors(change: _Change) -> tuple[Any, Any]:
    (a,), results = change.operands, change.node.attrs["results"]
    *batch, m, n = type_of(a).shape
    k = min(m, n)
    types = (*results[:2], type_of(a).with_shape((*batch, m, k)),
             type_of(a).with_shape((*batch, k, n)), results[4])
    outs = lapack(a, routine=change.routine.having(mode="S"), results=types)
    return outs[2], outs[3]


def _outside(u: Any, moved: Any, s: Any) -> Any:
    """What leaves the space that u spans: (1 - u u^H) moved / s."""
    rest = ew.subtract(moved, matmul(u, matmul(adjoint(u), moved)))
    return ew.divide(rest, like(_columns(s, type_of(rest).with_dtype(type_of(s).dtype)), rest))


def _trsm(change: _Change) -> list[Any]:
    choice, kinds = change.routine.choice, {"N": "NO_TRANSPOSE", "T": "TRANSPOSE", "C": "ADJOINT"}
    return change.through(lambda a, b: [triangular_solve(
        a, b, left_side=choice("side") == "L", lower=choice("uplo") == "L",
        unit_diagonal=choice("diag") == "U", transpose_a=kinds[choice("trans_x")])])


def _ormqr(change: _Change) -> list[Any]:
    left, turned = (bool(change.routine.choice(name)) for name in ("left", "transpose"))
    return change.through(lambda a, tau, c: [reflections.applied(a, tau, c, left, turned)])


_RULES: dict[str, Callable[[_Change], list[Any]]] = {
    "potrf": _potrf, "getrf": _getrf, "gesv": _gesv, "syevd": _syevd, "heevd": _syevd,
    "gesdd": _gesdd, "gesvd": _gesdd, "trsm": _trsm, "ormqr": _ormqr, "unmqr": _ormqr,
    "geev": _geev,
    "geqrf": lambda change: change.through(reflections.factored),
    "orgqr": lambda change: change.through(lambda a, tau: [reflections.product(a, tau)]),
    "ungqr": lambda change: change.through(lambda a, tau: [reflections.product(a, tau)]),
}

# What is linear in some operands: cotangents of those, None where it is not in these.
_TRANSPOSES: dict[str, Callable[[Node, Sequence[bool], Sequence[Any]], list[Any] | None]] = {
    "gesv": _gesv_transposed,
}
