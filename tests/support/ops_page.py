"""Writes docs/ops.md, the specification of all operations, from their records.

    python tests/support/ops_page.py
"""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from cases import Case, examples

from arraylib import dtypes as dt
from arraylib.backends.cpu import backend as cpu
from arraylib.backends.lower.groups import groups
from arraylib.hlo import ops, text
from arraylib.hlo.ir import Graph
from arraylib.hlo.opdef import KINDS, SAME, OpDef
from arraylib.hlo.passes.pipeline import optimize

PAGE = Path(__file__).parents[2] / "docs" / "ops.md"

HEAD = """# Operations

A graph consists of these operations, each a record in `arraylib/hlo/ops/`; [`hlo.md`](hlo.md) says
what a graph is. This page is written from the records by `python tests/support/ops_page.py`.

For each operation there is

- what it computes, and an example as StableHLO text: one of StableHLO's operations, of CHLO's, or,
  where the name of the operation is not to be found in it, what StableHLO says instead;
- the types of the example's operands and results, and its attributes;
- **(C1)**, **(C2)**, ...: what it asks of operands and attributes, and what the results are. All of
  it is checked when a graph is built, and mistakes are told in these terms;
- **axes**: labels of the example's axes, if they tell how operands and result relate;
- **derivative**: in which operands it is linear, or has a rule, or is zero (—); **transpose**: the
  operands to which cotangents lead (linear operations only); **batching** (`vmap`): by the labels
  of the axes, by a rule of its own, or elementwise;
- **on the CPU**: what becomes of the example. Native code is fused with its neighbours; what is
  written out is replaced by other operations first; NumPy computes the rest on the host, and all
  of complex numbers, floats of 8 bits or less, and integers of less than 8.

Elementwise operations ask for operands of one shape and dtype, one of those that they take, and
their result is of that type, where they say nothing else.
"""

_CASES: dict[OpDef, Case] = {}
for _case in examples():
    _CASES.setdefault(_case.op, _case)


def page() -> str:
    """The text of docs/ops.md."""
    families = list(_families())
    return "".join([HEAD, _contents(families), *map(_family, families)])


Family = tuple[str, list[OpDef]]


def _families() -> Iterator[Family]:
    """Titles, and the operations that no earlier module has: modules import each other's."""
    seen: set[OpDef] = set()
    for module in ops.FAMILIES:
        own = [op for op in vars(module).values() if isinstance(op, OpDef) and op not in seen]
        seen.update(own)
        yield _title(module), own


def _title(module: ModuleType) -> str:
    return (module.__doc__ or "").splitlines()[0].rstrip(".")


def _contents(families: Sequence[Family]) -> str:
    lines = [f"- {title}: {', '.join(f'[`{op.name}`](#{op.name})' for op in own)}"
             for title, own in families]
    return "\n" + "\n".join(lines) + "\n"


def _family(family: Family) -> str:
    title, own = family
    return f"\n## {title}\n" + "".join(map(_operation, own))


def _operation(op: OpDef) -> str:
    case = _CASES[op]
    graph = case.graph()
    facts = [_signature(graph), *_attributes(case), *_constraints(op), _rules(case), _on_cpu(case)]
    lines = "".join(f"- {fact}\n" for fact in facts)
    return f"\n### `{op.name}`\n\n{op.doc}\n\n```mlir\n{_shown(graph)}```\n\n{lines}"


# -- the example -----------------------------------------------------------------------------------


def _shown(graph: Graph) -> str:
    """The lines of the function, and the functions that it calls."""
    lines = text(graph).splitlines()[2:-1]  # without the module and the function's first line
    end = lines.index("  }")
    body, others = lines[:end], lines[end + 1:]
    kept = [line[4:] for line in body if not re.match(r" {4}return\b", line)]
    return "\n".join([*kept, *(line[2:] for line in others)]) + "\n"


def _signature(graph: Graph) -> str:
    inputs, outputs = (", ".join(map(str, types)) for types in
                       (graph.input_types, graph.output_types))
    return f"`({inputs}) -> {outputs}`" if inputs else f"`() -> {outputs}`"


def _attributes(case: Case) -> Iterator[str]:
    shown = [f"`{name}` = {_value(value)}" for name, value in case.attrs.items()]
    if shown:
        yield ", ".join(shown)


def _value(value: Any) -> str:
    if isinstance(value, Graph):
        return "a region"
    if isinstance(value, tuple) and value and isinstance(value[0], Graph):
        return f"{len(value)} regions"
    if isinstance(value, np.dtype):
        return f"`{dt.short_name(value)}`"
    if isinstance(value, (np.ndarray, np.generic)):
        return f"`{np.asarray(value).tolist()}`"
    return f"`{value}`"


# -- facts -----------------------------------------------------------------------------------------


def _constraints(op: OpDef) -> Iterator[str]:
    if op.elementwise and not op.mixed:
        yield f"takes {', '.join(KINDS[kind] for kind in op.dtypes)}"
    for i, constraint in enumerate(op.constraints):
        yield f"**(C{i + 1})** {constraint}"


def _rules(case: Case) -> str:
    op = case.op
    axes = "elementwise" if op.elementwise else _labels(case)
    facts = {"axes": axes, "derivative": _derivative(op), "transpose": _transpose(op),
             "batching": _batching(op)}
    shown = [f"**{name}** {what}" for name, what in facts.items() if what]
    return "; ".join([*shown, *_marks(op)])


def _labels(case: Case) -> str:
    labels = case.op.labels(case.types, case.attrs)
    return f"`{labels}`" if labels else ""


def _derivative(op: OpDef) -> str:
    if op.jvp_node:
        return "rule"
    if not op.jvp or all(rule is None for rule in op.jvp):
        return "—"
    each = ["—" if rule is None else "linear" if rule is SAME else "rule" for rule in op.jvp]
    return each[0] if len(set(each)) == 1 else ", ".join(each)


def _transpose(op: OpDef) -> str:
    """The numbers of the operands, where not every one has a rule."""
    if op.transpose_node:
        return "rule"
    known = [i for i, rule in enumerate(op.transpose) if rule is not None]
    if not known:
        return ""
    return "rule" if len(known) == len(op.transpose) else f"operand {', '.join(map(str, known))}"


def _batching(op: OpDef) -> str:
    if op.batch_node or op.batch:
        return "rule"
    return "by axes" if op.relabel else ""


def _marks(op: OpDef) -> Iterator[str]:
    if op.effect:
        yield "has an effect"
    if op.opaque:
        yield "no pass sees through it"
    if op.grouping:
        yield "only groups what is inside"


def _on_cpu(case: Case) -> str:
    """What the compiler makes of the example."""
    graph = optimize(case.graph(), cpu.native)
    steps = groups(graph, cpu.lowered)
    host = any("host" in name for name in steps.values())
    if cpu.native(case.op) and not case.op.grouping:
        return f"**on the CPU** {'NumPy' if host else 'native code'}"
    count = sum(math.prod(v.type.shape) > 0 for node in graph.nodes for v in node.outputs)
    if not count:
        return "**on the CPU** nothing is left of it"
    return f"**on the CPU** written out, {'part of it in NumPy' if host else 'then native code'}"


if __name__ == "__main__":
    PAGE.write_text(page())
