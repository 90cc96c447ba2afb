"""Mutable references under the names of jax.ref: made, read, written, and ended."""

from __future__ import annotations

from typing import Any

from arraylib.errors import ArgumentError, mistake, what_is
from arraylib.hlo.ir import Builder, current
from arraylib.numpy.creation import asarray, zeros
from arraylib.tracing.cells import Ref as Ref, RefType as RefType, ended, write


def new_ref(init_val: Any, *, memory_space: Any = None, kind: str | None = None) -> Ref:
    """A new mutable reference that holds `init_val`, an array or number.

    In a function that is traced it lives until the function returns; a function that uses only refs
    of its own is as pure as any. There is one memory, so `memory_space` and `kind` change nothing.
    Raises ArgumentError for a ref, or what is no array.

        >>> ref = new_ref(jnp.zeros(3))
        >>> ref[1] += 2
        >>> ref
        Ref([0., 2., 0.], dtype=float32)
    """
    if init_val.__class__ is Ref:
        raise mistake(ArgumentError, "new_ref", "refs hold no refs", hint="new_ref(ref[...])")
    scope = current()
    value = scope.own(asarray(init_val))
    return Ref(value, scope if isinstance(scope, Builder) else None)


def empty_ref(ty: Any, memory_space: Any = None) -> Ref:
    """A new reference to an array of this shape and dtype, as ShapeDtypeStruct gives them.

    Its elements are zeros; programs should not depend on it.

        >>> empty_ref(ShapeDtypeStruct((2,), "int32"))
        Ref([0, 0], dtype=int32)
    """
    return new_ref(zeros(ty.shape, ty.dtype))


def freeze(ref: Ref) -> Any:
    """The array that `ref` holds; the ref cannot be used any more.

    Raises TraceError in another function than the one that made the ref; ArgumentError for what is
    no ref, or one that has been frozen.

        >>> freeze(new_ref(1.0))
        Array(1., dtype=float32)
    """
    return ended("freeze", _ref("freeze", ref), "frozen")


def free_ref(ref: Ref) -> None:
    """End `ref`, whose array is not wanted any more; raises as `freeze`.

    >>> free_ref(new_ref(jnp.zeros(3)))
    """
    ended("free_ref", _ref("free_ref", ref), "freed")


def get(ref: Ref, idx: Any = None) -> Any:
    """ref[idx], and all that `ref` holds for None. Raises ArgumentError for what is no ref.

        >>> get(new_ref(jnp.arange(3)), 1)
        Array(1, dtype=int32)
    """
    return _ref("get", ref)[_index(idx)]


def set(ref: Ref, idx: Any, value: Any) -> None:  # the name that JAX gives it
    """ref[idx] = value.

    Raises: DtypeError if the value's dtype is not the ref's; ShapeError if it does not fit.

    >>> r = arraylib.new_ref(jnp.zeros(3))
    >>> arraylib.ref.set(r, 1, 5.0)
    >>> r
    Ref([0., 5., 0.], dtype=float32)
    """
    write(_ref("set", ref), _index(idx), value)


def swap(ref: Ref, idx: Any, value: Any) -> Any:
    """ref[idx], which is set to `value`; raises as `set`.

        >>> ref = new_ref(jnp.arange(3.))
        >>> swap(ref, 2, 9.0), ref
        (Array(2., dtype=float32), Ref([0., 1., 9.], dtype=float32))
    """
    before = get(ref, idx)
    write(ref, _index(idx), value)
    return before


def addupdate(ref: Ref, idx: Any, x: Any) -> None:
    """ref[idx] += x; where the index names a place twice, it is added to twice. Raises as `set`.

    >>> ref = new_ref(jnp.zeros(3))
    >>> addupdate(ref, 1, 5.0), ref
    (None, Ref([0., 5., 0.], dtype=float32))
    """
    write(_ref("addupdate", ref), _index(idx), x, add=True)


def _ref(name: str, ref: Any) -> Ref:
    if ref.__class__ is Ref:
        return ref  # type: ignore[no-any-return]
    raise mistake(ArgumentError, name, f"its argument is {what_is(ref)}, not a ref",
                  hint="new_ref(x) makes one")


def _index(idx: Any) -> Any:
    return ... if idx is None else idx
