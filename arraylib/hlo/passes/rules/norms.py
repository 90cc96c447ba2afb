"""Batch normalisation: each feature, the place along one axis, is normalised on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.constant import full_like
from arraylib.hlo.ops.structured import broadcast_in_dim, reduce_add
from arraylib.hlo.passes.rules.operation import Foreign, Rule
from arraylib.record import record


@record(frozen=False)
class _Features:
    """An array and the axis of its features."""

    op: Foreign
    type: Type
    axis: int

    @property
    def count(self) -> float:
        """How many elements each feature has."""
        features = self.type.shape[self.axis]
        return self.type.size / features if features else 0

    def wide(self, x: Any) -> Any:
        """A number for each feature, repeated over the whole array."""
        return broadcast_in_dim(x, shape=self.type.shape, broadcast_dimensions=(self.axis,))

    def sum(self, x: Any) -> Any:
        return reduce_add(x, dimensions=tuple(i for i in range(self.type.rank) if i != self.axis))

    def mean(self, x: Any) -> Any:
        total = self.sum(x)
        return ew.divide(total, full_like(total, self.count))

    def spread(self, variance: Any) -> Any:
        """The variance, never zero, over the whole array."""
        wide = self.wide(variance)
        return ew.add(wide, full_like(wide, float(np.float32(self.op.attribute("epsilon")))))


def _features(op: Foreign, count: int) -> tuple[_Features, list[Any]]:
    """The operands, once they fit: arrays like the first, and one number for each feature."""
    operands = op.arrays(count)
    type = type_of(operands[0])
    found = _Features(op, type, op.axis("feature_index", type.rank))
    one = type.with_shape((type.shape[found.axis],))
    for i, x in enumerate(operands[1:], 1):
        wanted = type if i == 4 and op.name.endswith("grad") else one
        if type_of(x) is not wanted:
            raise op.wrong(f"operand {i} is {type_of(x)}, not {wanted}")
    return found, operands


def _normalized(features: _Features, x: Any, scale: Any, offset: Any, mean: Any,
                variance: Any) -> Any:
    centered = ew.subtract(x, features.wide(mean))
    ratio = ew.divide(centered, ew.sqrt(features.spread(variance)))
    return ew.add(ew.multiply(features.wide(scale), ratio), features.wide(offset))


def _inference(op: Foreign) -> Sequence[Any]:
    features, operands = _features(op, 5)
    return [_normalized(features, *operands)]


def _training(op: Foreign) -> Sequence[Any]:
    features, (x, scale, offset) = _features(op, 3)
    mean = features.mean(x)
    centered = ew.subtract(x, features.wide(mean))
    variance = features.mean(ew.multiply(centered, centered))
    return [_normalized(features, x, scale, offset, mean, variance), mean, variance]


def _grad(op: Foreign) -> Sequence[Any]:
    """Mean and variance depend on x, too, which the second and third terms of its gradient say."""
    features, (x, scale, mean, variance, ct) = _features(op, 5)
    centered, spread = ew.subtract(x, features.wide(mean)), features.spread(variance)
    deviation, count = ew.sqrt(spread), full_like(x, features.count)
    along = features.wide(features.sum(ew.multiply(ct, centered)))
    terms = ew.subtract(ew.multiply(ct, count), features.wide(features.sum(ct)))
    terms = ew.subtract(terms, ew.divide(ew.multiply(along, centered), spread))
    factor = ew.divide(ew.divide(features.wide(scale), deviation), count)
    normalized = ew.divide(centered, deviation)
    return [ew.multiply(factor, terms), features.sum(ew.multiply(ct, normalized)),
            features.sum(ct)]


RULES: dict[str, Rule] = {
    "stablehlo.batch_norm_inference": _inference,
    "stablehlo.batch_norm_training": _training,
    "stablehlo.batch_norm_grad": _grad,
}
