"""The command line: each option, each mistake; a few times in a process of its own."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from arraylib import hlo
from arraylib.hlo import ParseError, parse
from arraylib.hlo.command import actions, main, progress as bars, steps
from arraylib.hlo.command.options import read_options
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.passes.pipeline import pipeline
from arraylib.hlo.passes.rewrite import rewrite

ROOT = Path(__file__).parents[2]

PROGRAM = """\
module @twice {
  func.func @main(%x: tensor<2x3xf32>, %w: tensor<3xbf16>) -> (tensor<2xf32> {jax.result_info = "loss"}) {
    %0 = stablehlo.convert %w : (tensor<3xbf16>) -> tensor<3xf32>
    %1 = stablehlo.dot_general %x, %0, contracting_dims = [1] x [0] : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2xf32>
    %2 = stablehlo.tanh %1 : tensor<2xf32>
    %3 = stablehlo.tanh %1 : tensor<2xf32>
    %4 = stablehlo.subtract %2, %3 {note = "kept"} : tensor<2xf32>
    %5 = call @square(%2) : (tensor<2xf32>) -> tensor<2xf32>
    %6 = stablehlo.add %4, %5 : tensor<2xf32>
    return %6 : tensor<2xf32>
  }
  func.func private @square(%x: tensor<2xf32>) -> tensor<2xf32> {
    %0 = stablehlo.multiply %x, %x : tensor<2xf32>
    return %0 : tensor<2xf32>
  }
}
"""  # noqa: E501
X = np.float32([[1, 2, 3], [-1, 0, 0.5]])
W = np.float32([0.5, -0.25, 0.125]).astype(ml_dtypes.bfloat16)
RESULT = np.tanh(X @ W.astype(np.float32)) ** 2

OPEN = """\
func.func @main(%x: tensor<?x3xf32>, %n: tensor<4xi4>) -> (tensor<?x3xf32>, tensor<4xi4>) {
  %0 = stablehlo.add %x, %x : tensor<?x3xf32>
  %1 = stablehlo.add %n, %n : tensor<4xi4>
  return %0, %1 : tensor<?x3xf32>, tensor<4xi4>
}
"""


class Called:
    """What the command line printed, and the status that it ended with."""

    def __init__(self, capsys, *arguments):
        capsys.readouterr()
        self.status = main([str(a) for a in arguments])
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """`call(program, *options)` writes the program to a file and runs the command line on it."""
    monkeypatch.chdir(tmp_path)

    def run(program, *options):
        Path("p.mlir").write_text(program)
        return Called(capsys, "p.mlir", *options)
    return run


def fails(call, program, *options):
    """The message of a command that ends with 1, without a traceback."""
    done = call(program, *options)
    assert done.status == 1
    assert "Traceback" not in done.err
    return done.err


def is_refused(capsys, *arguments):
    """What is printed about a command line that makes no sense."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    return capsys.readouterr().err


def save(name="in.npz", **arrays):
    np.savez(name, **arrays)
    return name


def stored():
    """The inputs of PROGRAM as a file has them."""
    return {"arg0": X, "arg1.bfloat16": W.view(np.uint16)}


# -- printing --------------------------------------------------------------------------------------


def test_a_program_is_printed_in_canonical_form(call):
    done = call(PROGRAM)
    assert (done.status, done.err) == (0, "")
    assert done.out == hlo.text(parse(PROGRAM))
    assert call(done.out).out == done.out
    assert 'module @twice {\n  func.func public @main(%arg0: tensor<2x3xf32>' in done.out


def test_locations_are_lines_of_the_file(call):
    out = call(PROGRAM, "--locations").out
    assert '%2 = stablehlo.tanh %1 : tensor<2xf32> loc("main"("p.mlir":5:0))\n' in out
    assert parse(out) == parse(PROGRAM)


