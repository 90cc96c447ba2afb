"""Trees: flattening, structures and their identity, mapping, prefixes, messages; JAX's order."""

import collections
import copy
import dataclasses
import functools
import gc
import pickle
import threading
import weakref
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from arraylib import tree, tree_util
from arraylib.errors import StructureError
from arraylib.flatten_util import ravel_pytree
from arraylib.tree import DictKey, FlattenedIndexKey, GetAttrKey, SequenceKey
from arraylib.tree.structures import _INTERNED


class Point(NamedTuple):
    x: object
    y: object


@tree.register_dataclass
@dataclasses.dataclass
class Layer:
    w: object
    b: object
    activation: str = dataclasses.field(default="relu", metadata={"static": True})


@tree.register_static
@dataclasses.dataclass(frozen=True)
class Setting:
    name: str


@tree_util.register_pytree_node_class
class Scaled:
    """A container whose metadata is a dict, as many are: it can be compared, not hashed."""

    def __init__(self, value, options):
        self.value, self.options = value, options

    def tree_flatten(self):
        return (self.value,), self.options

    @classmethod
    def tree_unflatten(cls, options, children):
        return cls(*children, options)


@tree_util.register_pytree_with_keys_class
class Named:
    def __init__(self, left, right):
        self.left, self.right = left, right

    def tree_flatten_with_keys(self):
        return [(GetAttrKey("left"), self.left), (GetAttrKey("right"), self.right)], "named"

    @classmethod
    def tree_unflatten(cls, metadata, children):
        assert metadata == "named"
        return cls(*children)


PLAIN = [
    (5, [5], "*"),
    (None, [], "None"),
    ((), [], "()"),
    ((1,), [1], "(*,)"),
    ([1, (2, 3), {}], [1, 2, 3], "[*, (*, *), {}]"),
    ({"b": [1, None], "a": 3}, [3, 1], "{'a': *, 'b': [*, None]}"),
    (Point(1, [2]), [1, 2], "Point(x=*, y=[*])"),
    (Layer(1, 2), [1, 2], "Layer(w=*, b=*, activation='relu')"),
    (Setting("x"), [], "Setting(name='x')"),
    (collections.OrderedDict(b=1, a=2), [1, 2], "OrderedDict({'b': *, 'a': *})"),
    (
        collections.defaultdict(int, b=1, a=2),
        [2, 1],
        "defaultdict(<class 'int'>, {'a': *, 'b': *})",
    ),
    ({2: 1, 10: 2, "a": 3}, [1, 2, 3], "{2: *, 10: *, 'a': *}"),
]


@pytest.mark.parametrize(("given", "leaves", "shown"), PLAIN, ids=[p[2] for p in PLAIN])
def test_flatten_and_unflatten(given, leaves, shown):
    found, structure = tree.flatten(given)
    assert found == leaves and str(structure) == shown
    assert structure.num_leaves == len(leaves)
    rebuilt = structure.unflatten(leaves)
    assert rebuilt == given and type(rebuilt) is type(given)
    assert tree.leaves(given) == leaves and tree.structure(given) is structure


@pytest.mark.parametrize(("given", "leaves", "shown"), PLAIN, ids=[p[2] for p in PLAIN])
def test_a_rebuilder_does_what_unflatten_does(given, leaves, shown):
    value = [given, {"it's \n": given, "x": (given,)}]
    found, structure = tree.flatten(value)
    rebuilt = tree.rebuilder(structure)(found)
    assert rebuilt == value and type(rebuilt[0]) is type(given)


def test_a_rebuilder_of_a_deep_tree():
    value = 1
    for _ in range(300):
        value = [value]
    assert tree.rebuilder(tree.structure(value))([1]) == value


def test_defaultdict_keeps_its_factory():
    made = tree.map(lambda x: x + 1, collections.defaultdict(list, a=1))
    assert made == {"a": 2} and made["new"] == []


