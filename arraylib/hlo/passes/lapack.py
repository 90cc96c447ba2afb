"""Let calls of LAPACK's routines be of our operation, which has derivatives and takes batches.

    custom_call(%0) {target=lapack_spotrf_ffi}    ->    lapack(%0) {routine=potrf}

And for programs that go elsewhere, write out what only we have a name for.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from arraylib.hlo.custom_calls import CUSTOM_CALLS
from arraylib.hlo.ir import Graph, Node, Type, Value
from arraylib.hlo.mlir.attributes import freeze, plain_python
from arraylib.hlo.mlir.routines import ORDER_OF_PIVOTS, properties_of
from arraylib.hlo.ops import custom
from arraylib.hlo.ops.lapack import PERMUTATION, Routine, lapack, written_out
from arraylib.hlo.passes.rewrite import Rewriter, everywhere, rewrite

_TARGET = re.compile(r"lapack_[sdcz](\w+)_ffi")


def known_routines(graph: Graph) -> Graph:
    """`graph` with calls of LAPACK's routines, in its regions too, as operations of ours."""
    return everywhere(lambda g: rewrite(g, _rule))(graph)


def _rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    if node.op is not custom.custom_call or node.attrs["target"] not in CUSTOM_CALLS:
        return None
    if node.attrs["target"] == ORDER_OF_PIVOTS:
        return tuple(lapack(*node.inputs, routine=PERMUTATION, results=node.attrs["results"]))
    if _TARGET.fullmatch(node.attrs["target"]) is None:
        return None
    said = plain_python(dict(node.attrs["settings"]))
    configs = [said.get(name) for name in ("mhlo.backend_config", "backend_config")]
    settings = next((tuple(config.items()) for config in configs if isinstance(config, dict)), ())
    return tuple(lapack(*node.inputs, routine=routine(node.attrs["target"], settings),
                        results=node.attrs["results"]))


def common_calls(graph: Graph) -> Graph:
    """`graph` with calls of routines that XLA's runtime has, and no others."""
    written = everywhere(lambda g: rewrite(g, _written_out))(graph)
    return everywhere(lambda g: rewrite(g, _call_by_name))(written)


def _written_out(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    return written_out(*node.inputs, **node.attrs) if node.op is lapack else None


def _call_by_name(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    if node.op is not lapack:
        return None
    settings = properties_of(node)
    target = settings.pop("call_target_name")
    return tuple(custom.custom_call(*node.inputs, target=target, results=node.attrs["results"],
                                    settings=freeze(settings)))


@functools.cache
def routine(target: str, settings: tuple[tuple[str, Any], ...] = ()) -> Routine:
    """The routine that calls of this name mean; the same one for the same settings."""
    found = _TARGET.fullmatch(target)
    assert found is not None, f"{target} is no call of LAPACK's"
    return Routine(found.group(1), settings, _caller(CUSTOM_CALLS[target]))


def named(name: str, settings: tuple[tuple[str, Any], ...]) -> Routine | None:
    """The routine that has this name, without the letter that says the dtype; None without one."""
    if name == PERMUTATION.name:
        return PERMUTATION
    targets = [f"lapack_{letter}{name}_ffi" for letter in "sdcz"]
    return next((routine(x, settings) for x in targets if x in CUSTOM_CALLS), None)


@functools.cache
def _caller(function: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """One function for all dtypes, so that routines can be compared."""
    return partial(_call, function)


def _call(function: Callable[..., tuple[Any, ...]], settings: dict[str, Any],
          results: tuple[Type, ...], *arrays: Any) -> tuple[Any, ...]:
    return tuple(function(list(arrays), settings, results))
