"""Programs as files: what is written comes back the same, JAX's too, and XLA runs what we write."""

import io
import itertools
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.export
import jax_programs
import numpy as np
import pytest
import xla
from round_trip import again, close, equal

import arraylib
import arraylib.numpy as jnp
from arraylib import ShapeDtypeStruct, debug, export, hlo, lax, nn, random, tree
from arraylib.ad_checkpoint import checkpoint_name
from arraylib.errors import (
    ArgumentError,
    DtypeError,
    ShapeError,
    StructureError,
    TraceError,
)
from arraylib.hlo.ops.loop import scan

KEY = random.key(0)
X = random.normal(KEY, (4, 6))
W = random.normal(random.key(1), (6, 6)) / 3


# -- our programs, here and compiled by XLA --------------------------------------------------------


def mlp(params, x, y):
    def loss(params):
        h = x
        for layer in params["layers"]:
            h = jnp.tanh(h @ layer["w"] + layer["b"])
        return ((h - y) ** 2).mean()
    value, slopes = arraylib.value_and_grad(loss)(params)
    return value, tree.map(lambda p, g: p - 0.1 * g, params, slopes)


def layers(*sizes):
    return [{"w": random.normal(random.key(i), (m, n)) / m, "b": jnp.zeros(n)}
            for i, (m, n) in enumerate(itertools.pairwise(sizes))]


def block(params, x):
    """A layer of a GPT: attention with a mask, then a perceptron; and all derivatives."""
    def norm(x):
        return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)

    def apply(params, x):
        q, k, v = jnp.einsum("btd,dshk->sbhtk", norm(x), params["qkv"])
        scores = jnp.einsum("bhqk,bhtk->bhqt", q, k) / 2
        past = jnp.tril(jnp.ones(scores.shape[-2:], bool))
        shares = nn.softmax(jnp.where(past, scores, -jnp.inf), axis=-1)
        x = x + jnp.einsum("bhqk,hkd->bqd", shares @ v, params["out"])
        return (x + nn.gelu(norm(x) @ params["up"]) @ params["up"].T).var()
    return arraylib.value_and_grad(apply)(params, x)


BLOCK = {"qkv": random.normal(KEY, (8, 3, 2, 4)), "out": random.normal(KEY, (2, 4, 8)),
         "up": random.normal(KEY, (8, 16))}


def rnn(w, xs):
    def step(h, x):
        h = jnp.tanh(w @ h + x)
        return h, h.sum()
    last, sums = lax.scan(step, jnp.zeros(6), xs)
    return last.sum() + lax.scan(step, last, xs, reverse=True)[1] @ sums


def sampled(key):
    first, second = random.split(key)
    return {"bits": random.bits(first, (7,)), "normal": random.normal(first, (5,)),
            "uniform": random.uniform(second, (3,)), "order": random.permutation(second, 6),
            "gamma": random.gamma(first, 2.0, (3,)), "key": second}


def ordered(x):
    return [jnp.sort(x), jnp.argsort(x), lax.top_k(x, 3), jnp.argmax(x, 1), jnp.cumsum(x, 0),
            jnp.median(x)]


def until(x, n):
    return lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, jnp.sin(c[1])), (0, x))


def factors(a, b):
    symmetric = a @ a.swapaxes(1, 2) + jnp.eye(4)
    return (jnp.linalg.solve(a, b), jnp.linalg.cholesky(symmetric), jnp.linalg.eigvalsh(symmetric),
            abs(jnp.linalg.qr(a)[1]), jnp.linalg.slogdet(a)[1], jnp.linalg.svd(a)[1])


MATRIX = jnp.asarray(random.normal(KEY, (3, 4, 4)))

