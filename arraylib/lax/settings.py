"""Names of settings that programs written for JAX mention: how exactly, and which axes.

Products and functions are computed in one way here, which is exact to the last places of the dtype;
what asks for less or more of that is taken, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from arraylib.errors import ArgumentError, mistake
from arraylib.lax.structural import Precision
from arraylib.lax.windows import ConvDimensionNumbers
from arraylib.record import record

DotDimensionNumbers: TypeAlias = tuple[tuple[Sequence[int], Sequence[int]],
                                       tuple[Sequence[int], Sequence[int]]]
ConvGeneralDilatedDimensionNumbers: TypeAlias = (
    tuple[str, str, str] | ConvDimensionNumbers | None)


class AccuracyMode(Enum):
    """How exactly a function is computed: here always as by default."""

    HIGHEST = 1
    DEFAULT = 2


@record
class Tolerance:
    """By how much a function may miss: absolutely, relatively, or in units of the last place.

    Raises ArgumentError for negative numbers, and where all are 0.
    """

    atol: float = 0.0
    rtol: float = 0.0
    ulps: int = 0

    def __post_init__(self) -> None:
        given = (self.atol, self.rtol, self.ulps)
        if min(given) < 0 or not any(given):
            raise mistake(ArgumentError, "Tolerance", f"(atol, rtol, ulps) = {given}",
                          hint="one of them above 0, none below")


class DotAlgorithm(NamedTuple):
    """To which dtypes the operands of a product are rounded, and in which one it is summed."""

    lhs_precision_type: Any
    rhs_precision_type: Any
    accumulation_type: Any
    lhs_component_count: int = 1
    rhs_component_count: int = 1
    num_primitive_operations: int = 1
    allow_imprecise_accumulation: bool = False


DotAlgorithmPreset = Enum("DotAlgorithmPreset", (
    "DEFAULT", "ANY_F8_ANY_F8_F32", "ANY_F8_ANY_F8_F32_FAST_ACCUM", "ANY_F8_ANY_F8_ANY",
    "ANY_F8_ANY_F8_ANY_FAST_ACCUM", "F16_F16_F16", "F16_F16_F32", "BF16_BF16_BF16",
    "BF16_BF16_F32", "BF16_BF16_F32_X3", "BF16_BF16_F32_X6", "BF16_BF16_F32_X9", "TF32_TF32_F32",
    "TF32_TF32_F32_X3", "F32_F32_F32", "F64_F64_F64"), module=__name__)
DotAlgorithmPreset.__doc__ = "JAX's names for algorithms of products."

PrecisionLike: TypeAlias = (
    str | Precision | tuple[str, str] | tuple[Precision, Precision] | DotAlgorithm
    | DotAlgorithmPreset | None)


@record
class RaggedDotDimensionNumbers:
    """The axes of `ragged_dot_general`: those of `dot_general`, and which ones have groups.

    lhs_ragged_dimensions: the one axis of lhs whose elements come in groups.
    rhs_group_dimensions: the axis of rhs with an entry for each group, if lhs keeps its axis.
    """

    dot_dimension_numbers: Any
    lhs_ragged_dimensions: Sequence[int]
    rhs_group_dimensions: Sequence[int]

    def __post_init__(self) -> None:
        pairs = tuple(tuple(map(tuple, pair)) for pair in self.dot_dimension_numbers)
        object.__setattr__(self, "dot_dimension_numbers", pairs)
        for name in ("lhs_ragged_dimensions", "rhs_group_dimensions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
