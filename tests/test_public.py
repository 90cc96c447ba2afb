"""What a program meets first: names at the top, what is an array, devices, completion."""

import tomllib
from functools import singledispatch
from pathlib import Path

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib.errors import ArgumentError

x = jnp.arange(3.0)


def test_traced_values_are_arrays():
    def kinds(x):
        return isinstance(x, arraylib.Array), isinstance(x, jnp.ndarray)

    seen = []
    for transform in (lambda f: f, arraylib.jit, arraylib.vmap, arraylib.grad):
        transform(lambda x: seen.append(kinds(x)) or x)(x[0] if transform is arraylib.grad else x)
    assert seen == [(True, True)] * 4
    assert kinds(np.ones(3)) == kinds(1.0) == (False, False)


def test_arrays_dispatch():
    @singledispatch
    def name(x):
        return "something"

    name.register(jnp.ndarray, lambda x: "array")
    assert (name(x), arraylib.jit(lambda x: name(x) == "array")(x)) == ("array", True)
    assert name(1.0) == "something"


def test_devices():
    (device,) = arraylib.devices()
    assert arraylib.local_devices() == arraylib.devices("cpu") == [device]
    assert (repr(device), str(device), device.platform) == ("CpuDevice(id=0)", "cpu:0", "cpu")
    assert x.device == device and x.devices() == {device}
    assert arraylib.device_count() == arraylib.local_device_count() == 1
    assert (arraylib.process_index(), arraylib.process_count()) == (0, 1)
    assert arraylib.default_backend() == "cpu" and device.device_kind == "cpu"
    assert arraylib.device_put(x, device) is x
    with pytest.raises(ArgumentError, match="no devices of the platform 'gpu'"):
        arraylib.devices("gpu")
    with pytest.raises(ArgumentError, match="'cpu' is not a device"):
        arraylib.device_put(x, "cpu")


def test_names_at_the_top():
    assert arraylib.jacobian(lambda x: x ** 2)(x).tolist() == np.diag([0, 2, 4]).tolist()
    assert str(arraylib.typeof(x)) == "f32[3]" and str(arraylib.typeof(1)) == "i32[]"
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert arraylib.__version__ == project["project"]["version"]


def test_shapes_and_dtypes_without_elements():
    shape = arraylib.ShapeDtypeStruct([2, 3], jnp.bfloat16)
    assert repr(shape) == "ShapeDtypeStruct(shape=(2, 3), dtype=bfloat16)"
    assert shape == arraylib.ShapeDtypeStruct((2, 3), "bfloat16") and shape.size == 6


def test_completion_offers_what_programs_use():
    names = dir(arraylib)
    assert {"jit", "grad", "numpy", "random", "lax", "Array"} <= set(names)
    assert not {"importlib", "ModuleType", "launch", "hlo", "array"} & set(names)
    for name in names:
        getattr(arraylib, name)
    names = dir(jnp)
    assert {"sum", "top_k", "fft", "linalg", "pi", "float32"} <= set(names)
    assert not {"math", "creation", "promotion", "ModuleType"} & set(names)


def test_modules_under_jax_names():
    jitted = arraylib.jit(lambda x: x + 1)
    assert isinstance(jitted, arraylib.stages.Wrapped)
    assert isinstance(jitted.lower(x), arraylib.stages.Lowered)
    assert isinstance(jitted.lower(x).compile(), arraylib.stages.Compiled)
    assert arraylib.custom_derivatives.custom_vjp is arraylib.custom_vjp
    seen = []
    arraylib.jit(lambda x: arraylib.debug.callback(seen.append, x))(1.0)
    arraylib.effects_barrier()
    assert [float(value) for value in seen] == [1.0]
    assert np.zeros((), arraylib.float0).dtype == arraylib.dtypes.float0
