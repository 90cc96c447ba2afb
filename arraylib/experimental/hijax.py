"""Operations that users define: one class with the meaning of an operation and all of its rules.

    class Sine(VJPHiPrimitive):
        def __init__(self, x):
            self.in_avals, self.out_aval, self.params = (x,), x, {}
            super().__init__()

        def expand(self, x):
            return jnp.sin(x)

        def vjp_fwd(self, nonzero, x):
            return self(x), jnp.cos(x)

        def vjp_bwd_retval(self, cosine, ct):
            return (cosine * ct,)

    Sine(typeof(x))(x)

What it computes is `expand`, to compiled code and wherever there is no rule. The names are those of
jax.experimental.hijax; of its types of users' own there are none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import Type, type_of
from arraylib.numpy.creation import asarray, zeros
from arraylib.numpy.layout import moveaxis
from arraylib.tracing.core import ShapeDtypeStruct, as_operand
from arraylib.tracing.custom import custom_jvp, custom_vjp
from arraylib.tracing.custom_batch import custom_vmap

Function = Callable[..., Any]
ShapedArray = ShapeDtypeStruct

# Assigned to a pair of rules, these say that it follows from another rule: it does so by itself.
linearize_from_jvp = vjp_from_jvp = vjp_from_lin = (None, None)
jvp_from_lin = None


class Zero:
    """A derivative that is zero, by name alone. Rules get arrays of zeros; there is none of these.
    """


def instantiate_zeros(x: Any) -> Any:
    """x, for derivatives that are zero are arrays already.

    >>> instantiate_zeros(jnp.zeros(2))
    Array([0., 0.], dtype=float32)
    """
    return x


class AxisData(NamedTuple):
    """Of the axis that `vmap` maps over: its size, and no name."""

    size: int
    name: None = None


class ValAccum:
    """Where `vjp_bwd` puts the cotangent of one array: `accum` adds to it."""

    def __init__(self, aval: Any) -> None:
        self.aval = ShapeDtypeStruct(aval.shape, aval.dtype)
        self._sum: Any = None

    def accum(self, cotangent: Any) -> None:
        """Add to the cotangent; None adds nothing."""
        if cotangent is not None:
            self._sum = cotangent if self._sum is None else self._sum + cotangent

    def value(self) -> Any:
        """What it came to."""
        return zeros(self.aval.shape, self.aval.dtype) if self._sum is None else self._sum


GradAccum = ValAccum


class RefAccum(ValAccum):
    """A cotangent that is added to a ref in place; `VJP.with_refs` adds when it is complete."""


class NullAccum(ValAccum):
    """The cotangent of an array that has no derivative: what is added to it is lost."""


def _type(aval: Any) -> Type:
    """What `typeof`, ShapedArray and the like give, as a type."""
    return Type(dt.dtype(aval.dtype), tuple(aval.shape))


class VJPHiPrimitive:
    """An operation of a user's own; a subclass gives its meaning and its rules.

    Attributes that `__init__` sets before it calls that of this class:
        in_avals: for each argument its type, or a tree of types, as `typeof` gives them.
        out_aval: the type of the result, or a tree of types.
        params: settings that are no arrays; they become attributes.

    Methods: `expand(*args)` computes the result. Derivatives backwards are by `vjp_fwd(nonzero,
    *args)`, which returns (result, residuals), and `vjp_bwd_retval(residuals, ct)`, which returns a
    tuple of cotangents, or `vjp_bwd(residuals, ct, *accums)`, which adds to accumulators. Those
    forwards are by `jvp(primals, tangents)`, which returns (result, tangent), or by `lin(nonzero,
    *args)`, which returns (result, residuals), and `linearized(residuals, *tangents)`. Where there
    are rules for one direction only, forwards ones serve both; without any, derivatives are those
    of `expand`. `batch(axis_data, args, dims)` returns (result, its axes of examples); without it
    all is batched as it is written. `nonzero` is True for what has a derivative.

    Raises: ArgumentError where an attribute or `expand` is missing; StructureError, ShapeError for
    arguments and results that are not of the types declared.
    """

    in_avals: tuple[Any, ...]
    out_aval: Any
    params: dict[str, Any]

    expand: Any = None
    vjp_fwd: Any = None
    vjp_bwd: Any = None
    vjp_bwd_retval: Any = None
    jvp: Any = None
    lin: Any = None
    linearized: Any = None
    batch: Any = None

    def __init__(self) -> None:
        name = type(self).__name__
        for attribute in ("in_avals", "out_aval", "params"):
            if not hasattr(self, attribute):
                raise mistake(ArgumentError, name, f"its __init__ sets no self.{attribute}",
                              hint="set in_avals, out_aval and params before super().__init__()")
        if self.expand is None:
            raise mistake(ArgumentError, name, "has no method expand", hint="expand(self, *args) "
                          "computes the result with functions of arraylib")
        if self.vjp_bwd is not None and self.vjp_bwd_retval is not None:
            raise mistake(ArgumentError, name, "has both vjp_bwd and vjp_bwd_retval",
                          hint="one of them says what the cotangents are")
        self.__dict__.update(self.params)
        self.check(*self.in_avals)

    def check(self, *in_avals: Any) -> None:
        """Raise if the operation cannot take arguments of these types; subclasses may."""

    def __call__(self, *args: Any) -> Any:
        """The result for these arguments."""
        function = self._differentiable()
        if self.batch is not None:
            mapped = custom_vmap(function)
            mapped.def_vmap(self._batched)
            function = mapped
        return function(*self._checked("the arguments", self.in_avals, args))

    def __repr__(self) -> str:
        return f"{type(self).__name__}[{self.params}]"

    def __eq__(self, other: Any) -> bool:
        return type(self) is type(other) and self.params == other.params

    def __hash__(self) -> int:
        return hash((type(self).__name__, tuple(self.params.items())))

    # Its rules as those of the decorators

    def _differentiable(self) -> Function:
        """`expand`, with the rules for derivatives that there are."""
        def expand(*args: Any) -> Any:
            return self._checked("the result", self.out_aval, self.expand(*args))
        expand.__name__ = type(self).__name__
        forwards = self._forwards if self.jvp is not None or self.lin is not None else None
        if self.vjp_fwd is not None:
            backwards = custom_vjp(expand)
            backwards.defvjp(self._forward, self._backward)
            backwards.jvp = forwards
            return backwards
        if forwards is not None:
            pushed = custom_jvp(expand)
            pushed.defjvp(forwards)
            return pushed
        return expand

    def _checked(self, what: str, avals: Any, given: Any) -> Any:
        """Arguments or a result as arrays, of the types that are declared."""
        name = type(self).__name__
        tree.check_same(tree.structure(avals), tree.structure(given), op=name,
                        names=("the types declared", what))

        def checked(path: Any, x: Any, aval: Any) -> Any:
            x = asarray(as_operand(x, name, lambda: f"{what}{tree.keystr(path)}"))
            found, wanted = type_of(x), _type(aval)
            if found is not wanted:
                raise mistake(ShapeError, name, f"{what}{tree.keystr(path)} is {found}, but "
                              f"declared as {wanted}", hint="in_avals and out_aval are the types "
                              "of the arguments and of what expand returns")
            return x
        return tree.map_with_path(checked, given, avals)

    def _nonzero(self) -> Any:
        return tree.map(lambda aval: dt.is_inexact(_type(aval).dtype), tuple(self.in_avals))

    def _forwards(self, primals: Any, tangents: Any) -> Any:
        if self.jvp is not None:
            return self.jvp(tuple(primals), tuple(tangents))
        out, residuals = self.lin(self._nonzero(), *primals)
        return out, self.linearized(residuals, *tangents)

    def _forward(self, *args: Any) -> Any:
        """(result, residuals), those with a structure of their own among them."""
        out, residuals, *more = self.vjp_fwd(self._nonzero(), *args)
        return out, (residuals, tuple(more[1:]))

    def _backward(self, residuals: Any, ct: Any) -> Any:
        residuals, structured = residuals
        if self.vjp_bwd is None:
            return self.vjp_bwd_retval(residuals, *structured, ct)
        accums = tree.map(lambda aval, nonzero: (ValAccum if nonzero else NullAccum)(aval),
                          tuple(self.in_avals), self._nonzero())
        self.vjp_bwd(residuals, *structured, ct, *accums)
        return tree.map(lambda accum: accum.value(), accums)

    def _batched(self, size: int, has: Any, *args: Any) -> Any:
        """`batch` as a rule of custom_vmap: the axis of examples is the first, or there is none."""
        dims = tree.map(lambda each: 0 if each else None, tuple(has))
        out, out_dims = self.batch(AxisData(size), args, dims)
        axes = tree.broadcast_prefix(out_dims, out, lambda x: x is None, op=type(self).__name__,
                                     names=("the axes of its batch rule", "the result"))
        leaves, structure = tree.flatten(out)
        moved = [x if axis is None else moveaxis(x, axis, 0) for x, axis in zip(leaves, axes)]
        return (tree.unflatten(structure, moved),
                tree.unflatten(structure, [axis is not None for axis in axes]))
