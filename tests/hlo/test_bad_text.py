"""Text that is no program is refused with line, column and reason, soon, whatever it is."""

import random
import re
import string
import time
import tracemalloc

import numpy as np
import pytest
from cases import examples
from hypothesis import HealthCheck, given, settings, strategies as st
from jax_programs import PROGRAMS, printed
from random_graphs import random_graph

from arraylib import hlo
from arraylib.hlo import ParseError, parse, text
from arraylib.hlo.passes.dce import dce


def function(body, arguments="%x: tensor<2xf32>", results="tensor<2xf32>"):
    return f"func.func @main({arguments}) -> {results} {{\n{body}\n}}"


ADD = "  %0 = stablehlo.add %x, %x : tensor<2xf32>\n  return %0 : tensor<2xf32>"

MISTAKES = {
    "nothing defined": (function("  return %y : tensor<2xf32>"),
                        "<text>:2:10: %y is not defined before this"),
    "a use before": (function("  %0 = stablehlo.add %1, %x : tensor<2xf32>\n"
                              "  %1 = stablehlo.add %0, %x : tensor<2xf32>\n"
                              "  return %0 : tensor<2xf32>"),
                     "<text>:2:22: %1 is not defined before this"),
    "defined twice": (function("  %x = stablehlo.add %x, %x : tensor<2xf32>\n"
                               "  return %x : tensor<2xf32>"),
                      "<text>:2:3: %x is defined a second time"),
    "a type of the result": (function("  %0 = stablehlo.add %x, %x : (tensor<2xf32>, tensor<2xf32>)"
                                      " -> tensor<3xf32>\n  return %0 : tensor<3xf32>"),
                             "<text>:2:8: stablehlo.add gives f32[2], not f32[3]"),
    "a type of an operand": (function("  %0 = stablehlo.add %x, %x : tensor<3xf32>\n"
                                      "  return %0 : tensor<3xf32>"),
                             "<text>:2:8: stablehlo.add: operand 0 is f32[2], not f32[3]"),
    "shapes that differ": (function("  %0 = stablehlo.add %x, %y : (tensor<2xf32>, tensor<3xf32>) "
                                    "-> tensor<2xf32>\n  return %0 : tensor<2xf32>",
                                    "%x: tensor<2xf32>, %y: tensor<3xf32>"),
                           "add: axis a is 2 in operand 0 (axis 0) but 3 in operand 1 (axis 0)"),
    "dtypes that differ": (function("  %0 = stablehlo.add %x, %y : (tensor<2xf32>, tensor<2xi32>) "
                                    "-> tensor<2xf32>\n  return %0 : tensor<2xf32>",
                                    "%x: tensor<2xf32>, %y: tensor<2xi32>"),
                           "add: operands have different dtypes: float32, int32"),
    "too few operands": (function("  %0 = stablehlo.add %x : tensor<2xf32>\n"
                                  "  return %0 : tensor<2xf32>"),
                         "stablehlo.add: takes 2 operands, not 1"),
    "no end": (function(ADD)[:-1], "<text>:1:53: the bracket '{' is never closed"),
    "no body": (function(ADD)[:51], "<text>:1:52: the function @main has no body"),
    "cut in a type": (function(ADD)[:30], "no type is called tensor<2x|is never closed"),
    "a wrong return": (function("  return %x : tensor<3xf32>"),
                       "<text>:2:3: return: operand 0 is f32[2], not f32[3]"),
    "declared otherwise": (function("  return %x : tensor<2xf32>", results="tensor<2xi32>"),
                           "@main returns f32[2] but declares i32[2]"),
    "no such type": (function(ADD, "%x: tensor<2xq32>"), "no element type is called q32"),
    "no type": (function(ADD, "%x: tensro<2xf32>"), "<text>:1:21: no type is called tensro<2xf32>"),
    "2^60 elements": (function(ADD, "%x: tensor<1152921504606846976xf32>"),
                      "a tensor of 1152921504606846976 elements, more than the 1099511627776"),
    "40 axes": (function(ADD, f"%x: tensor<{'1x' * 40}f32>"), "a tensor of more than 32 axes"),
    "a huge number": (function(ADD, f"%x: tensor<{'9' * 5000}xf32>"), "more than"),
    "an unknown attribute": (function(
        '  %0 = "stablehlo.transpose"(%x) <{permutation = array<i64: 0>, speed = 1 : i64}> : '
        "(tensor<2xf32>) -> tensor<2xf32>\n  return %0 : tensor<2xf32>"),
        "stablehlo.transpose: has no attribute speed"),
    "a missing attribute": (function('  %0 = "stablehlo.transpose"(%x) : (tensor<2xf32>) -> '
                                     "tensor<2xf32>\n  return %0 : tensor<2xf32>"),
                            "stablehlo.transpose: the attribute permutation is missing"),
    "an attribute of another kind": (function(
        '  %0 = "stablehlo.transpose"(%x) <{permutation = "x"}> : (tensor<2xf32>) -> '
        "tensor<2xf32>\n  return %0 : tensor<2xf32>"),
        "the attribute permutation is x, not a list of integers"),
    "no permutation": (function("  %0 = stablehlo.transpose %x, dims = [3] : (tensor<2xf32>) -> "
                                "tensor<2xf32>\n  return %0 : tensor<2xf32>"),
                       "transpose: (3,) is no permutation of the 1 axes"),
    "too many numbers": (function("  %0 = stablehlo.constant dense<[1.0, 2.0, 3.0]> : "
                                  "tensor<2xf32>\n  return %0 : tensor<2xf32>"),
                         "3 numbers for 2 elements"),
    "brackets of another shape": (function(
        "  %0 = stablehlo.constant dense<[[1.0], [2.0]]> : tensor<2xf32>\n"
        "  return %0 : tensor<2xf32>"), "the brackets do not have the shape (2,)"),
    "too few bytes": (function('  %0 = stablehlo.constant dense<"0x000000"> : tensor<2xf32>\n'
                               "  return %0 : tensor<2xf32>"), "3 bytes for 8"),
    "out of range": (function("  %0 = stablehlo.constant dense<300> : tensor<2xi8>\n"
                              "  return %x : tensor<2xf32>"), "300 is out of range"),
    "no number": (function("  %0 = stablehlo.constant dense<hello> : tensor<2xf32>\n"
                           "  return %x : tensor<2xf32>"), "could not convert string to float"),
    "regions": (function('  %0 = "stablehlo.sort"(%x) <{dimension = 0 : i64}> : (tensor<2xf32>) -> '
                         "tensor<2xf32>\n  return %0 : tensor<2xf32>"),
                "stablehlo.sort: has 0 regions, not 1"),
    "a region's arguments": (function(
        '  %0 = "stablehlo.sort"(%x) <{dimension = 0 : i64}> ({\n  ^bb0(%a: tensor<f32>):\n'
        "    %1 = stablehlo.compare LT, %a, %a : (tensor<f32>, tensor<f32>) -> tensor<i1>\n"
        "    stablehlo.return %1 : tensor<i1>\n  }) : (tensor<2xf32>) -> tensor<2xf32>\n"
        "  return %0 : tensor<2xf32>"), "sort"),
    "a circle": ("func.func @a() {\n  call @b() : () -> ()\n  return\n}\n"
                 "func.func @b() {\n  call @a() : () -> ()\n  return\n}",
                 "functions call one another in a circle: @"),
    "a call to itself": ("func.func @a() {\n  call @a() : () -> ()\n  return\n}",
                         "the function @a calls itself"),
    "a call to nothing": ("func.func @a() {\n  call @b() : () -> ()\n  return\n}",
                          "<text>:2:3: call: the function @b is defined nowhere"),
    "two of a name": ("func.func @a() {\n  return\n}\nfunc.func @a() {\n  return\n}",
                      "<text>:4:1: there is a second function @a"),
    "names for results": (function("  %0:2 = stablehlo.add %x, %x : tensor<2xf32>\n"
                                   "  return %x : tensor<2xf32>"), "2 names for 1 results"),
    "several blocks": (function("  return %x : tensor<2xf32>\n^bb1:\n  return %x : tensor<2xf32>"),
                       "<text>:3:5: a region of several blocks"),
    "after the end": (function(ADD) + "\n}", "a module holds functions|expected"),
    "not StableHLO": ("digraph { a -> b }", "a module holds functions and meshes, not digraph"),
    "nothing of ours": (function('  %0 = "arraylib.frobnicate"(%x) : (tensor<2xf32>) -> '
                                 "tensor<2xf32>\n  return %0 : tensor<2xf32>"),
                        "<text>:2:8: there is no operation arraylib.frobnicate"),
    "a typo in an operation": (function("  %0 = stablehlo.substract %x, %x, dims = [0] : "
                                        "tensor<2xf32>\n  return %0 : tensor<2xf32>"),
                               "there is no operation stablehlo.substract\n"
                               "      %0 = stablehlo.substract %x, %x, dims = [0] : tensor<2xf32>\n"
                               "           ^\n  try: stablehlo.subtract"),
    "no dialect": (function("  %0 = add %x, %x : tensor<2xf32>\n  return %0 : tensor<2xf32>"),
                   "<text>:2:8: there is no operation add\n      %0 = add %x, %x : tensor<2xf32>\n"
                   "           ^\n  try: stablehlo.add"),
    "a typo in return": (function("  retrun %x : tensor<2xf32>"), "  try: return"),
    "a word that ends in return": (function("  noreturn %x : tensor<2xf32>"),
                                   "there is no operation noreturn"),
    "another visibility": ("func.func publi @a() {\n  return\n}",
                           "expected a symbol such as @main"),
    "a direction": (function("  %0 = stablehlo.compare LESS, %x, %x : (tensor<2xf32>, tensor<2xf32>"
                             ") -> tensor<2xi1>\n  return %x : tensor<2xf32>"),
                    "<text>:2:26: no comparison_direction is called LESS"),
    "a direction that is no word": (function(
        '  %0 = "stablehlo.compare"(%x, %x) <{comparison_direction = #stablehlo<>}> : '
        "(tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>\n  return %x : tensor<2xf32>"),
        "one of EQ, NE, GE, GT, LE, LT"),
    "an order": (function("  %0 = stablehlo.compare LT, %x, %x, TOTAL : (tensor<2xf32>, "
                          "tensor<2xf32>) -> tensor<2xi1>\n  return %x : tensor<2xf32>"),
                 "no comparison_type is called TOTAL"),
    "an order of another kind": (function(
        '  %0 = "stablehlo.compare"(%x, %x) <{compare_type = 1 : i64, comparison_direction = '
        "#stablehlo<comparison_direction LT>}> : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>\n"
        "  return %x : tensor<2xf32>"), "the attribute compare_type is 1 : i64, not"),
    "a precision": (function("  %0 = stablehlo.dot_general %x, %x, contracting_dims = [0] x [0], "
                             "precision = [HIGH, LOW] : (tensor<2xf32>, tensor<2xf32>) -> "
                             "tensor<f32>\n  return %x : tensor<2xf32>"),
                    "no precision is called LOW"),
    "a list without a comma": (function("  %0 = stablehlo.transpose %x, dims = [0 0] : "
                                        "(tensor<2xf32>) -> tensor<2xf32>\n"
                                        "  return %0 : tensor<2xf32>"), "a list of integers"),
    "padding of one side": (function(
        "  %0 = stablehlo.convolution(%x, %x) dim_numbers = [b, 0, f]x[0, i, o]->[b, 0, f], "
        "window = {pad = [[1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : "
        "i64} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>\n  return %x : tensor<2xf32>"),
        "[1] is no pair of low and high padding"),
    "a part of a list": (function(
        '  %0 = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dim = '
        '[0], index_vector_dim = 1>, slice_sizes = array<i64: 1>}> : (tensor<2xf32>, '
        "tensor<1x1xi32>) -> tensor<1x1xf32>\n  return %x : tensor<2xf32>", "%x: tensor<2xf32>, "
        "%i: tensor<1x1xi32>"), "stablehlo.gather: dimension_numbers has no part offset_dim"),
    "parts without commas": (function(
        '  %0 = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = '
        "[0] index_vector_dim = 1>, slice_sizes = array<i64: 1>}> : (tensor<2xf32>, "
        "tensor<1x1xi32>) -> tensor<1x1xf32>\n  return %x : tensor<2xf32>",
        "%x: tensor<2xf32>, %i: tensor<1x1xi32>"),
        "the attribute dimension_numbers is #stablehlo.gather<offset_dims = [0] index_vector_dim"),
    "too many operands": (function(
        '  %0 = "stablehlo.transpose"(%x, %x) <{permutation = array<i64: 0>}> : (tensor<2xf32>, '
        "tensor<2xf32>) -> tensor<2xf32>\n  return %0 : tensor<2xf32>"),
        "stablehlo.transpose: takes 1 operands, not 2"),
    "no operands": (function('  %0 = "stablehlo.concatenate"() <{dimension = 0 : i64}> : () -> '
                             "tensor<2xf32>\n  return %0 : tensor<2xf32>"),
                    "takes 1 or more operands, not 0"),
    "no results": (function('  "stablehlo.select"(%x, %x, %x) : (tensor<2xf32>, tensor<2xf32>, '
                            "tensor<2xf32>) -> ()\n  return %x : tensor<2xf32>"),
                   "stablehlo.select: has 1 result, not 0"),
    "groups that are no matrix": (function(
        '  %0 = "stablehlo.all_to_all"(%x) <{split_dimension = 0 : i64, concat_dimension = 0 : i64,'
        " split_count = 2 : i64, replica_groups = dense<2> : tensor<i64>}> : (tensor<2xf32>) -> "
        "tensor<2xf32>\n  return %x : tensor<2xf32>"), "not a matrix of process numbers"),
    "our own attributes": (function(
        '  %0 = "arraylib.scan"(%x) ({\n  ^bb0(%a: tensor<2xf32>):\n'
        '    "arraylib.return"(%a) : (tensor<2xf32>) -> ()\n'
        "  }) {carry = 1.5 : f64, consts = 0 : i64, length = 2 : i64, reverse = false} : "
        "(tensor<2xf32>) -> tensor<2xf32>\n  return %x : tensor<2xf32>"),
        "arraylib.scan: the attribute carry is 1.500000e+00 : f64, not such as"),
    "MLIR bytecode": (b"ML\xefR\x01", "<text>:1:1: this is MLIR bytecode, not StableHLO text"),
    "HLO": ("HloModule jit_f\n\nENTRY main {\n}", "this is the text of XLA's HLO"),
    "a jaxpr": ("{ lambda ; a:f32[]. let b:f32[] = add a 1.0:f32[] in (b,) }", "this is a jaxpr"),
    "the name of a file": ("layer.mlir", "hlo.parse(Path(name).read_text())"),
    "an alias of nothing": (function("  %0 = stablehlo.add %x, %x {a = #b} : tensor<2xf32>\n"
                                     "  return %0 : tensor<2xf32>"), "#b is defined nowhere"),
    "bytes": (b"func.func @a() {\n  \xff\n}", "<text>:2:3: byte 0xFF is not UTF-8"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_shown_at_their_place(name):
    program, message = MISTAKES[name]
    with pytest.raises(ParseError) as caught:
        parse(program)
    shown = str(caught.value)
    assert re.search(message if "|" in message else re.escape(message), shown), shown
    place, line, caret = shown.splitlines()[:3]
    assert re.match(r"<text>:\d+:\d+: ", place) and caret.strip() == "^"
    number, column = map(int, place.split(":")[1:3])
    source = program.decode("utf-8", "replace") if isinstance(program, bytes) else program
    assert column <= len(source.split("\n")[number - 1]) + 1
    assert caret.index("^") <= len(line)


def nested(n):
    inner = "  return %x : tensor<2xf32>\n"
    return function('"other.op"() ({\n' * n + '"other.return"() : () -> ()\n'
                    + '}) : () -> ()\n"other.return"() : () -> ()\n' * (n - 1)
                    + "}) : () -> ()\n" + inner)


def calls(count, times):
    """Functions that each call the next one so many times."""
    body = "".join(f"  %{i} = call @f{{next}}(%x) : (tensor<2xf32>) -> tensor<2xf32>\n"
                   for i in range(times)) + "  return %0 : tensor<2xf32>"
    first = function(ADD).replace("@main", f"@f{count}")
    return "\n".join([*(function(body.format(next=i + 1)).replace("@main", f"@f{i}")
                        for i in range(count)), first])


def test_what_is_nested_deep_but_not_too_deep_is_read_and_run():
    module = parse(calls(90, 1))
    (found,) = hlo.evaluate(module, np.float32([1, 2]))
    assert found.tolist() == [2, 4] and parse(text(module)) == module


@pytest.mark.parametrize("line", [
    "%0 = stablehlo.iota dim = {} : tensor<2xf32>", "%0 = stablehlo.tanh %x {{a = {}}} : "
    "tensor<2xf32>", "%0:{} = stablehlo.tanh %x : tensor<2xf32>",
    "%0 = stablehlo.transpose %x, dims = [{}] : (tensor<2xf32>) -> tensor<2xf32>",
    "%0 = stablehlo.slice %x [0:{}] : (tensor<2xf32>) -> tensor<2xf32>",
    "%0 = stablehlo.tanh %x : tensor<?x{}xf32>", "%0 = stablehlo.tanh %x : tensor<{}xf32>",
    "%0 = stablehlo.tanh %x {{a = array<i64: {}>}} : tensor<2xf32>",
    "%0 = stablehlo.constant dense<{}> : tensor<2xi32>",
    "%0 = stablehlo.reduce_precision %x, format = e{}m1 : tensor<2xf32>"])
def test_numbers_of_thousands_of_digits_are_errors(line):
    with pytest.raises(ParseError):
        parse(function(f"  {line.format('9' * 5000)}\n  return %0 : tensor<2xf32>"))


@pytest.mark.parametrize("program, message", [
    (nested(100), "regions nested more than 64 deep"),
    (nested(100_000), "regions nested more than 64 deep"),
    (function("  %0 = stablehlo.add %x, %x {a = " + "[" * 100_000 + "]" * 100_000
              + "} : tensor<2xf32>\n  return %0 : tensor<2xf32>"),
     "attributes nested more than 64 deep"),
    (function(ADD, "%x: " + "tuple<" * 50_000 + ">" * 50_000), "nested more than 64 deep"),
    ("#a = #b\n#b = #a\n" + function("  %0 = stablehlo.add %x, %x {a = #a} : tensor<2xf32>\n"
                                     "  return %0 : tensor<2xf32>"), "nested more than 64 deep"),
    ("!a = !b\n!b = !a\n" + function(ADD, "%x: !a"), "nested more than 64 deep"),
    ("(" * 1_000_000, "a module holds functions|expected"),
    ("func.func @a(" + "%x: tensor<f32>, " * 20_000, "expected"),
    ('"' * 1_000_000, "expected|module holds"),
    (function("  %0 = stablehlo.transpose %x, dims = [" + "1" * 40 + "x] : (tensor<2xf32>) -> "
              "tensor<2xf32>"), "expected a list of integers"),
    (calls(200, 1), "nested 101 deep, with those of the functions it calls, more than the 100"),
    (calls(60, 2), "operations, with those of the functions it calls, more than the 10000000"),
    ("".join(f"#l{i} = loc(fused[{', '.join(f'#l{i + 1}' for _ in range(10))}])\n"
             for i in range(30)) + function(ADD.replace("\n  return %0", " loc(#l0)\n  return %1")),
     "%1 is not defined"),
    ("module {" * 100_000, "expected|a module holds"),
], ids=range(14))
def test_deep_and_long_text_is_refused_soon(program, message):
    start = time.perf_counter()
    with pytest.raises(ParseError, match=message):
        parse(program)
    assert time.perf_counter() - start < 5  # a second on an idle machine


def test_many_operations_are_read_soon():
    """On one line, and in a region that reads all that is around it."""
    count = 10_000
    lines = [f"  %{i} = stablehlo.add {'%x' if i == 0 else f'%{i - 1}'}, %x : tensor<2xf32>"
             for i in range(count)]
    inside = [f"  %s{i} = stablehlo.add %{i}, %{i} : tensor<2xf32>" for i in range(count)]
    case = '%c = "stablehlo.case"(%i) ({' + "\n".join(inside) + (
        f"\nstablehlo.return %s{count - 1} : tensor<2xf32>\n"
        "}) : (tensor<i32>) -> tensor<2xf32>\n  return %c : tensor<2xf32>")
    start = time.perf_counter()
    parse(function(" ".join(lines) + f" return %{count - 1} : tensor<2xf32>"))
    module = parse(function("\n".join([*lines, case]), "%x: tensor<2xf32>, %i: tensor<i32>"))
    assert parse(text(module)) == module
    assert len(dce(module.graph).nodes) == count + 1
    assert time.perf_counter() - start < 30  # three seconds on an idle machine


def test_the_absurd_is_not_allocated():
    program = function("  %0 = stablehlo.constant dense<1.0> : tensor<1000000x1000000xf32>\n"
                       "  %1 = stablehlo.broadcast_in_dim %x, dims = [0] : (tensor<2xf32>) -> "
                       "tensor<2x1000000000xf32>\n  return %x : tensor<2xf32>")
    tracemalloc.start()
    parse(program)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


# -- mutations -------------------------------------------------------------------------------------

SEEDS = [*(printed(name) for name in PROGRAMS), *(text(case.graph()) for case in examples()),
         *(text(random_graph(seed)) for seed in range(10))]
WORDS = ["%0", "%arg0", "tensor<", ">", "(", ")", "{", "}", "[", "]", "-1", "99999999999999999999",
         "stablehlo.", "\"", "dense<", "0x", ": ", "->", "#", "!", "@", "\0", "é", "loc(", "i64",
         "x", "^bb0", "return", "?", "tensor<?xf32>", "!stablehlo.token", "\n", "//", "nan",
         "="]


def mutated(program, seed):
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(program) + 1)
        other = rng.randrange(len(program) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            program = program[:at]
        elif kind == 1:
            program = program[:at] + rng.choice(WORDS) + program[at:]
        elif kind == 2:
            program = program[:at] + program[at + rng.randint(1, 30):]
        elif kind == 3:
            program = program[:at] + rng.choice(string.printable) + program[at + 1:]
        elif kind == 4:
            program = program[:at] + program[other:other + 50] + program[at:]
        else:
            lines = program.split("\n")
            i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[i], lines[j] = lines[j], lines[i]
            program = "\n".join(lines)
    return program


def survives(program):
    """It is a program, which comes back, or a ParseError that says where."""
    try:
        module = parse(program)
        shown = text(module)
    except ParseError as error:
        assert re.match(r"<text>:\d+:\d+: ", str(error)), error
        return
    assert parse(shown) == module


@settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(SEEDS) - 1), st.integers(0, 2**32))
def test_mutations_of_programs_are_programs_or_errors(which, seed):
    survives(mutated(SEEDS[which], seed))


