"""Nested containers: taken apart into leaves, put together again, mapped over, compared.

A tree is a leaf or a container of trees: dict, list, tuple, namedtuple, None, OrderedDict,
defaultdict and every registered type; anything else is a leaf. `flatten` gives the leaves, in order
(dict keys sorted), and the `Structure` that holds all the rest. Structures are interned: equal ones
are one object, so comparing them is `is`, and hashing them costs a pointer.

    leaves, structure = flatten({"b": [1, 2], "a": 3})     # [3, 1, 2], {'a': *, 'b': [*, *]}
"""

from arraylib.tree.containers import (
    register_dataclass as register_dataclass,
    register_node as register_node,
    register_node_with_keys as register_node_with_keys,
    register_static as register_static,
    static as static,
)
from arraylib.tree.keys import (
    DictKey as DictKey,
    FlattenedIndexKey as FlattenedIndexKey,
    GetAttrKey as GetAttrKey,
    Key as Key,
    KeyPath as KeyPath,
    SequenceKey as SequenceKey,
    keystr as keystr,
)
from arraylib.tree.mapping import (
    all as all,
    broadcast as broadcast,
    broadcast_prefix as broadcast_prefix,
    map as map,
    map_with_path as map_with_path,
    reduce as reduce,
    reduce_associative as reduce_associative,
    transpose as transpose,
)
from arraylib.tree.structures import (
    LEAF as LEAF,
    IsLeaf as IsLeaf,
    Kind as Kind,
    Leaf as Leaf,
    Structure as Structure,
    Tree as Tree,
    check_same as check_same,
    flatten as flatten,
    flatten_up_to as flatten_up_to,
    flatten_with_path as flatten_with_path,
    flattener as flattener,
    kind_of as kind_of,
    leaves as leaves,
    leaves_with_path as leaves_with_path,
    make as make,
    paths as paths,
    rebuilder as rebuilder,
    structure as structure,
    unflatten as unflatten,
)
