"""Settings and names of parts of programs that hold in a `with` block, most of them JAX's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from arraylib.config import config
from arraylib.errors import scope

Function = TypeVar("Function", bound=Callable[..., Any])


class Unchanged(contextlib.ContextDecorator, contextlib.nullcontext[None]):
    """A `with` block, or a decorator, that changes nothing."""


def threads(count: int) -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block programs compute on so many threads; 0: on all there are.

    It holds for the whole process, as all of `config`: programs that other Python threads start
    meanwhile are concerned as well. Results do not depend on it, to the last bit.

        with arraylib.threads(1): ...

    >>> with arraylib.threads(1):
    ...     print(jnp.ones(3).sum())
    3.0
    """
    return config.using(cpu_threads=count)


def disable_jit(disable: bool = True) -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block jitted functions run operation by operation, as plain Python.

    >>> with arraylib.disable_jit():
    ...     print(arraylib.jit(lambda x: x + 1)(1))
    2
    """
    return config.using(jit=not disable)


def enable_x64(enable: bool = True) -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block Python numbers and NumPy data keep 64 bits.

    Only what has no dtype of its own is concerned: `dtype="float64"` holds everywhere.

    >>> with arraylib.enable_x64():
    ...     print(jnp.arange(2).dtype)
    int64
    """
    return config.using(default_bits=64 if enable else 32)


def debug_nans(enable: bool = True) -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block a nan is an error, NotFiniteError, which is a FloatingPointError.

    Operations outside of jit raise it where they give nan. A jitted function raises it if one of
    its results has nan, and names the operation that made the first one: its line, the element,
    the step of each loop around it, and the example of each vmap. That holds for derivatives too:
    their operations name the lines that they were derived from.

        with arraylib.debug.nans(): train_step(params, batch)

    >>> with arraylib.debug.nans():
    ...     print(jnp.sqrt(jnp.array(4.0)))
    2.0
    """
    return config.using(debug_nans=enable)


def debug_infs(enable: bool = True) -> contextlib.AbstractContextManager[None]:
    """The same for infinities.

    >>> with arraylib.debug.infs():
    ...     print(jnp.exp(jnp.array(1.0)) < 3)
    True
    """
    return config.using(debug_infs=enable)


def debug_key_reuse(enable: bool = True) -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block a random key that is used twice is an error, KeyReuseError.

    Drawing from a key or splitting it uses it up; `random.clone` says that it is meant.

        with arraylib.debug.key_reuse(): train_step(params, batch, key)

    >>> with arraylib.debug.key_reuse():
    ...     print(random.uniform(random.key(0)).shape)
    ()
    """
    return config.using(debug_key_reuse=enable)


def checking_leaks() -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block a traced value that outlives its function is an error, TraceError.

    It is raised as soon as the function has been traced, and says which line made the value and
    what keeps it: a global, an attribute, a list. Slow: all objects of the process are looked at.
    """
    return config.using(check_leaks=True)


def default_matmul_precision(precision: Any) -> contextlib.AbstractContextManager[None]:
    """Accepted for JAX's sake: products are computed in the precision of their dtype anyhow.

    >>> with arraylib.default_matmul_precision("highest"):
    ...     print(jnp.ones(2) @ jnp.ones(2))
    2.0
    """
    return Unchanged()


@contextlib.contextmanager
def named_scope(name: str) -> Iterator[None]:
    """Operations traced inside belong to a part of the program with this name.

    It stands before the function's name wherever a line is shown: in errors, reports and locations.
    Scopes nest. Works as a `with` block and as a decorator.

        with arraylib.named_scope("attention"): ...

    >>> with arraylib.named_scope("attention"):
    ...     print(jnp.ones(2).sum())
    2.0
    """
    token = scope.set(f"{scope.get()}{name}/")
    try:
        yield
    finally:
        scope.reset(token)


def named_call(fun: Function, *, name: str | None = None) -> Function:
    """`fun`, whose operations belong to the scope of its name: see `named_scope`.

    >>> arraylib.named_call(lambda x: x + 1, name="head")(1)
    2
    """
    return named_scope(name or str(getattr(fun, "__name__", type(fun).__name__)))(fun)