PROGRAMS = {
    "train_step": (mlp, ({"layers": layers(6, 8, 2)}, X, jnp.ones((4, 2)))),
    "block": (block, (BLOCK, random.normal(KEY, (2, 5, 8)))),
    "rnn": (arraylib.value_and_grad(rnn), (W, X)),
    "sampled": (sampled, (KEY,)),
    "ordered": (ordered, (X,)),
    "until": (until, (X, jnp.asarray(5))),
    "branches": (lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x), (X,)),
    "checkpoint": (arraylib.grad(lambda x: arraylib.checkpoint(jnp.sin)(x).sum()), (X,)),
    "64 bits": (lambda x: (x.astype("float64").sum(0), x.astype("int64")), (X,)),
    "nothing": (lambda: (), ()),
    "factors": (factors, (MATRIX, MATRIX[:, :, :2])),
    "solve, grad": (arraylib.grad(lambda a, b: jnp.linalg.solve(a, b).sum(), (0, 1)),
                    (MATRIX, MATRIX[:, :, :2])),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_comes_back_the_same_and_xla_computes_the_same(name):
    function, args = PROGRAMS[name]
    wanted = arraylib.jit(function)(*args)
    exported = export.export(function)(*args)
    loaded = again(exported)
    assert loaded.module == exported.module and loaded.serialize() == exported.serialize()
    for field in ("fun_name", "in_tree", "out_tree", "in_avals", "out_avals", "platforms",
                  "version", "nr_devices", "argument_names"):
        assert getattr(loaded, field) == getattr(exported, field)
    # Running sums are written as windows, which are added up in another order.
    (close if name == "ordered" else equal)(loaded.call(*args), wanted)
    close(xla.run(exported.module, tree.leaves(args)), wanted)


def test_bits_of_random_numbers_are_those_of_xla():
    exported = export.export(lambda key: random.bits(key, (9,)))(KEY)
    found = xla.run(exported.module, [KEY])[0]
    np.testing.assert_array_equal(found, np.asarray(random.bits(KEY, (9,))))


def test_the_text_is_what_mlir_prints():
    exported = export.export(mlp)(*PROGRAMS["train_step"][1])
    assert exported.mlir_module().split() == xla.reprint(exported.mlir_module()).split()


def test_what_it_says_of_itself():
    f = arraylib.jit(lambda params, n, x: params["w"] @ x * n, static_argnums=1)
    f.__name__ = "apply"
    exported = export.export(f)({"w": W}, 3, ShapeDtypeStruct((6,), jnp.float32))
    assert repr(exported) == ("<exported <lambda>(params['w']: f32[6,6], x: f32[6]) -> f32[6]>")
    assert exported.in_avals[1] == ShapeDtypeStruct((6,), jnp.float32) == exported.out_avals[0]
    assert exported.in_tree is tree.structure((({"w": 0}, 0), {}))
    assert (exported.platforms, exported.nr_devices) == (("cpu",), 1)
    assert exported.version == arraylib.__version__
    close(exported.call({"w": W}, X[0]), W @ X[0] * 3)  # without the static argument
    assert isinstance(exported.module, hlo.Module)
    assert repr(export.export(lambda: None)()) == "<exported <lambda>() -> nothing>"


# -- transforms ------------------------------------------------------------------------------------


def test_a_loaded_program_is_a_function_like_others():
    loaded = again(export.export(rnn)(W, X))
    close(arraylib.jit(loaded.call)(W, X), rnn(W, X))
    close(arraylib.grad(loaded.call, (0, 1))(W, X), arraylib.grad(rnn, (0, 1))(W, X))
    close(arraylib.jvp(loaded.call, (W, X), (W, X)), arraylib.jvp(rnn, (W, X), (W, X)))
    batch = jnp.stack([X, 2 * X, -X])
    close(arraylib.vmap(loaded.call, (None, 0))(W, batch), arraylib.vmap(rnn, (None, 0))(W, batch))
    close(arraylib.jit(arraylib.hessian(lambda x: loaded.call(W, x)))(X),
          arraylib.hessian(lambda x: rnn(W, x))(X), 1e-4)
    with arraylib.disable_jit():
        close(loaded.call(W, X), rnn(W, X))


