"""Containers of arguments and results, as files of programs name them."""

import collections
import dataclasses

import numpy as np
import pytest
from round_trip import again, equal

from arraylib import export, random, tree
from arraylib.errors import ArgumentError, StructureError

X = random.normal(random.key(0), (4, 6))
W = random.normal(random.key(1), (6, 6)) / 3

Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Model:
    w: object
    name: str
    sizes: tuple


tree.register_dataclass(Model, ["w"], ["name", "sizes"])


class Pair:
    def __init__(self, left, right):
        self.left, self.right = left, right


tree.register_node_with_keys(
    Pair, lambda p: (((tree.GetAttrKey("left"), p.left), (tree.GetAttrKey("right"), p.right)), ()),
    lambda _, children: Pair(*children))


@tree.register_static
@dataclasses.dataclass(frozen=True)
class Setting:
    name: str


def test_containers_of_all_kinds():
    tangle = {"a": [X, None, (W,)], "b": {True: X, 2.5: ()}, "d": {None: W}, "e": {7: W, 8: X},
              "ü\n\"\\": collections.OrderedDict(z=X, b={})}
    loaded = again(export.export(lambda t: (t, [t]))(tangle))
    equal(loaded.call(tangle), (tangle, [tangle]))


def test_a_namedtuple_without_registration_has_its_names():
    loaded = again(export.export(lambda p: Point(p.y, p.x))(Point(X, W)))
    found = loaded.call(Point(X, W))
    assert type(found).__name__ == "Point" and found._fields == ("x", "y")
    np.testing.assert_array_equal(found.x, W)
    again_found = again(loaded).call(found._replace(x=X, y=W))
    assert type(again_found) is type(found)
    with pytest.raises(StructureError, match="has a tuple of 2 where .* has a Point of 2"):
        loaded.call((X, W))


def test_registered_classes():
    model = Model(X, "net", (3, {"k": None}))
    with pytest.raises(StructureError, match=r"class Model cannot be written(?s:.*)"
                       r"export.register\(Model\)"):
        export.export(lambda m: m)(model)
    with pytest.raises(ArgumentError, match="int is no container"):
        export.register(int)
    with pytest.raises(ArgumentError, match="dict needs no registration"):
        export.register(dict)
    assert export.register(Model, "test.Model") is Model
    export.register(Pair, "test.Pair")
    with pytest.raises(ArgumentError, match="'test.Pair' is the name of"):
        export.register(Point, "test.Pair")
    loaded = again(export.export(lambda m, p: Pair(m, p.right))(model, Pair(X, W)))
    found = loaded.call(model, Pair(X, W))
    assert isinstance(found, Pair) and found.left.name == "net" and found.left.sizes == (
        3, {"k": None})
    np.testing.assert_array_equal(found.right, W)
    with pytest.raises(StructureError, match="metadata"):
        loaded.call(Model(X, "other", model.sizes), Pair(X, W))


def test_metadata_that_json_cannot_say():
    export.register(Setting, "test.Setting")
    with pytest.raises(StructureError, match="metadata of Setting cannot be written"):
        export.export(lambda s, x: x)(Setting("fast"), X)
    export.register(Setting, "test.Setting", encode=lambda s: s.name, decode=Setting)
    exported = export.export(lambda s, x: x)(Setting("fast"), X)
    equal(again(exported).call(Setting("fast"), X), X)


def test_a_class_that_is_not_registered_where_the_file_is_read():
    export.register(Pair, "test.Pair")
    text = export.export(lambda p: p.left)(Pair(X, W)).mlir_module()
    with pytest.raises(StructureError, match="'test.Other', which is not registered here"):
        export.deserialize(text.replace("test.Pair", "test.Other"))


@pytest.mark.parametrize("argument, problem", [
    ({"x": {(1, 2): X}}, r"the key \(1, 2\)"),
    (collections.defaultdict(list, x=X), "class defaultdict cannot be written")])
def test_containers_that_no_file_can_say(argument, problem):
    with pytest.raises(StructureError, match=problem):
        export.export(lambda t: t)(argument)
