"""Writes docs/ops.md, the page of all operations, from their records.

    python tests/support/ops_page.py
"""

from pathlib import Path
from types import ModuleType

from arraylib.hlo import ops
from arraylib.hlo.opdef import KINDS, SAME, OpDef

PAGE = Path(__file__).parents[2] / "docs" / "ops.md"

HEAD = """# Operations

A graph consists of these operations, each a record in `arraylib/hlo/ops/`. This page is written
from the records by `python tests/support/ops_page.py`.

- *takes*: the kinds of dtypes allowed, where one rule says it for all operands.
- *axes*: labels of the axes of an example, which say how operands and result relate; shape checks,
  batching and loop nests follow from them. `elementwise` where all have the same axes.
- *derivative*: `linear` in all operands; `rule` for a rule of its own; `zero` where there is none.
- *as text*: StableHLO's own operation, one of CHLO, or how StableHLO can say it.
"""

COLUMNS = "| operation | result | takes | axes | derivative | as text |\n" + "|---" * 6 + "|\n"


def page() -> str:
    """The text of docs/ops.md."""
    seen: set[OpDef] = set()
    return HEAD + "".join(_family(module, seen) for module in ops.FAMILIES)


def _family(module: ModuleType, seen: set[OpDef]) -> str:
    """A table of the operations that no earlier module has: modules import each other's."""
    own = [op for op in vars(module).values() if isinstance(op, OpDef) and op not in seen]
    seen.update(own)
    title = (module.__doc__ or "").splitlines()[0].rstrip(".")
    return f"\n## {title}\n\n{COLUMNS}{''.join(map(_row, own))}"


def _row(op: OpDef) -> str:
    cells = [f"`{op.name}`", op.doc.replace("|", "\\|"), _kinds(op), _axes(op), _derivative(op),
             op.dialect if op.dialect != "arraylib" else "written out"]
    return f"| {' | '.join(cells)} |\n"


def _kinds(op: OpDef) -> str:
    return ", ".join(KINDS[kind] for kind in op.dtypes) if op.elementwise else ""


def _axes(op: OpDef) -> str:
    if op.elementwise:
        return "elementwise"
    labels = [op.labels(e.types, e.attrs) for e in op.examples if op.relabel]
    return f"`{labels[0]}`" if labels and labels[0] else ""


def _derivative(op: OpDef) -> str:
    if op.jvp_node:
        return "rule"
    if not op.jvp or all(rule is None for rule in op.jvp):
        return "zero"
    return "linear" if all(rule is SAME for rule in op.jvp) else "rule"


if __name__ == "__main__":
    PAGE.write_text(page())
