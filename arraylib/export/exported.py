"""Exported: a traced function as a program that can be written, read, called and transformed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.array import Array
from arraylib.errors import ArgumentError, DtypeError, ShapeError, TraceError, mistake
from arraylib.export.containers import alike
from arraylib.export.header import Header, header_of, module_with, types_of
from arraylib.export.prepare import portable, runnable
from arraylib.hlo.ir import Type, Value, is_tracing, run
from arraylib.hlo.mlir.parser import parse
from arraylib.hlo.module import Module, text
from arraylib.hlo.passes.adopt import Functions, forms_for
from arraylib.record import field, record
from arraylib.tracing.arguments import leaf_name
from arraylib.tracing.core import ShapeDtypeStruct, as_operand, call_path
from arraylib.tracing.impure import is_impure
from arraylib.tracing.jit import Jitted, jit
from arraylib.tracing.pullback import vjp
from arraylib.version import VERSION


@record(eq=False, repr=False)
class Exported:
    """A function traced for arguments of certain types, as a program in StableHLO.

    Call it with `call`, in Python, or under `jit`, `grad` and `vmap` like the function it was;
    write it with `save`. What it is made of is there to be looked at: `in_tree` is the structure
    of (positional arguments, keyword arguments), `in_avals` are the types of their leaves, in
    which a size that the program leaves open is None.

        >>> double = export.export(lambda x: x * 2)(ShapeDtypeStruct((3,), jnp.float32))
        >>> double.call(jnp.ones(3))
        Array([2., 2., 2.], dtype=float32)
    """

    fun_name: str
    in_tree: tree.Structure
    out_tree: tree.Structure
    in_avals: tuple[ShapeDtypeStruct, ...]
    out_avals: tuple[ShapeDtypeStruct, ...]
    module: Module
    platforms: tuple[str, ...]  # those it was written for; empty: the file does not say
    nr_devices: int
    version: str  # of the arraylib that exported it; empty: something else did
    argument_names: tuple[str, ...] = ()  # such as `params['w']`, one a leaf; empty: unknown
    custom_calls: Functions | None = None
    _ready: dict[tuple[Any, ...], Callable[..., Any]] = field(default_factory=dict)

    def mlir_module(self) -> str:
        """The program as StableHLO text in MLIR's form, which other compilers read.

            >>> "stablehlo.multiply" in double.mlir_module()
            True
        """
        return text(self.module)

    def serialize(self) -> bytes:
        """What `save` writes, as bytes; `deserialize` reads them.

            >>> deserialize(double.serialize()).fun_name
            '<lambda>'
        """
        return self.mlir_module().encode()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to a file, which is there as a whole or, on an error, not at all.

            >>> double.save("double.mlir")
        """
        data, temporary = self.serialize(), f"{os.fspath(path)}.{os.getpid()}.tmp"
        try:
            with open(temporary, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the function returns for these arguments, which must have the exported types.

        Python numbers take the dtype of the argument they are for. Raises StructureError,
        ShapeError and DtypeError for arguments of other containers or types.

            >>> double.call(jnp.ones(4))
            Traceback (most recent call last):
                ...
            arraylib.errors.ShapeError: <lambda>: argument x is f32[4], but ...
        """
        leaves, structure = tree.flatten((args, kwargs))
        if not alike(self.in_tree, structure):
            raise self._other_containers(structure)
        operands = [x if getattr(x, "type", None) is t else self._operand(x, i, args, kwargs)
                    for i, (x, t) in enumerate(zip(leaves, self._types, strict=True))]
        return tree.unflatten(self.out_tree, self._program(operands)(*operands))

    def vjp(self) -> Exported:
        """The program of reverse derivatives, exported for the same arguments and a cotangent.

        It takes the positional arguments, then a cotangent like the result, and returns a tuple of
        cotangents, one a positional argument. Keyword arguments stay what they are.

            >>> double.vjp().call(jnp.ones(3), jnp.ones(3))
            (Array([2., 2., 2.], dtype=float32),)
        """
        if None in self._types:
            raise mistake(ShapeError, self.fun_name, "the program leaves sizes open",
                          hint="arraylib.vjp(exported.call, ...) for arguments of known sizes")

        def pull(*args: Any, **kwargs: Any) -> Any:
            *primals, cotangent = args
            _, backward = vjp(lambda *xs: self.call(*xs, **kwargs), *primals)
            return backward(cotangent)
        pull.__name__ = f"{self.fun_name}_vjp"
        args, kwargs = tree.unflatten(self.in_tree, self.in_avals)
        return export(pull)(*args, tree.unflatten(self.out_tree, self.out_avals), **kwargs)

    def __repr__(self) -> str:
        names = self.argument_names or map(str, range(len(self.in_avals)))
        given = ", ".join(f"{n}: {_shown(t)}" for n, t in zip(names, self.in_avals, strict=True))
        results = ", ".join(map(_shown, self.out_avals))
        return f"<exported {self.fun_name}({given}) -> {results or 'nothing'}>"

    # Calls

    @cached_property
    def _types(self) -> list[Type | None]:
        """The types of the arguments' leaves; None where they leave sizes open."""
        return [None if None in t.shape else t.type for t in self.in_avals]

    def _program(self, operands: Sequence[Any]) -> Callable[..., Any]:
        """The jitted program; one for all calls, or where it leaves sizes open, one a signature."""
        key = self._forms(operands) if None in self._types else ()
        if key not in self._ready:
            if self.nr_devices != 1:
                raise mistake(ArgumentError, self.fun_name, f"the program is for {self.nr_devices} "
                              "devices; this process has one", hint="hlo.evaluate_parallel("
                              "exported.module, ...), which interprets it for all of them")
            graph, constants = runnable(self.module, key or None, self.custom_calls)
            arrays = list(map(Array.from_numpy, constants))

            def program(*xs: Any) -> Any:
                return run(graph, [*xs, *arrays])
            program.__name__ = self.fun_name
            self._ready[key] = jit(program)
        return self._ready[key]

    def _forms(self, operands: Sequence[Any]) -> tuple[Any, ...]:
        """The types of operands; where they are known, the values of those that may be sizes."""
        if any(isinstance(x, Value) for x in operands):
            return tuple([x.type for x in operands])
        return tuple(forms_for(self.module.graph, list(map(np.asarray, operands))))

    def _operand(self, x: Any, i: int, args: Any, kwargs: Any) -> Any:
        """A leaf of the arguments as an array of the type that the program has for it."""
        wanted = self.in_avals[i]
        operand = as_operand(_converted(x, wanted.dtype), self.fun_name,
                             partial(call_path, args, kwargs, i))
        if isinstance(operand, np.ndarray):
            operand = Array(operand)
        found = operand.type
        fits = len(found.shape) == len(wanted.shape) and all(
            n in (m, None) for m, n in zip(found.shape, wanted.shape))
        if fits and found.dtype == wanted.dtype:
            return operand
        kind: type[Exception] = DtypeError if fits else ShapeError
        name = self.argument_names[i] if self.argument_names else ""
        where = f"argument {name}" if name else call_path(args, kwargs, i)
        hint = f"x.astype({dt.name(wanted.dtype)!r})" if fits else "export it for this shape"
        raise mistake(kind, self.fun_name, f"{where} is {found}, but the program was exported for "
                      f"{_shown(wanted)}", hint=hint)

    def _other_containers(self, found: tree.Structure) -> Exception:
        """The error for arguments that are not in the containers of `in_tree`."""
        (args, kwargs), (given, words) = self.in_tree.children, found.children
        count, names = len(args.children), _keys(kwargs)
        if len(given.children) != count or set(_keys(words)) != set(names):
            wanted = [f"{count} positional"] + [f"{name}=" for name in names]
            got = [f"{len(given.children)} positional"] + [f"{name}=" for name in _keys(words)]
            return mistake(ArgumentError, self.fun_name, f"was exported for the arguments "
                           f"{', '.join(wanted)}; called with {', '.join(got)}",
                           hint="static arguments are part of an exported program; leave them out")
        sides = [(f"{i}", *pair) for i, pair in enumerate(zip(args.children, given.children))]
        sides += [(name, *pair) for name, pair in zip(
            names, zip(kwargs.children, words.children))]
        for name, expected, here in sides:
            if not alike(expected, here):
                tree.check_same(expected, here, op=self.fun_name,
                                names=(f"the exported argument {name}", "the one given"))
        raise AssertionError("alike arguments make alike calls")


def _converted(x: Any, dtype: Any) -> Any:
    """A number, or a NumPy array of this dtype, as an Array of it; anything else as it is."""
    if isinstance(x, (np.ndarray, np.generic)):
        if x.dtype != dtype:
            return x
        return Array(x, dtype) if is_tracing() else Array.from_numpy(np.asarray(x))
    if type(x) not in _TAKERS or dt.kind(dtype) not in _TAKERS[type(x)]:
        return x
    if type(x) is int and dt.is_integer(dtype):
        dt.check_fits(x, dtype)
    return Array(x, dtype)


# The kinds of dtypes that a Python number may be given for.
_TAKERS: dict[type, str] = {bool: "biufc", int: "iufc", float: "fc", complex: "c"}


def _shown(aval: ShapeDtypeStruct) -> str:
    """`f32[3,?]`"""
    sizes = ["?" if n is None else str(n) for n in aval.shape]
    return f"{dt.short_name(aval.dtype)}[{','.join(sizes)}]"


def _keys(structure: tree.Structure) -> tuple[str, ...]:
    return tuple(structure.metadata)


# -- functions -------------------------------------------------------------------------------------


def export(fun: Callable[..., Any]) -> Callable[..., Exported]:
    """A function that traces `fun` for its arguments and returns the program.

    `fun` may be jitted: static arguments become part of the program, and arguments that are donated
    are marked. Arrays that it closes over are constants of the program. Arguments may be arrays or
    ShapeDtypeStruct.

    Raises ArgumentError if the program would call back into Python, StructureError if arguments or
    results are in containers that a file cannot name.

        >>> x = ShapeDtypeStruct((2, 3), jnp.float32)
        >>> export.export(jnp.sin)(x)
        <exported sin(x: f32[2,3]) -> f32[2,3]>
    """
    jitted = fun if isinstance(fun, Jitted) else jit(fun)

    def exporter(*args: Any, **kwargs: Any) -> Exported:
        lowered = jitted.lower(*args, **kwargs)
        traced, structure, given = lowered.traced, lowered._structure, jitted._given
        if is_impure(traced):
            raise mistake(TraceError, "export", f"{given.function} uses a ref of the outside",
                          hint="export a function that takes what it holds and returns what it "
                               "holds then")
        if any(isinstance(x, Value) for x in traced.captured):
            raise mistake(TraceError, "export", f"{given.function} reads a value that is being "
                          "traced", hint="export it outside of jit, grad and vmap, or pass the "
                          "value as an argument")
        names = tuple([_argument_name(leaf_name(given, structure, lowered._static, i))
                       for i in range(structure.num_leaves)])
        header = Header(given.function, structure, traced.output, ("cpu",), VERSION, names)
        graph = portable(traced.graph, traced.captured, given.function)
        return _exported(module_with(header, graph, lowered.donate_argnums), header)
    return exporter


def _argument_name(described: str) -> str:
    """`params['w']` out of `argument 'params'['w'] of step`."""
    name = described.removeprefix("argument ").rpartition(" of ")[0]
    return name.replace("'", "", 2) if name.startswith("'") else name


def _exported(module: Module, header: Header, custom_calls: Functions | None = None) -> Exported:
    inputs, outputs = types_of(module)
    return Exported(
        header.fun_name, header.in_tree, header.out_tree, tuple(map(_aval, inputs)),
        tuple(map(_aval, outputs)), module, header.platforms, header.nr_devices, header.version,
        header.names, custom_calls)


def _aval(type: Any) -> ShapeDtypeStruct:
    return ShapeDtypeStruct(type.shape, type.dtype)


def deserialize(data: bytes | str, name: str = "<bytes>", *,
                custom_calls: Functions | None = None) -> Exported:
    """The program that `serialize` wrote, or StableHLO text that anything else printed.

    A program that arraylib did not write takes and returns flat tuples of arrays. Nothing in the
    data is executed. `name` is what errors call it; `custom_calls` says by name what the program's
    custom calls do: functions of NumPy arrays.

    Raises ParseError, with line and column, for what is no program; ArgumentError for a format of
    a later version of arraylib.

        >>> double = export.export(lambda x: x * 2)(jnp.ones(3))
        >>> export.deserialize(double.serialize()).call(jnp.ones(3))
        Array([2., 2., 2.], dtype=float32)
    """
    if isinstance(data, bytes) and data[:4] == _BYTECODE:
        raise mistake(ArgumentError, "export.load", f"{name} is MLIR bytecode",
                      hint="write the program as text, with JAX for example "
                      "str(exported.mlir_module())")
    module = parse(data, name)
    return _exported(module, header_of(module, data, name), custom_calls)


_BYTECODE = b"ML\xefR"


def load(source: Any, *, custom_calls: Functions | None = None) -> Exported:
    """The program in a file, given by its path or open for reading; see `deserialize`.

        >>> export.export(lambda x: x * 2)(jnp.ones(3)).save("double.mlir")
        >>> export.load("double.mlir").call(jnp.ones(3))
        Array([2., 2., 2.], dtype=float32)
    """
    if hasattr(source, "read"):
        return deserialize(source.read(), str(getattr(source, "name", "<file>")),
                           custom_calls=custom_calls)
    with open(source, "rb") as file:
        return deserialize(file.read(), os.fspath(source), custom_calls=custom_calls)
