"""Every setting and every environment variable, in one place.

    from arraylib.config import config
    config.backend = "reference"        # or ARRAYLIB_BACKEND=reference
    with config.using(backend="reference"): ...
"""

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, ClassVar

from arraylib.record import record

_CHOICES = {
    "backend": ("cpu", "reference"),
    "default_bits": (32, 64),
    "index_mode": ("clip", "raise"),
    "numpy_functions": ("arrays", "numpy"),
    "prng_impl": ("threefry2x32", "rbg", "unsafe_rbg"),
    "tracebacks": ("user", "full"),
}

_COUNTS = ("cache_bytes", "cpu_threads", "compile_threads", "memory_limit", "fold_bytes",
           "num_cpu_devices")



class _Bytes(dict[int, int]):
    """Sizes as they are, but for what is said: any size may be looked up."""

    def __contains__(self, size: object) -> bool:
        return isinstance(size, int)

    def __missing__(self, size: int) -> int:
        return size


# JAX's names for some of these settings: ours, and what of theirs is what of ours; None: the same.
_JAX_NAMES: dict[str, tuple[str, dict[Any, Any] | None]] = {
    "jax_compilation_cache_dir": ("cache_dir", None),
    "jax_compilation_cache_max_size": ("cache_bytes", _Bytes({-1: 1 << 62})),  # -1: no limit
    "jax_explain_cache_misses": ("log_compiles", {False: False, True: True}),
    "jax_log_compiles": ("log_compiles", {False: False, True: True}),
    "jax_enable_x64": ("default_bits", {False: 32, True: 64}),
    "jax_default_prng_impl": ("prng_impl", None),
    "jax_disable_jit": ("jit", {False: True, True: False}),
    "jax_enable_compilation_cache": ("cache", {False: False, True: True}),
    "jax_debug_nans": ("debug_nans", {False: False, True: True}),
    "jax_debug_infs": ("debug_infs", {False: False, True: True}),
    "jax_debug_key_reuse": ("debug_key_reuse", {False: False, True: True}),
    "jax_check_tracer_leaks": ("check_leaks", {False: False, True: True}),
    "jax_traceback_filtering": ("tracebacks", {
        "auto": "user", "remove_frames": "user", "tracebackhide": "user", "off": "full"}),
    "jax_platforms": ("backend", {"cpu": "cpu"}),
    "jax_platform_name": ("backend", {"cpu": "cpu"}),
    "jax_num_cpu_devices": ("num_cpu_devices", None),
}

# JAX's settings that have one meaning here, and that value of each.
_JAX_FIXED: dict[str, Any] = {
    "jax_enable_custom_prng": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_threefry_partitionable": True,
}

# JAX's settings of how its own machinery works, which change no result: kept, and not looked at.
_JAX_KEPT: dict[str, Any] = {
    "jax_cpu_enable_async_dispatch": True,
    "jax_debug_log_modules": "",
    "jax_default_matmul_precision": None,
    "jax_logging_level": "NOTSET",
    "jax_mock_gpu_topology": None,
    "jax_persistent_cache_enable_xla_caches": "",
    "jax_persistent_cache_min_compile_time_secs": 1.0,
    "jax_persistent_cache_min_entry_size_bytes": 0,
    "jax_raise_persistent_cache_errors": False,
    "jax_remat3": True,
}

epoch_word = ctypes.c_int64()  # config.epoch, for native code