@pytest.mark.thorough
@settings(deadline=None, max_examples=20_000, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(SEEDS) - 1), st.integers(0, 2**32))
def test_twenty_thousand_mutations(which, seed):
    survives(mutated(SEEDS[which], seed))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_bytes_are_errors(data):
    try:
        module = parse(b"module {" + data)
    except ParseError:
        return
    assert not module.functions  # it was a brace, perhaps among blanks and comments


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_words_are_errors(words):
    with pytest.raises(ParseError):
        parse("func.func @main() {\n" + " ".join(words))


@pytest.mark.parametrize("file", ["/dev/zero", "/etc/passwd", "/proc/self/environ", "/nowhere"])
def test_a_location_shows_no_file_that_is_not_source(file):
    module = parse(function("  %0 = stablehlo.add %x, %x : tensor<2xf32> "
                            f'loc("{file}":1:1)\n  return %0 : tensor<2xf32>'))
    where = module.graph.nodes[0].where
    assert where.file == file and str(where) == f"{file.rsplit('/')[-1]}:1"


def test_the_absurd_is_compared_at_once():
    program = function("  %0 = stablehlo.constant dense<1.0> : tensor<1000000x1000000xf32>\n"
                       "  return %x : tensor<2xf32>")
    assert parse(program) == parse(program) != parse(program.replace("1.0", "2.0"))