@pytest.mark.parametrize("leaf", [1, "text", np.zeros(3), b"", {1, 2}, lambda: 0, range(3)])
def test_everything_else_is_a_leaf(leaf):
    leaves, structure = tree.flatten(leaf)
    assert leaves[0] is leaf and structure is tree.LEAF


def test_a_subclass_is_a_leaf_unless_it_is_a_namedtuple():
    class Row(tuple):
        pass

    assert tree.leaves([Table(a=1), Row([1]), Point(1, 2)]) == [{"a": 1}, (1,), 1, 2]


def test_a_namedtuple_may_have_a_len_of_its_own():
    class Row(Point):
        def __len__(self):
            return self.x

    assert tree.map(lambda x: x + 1, Row(5, 2)) == (6, 3)


atoms = strategies.none() | strategies.integers() | strategies.floats(allow_nan=False)
trees = strategies.recursive(
    atoms,
    lambda below: strategies.lists(below, max_size=4)
    | strategies.dictionaries(strategies.text(max_size=3), below, max_size=4)
    | strategies.tuples(below, below)
    | strategies.builds(Point, below, below),
    max_leaves=12,
)


@settings(deadline=None)
@given(trees)
def test_random_trees_are_taken_apart_as_jax_does(value):
    jax = pytest.importorskip("jax")
    leaves, structure = tree.flatten(value)
    assert tree.unflatten(structure, leaves) == value
    expected, treedef = jax.tree.flatten_with_path(value)
    assert leaves == [leaf for _, leaf in expected]
    paths = [tree.keystr(path) for path in tree.paths(structure)]
    assert paths == [jax.tree_util.keystr(path) for path, _ in expected]
    if "Point" not in str(structure):
        assert str(treedef) == f"PyTreeDef({structure})"


@settings(deadline=None)
@given(trees, trees)
def test_structures_are_one_object_exactly_if_jax_finds_them_equal(left, right):
    jax = pytest.importorskip("jax")
    same = tree.structure(left) is tree.structure(right)
    assert same == (jax.tree.structure(left) == jax.tree.structure(right))
    assert tree.structure(left) is tree.structure(tree.map(lambda x: 0, left))


def alike(first, second):
    """What a flattener made for `first` finds in `second`; None if it refuses, or leaves remain."""
    try:
        found = tree.flattener(tree.structure(first))(second)
    except (KeyError, ValueError):
        return None
    return found if all(tree.kind_of(type(x)) is None for x in found) else None


@settings(max_examples=300, deadline=None)
@given(trees, trees)
def test_a_flattener_takes_exactly_the_trees_of_its_structure(left, right):
    for first, second in ((left, right), (left, tree.map(str, left)), (left, [left])):
        leaves, structure = tree.flatten(second)
        assert alike(first, second) == (leaves if structure is tree.structure(first) else None)


class Table(dict):
    """No container, for it is not exactly a dict."""


NEAR = [
    ({"a": 1, "b": 2}, {"b": 1, "a": 2}, [2, 1]),
    ({"a": 1}, {"a": 1, "b": 2}, None),
    ({"a": 1, "b": 2}, {"a": 1}, None),
    ({"a": 1}, {"b": 1}, None),
    ({"a": 1}, Table(a=1), None),
    ({"a": 1}, collections.OrderedDict(a=1), None),
    ({"a": 1}, {"a": {"a": 1}}, None),
    ({"a": 1}, {"a": None}, None),
    ({"a": None}, {"a": 1}, None),
    ({}, [], None),
    ({}, None, None),
    ((1, [2]), (1, (2,)), None),
    ((1, 2), Point(1, 2), None),
    (Point(1, 2), (1, 2), None),
    ([1, 2], [1, 2, 3], None),
    ({1: 3, "a": 4}, {"a": 4, True: 3}, [3, 4]),
    ({1: 3, 2: 4}, {1: 3, 3: 4}, None),
    (Scaled(1, {"by": 2}), Scaled(3, {"by": 2}), [3]),
    (Scaled(1, {"by": 2}), Scaled(1, {"by": 3}), None),
    (Layer(1, [2]), Layer(3, [4]), [3, 4]),
    (Layer(1, 2), Layer(1, 2, "tanh"), None),
]


