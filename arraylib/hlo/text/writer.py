"""Lines of MLIR text, and the names of values in them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from arraylib.hlo.ir import Graph, Type, Value
from arraylib.hlo.text.literals import tensor


class Writer:
    """What has been printed of a module so far, and how its values are called.

    Values are numbered, or called after what they are (`%c` for a constant, `%iterArg`), as MLIR
    does it; names are free again after the region in which they were given.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0
        self.symbols: dict[Graph, str] = {}  # functions, by their bodies
        self._names: dict[Value, str] = {}
        self._taken: set[str] = set()
        self._numbers = {"value": 0, "argument": 0, "conflict": 0}

    def line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    def name(self, value: Value) -> str:
        return self._names[value]

    def names(self, values: Sequence[Value]) -> str:
        return ", ".join([self._names[v] for v in values])

    def call(self, value: Value, name: str) -> None:
        """Let `name` stand for the value from now on."""
        self._names[value] = name

    def fresh(self, wish: str = "") -> str:
        """A name that is not in use: the one wished for, or with a number; or just a number."""
        if not wish:
            return f"%{self._next('value')}"
        name = wish
        while name in self._taken:
            name = f"{wish}_{self._next('conflict')}"
        self._taken.add(name)
        return f"%{name}"

    def argument(self) -> str:
        return f"%arg{self._next('argument')}"

    def _next(self, kind: str) -> int:
        self._numbers[kind] += 1
        return self._numbers[kind] - 1

    def results(self, values: Sequence[Value]) -> str:
        """`%3 = ` or `%3:2 = `: new names for the results of an operation."""
        if not values:
            return ""
        name = self.fresh()
        if len(values) == 1:
            self.call(values[0], name)
            return f"{name} = "
        for i, value in enumerate(values):
            self.call(value, f"{name}#{i}")
        return f"{name}:{len(values)} = "

    def symbol(self, graph: Graph, wish: str) -> str:
        """The name of the function that has `graph` for its body: `wish` if MLIR allows it."""
        if graph not in self.symbols:
            wish = re.sub(r"^(?=\d|$)|\W", "_", wish, flags=re.ASCII)
            used = set(self.symbols.values())
            name = next(n for n in (wish, *(f"{wish}_{i}" for i in range(len(used) + 1)))
                        if n not in used)
            self.symbols[graph] = name
        return self.symbols[graph]

    @contextmanager
    def scope(self, indent: int = 1) -> Iterator[None]:
        """Lines inside are indented; names given inside are free again afterwards."""
        taken, numbers = set(self._taken), dict(self._numbers)
        self.depth += indent
        try:
            yield
        finally:
            self.depth -= indent
            self._taken, self._numbers = taken, numbers


def tensors(types: Sequence[Type]) -> str:
    return ", ".join(map(tensor, types))


def signature(operands: Sequence[Type], results: Sequence[Type]) -> str:
    """`(tensor<2xf32>) -> tensor<f32>`, the results in parentheses unless there is one."""
    right = tensors(results)
    return f"({tensors(operands)}) -> {right if len(results) == 1 else f'({right})'}"
