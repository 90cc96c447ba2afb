"""The emitter's text compiles, and computes what its operators say."""

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from arraylib.backends.cpu import target
from arraylib.backends.cpu.emitter import Function, Module, Reg, lanes, like, scalar, vector


def run(module: Module, name: str, *arrays: np.ndarray, count: int | None = None) -> None:
    """Compile the module and call `name(pointers..., [count])`."""
    address = target.link([target.compile_object(module.text())], [name])[name]
    types = [ctypes.c_void_p] * len(arrays) + [ctypes.c_int64] * (count is not None)
    values = [array.ctypes.data for array in arrays] + ([] if count is None else [count])
    ctypes.CFUNCTYPE(None, *types)(address)(*values)


def pointers(count: int) -> list[tuple[str, str]]:
    return [("ptr", f"p{i}") for i in range(count)]


def test_type_helpers():
    assert scalar("<16 x float>") == "float" and scalar("i64") == "i64"
    assert lanes("<8 x i1>") == 8 and lanes("ptr") == 1
    assert vector("float", 4) == "<4 x float>" and vector("<4 x float>", 1) == "float"
    assert like("<4 x float>", "i1") == "<4 x i1>"


@pytest.mark.parametrize("value", [0.1, -0.0, float("inf"), float("nan"), 1e-45, 3.4e38])
@pytest.mark.parametrize("type, dtype", [("float", "f4"), ("double", "f8"), ("half", "f2")])
def test_constants_are_exact(value, type, dtype):
    if dtype == "f2" and value == 3.4e38:
        pytest.skip("out of range of half")
    module = Module()
    function = Function(module, "constant", pointers(1), internal=False)
    function.store(function.const(f"<4 x {type}>", value), function.args[0])
    function.ret()
    out = np.zeros(4, dtype)
    run(module, "constant", out)
    np.testing.assert_array_equal(out, np.full(4, value, dtype))
    np.testing.assert_array_equal(np.signbit(out), np.signbit(np.full(4, value, dtype)))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 37])
def test_loop_with_masked_tail(count):
    module = target.new_module()
    function = Function(module, "double", [*pointers(2), ("i64", "count")], internal=False)
    x, y, size = function.args

    def body(index: Reg, _):
        mask = function.first_lanes(size - index, 16)
        value = function.masked_load(function.gep(x, index, "float"), "<16 x float>", mask)
        function.masked_store(2.0 * value + 1.0, function.gep(y, index, "float"), mask)

    function.loop(0, size, 16, [], body)
    function.ret()
    source, out = np.arange(48, dtype="f4"), np.full(48, -1, "f4")
    run(module, "double", source, out, count=count)
    np.testing.assert_array_equal(out[:count], 2 * source[:count] + 1)
    assert (out[count:] == -1).all()


def test_nested_loops_carry_values():
    module = target.new_module()
    function = Function(module, "sums", [*pointers(1), ("i64", "count")], internal=False)
    out, size = function.args
    zero = function.const("i64", 0)

    def outer(row: Reg, carried: list[Reg]) -> list[Reg]:
        return function.loop(0, row, 1, carried, lambda column, inner: [inner[0] + column])

    function.store(function.loop(0, size, 1, [zero], outer)[0], out)
    function.ret()
    found = np.zeros(1, "i8")
    run(module, "sums", found, count=10)
    assert found[0] == sum(column for row in range(10) for column in range(row))


def test_while_loop_and_branch():
    """Collatz steps of 27, counted through memory and through carried values."""
    module = target.new_module()
    function = Function(module, "collatz", pointers(1), internal=False)
    cell = function.alloca("i64")

    def step(carried: list[Reg]) -> list[Reg]:
        number, count = carried
        odd = function.compare("ne", number & 1, 0)
        function.branch(odd, lambda: function.store(number * 3 + 1, cell),
                        lambda: function.store(number.lshr(1), cell))
        return [function.load(cell, "i64"), count + 1]

    start = [function.const("i64", 27), function.const("i64", 0)]
    last = function.while_loop(start, lambda c: function.compare("ne", c[0], 1), step)
    function.store(last[1], function.args[0])
    function.ret()
    out = np.zeros(1, "i8")
    run(module, "collatz", out)
    assert out[0] == 111


