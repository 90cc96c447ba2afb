"""What groups know of one another while they form: whom each needs, and who needs it."""

import pytest
import random_graphs
from lowered_programs import PROGRAMS
from random_arrays import random_arrays
from run_plan import SUPPORTS

from arraylib.backends.lower import lower
from arraylib.backends.lower.fuse import Fuser, Unit
from arraylib.hlo.ir import trace_graph


def closure(fuser: Fuser, unit: Unit) -> set[Unit]:
    """All units that one needs, by what each needs itself."""
    found: set[Unit] = set()
    waiting = [unit]
    while waiting:
        for other in fuser._members(waiting.pop().direct):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def check(fuser: Fuser) -> int:
    """Compare what is kept up with what it stands for; how many units there are."""
    units = list(fuser._alive)
    for unit in units:
        needed = closure(fuser, unit)
        assert unit not in needed
        assert {u for u in units if u.bit & unit.ancestors} == needed
        for other in units:
            assert bool(other.direct & unit.bit) == bool(unit.dependents & other.bit)
    return len(units)


@pytest.fixture
def seen(monkeypatch):
    """The numbers of units of all programs lowered, each checked after every item."""
    numbers: list[int] = []
    add, ordered = Fuser.add, Fuser.ordered

    def add_and_check(self, *args):
        add(self, *args)
        check(self)

    def ordered_and_noted(self):
        numbers.append(check(self))
        return ordered(self)
    monkeypatch.setattr(Fuser, "add", add_and_check)
    monkeypatch.setattr(Fuser, "ordered", ordered_and_noted)
    return numbers


@pytest.mark.parametrize("random_graph", [random_arrays, random_graphs.random_graph])
def test_dependences_of_random_programs(seen, random_graph):
    for seed in range(40):
        lower(random_graph(seed), SUPPORTS)
    assert max(seen) > 5


def test_dependences_of_programs(seen):
    for function, types in PROGRAMS.values():
        lower(trace_graph(types, function), SUPPORTS)
    assert max(seen) > 2
