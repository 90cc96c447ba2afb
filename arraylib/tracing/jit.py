"""jit: trace a function once per signature, compile the graph, then only call it.

A signature is the types of the array arguments, the structure of their containers and the values
of static arguments. Arrays that the function closes over are hidden inputs, looked up at every
call. Inside another trace a jitted function becomes a `call` node.

The way of a call like the one before is the fast path: `Jitted.__call__` compares types, collects
addresses and runs. Other calls that were seen before are found in a dict by `_call_seen`, and
everything else goes through `_slow`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, replace
from functools import partial, update_wrapper
from itertools import zip_longest
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from arraylib import spans, tree
from arraylib.array import Array, share
from arraylib.backends.cpu.calls.layout import RAW, Caller
from arraylib.backends.cpu.calls.ndarrays import SCALARS
from arraylib.collector import resting
from arraylib.compile import Executable, census_graph, compile_graph, peaks
from arraylib.config import config
from arraylib.device import check_device, devices
from arraylib.dtypes import of as dtype_of
from arraylib.errors import ArgumentError, mistake, shorten, what_is
from arraylib.hlo.ir import Number, Type, Value, _current, current, given_type, is_tracing, run
from arraylib.hlo.ops.control import call as call_op
from arraylib.hlo.passes.guard import Guarded
from arraylib.launch import donated_as, donating_launcher, launcher, single_launcher
from arraylib.on_demand import module
from arraylib.record import field, record
from arraylib.tracing.arguments import (
    Parameters,
    Static,
    donated_leaves,
    leaf_name,
    parameters,
    split_static,
    with_static,
)
from arraylib.tracing.axis_names import bound_axes
from arraylib.tracing.cells import Ref, is_traced, only_once, resolved
from arraylib.tracing.checked import guarded, results
from arraylib.tracing.core import Flat, as_operand, marked, trace_with_refs
from arraylib.tracing.eager import concrete, eager
from arraylib.tracing.impure import impure_entry, is_impure, passed, write_back
from arraylib.tracing.layouts import placement, seeding
from arraylib.tracing.ledger import Ledger, Recorder, Signature, checked_limit
from arraylib.tracing.quick import NativeCalls
from arraylib.tracing.resources import check_donations
from arraylib.tracing.stages import Compiled, Entry, Lowered, Traced
from arraylib.tracing.typed import Compiling, Given, Result

if TYPE_CHECKING:
    from arraylib.reports.compilation import CompileReport
    from arraylib.reports.profile import Profile

LEAF = tree.LEAF
# What native code takes as an argument.
_NATIVE = frozenset((Array, np.ndarray, bool, int, float, complex, *SCALARS))


@record(eq=False)
class _Seen:
    """A signature of positional arrays in containers: how to recognize it, and what runs then."""

    flatten: Callable[[Any], list[Any]] | None  # None where the arguments are the leaves
    types: list[Type]
    at: Callable[[list[int]], Any]
    structure: Any  # of (positional arguments, none by name)
    entry: Entry


@record(frozen=False, eq=False)
class _Tables:
    """The entries made under one configuration; in three tables, by how they are found."""

    flat: dict[Any, _Seen] = field(default_factory=dict)  # by the arguments' types
    nested: dict[Any, _Seen] = field(default_factory=dict)  # by structure and types
    entries: dict[Any, Entry] = field(default_factory=dict)
    traced: dict[Any, Traced] = field(default_factory=dict)


# Of the last call on the fast path: config.epoch, and what _Seen says.
_Last = tuple[int, Any, Any, Any]


class Jitted(Caller):
    """A function that is compiled the first time each signature is met."""

    def __init__(self, function: Callable[..., Any], given: Parameters, inline: bool,
                 max_compiles: int | None = None, memory_budget: int | None = None) -> None:
        update_wrapper(self, function)
        self._budget = memory_budget
        self._function, self._given, self._inline = function, given, inline
        self._recorder = Recorder(given, function, checked_limit(max_compiles))
        self._by_config: dict[Any, _Tables] = {}
        self._native = NativeCalls()
        self._derived: dict[Any, Derived] = {}
        self._last: _Last
        self._choose_tables()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # One attribute, so that other threads replace all four at once.
        epoch, flatten, types, launch = self._last
        places = None
        if epoch == config.epoch and not kwargs and _current.get(None) is None:
            try:
                leaves = args if flatten is None else flatten(args)
                same = [x.type for x in leaves] == types
                places = [x.place for x in leaves] if same else [0]
            except (AttributeError, KeyError, ValueError):
                places = [0]  # and go on outside of the handler: errors of tracing stand alone
            if 0 not in places:
                return launch(places)
        try:
            return self._slow(args, kwargs) if places is None else self._call_seen(args)
        except Exception as error:
            if config.tracebacks == "user":
                shorten(error)
            raise

    def _call_seen(self, args: tuple[Any, ...]) -> Any:
        """The way of calls with other types than last time, with numbers or NumPy arrays."""
        epoch, tables = self._chosen
        seen = None
        found: Sequence[Any] = args
        leaves = found
        if all([x.__class__ is Array for x in args]):
            seen = tables.flat.get(tuple([x.type for x in args]))
        else:
            found, structure = tree.flatten(args)
            leaves = [x if x.__class__ is Array else _from_data(x) for x in found]
            if all([x.__class__ is Array for x in leaves]):
                seen = tables.nested.get((structure, *[x.type for x in leaves]))
        if seen is None:
            return self._slow(args, {})
        self._last = epoch, seen.flatten, seen.types, seen.at
        if RAW and all([x.__class__ in _NATIVE for x in found]):
            self._native.add(self, args, {}, seen.structure, (), seen.types, seen.entry, epoch)
        return seen.at([x.address for x in leaves])

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<jitted {getattr(self, '__qualname__', self._given.function)}>"

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The traced function, to be looked at or compiled, for arguments of these types."""
        leaves, structure, static = self._leaves(args, kwargs)
        traced = self._trace(leaves, structure, static)
        return Lowered(self, traced, structure, static)

    def trace(self, *args: Any, **kwargs: Any) -> Lowered:
        """The same as `lower`: there is one graph from tracing to code."""
        return self.lower(*args, **kwargs)

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shapes and dtypes of the results, in their containers, without running anything."""
        return self.lower(*args, **kwargs).out_info

    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """The time of each step on these arguments: see `Compiled.profile`."""
        return self.lower(*args, **kwargs).profile(*args, **kwargs)

    def compiles(self) -> Ledger:
        """What has been compiled so far, in order: for what, how long it took, and why.

        The reason is what differs from the nearest compilation before: the dtype or shape of an
        argument, a static value, the containers, a setting; with it comes what would save it.

            print(step.compiles())
        """
        return Ledger(self._recorder.lines)

    def compile_report(self) -> CompileReport:
        """What has been compiled so far: times by phase, kernels, the lines that made most.

            print(step.compile_report())
        """
        reports = module("reports.compilation")
        lines = [reports.Compiling(each.signature, each.milliseconds / 1000, each.phases,
                                   each.found, census_graph(each.traced.graph))
                 for each in self._recorder.lines]
        found: CompileReport = reports.CompileReport(self._given.function, tuple(lines))
        return found

    def entry_of(self, arrays: Sequence[Array]) -> Entry | None:
        """What runs for these positional arguments; None if it has not been compiled here."""
        epoch, tables = self._chosen
        structure = tree.flatten((tuple(arrays), {}))[1]
        found = tables.entries.get((structure, (), tuple([x.type for x in arrays])))
        return found if epoch == config.epoch else None

    def clear_cache(self) -> None:
        """Forget everything compiled; the next call traces again."""
        self._by_config.clear()
        self._recorder.count = 0
        self._choose_tables()
        for each in list(self._derived.values()):
            each.clear_cache()

    # Behind the fast path

    def _choose_tables(self) -> None:
        """Entries depend on the settings: each combination has its own tables."""
        epoch = config.epoch  # before the settings are read: others may change them meanwhile
        settings = (astuple(config), config.placing)
        self._chosen = epoch, self._by_config.setdefault(settings, _Tables())
        # Calls with static or donated arguments never take the fast path, nor what is recorded.
        fast = self._given.plain and not config.recording
        self._last = epoch if fast else -1, None, None, None
        self._native.clear(self)

    @property
    def _tables(self) -> _Tables:
        return self._chosen[1]

    def _slow(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._chosen[0] != config.epoch:
            self._choose_tables()
        if not config.jit and not is_tracing():
            return self._function(*args, **kwargs)
        leaves, structure, static = self._leaves(args, kwargs)
        if is_tracing():
            return self._emit_call(leaves, structure, static)
        arrays: list[Any] = [x if x.__class__ is Array or x.__class__ is Ref else concrete(x)
                             for x in leaves]
        types = tuple([x.type for x in arrays])
        key = (structure, static, types)
        if config.placing:
            return self._call_placed(arrays, structure, static, (*key, *placement(arrays)))
        entry = self._tables.entries.get(key)
        if entry is None:
            entry = self._tables.entries[key] = self._compile(arrays, structure, static)
            if entry.at and self._given.plain and not kwargs:
                self._remember(structure, types, entry.at, entry)
        if config.recording:
            return self.running(entry)(arrays)
        if entry.native and not any([x.__class__ is Ref for x in leaves]):
            self._native.add(self, args, kwargs, structure, static, types, entry, self._chosen[0])
        return entry.run(arrays)

    def _call_placed(self, arrays: Sequence[Any], structure: Any, static: Static,
                     key: Any) -> Any:
        """A call whose results are told how they lie on the mesh of the arguments."""
        entry = self._tables.entries.get(key)
        if entry is None:
            entry = self._compile(arrays, structure, static)
            traced = self._trace(arrays, structure, static)
            layouts = module("tracing.placing").results_of(traced, arrays)
            entry = self._tables.entries[key] = replace(entry, layouts=layouts)
        out = self.running(entry)(arrays)
        module("tracing.placing").place_leaves(tree.leaves(out), entry.layouts, arrays)
        return out

    def _remember(self, structure: Any, types: tuple[Type, ...],
                  at: Callable[[list[int]], Any], entry: Entry) -> None:
        """Let calls with these positional arguments take the fast path."""
        positional = structure.children[0]
        flat = all(child is LEAF for child in positional.children)
        if flat:
            self._tables.flat[types] = _Seen(None, list(types), at, structure, entry)
        flatten = None if flat else tree.flattener(positional)
        self._tables.nested[(positional, *types)] = _Seen(
            flatten, list(types), at, structure, entry)

    def _leaves(self, args: tuple[Any, ...],
                kwargs: dict[str, Any]) -> tuple[list[Any], Any, Static]:
        """The traced arguments' leaves and structure, and the static arguments."""
        traced, words, static = split_static(self._given, args, kwargs)
        found, structure = tree.flatten((traced, words))
        name = partial(leaf_name, self._given, structure, static)
        leaves = [x if x.__class__ is Array or x.__class__ is Ref
                  else as_operand(x, "jit", partial(name, i)) for i, x in enumerate(found)]
        return leaves, structure, static

    def _trace(self, leaves: Sequence[Any], structure: Any, static: Static) -> Traced:
        """The function's graph at this signature, traced once unless it captures a tracer."""
        types: list[Any] = [x.type if x.__class__ is Ref else given_type(x) for x in leaves]
        key = (structure, static, tuple(types), bound_axes(),
               *(placement(leaves) if config.placing else ()))
        found = self._tables.traced.get(key)
        if found is None:
            refs = passed(leaves)
            flat = Flat(self._given.function, with_static(self._function, static), structure,
                        refs=True, passed=refs)
            with seeding(leaves):
                graph, captured = trace_with_refs(
                    flat, [t.type if i in refs else t for i, t in enumerate(types)])
            owned = tuple(x if isinstance(x, (Value, Ref)) else eager.own(x) for x in captured)
            found = Traced(graph, owned, flat.output.children[0], flat.weak, None,
                           tuple(flat.written), refs)
            if not any(map(is_traced, (*owned, *flat.written))):
                self._tables.traced[key] = found
        return found

    def _emit_call(self, leaves: Sequence[Any], structure: Any, static: Static) -> Any:
        """The function as a node of the graph that is being traced."""
        traced = self._trace(leaves, structure, static)
        operands = resolved((*leaves, *traced.captured))
        if is_impure(traced):
            only_once(self._given.function, [leaves[i] for i in traced.passed], traced.captured)
        if self._inline:
            outputs = run(traced.graph, [current().own(x) for x in operands])
        else:
            outputs = call_op(*operands, body=traced.graph, name=self._given.function)
        results = write_back(traced, leaves, marked(outputs, traced.weak))
        return tree.unflatten(traced.output, results)

    def _compile(self, arrays: Sequence[Any], structure: Any, static: Static) -> Entry:
        types = tuple([x.type for x in resolved(arrays)])
        asked = Signature(self._given, types, structure, static, asdict(config))
        self._recorder.check(asked)
        start = time.perf_counter()
        with resting():
            traced = self._trace(arrays, structure, static)
            tracing = time.perf_counter() - start
            traced = self.within_budget(traced, structure, static)
            entry = self.make_entry(traced, structure, static)
        spent = time.perf_counter() - start
        spans.add(f"compile {self._given.function}", "compile", start)
        self._recorder.add(asked, spent, tracing, start, traced, entry.executable)
        Compiled(self, traced, entry, structure, static).check_memory()
        return entry

    def within_budget(self, traced: Traced, structure: Any, static: Static) -> Traced:
        """What was traced, or what needs less memory and computes more; the same without a budget.

        The interpreter plans no memory and has no budget.
        """
        if self._budget is None or config.backend != "cpu":
            return traced
        donated = frozenset(donated_leaves(self._given, structure, static))
        graph, trade = module("tracing.budget").fitted(
            self._given.function, traced.graph, self._budget, peaks(donated))
        return replace(traced, graph=graph, recomputation=trade)

    def running(self, entry: Entry) -> Callable[[Sequence[Any]], Any]:
        """What runs for an entry, as one thing with a name where a trace is being made."""
        if not config.recording:
            return entry.run
        return spans.spanned(entry.run, self._given.function, "jit")

    def make_entry(self, traced: Traced, structure: Any, static: Static) -> Entry:
        """Compile what was traced for arguments of this structure."""
        donated = donated_leaves(self._given, structure, static)
        names = partial(leaf_name, self._given, structure, static)
        if is_impure(traced):
            return impure_entry(self._given.function, traced, donated, names)
        entry = make_entry(traced, donated, names)
        check_donations(self._given.function, entry.executable, donated, names,
                        self._given.strict)
        return entry


