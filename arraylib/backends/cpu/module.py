"""What a compiled object holds: functions, global data, and the names it wants from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arraylib.record import field, record

if TYPE_CHECKING:
    from arraylib.backends.cpu.emitter import Function


@record(frozen=False, eq=False)
class Module:
    """Functions, globals and declarations that become one object file.

    `vector_bits` is the register width that code generation should use, `features` the target's
    instruction sets (`"fma"`, `"avx512f"`, ...); `target.new_module()` fills both in.
    """

    vector_bits: int = 512
    features: frozenset[str] = frozenset({"fma"})
    functions: list[Function] = field(default_factory=list)
    named: dict[str, Function] = field(default_factory=dict)  # the same by their names
    declarations: dict[str, str] = field(default_factory=dict)
    globals: dict[str, str] = field(default_factory=dict)

    def declare(self, name: str, result: str, params: Sequence[str]) -> None:
        """Make `@name` callable; harmless when the module defines it or it is declared already."""
        self.declarations.setdefault(name, f"declare {result} @{name}({', '.join(params)})")

    def add_global(self, name: str, type: str, initial: str, *, align: int = 64,
                   constant: bool = False) -> None:
        """A module-private variable, or a constant table, with the text of its first value."""
        kind = "constant" if constant else "global"
        self.globals.setdefault(name, f"@{name} = internal {kind} {type} {initial}, align {align}")

    def text(self) -> str:
        """The whole module: globals, declarations of what it does not define, functions."""
        defined = {function.name for function in self.functions}
        declared = [text for name, text in self.declarations.items() if name not in defined]
        return "\n".join([*self.globals.values(), *declared,
                          *(function.definition() for function in self.functions),
                          *self.tail()]) + "\n"

    def tail(self) -> list[str]:
        """The lines that functions refer to by number."""
        width = f'nounwind "prefer-vector-width"="{self.vector_bits}"'
        return [f"attributes #0 = {{ {width} }}", f"attributes #1 = {{ {width} optnone noinline }}",
                "!0 = !{i32 1}", '!1 = !{!"branch_weights", i32 1, i32 10000}']
