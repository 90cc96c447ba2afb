"""Rotations agree with SciPy's."""

import itertools

import numpy as np
import pytest
from scipy.spatial import transform as theirs

import arraylib
import arraylib.numpy as jnp
from arraylib import random
from arraylib.errors import ArgumentError, ShapeError
from arraylib.scipy.spatial.transform import Rotation, Slerp

RNG = np.random.default_rng(6)
QUATS = np.concatenate([RNG.normal(size=(6, 4)), np.eye(4), -np.eye(4)[3:],
                        [[1e-5, 0, 0, 1], [0.5, 0.5, 0.5, 0.5], [1, 1e-9, 0, 0]]])
SEQUENCES = ["".join(s) for s in itertools.product("xyz", repeat=3) if s[0] != s[1] != s[2]]


def pair(dtype="float64"):
    return Rotation.from_quat(jnp.asarray(QUATS, dtype)), theirs.Rotation.from_quat(QUATS)


def close(found, wanted, tolerance=1e-11):
    np.testing.assert_allclose(found, wanted, tolerance, tolerance)


@pytest.mark.parametrize("dtype, near", [("float64", 1e-11), ("float32", 3e-6)])
def test_forms(dtype, near):
    mine, other = pair(dtype)
    assert mine.quat.dtype == dtype and len(mine) == len(QUATS) and not mine.single
    close(mine.as_quat(), other.as_quat(), near)
    close(mine.as_quat(True, True), other.as_quat(canonical=True, scalar_first=True), near)
    close(mine.as_matrix(), other.as_matrix(), near)
    close(mine.as_mrp(), other.as_mrp(), near)
    close(mine.as_rotvec(), other.as_rotvec(), near)
    close(mine.as_rotvec(degrees=True), other.as_rotvec(degrees=True), 60 * near)
    close(mine.magnitude(), other.magnitude(), near)
    close(mine.inv().as_matrix(), other.inv().as_matrix(), near)
    for again in (Rotation.from_matrix(mine.as_matrix()), Rotation.from_mrp(mine.as_mrp()),
                  Rotation.from_rotvec(mine.as_rotvec()),
                  Rotation.from_rotvec(mine.as_rotvec(True), True)):
        assert again.quat.dtype == dtype
        close(again.as_matrix(), other.as_matrix(), 4 * near)


@pytest.mark.filterwarnings("ignore:Gimbal lock")
@pytest.mark.parametrize("own", [False, True])
def test_angles(own):
    mine, other = pair()
    angles = RNG.uniform(-3, 3, (5, 3))
    for seq in SEQUENCES:
        seq = seq.upper() if own else seq
        found = Rotation.from_euler(seq, jnp.asarray(angles, "float64"))
        close(found.as_matrix(), theirs.Rotation.from_euler(seq, angles).as_matrix())
        wanted, told = other.as_euler(seq), mine.as_euler(seq)
        close(theirs.Rotation.from_euler(seq, np.asarray(told)).as_matrix(), other.as_matrix(),
              1e-7)
        close(np.asarray(told)[:6], wanted[:6])  # the others have angles that are not unique
    for seq in ("x", "zy"):
        wanted = theirs.Rotation.from_euler(seq, angles[:, :len(seq)], degrees=True).as_matrix()
        turns = jnp.asarray(angles[:, :len(seq)], "float64")
        close(Rotation.from_euler(seq, turns, degrees=True).as_matrix(), wanted)
    close(Rotation.from_euler("x", turns[:, 0], True).quat, Rotation.from_euler(
        "x", turns[:, :1], True).quat)


def test_what_is_done_with_them():
    mine, other = pair()
    vectors = RNG.normal(size=(len(QUATS), 3))
    for inverse in (False, True):
        close(mine.apply(jnp.asarray(vectors, "float64"), inverse), other.apply(vectors, inverse))
    close((mine * mine[::-1]).as_matrix(), (other * other[::-1]).as_matrix())
    close((mine[0] * mine).as_matrix(), (other[0] * other).as_matrix())
    weights = RNG.uniform(1, 2, len(QUATS))
    close(mine.mean().as_matrix(), other.mean().as_matrix(), 1e-9)
    close(mine[:6].mean(jnp.asarray(weights[:6], "float64")).as_matrix(),
          other[:6].mean(weights[:6]).as_matrix(), 1e-9)
    both = Rotation.concatenate([mine[1:2], mine[2]])
    close(both.quat, mine.quat[1:3], 0)
    assert Rotation.identity(3).quat.tolist() == [[0, 0, 0, 1]] * 3 and mine[0].single
    drawn = Rotation.random(random.key(3), 4000).as_matrix()
    close(np.asarray(drawn).mean(0), np.zeros((3, 3)), 0.05)
    jitted = arraylib.jit(lambda r, v: (r * r).apply(v))
    close(jitted(mine, jnp.asarray(vectors, "float64")), (other * other).apply(vectors))
    slope = arraylib.grad(lambda v: Rotation.from_rotvec(v).apply(jnp.arange(3.0))[0])
    close(slope(jnp.zeros(3)), [0, 2, -1], 1e-6)


def test_between_rotations():
    at, times = np.array([0.0, 1.0, 3.0, 4.0]), np.array([0.0, 0.2, 1.0, 2.5, 4.0])
    mine, other = pair()
    found = Slerp.init(jnp.asarray(at, "float64"), mine[:4])
    wanted = theirs.Slerp(at, other[:4])
    close(found(jnp.asarray(times, "float64")).as_matrix(), wanted(times).as_matrix())
    close(arraylib.jit(lambda t: found(t).quat)(0.7), found(0.7).quat)
    assert found(2.0).single


@pytest.mark.parametrize("call, error, text", [
    (lambda r: Rotation.from_euler("xx", jnp.ones(2)), ArgumentError, "axes 'xx'"),
    (lambda r: Rotation.from_euler("xY", jnp.ones(2)), ArgumentError, "axes 'xY'"),
    (lambda r: r.as_euler("xy"), ArgumentError, "axes 'xy'"),
    (lambda r: Rotation.from_euler("xyz", jnp.ones(2)), ShapeError, "from_euler"),
    (lambda r: Rotation.from_quat(jnp.ones(3)), ShapeError, "from_quat"),
    (lambda r: Rotation.from_matrix(jnp.ones((2, 2))), ShapeError, "from_matrix"),
    (lambda r: r.apply(jnp.ones(2)), ShapeError, "apply"),
    (lambda r: r[0], ArgumentError, "no parts"), (len, ArgumentError, "no length"),
    (lambda r: Rotation.identity(2).mean(jnp.ones(3)), ShapeError, "weights of shape"),
    (lambda r: Slerp.init(jnp.ones(1), Rotation.identity(1)), ShapeError, "at least 2"),
    (lambda r: Slerp.init(jnp.arange(2.0), Rotation.identity(2))(jnp.ones((1, 1))), ShapeError,
     "times of shape")])
def test_mistakes(call, error, text):
    with pytest.raises(error, match=text):
        call(Rotation.identity())