def test_branch_that_returns_early():
    module = target.new_module()
    function = Function(module, "early", [*pointers(1), ("i64", "count")], internal=False)
    out, size = function.args
    function.branch(size < 0, lambda: function.ret())
    function.store(function.const("i64", 7), out)
    function.ret()
    cell = np.zeros(1, "i8")
    run(module, "early", cell, count=-1)
    assert cell[0] == 0
    cell = np.zeros(1, "i8")
    address = target.link([target.compile_object(module.text())], ["early"])["early"]
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(address)(cell.ctypes.data, 1)
    assert cell[0] == 7


@pytest.mark.parametrize("operation, reference", [
    ("add", np.sum), ("max", np.max), ("min", np.min), ("mul", np.prod)])
def test_horizontal(operation, reference):
    module = target.new_module()
    function = Function(module, "fold", pointers(2), internal=False)
    x = function.load(function.args[0], "<8 x float>")
    function.store(function.horizontal(operation, x), function.args[1])
    function.ret()
    source, out = np.array([3, -1, 2, 5, 1, -2, 4, 1], "f4"), np.zeros(1, "f4")
    run(module, "fold", source, out)
    assert out[0] == reference(source)


def test_gather_scatter_and_lanes():
    module = target.new_module()
    function = Function(module, "reverse", pointers(2), internal=False)
    x, y = function.args
    every = function.const("<4 x i1>", 1)
    backwards = function.const("<4 x i64>", [3, 2, 1, 0])
    value = function.gather(function.gep(x, backwards, "float"), "<4 x float>", every)
    forward = function.gep(y, function.iota("<4 x i64>"), "float")
    function.scatter(function.insert(value, function.extract(value, 3), 0), forward, every)
    function.ret()
    source, out = np.array([1, 2, 3, 4], "f4"), np.zeros(4, "f4")
    run(module, "reverse", source, out)
    np.testing.assert_array_equal(out, [1, 3, 2, 1])


def test_internal_and_process_functions_can_be_called():
    module = target.new_module()
    helper = Function(module, "helper", [("double", "x")], result="double")
    root = helper.call("cbrt", "double", [helper.args[0]])
    helper.ret(root + 1.0)
    function = Function(module, "main", pointers(1), internal=False)
    value = function.call("helper", "double", [function.const("double", 27.0)])
    function.store(value, function.args[0])
    function.ret()
    out = np.zeros(1)
    run(module, "main", out)
    assert out[0] == 4.0


def test_imports_by_address():
    callback = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: x * 3)
    module = target.new_module()
    function = Function(module, "ask", [("i64", "x")], result="i64", internal=False)
    function.ret(function.call("given", "i64", list(function.args)))
    address = ctypes.cast(callback, ctypes.c_void_p).value
    linked = target.link([target.compile_object(module.text())], ["ask"], {"given": address})
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(linked["ask"])(14) == 42


def test_separate_operations_are_not_contracted():
    """a * b + c rounds twice; only an explicit fma rounds once."""
    def build(fused: bool) -> str:
        module = target.find("avx2").new_module()
        function = Function(module, "f", [("<8 x float>", n) for n in "abc"],
                            result="<8 x float>", internal=False)
        a, b, c = function.args
        function.ret(function.fma(a, b, c) if fused else a * b + c)
        return target.assembly(module.text(), target.find("avx2"))

    assert "vfmadd" not in build(False) and "vmulps" in build(False)
    assert "vfmadd" in build(True)


def test_fma_is_never_a_library_call():
    baseline = target.find("x86-64")
    module = baseline.new_module()
    function = Function(module, "f", [("float", n) for n in "abc"], result="float", internal=False)
    function.ret(function.fma(*function.args))
    assert "fmaf" not in target.assembly(module.text(), baseline)


