"""Functions of few axes applied over many: vectorize, apply_along_axis, piecewise."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import partial, wraps
from typing import Any

from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.creation import asarray, astype, zeros_like
from arraylib.numpy.layout import expand_dims, ndim, shape, squeeze
from arraylib.numpy.promotion import Array, ArrayLike, as_axis, is_operand, joint_shape
from arraylib.numpy.selection import where

Function = Callable[..., Any]
Labels = tuple[tuple[str, ...], ...]

_vmap: list[Any] = []


def install_vmap(vmap: Any) -> None:
    """Make `vmap` the one that these functions use; it is defined above them."""
    _vmap[:] = [vmap]


def vectorize(pyfunc: Function, *, excluded: Collection[int | str] = (),
              signature: str | None = None) -> Function:
    """`pyfunc` on the last axes of its arguments, over all leading axes, which broadcast.

    `signature` names the axes that one call takes and returns; without it they are scalars. Sizes
    with the same name must agree. Arguments whose position or name is `excluded` are passed as
    they are.

        >>> vectorize(jnp.dot, signature="(n),(n)->()")(jnp.ones((5, 3)), jnp.arange(3.0))
        Array([3., 3., 3., 3., 3.], dtype=float32)
    """
    taken, returned = _parse(signature) if signature else (None, None)

    @wraps(pyfunc)
    def vectorized(*args: Any, **kwargs: Any) -> Any:
        mapped = [i for i in range(len(args)) if i not in excluded]
        words = [k for k in kwargs if k not in excluded] if signature is None else []

        def call(*parts: Any) -> Any:
            given = dict(zip([*mapped, *words], parts))
            merged = [given.get(i, x) for i, x in enumerate(args)]
            return pyfunc(*merged, **{k: given.get(k, x) for k, x in kwargs.items()})

        arrays = [asarray(args[i]) for i in mapped] + [asarray(kwargs[k]) for k in words]
        return _over_leading_axes(call, arrays, taken or ((),) * len(arrays), returned)

    return vectorized


def _over_leading_axes(call: Function, arrays: list[Array], taken: Labels,
                       returned: Labels | None) -> Any:
    """`call` under one vmap for each leading axis, of the arrays that vary along it."""
    if len(taken) != len(arrays):
        raise mistake(ArgumentError, "vectorize", f"the signature has {len(taken)} arguments, the "
                      f"call {len(arrays)}", hint="name those that are not arrays in excluded")
    sizes = _core_sizes(arrays, taken)
    leads = [shape(x)[:ndim(x) - len(labels)] for x, labels in zip(arrays, taken)]
    loop = joint_shape("vectorize", leads, [type_of(x) for x in arrays])
    leads = [(1,) * (len(loop) - len(lead)) + lead for lead in leads]
    arrays = [squeeze(x, tuple(i for i, n in enumerate(shape(x)[:ndim(x) - len(labels)]) if n == 1))
              for x, labels in zip(arrays, taken)]
    function = partial(_checked, call, returned, sizes)
    for axis in reversed(range(len(loop))):
        varies = [lead[axis] != 1 for lead in leads]
        if any(varies):
            function = _vmap[0](function, in_axes=tuple(0 if v else None for v in varies))
    flat = [i for i in range(len(loop)) if all(lead[i] == 1 for lead in leads)]
    result = function(*arrays)
    if isinstance(result, tuple):
        return tuple([expand_dims(x, tuple(flat)) for x in result])
    return expand_dims(result, tuple(flat))


def _core_sizes(arrays: Sequence[Array], taken: Labels) -> dict[str, int]:
    """The size of each axis that the signature names."""
    sizes: dict[str, int] = {}
    for i, (x, labels) in enumerate(zip(arrays, taken)):
        if ndim(x) < len(labels):
            raise mistake(ShapeError, "vectorize", f"argument {i} has {ndim(x)} axes, but the "
                          f"signature names {len(labels)}", operands=[type_of(x)],
                          hint="an array with at least these axes")
        for label, n in zip(labels, shape(x)[ndim(x) - len(labels):]):
            if sizes.setdefault(label, n) != n:
                raise mistake(ShapeError, "vectorize", f"axis {label} is {n} in argument {i} but "
                              f"{sizes[label]} before", operands=[type_of(v) for v in arrays],
                              hint="a name stands for one size")
    return sizes


def _checked(call: Function, returned: Labels | None, sizes: dict[str, int], *parts: Any) -> Any:
    """The results of one call, which must have the axes that the signature promises."""
    result = call(*parts)
    if returned is None:
        return tuple(map(asarray, result)) if isinstance(result, tuple) else asarray(result)
    results = result if isinstance(result, tuple) else (result,)
    if len(results) != len(returned):
        raise mistake(ArgumentError, "vectorize", f"the signature has {len(returned)} results, the "
                      f"function returns {len(results)}",
                      hint="a signature names each result: '(n)->(),()'")
    for i, (x, labels) in enumerate(zip(results, returned)):
        wanted = tuple(sizes.setdefault(label, n) for label, n in zip(labels, shape(x)))
        if shape(x) != wanted or len(labels) != ndim(x):
            raise mistake(ShapeError, "vectorize", f"result {i} has shape {shape(x)}, but the "
                          f"signature says ({', '.join(labels)})", operands=[type_of(x)],
                          hint="return that shape, or change the signature")
    arrays = tuple(map(asarray, results))
    return arrays if isinstance(result, tuple) else arrays[0]


def _parse(signature: str) -> tuple[Labels, Labels]:
    """`(m,n),(n)->(m)` as ((("m", "n"), ("n",)), (("m",),))."""
    group = r"\(\s*(?:\w+(?:\s*,\s*\w+)*)?\s*\)"
    side = rf"{group}(?:\s*,\s*{group})*"
    if not re.fullmatch(rf"\s*{side}\s*->\s*{side}\s*", signature):
        raise mistake(ArgumentError, "vectorize", f"{signature!r} is not a signature",
                      hint="such as '(m,n),(n)->(m)', with () for a scalar")
    taken, returned = [tuple(tuple(re.findall(r"\w+", found)) for found in re.findall(group, half))
                       for half in signature.split("->")]
    return taken, returned


def apply_along_axis(func1d: Function, axis: int, arr: ArrayLike, *args: Any,
                     **kwargs: Any) -> Array:
    """`func1d(vector, *args, **kwargs)` for every vector along an axis.

    The axes of its result take the place of that axis.

        >>> apply_along_axis(lambda v: v[-1] - v[0], 1, jnp.arange(6).reshape(2, 3))
        Array([2, 2], dtype=int32)
    """
    arr = asarray(arr)
    axis = as_axis("apply_along_axis", axis, ndim(arr))

    def function(vector: Any) -> Any:
        return asarray(func1d(vector, *args, **kwargs))

    for after in range(1, ndim(arr) - axis):
        function = _vmap[0](function, in_axes=after, out_axes=-1)
    for _ in range(axis):
        function = _vmap[0](function)
    return function(arr)


def apply_over_axes(func: Function, a: ArrayLike, axes: int | Sequence[int]) -> Array:
    """`func(a, axis)` over each of the axes in turn; an axis that it drops is put back.

    >>> jnp.apply_over_axes(jnp.sum, jnp.ones((2, 3, 4)), [0, 2])
    Array([[[8.],
            [8.],
            [8.]]], dtype=float32)
    """
    result = asarray(a)
    for axis in [axes] if isinstance(axes, int) else axes:
        axis = as_axis("apply_over_axes", axis, ndim(a))
        reduced = asarray(func(result, axis))
        result = reduced if ndim(reduced) == ndim(result) else expand_dims(reduced, axis)
    return result


def piecewise(x: ArrayLike, condlist: Any, funclist: Sequence[Any], *args: Any,
              **kw: Any) -> Array:
    """Where the last true condition is number i, `funclist[i]`: a function of x, or a number.

    One function more than conditions is for where none is true; otherwise that is 0. Every
    function is applied to all of x.

        >>> x = jnp.arange(-2.0, 3.0)
        >>> piecewise(x, [x < 0, x > 1], [lambda x: -x, 10.0, lambda x: x])
        Array([ 2.,  1.,  0.,  1., 10.], dtype=float32)
    """
    x = asarray(x)
    several = isinstance(condlist, (list, tuple)) or ndim(condlist) > ndim(x)
    conditions, functions = list(condlist) if several else [condlist], list(funclist)
    if len(functions) not in (len(conditions), len(conditions) + 1):
        raise mistake(ArgumentError, "piecewise", f"{len(functions)} functions for "
                      f"{len(conditions)} conditions", hint="as many, or one more")
    other = functions.pop() if len(functions) > len(conditions) else 0
    result = zeros_like(x) + _piece(other, x, args, kw)
    for condition, function in zip(conditions, functions):
        result = where(asarray(condition), _piece(function, x, args, kw), result)
    return result


def _piece(function: Any, x: Array, args: Any, kw: Any) -> Array:
    value = function(x, *args, **kw) if callable(function) else function
    return astype(value if is_operand(value) else asarray(value), type_of(x).dtype)
