"""Rotations in space, by quaternions (x, y, z, w): `from arraylib.scipy.spatial import transform`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import arraylib.numpy as jnp
from arraylib import dtypes as dt, random as draws
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.numpy.promotion import Array, ArrayLike, inexact, shape_of

__all__ = ["Rotation", "Slerp"]

_SMALL = 1e-3  # radians, below which quotients of sines are power series


def _numbers(op: str, x: ArrayLike, *last: int) -> Array:
    """Floats whose last axes are of these sizes."""
    found = jnp.asarray(x)
    found = found.astype(inexact(type_of(found).dtype))
    if last and shape_of(found)[-len(last):] != last:
        raise mistake(ShapeError, op, f"shape {shape_of(found)}", operands=[type_of(found)],
                      hint=f"f[..., {', '.join(map(str, last))}]")
    return found


def _length(x: Array) -> Array:
    """Of vectors; with derivatives at 0, where it has none."""
    square = jnp.sum(x * x, -1, keepdims=True)
    zero = square == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


def _unit(quat: Array) -> Array:
    return quat / jnp.linalg.norm(quat, axis=-1, keepdims=True)


def _composed(p: Array, q: Array) -> Array:
    """Hamilton's product: first q turns, then p."""
    (a, s), (b, t) = ((x[..., :3], x[..., 3:]) for x in (p, q))
    real = s * t - jnp.sum(a * b, -1, keepdims=True)
    return jnp.concatenate([s * b + t * a + jnp.cross(a, b), real], -1)


def _axes(seq: str, counts: Sequence[int]) -> tuple[list[int], bool]:
    """Numbers of axes, and whether they turn with the body."""
    kind = set(seq)
    if len(seq) not in counts or not (kind <= set("xyz") or kind <= set("XYZ")) \
            or any(a == b for a, b in pairwise(seq)):
        raise mistake(ArgumentError, "euler", f"axes {seq!r}", hint=f"{counts[0]} to {counts[-1]} "
                      "of 'xyz', or of 'XYZ', no two next to one another equal")
    return ["xyz".index(axis) for axis in seq.lower()], seq.isupper()


def _scaled(angles: Array, degrees: bool) -> Array:
    return jnp.rad2deg(angles) if degrees else angles