@record(frozen=False)
class Config:
    """Settings; each can be given by an environment variable `ARRAYLIB_` + its name in capitals."""

    backend: str = "cpu"  # "cpu": compiled code; "reference": the NumPy interpreter
    default_bits: int = 32  # width of Python numbers and of implicit conversions of NumPy data
    cache: bool = True  # keep compiled code on disk
    cache_dir: str = ""  # where; empty: ~/.cache/arraylib
    cache_bytes: int = 1 << 30  # evict the least recently used code above this
    cpu_threads: int = 0  # of the whole process; 0: what affinity and cgroups allow
    compile_threads: int = 0  # that generate code at one time; 0: as many as compute
    cpu_target: str = ""  # empty: this machine; else "avx2", "neon", "x86-64-v3", ...
    memory_limit: int = 0  # bytes of arrays; 0: what the machine and cgroups allow
    fold_bytes: int = 1 << 12  # constants larger than this are not folded at compile time
    verify_passes: bool = False  # check the graph after every pass
    native_calls: bool = True  # enter compiled functions without Python code, where possible
    debug_nans: bool = False  # raise NotFiniteError where the first nan comes from
    debug_infs: bool = False  # the same for infinities
    debug_key_reuse: bool = False  # raise KeyReuseError where a random key is used twice
    tracebacks: str = "user"  # of errors in jit and other transforms; "full": with our own lines
    log_compiles: bool = False  # tell Python's logging what is compiled, and why it had to be
    check_leaks: bool = False  # raise TraceError where a traced value is kept by the program
    index_mode: str = "clip"  # "raise": indices known at run time only are checked when they run
    numpy_functions: str = "arrays"  # what np.sin(x) gives; "numpy": NumPy's arrays, as with JAX
    prng_impl: str = "threefry2x32"  # the kind of random keys made; also "rbg", "unsafe_rbg"
    jit: bool = True  # False: jitted functions run operation by operation
    num_cpu_devices: int = 1  # devices of meshes; all compute in this process

    watchers: ClassVar[dict[str, list[Callable[[Any], None]]]] = {}  # told of new values
    epoch = 0  # no setting: counts the changes, so that whoever caches can see one cheaply
    placing = False  # no setting: whether results are told the shardings that follow from others'
    recording = False  # no setting: whether calls of jitted functions are timed

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _NAMES:
            raise AttributeError(f"config has no setting {name!r}; it has {', '.join(_NAMES)}")
        allowed = _CHOICES.get(name)
        if allowed and value not in allowed:
            raise ValueError(f"config.{name} is one of {allowed}, not {value!r}")
        if name in _FLAGS and value not in (True, False):
            raise ValueError(f"config.{name} is True or False, not {value!r}")
        if name in _COUNTS and (not isinstance(value, int) or value < 0):
            raise ValueError(f"config.{name} is a number from 0 on, not {value!r}")
        object.__setattr__(self, name, value)
        for tell in self.watchers.get(name, ()):
            tell(value)
        object.__setattr__(self, "epoch", self.epoch + 1)
        epoch_word.value = self.epoch

    def place(self, placing: bool = True) -> None:
        """From now on operations look after shardings: some array or program has one."""
        self._turn("placing", placing)

    def record(self, recording: bool) -> None:
        """From now on calls of jitted functions are timed, or no longer."""
        self._turn("recording", recording)

    def _turn(self, name: str, value: bool) -> None:
        if getattr(self, name) == value:
            return
        object.__setattr__(self, name, value)
        for tell in self.watchers.get(name, ()):
            tell(value)
        object.__setattr__(self, "epoch", self.epoch + 1)
        epoch_word.value = self.epoch

    def __getattr__(self, name: str) -> Any:
        """A setting by JAX's name for it; called for missing attributes only."""
        for settings in (_JAX_FIXED, _JAX_KEPT):
            if name in settings:
                return settings[name]
        if name not in _JAX_NAMES:
            raise AttributeError(f"config has no setting {name!r}; it has {', '.join(_NAMES)}")
        ours, values = _JAX_NAMES[name]
        value = getattr(self, ours)
        return {own: theirs for theirs, own in (values or {}).items()}.get(value, value)

    def update(self, name: str, value: Any) -> None:
        """Set one setting, by our name or by JAX's: `config.update("jax_enable_x64", True)`."""
        if name in _JAX_KEPT:
            _JAX_KEPT[name] = value
            return
        ours, values = _JAX_NAMES.get(name, (name, None))
        if name in _JAX_FIXED:
            values = {_JAX_FIXED[name]: None}
        if values is not None and value not in values:
            raise ValueError(f"{name} is one of {', '.join(map(repr, values))}, not {value!r}")
        if name not in _JAX_FIXED:
            setattr(self, ours, value if values is None else values[value])

    @contextlib.contextmanager
    def using(self, **settings: Any) -> Iterator[None]:
        """These settings for the length of a `with` block."""
        before = {name: getattr(self, name) for name in settings}
        try:
            for name, value in settings.items():
                setattr(self, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)

    @property
    def watched(self) -> tuple[str, ...]:
        """What programs are watched for: "nan", "inf"."""
        return ("nan",) * self.debug_nans + ("inf",) * self.debug_infs

    @property
    def observed(self) -> bool:
        """Whether each operation is to be seen by Python code: watched, or placed on devices."""
        return self.placing or bool(self.watched)

    def key(self) -> tuple[Any, ...]:
        """What compiled code depends on: part of every compile cache's key."""
        return tuple(self.key_parts().values())

    def key_parts(self) -> dict[str, Any]:
        """The same with the settings' names."""
        return {name: getattr(self, name)
                for name in ("backend", "cpu_threads", "cpu_target", "fold_bytes", "jit",
                             "debug_nans", "debug_infs", "debug_key_reuse", "index_mode",
                             "prng_impl")}


_NAMES = tuple(f.name for f in fields(Config))
_FLAGS = frozenset(f.name for f in fields(Config) if isinstance(f.default, bool))


def _from_environment() -> dict[str, Any]:
    """The settings that environment variables name, converted to the type of the default."""
    found: dict[str, Any] = {}
    for field in fields(Config):
        text = os.environ.get(f"ARRAYLIB_{field.name.upper()}")
        if text is None:
            continue
        kind = type(getattr(Config, field.name))
        try:
            truth = {"1": True, "true": True, "0": False, "false": False}
            found[field.name] = truth[text.lower()] if kind is bool else kind(text)
        except (KeyError, ValueError):
            raise ValueError(
                f"ARRAYLIB_{field.name.upper()}={text!r} is not a {kind.__name__}") from None
    return found


def flags_of_xla() -> str:
    """What programs written for JAX set for XLA, now: `as_jax` takes from it what means something.
    """
    return os.environ.get("XLA_FLAGS", "")


config = Config(**_from_environment())