def test_the_short_form(call):
    assert call(PROGRAM, "--pretty").out == """\
@main (a: f32[2,3], b: bf16[3])
  c: f32[3] = convert b
  d: f32[2] = dot_general a c {ab,b->a}
  e: f32[2] = tanh d
  f: f32[2] = tanh d
  g: f32[2] = subtract e f
  h: f32[2] = call e {name=square}
    body (i: f32[2])
      j: f32[2] = multiply i i
      return j
  k: f32[2] = add g h
  return k

@square (a: f32[2])
  b: f32[2] = multiply a a
  return b
"""
    assert "  e: f32[2] = tanh d  # p.mlir:5 in main:  %2 = stablehlo.tanh" in call(
        PROGRAM, "--pretty", "--locations").out


def test_checking_only(call):
    assert call(PROGRAM, "--verify").out == "p.mlir: correct, 2 functions, 8 operations\n"
    assert call(PROGRAM, "--verify", "--pretty").out.startswith("p.mlir: correct")


def test_another_entry(call):
    out = call(PROGRAM, "--entry", "square").out
    assert out == ("module @twice {\n"
                   "  func.func public @square(%arg0: tensor<2xf32>) -> tensor<2xf32> {\n"
                   "    %0 = stablehlo.multiply %arg0, %arg0 : tensor<2xf32>\n"
                   "    return %0 : tensor<2xf32>\n  }\n}\n")
    assert call(PROGRAM, "--entry", "main").out == call(PROGRAM).out
    assert fails(call, PROGRAM, "--entry", "squared") == (
        "no function is called 'squared' (did you mean square?); there are main, square\n")
    assert "there are main, square" in fails(call, PROGRAM, "--entry", "zzz")


def test_what_it_costs(call):
    out = call(PROGRAM, "--stats").out
    head, rest = out.split("\n\n")
    assert head.startswith("@main: (f32[2,3], bf16[3]) -> (f32[2])\noperation    count")
    assert "\ntanh             2" in head
    assert rest.startswith("@square: (f32[2]) -> (f32[2])\noperation  count")
    assert rest.splitlines()[-1] == "peak memory  16 bytes"


def test_a_picture(call):
    done = call(PROGRAM, "--html", "p.html", "--passes", "all,fuse")
    assert done.out == "p.html\n"
    content = Path("p.html").read_text()
    assert "<title>main</title>" in content
    assert "matrix product 1" in content
    assert "matrix product" not in (call(PROGRAM, "--html", "q.html"),
                                    Path("q.html").read_text())[1]


# -- rewriting -------------------------------------------------------------------------------------


def test_passes_run_in_the_order_given(call):
    merged = call(PROGRAM, "--passes", "cse").out
    assert merged.count("stablehlo.tanh") == 1
    assert "call @square" in merged
    assert '{note = "kept"}' in call(PROGRAM, "--passes", "dce").out
    inlined = call(PROGRAM, "--passes", "inline, cse").out
    assert inlined.count("stablehlo.tanh") == 1
    assert "@square" not in inlined  # nothing calls it any more
    separate = call(PROGRAM, "--passes", "inline", "--passes", "cse").out
    assert separate == inlined


def test_a_function_that_is_still_called_is_one(call):
    twice = PROGRAM.replace("call @square(%2)", "call @square(%3)").replace(
        "%0 = stablehlo.multiply %x, %x", "%1 = stablehlo.tanh %x : tensor<2xf32>\n"
        "    %0 = stablehlo.multiply %x, %x")
    assert call(twice).out.count("stablehlo.tanh") == 3
    out = call(twice, "--passes", "dce").out
    assert out.count("stablehlo.tanh") == 2
    assert out.count("func.func private @square(") == 1
    assert "@square_0" not in out


