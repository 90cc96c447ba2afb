"""Text that is no program is refused with line, column and reason, soon, whatever it is."""

import random
import re
import string
import time
import tracemalloc

import pytest
from cases import examples
from hypothesis import HealthCheck, given, settings, strategies as st
from jax_programs import PROGRAMS, printed
from random_graphs import random_graph

from arraylib.hlo import ParseError, parse, text


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
                        "arraylib.frobnicate: there is no such operation"),
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
    ("module {" * 100_000, "expected|a module holds"),
], ids=range(10))
def test_deep_and_long_text_is_refused_soon(program, message):
    start = time.perf_counter()
    with pytest.raises(ParseError, match=message):
        parse(program)
    assert time.perf_counter() - start < 5  # a second on an idle machine


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
    with pytest.raises(ParseError):
        parse(b"module {" + data)


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
    assert where.file == file and str(where) == f"{file.rsplit('/')[-1]}:1 in <text>"