@pytest.mark.parametrize(("first", "second", "found"), NEAR)
def test_a_flattener_and_its_neighbours(first, second, found):
    assert alike(first, second) == found
    assert (tree.structure(first) is tree.structure(second)) == (found is not None)
    assert alike((first, {"it's \n": [first]}), (second, {"it's \n": [second]})) \
        == (None if found is None else found * 2)


def test_structures_differ_by_keys_metadata_and_types():
    forms = [{"a": 1}, {"b": 1}, [1], (1,), Layer(1, 2), Layer(1, 2, "tanh"), Layer(1, [2])]
    forms += [Scaled(1, {"by": 2}), Scaled(1, {"by": 3}), Setting("x"), Setting("y"), None]
    found = [tree.structure(form) for form in forms]
    assert len({*found}) == len(forms)


def test_metadata_that_cannot_be_hashed_is_compared():
    first, second = (tree.structure(Scaled(1, {"by": [2]})) for _ in range(2))
    assert first is second and hash(first) == hash(second)
    assert first.unflatten([7]).options == {"by": [2]}


def test_arrays_as_metadata_are_refused_with_advice():
    tree.flatten(Scaled(1, np.zeros(2)))
    kept = tree.structure(Scaled(1, np.zeros(2)))
    with pytest.raises(StructureError, match="make arrays children of the container"):
        tree.structure(Scaled(1, np.zeros(2)))
    assert kept.num_leaves == 1


def test_structures_are_freed_and_made_again():
    class Local:
        pass

    structure = tree.structure({Local: 1, "nested": [[1] * 37]})
    text, (inside,) = str(structure), [c for c in structure.children if c.children]
    kept = [weakref.ref(each) for each in (structure, inside, inside.children[0])]
    assert {(each.kind, each.metadata, each.children) for each in (structure, inside)} \
        <= _INTERNED.keys()
    del structure, inside
    gc.collect()
    assert [reference() for reference in kept] == [None] * 3
    assert str(tree.structure({Local: 1, "nested": [[1] * 37]})) == text


def test_structures_survive_pickling_and_copying_as_themselves():
    structure = tree.structure({"a": [1, Point(2, None)], "b": Scaled(1, {"c": 2}), "d": 4})
    assert pickle.loads(pickle.dumps(structure)) is structure
    assert copy.deepcopy(structure) is structure
    assert copy.copy(tree.LEAF) is pickle.loads(pickle.dumps(tree.LEAF)) is tree.LEAF


