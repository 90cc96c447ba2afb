"""The graph and its language: read, print, run, rewrite and exchange programs.

    module = hlo.parse(text)              # StableHLO, in MLIR's pretty or generic form
    hlo.evaluate(module, *arrays)         # interpreted; backend="cpu" compiles
    hlo.text(module)                      # and back
"""

from arraylib.hlo.evaluation import evaluate, evaluate_parallel
from arraylib.hlo.ir import Graph, Node, Type, Value
from arraylib.hlo.module import Function, Module
from arraylib.hlo.pretty import pretty
from arraylib.hlo.programs import legalize, verify
from arraylib.hlo.same import same
from arraylib.hlo.text import ParseError, parse, text

__all__ = ["Function", "Graph", "Module", "Node", "ParseError", "Type", "Value", "evaluate",
           "evaluate_parallel", "legalize", "parse", "pretty", "same", "text", "verify"]
