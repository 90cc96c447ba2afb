"""What random programs contain: which functions they call, and which transforms are in which."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

from program_text import Program, Statement

CALL = re.compile(r"\b(?:jnp|lax|nn|m)((?:\.\w+)+)(?=\()|(\.at\[.*?\]\.\w+|\.astype)(?=\()|"
                  r" (@|//|\*\*|[-+*/%&|^]|<<|>>) ")
AROUND = re.compile(r"\b(?:lax|m)\.(scan|fori_loop|while_loop|cond|switch|map|vmap|jit|checkpoint|"
                    r"grad|jacfwd|jacrev|hessian|jvp|vjp)\(|\b(own_jvp|own_vjp)\(")


def calls(program: Program) -> list[str]:
    """The functions that a program calls, by name, each once."""
    return sorted({_name(x.text, found) for x in _everything(program.statements)
                   for found in CALL.finditer(x.text)})


def _name(text: str, found: re.Match[str]) -> str:
    if found[2]:
        return re.sub(r"\[.*\]", "[]", found[2])
    return found[3] or text[found.start():found.end()]


def _everything(statements: Iterable[Statement]) -> Iterator[Statement]:
    for s in statements:
        yield s
        for body in s.bodies:
            yield from _everything(body.statements)


def nests(program: Program) -> list[str]:
    """Each pair "outer inner" of transforms and control flow, one anywhere in the other."""
    around = tuple(t.name for t in reversed(program.transforms))
    found = {f"{a} {b}" for i, a in enumerate(around) for b in around[i + 1:]}
    found |= {f"{a} {b}" for chain in _chains(program.statements, around)
              for a in chain[:-1] for b in chain[-1:]}
    return sorted(found)


def depth(program: Program) -> int:
    """How many transforms and bodies are in one another."""
    return max(map(len, _chains(program.statements, tuple(t.name for t in program.transforms))),
               default=0)


def _chains(statements: Iterable[Statement],
            around: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield around
    for s in statements:
        head = AROUND.search(s.text) if s.bodies else None
        if head:
            inner = (*around, head[1] or head[2])
            yield inner
            for body in s.bodies:
                yield from _chains(body.statements, inner)


def tables(records: Iterable[dict[str, list[str]]]) -> str:
    """How many programs call each function, and how many have each transform in each other."""
    called, nested = Counter[str](), Counter[str]()
    for record in records:
        called.update(record["calls"])
        nested.update(record["nests"])
    names = sorted({name for pair in nested for name in pair.split()})
    lines = ["programs that call each function:", *_columns(called), "",
             "programs with the transform of the row around that of the column:",
             " " * 11 + "".join(f"{name[:7]:>8}" for name in names)]
    for outer in names:
        counts = "".join(f"{nested[f'{outer} {inner}'] or '-':>8}" for inner in names)
        lines.append(f"{outer:11}{counts}")
    return "\n".join(lines)


def _columns(counted: Counter[str], width: int = 4) -> list[str]:
    cells = [f"{count:6} {name[:26]:26}" for name, count in counted.most_common()]
    starts = range(0, len(cells) + width, width)
    return ["".join(cells[a:b]).rstrip() for a, b in pairwise(starts)]