def test_threads_agree_on_structures():
    found, barrier = [], threading.Barrier(8)

    def work():
        barrier.wait()
        found.append([tree.structure({f"thread{i}": [1] * i}) for i in range(200)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ours is first for row in found for ours, first in zip(row, found[0], strict=True))


def test_key_paths():
    value = {"layers": [Layer(1, 2), {"w": 3}], "p": Point(4, 5), "s": Scaled(6, {}), 7: (8,)}
    paths = [tree.keystr(path, "params") for path, _ in tree.leaves_with_path(value)]
    assert paths == [
        "params[7][0]", "params['layers'][0].w", "params['layers'][0].b",
        "params['layers'][1]['w']", "params['p'].x", "params['p'].y", "params['s'][<flat index 0>]",
    ]  # fmt: skip
    named = tree.paths(tree.structure(Named(1, 2)))
    assert named == [(GetAttrKey("left"),), (GetAttrKey("right"),)]
    pairs, structure = tree.flatten_with_path(Scaled([1], {}))
    assert pairs == [((FlattenedIndexKey(0), SequenceKey(0)), 1)] and structure.num_leaves == 1


def test_is_leaf_stops_early_and_sees_none():
    value = {"a": None, "b": (1, 2), "c": [3]}
    assert tree.leaves(value, is_leaf=lambda x: x is None) == [None, 1, 2, 3]
    assert tree.leaves(value, is_leaf=lambda x: isinstance(x, tuple)) == [(1, 2), 3]
    assert tree.map(lambda x: x is None, value, is_leaf=lambda x: x is None)["a"] is True
    paths = [tree.keystr(p) for p, _ in tree.leaves_with_path(value, lambda x: type(x) is tuple)]
    assert paths == ["['b']", "['c'][0]"]


def test_map_goes_through_several_trees():
    assert tree.map(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]}) == {
        "x": 11, "y": [22],
    }  # fmt: skip
    assert tree.map(lambda a, b: (a, b), [1, 2], [{"k": 3}, (4, 5)]) == [(1, {"k": 3}), (2, (4, 5))]
    assert tree.map(max, None, None) is None
    label = lambda path, a, b: f"{tree.keystr(path)}={a + b}"
    named = tree.map_with_path(label, {"x": [1]}, {"x": [2]})
    assert named == {"x": ["['x'][0]=3"]}


def test_reduce_and_all():
    assert tree.reduce(lambda a, b: a + b, {"b": ["3"], "a": ("1", "2")}) == "123"
    assert tree.reduce(lambda a, b: a + b, [], 5) == 5
    assert tree.all({"a": 1, "b": [True]}) and not tree.all([1, 0]) and tree.all([])
    with pytest.raises(TypeError):
        tree.reduce(lambda a, b: a + b, [])


def test_transpose():
    outer = tree.structure({"a": 0, "b": 0})
    inner = tree.structure((0, [0]))
    turned = tree.transpose(outer, inner, {"a": (1, [2]), "b": (3, [4])})
    assert turned == ({"a": 1, "b": 3}, [{"a": 2, "b": 4}])
    assert tree.transpose(outer, None, {"a": (1, [2]), "b": (3, [4])}) == turned
    assert tree.transpose(outer, inner, {"a": (1, [[2]]), "b": (3, [4])})[1] == [{"a": [2], "b": 4}]


def test_broadcast_prefix():
    value = ({"a": 1, "b": [2, 3]}, 4, (5, None))
    none = lambda x: x is None
    assert tree.broadcast_prefix(0, value) == [0] * 5
    assert tree.broadcast_prefix((0, None, 1), value, none) == [0, 0, 0, None, 1]
    assert tree.broadcast_prefix(({"a": 7, "b": 8}, 0, None), value, none) == [7, 8, 8, 0, None]


