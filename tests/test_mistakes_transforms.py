"""What a user's mistakes with jit, derivatives, vmap and control flow say.

The whole text of each error is held in tests/golden/mistakes/.
"""

import pickle

import pytest
from mistakes import said

import arraylib
import arraylib.numpy as jnp
from arraylib import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    jacrev,
    jit,
    jvp,
    lax,
    linear_transpose,
    tree,
    vjp,
    vmap,
)

x3, x4, i3 = jnp.arange(3.0), jnp.arange(4.0), jnp.arange(3)


class Opaque:
    pass


def numbers():
    yield 1.0


def recursive(x):
    return jit(recursive)(x)


def doubled(x):
    return x * 2


def vjp_rules(forward, backward, x=1.0, function=doubled):
    """The gradient of a custom_vjp function with these rules."""
    f = custom_vjp(function)
    f.defvjp(forward, backward)
    return grad(f)(x)


def jvp_rule(rule):
    """The derivative of a custom_jvp function with this rule."""
    f = custom_jvp(doubled)
    f.defjvp(rule)
    return jvp(f, (x3,), (x3,))



MISTAKES = {
    "slice_traced": lambda: jit(lambda x, n: x[:n])(x3, 2),
    "mask_traced": lambda: jit(lambda x: x[x > 0])(x3),
    "nonzero_traced": lambda: jit(lambda x: jnp.nonzero(x))(x3),
    "unique_traced": lambda: jit(lambda x: jnp.unique(x))(x3),
    "shape_traced": lambda: jit(lambda n: jnp.zeros(n))(3),
    "arange_traced": lambda: jit(lambda n: jnp.arange(n))(3),
    "reshape_traced": lambda: jit(lambda x, n: x.reshape(n, -1))(x4, 2),
    "int_traced": lambda: jit(lambda x: int(x))(1),
    "index_list_traced": lambda: jit(lambda i: [1, 2, 3][i])(1),
    "tolist_traced": lambda: jit(lambda x: x.tolist())(x3),
    "item_traced": lambda: jit(lambda x: x.item())(1.0),
    "pickle_traced": lambda: jit(lambda x: pickle.dumps(x))(x3),
    "repeat_traced": lambda: jit(lambda r: jnp.repeat(x3, r))(jnp.array([1, 2, 1])),
    "bincount_traced": lambda: jit(jnp.bincount)(i3),
    "scan_lengths": lambda: lax.scan(lambda c, x: (c, x), 0.0, (x3, x4)),
    "scan_length": lambda: lax.scan(lambda c, x: (c, x), 0.0, x3, length=5),
    "scan_nolength": lambda: lax.scan(lambda c, x: (c, x), 0.0, None),
    "scan_scalar_xs": lambda: lax.scan(lambda c, x: (c, x), 0.0, 1.0),
    "scan_struct": lambda: lax.scan(lambda c, x: ((c, c), None), 0.0, x3),
    "scan_function": lambda: lax.scan(x3, 0.0, x3),
    "while_struct": lambda: lax.while_loop(lambda c: c < 3, lambda c: (c, c), 0),
    "while_cond_int": lambda: lax.while_loop(lambda c: c, lambda c: c - 1, 3),
    "fori_shape": lambda: lax.fori_loop(0, 3, lambda i, c: jnp.concatenate([c, c]), x3),
    "cond_pred": lambda: lax.cond(x3 > 0, lambda: 1.0, lambda: 2.0),
    "cond_dtype": lambda: lax.cond(True, lambda: 1.0, lambda: 2),
    "cond_notcallable": lambda: lax.cond(True, 1.0, 2.0),
    "switch_empty": lambda: lax.switch(0, []),
    "switch_index": lambda: lax.switch(1.5, [lambda: 1.0, lambda: 2.0]),
    "switch_shape": lambda: lax.switch(1, [lambda: x3, lambda: x4]),
    "map_axis": lambda: lax.map(lambda x: x, 1.0),
    "associative_scan": lambda: lax.associative_scan(lambda a, b: a, (x3, x4)),
    "vmap_none": lambda: vmap(lambda x: x, in_axes=None)(x3),
    "vmap_in_axes": lambda: vmap(lambda x, y: x, in_axes=(0,))(x3, x3),
    "vmap_out_none": lambda: vmap(lambda x: x, out_axes=None)(x3),
    "vmap_scalar": lambda: vmap(lambda x: x)(1.0),
    "vmap_axis_size": lambda: vmap(lambda x: x, axis_size=5)(x3),
    "vmap_tree": lambda: vmap(lambda x: x, in_axes=({"a": 0},))({"b": x3}),
    "jit_notcallable": lambda: jit(3),
    "grad_argnums": lambda: grad(lambda x: x, argnums=2)(1.0),
    "grad_noargs": lambda: grad(lambda x: x)(),
    "grad_int_out": lambda: grad(lambda x: 3)(1.0),
    "grad_complex": lambda: grad(lambda x: x * 1j)(1.0),
    "grad_aux": lambda: grad(lambda x: x * 2, has_aux=True)(1.0),
    "jvp_tangent": lambda: jvp(jnp.sin, (x3,), (x4,)),
    "vjp_cotangent": lambda: vjp(jnp.sin, x3)[1](x4),
    "jacrev_int": lambda: jacrev(lambda x: x)(i3),
    "static_number": lambda: jit(lambda x: x, static_argnums=5)(x3),
    "donate_name": lambda: jit(lambda x: x, donate_argnames="y"),
    "jit_generator": lambda: jit(lambda x: x)(numbers()),
    "jit_object": lambda: jit(lambda x: x)(Opaque()),
    "jit_nested_arg": lambda: jit(lambda p: p)({"w": [1.0, Opaque()]}),
    "jit_recursion": lambda: jit(recursive)(x3),
    "jit_result_obj": lambda: jit(lambda x: {"a": Opaque()})(x3),
    "checkpoint_policy": lambda: grad(checkpoint(lambda x: x * x, policy="dots"))(1.0),
    "eval_shape": lambda: arraylib.eval_shape(lambda x: x + x3, x4),
    "device": lambda: arraylib.devices("tpu"),
    "tree_unflatten": lambda: tree.unflatten(tree.structure((1, 2)), [1]),
    "tree_transpose":
        lambda: tree.transpose(tree.structure([1]), tree.structure({"a": 1}), {"a": 2}),
    "vmap_out_axes": lambda: vmap(lambda x: x, out_axes=3)(x3),
    "vmap_function": lambda: vmap(x3),
    "grad_function": lambda: grad(x3),
    "jvp_tuple": lambda: jvp(jnp.sin, x3, x3),
    "jvp_structure": lambda: jvp(jnp.sin, (x3,), ((x3, x3),)),
    "jvp_integers": lambda: jvp(jnp.sin, (i3,), (x3,)),
    "vjp_structure": lambda: vjp(jnp.sin, x3)[1]((x3, x3)),
    "linear_transpose": lambda: linear_transpose(lambda x: x * x, x3)(x3),
    "vjp_rule_missing": lambda: grad(custom_vjp(doubled))(1.0),
    "vjp_rule_cotangents":
        lambda: vjp_rules(lambda x: (x * 2, None), lambda residuals, ct: (ct, ct)),
    "vjp_rule_shape":
        lambda: vjp_rules(lambda x: (x.sum(), None), lambda residuals, ct: (ct,), x3, jnp.sum),
    "vjp_rule_pair": lambda: vjp_rules(lambda x: x * 2, lambda residuals, ct: (ct,)),
    "jvp_rule_missing": lambda: grad(custom_jvp(doubled))(1.0),
    "jvp_rule_shape": lambda: jvp_rule(lambda primals, tangents: (primals[0] * 2, jnp.ones(4))),
    "jvp_rule_pair": lambda: jvp_rule(lambda primals, tangents: primals[0] * 2),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name, golden):
    golden(f"mistakes/{name}.txt", said(MISTAKES[name]))
