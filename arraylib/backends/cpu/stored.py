"""A compiled program as bytes for the disk cache: object code, facts as JSON, large constants.

Nothing in it is code that Python would run. Attributes of host calls are written only where they
are plain data (numbers, strings, dtypes, tuples of these); a program with others is not stored.
"""

from __future__ import annotations

import ast
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt
from arraylib.backends.cpu.host import HostCall
from arraylib.backends.cpu.record import Program
from arraylib.backends.interface import Result
from arraylib.hlo.ir import Type
from arraylib.hlo.ops import TABLE
from arraylib.hlo.ops.lapack import Routine, lapack
from arraylib.on_demand import module

_OPS = {**TABLE, lapack.name: lapack}
_HEADER = struct.Struct("<Q")  # bytes of facts


def to_bytes(program: Program, images: Sequence[bytes], parts: Mapping[str, str],
             pieces: Mapping[str, str]) -> bytes | None:
    """The program without its text, `parts`, on which it depends, and `pieces`, which it calls.

    None where a host call holds what cannot be written.
    """
    try:
        facts = json.dumps(
            {**_facts(program), "parts": dict(parts), "pieces": dict(pieces),
             "images": list(map(len, images))}).encode()
    except TypeError:
        return None
    constants = b"".join(data.tobytes() for data in program.constants)
    return b"".join([_HEADER.pack(len(facts)), facts, *images, constants])


def from_bytes(content: bytes) -> tuple[Program, list[bytes], dict[str, str]]:
    """The program, without its text, its code, and the keys of the code of what it calls."""
    length, = _HEADER.unpack_from(content)
    start = _HEADER.size + length
    facts = json.loads(content[_HEADER.size:start])
    images = []
    for size in facts["images"]:
        images.append(content[start:start + size])
        start += size
    constants = []
    for written in facts["constants"]:
        type = _read_type(written)
        constants.append(np.frombuffer(content, type.dtype, type.size, start).reshape(type.shape))
        start += type.nbytes
    results = tuple(Result(_read_type(t), block, offset, donor)
                    for t, block, offset, donor in facts["results"])
    program = Program("", tuple(map(_read_type, facts["inputs"])), results,
                      tuple(facts["blocks"]), facts["arena_bytes"], facts["work"],
                      tuple(facts["symbols"]), tuple(constants),
                      tuple(map(_read_call, facts["host_calls"])))
    return program, images, facts["pieces"]


def parts_of(content: bytes) -> dict[str, str]:
    """What a stored program depends on."""
    length, = _HEADER.unpack_from(content)
    found: dict[str, str] = json.loads(content[_HEADER.size:_HEADER.size + length])["parts"]
    return found


def _facts(program: Program) -> dict[str, Any]:
    return {
        "inputs": [_type(t) for t in program.input_types],
        "results": [(_type(r.type), r.block, r.offset, r.donor) for r in program.results],
        "blocks": program.blocks, "arena_bytes": program.arena_bytes, "work": program.work,
        "symbols": program.symbols,
        "constants": [_type(Type(data.dtype, data.shape)) for data in program.constants],
        "host_calls": [_call(call) for call in program.host_calls]}


def _call(call: HostCall) -> dict[str, Any]:
    attrs = {name: _written(value) for name, value in call.attrs.items()}
    if _OPS.get(call.op.name) is not call.op:
        raise TypeError(f"{call.op.name} is no operation that is known by its name")
    return {"op": call.op.name, "attrs": attrs, "operands": [_type(t) for t in call.operands],
            "results": [_type(t) for t in call.results]}


def _read_call(facts: dict[str, Any]) -> HostCall:
    attrs = {name: _read(value) for name, value in facts["attrs"].items()}
    return HostCall(_OPS[facts["op"]], attrs, tuple(map(_read_type, facts["operands"])),
                    tuple(map(_read_type, facts["results"])))


def _type(type: Type) -> list[Any]:
    return [dt.name(type.dtype), list(type.shape)]


def _read_type(written: list[Any]) -> Type:
    return Type(dt.dtype(written[0]), tuple(written[1]))


def _written(value: Any) -> list[Any]:
    """An attribute as [kind, what JSON can hold]; TypeError for what is neither data nor ours."""
    if isinstance(value, np.dtype):
        return ["dtype", dt.name(value)]
    if isinstance(value, Type):
        return ["type", _type(value)]
    if isinstance(value, Routine) and _named(value.name, value.settings) == value:
        return ["routine", [value.name, _written(value.settings)]]
    if isinstance(value, tuple) and any(isinstance(x, Type) for x in value):
        return ["tuple", [_written(x) for x in value]]
    text = repr(value)
    try:
        same = ast.literal_eval(text) == value
    except (ValueError, SyntaxError):
        same = False
    if not same:
        raise TypeError(f"{text} cannot be written")
    return ["literal", text]


def _named(name: str, settings: tuple[tuple[str, Any], ...]) -> Routine | None:
    """The routine of LAPACK that has this name, if any."""
    found: Routine | None = module("hlo.passes.lapack").named(name, settings)
    return found


def _read(written: list[Any]) -> Any:
    kind, content = written
    return _READ[kind](content)


_READ: dict[str, Callable[[Any], Any]] = {
    "dtype": dt.dtype,
    "type": _read_type,
    "routine": lambda content: _named(content[0], _read(content[1])),
    "tuple": lambda content: tuple(map(_read, content)),
    "literal": ast.literal_eval,
}
