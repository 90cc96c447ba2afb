"""Convolutions and folds of windows agree with JAX's, also batched and differentiated."""

import jax
import jax.lax as theirs
import numpy as np
import pytest
from agreement import BFLOAT16, assert_same, numbers

import arraylib.numpy as jnp
from arraylib import grad, jit, lax, vmap
from arraylib.errors import ArgumentError, DtypeError, ShapeError, StructureError

IMAGES, KERNEL = numbers((2, 4, 6, 5)), numbers((6, 4, 3, 2), seed=1)  # NCHW, OIHW
ROWS, TAPS = numbers((3, 9, 4)), numbers((3, 4, 2), seed=1)  # NWC, WIO
BY_ROW = {"dimension_numbers": ("NWC", "WIO", "NWC")}

CONVOLUTIONS = {
    "plain": (IMAGES, KERNEL, (1, 1), "VALID", {}),
    "same": (IMAGES, KERNEL, (2, 1), "SAME", {}),
    "same, lower": (IMAGES, KERNEL, (1, 2), "SAME_LOWER", {"rhs_dilation": (2, 1)}),
    "small letters": (IMAGES, KERNEL, (1, 1), "same", {}),
    "pairs": (IMAGES, KERNEL, (2, 1), [(1, 2), (-1, 3)], {"lhs_dilation": (1, 2)}),
    "rows": (ROWS, TAPS, (2,), "SAME", BY_ROW),
    "no axes to move along": (ROWS[0], TAPS[0].T.copy(), (), "VALID", {}),
    "letters": (numbers((4, 2, 6, 5)), numbers((3, 2, 4, 6)), (1, 1), "VALID",
                {"dimension_numbers": ("CNHW", "HWIO", "WCHN")}),
    "spatial axes exchanged": (
        IMAGES, KERNEL, (2, 1), "SAME", {"dimension_numbers": ("NCWH", "OIHW", "NHWC")}),
    "features in groups": (
        IMAGES, KERNEL[:, :2].copy(), (1, 1), "SAME", {"feature_group_count": 2}),
    "each feature": (ROWS, numbers((3, 1, 8)), (1,), "SAME", {**BY_ROW, "feature_group_count": 4}),
    "batches in groups": (IMAGES, KERNEL, (1, 1), "SAME", {"batch_group_count": 2}),
    "volume": (numbers((1, 2, 3, 4, 3)), numbers((2, 2, 2, 2, 2)), (1, 2, 1), "SAME", {})}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name):
    x, kernel, strides, padding, options = CONVOLUTIONS[name]
    mine = lax.conv_general_dilated(x, kernel, strides, padding, **options)
    expected = theirs.conv_general_dilated(x, kernel, strides, padding, **options)
    assert_same(mine, expected, 1e-5, 1e-5)


@pytest.mark.parametrize("name", ["same", "pairs", "letters", "features in groups",
                                  "batches in groups"])
def test_transforms_of_convolutions(name):
    x, kernel, strides, padding, options = CONVOLUTIONS[name]

    def loss(module, sin):
        return lambda x, w: (sin(module.conv_general_dilated(
            x, w, strides, padding, **options)) ** 2).sum()

    mine = jit(grad(loss(lax, jnp.sin), (0, 1)))(x, kernel)
    assert_same(mine, jax.grad(loss(theirs, jax.numpy.sin), (0, 1))(x, kernel), 1e-4, 1e-4)
    many = np.stack([kernel, -kernel, kernel * 2])
    for axes in ((None, 0), (0, None), (0, 0)):
        args = [np.stack([v] * 3) if a == 0 and v is x else many if a == 0 else v
                for v, a in zip((x, kernel), axes)]
        one = lambda x, w: lax.conv_general_dilated(x, w, strides, padding, **options)
        rows = [one(*(v if a is None else v[i] for v, a in zip(args, axes))) for i in range(3)]
        assert_same(vmap(one, axes)(*args), jnp.stack(rows), 1e-5, 1e-5)


