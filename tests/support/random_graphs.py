"""Random programs: every value of one of a few types, every operation applied to what there is."""

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Builder, Graph, Type, trace_graph
from arraylib.hlo.ops import TABLE
from arraylib.hlo.ops.constant import full

SHAPES = ((), (2,), (3,), (2, 3), (3, 2))
DTYPES = (dt.float32, dt.int32, dt.bool_)
BINARY = ("add", "subtract", "multiply", "maximum", "divide", "and", "or")
UNARY = ("negate", "sine", "tan", "abs", "not", "stop_gradient", "tanh")
REDUCTIONS = ("reduce_add", "reduce_maximum", "reduce_and")
NUMBERS = (0, 1, -1, -0.0, 0.5, 2)


def random_graph(seed, size=30):
    """A closed graph of about `size` operations, with repetitions, constants and dead ends."""
    rng = np.random.default_rng(seed)
    with Builder() as builder:
        pool = [builder.input(Type(d, s)) for d in DTYPES for s in SHAPES[2:4]]
        while len(builder.nodes) < size:
            made = _step(rng, pool)
            pool += [] if made is None else [made]
        outputs = [pool[i] for i in rng.integers(len(pool), size=4)]
        return builder.build([*outputs, pool[-1]])[0]


def _step(rng, pool):
    x = pool[rng.integers(len(pool))]
    return STEPS[rng.integers(len(STEPS))](rng, pool, x)


def _fits(name, x):
    return dt.kind(x.type.dtype) in TABLE[name].dtypes


def _constant(rng, pool, x):
    number = NUMBERS[rng.integers(len(NUMBERS))]
    if rng.random() < 0.3:
        return TABLE["constant"](value=rng.integers(0, 2, x.type.shape).astype(x.type.dtype))
    return full(x.type.shape, number, x.type.dtype)


def _binary(rng, pool, x):
    same = [y for y in pool if y.type is x.type]
    names = [name for name in BINARY if _fits(name, x)]
    return TABLE[rng.choice(names)](x, same[rng.integers(len(same))]) if names else None


def _unary(rng, pool, x):
    names = [name for name in UNARY if _fits(name, x)]
    return TABLE[rng.choice(names)](x)


def _axes(rng, pool, x):
    shape = x.type.shape
    kind = rng.integers(4)
    if kind == 0:
        return TABLE["transpose"](x, permutation=tuple(int(i) for i in rng.permutation(len(shape))))
    if kind == 1:
        return TABLE["reshape"](x, shape=(*shape, 1) if rng.random() < 0.5 else (x.type.size,))
    if kind == 2:
        return TABLE["broadcast_in_dim"](x, shape=(2, *shape), broadcast_dimensions=tuple(
            range(1, len(shape) + 1))) if len(shape) < 3 else None
    return TABLE["slice"](x, start=(0,) * len(shape), limit=shape, strides=(1,) * len(shape))


def _reduce(rng, pool, x):
    names = [name for name in REDUCTIONS if _fits(name, x)]
    axes = tuple(d for d in range(x.type.rank) if rng.random() < 0.5)
    return TABLE[rng.choice(names)](x, dimensions=axes)


def _choose(rng, pool, x):
    predicates = [p for p in pool if p.type is x.type.with_dtype(dt.bool_)]
    same = [y for y in pool if y.type is x.type]
    if not predicates:
        return None
    return TABLE["select"](predicates[rng.integers(len(predicates))], x, rng.choice(same))


def _convert(rng, pool, x):
    return TABLE["convert"](x, dtype=DTYPES[rng.integers(len(DTYPES))])


def _concatenate(rng, pool, x):
    return TABLE["concatenate"](x, dimension=0) if x.type.rank else None


def _region(rng, types, wanted):
    """A random closed graph: of each wanted type it returns the last value there is."""
    def function(*xs):
        pool = list(xs)
        for _ in range(4):
            x = pool[rng.integers(len(pool))]
            made = SIMPLE[rng.integers(len(SIMPLE))](rng, pool, x)
            pool += [] if made is None else [made]
        return [next(v for v in reversed(pool) if v.type is t) for t in wanted]
    return trace_graph(types, function)


def _like(rng, pool, x):
    same = [y for y in pool if y.type is x.type]
    return same[rng.integers(len(same))]


def _scan(rng, pool, x):
    """Two values carried round, which may change places; one that stays, and one stacked."""
    types = [x.type] * 3
    body = _region(rng, types, types)
    if rng.random() < 0.3:
        body = Graph(body.inputs, body.nodes, (body.inputs[2], *body.outputs[1:]))
    first, second, stacked = TABLE["scan"](
        _like(rng, pool, x), x, _like(rng, pool, x), body=body, consts=1, carry=2, length=3,
        reverse=bool(rng.random() < 0.5))
    if stacked.type.rank < 3 and rng.random() < 0.5:
        return stacked
    return first if rng.random() < 0.5 else second


def _while(rng, pool, x):
    """A number of steps that is known only at run time."""
    step = Type(dt.int32, ())
    start = TABLE["reduce_maximum"](TABLE["convert"](x, dtype=dt.int32),
                                    dimensions=tuple(range(x.type.rank)))
    start = TABLE["clamp"](full((), 0, dt.int32), start, full((), 3, dt.int32))
    cond = trace_graph([step, x.type, x.type], lambda i, *_: [
        TABLE["compare"](i, np.int32(4), direction="LT")])
    inner = _region(rng, [x.type] * 2, [x.type] * 2)
    body = trace_graph([step, x.type, x.type], lambda i, *xs: [
        TABLE["add"](i, np.int32(1)), *TABLE["call"](*xs, body=inner)])
    return TABLE["while"](start, x, _like(rng, pool, x), cond=cond, body=body, cond_consts=0,
                          body_consts=0)[rng.integers(1, 3)]


def _case(rng, pool, x):
    index = TABLE["reduce_add"](TABLE["convert"](x, dtype=dt.int32),
                                dimensions=tuple(range(x.type.rank)))
    types = [x.type] * 2
    branches = tuple(_region(rng, types, types[:1]) for _ in range(3))
    return TABLE["case"](index, x, _like(rng, pool, x), branches=branches)[0]


SIMPLE = (_constant, _constant, _binary, _binary, _unary, _axes, _axes, _reduce, _choose, _convert,
          _concatenate)
STEPS = (*SIMPLE * 2, _scan, _while, _case)


def random_inputs(graph, seed=0):
    """Operands for a graph's inputs: few different numbers, and of floats the special ones."""
    rng = np.random.default_rng(seed)
    special = np.array([-2, -1, -0.0, 0, 0.5, 1, 2, np.inf, -np.inf, np.nan])
    return [(rng.choice(special, t.shape) if dt.is_float(t.dtype)
             else rng.integers(-2, 3, t.shape)).astype(t.dtype) for t in graph.input_types]