def test_loops_of_known_length_are_scans_again():
    loaded = again(export.export(rnn)(W, X))
    (call,) = arraylib.make_graph(loaded.call)(W, X).graph.nodes
    assert [node.op for node in call.attrs["body"].nodes].count(scan) == 2
    assert "stablehlo.while" in loaded.mlir_module() and "scan" not in loaded.mlir_module()


def test_what_only_derivatives_look_at_is_kept():
    def f(x):
        keep = arraylib.checkpoint_policies.save_only_these_names("sine")
        y = arraylib.checkpoint(lambda x: checkpoint_name(jnp.sin(x), "sine") ** 2, policy=keep)(x)
        return (lax.stop_gradient(x) * x).sum() + y.sum()
    loaded = again(export.export(f)(X))
    close(arraylib.grad(loaded.call)(X), arraylib.grad(f)(X))
    (call,) = arraylib.make_graph(loaded.call)(X).graph.nodes
    nodes = {node.op.name: node.attrs for node in call.attrs["body"].nodes}
    assert "stop_gradient" in nodes and nodes["checkpoint"]["saved"] == 1
    inside = {node.op.name: node.attrs for node in nodes["checkpoint"]["body"].nodes}
    assert inside["named"] == {"name": "sine"}


def test_the_program_of_derivatives():
    def f(params, i, *, scale):
        return {"y": (params["w"] * scale)[i].sum()}
    exported = again(export.export(f)({"w": X}, jnp.asarray(1), scale=jnp.asarray(3.0)))
    backward = again(exported.vjp())
    assert backward.fun_name == "f_vjp"
    slope, index = backward.call({"w": X}, 1, {"y": 1.0}, scale=3.0)
    np.testing.assert_array_equal(slope["w"], np.eye(4, dtype=np.float32)[1][:, None] * [[3] * 6])
    assert index.shape == ()


def test_programs_within_programs():
    inner = again(export.export(lambda x: jnp.sin(x))(X))
    outer = again(export.export(lambda x: inner.call(inner.call(x)).sum())(X))
    assert outer.mlir_module().count("stablehlo.sine") == 1  # a function that is called twice
    close(arraylib.grad(outer.call)(X), arraylib.grad(lambda x: jnp.sin(jnp.sin(x)).sum())(X))


# -- arguments -------------------------------------------------------------------------------------


def test_numbers_take_the_dtype_of_the_argument():
    exported = export.export(lambda a, b: (a, b))(
        ShapeDtypeStruct((), jnp.bfloat16), ShapeDtypeStruct((), "int64"))
    a, b = exported.call(1, 2)
    assert (a.dtype, b.dtype) == (jnp.bfloat16, np.int64)
    assert exported.call(True, 1 << 40)[1] == 1 << 40
    with pytest.raises(OverflowError):
        exported.call(1, 1 << 64)
    with pytest.raises(DtypeError, match=r"argument b is f32\[\], but .* for i64\[\]"):
        exported.call(1, 1.5)


def test_numpy_data_of_64_bits_keep_them():
    exported = export.export(lambda x: x + 1)(ShapeDtypeStruct((2,), "float64"))
    x = np.array([1.0, 1e-12])
    assert exported.call(x)[1] == 1 + 1e-12
    assert arraylib.jit(lambda: exported.call(x))().dtype == np.float64
    narrow = export.export(lambda x: x + 1)(ShapeDtypeStruct((2,), "float32"))
    assert narrow.call(x).dtype == np.float32  # as everywhere
    with pytest.raises(DtypeError, match=r"argument x is i32\[2\], but .* for f32\[2\]"):
        narrow.call(np.array([1, 2]))