class Derived(Jitted):
    """A transform of a jitted function, which is compiled like the function itself.

    The function's Python code has run at its first call, as that of any jitted function, so that
    nothing is lost where the transform is not traced again. Inside another trace, without `jit`,
    and for what is no data, it is the transform as it is.
    """

    def __init__(self, transform: Callable[..., Any]) -> None:
        super().__init__(transform, parameters(transform, None, None, None, None), False)

    def _slow(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        plain = is_tracing() or not config.jit
        if plain or not all(map(_is_data, tree.leaves((args, kwargs)))):
            return self._function(*args, **kwargs)
        return super()._slow(args, kwargs)


def derived(name: str, transform: Callable[..., Any], fun: Any,
            *settings: Any) -> Callable[..., Any]:
    """A transform of `fun`: compiled if that is jitted, and then the same for the same settings.

    Transforms of other functions are traced at every call, for what their code reads may change.
    """
    if not isinstance(fun, Jitted) or fun._given.static_positions or fun._given.static_names:
        return transform
    key = name, *settings
    try:
        return fun._derived.get(key) or fun._derived.setdefault(key, Derived(transform))
    except TypeError:  # settings that cannot be hashed
        return transform


def _is_data(leaf: Any) -> bool:
    """Whether a leaf is an array or a number, of a dtype that NumPy has as well."""
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.dtype.kind in "biufc"
    return leaf.__class__ is Array or isinstance(leaf, (bool, int, float, complex))


def make_entry(traced: Traced, donated: tuple[int, ...], names: Callable[[int], str]) -> Entry:
    """Compile, and tie results to their containers."""
    checked = guarded(traced.graph, names, partial(_result_name, traced.output))
    if checked:
        return _checked_entry(traced, donated, names, checked)
    executable = _with_weak(compile_graph(traced.graph, frozenset(donated)), traced.weak)
    captured: tuple[Array, ...] = traced.captured
    if donated:
        launch = donating_launcher(executable, donated, names)
        rebuild = tree.rebuilder(traced.output)
        return Entry(lambda arrays: rebuild(launch([*arrays, *captured])), None, executable,
                     captured, traced.output, donated, donated_as(names))
    at = _with_containers(executable, captured, traced.output)
    return Entry(lambda arrays: at([x.address for x in arrays]), at, executable, captured,
                 traced.output)


def _checked_entry(traced: Traced, donated: tuple[int, ...], names: Callable[[int], str],
                   checked: Guarded) -> Entry:
    """The same for a program with checks: no result is returned if one of them failed."""
    executable = _with_weak(compile_graph(checked.graph, frozenset(donated)), traced.weak)
    captured: tuple[Array, ...] = traced.captured
    rebuild = tree.rebuilder(traced.output)
    if donated:
        donate = donating_launcher(executable, donated, names)
        return Entry(lambda arrays: rebuild(results(checked, donate([*arrays, *captured]))), None,
                     executable, captured, traced.output, donated, donated_as(names), False)
    launch = launcher(executable)
    return Entry(lambda arrays: rebuild(results(checked, launch(
        [x.address for x in (*arrays, *captured)]))), None, executable, captured, traced.output,
        native=False)


def _with_weak(executable: Executable, weak: Sequence[bool]) -> Executable:
    """The program with weak types for those of its results."""
    if not any(weak):
        return executable
    return replace(executable, results=tuple([
        replace(result, type=result.type.weakened) if is_weak else result
        for result, is_weak in zip_longest(executable.results, weak)]))


def _result_name(output: Any, number: int) -> str:
    return f"result{tree.keystr(tree.paths(output)[number])}"


def _with_containers(executable: Executable, captured: tuple[Array, ...],
                     output: Any) -> Callable[[list[int]], Any]:
    """From the addresses of the leaves to the results in their containers."""
    if output is LEAF and not captured:
        return single_launcher(executable)
    launch, rebuild = launcher(executable), tree.rebuilder(output)
    if captured:
        return lambda addresses: rebuild(launch(addresses + [x.address for x in captured]))
    return lambda addresses: rebuild(launch(addresses))


def _from_data(leaf: Any) -> Any:
    """A number or NumPy array as an Array; anything else as it is, for others to refuse."""
    if isinstance(leaf, (np.ndarray, np.generic)):
        return share(np.asarray(leaf).astype(dtype_of(leaf), copy=False))
    return share(Number.of(leaf)) if isinstance(leaf, (bool, int, float, complex)) else leaf


@overload
def jit(function: Callable[Given, Result], **settings: Any) -> Compiling[Given, Result]: ...


@overload
def jit(function: None = None, **settings: Any
        ) -> Callable[[Callable[Given, Result]], Compiling[Given, Result]]: ...


def jit(function: Callable[..., Any] | None = None, *,  # type: ignore[misc]
        static_argnums: Any = None,
        static_argnames: Any = None, donate_argnums: Any = None, donate_argnames: Any = None,
        keep_unused: bool = False, inline: bool = False,
        donate: Literal["strict"] | None = None, max_compiles: int | None = None,
        memory_budget: int | None = None,
        bucket: dict[str, dict[int, Any]] | None = None, in_shardings: Any = None,
        out_shardings: Any = None, device: Any = None, backend: str | None = None,
        compiler_options: Any = None) -> Any:
    """A compiled version of `function`, traced the first time each signature is met.

    Args:
        static_argnums, static_argnames: arguments that are no arrays: hashable, compared by value
            and class; a new value compiles anew.
        donate_argnums, donate_argnames: arguments whose memory the results may take over; the
            arrays are gone after the call.
        keep_unused: accepted for JAX's sake; an argument that is not used costs nothing here.
        donate: "strict" makes an error, DonationError, of the warning that a donated argument's
            memory could not be used, with each argument's name and the reason.
        inline: inside another trace, emit the operations themselves instead of one call.
        max_compiles: after so many compilations, CompileLimitError says what has changed.
        memory_budget: the most bytes that a call may need at its peak, arguments among them.
            Values are computed again instead of kept until it does: `Compiled.recomputation` has
            the trade. OutOfMemoryError says what budget can be met if this one cannot. It takes a
            plan or more for each choice that is tried, and has no meaning inside another jit.
        bucket: arguments whose arrays are padded so that sizes share programs: for each by its name
            the axes, with how sizes are rounded up: "pow2", a number whose multiples are taken,
            the sizes there are, or a function. Results are cut back. Sums may be taken in another
            order. Operations that would see the padding are refused, with the reason.
        in_shardings, out_shardings: how arguments and results lie on a mesh; shardings or
            PartitionSpecs in containers, None where nothing is said.
        device, backend, compiler_options: accepted for JAX's sake: results lie on the first CPU
            device, and no other is taken; compiler options are XLA's.

    Without `function`, a decorator: `@jit` and `@jit(static_argnums=0)` both work, on functions
    and on methods.

    >>> @jit
    ... def scaled(x, factor=2.0):
    ...     return factor * x
    >>> scaled(jnp.arange(3))
    Array([0., 2., 4.], dtype=float32)
    """
    devices(backend)
    check_device("jit", device)

    def decorate(function: Callable[..., Any]) -> Jitted:
        if not callable(function):
            raise mistake(ArgumentError, "jit", f"{what_is(function)} is not a function",
                          hint="pass a callable: jit(f), or use it as the decorator @jit")
        given = parameters(function, static_argnums, static_argnames, donate_argnums,
                           donate_argnames, donate, bucket if isinstance(bucket, dict) else ())
        if in_shardings is not None or out_shardings is not None:
            function = module("tracing.resharding").with_shardings(
                function, in_shardings, out_shardings, given.static_positions)
        budget = None if memory_budget is None else \
            module("tracing.budget").checked_budget(memory_budget)
        if bucket is None:
            return Jitted(function, given, inline, max_compiles, budget)
        padding = module("tracing.bucket").Bucketed
        padded: Jitted = padding(function, given, inline, max_compiles, budget, bucket)
        return padded

    return decorate if function is None else decorate(function)
