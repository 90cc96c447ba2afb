"""Code for other processors, looked at here: vectors throughout, nothing called; refused to run."""

import platform
import re

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib.config import config
from arraylib.errors import ArgumentError

X = np.ones((512, 1024), np.float32)  # whole vectors only, so that no loop is for what is left
PROGRAMS = {
    "gelu": arraylib.nn.gelu,
    "softmax": lambda x: arraylib.nn.softmax(x, 1),
    "layernorm": lambda x: (x - x.mean(1, keepdims=True)) / jnp.std(x, 1, keepdims=True),
    "sum of columns": lambda x: x.sum(0),
    "maximum": lambda x: x.max(1),
    "transposed tanh": lambda x: jnp.tanh(x.T),
    "logarithms": lambda x: jnp.log(x) + jnp.log1p(x) - jnp.expm1(x),
    "sine": lambda x: jnp.sin(x) * jnp.cos(x),
    "power": lambda x: jnp.abs(x) ** 1.5,
    "bfloat16": lambda x: (x.astype("bfloat16") * 2).astype("float32"),
    "float16": lambda x: x.astype("float16") + 1,
    "float64": lambda x: jnp.exp(x.astype("float64")),
    "integers": lambda x: (x * 100).astype("int32") // 7,
    "choice": lambda x: jnp.where(x > 0, x, 0.1 * x),
    "gradient": arraylib.grad(lambda x: jnp.sum(jnp.tanh(x) ** 2)),
}
OURS = ("kernel", "plan", "far_", "arraylib_parfor")  # far_: of angles that are large
TARGETS = {
    "avx2": {
        "call": r"\b(?:callq?|jmpq?)\s+(\*?%?[A-Za-z_]\w*)", "jump": r"\bj\w+\s+(\.L\w+)",
        "packed": r"\bv\w+\s.*%?ymm", "wider": "zmm",
        "scalar": r"\bv?(?:add|mul|sub|div|sqrt|max|min|fn?m(?:add|sub)\d*)s[sd]\b|\bi?div\w?\b"},
    "neon": {
        "call": r"\b(?:bl|b)\s+([A-Za-z_]\w*)", "jump": r"\b(?:b\.?\w*|t?cbn?z)\s+.*(\.L\w+)",
        "packed": r"\bv\d+\.(?:16b|8h|4s|2d)", "wider": "%zmm",
        "scalar": r"\bf(?:add|mul|sub|div|sqrt|n?madd|max\w*|min\w*)\s+[sdh]\d|\b[su]div\b"},
}


def code(name, target):
    with config.using(cpu_target=target):
        return arraylib.jit(PROGRAMS[name]).lower(X).text("asm")


def inner_loops(lines, jump):
    """The bodies of loops without loops inside: from a label to the jump back to it."""
    at, found = {}, []
    for number, line in enumerate(lines):
        label = re.match(r"(\.L\w+):", line)
        if label:
            at[label[1]] = number
        back = re.search(jump, line)
        if back and back[1] in at:
            found.append((at[back[1]], number))
    return ["\n".join(lines[a:b]) for a, b in found
            if not any(a < c and d < b for c, d in found)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_loops_are_vectors_and_call_nothing(name, target):
    asm, rules = code(name, target), TARGETS[target]
    lines = [line.split("#")[0].split("//")[0] for line in asm.splitlines()]
    called = {callee for line in lines for callee in re.findall(rules["call"], line)}
    assert not {c for c in called if not c.startswith(OURS)}, called
    assert rules["wider"] not in asm
    loops = inner_loops(lines, rules["jump"])
    assert any(re.search(rules["packed"], loop) for loop in loops)
    for loop in loops:
        assert re.search(rules["packed"], loop) or not re.search(rules["scalar"], loop), loop


def test_loops_are_found():
    """The test above would see a loop over single numbers."""
    lines = [".LBB0_1:", " vmovss (%rax), %xmm0", " vaddss %xmm0, %xmm1, %xmm1", " jne .LBB0_1",
             ".LBB0_2:", ".LBB0_3:", " vaddps %ymm0, %ymm1, %ymm1", " jb .LBB0_3", " jne .LBB0_2"]
    first, second = inner_loops(lines, TARGETS["avx2"]["jump"])
    assert re.search(TARGETS["avx2"]["scalar"], first) and "ymm" not in first
    assert re.search(TARGETS["avx2"]["packed"], second) and "LBB0_2" not in second


def test_matrix_products_are_code_for_the_target():
    for target in TARGETS:
        with config.using(cpu_target=target):
            text = arraylib.jit(lambda x: x @ x.T).lower(X).text("plan")
        assert "gemm" in text


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="names of x86")
def test_what_cannot_run_here_is_refused():
    with config.using(cpu_target="neon"):
        jitted = arraylib.jit(lambda x: jnp.sin(x) + 1)
        for run in (jitted, lambda x: jitted.lower(x).compile()):
            with pytest.raises(ArgumentError, match=r"it lacks aarch64(.|\n)*text\('asm'\)"):
                run(X)
    assert float(jitted(X)[0, 0]) == np.float32(np.sin(np.float32(1))) + 1


def test_a_lower_target_runs_and_gives_the_same():
    wanted = {name: np.asarray(arraylib.jit(PROGRAMS[name])(X[:4])) for name in ("gelu", "softmax")}
    with config.using(cpu_target="sse2" if platform.machine() == "x86_64" else "neon"):
        for name, value in wanted.items():
            found = np.asarray(arraylib.jit(PROGRAMS[name])(X[:4]))
            np.testing.assert_allclose(found, value, rtol=1e-6)
