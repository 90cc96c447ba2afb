"""`lower` and `compile` beside JAX's: types in, types out, costs, memory, captured arrays."""

import jax
import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import ShapeDtypeStruct, lax
from arraylib.reports.captures import Captured

W = jnp.ones((4, 8))


def layer(params, x, n, *, bias):
    return {"y": params["w"] @ x * n + bias, "w": params["w"] + 1}


def lowered(library, dtype):
    def of(*shape):
        return library.ShapeDtypeStruct(shape, dtype)

    f = library.jit(layer, static_argnums=2, donate_argnums=0)
    return f.lower({"w": of(64, 16)}, of(16), 2, bias=of())


@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_known_of_a_stage_is_what_jax_knows(compiled):
    ours, theirs = lowered(arraylib, "float32"), lowered(jax, "float32")
    if compiled:
        ours, theirs = ours.compile(), theirs.compile()

    def plain(x):
        return x.shape, str(x.dtype)

    assert arraylib.tree.map(plain, ours.out_info) == jax.tree.map(plain, theirs.out_info)
    assert arraylib.tree.map(plain, ours.in_avals) == jax.tree.map(plain, theirs.in_avals)
    assert ours.donate_argnums == theirs.donate_argnums == (0,)
    assert arraylib.tree.map(lambda x: x.donated, ours.args_info) == \
        jax.tree.map(lambda x: x.donated, theirs.args_info) == (({"w": True}, False),
                                                               {"bias": False})
    assert ours.out_tree.num_leaves == theirs.out_tree.num_leaves == 2
    assert ours.in_tree.num_leaves == theirs.in_tree.num_leaves == 3
    found, wanted = ours.cost_analysis(), theirs.cost_analysis()
    assert found["flops"] == pytest.approx(wanted["flops"], rel=0.05)
    assert found["bytes accessed"] >= 2 * 64 * 16 * 4 and found["optimal_seconds"] > 0


def test_memory_is_counted_as_jax_counts_it():
    found = lowered(arraylib, "float32").compile().memory_analysis()
    wanted = lowered(jax, "float32").compile().memory_analysis()
    assert found.argument_size_in_bytes == wanted.argument_size_in_bytes == 4 * (64 * 16 + 16 + 1)
    assert found.alias_size_in_bytes == wanted.alias_size_in_bytes == 4 * 64 * 16
    assert found.output_size_in_bytes >= 4 * (64 * 16 + 64)
    assert found.generated_code_size_in_bytes == 0


def test_compiled_ahead_of_time_without_arrays():
    compiled = arraylib.jit(layer, static_argnums=2).trace(
        {"w": ShapeDtypeStruct((4, 8), "float32")}, ShapeDtypeStruct((8,), "float32"), 3,
        bias=1.0).lower().compile()
    found = compiled({"w": W}, jnp.ones(8), 3, bias=1.0)
    assert found["y"].tolist() == [25.0] * 4 and found["w"].shape == (4, 8)


def test_shapes_without_computing():
    f = arraylib.jit(lambda x, n: {"a": (x[:n] @ W, None)}, static_argnums=1)
    assert f.eval_shape(ShapeDtypeStruct((5, 4), "float32"), 2) == \
        {"a": (ShapeDtypeStruct((2, 8), "float32"), None)}
    assert f.compiles() == []


# -- captured arrays -------------------------------------------------------------------------------

TABLE, SMALL = np.arange(5000, dtype=np.float32), jnp.arange(3.0)


def closing(x):
    inner = arraylib.jit(lambda y: y + W)
    x = inner(x)
    return lax.fori_loop(0, 2, lambda i, c: c * TABLE[:8], x), SMALL, x * 2.5


FIRST = closing.__code__.co_firstlineno


def test_captured_arrays_are_reported_with_their_lines():
    lowered = arraylib.jit(closing).lower(W)
    report = lowered.captures()
    assert [(each.kind, str(each.type)) for each in report.arrays] == [
        ("captured", "f32[4,8]"), ("captured", "f32[8]"), ("captured", "f32[3]")]
    assert [each.where and each.where.line for each in report.arrays] == [
        FIRST + 1, FIRST + 3, None]
    assert report.nbytes == 4 * (32 + 8 + 3)
    text = str(report)
    assert text.startswith("3 arrays, 172 B") and f"test_ahead_of_time.py:{FIRST + 1}" in text
    assert "<table>" in report._repr_html_() and isinstance(report.arrays[0], Captured)
    assert str(lowered.compile().captures()) == text


def test_what_is_closed_over_is_no_part_of_the_code():
    """Nor of its key: functions that differ in the data they close over share a program."""
    def adding(table):
        return arraylib.jit(lambda x: x + jnp.asarray(table))

    first, second = adding(TABLE), adding(TABLE * 2)
    x = jnp.ones(5000)
    assert first(x)[10] == 11 and second(x)[10] == 21
    compiled = first.lower(x).compile()
    assert compiled.memory().constants == 0 and len(compiled.text("llvm")) < TABLE.nbytes * 2
    assert second.compiles()[0].found == "process"
    assert [each.kind for each in compiled.captures().arrays] == ["captured"]
