"""Names at the top of JAX that have no namesake at the top of this library."""

import contextlib

from arraylib.as_jax.callbacks import pure_callback as pure_callback
from arraylib.as_jax.jaxpr import make_jaxpr as make_jaxpr
from arraylib.config import config
from arraylib.errors import ArgumentError, mistake
from arraylib.numpy.slices import ds as ds, dslice as dslice
from arraylib.scopes import Unchanged, checking_leaks

# The version of JAX whose names and meanings are followed.
__version__ = "0.10.2"
__version_info__ = (0, 10, 2)


def check_tracer_leaks(check: bool = True) -> contextlib.AbstractContextManager[None]:
    """`checking_leaks`, under JAX's newer name."""
    return checking_leaks() if check else Unchanged()


def log_compiles(value: bool = True) -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block Python's logging hears what is compiled, and why it had to be."""
    return config.using(log_compiles=value)


def numpy_dtype_promotion(mode: str = "standard") -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block dtypes are promoted in the standard way, as everywhere here."""
    return _only("numpy_dtype_promotion", mode, "standard")


def numpy_rank_promotion(mode: str = "allow") -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block arrays of few axes broadcast to more, as everywhere here."""
    return _only("numpy_rank_promotion", mode, "allow")


def _accepted(*setting: object) -> contextlib.AbstractContextManager[None]:
    """Inside the `with` block everything is as outside: how JAX works inside is not looked at."""
    return Unchanged()


# There is one device, nothing is transferred, keys are as they are, and so is softmax's derivative.
default_device = enable_checks = legacy_prng_key = softmax_custom_jvp = _accepted
transfer_guard = transfer_guard_host_to_device = _accepted
transfer_guard_device_to_device = transfer_guard_device_to_host = _accepted


def _only(name: str, mode: str, allowed: str) -> contextlib.AbstractContextManager[None]:
    if mode != allowed:
        raise mistake(ArgumentError, name, f"{mode!r} is not supported", hint=repr(allowed))
    return Unchanged()