class Rotation(NamedTuple):
    """A rotation in space or an array of them: `quat` f[..., 4], unit quaternions (x, y, z, w).

    >>> r = Rotation.from_euler("z", 90.0, degrees=True)
    >>> r.apply(jnp.array([1.0, 0.0, 0.0])).round(4)
    Array([0., 1., 0.], dtype=float32)
    >>> (r * r * r.inv()).as_euler("xyz", degrees=True).round(2)
    Array([ 0.,  0., 90.], dtype=float32)
    """

    quat: Array

    # -- where they come from ----------------------------------------------------------------------

    @classmethod
    def concatenate(cls, rotations: Sequence[Rotation]) -> Rotation:
        """All rotations, one after the other."""
        return cls(jnp.concatenate([jnp.atleast_2d(each.quat) for each in rotations]))

    @classmethod
    def from_euler(cls, seq: str, angles: ArrayLike, degrees: bool = False) -> Rotation:
        """Turns about one to three axes, one after the other: `seq` "xyz" fixed, "XYZ" of the body.

        `angles` are f[..., k] for k axes, or f[...] for one. Raises ArgumentError for other axes.

        >>> Rotation.from_euler("xz", jnp.array([0.0, 0.5])).as_rotvec().round(3)
        Array([0. , 0. , 0.5], dtype=float32)
        """
        axes, own = _axes(seq, (1, 2, 3))
        turns = _numbers("from_euler", angles)
        if len(axes) == 1 and shape_of(turns)[-1:] != (1,):
            turns = turns[..., None]
        turns = _numbers("from_euler", jnp.deg2rad(turns) if degrees else turns, len(axes))
        found = None
        for k, axis in enumerate(axes):
            half = turns[..., k, None] / 2
            unit = jnp.asarray(np.eye(4)[[axis, 3]], type_of(turns).dtype)
            each = jnp.sin(half) * unit[0] + jnp.cos(half) * unit[1]
            if found is None:
                found = each
            else:
                found = _composed(found, each) if own else _composed(each, found)
        return cls(found)  # type: ignore[arg-type]

    @classmethod
    def from_matrix(cls, matrix: ArrayLike) -> Rotation:
        """Of orthogonal matrices f[..., 3, 3] of determinant 1.

        By the largest of the quaternion's elements (Markley 2008).

        >>> Rotation.from_matrix(jnp.eye(3)).quat
        Array([0., 0., 0., 1.], dtype=float32)
        """
        m = _numbers("from_matrix", matrix, 3, 3)
        diagonal = [m[..., i, i] for i in range(3)]
        trace = diagonal[0] + diagonal[1] + diagonal[2]
        rows = []
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            row: list[Any] = [None] * 4
            row[i] = 1 - trace + 2 * diagonal[i]
            row[j], row[k] = m[..., j, i] + m[..., i, j], m[..., k, i] + m[..., i, k]
            row[3] = m[..., k, j] - m[..., j, k]
            rows.append(jnp.stack(row, -1))
        rows.append(jnp.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0],
                               m[..., 1, 0] - m[..., 0, 1], 1 + trace], -1))
        largest = jnp.argmax(jnp.stack([*diagonal, trace], -1), -1)[..., None]
        return cls(_unit(jnp.select([largest == i for i in range(3)], rows[:3], rows[3])))

    @classmethod
    def from_mrp(cls, mrp: ArrayLike) -> Rotation:
        """Of modified Rodrigues parameters f[..., 3]: the axis times tan(angle / 4).

        >>> Rotation.from_mrp(jnp.zeros(3)).quat
        Array([0., 0., 0., 1.], dtype=float32)
        """
        x = _numbers("from_mrp", mrp, 3)
        more = jnp.sum(x * x, -1, keepdims=True) + 1
        return cls(jnp.concatenate([2 * x, 2 - more], -1) / more)

    @classmethod
    def from_quat(cls, quat: ArrayLike) -> Rotation:
        """Of quaternions f[..., 4] of any length but 0, with the real part last.

        >>> Rotation.from_quat(jnp.array([0.0, 0.0, 0.0, 2.0])).quat
        Array([0., 0., 0., 1.], dtype=float32)
        """
        return cls(_unit(_numbers("from_quat", quat, 4)))

    @classmethod
    def from_rotvec(cls, rotvec: ArrayLike, degrees: bool = False) -> Rotation:
        """Of axes f[..., 3], whose lengths are the angles.

        >>> Rotation.from_rotvec(jnp.array([180.0, 0.0, 0.0]), degrees=True).quat.round(4)
        Array([ 1.,  0.,  0., -0.], dtype=float32)
        """
        x = _numbers("from_rotvec", rotvec, 3)
        x = jnp.deg2rad(x) if degrees else x
        angle = _length(x)
        small, square = angle <= _SMALL, angle * angle
        series = 0.5 - square / 48 + square * square / 3840
        safe = jnp.where(small, 1, angle)
        scale = jnp.where(small, series, jnp.sin(safe / 2) / safe)
        return cls(jnp.concatenate([scale * x, jnp.cos(angle / 2)], -1))

    @classmethod
    def identity(cls, num: int | None = None, dtype: Any = float) -> Rotation:
        """The rotation that turns nothing; `num` of them.

        >>> Rotation.identity().quat
        Array([0., 0., 0., 1.], dtype=float32)
        """
        one = jnp.asarray(np.eye(4)[3], dt.default_float() if dtype is float else dtype)
        return cls(one if num is None else jnp.broadcast_to(one, (num, 4)))

    @classmethod
    def random(cls, random_key: ArrayLike, num: int | None = None) -> Rotation:
        """One rotation, or `num` of them, all equally probable.

        >>> Rotation.random(random.key(0), 5).quat.shape
        (5, 4)
        """
        return cls(_unit(draws.normal(random_key, (4,) if num is None else (num, 4))))

    # -- what they are -----------------------------------------------------------------------------

    def as_euler(self, seq: str, degrees: bool = False) -> Array:
        """Angles f[..., 3] about three axes, as `from_euler` takes them (Bernardes 2022).

        The second is from 0 to pi where the first axis is also the third, from -pi/2 to pi/2
        otherwise; where it is at an end of that, one of the others is 0.

        >>> Rotation.from_euler("xyz", jnp.array([0.1, 0.2, 0.3])).as_euler("xyz").round(4)
        Array([0.1, 0.2, 0.3], dtype=float32)
        """
        axes, own = _axes(seq, (3,))
        i, j, k = axes[::-1] if own else axes
        symmetric = i == k
        if symmetric:
            k = 3 - i - j
        sign = (i - j) * (j - k) * (k - i) // 2
        x, y, z, w = (self.quat[..., n] for n in (i, j, k, 3))
        z = z * sign
        a, b, c, d = (w, x, y, z) if symmetric else (w - y, x + z, y + w, z - x)
        middle = 2 * jnp.arctan2(jnp.hypot(c, d), jnp.hypot(a, b))
        total, gap = jnp.arctan2(b, a), jnp.arctan2(d, c)
        low, high = jnp.abs(middle) <= 1e-7, jnp.abs(middle - math.pi) <= 1e-7
        alone = jnp.where(low, 2 * total, 2 * gap * (1 if own else -1))
        end, turn = low | high, 1 if symmetric else sign
        one, two = total - gap, total + gap
        if own:
            first, third = jnp.where(end, alone, two) * turn, jnp.where(end, 0, one)
        else:
            first, third = jnp.where(end, alone, one), jnp.where(end, 0, two) * turn
        middle = middle if symmetric else middle - math.pi / 2
        found = jnp.stack([first, middle, third], -1)
        return _scaled((found + math.pi) % (2 * math.pi) - math.pi, degrees)

    def as_matrix(self) -> Array:
        """Orthogonal matrices f[..., 3, 3].

        >>> Rotation.identity().as_matrix()[0]
        Array([1., 0., 0.], dtype=float32)
        """
        x, y, z, w = (self.quat[..., n] for n in range(4))
        rows = [[x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w]]
        return jnp.stack([jnp.stack(row, -1) for row in rows], -2)

    def as_mrp(self) -> Array:
        """Modified Rodrigues parameters f[..., 3], of lengths up to 1.

        >>> Rotation.identity().as_mrp()
        Array([0., 0., 0.], dtype=float32)
        """
        sign = jnp.where(self.quat[..., 3:] < 0, -1, 1)
        return sign * self.quat[..., :3] / (1 + sign * self.quat[..., 3:])

    def as_rotvec(self, degrees: bool = False) -> Array:
        """Axes f[..., 3], whose lengths are the angles, pi at most.

        >>> Rotation.from_euler("y", 0.5).as_rotvec()
        Array([0. , 0.5, 0. ], dtype=float32)
        """
        quat = jnp.where(self.quat[..., 3:] < 0, -self.quat, self.quat)
        angle = 2 * jnp.arctan2(_length(quat[..., :3]), quat[..., 3:])
        small, square = angle <= _SMALL, angle * angle
        series = 2 + square / 12 + 7 * square * square / 2880
        safe = jnp.where(small, 1, angle)
        return _scaled(jnp.where(small, series, safe / jnp.sin(safe / 2)) * quat[..., :3], degrees)

    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Array:
        """The quaternions; with `canonical` the one of each pair q, -q whose real part is positive.

        Where that is 0, whose first other element that is not 0 is positive.

        >>> Rotation(jnp.array([0.0, 0.0, 0.0, -1.0])).as_quat(canonical=True)
        Array([-0., -0., -0.,  1.], dtype=float32)
        """
        quat = self.quat
        if canonical:
            parts = [quat[..., n] for n in (3, 0, 1, 2)]
            sign = jnp.select([part != 0 for part in parts], [jnp.sign(part) for part in parts], 1)
            quat = quat * sign[..., None]
        return jnp.roll(quat, 1, -1) if scalar_first else quat

    def magnitude(self) -> Array:
        """The angles f[...], from 0 to pi.

        >>> Rotation.from_euler("x", -0.5).magnitude()
        Array(0.5, dtype=float32)
        """
        return 2 * jnp.arctan2(_length(self.quat[..., :3])[..., 0], jnp.abs(self.quat[..., 3]))

    # -- what is done with them --------------------------------------------------------------------

    @property
    def single(self) -> bool:
        """Whether this is one rotation, not an array of them."""
        return len(shape_of(self.quat)) == 1

    def __getitem__(self, indexer: Any) -> Rotation:  # type: ignore[override]
        if self.single:
            raise mistake(ArgumentError, "Rotation", "one rotation has no parts",
                          hint="r.quat[i] is an element of its quaternion")
        return Rotation(self.quat[indexer])

    def __len__(self) -> int:
        if self.single:
            raise mistake(ArgumentError, "Rotation", "one rotation has no length",
                          hint="r.single is True of one")
        return shape_of(self.quat)[0]

    def __mul__(self, other: Any) -> Rotation:  # type: ignore[override]
        return Rotation(_unit(_composed(self.quat, other.quat)))

    def apply(self, vectors: ArrayLike, inverse: bool = False) -> Array:
        """Vectors f[..., 3], turned, or turned back with `inverse`.

        >>> Rotation.identity().apply(jnp.arange(3.0))
        Array([0., 1., 2.], dtype=float32)
        """
        x, matrix = _numbers("apply", vectors, 3), self.as_matrix()
        turned = jnp.matrix_transpose(matrix) if inverse else matrix
        return (turned @ x[..., None])[..., 0]

    def inv(self) -> Rotation:
        """The rotations that turn back.

        >>> (Rotation.from_euler("x", 0.5).inv()).as_rotvec()
        Array([-0.5, -0. , -0. ], dtype=float32)
        """
        signs = np.array([-1, -1, -1, 1])
        return Rotation(self.quat * jnp.asarray(signs, type_of(self.quat).dtype))

    def mean(self, weights: ArrayLike | None = None) -> Rotation:
        """The rotation that is nearest to all, in proportion to weights f[n].

        The sum of the squared distances of matrices is the least.

        >>> Rotation.from_euler("z", jnp.array([0.1, 0.3])).mean().as_rotvec().round(4)
        Array([0. , 0. , 0.2], dtype=float32)
        """
        w = jnp.ones(len(self)) if weights is None else jnp.asarray(weights)
        if shape_of(w) != (len(self),):
            raise mistake(ShapeError, "Rotation.mean", f"weights of shape {shape_of(w)} for "
                          f"{len(self)} rotations", operands=[type_of(w)], hint="a weight for each")
        w = w.astype(type_of(self.quat).dtype)
        return Rotation(jnp.linalg.eigh((w * self.quat.T) @ self.quat)[1][:, -1])


