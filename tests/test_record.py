"""Records are dataclasses: what the standard library makes of the same class is the truth."""

import copy
import dataclasses
import inspect
import pickle
from dataclasses import dataclass, field

import pytest

from arraylib.record import record

KINDS = [dict(frozen=frozen, eq=eq, slots=slots)
         for frozen in (True, False) for eq in (True, False) for slots in (True, False)]


def make(decorate):
    """One class with every kind of field."""
    @decorate
    class Place:
        x: float
        y: float = 0.0
        names: list = field(default_factory=list)
        secret: int = field(default=3, repr=False)
        note: str = field(default="", compare=False)
        made: list = field(init=False, default_factory=lambda: [1])
        fixed: int = field(init=False, default=7)
        last: int = field(default=5, kw_only=True)

        def __post_init__(self):
            assert self.fixed == 7 and self.made == [1]
    return Place


@pytest.fixture(params=KINDS, ids=str)
def pair(request):
    return make(record(**request.param)), make(dataclass(**request.param))


ARGUMENTS = [((1.0,), {}), ((1.0, 2.0, ["a"], 4, "note"), {"last": 6}), ((), {"x": 2.0}),
             ((float("nan"),), {}), ((-0.0,), {})]


def outcome(compute):
    try:
        return compute()
    except (TypeError, dataclasses.FrozenInstanceError, AttributeError) as error:
        return type(error)


@pytest.mark.parametrize("arguments, keywords", ARGUMENTS)
def test_instances_look_like_a_dataclass(pair, arguments, keywords):
    ours, theirs = (cls(*arguments, **keywords) for cls in pair)
    assert [f.name for f in dataclasses.fields(ours)] == \
        [f.name for f in dataclasses.fields(theirs)]
    assert str(dataclasses.astuple(ours)) == str(dataclasses.astuple(theirs))
    assert repr(ours) == repr(theirs)
    assert repr(dataclasses.replace(ours, y=9.0)) == repr(dataclasses.replace(theirs, y=9.0))
    assert hasattr(ours, "__dict__") == hasattr(theirs, "__dict__")


def test_signatures_are_theirs_before_the_first_instance_and_after(pair):
    ours, theirs = pair
    expected = list(inspect.signature(theirs).parameters)
    assert list(inspect.signature(ours).parameters) == expected
    ours(1.0)
    assert list(inspect.signature(ours).parameters) == expected
    assert ours.__match_args__ == theirs.__match_args__


def test_equality_and_hashes(pair):
    def facts(cls):
        a, b, c, d = cls(1.0), cls(1.0, note="other"), cls(1.0, 2.0), cls(float("nan"))
        return [a == a, a == b, a == c, a != c, d == d, a == (1.0,), a == None,  # noqa: E711
                outcome(lambda: hash(a) == hash(a))]
    ours, theirs = pair
    assert facts(ours) == facts(theirs)
    assert ours(1.0) != theirs(1.0)


def test_hashes_of_frozen_records_are_those_of_their_values():
    @record
    class Pair:
        a: int
        b: str

    @record
    class One:
        a: int

    @record
    class Nothing:
        pass
    assert hash(Pair(1, "x")) == hash((1, "x"))
    assert hash(One(1)) == hash((1,)) and hash(Nothing()) == hash(())
    assert Nothing() == Nothing() and len({One(1), One(1), One(2)}) == 2


def test_setting_and_deleting(pair):
    def facts(cls):
        place = cls(1.0)
        return [outcome(lambda: setattr(place, "x", 2.0)), outcome(lambda: delattr(place, "y")),
                outcome(lambda: setattr(place, "other", 2.0)), place.x]
    ours, theirs = (facts(cls) for cls in pair)
    # A frozen class with slots has no zero-argument super: there the library's own error differs.
    assert [o is t or o == t or {o, t} == {TypeError, dataclasses.FrozenInstanceError}
            for o, t in zip(ours, theirs, strict=True)] == [True] * len(ours)


@record(slots=True)
class Kept:
    x: int
    y: list = field(default_factory=list)


@record
class Open:
    x: int
    y: list = field(default_factory=list)


@pytest.mark.parametrize("cls", [Kept, Open])
def test_copies_and_pickles(cls):
    one = cls(1, [2])
    assert pickle.loads(pickle.dumps(one)) == copy.copy(one) == copy.deepcopy(one) == one
    assert copy.deepcopy(one).y is not one.y


def test_own_methods_stay():
    @record
    class Own:
        x: int

        def __repr__(self):
            return "own"

        def __hash__(self):
            return 3

        def __eq__(self, other):
            return True
    assert repr(Own(1)) == "own" and hash(Own(1)) == 3 and Own(1) == 4


def test_inherited_fields_come_first():
    @record
    class Base:
        x: int
        y: int = 1

    @record
    class More(Base):
        z: int = 2

    class Plain(Base):
        pass
    assert repr(More(0, z=5)).endswith("More(x=0, y=1, z=5)")
    assert Plain(3).y == 1 and Plain(3) != Base(3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        More(0).x = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        Plain(3).x = 1


def test_wrong_arguments_are_errors():
    for wrong in (lambda: Open(), lambda: Open(1, [2], 3), lambda: Open(z=1)):
        with pytest.raises(TypeError, match="__init__"):
            wrong()


def test_an_initializer_of_its_own_stays():
    @record
    class Even:
        value: int

        def __init__(self, half):
            object.__setattr__(self, "value", 2 * half)
    assert Even(half=3).value == 6 and list(inspect.signature(Even).parameters) == ["half"]


def test_instances_that_can_be_called_have_the_signature_of_the_call():
    @record
    class Scaled:
        factor: float

        def __call__(self, x, y):
            return self.factor * (x + y)
    assert list(inspect.signature(Scaled(2.0)).parameters) == ["x", "y"]


@pytest.mark.parametrize("frozen", [True, False])
def test_dataclasses_inherit_from_records(frozen):
    @record(frozen=frozen)
    class Base:
        x: int

    @dataclass(frozen=frozen)
    class Theirs(Base):
        y: int = 2

    @record(frozen=frozen)
    class Ours(Base):
        y: int = 2
    assert dataclasses.astuple(Theirs(1)) == dataclasses.astuple(Ours(1)) == (1, 2)
    for cls in (Theirs, Ours):
        assert (outcome(lambda cls=cls: setattr(cls(1), "x", 3)) is None) is not frozen
    with pytest.raises(TypeError, match="frozen"):
        dataclass(frozen=not frozen)(type("Mixed", (Base,), {"__annotations__": {"z": "int"}}))
