"""What a file says of its program besides the program: attributes of the module and its arguments.

    module @loss attributes {arraylib.format = 1 : i32, arraylib.in_tree = "...",
                             arraylib.out_tree = "...", arraylib.version = "0.1.0", ...}

Programs without these attributes, such as those that other frameworks print, take and return flat
tuples of arrays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from arraylib import tree
from arraylib.errors import ArgumentError, StructureError, mistake
from arraylib.export.containers import structure_data, structure_of
from arraylib.hlo.ir import Graph
from arraylib.hlo.mlir.attributes import Integer, plain_python
from arraylib.hlo.mlir.cursor import Cursor, ParseError
from arraylib.hlo.module import Function, Module, Pairs
from arraylib.hlo.passes.adopt import array_types
from arraylib.record import record

FORMAT = 1  # of the attributes below; later formats have higher numbers

_NAME = "arraylib.name"  # of an argument
_RESULT = "jax.result_info"  # where a result is: the name that XLA's tools know


@record
class Header:
    """What a program takes and returns, and where it comes from."""

    fun_name: str
    in_tree: tree.Structure  # of (positional arguments, keyword arguments)
    out_tree: tree.Structure
    platforms: tuple[str, ...] = ()  # those it was written for; empty: the file does not say
    version: str = ""  # of arraylib, that wrote the file; empty: something else did
    names: tuple[str, ...] = ()  # of the arguments' leaves; empty: unknown
    nr_devices: int = 1


# -- writing ---------------------------------------------------------------------------------------


def module_with(header: Header, graph: Graph, donated: Sequence[int]) -> Module:
    """The module that has a graph for its function `main`, and says what the header says.

    The memory of the arguments in `donated` may be taken over by results.
    """
    attributes: dict[str, Any] = {
        "arraylib.format": Integer(FORMAT, "i32"),
        "arraylib.version": header.version,
        "arraylib.platforms": header.platforms,
        "arraylib.in_tree": _json(header.in_tree),
        "arraylib.out_tree": _json(header.out_tree),
        "mhlo.num_partitions": Integer(header.nr_devices, "i32"),
        "mhlo.num_replicas": Integer(1, "i32"),
    }
    notes: list[dict[str, Any]] = [{_NAME: name} for name in header.names]
    for i, note in _aliases(graph, donated).items():
        notes[i] |= note
    arguments = tuple([tuple(note.items()) for note in notes])
    results: tuple[Pairs, ...] = tuple([
        ((_RESULT, tree.keystr(path, "result")),) for path in tree.paths(header.out_tree)])
    main = Function("main", graph, True, arguments, results)
    return Module((main,), header.fun_name, tuple(sorted(attributes.items())))


def _json(structure: tree.Structure) -> str:
    return json.dumps(structure_data(structure), separators=(",", ":"))


def _aliases(graph: Graph, donated: Sequence[int]) -> dict[int, dict[str, Any]]:
    """For each donated argument the result that gets its memory, the first of its type."""
    free = list(enumerate(graph.output_types))
    found: dict[int, dict[str, Any]] = {}
    for i in donated:
        match = next((item for item in free if item[1] is graph.inputs[i].type), None)
        if match is None:
            found[i] = {"jax.buffer_donor": True}
            continue
        free.remove(match)
        found[i] = {"tf.aliasing_output": Integer(match[0], "i32")}
    return found


# -- reading ---------------------------------------------------------------------------------------


def header_of(module: Module, data: str | bytes, name: str) -> Header:
    """What the attributes of a module say; `data` and `name` are those of the file it stands in.

    Raises ArgumentError for a format that is not known here, ParseError for attributes that do not
    fit the program, and StructureError for containers whose class is not registered.
    """
    said = {key: plain_python(value) for key, value in module.attributes}
    inputs, outputs = types_of(module)
    devices = _whole(said, "mhlo.num_partitions") * _whole(said, "mhlo.num_replicas")
    if "arraylib.format" not in said:
        given, returned = tuple([0] * len(inputs)), tuple([0] * len(outputs))
        return Header(module.name or module.entry.name, tree.structure((given, {})),
                      tree.structure(returned), nr_devices=devices)
    _check_format(said, name)
    place = _Place(data, name)
    in_tree = _tree(said, "arraylib.in_tree", len(inputs), place)
    if not _is_call(in_tree):
        raise place.fail("arraylib.in_tree", "is not that of a tuple of positional and a dict of "
                         "keyword arguments")
    return Header(
        module.name, in_tree, _tree(said, "arraylib.out_tree", len(outputs), place),
        _texts(said.get("arraylib.platforms")), str(said.get("arraylib.version", "")),
        _names(module.entry, len(inputs)), devices)


@record
class _Place:
    """Where in the file an attribute stands, for errors."""

    data: str | bytes
    name: str

    def fail(self, attribute: str, problem: str) -> ParseError:
        text = self.data if isinstance(self.data, str) else self.data.decode()
        return Cursor(text, self.name).fail(f"{attribute} {problem}", max(text.find(attribute), 0))


def _check_format(said: dict[str, Any], name: str) -> None:
    found = said["arraylib.format"]
    if found == FORMAT:
        return
    writer = said.get("arraylib.version", "unknown")
    raise mistake(ArgumentError, "export.load", f"{name} has format {found}, but this arraylib "
                  f"reads format {FORMAT}", hint=f"load it with the version that wrote it, "
                  f"{writer}, or a later one; or remove the attribute arraylib.format, to load it "
                  "as a program of flat arguments")


def _tree(said: dict[str, Any], attribute: str, count: int, place: _Place) -> tree.Structure:
    data = said.get(attribute)
    if not isinstance(data, str):
        raise place.fail(attribute, "is missing, or not a string")
    try:
        structure = structure_of(json.loads(data))
    except StructureError:
        raise  # it is also a ValueError
    except (ValueError, RecursionError) as error:
        raise place.fail(attribute, f"stands for no containers: {error}") from None
    if structure.num_leaves != count:
        raise place.fail(attribute, f"has {structure.num_leaves} leaves for {count} arrays")
    return structure


def _is_call(structure: tree.Structure) -> bool:
    """Whether a structure is that of (positional arguments, keyword arguments)."""
    kinds = [part.kind.type if part.kind else None for part in (structure, *structure.children)]
    return kinds == [tuple, tuple, dict] and all(
        isinstance(key, str) for key in structure.children[1].metadata)


def _whole(said: dict[str, Any], attribute: str) -> int:
    value = said.get(attribute, 1)
    return value if isinstance(value, int) and value > 0 else 1


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _names(entry: Function, count: int) -> tuple[str, ...]:
    """What the arguments are called; nothing unless all have a name."""
    found = [dict(notes).get(_NAME) for notes in entry.arguments]
    named = len(found) == count and all(isinstance(name, str) for name in found)
    return tuple(map(str, found)) if named else ()


def types_of(module: Module) -> tuple[list[Any], list[Any]]:
    """The types of the arrays that a program takes and returns; sizes left open are None."""
    graph = module.graph
    return array_types(graph), array_types(Graph(graph.outputs, (), ()))