MISMATCHES = [
    (lambda: tree.map(min, {"a": [1, {"b": 2}]}, {"a": [1, {"c": 2}]}),
     "tree.map: at ['a'][1], tree 1 has ['c'] where tree 0 has ['b']"),
    (lambda: tree.map(min, {"a": 1}, {"a": 1}, {"a": 1, "b": 2, "c": 3}),
     "tree.map: at the root, tree 2 has ['b'], ['c'], which tree 0 lacks"),
    (lambda: tree.map(min, [[1, 2, 3]], [[1]]),
     "tree.map: at [0], tree 1 lacks [1], [2], which tree 0 has"),
    (lambda: tree.map(min, {str(i): i for i in range(9)}, {}),
     "tree 1 lacks ['0'], ['1'], ['2'], ['3'], ['4'] and 4 more, which tree 0 has"),
    (lambda: tree.map(min, (1, 2), [1, 2]),
     "tree.map: at the root, tree 1 has a list of 2 where tree 0 has a tuple of 2"),
    (lambda: tree.map(min, [None], [1]),
     "tree.map: at [0], tree 1 has a leaf where tree 0 has None"),
    (lambda: tree.map(min, Layer(1, [2]), Layer(1, 2)),
     "tree.map: at .b, tree 1 has a leaf where tree 0 has a list of 1"),
    (lambda: tree.map(min, Layer(1, 2, "relu"), Layer(1, 2, "tanh")),
     "tree.map: at the root, tree 1 has metadata ('tanh',) where tree 0 has ('relu',)"),
    (lambda: tree.map(min, Setting("x"), Setting("y")),
     "tree 1 has Setting(name='y') where tree 0 has Setting(name='x')"),
    (lambda: tree.broadcast_prefix(
        (0, {"w": 1}), (1, [2]), op="vmap", names=("in_axes", "the tuple of arguments")),
     "vmap: at [1], the tuple of arguments has a list of 1 where in_axes has a dict of 1"),
    (lambda: tree.unflatten(tree.structure([1, 2]), [1]),
     "tree.unflatten: 1 leaves for a structure that has 2"),
    (lambda: tree.transpose(tree.structure([0]), tree.structure((0,)), [[1]]),
     "tree.transpose: at the root, what stands at a leaf of the outer one has a list of 1"),
    (lambda: tree.check_same(tree.structure((1, [2])), tree.structure((1, 2)), op="scan",
                             names=("the carry that went in", "the carry that came out")),
     "scan: at [1], the carry that came out has a leaf where the carry that went in has a list"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "message"), MISMATCHES, ids=[m[1][:40] for m in MISMATCHES])
def test_a_mismatch_names_the_path_and_both_sides(act, message):
    with pytest.raises(StructureError) as caught:
        act()
    text = str(caught.value)
    assert message in text
    assert "test_tree.py:" in text and "operand 0: " in text


def test_a_long_structure_is_shortened_in_messages():
    with pytest.raises(StructureError) as caught:
        tree.map(min, {f"key{i}": i for i in range(500)}, [])
    assert len(str(caught.value)) < 1000 and "..." in str(caught.value)


def test_registration_refuses_doubles_and_forgotten_fields():
    with pytest.raises(ValueError, match="list is already registered"):
        tree.register_node(list, lambda x: (x, None), lambda metadata, children: [*children])

    @dataclasses.dataclass
    class Pair:
        left: int
        right: int

    with pytest.raises(ValueError, match="fields .'right'. of Pair must be in exactly one list"):
        tree.register_dataclass(Pair, ["left"], [])
    tree.register_dataclass(Pair, data_fields=["right"], meta_fields=["left"])
    assert tree.leaves(Pair(1, 2)) == [2]
    assert tree.map(lambda x: x + 1, Pair(1, 2)) == Pair(1, 3)


def test_a_class_registered_after_it_was_a_leaf():
    class Late:
        value = 3

    assert tree.leaves(Late())[0].value == 3
    tree.register_node(Late, lambda x: ([x.value], None), lambda metadata, children: Late())
    assert tree.leaves(Late()) == [3]


def test_jax_names():
    leaves, treedef = tree_util.tree_flatten({"a": 1, "b": (2, 3)})
    assert isinstance(treedef, tree_util.PyTreeDef) and leaves == [1, 2, 3]
    assert treedef.flatten_up_to({"a": [1], "b": ((), 3)}) == [[1], (), 3]
    assert [str(s) for s in tree_util.treedef_children(treedef)] == ["*", "(*, *)"]
    assert tree_util.treedef_is_leaf(tree_util.treedef_children(treedef)[0])
    pair = tree_util.treedef_tuple([treedef, tree.structure([None, 1])])
    assert str(pair) == "({'a': *, 'b': (*, *)}, [None, *])"
    assert tree_util.all_leaves([1, 2]) and not tree_util.all_leaves([1, [2]])
    path = (DictKey("layers"), SequenceKey(1), GetAttrKey("w"))
    assert tree_util.keystr(path) == "['layers'][1].w"
    assert tree_util.keystr(path, simple=True, separator="/") == "layers/1/w"