def test_mistakes_name_the_argument():
    exported = again(export.export(lambda params, x, *, scale: (params["w"] @ x).sum() * scale)(
        {"w": W, "b": [None, X]}, X[0], scale=2.0))
    params = {"w": W, "b": [None, X]}
    with pytest.raises(ShapeError, match=r"argument params\['w'\] is f32\[4,6\], but the program "
                       r"was exported for f32\[6,6\]"):
        exported.call({"w": X, "b": [None, X]}, X[0], scale=1.0)
    with pytest.raises(DtypeError, match=r"argument x is i32\[6\].*\n.*\n.*astype\('float32'\)"):
        exported.call(params, jnp.arange(6), scale=1.0)
    with pytest.raises(StructureError, match=r"at \['b'\], the one given lacks \[1\], which the "
                       "exported argument 0 has"):
        exported.call({"w": W, "b": [X]}, X[0], scale=1.0)
    with pytest.raises(StructureError, match="the exported argument scale"):
        exported.call(params, X[0], scale=[1.0])
    with pytest.raises(ArgumentError, match=r"2 positional, scale=; called with 1 positional, "
                       "scale=, x="):
        exported.call(params, scale=1.0, x=X[0])
    with pytest.raises(ArgumentError, match="argument 1 is a str"):
        exported.call(params, "x", scale=1.0)


def test_donated_arguments_are_marked():
    f = arraylib.jit(lambda state, x, more: (x.sum() + state, more[0]),
                     donate_argnames=("state", "more"))
    exported = export.export(f)(X[0], X, X)
    state, x, more = [dict(notes) for notes in exported.module.entry.arguments]
    assert state.keys() == {"arraylib.name", "tf.aliasing_output"} and x.keys() == {"arraylib.name"}
    assert more["jax.buffer_donor"] is True
    assert "tf.aliasing_output = 0 : i32" in exported.mlir_module()
    copies = [jnp.asarray(np.array(x)) for x in (X[0], X, X)]
    close(xla.run(exported.module, copies), f(*copies))


def test_symbolic_sizes_wait_for_the_call():
    (n,) = jax.export.symbolic_shape("n")
    text = str(jax.export.export(jax.jit(lambda w, x: jax.numpy.tanh(x @ w).sum(1) / x.shape[0]))(
        jax.ShapeDtypeStruct((6, 6), "float32"),
        jax.ShapeDtypeStruct((n, 6), "float32")).mlir_module())
    loaded = export.deserialize(text)
    assert repr(loaded).endswith("(0: f32[6,6], 1: f32[?,6]) -> f32[?]>")
    slope = arraylib.jit(arraylib.grad(lambda w, x: loaded.call(w, x)[0].sum()))
    for x in (X, X[:1]):
        close(loaded.call(W, x), [jnp.tanh(x @ W).sum(1) / len(x)])
        close(slope(W, x), arraylib.grad(lambda w, x: jnp.tanh(x @ w).sum() / len(x))(W, x))
    with pytest.raises(ShapeError, match=r"argument 1 is f32\[6\], but .* for f32\[\?,6\]"):
        loaded.call(W, X[0])
    with pytest.raises(ShapeError, match="leaves sizes open"):
        loaded.vjp()


# -- constants -------------------------------------------------------------------------------------


def test_arrays_that_a_function_closes_over_are_in_the_file():
    big = random.normal(KEY, (512, 512))
    special = jnp.asarray(np.array([np.nan, -0.0, np.inf, 1e-45, 3], np.float32))
    inner = arraylib.jit(lambda x: (x @ big, special * 1))
    loaded = again(export.export(inner)(jnp.ones(512)))
    found, exact = loaded.call(jnp.ones(512))
    close(found, jnp.ones(512) @ big)
    assert np.asarray(exact).tobytes() == np.asarray(special).tobytes()
    (node,) = arraylib.make_graph(loaded.call)(jnp.ones(512)).graph.nodes
    assert [v.type.shape for v in node.inputs] == [(512,), (512, 512)]  # it is no constant there


