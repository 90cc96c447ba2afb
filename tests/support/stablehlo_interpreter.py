"""StableHLO's own interpreter, in a process of its own: what it cannot do may end the process.

    python stablehlo_interpreter.py < requests > answers

A request is a module as text, whose `main` takes nothing; each is answered by its number and either
the results, as attributes in text, or what went wrong.
"""

import json
import subprocess
import sys

from jax._src.interpreters import mlir
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

ENDED = "the interpreter ended its process"


def evaluate_all(modules):
    """For each module the list of its results in text, or a string that says what went wrong."""
    found = []
    while len(found) < len(modules):
        answers = _answers(modules[len(found):])
        found += answers
        if len(found) < len(modules):  # it got no further
            found.append(ENDED)
    return found


def _answers(modules):
    requests = "".join(json.dumps(module) + "\n" for module in modules)
    child = subprocess.run([sys.executable, __file__], input=requests, capture_output=True,
                           text=True, check=False)
    return [json.loads(line) for line in child.stdout.splitlines()]


def _answer(context, module):
    try:
        with context:
            results = stablehlo.eval_module(ir.Module.parse(module), [])
            return [str(x) for x in results]
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _serve():
    context = mlir.make_ir_context()
    for line in sys.stdin:
        print(json.dumps(_answer(context, json.loads(line))), flush=True)


if __name__ == "__main__":
    _serve()