class Slerp(NamedTuple):
    """Rotations between some at given times, at constant speed from each to the next.

    >>> turns = Rotation.from_euler("z", jnp.array([0.0, 1.0]))
    >>> Slerp.init(jnp.array([0.0, 2.0]), turns)(0.5).as_rotvec().round(4)
    Array([0.  , 0.  , 0.25], dtype=float32)
    """

    times: Array
    timedelta: Array
    rotations: Rotation
    rotvecs: Array

    @classmethod
    def init(cls, times: ArrayLike, rotations: Rotation) -> Slerp:
        """From n rotations, n at least 2, at ascending times f[n]."""
        quat = rotations.quat
        at = jnp.asarray(times).astype(type_of(quat).dtype)
        if len(shape_of(quat)) != 2 or shape_of(quat)[0] < 2 or shape_of(at) != shape_of(quat)[:1]:
            raise mistake(ShapeError, "Slerp", f"{shape_of(at)} times and quaternions of shape "
                          f"{shape_of(quat)}", operands=[type_of(at), type_of(quat)],
                          hint="times[n] and n rotations, at least 2")
        first = Rotation(quat[:-1])
        return cls(at, jnp.diff(at), first, (first.inv() * Rotation(quat[1:])).as_rotvec())

    def __call__(self, times: ArrayLike) -> Rotation:
        """The rotations at these times, f[m] or one; beyond the ends they go on turning."""
        at = jnp.asarray(times).astype(type_of(self.times).dtype)
        if len(shape_of(at)) > 1:
            raise mistake(ShapeError, "Slerp", f"times of shape {shape_of(at)}",
                          operands=[type_of(at)], hint="f[m], or one time")
        last = shape_of(self.rotvecs)[0] - 1
        place = jnp.clip(jnp.searchsorted(self.times, at) - 1, 0, last)
        part = (at - self.times[place]) / self.timedelta[place]
        more = Rotation.from_rotvec(self.rotvecs[place] * part[..., None])
        return Rotation(self.rotations.quat[place]) * more