def test_a_function_that_is_only_mentioned_stays(call):
    program = """\
func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  %0 = stablehlo.custom_call @apply(%x) {called_computations = [@one]} : (tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
func.func private @one(%x: tensor<2xf32>) -> tensor<2xf32> {
  return %x : tensor<2xf32>
}
func.func private @two(%x: tensor<2xf32>) -> tensor<2xf32> {
  return %x : tensor<2xf32>
}
"""  # noqa: E501
    assert "@two" in call(program).out
    out = call(program, "--passes", "cse").out
    assert "func.func private @one(" in out and "@two" not in out


def test_the_whole_optimiser(call):
    out = call(PROGRAM, "--passes", "all", "--pretty").out
    assert "tanh" in out and "call" not in out and "subtract" in out  # nan - nan is not 0
    module = parse(call(PROGRAM, "--passes", "all").out)
    np.testing.assert_allclose(hlo.evaluate(module, X, W)[0], RESULT, rtol=1e-6)


def test_the_kernels_of_the_compiler(call):
    out = call(PROGRAM, "--passes", "all,fuse").out
    assert '%0 = stablehlo.convert %arg1 {arraylib.fused = "kernel 0"}' in out
    assert 'contracting_dims = [1] x [0] {arraylib.fused = "matrix product 1"} :' in out
    assert out.endswith("}\n// kernel 0: convert\n// matrix product 1: dot_general\n"
                        "// kernel 2: tanh, subtract, multiply, add\n")
    assert parse(out) == parse(call(PROGRAM, "--passes", "all").out)
    again = call(out, "--passes", "fuse").out
    assert again == out
    assert "\n// kernel 0: convert\n" in call(PROGRAM, "--passes", "all,fuse", "--pretty").out
    assert "fuse comes last" in fails(call, PROGRAM, "--passes", "fuse,cse")


def test_kernels_in_a_loop_have_names_too(call):
    loop = """\
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  %c = stablehlo.constant dense<0> : tensor<i32>
  %0:2 = stablehlo.while(%i = %c, %y = %x) : tensor<i32>, tensor<8xf32>
  cond {
    %n = stablehlo.constant dense<5> : tensor<i32>
    %1 = stablehlo.compare LT, %i, %n : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %1 : tensor<i1>
  } do {
    %n = stablehlo.constant dense<1> : tensor<i32>
    %1 = stablehlo.add %i, %n : tensor<i32>
    %2 = stablehlo.sine %y : tensor<8xf32>
    stablehlo.return %1, %2 : tensor<i32>, tensor<8xf32>
  }
  return %0#1 : tensor<8xf32>
}
"""
    out = call(loop, "--passes", "all,fuse").out
    (line,) = [line for line in out.splitlines() if "stablehlo.sine" in line]
    assert '{arraylib.fused = "while ' in line and " / kernel " in line
    assert parse(out) == parse(call(loop, "--passes", "all").out)


def test_core_stablehlo(call):
    program = ("func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {\n"
               "  %0 = chlo.sinh %x : tensor<2xf32> -> tensor<2xf32>\n"
               "  return %0 : tensor<2xf32>\n}\n")
    assert "chlo.sinh" in call(program).out
    for options in (["--legalize"], ["--passes", "legalize"]):
        out = call(program, *options).out
        assert parse(out).graph.output_types == parse(program).graph.output_types
    assert "stablehlo" not in call(program, "--legalize", "--pretty").out
    assert read_options(["f", "--legalize", "--passes", "cse,dce"]).passes == [
        ["legalize"], ["cse", "dce"]]
    assert read_options(["f", "--passes", "cse", "--legalize"]).passes == [["cse"], ["legalize"]]


def test_the_program_after_each_pass(call):
    done = call(PROGRAM, "--passes", "dce,cse", "--print-after-all")
    assert done.out == call(PROGRAM, "--passes", "dce,cse").out
    assert done.err == (
        f"// -----// after dce //----- //\n// unchanged\n{call(PROGRAM).out}\n"
        "// -----// after cse //----- //\n// changed: 8 operations before, 7 after\n"
        f"{done.out}\n")
    short = call(PROGRAM, "--passes", "all", "--print-after-all", "--pretty").err
    headings = [line for line in short.splitlines() if line.startswith("// -----//")]
    assert headings == [f"// -----// after {name} //----- //" for name in
                        ("adopt", *(name for name, _ in pipeline()))]


