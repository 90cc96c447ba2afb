"""How each operation is written. Rows give what follows the operands, and the types at the end.

The forms are those that MLIR itself prints, so that text from either side compares.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.hlo.ir import Graph, Node, Type
from arraylib.hlo.opdef import Attrs, OpDef
from arraylib.hlo.ops import (
    constant as const,
    control,
    dynamic,
    elementwise as ew,
    indexed,
    reduction as red,
    shape,
    sort as sorting,
    structured as st,
)
from arraylib.hlo.text.literals import attribute, dense, integers, tensor
from arraylib.hlo.text.writer import Writer, signature, tensors

Form = Callable[[Writer, Node], None]


def print_nodes(writer: Writer, graph: Graph) -> None:
    """Print the nodes of a graph whose inputs have names."""
    for node in graph.nodes:
        FORMS.get(node.op, _plain)(writer, node)


# -- one line --------------------------------------------------------------------------------------


def _result_types(node: Node) -> list[Type]:
    return [v.type for v in node.outputs]


def _signature(node: Node) -> str:
    return signature(node.types, _result_types(node))


def _joint(node: Node) -> str:
    """One type if operands and results all have it."""
    types = {*node.types, *_result_types(node)}
    return tensor(node.types[0]) if len(types) == 1 else _signature(node)


def _write(writer: Writer, node: Node, call: str, types: str) -> None:
    writer.line(f"{writer.results(node.outputs)}{call} : {types}")


def _plain(writer: Writer, node: Node) -> None:
    """Operands and types only; any operation of our own in MLIR's generic form."""
    if node.op.dialect == "stablehlo":
        call = f"stablehlo.{node.op.name} {writer.names(node.inputs)}"
        _write(writer, node, call, _joint(node))
    elif node.op.dialect == "chlo":
        call = f"chlo.{node.op.name} {writer.names(node.inputs)}"
        _write(writer, node, call, f"{tensors(node.types)} -> {tensors(_result_types(node))}")
    else:
        _generic(writer, node)


def _line(suffix: Callable[[Attrs], str] = lambda a: "",
          types: Callable[[Node], str] = _signature) -> Form:
    """The operation, its operands, what its attributes add, and types."""
    def form(writer: Writer, node: Node) -> None:
        operands = writer.names(node.inputs)
        call = f"stablehlo.{node.op.name} {operands}{suffix(node.attrs)}"
        _write(writer, node, call, types(node))
    return form


def _dims(name: str, key: str) -> Callable[[Attrs], str]:
    return lambda attrs: f", {name} = {integers(attrs[key])}"


def _padding(attrs: Attrs) -> str:
    return "".join(f", {side} = {integers(attrs[side])}" for side in ("low", "high", "interior"))


def _ranges(attrs: Attrs) -> str:
    parts = [f"{low}:{high}" + (f":{step}" if step != 1 else "")
             for low, high, step in zip(attrs["start"], attrs["limit"], attrs["strides"])]
    return f" [{', '.join(parts)}]"


def _dot_dims(attrs: Attrs) -> str:
    batching, contracting = (
        f", {kind}_dims = {integers(attrs[f'lhs_{kind}'])} x {integers(attrs[f'rhs_{kind}'])}"
        for kind in ("batching", "contracting"))
    return (batching if attrs["lhs_batching"] else "") + contracting


def _constant(writer: Writer, node: Node) -> None:
    value = node.attrs["value"]
    name = writer.fresh("cst" if dt.is_inexact(value.dtype) else "c")
    writer.call(node.outputs[0], name)
    writer.line(f"{name} = stablehlo.constant {dense(np.asarray(value))} : "
                f"{tensor(node.outputs[0].type)}")


def _iota(writer: Writer, node: Node) -> None:
    _write(writer, node, f"stablehlo.iota dim = {node.attrs['dimension']}",
           tensor(node.outputs[0].type))


def comparison(dtype: np.dtype[Any]) -> str:
    """How StableHLO calls the order of a dtype."""
    return {"f": "FLOAT", "c": "FLOAT", "i": "SIGNED"}.get(dt.kind(dtype), "UNSIGNED")


