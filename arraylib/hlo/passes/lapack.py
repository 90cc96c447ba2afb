"""Let calls of LAPACK's routines be of our operation, which has derivatives and takes batches.

    custom_call(%0) {target=lapack_spotrf_ffi}    ->    lapack(%0) {routine=potrf}
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from arraylib.hlo.custom_calls import CUSTOM_CALLS
from arraylib.hlo.ir import Graph, Node, Type, Value
from arraylib.hlo.mlir.attributes import plain_python
from arraylib.hlo.ops import custom
from arraylib.hlo.ops.lapack import Routine, lapack
from arraylib.hlo.passes.rewrite import Rewriter, everywhere, rewrite

_TARGET = re.compile(r"lapack_[sdcz](\w+)_ffi")


def known_routines(graph: Graph) -> Graph:
    """`graph` with calls of LAPACK's routines, in its regions too, as operations of ours."""
    return everywhere(lambda g: rewrite(g, _rule))(graph)


def _rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
    if node.op is not custom.custom_call or node.attrs["target"] not in CUSTOM_CALLS:
        return None
    if _TARGET.fullmatch(node.attrs["target"]) is None:
        return None
    said = plain_python(dict(node.attrs["settings"]))
    configs = [said.get(name) for name in ("mhlo.backend_config", "backend_config")]
    settings = next((tuple(config.items()) for config in configs if isinstance(config, dict)), ())
    return tuple(lapack(*node.inputs, routine=routine(node.attrs["target"], settings),
                        results=node.attrs["results"]))


@functools.cache
def routine(target: str, settings: tuple[tuple[str, Any], ...] = ()) -> Routine:
    """The routine that calls of this name mean; the same one for the same settings."""
    found = _TARGET.fullmatch(target)
    assert found is not None, f"{target} is no call of LAPACK's"
    return Routine(found.group(1), settings, partial(_call, CUSTOM_CALLS[target]))


def _call(function: Callable[..., tuple[Any, ...]], settings: dict[str, Any],
          results: tuple[Type, ...], *arrays: Any) -> tuple[Any, ...]:
    return tuple(function(list(arrays), settings, results))