def test_containers_by_one_level():
    assert tree_util.flatten_one_level(Point(1, [2])) == ([1, [2]], None)
    assert tree_util.flatten_one_level(None) == ([], None)
    pairs, metadata = tree_util.flatten_one_level_with_keys(Layer(1, (2,), "tanh"))
    assert pairs == [(GetAttrKey("w"), 1), (GetAttrKey("b"), (2,))] and metadata == ("tanh",)
    with pytest.raises(ValueError, match="int is not a container"):
        tree_util.flatten_one_level(3)
    assert tree_util.is_tree_node(Point) and not tree_util.is_tree_node(int)


def test_structures_know_their_nodes():
    structure = tree.structure({"a": [1, 2], "b": None})
    assert structure.num_nodes == 5 and tree.LEAF.num_nodes == 1
    assert structure.node_data() == (dict, ("a", "b")) and tree.LEAF.node_data() is None
    pair = tree.structure((0, 0))
    assert structure.compose(pair) is tree.structure({"a": [(1, 2), (3, 4)], "b": None})
    assert tree.LEAF.compose(pair) is pair.compose(tree.LEAF) is pair


def test_registration_under_jax_names():
    class Box:
        def __init__(self, value):
            self.value = value

    def with_keys(box):
        return [("inside", box.value)], None

    tree_util.register_pytree_node(
        nodetype=Box, flatten_func=lambda box: ((box.value,), None),
        unflatten_func=lambda _, children: Box(*children), flatten_with_keys_func=with_keys)
    assert tree.leaves_with_path(Box([7])) == [(("inside", SequenceKey(0)), 7)]
    assert tree.map(lambda x: x + 1, Box(7)).value == 8

    class Other(Box):
        pass

    tree_util.register_pytree_with_keys(Other, with_keys, lambda _, children: Other(*children),
                                        lambda box: ((box.value,), None))
    assert type(tree.map(str, Other(7))) is Other


@pytest.mark.parametrize("prefix, full, expected", [
    ((1, 2, 3), (0, {"a": 0, "b": 0}, (0, 0)), (1, {"a": 2, "b": 2}, (3, 3))),
    (1, [0, None, [0]], [1, None, [1]]), ({"a": 1}, {"a": ()}, {"a": ()})])
def test_broadcast(prefix, full, expected):
    jax = pytest.importorskip("jax")
    assert tree.broadcast(prefix, full) == expected == jax.tree.broadcast(prefix, full)


def test_broadcast_stops_at_leaves():
    none = lambda x: x is None
    assert tree.broadcast((1, None), ([0, None], 0), none) == ([1, 1], None)
    with pytest.raises(StructureError, match="tree.broadcast: at .1., the tree has a leaf"):
        tree.broadcast((1, [2]), (0, 0))


def test_reduce_associative():
    words = [chr(97 + i) for i in range(11)]
    for n in range(1, 12):
        assert tree.reduce_associative(lambda a, b: a + b, words[:n]) == "".join(words[:n])
    deep = tree.reduce_associative(lambda a, b: 1 + max(a, b), [0] * 100)
    assert deep == 7
    assert tree.reduce_associative(max, [None], identity=3) == 3
    assert tree.reduce_associative(max, (1, None), is_leaf=lambda x: type(x) is tuple) == (1, None)
    with pytest.raises(TypeError, match="without leaves"):
        tree.reduce_associative(max, [])


def test_leaves_may_depend_on_the_path():
    value = {"a": [1, {"b": 2}], "c": Point(3, [4])}
    stop = lambda path, x: len(path) == 2
    jax = pytest.importorskip("jax")
    pairs, structure = tree.flatten_with_path(value, stop, is_leaf_takes_path=True)
    theirs, _ = jax.tree.flatten_with_path(value, stop, is_leaf_takes_path=True)
    assert [leaf for _, leaf in pairs] == [leaf for _, leaf in theirs]
    assert [tree.keystr(path) for path, _ in pairs] == [jax.tree_util.keystr(p) for p, _ in theirs]
    assert tree.unflatten(structure, [leaf for _, leaf in pairs]) == value
    assert tree.leaves_with_path(value, stop, True) == pairs
    shown = tree.map_with_path(lambda path, x, y: (len(path), x is y), value, value,
                               is_leaf=stop, is_leaf_takes_path=True)
    assert shown == {"a": [(2, True)] * 2, "c": Point((2, True), (2, True))}