@pytest.mark.parametrize("dtype", [BFLOAT16, np.float16, np.int32, np.complex64, np.int8])
def test_dtypes_of_convolutions(dtype):
    x, kernel = numbers((2, 3, 5), dtype), numbers((4, 3, 2), dtype, seed=1)
    wanted = {np.dtype(np.int8): np.int32, BFLOAT16: np.float32}.get(np.dtype(dtype))
    for preferred in {None, wanted}:
        mine = lax.conv_general_dilated(x, kernel, (1,), "SAME", preferred_element_type=preferred)
        assert_same(mine, theirs.conv_general_dilated(x, kernel, (1,), "SAME",
                                                      preferred_element_type=preferred), atol=1e-4)


def test_short_forms():
    assert_same(lax.conv(IMAGES, KERNEL, (1, 2), "SAME"),
                theirs.conv(IMAGES, KERNEL, (1, 2), "SAME"), 1e-5, 1e-5)
    settings = (1, 1), [(1, 0), (0, 2)], (2, 1), None
    assert_same(lax.conv_with_general_padding(IMAGES, KERNEL, *settings),
                theirs.conv_with_general_padding(IMAGES, KERNEL, *settings), 1e-5, 1e-5)


@pytest.mark.parametrize("padding", ["SAME", "VALID", [(2, 1), (0, 3)]])
@pytest.mark.parametrize("strides, options", [
    ((2, 3), {}), ((1, 4), {"transpose_kernel": True}), ((3, 1), {"rhs_dilation": (1, 2)}),
    ((2, 2), {"use_consistent_padding": True}),
    ((2, 1), {"dimension_numbers": ("NCHW", "OIHW", "NCHW"), "rhs_dilation": (2, 1)})])
def test_conv_transpose(padding, strides, options):
    x, kernel = numbers((2, 4, 5, 4)), numbers((3, 2, 4, 4), seed=1)
    if "dimension_numbers" in options:
        kernel = numbers((5, 4, 3, 2))
    mine = lax.conv_transpose(x, kernel, strides, padding, **options)
    assert_same(mine, theirs.conv_transpose(x, kernel, strides, padding, **options), 1e-5, 1e-5)


def test_conv_transpose_is_what_its_gradient_gives():
    x, kernel = numbers((1, 8, 8, 3)), numbers((3, 3, 3, 5), seed=1)
    numbers_ = ("NHWC", "HWIO", "NHWC")
    forward = lambda x: lax.conv_general_dilated(x, kernel, (2, 2), "SAME",
                                                 dimension_numbers=numbers_)
    y = forward(x)
    back = grad(lambda x: (forward(x) * y).sum())(jnp.asarray(x))
    assert_same(lax.conv_transpose(y, kernel, (2, 2), "SAME", transpose_kernel=True), back, 1e-5,
                1e-5)


@pytest.mark.parametrize("given", [None, ("NHWC", "HWIO", "NHWC"), ("NCWH", "HIWO", "CHNW"),
                                   theirs.ConvDimensionNumbers((0, 2, 1, 3), *[(3, 2, 0, 1)] * 2)])
def test_dimension_numbers(given):
    mine = given if given is None or isinstance(given[0], str) else lax.ConvDimensionNumbers(*given)
    found = lax.conv_dimension_numbers((1, 2, 3, 4), (5, 6, 7, 8), mine)
    assert found == theirs.conv_dimension_numbers((1, 2, 3, 4), (5, 6, 7, 8), given)
    assert lax.conv_dimension_numbers((1, 2, 3, 4), (5, 6, 7, 8), found) == found


@pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", "VALID"])
def test_padding(padding):
    args = (7, 8, 9, 2), (3, 2, 4, 5), (1, 2, 3, 1)
    assert lax.padtype_to_pads(*args, padding) == theirs.padtype_to_pads(*args, padding)


