"""What a user's mistakes say: the whole text of each error is held in tests/golden/mistakes/."""

import re

import numpy as np
import pytest
from mistakes import GOLDEN, said

import arraylib
import arraylib.numpy as jnp
from arraylib import grad, jit, lax, vmap
from arraylib.errors import ArraylibError

x3, x4 = jnp.arange(3.0), jnp.arange(4.0)
m23, m45 = jnp.ones((2, 3)), jnp.ones((4, 5))


def leak():
    leaked = []

    def keep(x):
        leaked.append(x)
        return x
    jit(keep)(x3)
    return leaked[0] + 1


def wrong_carry():
    return lax.scan(lambda h, x: (jnp.concatenate([h, x]), None), jnp.zeros(2), jnp.ones((5, 2)))


def wrong_branches():
    return lax.cond(True, lambda x: x.sum(), lambda x: x, x3)


def donated():
    f = jit(lambda x: x + 1, donate_argnums=0)
    x = jnp.ones(3)
    f(x)
    return x * 2


MISTAKES = {
    "matmul": lambda: m23 @ m45,
    "matmul_scalar": lambda: jnp.matmul(m23, 2.0),
    "broadcast": lambda: x3 + x4,
    "broadcast_jit": lambda: jit(lambda x, y: x * y)(m23, x4),
    "concatenate": lambda: jnp.concatenate([m23, m45], axis=0),
    "concatenate_rank": lambda: jnp.concatenate([m23, x3]),
    "stack": lambda: jnp.stack([x3, x4]),
    "reshape": lambda: m23.reshape(4, 2),
    "reshape_unknown": lambda: m23.reshape(4, -1),
    "axis": lambda: m23.sum(axis=2),
    "transpose": lambda: jnp.transpose(m23, (0, 0)),
    "squeeze": lambda: jnp.squeeze(m23, axis=0),
    "broadcast_to": lambda: jnp.broadcast_to(x3, (2, 4)),
    "einsum": lambda: jnp.einsum("ij,jk->ik", m23, m45),
    "split": lambda: jnp.split(x4, 3),
    "where": lambda: jnp.where(x3 > 0, x3, x4),
    "index": lambda: x3[5],
    "index_array": lambda: x3[jnp.array([0, 7])],
    "index_axes": lambda: x3[0, 1],
    "index_float": lambda: x3[1.0],
    "assign": lambda: x3.__setitem__(0, 1.0),
    "if_traced": lambda: jit(lambda x: x if x > 0 else -x)(1.0),
    "if_array": lambda: bool(x3 > 0),
    "float_traced": lambda: jit(lambda x: float(x))(1.0),
    "range_traced": lambda: jit(lambda n: sum(range(n)))(3),
    "numpy_traced": lambda: jit(lambda x: np.sin(np.asarray(x)))(x3),
    "leaked": leak,
    "carry": wrong_carry,
    "branches": wrong_branches,
    "while_condition": lambda: lax.while_loop(lambda x: x, lambda x: x, x3),
    "grad_vector": lambda: grad(lambda x: x * 2)(x3),
    "grad_integer": lambda: grad(lambda x: x * 2.0)(3),
    "grad_container": lambda: grad(lambda x: (x, x))(1.0),
    "grad_string": lambda: grad(lambda p: p["w"])({"w": 1.0, "name": "first"}),
    "grad_while": lambda: grad(lambda x: lax.while_loop(lambda v: v < 9, lambda v: v * x, x))(2.0),
    "static_unhashable": lambda: jit(lambda x, s: x, static_argnums=1)(x3, [1, 2]),
    "static_name": lambda: jit(lambda x, mode: x, static_argnames="mod"),
    "scan_pair": lambda: lax.scan(lambda total, x: total + x, 0.0, x3),
    "branch_structures": lambda: lax.cond(True, lambda: (1.0, 2.0), lambda: 1.0),
    "format_traced": lambda: jit(lambda x: f"{x:.2f}")(1.0),
    "list": lambda: jnp.sum([1.0, 2.0]),
    "argument": lambda: jit(lambda x: x)("hello"),
    "result": lambda: jit(lambda x: "hello")(x3),
    "vmap_sizes": lambda: vmap(jnp.add)(x3, x4),
    "vmap_axis": lambda: vmap(jnp.sin, in_axes=1)(x3),
    "dtype": lambda: jnp.zeros(3, "float23"),
    "bitwise_float": lambda: x3 & 1,
    "overflow": lambda: jnp.array([2 ** 40]),
    "overflow_numpy": lambda: jnp.asarray(np.array([2 ** 40])),
    "out": lambda: jnp.add(x3, x3, out=np.zeros(3)),
    "donated": donated,
    "structures": lambda: arraylib.tree.map(jnp.add, {"a": x3}, {"b": x3}),
    "key": lambda: arraylib.random.normal(x3, (2,)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name, golden):
    golden(f"mistakes/{name}.txt", said(MISTAKES[name]))


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.txt")), ids=lambda f: f.stem)
def test_every_message_has_its_parts(file):
    """What is wrong, the user's line, and what to try."""
    first, place, *_, hint = file.read_text().splitlines()
    assert re.match(r"\w+Error: [^:]+: .", first)
    assert re.match(r"  at test_mistakes\w*\.py in \S+:  .", place)
    assert re.match(r"  try: .", hint)


def test_messages_have_their_parts():
    with pytest.raises(ArraylibError) as caught:
        m23 @ m45
    first, place, *operands, hint = str(caught.value).split("\n")
    assert "3" in first and "4" in first
    assert place.startswith("  at test_mistakes.py:") and place.endswith("m23 @ m45")
    assert len(operands) == 2 and "[2,3]" in operands[0] and "[4,5]" in operands[1]
    assert hint.startswith("  try: ")