def test_fields_that_are_static_or_dropped():
    @dataclasses.dataclass
    class Model:
        w: object
        name: str = tree.static(default="model", metadata={"unit": "m"})
        cache: object = None

    with pytest.raises(ValueError, match="fields .'w'. of Model"):
        tree.register_dataclass(Model, ["w", "cache"], ["w", "name"])
    tree.register_dataclass(Model, drop_fields=["cache"])
    assert tree.leaves(Model(1, cache=5)) == [1]
    assert tree.map(lambda x: -x, Model(1, "other", 5)) == Model(-1, "other", None)
    assert dataclasses.fields(Model)[1].metadata == {"unit": "m", "static": True}


def test_partial_is_a_container_of_its_arguments():
    partial = tree_util.Partial(divmod, 7)
    assert partial(2) == (3, 1) and tree.leaves(partial) == [7]
    assert tree.map(lambda x: 2 * x, partial)(3) == (4, 2)
    assert tree.structure(partial) is tree.structure(tree_util.Partial(divmod, 1))
    assert tree.structure(partial) is not tree.structure(tree_util.Partial(max, 1))
    assert tree_util.Partial(int, base=2)("101") == 5


def test_arguments_of_a_partial_inside_a_partial_belong_to_its_function():
    inner = functools.partial(divmod, 7)
    partial, again = tree_util.Partial(inner, 2), tree_util.Partial(functools.partial(divmod, 7), 3)
    assert partial.args == (2,) and tree.leaves(partial) == [2] and partial() == (3, 1)
    assert tree.structure(partial) is tree.structure(again) and partial.func == inner
    assert tree.structure(partial) is not tree.structure(
        tree_util.Partial(functools.partial(divmod, True), 2))
    assert tree_util.Partial(tree_util.Partial(divmod, 7), 2).args == (7, 2)


def test_structures_are_walked_from_the_leaves_upwards():
    seen = []
    structure = tree.structure({"b": 0, "a": (1, None)})
    total = structure.walk(lambda below, data: seen.append(data) or sum(below), lambda x: -x,
                           [1, 2])
    assert total == -3 and seen == [None, None, ["a", "b"]]
    assert structure.children() == list(structure.children) == tree_util.treedef_children(structure)


def test_fields_that_a_class_is_not_called_with():
    @dataclasses.dataclass
    class Model:
        w: object
        cache: object = dataclasses.field(default=42, init=False)

    with pytest.raises(ValueError, match="fields .'cache'. of Model"):
        tree.register_dataclass(Model)
    tree.register_dataclass(Model, drop_fields=["cache"])
    assert tree.map(lambda x: -x, Model(1)) == Model(-1)

    class Plain:
        def __init__(self, x):
            self.x = x

    with pytest.raises(TypeError, match="dataclass"):
        tree.register_dataclass(Plain, ["x"])
    tree.register_dataclass(Plain, ["x"], [])
    assert tree.map(lambda x: -x, Plain(1)).x == -1
    assert tree.static(metadata={"static": False}).metadata == {"static": False}


def test_a_vector_of_one_dtype_keeps_its_own_on_the_way_back():
    flat, unravel = ravel_pytree([np.float32([1, 2]), np.float32(3)])
    assert [x.dtype for x in unravel(flat < 2)] == ["bool", "bool"]
    flat, unravel = ravel_pytree([np.float32([1, 2]), np.int32(3)])
    assert [x.dtype for x in unravel(flat.astype("float16"))] == ["float32", "int32"]
