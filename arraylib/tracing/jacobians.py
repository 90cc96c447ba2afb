"""Matrices of derivatives: one jvp or vjp for each basis vector, all at once by vmap."""

from collections.abc import Callable, Sequence
from functools import wraps
from itertools import accumulate
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.errors import DtypeError, mistake
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.ops.constant import constant, zeros
from arraylib.hlo.ops.elementwise import convert
from arraylib.hlo.ops.shape import slice_
from arraylib.hlo.ops.structured import reshape
from arraylib.tracing.core import has_no_tangent, must_call
from arraylib.tracing.derivatives import argument_numbers, in_chosen, jvp
from arraylib.tracing.jit import derived
from arraylib.tracing.pullback import vjp
from arraylib.tracing.vectorize import vmap

Function = Callable[..., Any]


def jacfwd(fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False,
           holomorphic: bool = False) -> Function:
    """The Jacobian by forward mode: best where there are more outputs than inputs.

    An output of shape s and an argument of shape t give an array of shape s + t; containers of
    outputs hold containers of arguments. Raises as `grad` does, but takes outputs of any shape.

        >>> jacfwd(lambda x: x ** 2)(jnp.array([1., 2.]))
        Array([[2., 0.],
               [0., 4.]], dtype=float32)
    """
    must_call("jacfwd", fun)

    @wraps(fun)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        numbers = argument_numbers(argnums)
        part, chosen = in_chosen("jacfwd", fun, numbers, args, kwargs,
                                 "c" if holomorphic else "f")
        space = _Space(chosen)

        def push(vector: Any) -> Any:
            tangents = tree.unflatten(space.structure, space.pieces(vector))
            return jvp(part, chosen, tangents, has_aux=has_aux)[1:]

        outs, *aux = vmap(push, out_axes=(-1, None) if has_aux else -1)(space.identity())
        leaves, structure = tree.flatten(outs)
        rows = _matrix(structure, _arguments(space, argnums),
                       lambda o, i: space.piece(leaves[o], i, last=True))
        return (rows, *aux) if has_aux else rows
    return derived("jacfwd", jacobian, fun, _hashable(argnums), has_aux, holomorphic)


def jacrev(fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False,
           holomorphic: bool = False, allow_int: bool = False) -> Function:
    """The Jacobian by reverse mode: best where there are more inputs than outputs.

    The result is shaped as that of `jacfwd`. Raises as `grad` does, but takes outputs of any shape;
    with `allow_int`, arguments of integers have zeros for derivatives.

        >>> jacrev(lambda x: x ** 2)(jnp.array([1., 2.]))
        Array([[2., 0.],
               [0., 4.]], dtype=float32)
    """
    allowed = "c" if holomorphic else "fcbiu" if allow_int else "fc"

    must_call("jacrev", fun)

    @wraps(fun)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        numbers = argument_numbers(argnums)
        part, chosen = in_chosen("jacrev", fun, numbers, args, kwargs, allowed)
        out, back, *aux = vjp(part, *chosen, has_aux=has_aux)
        _check_outputs(out, holomorphic)
        space = _Space(out)

        def pull(vector: Any) -> Any:
            found = back(tree.unflatten(space.structure, space.pieces(vector)))
            return tree.map(lambda ct, x: zeros(type_of(x)) if has_no_tangent(ct) else ct,
                            found, chosen)

        cts = vmap(pull)(space.identity())
        leaves, _ = tree.flatten(cts)
        rows = _matrix(space.structure, _arguments(_Space(chosen), argnums),
                       lambda o, i: space.piece(leaves[i], o, last=False))
        return (rows, *aux) if has_aux else rows
    return derived("jacrev", jacobian, fun, _hashable(argnums), has_aux, holomorphic, allow_int)


def _check_outputs(out: Any, holomorphic: bool) -> None:
    """DtypeError for an output that rows of a Jacobian in reverse mode are not meant for."""
    for path, leaf in tree.leaves_with_path(out):
        dtype = type_of(leaf).dtype
        if dt.kind(dtype) not in ("c" if holomorphic else "f"):
            raise mistake(DtypeError, "jacrev", f"the output{tree.keystr(path)} is "
                          f"{dt.name(dtype)}, which has no "
                          f"{'complex ' if holomorphic else ''}derivative in reverse mode",
                          hint="holomorphic=True for functions of complex numbers to such"
                          if dt.is_complex(dtype) else "return floats, and what else there is by "
                          "has_aux=True")


def hessian(fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False,
            holomorphic: bool = False) -> Function:
    """The matrix of second derivatives: forward mode over reverse.

        >>> hessian(lambda x: (x ** 3).sum())(jnp.array([1., 2.]))
        Array([[ 6.,  0.],
               [ 0., 12.]], dtype=float32)
    """
    return jacfwd(jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)


def _hashable(argnums: int | Sequence[int]) -> Any:
    return argnums if isinstance(argnums, int) else tuple(argnums)


class _Space:
    """The vector space of a container of arrays: all their elements in one row."""

    def __init__(self, container: Any) -> None:
        leaves, self.structure = tree.flatten(container)
        self.types: list[Type] = [type_of(x) for x in leaves]
        self.starts = [0, *accumulate(t.size for t in self.types)]

    def identity(self) -> Any:
        """One basis vector a row."""
        dtype = np.result_type(*(t.dtype for t in self.types)) if self.types else np.float32
        return constant(value=np.eye(self.starts[-1], dtype=dtype))

    def pieces(self, vector: Any) -> list[Any]:
        """A vector's parts, each shaped and typed as its leaf."""
        parts = [self.piece(vector, i, last=True) for i in range(len(self.types))]
        return [p if type_of(p).dtype == t.dtype else convert(p, dtype=t.dtype)
                for p, t in zip(parts, self.types)]

    def piece(self, x: Any, i: int, last: bool) -> Any:
        """Leaf i's part of the last or first axis of x, folded to the leaf's shape."""
        shape, rank = type_of(x).shape, len(type_of(x).shape)
        axis = rank - 1 if last else 0
        start, limit = [0] * rank, list(shape)
        start[axis], limit[axis] = self.starts[i], self.starts[i + 1]
        if len(self.types) > 1:
            x = slice_(x, start=tuple(start), limit=tuple(limit), strides=(1,) * rank)
        own = self.types[i].shape
        folded = (*shape[:-1], *own) if last else (*own, *shape[1:])
        return x if folded == type_of(x).shape else reshape(x, shape=folded)


def _matrix(outputs: Any, arguments: Any, block: Callable[[int, int], Any]) -> Any:
    """A container of outputs with a container of arguments at each leaf."""
    rows = [tree.unflatten(arguments, [block(o, i) for i in range(arguments.num_leaves)])
            for o in range(outputs.num_leaves)]
    return tree.unflatten(outputs, rows)


def _arguments(space: _Space, argnums: int | Sequence[int]) -> Any:
    """The structure of the differentiated arguments: of the one itself if argnums is a number."""
    if not isinstance(argnums, int):
        return space.structure
    (only,) = tree.unflatten(space.structure, range(space.structure.num_leaves))
    return tree.structure(only)