def convolve(x=IMAGES, kernel=KERNEL, strides=(1, 1), padding="SAME", **options):
    return lax.conv_general_dilated(x, kernel, strides, padding, **options)


@pytest.mark.parametrize("call, error, message", [
    (lambda: convolve(kernel=TAPS), ShapeError, "lhs has 4 axes and rhs 3"),
    (lambda: convolve(ROWS[0, 0], TAPS[0, 0]), ShapeError, "lhs has 1 axes and rhs 1"),
    (lambda: convolve(padding="SOME"), ArgumentError, r"padding = 'SOME'(.|\n)*try: 'SAME', "),
    (lambda: convolve(padding=[(1, 1)]), ShapeError, "padding has 1 pairs for 2 spatial axes"),
    (lambda: convolve(padding=[1, 1]), ArgumentError, r"padding = \[1, 1\]"),
    (lambda: convolve(lhs_dilation=(2, 1)), ArgumentError, r"padding = 'SAME' with lhs_dilation"),
    (lambda: convolve(strides=(1,)), ShapeError, "window_strides has 1 numbers for 2 spatial axes"),
    (lambda: convolve(strides=2), ArgumentError, "window_strides = 2\n(.|\n)*of the 2 spatial"),
    (lambda: convolve(strides=(0, 1)), ShapeError, r"window_strides = \(0, 1\) must be positive"),
    (lambda: convolve(dimension_numbers="NHWC"), ArgumentError, "dimension_numbers = 'NHWC'"),
    (lambda: convolve(dimension_numbers=("NHWC", "OIHW", "NHW")), ArgumentError,
     r"dimension_numbers\[2\] is 'NHW' for 4 axes"),
    (lambda: convolve(dimension_numbers=("NHWC", "OHWC", "NHWC")), ArgumentError,
     r"dimension_numbers\[1\] is 'OHWC'(.|\n)*try: a letter for each axis, .* O and I among them"),
    (lambda: convolve(dimension_numbers=("NXYC", "OIHW", "NHWC")), ArgumentError,
     "spatial axes of 'NXYC' are not those of 'OIHW'(.|\n)*try: name H, W in both"),
    (lambda: convolve(dimension_numbers=lax.ConvDimensionNumbers((0, 1, 2, 2), *[range(4)] * 2)),
     ShapeError, r"lhs_spec = \(0, 1, 2, 2\) does not name each of 4 axes once"),
    (lambda: convolve(kernel=KERNEL[:, :2]), ShapeError,
     "lhs has 4 features, but rhs takes 2(.|\n)*try: feature_group_count=2, or dimension_numbers"),
    (lambda: convolve(feature_group_count=3), ShapeError,
     "feature_group_count = 3 does not divide 4, the features of lhs"),
    (lambda: convolve(batch_group_count=4), ShapeError,
     "batch_group_count = 4 does not divide 2, the batch of lhs"),
    (lambda: convolve(feature_group_count=0), ShapeError, "feature_group_count = 0 does not"),
    (lambda: convolve(kernel=KERNEL.astype(np.int32)), DtypeError, "float32 but the kernel is int"),
    (lambda: convolve(preferred_element_type=np.float16), DtypeError, "a result of float16"),
    (lambda: lax.conv_transpose(IMAGES, KERNEL, (1, 1), "SAME_LOWER"), ArgumentError,
     "conv_transpose: padding = 'SAME_LOWER'"),
    (lambda: lax.padtype_to_pads((3,), (2,), (1,), "FULL"), ArgumentError, "padding = 'FULL'")])
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -- reduce_window ---------------------------------------------------------------------------------