def _compare(writer: Writer, node: Node) -> None:
    order = comparison(node.types[0].dtype)
    call = f"stablehlo.compare {node.attrs['direction']}, {writer.names(node.inputs)}, {order}"
    _write(writer, node, call, _signature(node))


def _same_value(writer: Writer, node: Node) -> None:
    writer.call(node.outputs[0], writer.name(node.inputs[0]))


def _trigamma(writer: Writer, node: Node) -> None:
    (x,), type = node.inputs, tensor(node.types[0])
    one = extra_constant(writer, np.broadcast_to(np.ones((), x.type.dtype), x.type.shape))
    _write(writer, node, f"chlo.polygamma {one}, {writer.name(x)}", f"{type}, {type} -> {type}")


def extra_constant(writer: Writer, array: Any) -> str:
    """Print a constant that the graph does not have, and return its name."""
    name = writer.fresh("cst" if dt.is_inexact(array.dtype) else "c")
    writer.line(f"{name} = stablehlo.constant {dense(array)} : "
                f"{tensor(Type(array.dtype, array.shape))}")
    return name


# -- regions ---------------------------------------------------------------------------------------


def _body(writer: Writer, graph: Graph, operands: Sequence[str], end: str) -> None:
    """The nodes of a region in which these names are its inputs, and its last line."""
    for value, name in zip(graph.inputs, operands, strict=True):
        writer.call(value, name)
    print_nodes(writer, graph)
    _return(writer, end, [writer.name(v) for v in graph.outputs], graph.output_types)


def _return(writer: Writer, end: str, names: Sequence[str], types: Sequence[Type]) -> None:
    writer.line(f"{end} {', '.join(names)} : {tensors(types)}" if names else end)


def _call(writer: Writer, node: Node) -> None:
    symbol = writer.symbol(node.attrs["body"], node.attrs.get("name") or node.op.name)
    word = "call" if writer.depth == 2 else "func.call"
    _write(writer, node, f"{word} @{symbol}({writer.names(node.inputs)})", _signature(node))


def _barrier(writer: Writer, node: Node) -> None:
    if node.inputs:
        _write(writer, node, f"stablehlo.optimization_barrier {writer.names(node.inputs)}",
               tensors(node.types))


def _case(writer: Writer, node: Node) -> None:
    """Branches see the values around them: the operands are not passed."""
    index, *operands = [writer.name(v) for v in node.inputs]
    writer.line(f'{writer.results(node.outputs)}"stablehlo.case"({index}) ({{')
    for i, branch in enumerate(node.attrs["branches"]):
        if i:
            writer.line("}, {")
        with writer.scope():
            _body(writer, branch, operands, "stablehlo.return")
    writer.line(f"}}) : {signature(node.types[:1], _result_types(node))}")


def _while(writer: Writer, node: Node) -> None:
    """The carry has names of its own; constants are seen from inside."""
    operands = [writer.name(v) for v in node.inputs]
    n, m = node.attrs["cond_consts"], node.attrs["body_consts"]
    results = writer.results(node.outputs)
    with writer.scope(0):
        carry = [writer.fresh("iterArg") for _ in node.outputs]
        pairs = ", ".join(f"{name} = {x}" for name, x in zip(carry, operands[n + m:]))
        writer.line(f"{results}stablehlo.while({pairs}) : {tensors(_result_types(node))}")
        writer.line("cond {")
        with writer.scope():
            _body(writer, node.attrs["cond"], [*operands[:n], *carry], "stablehlo.return")
        writer.line("} do {")
        with writer.scope():
            _body(writer, node.attrs["body"], [*operands[n:n + m], *carry], "stablehlo.return")
        writer.line("}")


