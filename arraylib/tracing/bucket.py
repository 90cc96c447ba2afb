"""jit(bucket=...): arrays are padded to one of few sizes, and programs made for those.

    f = jit(loss, bucket={"tokens": {0: "pow2"}})

calls a program for 8 rows with tokens of 5, 6, 7 and 8 rows. A program is compiled once for each
bucket. For each new size the function is traced again, which takes milliseconds, and twice, since
what depends on the size is found by comparing with another size: see hlo/passes/padded.py. Results
are cut back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from arraylib import tree
from arraylib.array import Array, to_numpy, wrap
from arraylib.collector import resting
from arraylib.compile import Executable, compile_graph, memory_graph
from arraylib.config import config
from arraylib.errors import ArgumentError, ArraylibError, mistake
from arraylib.hlo.fingerprint import fingerprint
from arraylib.hlo.ir import Type, given_type
from arraylib.launch import launcher
from arraylib.on_demand import module
from arraylib.record import record
from arraylib.tracing.arguments import Parameters, Static, leaf_name, leaves_by_argument
from arraylib.tracing.cells import resolved
from arraylib.tracing.checked import guarded
from arraylib.tracing.core import ShapeDtypeStruct, marked
from arraylib.tracing.impure import is_impure
from arraylib.tracing.jit import Jitted
from arraylib.tracing.ledger import Signature
from arraylib.tracing.resources import check_memory
from arraylib.tracing.stages import Entry, Traced

Kind = str | int | Sequence[int] | Callable[[int], int]
Buckets = dict[str | int, dict[int, Kind]]


class Bucketed(Jitted):
    """A jitted function whose arguments are padded along some axes.

    That holds for its calls. Inside another trace, for `lower`, and where the program is checked
    while it runs (`debug.check`, `config.debug_nans`), sizes are what they are.
    """

    def __init__(self, function: Callable[..., Any], given: Parameters, inline: bool,
                 max_compiles: int | None, memory_budget: int | None, buckets: Buckets) -> None:
        self._buckets = _checked(given, buckets)
        self._programs: dict[Any, Executable] = {}
        super().__init__(function, given, inline, max_compiles, memory_budget)

    def clear_cache(self) -> None:
        """Forget everything compiled; the next call traces again."""
        self._programs.clear()
        super().clear_cache()

    def _compile(self, arrays: Sequence[Array], structure: Any, static: Static) -> Entry:
        types = [given_type(x) for x in resolved(arrays)]
        found = self._padded_types(types, structure, static)
        start = time.perf_counter()
        with resting():
            traced = self._trace(arrays, structure, static)
            if is_impure(traced):
                raise mistake(ArgumentError, "jit(bucket=...)", f"{self._given.function} uses a "
                              "ref of the outside", hint="pass its contents and return new ones")
            # What is checked while it runs must be no padding.
            if found and not any(0 in type.shape for type in types) and not guarded(traced.graph):
                return self._compile_padded(traced, types, found, structure, static, start)
        return super()._compile(arrays, structure, static)

    def _compile_padded(self, traced: Traced, types: Sequence[Type],
                        axes: dict[int, dict[int, int]], structure: Any, static: Static,
                        start: float) -> Entry:
        """The entry for arguments of these types, of which these axes are padded so far."""
        passes = module("hlo.passes.padded")
        lengths = {(types[i].shape[axis], length) for i, padded in axes.items()
                   for axis, length in padded.items()}
        sizes = [passes.Size(n, n + 1, length) for n, length in sorted(lengths)]
        twin = self._twin([_longer(type, axes.get(i, {})) for i, type in enumerate(types)],
                          structure, static)
        made = passes.pad_axes(traced.graph, twin.graph, sizes)
        whole = made.graph.input_types
        digest = fingerprint(made.graph).digest
        asked = Signature(self._given, whole[:len(types)], structure, static, asdict(config),
                          digest)
        key = digest, structure, static, config.key()
        executable = self._programs.get(key)
        tracing = time.perf_counter() - start
        if executable is None:
            self._recorder.check(asked)
            padded = self.within_budget(replace(traced, graph=made.graph), structure, static)
            executable = self._programs[key] = compile_graph(padded.graph)
            self._recorder.add(asked, time.perf_counter() - start, tracing, start, padded,
                               executable)
        check_memory(self._given.function, executable, partial(memory_graph, made.graph))
        hidden = [_resized(x, type) for x, type in zip(traced.captured, whole[len(types):])]
        counts = [wrap(np.asarray(size.now, np.int64)) for size in sizes]
        return _entry(executable, whole[:len(types)], hidden + counts + [
            wrap(number) for number in made.numbers], traced)

    def _twin(self, types: Sequence[Type], structure: Any, static: Static) -> Traced:
        """The function traced for other sizes; ArgumentError if it cannot be."""
        try:
            return self._trace([_like(type) for type in types], structure, static)
        except ArraylibError as error:
            raise mistake(
                ArgumentError, "jit(bucket=...)", f"{self._given.function} cannot be traced for "
                f"other sizes: {str(error).splitlines()[0]}",
                operands=[f"{leaf_name(self._given, structure, static, i)}: {type}"
                          for i, type in enumerate(types)],
                hint="every argument that has the same axis has to stand in `bucket`") from error

    def _padded_types(self, types: Sequence[Type], structure: Any,
                      static: Static) -> dict[int, dict[int, int]]:
        """For each leaf that is padded, for each axis the length of its bucket.

        Axes of size 0 and 1 stay what they are: 1 may be stretched, and nothing has no rows.
        """
        found: dict[int, dict[int, int]] = {}
        for place, leaves in leaves_by_argument(structure, static):
            name = self._given.names[place] if isinstance(place, int) \
                and place < len(self._given.names) else place
            for leaf in leaves:
                for axis, kind in self._buckets.get(name, {}).items():
                    where = leaf_name(self._given, structure, static, leaf)
                    along = _axis(types[leaf], axis, where)
                    size = types[leaf].shape[along]
                    if size > 1:
                        found.setdefault(leaf, {})[along] = _bucket(kind, size, where)
        return found


@record
class _Run:
    """A call of a padded program: arguments are padded, results cut."""

    launch: Callable[[list[int]], Any]
    types: Sequence[Type]
    hidden: Sequence[Array]
    results: Sequence[Type]
    weak: Sequence[bool]
    rebuild: Callable[[list[Any]], Any]

    def __call__(self, arrays: Sequence[Array]) -> Any:
        padded = [_resized(x, type) for x, type in zip(arrays, self.types, strict=True)]
        outs = self.launch([x.address for x in (*padded, *self.hidden)])
        results = [_resized(x, type) for x, type in zip(outs, self.results)]
        return self.rebuild(marked(results, self.weak))


def _entry(executable: Executable, types: Sequence[Type], hidden: Sequence[Array],
           traced: Traced) -> Entry:
    run = _Run(launcher(executable), types, hidden, traced.graph.output_types,
               traced.weak, tree.rebuilder(traced.output))
    return Entry(run, None, executable, native=False)


def _resized(array: Array, type: Type) -> Array:
    """The array with zeros behind its elements, or cut, to be of this type."""
    if array.type.strong is type.strong:
        return array
    common = tuple([slice(min(n, m)) for n, m in zip(array.type.shape, type.shape)])
    data = to_numpy(array)[common]
    if data.shape == type.shape:
        return wrap(data)
    whole = np.zeros(type.shape, type.dtype)
    whole[common] = data
    return wrap(whole)


def _like(type: Type) -> ShapeDtypeStruct:
    return ShapeDtypeStruct.of(type)


def _longer(type: Type, axes: dict[int, int]) -> Type:
    """The type with these axes longer by one."""
    return type.with_shape([n + (axis in axes) for axis, n in enumerate(type.shape)])


# -- what is asked for -----------------------------------------------------------------------------


def _checked(given: Parameters, buckets: Any) -> Buckets:
    """The buckets by the names of parameters; ArgumentError if they cannot be meant."""
    if not isinstance(buckets, dict) or not all(isinstance(x, dict) for x in buckets.values()):
        raise _no_bucket(f"bucket={buckets!r:.60}", "bucket={'x': {0: 'pow2'}}: for arguments by "
                         "name, for axes by number, how sizes are rounded up")
    if given.donated_positions or given.donated_names:
        raise _no_bucket("donated arguments have no memory to give: they are copied to be padded",
                         "leave out either `bucket` or the donation")
    for kind in [kind for axes in buckets.values() for kind in axes.values()]:
        if kind != "pow2" and not callable(kind) and not _are_sizes(kind):
            raise _no_bucket(f"{kind!r:.60} is no way to round sizes up", "'pow2', a number whose "
                             "multiples are taken, sizes in ascending order, or a function of the "
                             "size")
    return buckets


def _are_sizes(kind: Any) -> bool:
    sizes = kind if isinstance(kind, (tuple, list)) else [kind]
    return bool(sizes) and all(isinstance(n, int) and n > 0 for n in sizes) \
        and list(sizes) == sorted(sizes)


def _axis(type: Type, axis: int, name: str) -> int:
    if not -type.rank <= axis < type.rank:
        raise _no_bucket(f"{name} has no axis {axis}: it is {type}", "an axis that all arrays of "
                         "the argument have")
    return axis % type.rank


def _bucket(kind: Kind, size: int, name: str) -> int:
    """The length of the bucket for a size."""
    if kind == "pow2":
        return 1 << (size - 1).bit_length()
    if isinstance(kind, int):
        return -(-size // kind) * kind
    found: Any = kind(size) if callable(kind) else next((n for n in kind if int(n) >= size), 0)
    if not isinstance(found, int) or found < size:
        raise _no_bucket(f"no bucket for size {size} of {name}, but {found}",
                         "buckets as large as the largest size")
    return found


def _no_bucket(problem: str, hint: str) -> Exception:
    return mistake(ArgumentError, "jit(bucket=...)", problem, hint=hint)
