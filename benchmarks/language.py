"""Times the language of programs: reading, printing, checking and interpreting StableHLO text.

    python -m benchmarks.language [--operations 20000] [--repeat 5]

One program repeats a layer, as real ones do; in the other no line is like another. Reading is also
timed in MLIR itself, by way of jaxlib. The figures are the best of the repetitions, in operations
(lines of text) a second.
"""

import argparse
import time

import numpy as np
from jax._src.interpreters import mlir
from jaxlib.mlir import ir

from arraylib import hlo


def layered(count):
    """A chain of layers: products, additions, tanh, transposes; all of the same shapes."""
    lines, x = [], "%arg0"
    square = "tensor<8x8xf32>"
    for i in range(0, count, 5):
        lines += [
            f"    %{i} = stablehlo.add {x}, %arg0 : {square}",
            f"    %{i + 1} = stablehlo.dot_general %{i}, %arg1, contracting_dims = [1] x [0] : "
            f"({square}, {square}) -> {square}",
            f"    %{i + 2} = stablehlo.tanh %{i + 1} : {square}",
            f"    %{i + 3} = stablehlo.transpose %{i + 2}, dims = [1, 0] : ({square}) -> {square}",
            f"    %{i + 4} = stablehlo.multiply %{i + 3}, %{i + 2} : {square}"]
        x = f"%{i + 4}"
    return _module(lines, f"%arg0: {square}, %arg1: {square}", x, square)


def different(count):
    """Slices and additions, each of another shape."""
    whole = f"tensor<{count + 1}xf32>"
    lines = []
    for i in range(0, count, 2):
        part = f"tensor<{i + 1}xf32>"
        lines += [f"    %{i} = stablehlo.slice %arg0 [0:{i + 1}] : ({whole}) -> {part}",
                  f"    %{i + 1} = stablehlo.add %{i}, %{i} : {part}"]
    return _module(lines, f"%arg0: {whole}", "%arg0", whole)


def _module(lines, arguments, result, type):
    body = "\n".join(lines)
    return (f"module {{\n  func.func public @main({arguments}) -> {type} {{\n{body}\n"
            f"    return {result} : {type}\n  }}\n}}\n")


def in_mlir(text):
    context = mlir.make_ir_context()
    with context:
        return ir.Module.parse(text)


def rate(function, count, repeat):
    """How many of `count` things a second, at best."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return count / best


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language", description=__doc__)
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    count, repeat = options.operations, options.repeat
    print(f"{'operations a second':24} {'repeating':>12} {'all different':>14}")
    texts = layered(count), different(count)
    modules = [hlo.parse(text) for text in texts]
    rows = {
        "read": [lambda t=t: hlo.parse(t) for t in texts],
        "read by MLIR (jaxlib)": [lambda t=t: in_mlir(t) for t in texts],
        "print": [lambda m=m: m.text() for m in modules],
        "verify": [lambda m=m: hlo.verify(m) for m in modules],
    }
    for name, functions in rows.items():
        found = [rate(function, count, repeat) for function in functions]
        print(f"{name:24} {found[0]:12,.0f} {found[1]:14,.0f}")
    x = np.full((8, 8), 0.1, np.float32)
    interpreted = rate(lambda: hlo.evaluate(modules[0], x, x), count, repeat)
    print(f"{'interpret, 8x8 floats':24} {interpreted:12,.0f}   ({1e6 / interpreted:.1f} us each)")


if __name__ == "__main__":
    main()
