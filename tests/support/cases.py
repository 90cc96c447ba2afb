"""Every operation at operand types and attributes with which tests exercise it."""

import itertools
from dataclasses import dataclass

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Builder, Graph, Type, rebuild, trace_graph
from arraylib.hlo.ops import TABLE

DTYPES = dt.ALL
SHAPE = (2, 3)


@dataclass(frozen=True, eq=False)
class Case:
    """An operation on operands of these types."""

    op: object
    types: tuple
    attrs: dict

    def __str__(self):
        types = "-".join(str(t) for t in self.types)
        return f"{self.op.name}-{types}" if types else self.op.name

    def graph(self):
        """The graph of this operation alone."""
        def function(*xs):
            out = self.op(*xs, **self.attrs)
            return out if self.op.multiple else [out]
        return trace_graph(self.types, function)

    def draw(self, seed=0, types=None):
        """Operands from the operation's domain."""
        rng = np.random.default_rng(seed)
        return [draw(t, rng, self.op.domain) for t in types or self.types]


def draw(type, rng, domain=(-2.0, 2.0)):
    """An array of this type with elements from the domain; integers run a little beyond it."""
    low, high = domain
    kind = dt.kind(type.dtype)
    if kind == "b":
        return rng.random(type.shape) < 0.5
    if kind in "iu":
        least = 0 if kind == "u" else int(np.floor(low))
        return rng.integers(max(least, 0 if low >= 0 else -9), int(high) + 4,
                            type.shape).astype(type.dtype)
    x = rng.uniform(low, high, type.shape)
    return np.asarray(x + 1j * rng.uniform(low, high, type.shape) if kind == "c" else x).astype(
        type.dtype)


def examples():
    """The rows' own examples, and for those without any, of float32 vectors."""
    for op in TABLE.values():
        if op.examples:
            yield from (Case(op, e.types, e.attrs) for e in op.examples)
        else:
            dtype = next(d for d in (dt.float32, dt.complex64, dt.int32, dt.bool_)
                         if dt.kind(d) in op.dtypes)
            yield Case(op, (Type(dtype, SHAPE),) * len(op.jvp), {})


def elementwise(op, dtype, shape=SHAPE, dtypes=DTYPES):
    """The cases of an elementwise operation at one dtype; conversions are to all of `dtypes`."""
    if dt.kind(dtype) not in op.dtypes:
        return
    type = Type(dtype, shape)
    if op.name == "select":
        yield Case(op, (type.with_dtype(dt.bool_), type, type), {})
    elif op.name == "compare":
        ordered = ("EQ", "NE") if dt.is_complex(dtype) else ("EQ", "NE", "LT", "LE", "GT", "GE")
        yield from (Case(op, (type, type), {"direction": d}) for d in ordered)
    elif op.name == "convert":
        yield from (Case(op, (type,), {"dtype": d}) for d in dtypes)
    elif op.name == "bitcast_convert":
        yield from (Case(op, (type,), {"dtype": d}) for d in dtypes
                    if dt.bits(d) == dt.bits(dtype) and (d == dtype or not {
                        dt.kind(d), dt.kind(dtype)} & {"b", "c"}))
    elif op.name == "reduce_precision":
        yield Case(op, (type,), {"exponent_bits": 5, "mantissa_bits": 3})
    elif op.name == "complex":
        if dtype in (dt.float32, dt.float64):
            yield Case(op, (type, type), {})
    else:
        yield Case(op, (type,) * len(op.jvp), op.examples[0].attrs if op.examples else {})


ELEMENTWISE = [op for op in TABLE.values() if op.elementwise]


def elementwise_at(dtype, shape=SHAPE):
    """All cases of elementwise operations at one dtype."""
    return list(itertools.chain.from_iterable(elementwise(op, dtype, shape) for op in ELEMENTWISE))


_WIDE = {dt.float32: dt.float64, dt.complex64: dt.complex128}


def in_double(case):
    """The same case in double precision, its regions as well."""
    return retyped(case, _WIDE)


def retyped(case, dtypes):
    """The same case with some dtypes changed for others, in attributes and regions as well."""
    return Case(case.op, tuple(t.with_dtype(dtypes.get(t.dtype, t.dtype)) for t in case.types),
                _retyped(case.attrs, dtypes))


def _retyped(value, dtypes):
    if isinstance(value, dict):
        return {k: _retyped(v, dtypes) for k, v in value.items()}
    if isinstance(value, np.dtype):
        return dtypes.get(value, value)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.astype(dtypes.get(value.dtype, value.dtype))
    if isinstance(value, Graph):
        return _retyped_graph(value, dtypes)
    return tuple(_retyped(v, dtypes) for v in value) if isinstance(value, tuple) else value


def _retyped_graph(graph, dtypes):
    with Builder() as builder:
        inputs = [builder.input(t.with_dtype(dtypes.get(t.dtype, t.dtype)))
                  for t in graph.input_types]
        outputs = rebuild(graph, inputs, lambda node, xs: builder.emit(
            node.op, xs, _retyped(node.attrs, dtypes), node.where))
        return builder.build(outputs)[0]