FOLDS = {
    "max": ("max", -np.inf, (1, 2, 3, 1), (1, 2, 2, 1), "SAME", None, None),
    "min": ("min", np.inf, (1, 1, 2, 2), None, "VALID", None, (1, 1, 3, 1)),
    "sum": ("add", 0.0, (2, 1, 3, 1), (1, 1, 2, 1), [(0, 0), (1, 2), (2, 0), (0, 1)], (1, 2, 1, 1),
            None),
    "product": ("mul", 1.0, (1, 2, 1, 3), (1, 1, 1, 2), "SAME_LOWER", (1, 1, 1, 2), (1, 2, 1, 1)),
    "same, dilated": ("add", 0.0, (1, 1, 3, 2), (1, 1, 2, 1), "SAME", (1, 1, 2, 3), (1, 1, 1, 2))}


@pytest.mark.parametrize("name", FOLDS)
def test_reduce_window(name):
    operation, *settings = FOLDS[name]
    mine = lax.reduce_window(IMAGES, settings[0], getattr(lax, operation), *settings[1:])
    expected = theirs.reduce_window(IMAGES, settings[0], getattr(theirs, operation), *settings[1:])
    assert_same(mine, expected, 1e-5, 1e-5)


@pytest.mark.parametrize("name", ["max", "sum"])
def test_transforms_of_reduce_window(name):
    operation, start, *settings = FOLDS[name]

    def loss(module):
        return lambda x: (module.reduce_window(x, start, getattr(module, operation),
                                               *settings) ** 2).sum()

    assert_same(jit(grad(loss(lax)))(IMAGES), jax.grad(loss(theirs))(IMAGES), 1e-5, 1e-5)
    many = numbers((3, *IMAGES.shape))
    one = lambda x: lax.reduce_window(x, start, getattr(lax, operation), *settings)
    assert_same(vmap(one)(many), jnp.stack([one(x) for x in many]), 1e-5)


def test_reduce_window_of_containers():
    places = np.arange(IMAGES.size, dtype=np.int32).reshape(IMAGES.shape)

    def largest(jnp):
        def choose(old, new):
            first = old["x"] >= new["x"]
            return {name: jnp.where(first, old[name], new[name]) for name in old}
        return choose

    args = (1, 1, 2, 2), (1, 1, 2, 2)
    start = {"x": np.float32(-np.inf), "i": np.int32(-1)}
    mine = lax.reduce_window({"x": IMAGES, "i": places}, start, largest(jnp), *args)
    expected = theirs.reduce_window({"x": IMAGES, "i": places}, start, largest(jax.numpy), *args)
    assert_same([mine["x"], mine["i"]], [expected["x"], expected["i"]])


@pytest.mark.parametrize("dtype", [BFLOAT16, np.int32, np.float16])
def test_dtypes_of_reduce_window(dtype):
    x = numbers((5, 6), dtype)
    zero = np.zeros((), dtype)
    mine = lax.reduce_window(x, zero, lax.add, (2, 3), (1, 2), "SAME")
    assert_same(mine, theirs.reduce_window(x, zero, theirs.add, (2, 3), (1, 2), "SAME"))


@pytest.mark.parametrize("call, error, message", [
    (lambda: lax.reduce_window(ROWS, 0.0, lax.add, (2, 2)), ShapeError,
     "reduce_window: window_dimensions has 2 numbers for 3 axes"),
    (lambda: lax.reduce_window(ROWS, 0.0, lax.add, (1, 2, 2), padding="FULL"), ArgumentError,
     "reduce_window: padding = 'FULL'"),
    (lambda: lax.reduce_window(ROWS, (0.0,), lax.add, (1, 2, 2)), StructureError,
     "reduce_window: .*the operands"),
    (lambda: lax.reduce_window((ROWS, ROWS[0]), (0.0, 0.0), lambda a, b: a, (1, 2, 2)), ShapeError,
     r"reduce_window: operand 1 has shape \(9, 4\) but operand 0 has \(3, 9, 4\)")])
def test_mistakes_with_windows(call, error, message):
    with pytest.raises(error, match=message):
        call()
