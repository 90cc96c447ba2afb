"""Programs that leave sizes open become static once the types of the inputs are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from arraylib import hlo
from arraylib.errors import ShapeError, TraceError
from arraylib.hlo.ir import Type
from arraylib.hlo.ops.foreign import OtherType, foreign
from arraylib.hlo.passes.adopt import forms_for

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def exported(function, *shapes, dtypes=(), constraints=()):
    """The text that JAX gives for a function of arrays with these symbolic shapes."""
    scope = export.SymbolicScope(constraints)
    types = [jax.ShapeDtypeStruct(export.symbolic_shape(shape, scope=scope), dtype)
             for shape, dtype in zip(shapes, dtypes or [np.float32] * len(shapes))]
    return export.export(jax.jit(function))(*types).mlir_module()


def static(module, arrays):
    """The program for arrays of these shapes, which nothing foreign is left of."""
    core = hlo.legalize(module, forms_for(module.graph, arrays))
    hlo.verify(core)
    shown = hlo.text(core)
    assert "?" not in shown
    assert not any(node.op is foreign for node in core.graph.nodes)
    assert hlo.text(hlo.legalize(core)) == shown
    return core


def assert_gives(text, arrays, expected, rtol=1e-5, atol=1e-5):
    module = hlo.parse(text)
    found = hlo.evaluate(module, *arrays)
    again = hlo.evaluate(hlo.parse(hlo.text(static(module, arrays))), *arrays)
    for x, y, z in zip(found, expected, again, strict=True):
        assert x.shape == np.shape(y)
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)
        np.testing.assert_array_equal(x, z)


# -- what JAX exports ------------------------------------------------------------------------------

W, V = normal(4, 8), normal(8, 3)


def mlp(np_, x):
    return np_.tanh(x @ W) @ V


def attention(np_, q, k, v):
    scores = (q @ np_.swapaxes(k, 1, 2)) / np.float32(2)
    weights = np_.exp(scores - scores.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True)) @ v


def running(np_, x):
    """Sums and products so far, of rows."""
    if np_ is jnp:
        return lax.scan(lambda c, row: (c + row, c * row), jnp.zeros(4, x.dtype), x)
    before = np.cumsum(x, 0) - x
    return x.sum(0), before * x


@pytest.fixture(scope="module")
def programs():
    """Exported once, and used for several sizes."""
    return {
        "mlp": exported(lambda x: mlp(jnp, x), "b, 4"),
        "attention": exported(lambda *xs: attention(jnp, *xs), *["b, n, 4"] * 3),
        "running": exported(lambda x: running(jnp, x), "b, 4")}


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_a_network_for_any_batch(programs, batch):
    x = normal(batch, 4)
    assert_gives(programs["mlp"], [x], [mlp(np, x)])


@pytest.mark.parametrize("batch, length", [(1, 1), (2, 5), (4, 3)])
def test_attention_for_any_batch_and_length(programs, batch, length):
    xs = [normal(batch, length, 4) for _ in range(3)]
    assert_gives(programs["attention"], xs, [attention(np, *xs)])


@pytest.mark.parametrize("steps", [1, 2, 6])
def test_a_loop_over_any_number_of_rows(programs, steps):
    x = normal(steps, 4)
    assert_gives(programs["running"], [x], running(np, x))


def test_the_compiled_program_gives_the_same(programs):
    x = normal(5, 4)
    (found,) = hlo.evaluate(hlo.parse(programs["mlp"]), x, backend="cpu")
    np.testing.assert_allclose(found, mlp(np, x), rtol=1e-5, atol=1e-5)


def test_a_program_checks_the_sizes_it_is_given():
    module = hlo.parse(exported(lambda x: x[:2], "b, 4", constraints=["b >= 3"]), "program.mlir")
    with pytest.raises(ShapeError, match=r"(?s)b >= 3.*but found -1.*program.mlir:"):
        hlo.evaluate(module, normal(2, 4))
    with pytest.raises(ShapeError, match=r"has shape \(2, 5\)"):
        hlo.evaluate(module, normal(2, 5))


MORE = {
    "sizes as numbers": (lambda x: x / x.shape[0] + jnp.arange(x.shape[0])[:, None],
                         lambda x: x / len(x) + np.arange(len(x))[:, None]),
    "reshape": (lambda x: jnp.concatenate([x, x]).reshape(-1, 2),
                lambda x: np.concatenate([x, x]).reshape(-1, 2)),
    "slices": (lambda x: x[1:-1, ::2], lambda x: x[1:-1, ::2]),
    "a slice found at run time": (
        lambda x: lax.dynamic_slice(x, (jnp.abs(x[0, 0]).astype(int), 1), (x.shape[0] - 1, 2)),
        lambda x: x[min(int(abs(x[0, 0])), 1):][:len(x) - 1, 1:3]),
    "pad": (lambda x: jnp.pad(x, ((1, x.shape[0]), (0, 2))),
            lambda x: np.pad(x, ((1, len(x)), (0, 2)))),
    "gather": (lambda x: x[jnp.arange(x.shape[0])[::-1]], lambda x: x[::-1]),
    "scatter": (lambda x: x.at[0].add(x[-1]), lambda x: np.concatenate([x[:1] + x[-1], x[1:]])),
    "sort": (lambda x: jnp.sort(x, 0), lambda x: np.sort(x, 0)),
    "running sums": (lambda x: jnp.cumsum(x, 0), lambda x: np.cumsum(x, 0)),
    "argmax": (lambda x: jnp.argmax(x, 0), lambda x: np.argmax(x, 0)),
    "largest": (lambda x: lax.top_k(x.T, x.shape[0] - 1)[0],
                lambda x: -np.sort(-x.T, -1)[:, :-1]),
    "mean": (lambda x: x.mean(0), lambda x: x.mean(0)),
    "outer": (lambda x: x[:, None] * x[None], lambda x: x[:, None] * x[None]),
    "select": (lambda x: jnp.where(x > 0, x, 0), lambda x: np.maximum(x, 0)),
    "complex": (lambda x: lax.complex(x, x).imag, lambda x: x),
    "while": (lambda x: lax.while_loop(lambda c: c[0] < x.shape[0], lambda c: (c[0] + 1, c[1] + x),
                                       (0, x))[1], lambda x: (len(x) + 1) * x),
    "cond": (lambda x: lax.cond(x.sum() > 1e9, lambda: x, lambda: -x), lambda x: -x),
    "gradient": (jax.grad(lambda x: (jnp.tanh(x) ** 2).sum() * x.shape[0]),
                 lambda x: 2 * len(x) * np.tanh(x) * (1 - np.tanh(x) ** 2))}


@pytest.mark.parametrize("name", MORE)
def test_what_else_has_open_sizes(name):
    theirs, expected = MORE[name]
    x = normal(6, 4)
    assert_gives(exported(theirs, "b, 4", constraints=["b >= 3"]), [x], [expected(x)], rtol=1e-4)


def test_a_convolution_of_any_size():
    text = exported(lambda x, k: lax.conv_general_dilated(x, k, (2, 1), "SAME"), "b, 2, h, w",
                    "3, 2, 3, 3")
    x, k = normal(2, 2, 5, 4), normal(3, 2, 3, 3)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2]
    assert_gives(text, [x, k], [np.einsum("bihwkl,oikl->bohw", windows, k)])


def test_random_bits_of_any_number():
    text = exported(lambda key, x: jax.random.bits(jax.random.wrap_key_data(key), x.shape), "2",
                    "n", dtypes=[np.uint32, np.float32])
    key = np.array([1, 2], np.uint32)
    expected = jax.random.bits(jax.random.wrap_key_data(key), (6,))
    assert_gives(text, [key, normal(6)], [expected])


def test_operations_under_their_own_names():
    x = rng.uniform(-0.9, 0.9, 5).astype(np.float32)
    assert_gives(exported(lambda x: lax.asin(lax.erf(x) / 2), "n"), [x],
                 [np.asarray(lax.asin(lax.erf(x) / 2))])


# -- operations whose sizes are operands -----------------------------------------------------------


def program(line, types, result):
    arguments = ", ".join(f"%a{i}: {t}" for i, t in enumerate(types))
    return (f"func.func @main({arguments}) -> {result} {{\n  {line}\n  return %r : {result}\n}}")


X = normal(3, 4)
SIZES = {
    "iota": (
        '%r = stablehlo.dynamic_iota %a0, dim = 1 : (tensor<2xi64>) -> tensor<?x?xi32>',
        "tensor<?x?xi32>", [np.array([2, 3])], np.tile(np.arange(3), (2, 1))),
    "broadcast_in_dim": (
        "%r = stablehlo.dynamic_broadcast_in_dim %a0, %a1, dims = [1, 2] : "
        "(tensor<?x4xf32>, tensor<3xi32>) -> tensor<?x?x4xf32>",
        "tensor<?x?x4xf32>", [X, np.array([2, 3, 4], np.int32)], np.tile(X, (2, 1, 1))),
    "reshape": (
        "%r = stablehlo.dynamic_reshape %a0, %a1 : (tensor<?x4xf32>, tensor<2xi64>) -> "
        "tensor<?x?xf32>", "tensor<?x?xf32>", [X, np.array([6, 2])], X.reshape(6, 2)),
    "pad": (
        "%v = stablehlo.constant dense<0.0> : tensor<f32>\n"
        "%r = stablehlo.dynamic_pad %a0, %v, %a1, %a1, %a2 : (tensor<?x4xf32>, tensor<f32>, "
        "tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x?xf32>", "tensor<?x?xf32>",
        [X, np.array([1, 0]), np.array([0, 0])], np.pad(X, ((1, 1), (0, 0)))),
    "slice": (
        "%r = stablehlo.real_dynamic_slice %a0, %a1, %a2, %a3 : (tensor<?x4xf32>, tensor<2xi64>, "
        "tensor<2xi64>, tensor<2xi64>) -> tensor<?x?xf32>", "tensor<?x?xf32>",
        [X, np.array([1, 0]), np.array([3, 4]), np.array([1, 2])], X[1:3, ::2]),
    "gather": (
        '%r = "stablehlo.dynamic_gather"(%a0, %a1, %a2) {dimension_numbers = #stablehlo.gather<'
        "offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], "
        "index_vector_dim = 1>, indices_are_sorted = false} : (tensor<?x4xf32>, tensor<2xi32>, "
        "tensor<2xi64>) -> tensor<2x?xf32>", "tensor<2x?xf32>",
        [X, np.array([2, 0], np.int32), np.array([1, 4])], X[[2, 0]]),
    "conv": (
        '%r = "stablehlo.dynamic_conv"(%a0, %a1, %a2) {dimension_numbers = #stablehlo.conv<'
        "[b, 0, f]x[0, i, o]->[b, 0, f]>, batch_group_count = 1 : i64, feature_group_count = 1 : "
        "i64} : (tensor<1x?x1xf32>, tensor<2x1x1xf32>, tensor<1x2xi64>) -> tensor<1x?x1xf32>",
        "tensor<1x?x1xf32>", [X.reshape(1, -1, 1), np.ones((2, 1, 1), np.float32),
                              np.array([[1, 0]])],
        (X.ravel() + np.concatenate([[0], X.ravel()[:-1]])).reshape(1, -1, 1)),
    "shape_of": (
        '%s = "shape.shape_of"(%a0) : (tensor<?x4xf32>) -> tensor<2xindex>\n'
        '%r = "arith.index_cast"(%s) : (tensor<2xindex>) -> tensor<2xi32>', "tensor<2xi32>", [X],
        [3, 4]),
    "dimension_size": (
        "%r = stablehlo.get_dimension_size %a0, dim = 1 : (tensor<3x?xf32>) -> tensor<i32>",
        "tensor<i32>", [X], 4),
    "set_dimension_size": (
        "%s = stablehlo.get_dimension_size %a0, dim = 0 : (tensor<?x4xf32>) -> tensor<i32>\n"
        "%r = stablehlo.set_dimension_size %a0, %s, dim = 0 : (tensor<?x4xf32>, tensor<i32>) -> "
        "tensor<?x4xf32>", "tensor<?x4xf32>", [X], X)}
TYPES = {"iota": ["tensor<2xi64>"], "broadcast_in_dim": ["tensor<?x4xf32>", "tensor<3xi32>"],
         "reshape": ["tensor<?x4xf32>", "tensor<2xi64>"],
         "pad": ["tensor<?x4xf32>", "tensor<2xi64>", "tensor<2xi64>"],
         "slice": ["tensor<?x4xf32>", *["tensor<2xi64>"] * 3],
         "gather": ["tensor<?x4xf32>", "tensor<2xi32>", "tensor<2xi64>"],
         "conv": ["tensor<1x?x1xf32>", "tensor<2x1x1xf32>", "tensor<1x2xi64>"],
         "dimension_size": ["tensor<3x?xf32>"]}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_that_are_operands(name):
    line, result, arrays, expected = SIZES[name]
    assert_gives(program(line, TYPES.get(name, ["tensor<?x4xf32>"]), result), arrays, [expected])


def test_sizes_that_only_the_running_program_finds():
    line, result, arrays, _ = SIZES["reshape"]
    module = hlo.parse(program(line, TYPES["reshape"], result), "program.mlir")
    with pytest.raises(TraceError, match="(?s)stablehlo.dynamic_reshape: operand 1.*only when the "
                       "program runs.*program.mlir:2.*try: compute sizes from constants"):
        hlo.legalize(module, [Type(x.dtype, x.shape) for x in arrays])


def test_a_slice_of_a_size_that_is_stated_may_start_anywhere():
    line = ("%r = stablehlo.real_dynamic_slice %a0, %a1, %l, %s : (tensor<5x4xf32>, tensor<2xi32>, "
            "tensor<2xi32>, tensor<2xi32>) -> tensor<2x2xf32>")
    line = ("%s = stablehlo.constant dense<[1, 2]> : tensor<2xi32>\n"
            "%d = stablehlo.constant dense<[2, 3]> : tensor<2xi32>\n"
            f"%l = stablehlo.add %a1, %d : tensor<2xi32>\n{line}")
    text = program(line, ["tensor<5x4xf32>", "tensor<2xi32>"], "tensor<2x2xf32>")
    x = normal(5, 4)
    assert_gives(text, [x, np.array([2, 1], np.int32)], [x[2:4, 1::2]])


LOOP = """func.func @main(%n: tensor<i32>, %x: tensor<?xf32>) -> tensor<?xf32> {
  %c = stablehlo.constant dense<0> : tensor<i32>
  %one = stablehlo.constant dense<1> : tensor<i32>
  %0:3 = stablehlo.while(%i = %c, %m = %n, %y = %x) : tensor<i32>, tensor<i32>, tensor<?xf32>
  cond {
    %1 = stablehlo.compare LT, %i, %m, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %1 : tensor<i1>
  } do {
    %1 = stablehlo.reshape %m : (tensor<i32>) -> tensor<1xi32>
    %f = stablehlo.constant dense<2.0> : tensor<f32>
    %2 = stablehlo.dynamic_broadcast_in_dim %f, %1, dims = [] :
        (tensor<f32>, tensor<1xi32>) -> tensor<?xf32>
    %3 = stablehlo.multiply %y, %2 : tensor<?xf32>
    %4 = stablehlo.add %i, %one : tensor<i32>
    stablehlo.return %4, %m, %3 : tensor<i32>, tensor<i32>, tensor<?xf32>
  }
  return %0#2 : tensor<?xf32>
}"""


def test_a_size_that_a_loop_carries_unchanged_stays_known():
    x = normal(3)
    assert_gives(LOOP, [np.int32(3), x], [8 * x])


def test_a_carry_that_changes_its_size():
    text = LOOP.replace("%3 = stablehlo.multiply %y, %2 : tensor<?xf32>",
                        "%3 = stablehlo.concatenate %y, %2, dim = 0 : "
                        "(tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>")
    with pytest.raises(ShapeError, match=r"(?s)part 2 of the carry, gives \[f32\[6\]\], not "
                       r"\[f32\[3\]\].*program.mlir:4"):
        hlo.evaluate(hlo.parse(text, "program.mlir"), np.int32(3), normal(3))


def test_regions_that_see_arrays_of_open_sizes():
    text = """func.func @main(%i: tensor<i32>, %x: tensor<?xf32>) -> tensor<f32> {
      %z = stablehlo.constant dense<0.0> : tensor<f32>
      %0 = "stablehlo.case"(%i) ({
        %1 = stablehlo.reduce(%x init: %z) applies stablehlo.add across dimensions = [0] :
            (tensor<?xf32>, tensor<f32>) -> tensor<f32>
        stablehlo.return %1 : tensor<f32>
      }, {
        stablehlo.return %z : tensor<f32>
      }) : (tensor<i32>) -> tensor<f32>
      return %0 : tensor<f32>
    }"""
    x = normal(4)
    for i in range(2):
        module = hlo.parse(text)
        (found,) = hlo.evaluate(module, np.int32(i), x)
        np.testing.assert_allclose(found, 0 if i else x.sum(), rtol=1e-5)
        core = hlo.legalize(module, [Type(np.int32, ()), Type(np.float32, (4,))])
        (found,) = hlo.evaluate(hlo.parse(hlo.text(core)), np.int32(i), x)
        np.testing.assert_allclose(found, 0 if i else x.sum(), rtol=1e-5)


def test_the_types_of_the_inputs_are_needed_and_must_fit():
    module = hlo.parse(program("%r = stablehlo.negate %a0 : tensor<?x4xf32>", ["tensor<?x4xf32>"],
                               "tensor<?x4xf32>"))
    assert isinstance(module.graph.input_types[0], OtherType)
    with pytest.raises(ShapeError, match=r"(?s)leaves sizes open.*legalize\(module, types\)"):
        hlo.legalize(module)
    with pytest.raises(ShapeError, match=r"input 0 is tensor<\?x4xf32>, not f32\[3,5\]"):
        hlo.legalize(module, [Type(np.float32, (3, 5))])
    with pytest.raises(ShapeError, match="2 types for 1 arrays"):
        hlo.legalize(module, [Type(np.float32, (3, 4))] * 2)
    assert hlo.legalize(module, [Type(np.float32, (3, 4))]).graph.output_types == (
        Type(np.float32, (3, 4)),)


def test_results_that_do_not_fit_what_the_program_states():
    text = program("%r = stablehlo.concatenate %a0, %a0, dim = 0 : (tensor<?xf32>, tensor<?xf32>) "
                   "-> tensor<4xf32>", ["tensor<?xf32>"], "tensor<4xf32>")
    module = hlo.parse(text, "program.mlir")
    (found,) = hlo.evaluate(module, normal(2))
    assert found.shape == (4,)
    with pytest.raises(ShapeError, match=r"(?s)gives f32\[6\], not f32\[4\].*program.mlir:2"):
        hlo.evaluate(module, normal(3))


def test_what_sizes_are_computed_with_is_gone():
    module = hlo.parse(LOOP.replace("tensor<i32>, %x", "tensor<i32>, %x"))
    core = static(module, [np.array(3, np.int32), normal(3)])
    assert "reshape" not in hlo.text(core)
    assert "dynamic" not in hlo.text(core)