def test_conditional_chooses_values():
    """A rare path replaces what the fast one computed, also with blocks of its own inside."""
    module = target.new_module()
    function = Function(module, "choose", [*pointers(1), ("i64", "count")], internal=False)
    out, size = function.args

    def rare() -> list[Reg]:
        return function.loop(0, size, 1, [size], lambda index, carried: [carried[0] + index])

    function.store(function.conditional(size < 5, rare, [size * 2])[0], out)
    function.ret()
    address = target.link([target.compile_object(module.text())], ["choose"])["choose"]
    cell = np.zeros(1, "i8")
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(address)
    for count, expected in ((7, 14), (4, 4 + 0 + 1 + 2 + 3)):
        call(cell.ctypes.data, count)
        assert cell[0] == expected


def test_any_lane():
    module = target.new_module()
    function = Function(module, "some", pointers(2), internal=False)
    x = function.load(function.args[0], "<16 x float>")
    found = function.any(x < 0.0)
    function.store(function.cast("zext", found, "i64"), function.args[1])
    function.ret()
    address = target.link([target.compile_object(module.text())], ["some"])["some"]
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address)
    cell = np.zeros(1, "i8")
    for source, expected in ((np.ones(16, "f4"), 0), (np.arange(16, 0, -1, dtype="f4") - 1.5, 1)):
        call(source.ctypes.data, cell.ctypes.data)
        assert cell[0] == expected


def test_import_does_not_load_llvm():
    """Loading LLVM waits for the first compilation."""
    code = "import sys, arraylib.backends.cpu.native; sys.exit('llvmlite.binding' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_processor_is_refused():
    with pytest.raises(ValueError, match="cpu_target 'pdp11' is not one of"):
        target.find("pdp11")


def test_named_processors_compile():
    """For each name there is code, with registers as wide as the name promises."""
    arm = "aarch64-unknown-linux-gnu"
    for name, register in [("sse2", "xmm"), ("avx2", "ymm"), ("znver4", "zmm")]:
        machine = target.find(name)
        module = machine.new_module()
        width = machine.vector_bytes() // 4
        function = Function(module, "f", [(f"<{width} x float>", "x")], internal=False,
                            result=f"<{width} x float>")
        function.ret(function.args[0] * 3.0)
        assert register in target.assembly(module.text(), machine)
    assert target.find("neoverse-n1", arm).has("fma")


def summing(count: int, plain: bool = False) -> str:
    """A module whose `sum` adds up p0[i] * i to p1[0]."""
    module = target.new_module()
    function = Function(module, "sum", pointers(2), internal=False, plain=plain)
    x, y = function.args

    def body(index: Reg, sofar: list[Reg]) -> list[Reg]:
        number = function.cast("sitofp", index * 3, "double")
        return [sofar[0] + number * function.load(function.gep(x, index * 3, "double"), "double")]

    total, = function.loop(0, count, 1, [function.const("double", 0.0)], body)
    function.store(total, y)
    function.ret()
    return module.text()


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("counters", [False, True])
def test_ways_of_compiling_mean_the_same(plain, counters):
    image = target.compile_object(summing(5, plain), counters=counters)
    x, y = np.arange(15.0) + 1, np.zeros(1)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(target.link([image], ["sum"])["sum"])(
        x.ctypes.data, y.ctypes.data)
    assert y[0] == sum(3 * i * (3 * i + 1) for i in range(5))


def test_rewriting_counters_is_off_for_one_module_only():
    before = target.assembly(summing(5))
    without = target.assembly(summing(5), counters=False)
    assert without != before == target.assembly(summing(5))
    with pytest.raises(RuntimeError, match="expected"):
        target.compile_object("define void @f( {", counters=False)
    assert target.assembly(summing(5)) == before


def test_malformed_text_is_refused():
    with pytest.raises(RuntimeError, match="expected"):
        target.compile_object("define void @f( {")


def test_mixed_types_are_refused():
    function = Function(Module(), "f", [("float", "a"), ("double", "b")])
    with pytest.raises(AssertionError, match="operand types differ"):
        _ = function.args[0] + function.args[1]