def test_large_files_are_read_in_little_memory(tmp_path):
    """A constant of 20 MB, in a process that takes less than 400."""
    weights = np.random.default_rng(0).normal(size=(2500, 2000)).astype(np.float32)
    big = jnp.asarray(weights)
    export.export(lambda x: x @ big)(jnp.ones(2500)).save(tmp_path / "big.mlir")
    source = ("import re, sys; from arraylib import export; import arraylib.numpy as jnp\n"
              "print(float(export.load(sys.argv[1]).call(jnp.ones(2500)).sum()))\n"
              "print(re.search(r'VmHWM:\\s*(\\d+) kB', open('/proc/self/status').read())[1])")
    done = subprocess.run([sys.executable, "-c", source, tmp_path / "big.mlir"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    result, kilobytes = map(float, done.stdout.split())
    assert result == pytest.approx(weights.sum(), rel=1e-3)
    assert kilobytes < 400_000


# -- files -----------------------------------------------------------------------------------------


def test_files(tmp_path, monkeypatch):
    exported = export.export(mlp)(*PROGRAMS["train_step"][1])
    path = tmp_path / "step.mlir"
    exported.save(path)
    assert path.read_bytes() == exported.serialize() and [*tmp_path.iterdir()] == [path]
    with open(path, "rb") as binary, open(path) as text:
        for source in (path, str(path), binary, text, io.StringIO(exported.mlir_module())):
            assert export.load(source).module == exported.module
    with pytest.raises(FileNotFoundError):
        export.load(tmp_path / "none.mlir")

    def fails(*args):
        raise OSError("disk full")
    monkeypatch.setattr("os.replace", fails)
    with pytest.raises(OSError, match="disk full"):
        export.export(jnp.sin)(X).save(path)
    assert path.read_bytes() == exported.serialize() and [*tmp_path.iterdir()] == [path]


def small():
    return export.export(lambda x: {"y": jnp.sin(x)})(X).mlir_module()


@pytest.mark.parametrize("change, problem", [
    (lambda t: t[:len(t) // 2], r"f\.mlir:\d+:\d+: "),
    (lambda t: t.replace("stablehlo.sine", "other.nine"), None),
    (lambda t: t.replace("stablehlo.sine", "stablehlo.nine"), "there is no operation"),
    (lambda t: t.replace("return %0 : tensor<4x6", "return %0 : tensor<4x7"), r"f\.mlir:4:\d+: "),
    (lambda t: t.replace(r"[\22y\22", r"[\22y\22,1"), r"f\.mlir:1:\d+: arraylib.out_tree "),
    (lambda t: t.replace(r"\22*\22", r"{\22list\22:[]}"), "in_tree has 0 leaves for 1 arrays"),
    (lambda t: t.replace(r"{\22dict\22:[]}", r"\22*\22"), "arraylib.in_tree has 2 leaves"),
    (lambda t: t.replace(r"{\22dict\22:[]}", r"null"), "is not that of a tuple of positional"),
    (lambda t: t.replace("arraylib.out_tree", "arraylib.tree"), "out_tree is missing"),
    (lambda t: t.replace(r"\22dict\22:[[\22y", r"\22function\22:[[\22y"), "no kind of container"),
    (lambda t: "\x00\x01" + t, r"f\.mlir:1:1: "),
], ids=itertools.count())
def test_files_that_are_broken(change, problem):
    text = change(small())
    if problem is None:  # an operation that nobody knows can still be printed, but not called
        loaded = export.deserialize(text, "f.mlir")
        with pytest.raises(TraceError, match="other.nine"):
            loaded.call(X)
        return
    with pytest.raises(hlo.ParseError, match=problem):
        export.deserialize(text, "f.mlir")


def test_bytes_that_are_no_text():
    with pytest.raises(hlo.ParseError, match=r"f\.mlir:1:3: byte 0xFF is not UTF-8"):
        export.deserialize(b"ab\xff", "f.mlir")
    with pytest.raises(ArgumentError, match=r"f\.mlir is MLIR bytecode"):
        export.deserialize(b"ML\xefR\x01", "f.mlir")


def test_formats_of_the_future_are_refused():
    text = small().replace("arraylib.format = 1", "arraylib.format = 3").replace(
        arraylib.__version__, "9.9")
    with pytest.raises(ArgumentError, match=r"f\.mlir has format 3, but this arraylib reads format "
                       r"1(?s:.*)9\.9"):
        export.deserialize(text, "f.mlir")
    plain = export.deserialize(text.replace("arraylib.format", "some.format"))
    close(plain.call(X), [jnp.sin(X)])


def test_data_only():
    """A file cannot name what would be imported or run."""
    data = {"node": {"name": "os.system", "metadata": "true", "children": []}}
    text = small().replace(r"{\22dict\22:[]}", json.dumps(data).replace('"', r"\22"))
    with pytest.raises(StructureError, match=r"'os\.system', which is not registered"):
        export.deserialize(text)
    fields = {"namedtuple": {"name": "A", "fields": ["__class__"], "children": ["*"]}}
    text = small().replace(r"\22*\22", json.dumps(fields).replace('"', r"\22"), 1)
    with pytest.raises(hlo.ParseError, match="stands for no containers"):
        export.deserialize(text)


def test_callbacks_are_refused_by_name_and_line():
    def plot(x):
        return x

    def f(x):
        return lax.scan(lambda c, y: (arraylib.pure_callback(plot, x[0], y), None), x[0], x)
    with pytest.raises(ArgumentError, match=r"f calls the Python function 'plot'(?s:.*)in <lambda>:"
                       r"  return lax\.scan"):
        export.export(f)(X)
    with pytest.raises(ArgumentError, match="Python function 'print'"):
        export.export(lambda x: debug.print("{}", x))(X)
    with pytest.raises(ArgumentError, match="Python function 'plot'"):
        export.export(arraylib.vmap(lambda x: arraylib.pure_callback(
            plot, x, x, vmap_method="sequential")))(X)


def test_routines_of_lapack_are_called_by_name():
    """From a loaded program, too."""
    loaded = of_jax("lapack", "lowered")
    args = jax_programs.PROGRAMS["lapack"][1]
    exported = export.export(loaded.call)(*args)
    assert "@lapack_sgeqrf_ffi" in exported.module.text()
    close(again(exported).call(*args), loaded.call(*args))


def test_derivatives_of_users_are_written_out():
    f = arraylib.custom_jvp(lambda x: jnp.sin(x) * 2)
    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
    exported = export.export(f)(X)
    close(xla.run(exported.module, [X]), f(X))
    close(again(exported).call(X), f(X))


def test_traced_values_are_refused():
    with pytest.raises(TraceError, match="reads a value that is being traced"):
        arraylib.jit(lambda x: export.export(lambda y: x + y)(X))(X)


def test_programs_for_several_devices():
    loaded = export.deserialize(small().replace("num_partitions = 1", "num_partitions = 4"))
    assert loaded.nr_devices == 4
    with pytest.raises(ArgumentError, match="is for 4 devices"):
        loaded.call(X)


# -- programs of JAX -------------------------------------------------------------------------------


def weights(i, shape):
    return np.cos(np.arange(np.prod(shape, dtype=int)) + i).reshape(shape).astype(np.float32)


def total(function, wrt, arrays):
    """A number that depends on all floats that a function returns, of the arguments in `wrt`."""
    def call(*xs):
        given = list(arrays)
        for i, x in zip(wrt, xs):
            given[i] = x
        outs = [o for o in jax.tree.leaves(function(*given)) if o.dtype in (np.float32, "bfloat16")]
        return sum((o.astype("float32") * weights(i, o.shape)).sum() for i, o in enumerate(outs))
    return call


def of_jax(name, form):
    function, arrays = jax_programs.PROGRAMS[name]
    text = jax_programs.printed(name) if form == "lowered" else str(
        jax.export.export(jax.jit(function))(*arrays).mlir_module())
    return export.deserialize(text, f"{name}.mlir")


@pytest.mark.parametrize("form", ["lowered", "exported"])
@pytest.mark.parametrize("name", jax_programs.PROGRAMS)
def test_programs_of_jax(name, form):
    loaded, arrays = of_jax(name, form), jax_programs.PROGRAMS[name][1]
    assert (loaded.fun_name, loaded.version) == (f"jit_{name}", "")
    tolerance = 1e-4 if name == "lapack" else 1e-5
    close(list(loaded.call(*arrays)), jax_programs.results(name), tolerance)


@pytest.mark.parametrize("name", ["mlp", "attention", "resnet_block", "rnn", "lapack", "orders",
                                  "transforms", "indexing", "special"])
def test_gradients_of_programs_of_jax(name):
    function, arrays = jax_programs.PROGRAMS[name]
    loaded = of_jax(name, "lowered")
    wrt = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
    places, floats = tuple(range(len(wrt))), [arrays[i] for i in wrt]
    wanted = jax.jit(jax.grad(total(function, wrt, arrays), places))(*floats)
    slopes = arraylib.grad(total(loaded.call, wrt, arrays), places)
    close(arraylib.jit(slopes)(*floats), wanted)
    if name in ("resnet_block", "rnn"):  # there and back
        back = export.export(slopes)(*floats)
        close(xla.run(back.module, floats), wanted)


def test_a_while_loop_of_jax_has_derivatives_forward():
    def f(x, n):
        return jax.lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, jax.numpy.sin(c[1])),
                                  (0, x))[1]
    x, n = np.asarray(X), np.int32(3)
    loaded = export.deserialize(jax.jit(f).lower(x, n).as_text())
    wanted = jax.jvp(lambda x: f(x, n), (x,), (x,))
    found = arraylib.jvp(lambda x: loaded.call(x, n)[0], (X,), (X,))
    close(found, wanted)
    with pytest.raises(TraceError, match="number of steps is not known"):
        arraylib.grad(lambda x: loaded.call(x, n)[0].sum())(X)


def test_custom_calls_of_others():
    text = """func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {
      %0 = stablehlo.custom_call @my.double(%x) : (tensor<3xf32>) -> tensor<3xf32>
      return %0 : tensor<3xf32>
    }"""
    loaded = export.deserialize(text, custom_calls={"my.double": lambda x: 2 * x})
    close(loaded.call(jnp.ones(3)), [2 * jnp.ones(3)])
    with pytest.raises(ArgumentError, match="nobody has said what @my.double does"):
        export.deserialize(text).call(jnp.ones(3))


# -- stability -------------------------------------------------------------------------------------

GOLDEN = Path(__file__).parent / "golden/export/mlp.mlir"


def perceptron(params, x, *, scale):
    """What the golden file has; it was written once, and every later version must read it."""
    h = jnp.tanh(x @ params["w"] + params["b"])
    return {"loss": (h * scale).sum(), "parts": [h, None]}


GIVEN = {"w": jnp.arange(6.0).reshape(3, 2) / 6, "b": jnp.ones(2)}, jnp.ones((4, 3))


def test_files_of_earlier_versions_are_read():
    loaded = export.load(GOLDEN)
    equal(loaded.call(*GIVEN, scale=2.0), arraylib.jit(perceptron)(*GIVEN, scale=2.0))
    assert repr(loaded) == ("<exported perceptron(params['b']: f32[2], params['w']: f32[3,2], "
                            "x: f32[4,3], scale: f32[]) -> f32[], f32[4,2]>")


def test_programs_are_written_as_they_were():
    exported, loaded = export.export(perceptron)(*GIVEN, scale=2.0), export.load(GOLDEN)
    assert exported.module == loaded.module
    for name in ("in_tree", "out_tree", "argument_names", "in_avals", "out_avals"):
        assert getattr(exported, name) == getattr(loaded, name)
    text = GOLDEN.read_text().replace('version = "0.1.0"', f'version = "{arraylib.__version__}"')
    assert exported.mlir_module() == text  # a change here is one that readers elsewhere will see
