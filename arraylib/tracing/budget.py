"""Programs within a budget of memory: what they compute again, found by trying."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arraylib.errors import ArgumentError, OutOfMemoryError, mistake
from arraylib.hlo.ir import Graph, Node
from arraylib.hlo.passes.attend import attend
from arraylib.hlo.passes.cse import cse
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.holding import guessed_bytes
from arraylib.hlo.passes.inline import inline
from arraylib.hlo.passes.recompute import Choice, Moment, work
from arraylib.hlo.passes.rewrite import everywhere
from arraylib.hlo.passes.simplify import simplify
from arraylib.reports.recomputation import Recomputation, rows
from arraylib.reports.table import bytes_text

_ROUNDS = 8  # moments at which most memory is in use, one after the other
_PRICES = tuple(4.0 ** n for n in range(-4, 8))  # operations for a byte
_SHARES = (1.0, 0.5)  # of what is kept at such a moment: the first of it may be computed again
_WORTH = 0.99  # of the peak: a round that does not come below that is the last
_PLANNED = 8  # choices of a round whose programs are planned: those guessed to be the smallest
_FAR = 1.6  # budgets: a guess beyond them is believed

Peak = Callable[[Graph], int]


def checked_budget(budget: Any) -> int | None:
    """A budget in bytes; ArgumentError for what is none."""
    if budget is None or isinstance(budget, int) and not isinstance(budget, bool) and budget > 0:
        return budget  # type: ignore[no-any-return]
    raise mistake(ArgumentError, "jit", f"memory_budget is {budget!r}",
                  hint="a number of bytes, such as 4 * 2**30 for 4 GiB")


def unbounded(graph: Graph, peak: int) -> Recomputation:
    """The trade of a program without a budget: there is none."""
    return Recomputation(None, peak, peak, sum(map(work, graph.nodes)), 0, ())


def fitted(name: str, graph: Graph, budget: int, peak: Peak) -> tuple[Graph, Recomputation]:
    """A graph like this one whose program needs no more memory than the budget, and the trade.

    `peak` says what the program of a graph needs. Moment by moment, that choice is taken which
    computes the least again and fits, or else needs the least memory. OutOfMemoryError, with the
    least budget that was found, if none fits in the end.
    """
    before = least = peak(graph)
    works = {node: work(node) for node in graph.nodes}
    total = sum(works.values())
    if before <= budget:
        return graph, Recomputation(budget, before, before, total, 0, ())
    found, again = _cleaned(graph), list[Node]()
    for _ in range(_ROUNDS):
        best = _best(found, works, budget, least, peak)
        if best is None or best[1] > max(budget, int(_WORTH * least)):
            break
        choice, least = best
        found = choice.graph
        again += choice.again
        if least <= budget:
            trades = [(node, work(node)) for node in again]
            return found, Recomputation(budget, before, least, total,
                                        sum(each for _, each in trades), rows(trades))
    raise mistake(
        OutOfMemoryError, name, f"memory_budget is {bytes_text(budget)}, but a call needs "
        f"{bytes_text(before)}, and {bytes_text(least)} with what can be computed again",
        hint=f"memory_budget={least}, smaller batches, or donated arguments")


def _cleaned(graph: Graph) -> Graph:
    """The graph as the optimiser will see it, without calls and without what is there twice."""
    for change in (dce, inline, attend, simplify, cse, dce):
        graph = everywhere(change)(graph)
    return graph


def _best(graph: Graph, works: dict[Node, int], budget: int, needs: int,
          peak: Peak) -> tuple[Choice, int] | None:
    """Of the choices at the fullest moment that with the least work that fits, else the smallest.

    To plan a program takes long. So memory is guessed first, and choices that are far from fitting
    are left out, unless all are.
    """
    scale = needs / max(1, guessed_bytes(graph))
    guesses = {choice: scale * guessed_bytes(choice.graph) for choice in _choices(graph, works)}
    nearest = sorted(guesses, key=guesses.__getitem__)[:_PLANNED]
    planned: list[tuple[Choice, int]] = []
    for choice in sorted(nearest, key=lambda each: each.work):
        if guesses[choice] <= max(_FAR * budget, guesses[nearest[0]]):
            planned.append((choice, peak(choice.graph)))
            if planned[-1][1] <= budget:
                return planned[-1]
    return min(planned, key=lambda found: found[1], default=None)


def _choices(graph: Graph, works: dict[Node, int]) -> list[Choice]:
    """The choices at the fullest moment, from low prices to high ones, each once."""
    found: dict[tuple[Node, ...], Choice] = {}
    for share in _SHARES:
        moment = Moment(graph, share, works)
        for price in _PRICES:
            choice = moment.at_price(price)
            if choice.again:
                found.setdefault(choice.again, choice)
    return list(found.values())
