"""Random statements with bodies, and whole random programs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from program_calls import CALLS, collective
from program_scope import MOST, Names, Scope, Unable
from program_steps import STEPS, dtypes_of
from program_text import Body, Known, Program, Statement, Transform

from arraylib import dtypes as dt
from arraylib.config import config

DEEPEST = 2  # bodies in bodies


def _step(s: Scope) -> None:
    """One more statement, if the step that is drawn can be taken."""
    table = (*STEPS, *CALLS) if s.depth >= DEEPEST else (*STEPS, *CALLS, *CONTROL)
    table = (*table, *NAMED) if s.axes else table
    weights = np.array([w for w, _ in table], float)
    step = table[s.rng.choice(len(table), p=weights / weights.sum())][1]
    count, here = len(s.statements), len(s.here)
    try:
        step(s)
    except Unable:
        del s.statements[count:], s.here[here:]


def _fill(s: Scope, low: int, high: int) -> None:
    goal = s.integer(low, high)
    for _ in range(5 * goal):
        if len(s.statements) >= goal:
            return
        _step(s)


def _in_shape(s: Scope, name: str, shape: tuple[int, ...]) -> str:
    """A value or its largest element, broadcast to this shape."""
    k = s.known(name)
    if k.shape == shape:
        return name
    small = all(n in (1, m) for n, m in zip(k.shape[::-1], shape[::-1]))
    if k.rank > len(shape) or not small:
        if not k.size:
            raise Unable
        name = s.emit(f"jnp.{'mean' if k.kind == 'c' else 'max'}({name})", k.exact, k.bound)
    if shape:
        name = s.emit(f"jnp.broadcast_to({name}, {shape})", k.exact, k.bound)
    return name


def _adapted(s: Scope, target: Known) -> str:
    """A value of this shape and dtype, of magnitude 1 or exact up to 7 as `target` says."""
    name = s.pick(lambda k: k.exact or not target.exact)
    if s.known(name).kind == "c":
        if target.kind == "c":
            name = _in_shape(s, name, target.shape)
            name = s.emit(f"{name} / (jnp.square(jnp.abs({name})) + 1)", False, 1)
            return s.emit(f"{name}.astype('{target.dtype.name}')", False, 1)
        name = s.emit(f"jnp.real({name})", False, s.known(name).bound)
    k = s.known(name)
    if k.kind == "f" and target.kind not in "fc" and not k.exact:
        raise Unable
    name = _in_shape(s, name, target.shape)
    if target.kind == "b":
        return s.emit(f"{name} != 0", True, 1)
    if target.kind in "fc" and not target.exact:
        name = _small(s, name, "float32" if target.kind == "c" else target.dtype.name)
    else:
        if k.kind == "b":
            name = s.emit(f"{name}.astype('int32')", True, 1)
        name = s.emit(f"{name} % 7", True, 7)
    return s.emit(f"{name}.astype('{target.dtype.name}')", target.exact, 7)


def _small(s: Scope, name: str, dtype: str) -> str:
    """The sine of a value."""
    k = s.known(name)
    if k.kind != "f":
        name = s.emit(f"{name}.astype('{dtype}') * 0.125", False, 200) if k.bound <= 1000 else \
            s.emit(f"({name} % 5).astype('{dtype}')", False, 5)
    bound = s.known(name).bound
    return s.emit(f"jnp.sin({name})" if bound <= 20 else
                  f"jnp.sin({name} * {1 / round(bound):.3g})", False, 1)


def _body(s: Scope, parameters: list[Known], wanted: list[Known] | None, low: int = 1,
          high: int = 5, axes: dict[str, int] | None = None,
          closed: bool = False) -> tuple[Body, list[Known], str]:
    """A function of these; it returns values like `wanted`, or one or two that it has.

    With the named axes that it may use; if `closed`, reading nothing around it. The last result
    says how it may be differentiated.
    """
    inner = Scope(s.names, s.depth + 1, None if closed else s, axes)
    names = [inner.add(k) for k in parameters]
    _fill(inner, low, high)
    if wanted is None:
        results = [inner.pick() for _ in range(s.integer(1, 2))]
    else:
        results = [_adapted(inner, k) for k in wanted]
    body = Body(s.names.fresh("f"), tuple(names), tuple(inner.statements), ", ".join(results))
    return body, [s.known(n) for n in results], _modes(inner.statements)


def _modes(statements: Iterable[Statement]) -> str:
    """The modes of differentiation, of forward and reverse, that go through all of these."""
    return "".join(mode for mode in "fr" if all(mode in x.modes for x in statements))


def _carry(s: Scope) -> list[str]:
    """Start values whose facts every step can keep."""
    picked = [s.pick(lambda k: k.size <= 600) for _ in range(s.integer(1, 3))]
    return [_adapted(s, Known(s.known(n).shape, s.known(n).dtype,
                              s.known(n).exact and s.chance(0.7), 7)) for n in picked]


def scan(s: Scope) -> None:
    start = _carry(s)
    carried = [s.known(n) for n in start]
    xs = s.pick(lambda k: k.rank > 0 and k.shape[0] <= 17)
    k = s.known(xs)
    row = Known(k.shape[1:], k.dtype, k.exact, k.bound)
    body, results, modes = _body(s, [*carried, row], [*carried, _like(s, carried[0])],
                                 axes=s.axes)
    n = len(start)
    names = ", ".join(body.parameters[:n])
    parts = body.result.split(", ")
    wrapped = Body(body.name, ("c", body.parameters[n]), body.statements,
                   f"({', '.join(parts[:n])},), {parts[n]}")
    wrapped = _unpacking(wrapped, names)
    text = f"lax.scan({body.name}, ({', '.join(start)},), {xs}" + \
        s.choice((")", ")", ", reverse=True)", ", unroll=2)"))
    facts = [(r.exact, r.bound) for r in results]
    s.emit_many(f"(lambda p: (*p[0], p[1]))({text})", facts, (wrapped,), modes)


def _unpacking(body: Body, names: str) -> Body:
    """The same with its first parameter, c, taken apart."""
    return Body(body.name, body.parameters, body.statements, body.result, f"{names}, = c")


def _like(s: Scope, k: Known) -> Known:
    return Known(k.shape if s.chance(0.5) else (), k.dtype, k.exact, k.bound)


def fori(s: Scope) -> None:
    start = _carry(s)
    carried = [s.known(n) for n in start]
    counter = Known((), dt.int32 if s.names.bits == 32 else dt.int64, True, 10)
    body, _, modes = _body(s, [counter, *carried], carried)
    body = _unpacking(Body(body.name, (body.parameters[0], "c"), body.statements,
                           f"({body.result},)"), ", ".join(body.parameters[1:]))
    upper = str(s.integer(0, 4))
    if s.chance(0.4):
        n = s.pick(lambda k: k.kind == "i" and k.rank == 0)
        upper, modes = f"{n}.astype('{counter.dtype.name}') % 4", modes.replace("r", "")
    s.emit_many(f"lax.fori_loop({s.integer(0, 1)}, {upper}, {body.name}, ({', '.join(start)},))",
                [(k.exact, k.bound) for k in carried], (body,), modes)


def while_loop(s: Scope) -> None:
    start = _carry(s)
    counter = Known((), dt.int32, True, 10)
    carried = [s.known(n) for n in start]
    body, _, modes = _body(s, [counter, *carried], carried)
    i = body.parameters[0]
    body = _unpacking(Body(body.name, ("c",), body.statements, f"({i} + 1, {body.result},)"),
                      ", ".join(body.parameters))
    n = s.pick(lambda k: k.kind == "i" and k.rank == 0 and k.dtype == dt.int32)
    s.emit_many(f"lax.while_loop(lambda c: c[0] < {n} % 5, {body.name}, "
                f"(jnp.zeros((), 'int32'), {', '.join(start)},))",
                [(True, 10), *((k.exact, k.bound) for k in carried)], (body,),
                modes.replace("r", ""))


def cond(s: Scope) -> None:
    operands = [s.pick() for _ in range(s.integer(1, 3))]
    knowns = [s.known(n) for n in operands]
    like = [s.known(s.pick()) for _ in range(s.integer(1, 2))]
    wanted = [Known(k.shape, k.dtype, k.exact and s.chance(0.6), 7) for k in like]
    count = s.integer(2, 3)
    made = [_body(s, knowns, wanted, 0, 3) for _ in range(count)]
    bodies = tuple(Body(b.name, b.parameters, b.statements, f"[{b.result}]") for b, _, _ in made)
    facts = [(all(r[i].exact for _, r, _ in made), max(r[i].bound for _, r, _ in made))
             for i in range(len(wanted))]
    names = ", ".join(b.name for b in bodies)
    if count == 2:
        p = s.pick(lambda k: k.rank == 0 and k.kind == "b")
        text = f"lax.cond({p}, {names}, {', '.join(operands)})"
    else:
        p = s.pick(lambda k: k.rank == 0 and k.kind == "i" and k.dtype == dt.int32)
        text = f"lax.switch({p}, [{names}], {', '.join(operands)})"
    s.emit_many(text, facts, bodies, "".join(d for d in "fr" if all(d in m for _, _, m in made)))


def mapped(s: Scope) -> None:
    operands = [s.pick(lambda k: k.rank > 0 and 0 < k.shape[0] <= 17)]
    n = s.known(operands[0]).shape[0]
    names = [*operands, *(s.pick() for _ in range(s.integer(0, 2)))]
    in_axes = [0, *(_mapped_axis(s, s.known(name), n) for name in names[1:])]
    knowns = [_without_axis(s.known(o), a) for o, a in zip(names, in_axes)]
    axis = {s.names.fresh("axis"): n} if s.chance(0.4) else {}
    body, results, modes = _body(s, knowns, None, 1, 6, {**s.axes, **axis})
    if any(k.size * n > MOST for k in results):
        raise Unable
    body = Body(body.name, body.parameters, body.statements, f"[{body.result}]")
    named = f", axis_name='{next(iter(axis))}'" if axis else ""
    out = ", out_axes=-1" if s.chance(0.2) else ""
    text = f"m.vmap({body.name}, in_axes={tuple(in_axes)}{out}{named})({', '.join(names)})"
    if len(names) == 1 and not axis and s.chance(0.5):
        text = f"lax.map({body.name}, {names[0]})"
    s.emit_many(text, [(k.exact, k.bound) for k in results], (body,), modes)


def _mapped_axis(s: Scope, k: Known, n: int) -> int | None:
    """An axis of this size, or None to share the value among the examples."""
    axes = [a for a in (0, -1) if k.rank and k.shape[a] == n]
    return None if not axes or s.chance(0.4) else s.choice(axes)


def _without_axis(k: Known, axis: int | None) -> Known:
    shape = k.shape if axis is None else k.shape[1:] if axis == 0 else k.shape[:-1]
    return Known(shape, k.dtype, k.exact, k.bound)


def called(s: Scope) -> None:
    names = [s.pick() for _ in range(s.integer(1, 3))]
    body, results, modes = _body(s, [s.known(n) for n in names], None, 1, 8, s.axes)
    body = Body(body.name, body.parameters, body.statements, f"[{body.result}]")
    s.emit_many(f"m.{s.choice(('jit', 'checkpoint'))}({body.name})({', '.join(names)})",
                [(k.exact, k.bound) for k in results], (body,), modes)


def own_rule(s: Scope) -> None:
    """A function with a derivative of its own, which reads nothing around it."""
    names = [s.pick(lambda k: k.kind == "f") for _ in range(s.integer(1, 2))]
    like = s.known(names[0])
    wanted = Known(like.shape, like.dtype, False, 1)
    body, _, modes = _body(s, [s.known(n) for n in names], [wanted], 1, 4, closed=True)
    kind = s.choice(("own_jvp", "own_vjp"))
    needed = "f" if kind == "own_jvp" else "r"
    if needed not in modes:
        raise Unable
    s.emit(f"{kind}(m, {body.name})({', '.join(names)})", False, 1, (body,),
           modes if kind == "own_jvp" else "r")


def gradient(s: Scope) -> None:
    x = s.pick(lambda k: k.kind == "f" and k.size > 0)
    scalar = Known((), dt.float32, False, 1)
    body, _, modes = _body(s, [s.known(x)], [scalar], 1, 6)
    if "r" not in modes:
        raise Unable
    s.emit(f"jnp.tanh(m.grad({body.name})({x}))", False, 1, (body,), modes)


def derivatives(s: Scope) -> None:
    """Matrices of derivatives, and products with them, by either mode."""
    x = s.pick(lambda k: k.kind == "f" and 0 < k.size <= 12)
    k = s.known(x)
    wanted = Known(s.choice((k.shape, (), (2,))), k.dtype, False, 1)
    kind, needed = s.choice((("jacfwd", "f"), ("jacrev", "r"), ("hessian", "fr"), ("jvp", "f"),
                             ("vjp", "r")))
    body, _, modes = _body(s, [k], [wanted], 1, 5)
    if not {*needed} <= {*modes}:
        raise Unable
    text = {"jvp": f"m.jvp({body.name}, ({x},), (jnp.cos({x}),))[1]",
            "vjp": f"(lambda y, back: back(jnp.cos(y))[0])(*m.vjp({body.name}, {x}))"}.get(
                kind, f"m.{kind}({body.name})({x})")
    s.emit(f"jnp.tanh({text})", False, 1, (body,), modes)


CONTROL = ((5, scan), (3, fori), (3, while_loop), (6, cond), (6, mapped), (4, called),
           (3, gradient), (3, own_rule), (3, derivatives))
NAMED = ((60, collective),)


# -- whole programs --------------------------------------------------------------------------------


def random_program(seed: int, size: tuple[int, int] = (5, 30), deep: bool = False) -> Program:
    """A program of about `size` statements; the same for the same seed.

    If `deep`, under two to four transforms, of more kinds.
    """
    rng = np.random.default_rng(seed)
    bits = 64 if rng.random() < 0.3 else 32
    names = Names(rng, bits)
    s = Scope(names)
    with config.using(default_bits=bits):
        inputs = {s.add(k): k for k in _inputs(s)}
        _fill(s, *size)
    outputs = [s.pick() for _ in range(s.integer(1, 4))]
    if s.statements and s.chance(0.9):
        outputs.append(s.statements[-1].targets[-1])
    program = Program(seed, bits, inputs, dict(names.constants), tuple(s.statements),
                      tuple(outputs), (), names.known)
    return Program(seed, bits, inputs, dict(names.constants), tuple(s.statements),
                   tuple(outputs), _transforms(s, program, deep), names.known)


def _inputs(s: Scope) -> list[Known]:
    found = [Known(s.shape(s.integer(0, 1) if s.chance(0.3) else s.integer(1, 3)), dt.float32,
                   s.chance(0.3), 3),
             Known((), dt.int32, True, 9)]
    for _ in range(s.integer(1, 4)):
        dtype = s.choice(dtypes_of(s.names.bits))
        if s.chance(0.06):
            dtype = dt.complex64
        like = s.choice(found).shape
        shape = like if s.chance(0.5) else s.shape(s.integer(0, 3))
        exact = dtype.kind in "biu" or dtype.kind != "c" and s.chance(0.4)
        found.append(Known(shape, dtype, exact, 1 if dtype.kind == "b" else 9 if exact else 3))
    return found


def _transforms(s: Scope, program: Program, deep: bool) -> tuple[Transform, ...]:
    found: list[Transform] = []
    floats = any(program.known[n].kind == "f" and program.known[n].size for n in program.outputs)
    modes = _modes(program.statements)
    for _ in range(s.integer(2, 4) if deep else s.integer(0, 3)):
        derivatives = sum(t.name in ("grad", "jvp", "vjp", "linearize") for t in found)
        names = ["jit", "checkpoint", "vmap", "vmap"]
        if floats and derivatives < 2:
            names += ["jvp"] * ("f" in modes) + ["grad"] * (3 if "r" in modes else 0)
            if deep and "r" in modes:  # JAX's linearize asks for as much as reverse mode
                names += ["linearize"] * ("f" in modes) + ["vjp", "vjp"]
        name = s.choice(names)
        if name == "vmap":
            axes = {n: int(s.choice((0, -1))) for n in program.inputs if s.chance(0.6)}
            found.append(Transform("vmap", axes, s.integer(1, 3)))
        else:
            found.append(Transform(name))
    return tuple(found)