def _generic(writer: Writer, node: Node) -> None:
    """`"arraylib.scan"(%0) ({region}) {attributes} : (types) -> types`"""
    results = writer.results(node.outputs)
    operands = writer.names(node.inputs)
    graphs = [v for v in node.attrs.values() if isinstance(v, Graph)]
    writer.line(f'{results}"{node.op.dialect}.{node.op.name}"({operands}){" ({" * bool(graphs)}')
    for i, graph in enumerate(graphs):
        if i:
            writer.line("}, {")
        with writer.scope(0):
            arguments = [writer.argument() for _ in graph.inputs]
            typed = ", ".join(f"{a}: {tensor(v.type)}" for a, v in zip(arguments, graph.inputs))
            writer.line(f"^bb0({typed}):")
            with writer.scope():
                for value, name in zip(graph.inputs, arguments, strict=True):
                    writer.call(value, name)
                print_nodes(writer, graph)
                writer.line(f'"{node.op.dialect}.return"({writer.names(graph.outputs)}) : '
                            f"({tensors(graph.output_types)}) -> ()")
    rest = {k: v for k, v in node.attrs.items() if not isinstance(v, Graph) and v is not None}
    shown = ", ".join(f"{k} = {attribute(v)}" for k, v in sorted(rest.items()))
    end = f"{'})' * bool(graphs)}{f' {{{shown}}}' if rest else ''} : {_signature(node)}"
    if graphs:
        writer.line(end.lstrip())
    else:
        writer.lines[-1] += end


# -- reductions and order --------------------------------------------------------------------------