def test_names_of_passes(call, capsys):
    message = is_refused(capsys, "p.mlir", "--passes", "dce,csee")
    assert "no pass is called 'csee' (did you mean cse" in message
    assert all(name in message for name in steps.names())
    assert "no pass is called ''" in is_refused(capsys, "p.mlir", "--passes", "cse,")
    with pytest.raises(SystemExit) as ended:
        main(["--list-passes"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(steps.names())
    assert {"dce", "inline", "expand", "fold", "simplify", "cse", "hoist", "adopt", "legalize",
            "all", "fuse"} <= steps.names().keys()
    assert all(text.endswith(".") for text in steps.names().values())


def test_a_pass_that_breaks_the_program_is_named(call, monkeypatch):
    def wrong(graph):
        return hlo.Graph(graph.inputs, graph.nodes[1:], graph.outputs)
    monkeypatch.setitem(steps._PASSES, "cse", wrong)
    assert fails(call, PROGRAM, "--passes", "dce,cse").startswith("after cse: dot_general: ")


# -- running ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [[], ["--backend", "reference"], ["--backend", "cpu"]], ids=str)
def test_running(call, backend):
    done = call(PROGRAM, "--run", save(**stored()), *backend)
    first, rest = done.out.split("\n", 1)
    assert first == "result 0 (loss): f32[2]"
    assert rest.startswith("array([0.128420") and rest.endswith("], dtype=float32)\n")
    assert call(PROGRAM, "--run", "in.npz", "--output", "out.npz", *backend).out == "out.npz\n"
    with np.load("out.npz") as results:
        assert list(results) == ["result0"]
        np.testing.assert_allclose(results["result0"], RESULT, rtol=1e-6)


def test_running_what_passes_have_made(call):
    save(**stored())
    before = call(PROGRAM, "--run", "in.npz").out
    assert call(PROGRAM, "--run", "in.npz", "--passes", "all").out == before
    assert call(PROGRAM, "--run", "in.npz", "--stats").out.endswith(before)


@pytest.mark.parametrize("arrays", [
    {"arg1.bfloat16": W.view(np.uint16), "arg0": X},
    {"arr_1.bfloat16": W.view(np.int16), "arr_0": X},
    {"batch": X, "layer.weights.bfloat16": W.view(np.uint16)},
    {"batch": X, "arg0": W},  # not all are positions, and numpy.savez keeps the bits of this one
    {"arg0": X.astype(">f4"), "arg1": W},
], ids=lambda arrays: ",".join(arrays))
def test_ways_to_name_inputs(call, arrays):
    call(PROGRAM, "--run", save(**arrays), "--output", "out.npz")
    np.testing.assert_allclose(np.load("out.npz")["result0"], RESULT, rtol=1e-6)


def test_one_input_may_be_a_plain_array(call):
    Path("x.npy").write_bytes(b"")
    np.save("x.npy", np.float32([3, 4]))
    assert "array([ 9., 16.], dtype=float32)" in call(
        PROGRAM, "--entry", "square", "--run", "x.npy").out


def test_inputs_that_do_not_fit(call):
    takes = "  the program takes\n    arg0: f32[2,3]\n    arg1.bfloat16: bf16[3]\n"
    def message(**arrays):
        return fails(call, PROGRAM, "--run", save(**arrays))
    bits = {"arg1.bfloat16": W.view(np.uint16)}
    assert message() == f"in.npz: no array for input 0, input 1\n{takes}"
    assert message(arg1=W) == f"in.npz: no array for input 0\n{takes}"
    assert message(arg0=X, arg2=X, **bits) == f"in.npz: no input for arg2\n{takes}"
    assert message(x=X, y=W, z=X) == f"in.npz: no input for z\n{takes}"
    assert message(arg0=X, arr_0=X, **bits) == (
        f"in.npz: two arrays for one input among arg0, arr_0, arg1.bfloat16\n{takes}")
    assert message(arg0=X.T, **bits) == (
        "in.npz: arg0 has shape (3, 2), but input 0 is f32[2,3]\n")
    assert message(arg0=X.astype(np.float64), **bits) == (
        "in.npz: arg0 is float64, but input 0 is f32[2,3]\n"
        "  try: convert it with .astype('float32')\n")
    assert message(arg0=X, arg1=W.view(np.uint16)) == (
        "in.npz: arg1 is uint16, but input 1 is bf16[3]\n"
        "  try: store its bits, .view('uint16'), under the name arg1.bfloat16\n")
    assert message(**{"arg0": X, "arg1.bfloat16": np.ones(3, np.uint32)}) == (
        "in.npz: arg1.bfloat16 is uint32, but the bits of bfloat16 are uint16\n")
    assert message(**{"arg0": X, "arg1.float8_e5m2": np.ones(3, np.uint8)}).startswith(
        "in.npz: arg1.float8_e5m2 is float8_e5m2, but input 1 is bf16[3]\n")
    assert fails(call, "func.func @main() { return }", "--run", save(x=X)) == (
        "in.npz: no input for x\n  the program takes no inputs\n")


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


def test_files_that_hold_no_arrays(call):
    np.savez("objects.npz", arg0=np.array([Bomb()], dtype=object))
    assert "allow_pickle=False" in fails(call, PROGRAM, "--run", "objects.npz")
    assert not Path("exploded").exists()
    Path("text.npz").write_text("what is this")
    assert fails(call, PROGRAM, "--run", "text.npz").startswith("text.npz: ")
    Path("empty.npz").write_bytes(b"")
    assert fails(call, PROGRAM, "--run", "empty.npz").startswith("empty.npz: ")
    Path("cut.npz").write_bytes(Path(save(**stored())).read_bytes()[:-40])
    assert fails(call, PROGRAM, "--run", "cut.npz").startswith("cut.npz: ")
    assert fails(call, PROGRAM, "--run", "none.npz") == "none.npz: No such file or directory\n"


def test_sizes_left_open_are_those_of_the_inputs(call):
    x = np.ones((2, 3), np.float32)
    save(**{"arg0": x, "arg1.int4": np.uint8([1, 0xFF, 7, 0])})
    for options in ([], ["--backend", "cpu"], ["--passes", "all"]):
        done = call(OPEN, "--run", "in.npz", "--output", "out.npz", *options)
        assert done.status == 0
        results = np.load("out.npz")
        np.testing.assert_array_equal(results["result0"], 2 * x)
        np.testing.assert_array_equal(results["result1.int4"], [2, 0xE, 0xE, 0])  # 4 bits each
    assert call(OPEN, "--run", "out.npz").out == (  # results are inputs, too
        "result 0: f32[2,3]\narray([[4., 4., 4.],\n       [4., 4., 4.]], dtype=float32)\n"
        "result 1: i4[4]\narray([4, -4, -4, 0], dtype=int4)\n")
    assert "tensor<2x3xf32>" in call(OPEN, "--run", "in.npz", "--locations").out
    assert "has shape (2, 4), but input 0 is tensor<?x3xf32>" in fails(
        call, OPEN, "--run", save(arg0=np.ones((2, 4), np.float32), arg1=np.int8([0])))
    assert fails(call, OPEN, "--run", "zeros") == (
        "input 0 is tensor<?x3xf32>: an array can be made for known sizes only\n"
        "  try: --run FILE.npz\n")


TUPLE = """\
func.func @main(%t: tuple<tensor<2xf32>, tensor<bf16>>, %k: !stablehlo.token, %y: tensor<2xf32>)
    -> tensor<2xf32> {
  %0 = stablehlo.get_tuple_element %t[0]
    : (tuple<tensor<2xf32>, tensor<bf16>>) -> tensor<2xf32>
  %1 = stablehlo.subtract %0, %y : tensor<2xf32>
  return %1 : tensor<2xf32>
}
"""


def test_tuples_are_their_parts_and_tokens_nothing(call):
    save(**{"arg0": X[0, :2], "arg1.bfloat16": np.uint16(0), "arg2": X[1, :2]})
    out = "result 0: f32[2]\narray([2., 2.], dtype=float32)\n"
    assert call(TUPLE, "--run", "in.npz").out == out
    assert call(TUPLE, "--run", "in.npz", "--backend", "cpu").out == out
    assert "arg1.bfloat16: bf16[]\n    arg2: f32[2]\n" in fails(call, TUPLE, "--run", save(x=X))
    assert call(TUPLE, "--run", "zeros").out == out.replace("2., 2.", "0., 0.")


def test_values_that_no_array_is(call):
    program = ("func.func @main(%x: !other.type) -> !other.type {\n"
               "  return %x : !other.type\n}\n")
    assert "no array" in fails(call, program, "--run", "zeros")


def identity(dtype):
    return (f"func.func @main(%x: tensor<50x{dtype}>) -> tensor<50x{dtype}> {{\n"
            f"  return %x : tensor<50x{dtype}>\n}}\n")


@pytest.mark.parametrize("dtype", ["i1", "i2", "ui4", "i8", "ui64", "f4E2M1FN", "f8E5M2", "bf16",
                                   "f64", "complex<f32>"])
def test_inputs_made_up(call, dtype):
    def made(source):
        assert call(identity(dtype), "--run", source, "--output", "out.npz").status == 0
        (name, bits), = np.load("out.npz").items()
        return bits.view(name.partition(".")[2] or bits.dtype)
    assert not made("zeros").astype(complex).any()
    assert (made("ones").astype(complex) == 1).all()
    some = made("random").astype(complex)
    assert len(np.unique(some)) > 1
    np.testing.assert_array_equal(made("random:0").astype(complex), some)
    assert not np.array_equal(made("random:1").astype(complex), some)


def test_large_results_are_shortened(call):
    program = "func.func @main() -> tensor<900xi32> {\n  %0 = stablehlo.iota dim = 0 : " \
        "tensor<900xi32>\n  return %0 : tensor<900xi32>\n}\n"
    assert call(program, "--run", "zeros").out == (
        "result 0: i32[900]\narray([  0,   1,   2, ..., 897, 898, 899], shape=(900,), "
        "dtype=int32)\n")


def test_a_file_is_replaced_as_a_whole(call, monkeypatch):
    save(**stored())
    Path("out.npz").write_text("old")
    Path("link.npz").symlink_to("out.npz")
    def broken(*rest):
        rest[0].write(b"half of it")
        raise OSError(28, "No space left on device", "out.npz")
    with monkeypatch.context() as patched:
        patched.setattr(actions.arrays, "save", broken)
        assert fails(call, PROGRAM, "--run", "in.npz", "--output", "out.npz") == (
            "out.npz: No space left on device\n")
    assert Path("out.npz").read_text() == "old"
    assert sorted(os.listdir()) == ["in.npz", "link.npz", "out.npz", "p.mlir"]
    assert call(PROGRAM, "--run", "in.npz", "--output", "link.npz").status == 0
    assert Path("link.npz").is_symlink()
    assert list(np.load("out.npz")) == ["result0"]
    assert fails(call, PROGRAM, "--run", "in.npz", "--output", os.devnull) == (
        f"{os.devnull}: no file, and so it cannot be replaced\n")
    assert not stat.S_ISREG(os.stat(os.devnull).st_mode)
    assert "No such file or directory" in fails(call, PROGRAM, "--html", "none/p.html")


# -- bisection -------------------------------------------------------------------------------------


def test_bisection(call, monkeypatch):
    save(**stored())
    done = call(PROGRAM, "--bisect", "in.npz")
    assert (done.status, done.out) == (0, "no pass changes a result\n")

    def wrong(graph):
        return rewrite(graph, lambda node, rewriter: (
            [ew.add(*node.inputs)] if node.op is ew.subtract else None))
    monkeypatch.setitem(steps._PASSES, "cse", wrong)
    done = call(PROGRAM, "--bisect", "in.npz", "--passes", "dce,cse,fold")
    assert done.status == 1
    assert done.out.startswith("cse changes output 0 by up to ")
    assert "subtract" in done.out
    assert call(PROGRAM, "--bisect", "random:1", "--passes", "dce,fold").status == 0
    assert call(PROGRAM, "--bisect", "in.npz", "--passes", "cse", "--tolerance", "4").status == 0
    assert "fuse changes no program" in fails(call, PROGRAM, "--bisect", "ones",
                                              "--passes", "fuse")


# -- mistakes --------------------------------------------------------------------------------------


def test_an_error_of_the_text_is_shown_as_it_is(call):
    wrong = PROGRAM.replace("stablehlo.tanh %1", "stablehlo.tanh %9")
    with pytest.raises(ParseError) as error:
        parse(wrong, "p.mlir")
    message = fails(call, wrong)
    assert message == f"{error.value}\n"
    assert message.startswith("p.mlir:5:")
    assert message.splitlines()[2].strip() == "^"


def test_files_that_are_no_programs(call, capsys):
    assert call("", "--verify").out == "p.mlir: correct, 0 functions, 0 operations\n"
    assert fails(call, "", "--run", "zeros").startswith("module: there is no function in it\n")
    Path("p.bin").write_bytes(b"ML\xefR\x0d")
    assert Called(capsys, "p.bin").err == (
        "p.bin:1:1: this is MLIR bytecode, not StableHLO text\n    ML\xefR\n    ^\n"
        "  try: print it as text with the tool that wrote it\n")
    Path("p.bin").write_bytes(b"func \xff")
    assert Called(capsys, "p.bin").err.startswith("p.bin:1:6: byte 0xFF is not UTF-8\n")
    assert Called(capsys, "none.mlir").err == "none.mlir: No such file or directory\n"
    assert Called(capsys, ".").err == ".: Is a directory\n"


def test_other_errors_are_one_message(call, monkeypatch):
    foreign = ('func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {\n'
               '  %0 = "other.op"(%x) : (tensor<2xf32>) -> tensor<2xf32>\n'
               '  return %0 : tensor<2xf32>\n}\n')
    message = fails(call, foreign, "--run", "zeros")
    assert message.startswith("other.op: ") and "  at p.mlir:2 in main:" in message
    assert 'other.op' in call(foreign).out

    def broken(*rest, **options):
        raise KeyError("gone")
    monkeypatch.setattr(actions, "table", broken)
    assert fails(call, PROGRAM, "--stats") == (
        "KeyError: 'gone'\n  --debug shows where that happened\n")
    done = call(PROGRAM, "--stats", "--debug")
    assert done.status == 1
    assert done.err.startswith("Traceback") and done.err.endswith("KeyError: 'gone'\n")

    def interrupted(*rest):
        raise KeyboardInterrupt
    monkeypatch.setattr(actions, "table", interrupted)
    assert call(PROGRAM, "--stats").status == 130


@pytest.mark.parametrize("arguments, message", [
    ([], "the following arguments are required: FILE"),
    (["p.mlir", "q.mlir"], "unrecognized arguments"),
    (["p.mlir", "--output", "o.npz"], "--output needs --run"),
    (["p.mlir", "--backend", "cpu"], "--backend needs --run"),
    (["p.mlir", "--tolerance", "1"], "--tolerance needs --bisect"),
    (["p.mlir", "--print-after-all"], "--print-after-all needs --passes"),
    (["p.mlir", "--run", "a.npz", "--bisect", "a.npz"], "not allowed with"),
    (["p.mlir", "--run", "random:x"], "the seed is a number, as in random:7"),
    (["p.mlir", "--run", "zeros", "--backend", "gpu"], "invalid choice: 'gpu'"),
], ids=str)
def test_command_lines_that_make_no_sense(arguments, message, capsys):
    assert message in is_refused(capsys, *arguments)


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for option in ("entry", "legalize", "passes", "print-after-all", "list-passes", "pretty",
                   "locations", "verify", "stats", "html", "run", "backend", "output", "bisect",
                   "tolerance", "debug"):
        assert f"--{option}" in out
    assert "examples:" in out


# -- a bar -----------------------------------------------------------------------------------------


class Terminal:
    """A standard error that says it is one."""

    encoding = "utf-8"

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def test_long_work_shows_a_bar_on_a_terminal(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(bars, "_DELAY", 0.01)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with bars.progress("running", 4) as step:
        step()
        while "running:  25%" not in terminal.text:
            pass
    with bars.progress("reading p.mlir"):
        while "reading p.mlir, 00:0" not in terminal.text:
            pass
    shown = terminal.text
    with bars.progress("hidden", 4, hidden=True) as step:
        step()
    assert terminal.text == shown


def test_short_work_and_pipes_show_none(call, monkeypatch, capsys):
    terminal = Terminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", terminal)
        assert call(PROGRAM, "--passes", "all", "--run", "zeros").status == 0
    assert terminal.text.strip("\r ") == ""
    monkeypatch.setattr(bars, "_DELAY", 0.0)
    assert call(PROGRAM, "--run", "zeros").err == ""
    monkeypatch.setattr(bars, "tqdm", None)
    assert call(PROGRAM, "--run", "zeros").status == 0


# -- in a process of its own -----------------------------------------------------------------------


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def start(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "arraylib.hlo", *arguments], timeout=60,
                          capture_output=True, env=ENVIRONMENT, **options)


def test_a_program_from_standard_input(tmp_path):
    done = start("-", "--passes", "cse", input=PROGRAM.encode(), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"stablehlo.tanh") == 1
    wrong = start("-", input=b"func.func @main(", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (1, b"")
    assert wrong.stderr.startswith(b"<stdin>:1:")


def test_a_reader_that_has_read_enough(tmp_path):
    body = "".join(f"  %{i + 1} = stablehlo.sine %{i} : tensor<2xf32>\n" for i in range(4000))
    program = ("func.func @main(%0: tensor<2xf32>) -> tensor<2xf32> {\n"
               f"{body}  return %4000 : tensor<2xf32>\n}}\n")
    (tmp_path / "long.mlir").write_text(program)
    command = f"{sys.executable} -m arraylib.hlo long.mlir | head -n 2"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, timeout=60,
                          env=ENVIRONMENT)
    assert done.stderr == b""
    assert done.stdout.startswith(b"module {\n  func.func public @main(")


def test_a_program_that_checks_itself(tmp_path, capsys):
    checks = ("func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {\n"
              "  %0 = stablehlo.cosine %x : tensor<2xf32>\n"
              "  stablehlo.custom_call @check.expect_eq(%0, %x) {has_side_effect = true} : "
              "(tensor<2xf32>, tensor<2xf32>) -> ()\n  return %0 : tensor<2xf32>\n}")
    file = tmp_path / "checks.mlir"
    file.write_text(checks)
    assert main([str(file), "--run", "zeros"]) == 1
    assert "check.expect_eq: 2 of 2 elements differ; at (0,) it is 1.0, not 0.0" in (
        capsys.readouterr().err)
    file.write_text(checks.replace("cosine", "sine"))
    assert main([str(file), "--run", "zeros"]) == 0
