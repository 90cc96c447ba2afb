"""Control flow inside traced programs: scan, while_loop, fori_loop, cond, switch."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, DtypeError, ShapeError, StructureError, mistake
from arraylib.hlo.ir import Graph, Number, Type, given_type, is_weak, known, type_of, weakened
from arraylib.hlo.ops import control as ops
from arraylib.hlo.ops.bounded import limited
from arraylib.hlo.ops.constant import full_like
from arraylib.hlo.ops.elementwise import add, clamp, compare, convert
from arraylib.hlo.ops.loop import scan as scan_op
from arraylib.hlo.ops.shape import concatenate, slice_
from arraylib.hlo.ops.structured import reshape
from arraylib.tracing.cells import Ref, contents, put_all, threaded
from arraylib.tracing.core import Flat, as_operand, flatten_arguments, marked, must_call, trace
from arraylib.tracing.shares import check_carry

Function = Callable[..., Any]
_NOTHING = object()


# -- loops ----------------------------------------------------------------------------------------


def scan(f: Function, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False,
         unroll: int | bool = 1, _split_transpose: bool = False) -> tuple[Any, Any]:
    """(last carry, ys) of `carry, y = f(carry, x)` for each x along the leading axis of xs.

    Args:
        f: from (carry, x) to (carry, y); the carry keeps its structure, shapes and dtypes.
        init: the first carry. xs: a container of arrays with one leading axis of steps, or None.
        length: the number of steps, needed if xs is None. reverse: from the last step to the first.
        unroll: True writes every step out; a number is a hint that changes no result.
        _split_transpose: accepted for JAX's sake; what can be split is split.

    Raises: StructureError, ShapeError or DtypeError where the carry changes; ShapeError where the
    leading axes of xs differ. Differentiable in both modes.

        >>> scan(lambda total, x: (total + x, total), 0., jnp.arange(4.))
        (Array(6., dtype=float32), Array([0., 0., 1., 3.], dtype=float32))
    """
    must_call("scan", f, "the body")
    return scan_as("scan", f, init, xs, length, reverse=reverse, unroll=unroll is True)


def scan_as(name: str, f: Function, init: Any, xs: Any, length: int | None, *,
            reverse: bool = False, unroll: bool = False,
            users: Callable[[Any], Any] = lambda carry: carry) -> tuple[Any, Any]:
    """`scan` on behalf of the function `name`, which messages speak of, and of whose carry only
    the part that `users` picks was given by its user.
    """
    _refuse_refs(name, init, xs)
    carry, carry_structure = flatten_arguments(name, (init,))
    steps, xs_structure = flatten_arguments(name, (xs,))
    length = _steps(name, steps, length)
    flat = Flat(name, lambda c, x: _pair(name, f(*c, *x)),
                tree.structure((tree.unflatten(carry_structure, carry),
                                tree.unflatten(xs_structure, steps))), refs=True)
    carry, graph, captured = _settled(name, flat, init, carry, steps,
                                      lambda out: out[0], users)
    if unroll:
        return _unrolled(name, f, tree.unflatten(carry_structure, carry)[0], xs, length, reverse)
    if refs := flat.written:
        return _scan_over(refs, name, f, init, xs, length, reverse, users)
    k, n = len(carry), len(captured)
    body = _captured_first(graph, n)
    outs = scan_op(*captured, *carry, *steps, body=body, consts=n, carry=k, length=length,
                   reverse=bool(reverse))
    (last, ys), _ = flat.unflatten(marked(outs, flat.weak))
    return last, ys


def _refuse_refs(name: str, init: Any, xs: Any) -> None:
    """ArgumentError for refs where values are carried from step to step, or cut into steps."""
    for what, given in (("the carry", init), ("xs", xs)):
        for x in tree.leaves(given):
            if x.__class__ is Ref:
                raise mistake(ArgumentError, name, f"{what} holds a {x.type}", hint="close over "
                              "it: a body reads and writes the refs of the outside")


def _scan_over(refs: Sequence[Ref], name: str, f: Function, init: Any, xs: Any, length: int,
               reverse: bool, users: Callable[[Any], Any]) -> tuple[Any, Any]:
    """`scan` of a body that writes to refs of the outside: what they hold is carried along."""
    step = threaded(f, refs)

    def body(carry: Any, x: Any) -> Any:
        held, (after, y) = step(*carry, x)
        return (held, after), y
    (held, carry), ys = scan_as(name, body, (list(map(contents, refs)), init), xs, length,
                                reverse=reverse, users=lambda carry: users(carry[1]))
    put_all(refs, held)
    return carry, ys


def _captured_first(graph: Graph, count: int) -> Graph:
    """The graph with its captured inputs, which are its last ones, in front."""
    own = len(graph.inputs) - count
    return Graph((*graph.inputs[own:], *graph.inputs[:own]), graph.nodes, graph.outputs)


def _pair(name: str, out: Any) -> tuple[Any, Any]:
    if isinstance(out, (tuple, list)) and len(out) == 2:
        return out[0], out[1]
    raise mistake(StructureError, name, "the body must return a pair (carry, y), not "
                  f"{_shown(tree.structure(out))}",
                  hint="return carry, None if there is no output per step")


def _shown(structure: Any) -> str:
    """A structure in a message; a leaf on its own would print as a star."""
    return "a single value" if structure is tree.LEAF else str(structure)


def _step_type(x: Any) -> Type:
    return given_type(x).with_shape(type_of(x).shape[1:])


def _steps(name: str, xs: Sequence[Any], length: int | None) -> int:
    types = [type_of(x) for x in xs]
    for i, t in enumerate(types):
        if not t.shape:
            raise mistake(ShapeError, name, f"xs leaf {i} is a scalar, {t}", operands=types,
                          hint="the leading axis of every leaf of xs counts the steps")
        if length is None:
            length = t.shape[0]
        elif t.shape[0] != length:
            raise mistake(ShapeError, name, f"xs leaf {i} has {t.shape[0]} steps, but there are "
                          f"{length}", operands=types, hint="all leading axes (and length) agree")
    if length is None:
        raise mistake(ArgumentError, name, "the number of steps is unknown",
                      hint="pass xs, or length=n")
    return int(length)


def _settled(name: str, flat: Flat, init: Any, carry: list[Any], steps: Sequence[Any],
             result: Callable[[Any], Any], users: Callable[[Any], Any] = lambda carry: carry
             ) -> tuple[list[Any], Graph, list[Any]]:
    """Trace a loop's body until the carry keeps its type, and check that it does.

    A weak carry, such as a Python number, takes the dtype that the first step gives it.
    After the carry it takes rows of `steps`. `result` picks the new carry from what it returned,
    `users` the part the user knows of.
    """
    extra = [_step_type(x) for x in steps]
    weak = [is_weak(x) or x.__class__ is bool for x in tree.leaves(init)]
    graph, captured = trace(flat, [*map(given_type, carry), *extra], alike=[*carry, *steps])
    after = _types(flat, graph, result)
    if len(after) == len(carry):
        settled = [convert(x, dtype=y.dtype)
                   if w and given_type(x) is not y and _promotes(x, y.dtype) else x
                   for w, x, y in zip(weak, carry, after)]
        if any(x is not y for x, y in zip(carry, settled)):
            carry = settled
            graph, captured = trace(flat, [*map(given_type, carry), *extra],
                                    alike=[*carry, *steps])
    before = tree.unflatten(tree.structure(init), carry)
    _check_carry(name, users(before), users(result(flat.unflatten(graph.outputs)[0])))
    check_carry(name, graph, carry, tree.leaves(
        result(flat.unflatten(range(len(graph.outputs)))[0])))
    return carry, graph, captured


def _promotes(x: Any, dtype: dt.Dtype) -> bool:
    """Whether a weak value takes a dtype where the two meet; 1.5 does not become an integer."""
    own = type_of(x).dtype
    return dt.promote(dt.weak_kind(own) if is_weak(x) else own, dtype) == dtype


def _types(flat: Flat, graph: Graph, result: Callable[[Any], Any]) -> list[Type]:
    """The types of the carry that the body returned."""
    types = [t.weakened if w else t for t, w in zip(graph.output_types, flat.weak)]
    places = tree.leaves(result(flat.unflatten(range(len(types)))[0]))
    return [types[place] for place in places]


def _check_carry(name: str, before: Any, after: Any) -> None:
    """The body must give back what it was given: structure, shapes and dtypes."""
    tree.check_same(tree.structure(before), tree.structure(after), op=name,
                    names=("the first carry", "the carry that the body returns"),
                    hint="return a carry of the same structure")
    for (path, y), x in zip(tree.leaves_with_path(after), tree.leaves(before)):
        old, new = type_of(x), type_of(y)
        if old is new:
            continue
        where = f"carry{tree.keystr(path)}"
        if old.shape != new.shape:
            raise mistake(ShapeError, name, f"{where} has shape {old.shape} at first, but shape "
                          f"{new.shape} after a step", operands=[old, new],
                          hint="every step must keep the shapes of the carry")
        raise mistake(DtypeError, name, f"{where} is {dt.name(old.dtype)} at first, but "
                      f"{dt.name(new.dtype)} after a step", operands=[old, new],
                      hint=f"start with .astype({dt.name(new.dtype)}), or convert in the body")


def _unrolled(name: str, f: Function, carry: Any, xs: Any, length: int,
              reverse: bool) -> tuple[Any, Any]:
    ys: list[Any] = [None] * length
    for i in reversed(range(length)) if reverse else range(length):
        carry, ys[i] = _pair(name, f(carry, tree.map(lambda x, i=i: _at(x, i), xs)))
    if not ys:
        raise mistake(ArgumentError, name, "unroll=True needs at least one step",
                      hint="leave unroll out: a loop of no steps is compiled as one")
    return carry, tree.map(lambda *rows: _stack(rows), *ys)


def _at(x: Any, i: int) -> Any:
    """x[i] along the leading axis."""
    x = as_operand(x, "scan", lambda: "xs")
    shape = type_of(x).shape
    part = slice_(x, start=(i, *[0] * (len(shape) - 1)), limit=(i + 1, *shape[1:]),
                  strides=(1,) * len(shape))
    return reshape(part, shape=shape[1:])


def _stack(rows: Sequence[Any]) -> Any:
    return concatenate(*[reshape(r, shape=(1, *type_of(r).shape)) for r in rows], dimension=0)


def while_loop(cond_fun: Function, body_fun: Function, init_val: Any, *,
               max_steps: int | None = None) -> Any:
    """The value after applying body_fun while cond_fun(value) is true.

    Under vmap, where conditions differ from example to example, there are as many steps as the
    longest takes; the values of examples that have stopped stay as they are.

    Args:
        cond_fun, body_fun: functions of a container like `init_val`.
        init_val: the first value.
        max_steps: the loop ends after so many steps in any case. With it, and only then, there is
            reverse mode; derivatives keep what they read in memory for `max_steps` steps.

    Raises: StructureError, ShapeError, DtypeError where the body changes the kind of the value, or
    the condition is no scalar bool; ArgumentError if max_steps is no count; TraceError in reverse
    mode without max_steps.

        >>> while_loop(lambda x: x < 100, lambda x: x * 2, 1)
        Array(128, dtype=int32)
        >>> grad(lambda x: while_loop(lambda x: x < 100, lambda x: x * x, x, max_steps=9))(2.0)
        Array(1024., dtype=float32)
    """
    limit = _limit("while_loop", max_steps)
    must_call("while_loop", cond_fun, "the condition")
    must_call("while_loop", body_fun, "the body")
    carry, structure = flatten_arguments("while_loop", (init_val,))
    body = Flat("while_loop", body_fun, structure, refs=True)
    carry, body_graph, body_captured = _settled("while_loop", body, init_val, carry, (),
                                                lambda out: out)
    cond_graph, cond_captured = trace(Flat("while_loop", cond_fun, structure),
                                      list(map(given_type, carry)))
    _check_condition(cond_graph)
    if refs := body.written:
        step, condition = threaded(body_fun, refs), threaded(cond_fun, refs)
        held, value = while_loop(lambda c: condition(*c)[1], lambda c: step(*c),
                                 (list(map(contents, refs)), init_val), max_steps=max_steps)
        put_all(refs, held)
        return value
    n, m = len(cond_captured), len(body_captured)
    loop = ops.while_ if limit is None else partial(limited, limit=limit)
    outs = loop(*cond_captured, *body_captured, *carry, cond=_captured_first(cond_graph, n),
                body=_captured_first(body_graph, m), cond_consts=n, body_consts=m)
    return tree.unflatten(structure, marked(outs, list(map(is_weak, carry))))[0]


def _limit(name: str, max_steps: int | None) -> int | None:
    """The most steps as a number; ArgumentError for what is none."""
    if max_steps is None:
        return None
    if isinstance(max_steps, (int, np.integer)) and not isinstance(max_steps, bool) \
            and 0 <= max_steps < 2 ** 31:
        return int(max_steps)
    raise mistake(ArgumentError, name, f"max_steps is {max_steps!r}",
                  hint="a number of steps that is known while tracing: 0 or more, below 2**31")


def _check_condition(graph: Graph) -> None:
    if graph.output_types == (Type(dt.bool_, ()),):
        return
    given = ", ".join(map(str, graph.output_types)) or "nothing"
    raise mistake(DtypeError, "while_loop", f"the condition returns {given}, not one bool",
                  hint="reduce it with jnp.all or jnp.any, or compare it with something")


def fori_loop(lower: Any, upper: Any, body_fun: Function, init_val: Any, *,
              unroll: int | bool | None = None, max_steps: int | None = None) -> Any:
    """`for i in range(lower, upper): value = body_fun(i, value)`.

    With bounds that are known while tracing it is a `scan`, differentiable in both modes; else a
    `while_loop`, which has reverse mode if `max_steps` says after how many steps to end at most.

        >>> fori_loop(0, 5, lambda i, total: total + i, 0)
        Array(10, dtype=int32)
    """
    limit = _limit("fori_loop", max_steps)
    must_call("fori_loop", body_fun, "the body")
    first, last = (_known_int(x) for x in (lower, upper))
    if first is not None and last is not None:
        last = last if limit is None else min(last, first + limit)
        counter = Number.of(first)
        def step(carry: Any, _: Any) -> Any:
            i, value = carry
            return (add(i, _one_like(i)), body_fun(i, value)), None
        (_, value), _ = scan_as("fori_loop", step, (counter, init_val), None, max(0, last - first),
                                unroll=unroll is True, users=lambda carry: carry[1])
        return value
    low, high = (as_operand(x, "fori_loop", lambda: "a bound") for x in (lower, upper))
    if type_of(low).dtype != type_of(high).dtype:
        low, high = (convert(x, dtype=dt.promote(type_of(low).dtype, type_of(high).dtype))
                     for x in (low, high))
    one = _one_like(low)
    _, _, value = while_loop(lambda c: compare(c[0], c[1], direction="LT"),
                             lambda c: (add(c[0], one), c[1], body_fun(c[0], c[2])),
                             (low, high, init_val), max_steps=limit)
    return value


def _one_like(x: Any) -> Any:
    """One, as weak as x."""
    one = full_like(x, 1)
    return weakened(one) if is_weak(x) else one


def _known_int(x: Any) -> int | None:
    array = known(x) if hasattr(x, "builder") else np.asarray(x)
    if array is None:
        return None
    if array.shape or not np.issubdtype(array.dtype, np.integer):
        raise mistake(DtypeError, "fori_loop", f"a bound is {type_of(x)}, not an integer",
                      hint="int(...), or x.astype(int)")
    return int(array)


# -- branches -------------------------------------------------------------------------------------


def cond(pred: Any, true_fun: Function, false_fun: Function, *operands: Any,
         operand: Any = _NOTHING) -> Any:
    """true_fun(*operands) if pred else false_fun(*operands); only the chosen one is computed.

    Under vmap over pred both are. One operand may be given as `operand`. Raises StructureError,
    ShapeError or DtypeError where the two results differ.

        >>> cond(True, lambda x: x + 1, lambda x: x - 1, 5)
        Array(6, dtype=int32)
    """
    pred = as_operand(pred, "cond", lambda: "the predicate")
    if type_of(pred).shape != ():
        raise mistake(ShapeError, "cond", f"the predicate is {type_of(pred)}, not a scalar",
                      hint="jnp.where chooses element by element")
    if not dt.is_bool(type_of(pred).dtype):
        pred = compare(pred, full_like(pred, 0), direction="NE")
    return _case("cond", convert(pred, dtype=dt.int32), [false_fun, true_fun],
                 ["false_fun", "true_fun"], _operands("cond", operands, operand))


def _operands(name: str, operands: tuple[Any, ...], operand: Any) -> tuple[Any, ...]:
    """The operands of a branch, of which one may have been given by its name."""
    if operand is _NOTHING:
        return operands
    if operands:
        raise mistake(ArgumentError, name, f"operand= is given besides {len(operands)} operands",
                      hint="all of them by position")
    return (operand,)


def switch(index: Any, branches: Sequence[Function], *operands: Any,
           operand: Any = _NOTHING) -> Any:
    """branches[index](*operands), the index limited to the range; only one is computed.

    One operand may be given as `operand`.

        >>> switch(1, [lambda x: x, lambda x: -x], 3.0)
        Array(-3., dtype=float32)
    """
    index = as_operand(index, "switch", lambda: "the index")
    if type_of(index).shape != () or not dt.is_integer(type_of(index).dtype):
        raise mistake(DtypeError, "switch", f"the index is {type_of(index)}, not a scalar integer",
                      hint="index.astype(int); cond chooses by a truth value")
    if not branches:
        raise mistake(ArgumentError, "switch", "there are no branches",
                      hint="pass at least one function")
    dtype = type_of(index).dtype  # in which it is limited: as int32 it could be another number
    last = min(len(branches) - 1, int(dt.iinfo(dtype).max))
    index = clamp(np.asarray(0, dtype), index, np.asarray(last, dtype))
    if dtype != dt.int32:
        index = convert(index, dtype=dt.int32)
    return _case("switch", index, branches, [f"branch {i}" for i in range(len(branches))],
                 _operands("switch", operands, operand))


def _case(name: str, index: Any, functions: Sequence[Function], names: Sequence[str],
          operands: Any) -> Any:
    for function, role in zip(functions, names):
        must_call(name, function, role)
    leaves, structure = flatten_arguments(name, operands)
    flats = [Flat(name, f, structure, refs=True) for f in functions]
    traced = [trace(flat, list(map(given_type, leaves)), alike=leaves) for flat in flats]
    if refs := list(dict.fromkeys(ref for flat in flats for ref in flat.written)):
        steps = [threaded(f, refs) for f in functions]
        held, out = _case(name, index, steps, names, (list(map(contents, refs)), *operands))
        put_all(refs, held)
        return out
    for i, (graph, _) in enumerate(traced):
        _check_branch(name, flats, traced[0][0], graph, i, names)
    branches, captured = same_captures(traced, [len(leaves)] * len(traced))
    outs = ops.case(index, *leaves, *captured, branches=branches)
    weak = [all(some) for some in zip(*[flat.weak for flat in flats])]
    return flats[0].unflatten(marked(outs, weak))[0]


def _check_branch(name: str, flats: Sequence[Flat], first: Graph, graph: Graph, i: int,
                  names: Sequence[str]) -> None:
    first_output, output = (tree.structure(f.unflatten(range(f.output.num_leaves))[0])
                            for f in (flats[0], flats[i]))
    tree.check_same(first_output, output, op=name,
                    names=(f"what {names[0]} returns", f"what {names[i]} returns"),
                    hint="all branches return the same structure")
    for j, (a, b) in enumerate(zip(first.output_types, graph.output_types)):
        if a is not b:
            kind = ShapeError if a.shape != b.shape else DtypeError
            raise mistake(kind, name, f"output {j} is {a} from {names[0]} but {b} from {names[i]}",
                          hint="convert or reshape in one of them")


def same_captures(traced: Sequence[tuple[Graph, list[Any]]],
                  owns: Sequence[int]) -> tuple[tuple[Graph, ...], list[Any]]:
    """Graphs that all take, after their own inputs, what any of them captured from outside."""
    captured = {id(x): x for _, outer in traced for x in outer}
    types = [type_of(x) for x in captured.values()]
    branches = []
    for (graph, outer), own in zip(traced, owns, strict=True):
        mine = {id(x): v for x, v in zip(outer, graph.inputs[own:])}
        extra = tuple(mine[key] if key in mine else ops.unused(t)
                      for key, t in zip(captured, types))
        branches.append(Graph((*graph.inputs[:own], *extra), graph.nodes, graph.outputs))
    return tuple(branches), list(captured.values())
