"""The graph and its language: read, print, run, rewrite and exchange programs.

    module = hlo.parse(text)              # StableHLO, in MLIR's pretty or generic form
    hlo.evaluate(module, *arrays)         # interpreted; backend="cpu" compiles
    hlo.text(module)                      # and back

What reads and rewrites programs is imported when one first names it: most programs are traced.
"""

import importlib
from typing import TYPE_CHECKING, Any

from arraylib.hlo.ir import Graph, Node, Type, Value
from arraylib.hlo.pretty import pretty
from arraylib.hlo.same import same
from arraylib.hlo.verify import verify

if TYPE_CHECKING:
    from arraylib.hlo.evaluation import evaluate, evaluate_parallel
    from arraylib.hlo.mlir.cursor import ParseError
    from arraylib.hlo.mlir.parser import parse
    from arraylib.hlo.module import Function, Module, text
    from arraylib.hlo.programs import legalize

_ON_DEMAND = {
    "evaluate": "evaluation", "evaluate_parallel": "evaluation", "ParseError": "mlir.cursor",
    "parse": "mlir.parser", "Function": "module", "Module": "module", "text": "module",
    "legalize": "programs"}

__all__ = ["Function", "Graph", "Module", "Node", "ParseError", "Type", "Value", "evaluate",
           "evaluate_parallel", "legalize", "parse", "pretty", "same", "text", "verify"]


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module 'arraylib.hlo' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"arraylib.hlo.{_ON_DEMAND[name]}"), name)
    globals()[name] = found  # also in place of a submodule of that name, imported meanwhile
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