class _Block:
    """Writes the small regions that combine or compare elements: scalars in, scalars out."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def emit(self, call: str, types: str) -> str:
        name = self.writer.fresh()
        self.writer.line(f"{name} = stablehlo.{call} : {types}")
        return name

    def apply(self, op: str, x: str, y: str, dtype: Any) -> str:
        return self.emit(f"{op} {x}, {y}", tensor(Type(dtype, ())))

    def compare(self, direction: str, x: str, y: str, dtype: Any, order: str = "") -> str:
        types = signature([Type(dtype, ())] * 2, [Type(dt.bool_, ())])
        return self.emit(f"compare {direction}, {x}, {y}, {order or comparison(dtype)}", types)

    def select(self, predicate: str, x: str, y: str, dtype: Any) -> str:
        return self.emit(f"select {predicate}, {x}, {y}", f"tensor<i1>, {tensor(Type(dtype, ()))}")


def _reduce(combine: str) -> Form:
    """A reduction by one operation, from what the reduction of nothing gives."""
    def form(writer: Writer, node: Node) -> None:
        (x,) = node.inputs
        (start,) = node.op.evaluate([np.zeros(0, x.type.dtype)], {"dimensions": (0,)})
        init = extra_constant(writer, np.asarray(start))
        call = (f"stablehlo.reduce({writer.name(x)} init: {init}) applies stablehlo.{combine} "
                f"across dimensions = {integers(node.attrs['dimensions'])}")
        _write(writer, node, call, signature([x.type, x.type.with_shape(())], _result_types(node)))
    return form


def _index_of(direction: str, worst: str) -> Form:
    """A reduction of (element, index) pairs: the better element, or of equals the first."""
    def form(writer: Writer, node: Node) -> None:
        (x,), (out,) = node.inputs, node.outputs
        (axis,), types = node.attrs["dimensions"], (x.type, x.type.with_dtype(out.type.dtype))
        index = writer.fresh()
        writer.line(f"{index} = stablehlo.iota dim = {axis} : {tensor(types[1])}")
        inits = [extra_constant(writer, value) for value in
                 (_extreme(x.type.dtype, worst), np.zeros((), out.type.dtype))]
        results = writer.fresh()
        scalars = [t.with_shape(()) for t in types]
        reduced = [t.with_shape(out.type.shape) for t in types]
        writer.line(
            f"{results}:2 = stablehlo.reduce({writer.name(x)} init: {inits[0]}), ({index} init: "
            f"{inits[1]}) across dimensions = [{axis}] : {signature([*types, *scalars], reduced)}")
        _index_reducer(writer, scalars, direction)
        writer.call(out, f"{results}#1")
    return form


def _extreme(dtype: np.dtype[Any], which: str) -> Any:
    """The lowest or highest value of a dtype: what an extreme over nothing is."""
    op = red.reduce_maximum if which == "lowest" else red.reduce_minimum
    return np.asarray(op.evaluate([np.zeros(0, dtype)], {"dimensions": (0,)})[0])


def _index_reducer(writer: Writer, scalars: Sequence[Type], direction: str) -> None:
    value, index = scalars[0].dtype, scalars[1].dtype
    with writer.scope(0):
        x, i, y, j = (writer.argument() for _ in range(4))
        writer.line(f" reducer({x}: {tensor(scalars[0])}, {y}: {tensor(scalars[0])}) "
                    f"({i}: {tensor(scalars[1])}, {j}: {tensor(scalars[1])})  {{")
        with writer.scope():
            block = _Block(writer)
            better = block.compare(direction, x, y, value)
            equal = block.compare("EQ", x, y, value)
            if dt.is_float(value):  # nan is better than any number, and equal to nan
                x_nan, y_nan = (block.compare("NE", v, v, value) for v in (x, y))
                no_nan = block.emit(f"not {y_nan}", "tensor<i1>")
                better = block.apply("or", better, block.apply("and", x_nan, no_nan, bool), bool)
                equal = block.apply("or", equal, block.apply("and", x_nan, y_nan, bool), bool)
            first = block.compare("LT", i, j, index)
            chosen = block.apply("or", better, block.apply("and", equal, first, bool), bool)
            names = [block.select(chosen, x, y, value), block.select(chosen, i, j, index)]
            _return(writer, "stablehlo.return", names, scalars)
        writer.line("}")


def _sort(writer: Writer, node: Node) -> None:
    attrs, scalars = node.attrs, [t.with_shape(()) for t in node.types]
    writer.line(f'{writer.results(node.outputs)}"stablehlo.sort"({writer.names(node.inputs)}) '
                f"<{{dimension = {attrs['dimension']} : i64, is_stable = true}}> ({{")
    with writer.scope(0):
        pairs = [(writer.argument(), writer.argument()) for _ in scalars]
        typed = [f"{a}: {tensor(t)}" for pair, t in zip(pairs, scalars) for a in pair]
        writer.line(f"^bb0({', '.join(typed)}):")
        with writer.scope():
            block, keys = _Block(writer), attrs["num_keys"]
            parts = [part for pair, t in zip(pairs[:keys], scalars)
                     for part in _key_parts(block, pair, t.dtype)]
            less = ""
            for x, y, dtype in reversed(parts):  # x < y, or x == y and the rest is less
                order = "TOTALORDER" if dt.is_float(dtype) else comparison(dtype)
                first = block.compare("LT", x, y, dtype, order)
                if less:
                    equal = block.compare("EQ", x, y, dtype, order)
                    first = block.apply("or", first, block.apply("and", equal, less, bool), bool)
                less = first
            _return(writer, "stablehlo.return", [less], [Type(dt.bool_, ())])
    writer.line(f"}}) : {_signature(node)}")


def _key_parts(block: _Block, pair: tuple[str, str], dtype: Any) -> list[tuple[str, str, Any]]:
    """A pair of keys as pairs that the total order puts right: no -0, and only one nan."""
    if dt.is_complex(dtype):
        real = dt.to_real(dtype)
        types = signature([Type(dtype, ())], [Type(real, ())])
        return [part for half in ("real", "imag") for part in _key_parts(
            block, (block.emit(f"{half} {pair[0]}", types), block.emit(f"{half} {pair[1]}", types)),
            real)]
    if not dt.is_float(dtype):
        return [(*pair, dtype)]
    def canonical(x: str) -> str:
        zero, nan = (extra_constant(block.writer, np.asarray(v).astype(dtype)) for v in (0, np.nan))
        x = block.select(block.compare("EQ", x, zero, dtype), zero, x, dtype)
        return block.select(block.compare("NE", x, x, dtype), nan, x, dtype)
    return [(canonical(pair[0]), canonical(pair[1]), dtype)]


# -- gather and scatter ----------------------------------------------------------------------------


def _numbers(kind: str, attrs: Attrs, names: Sequence[str]) -> str:
    """`#stablehlo.gather<offset_dims = [1], index_vector_dim = 1>`, empty lists left out."""
    lists = [f"{name} = {integers(attrs[name])}" for name in names if attrs[name]]
    return f"#stablehlo.{kind}<{', '.join([*lists, _vector(attrs)])}>"


def _vector(attrs: Attrs) -> str:
    return f"index_vector_dim = {attrs['index_vector_dim']}"


def _gather(writer: Writer, node: Node) -> None:
    numbers = _numbers("gather", node.attrs, (
        "offset_dims", "collapsed_slice_dims", "operand_batching_dims",
        "start_indices_batching_dims", "start_index_map"))
    sizes = attribute(node.attrs["slice_sizes"])
    call = (f'"stablehlo.gather"({writer.names(node.inputs)}) <{{dimension_numbers = {numbers}, '
            f"indices_are_sorted = false, slice_sizes = {sizes}}}>")
    _write(writer, node, call, _signature(node))


def _scatter(writer: Writer, node: Node) -> None:
    numbers = _numbers("scatter", node.attrs, (
        "update_window_dims", "inserted_window_dims", "input_batching_dims",
        "scatter_indices_batching_dims", "scatter_dims_to_operand_dims"))
    unique = attribute(bool(node.attrs["unique_indices"]))
    writer.line(f'{writer.results(node.outputs)}"stablehlo.scatter"({writer.names(node.inputs)}) '
                f"<{{indices_are_sorted = false, scatter_dimension_numbers = {numbers}, "
                f"unique_indices = {unique}}}> ({{")
    kind, scalar = node.attrs["kind"], node.types[0].with_shape(())
    with writer.scope(0):
        x, y = writer.argument(), writer.argument()
        writer.line(f"^bb0({x}: {tensor(scalar)}, {y}: {tensor(scalar)}):")
        with writer.scope():
            result = y if kind == "set" else _Block(writer).apply(kind, x, y, scalar.dtype)
            _return(writer, "stablehlo.return", [result], [scalar])
    writer.line(f"}}) : {_signature(node)}")


FORMS: dict[OpDef, Form] = {
    const.constant: _constant,
    const.iota: _iota,
    ew.compare: _compare,
    ew.select: _line(types=lambda node: tensors(node.types[:2])),
    ew.complex_: _line(types=lambda node: tensor(node.outputs[0].type)),
    ew.bitcast_convert: _line(),
    ew.reduce_precision: _line(
        lambda a: f", format = e{a['exponent_bits']}m{a['mantissa_bits']}", _joint),
    ew.trigamma: _trigamma,
    control.stop_gradient: _same_value,
    st.transpose: _line(_dims("dims", "permutation")),
    st.broadcast_in_dim: _line(_dims("dims", "broadcast_dimensions")),
    st.reshape: _line(),
    shape.slice_: _line(_ranges),
    shape.pad: _line(_padding),
    shape.concatenate: _line(lambda a: f", dim = {a['dimension']}"),
    shape.reverse: _line(_dims("dims", "dimensions"), _joint),
    st.reduce_add: _reduce("add"),
    red.reduce_multiply: _reduce("multiply"),
    red.reduce_maximum: _reduce("maximum"),
    red.reduce_minimum: _reduce("minimum"),
    red.reduce_and: _reduce("and"),
    red.reduce_or: _reduce("or"),
    red.argmax: _index_of("GT", "lowest"),
    red.argmin: _index_of("LT", "highest"),
    red.dot_general: _line(_dot_dims),
    dynamic.dynamic_slice: _line(_dims("sizes", "sizes")),
    dynamic.dynamic_update_slice: _line(),
    indexed.gather: _gather,
    indexed.scatter: _scatter,
    sorting.sort: _sort,
    control.call: _call,
    control.checkpoint: _call,
    control.optimization_barrier: _barrier,
    control.case: _case,
    control.while_: _while,
}
