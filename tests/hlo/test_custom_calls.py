"""The custom calls that JAX prints: each LAPACK function against LAPACK itself, called by XLA."""

from functools import partial

import jax
import numpy as np
import pytest
from jaxlib import lapack

import arraylib
from arraylib import dtypes as dt, lax
from arraylib.errors import ArgumentError
from arraylib.hlo import evaluate, parse
from arraylib.hlo.custom_calls import CUSTOM_CALLS
from arraylib.hlo.ir import Type

DTYPES = {"s": dt.float32, "d": dt.float64, "c": dt.complex64, "z": dt.complex128}
ROUGH = {"s": 2e-4, "d": 1e-11, "c": 2e-4, "z": 1e-11}


def numbers(letter, *shape, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    dtype = DTYPES[letter]
    return (x + 1j * rng.standard_normal(shape) if dt.is_complex(dtype) else x).astype(dtype)


def hermitian(letter, *shape):
    x = numbers(letter, *shape)
    return x + np.swapaxes(x, -1, -2).conj()


def ours(target, operands, results, **config):
    outs = CUSTOM_CALLS[target](operands, {"mhlo.backend_config": config}, results)
    assert [Type(np.asarray(x).dtype, np.shape(x)) for x in outs] == list(results)
    return [np.asarray(x) for x in outs]


def columns_first(rank):
    """LAPACK's layout of a batch of matrices, as an order of axes from major to minor."""
    return (*range(rank - 2), rank - 1, rank - 2)


def theirs(target, operands, results, matrices, **config):
    """What XLA's LAPACK gives; `matrices` says which operands, then results, are matrices."""
    arrays = [*operands, *results]
    layouts = [columns_first(len(x.shape)) if m else tuple(range(len(x.shape)))
               for x, m in zip(arrays, matrices, strict=True)]
    count = len(operands)
    shapes = [jax.ShapeDtypeStruct(t.shape, t.dtype) for t in results]
    config = {name: np.uint8(ord(v)) if isinstance(v, str) else v for name, v in config.items()}
    lapack.prepare_lapack_call("potrf_ffi", np.float32)  # any: it loads them all
    with jax.enable_x64(True):
        call = jax.ffi.ffi_call(target, shapes, input_layouts=layouts[:count],
                                output_layouts=layouts[count:])
        return [np.asarray(x) for x in call(*operands, **config)]


def both(target, operands, results, matrices, **config):
    mine = {name: ord(v) if isinstance(v, str) else v for name, v in config.items()}
    return zip(ours(target, operands, results, **mine),
               theirs(target, operands, results, matrices, **config))


def agree(letter, pairs):
    for x, y in pairs:
        np.testing.assert_allclose(x, y, rtol=ROUGH[letter], atol=ROUGH[letter])


def info(*batch):
    return Type(dt.int32, batch)


def real(letter):
    return dt.to_real(DTYPES[letter])


def like(x, *shape):
    return Type(x.dtype, shape or x.shape)


# -- factors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("uplo", ["L", "U"])
@pytest.mark.parametrize("letter", DTYPES)
def test_potrf(letter, uplo):
    a = numbers(letter, 2, 4, 4)
    a = (a @ np.swapaxes(a, -1, -2).conj() + np.eye(4)).astype(a.dtype)
    agree(letter, both(f"lapack_{letter}potrf_ffi", [a], [like(a), info(2)], (1, 1, 0), uplo=uplo))


def test_potrf_of_what_has_no_factor_says_which_minor():
    a = np.array([np.diag([1, 2, -3, 4, -5]), np.eye(5), np.diag([-1, 1, 1, 1, 1])], float)
    _, (found, wanted) = both("lapack_dpotrf_ffi", [a], [like(a), info(3)], (1, 1, 0), uplo="L")
    assert list(found) == list(wanted) == [3, 0, 1]


@pytest.mark.parametrize("shape", [(3, 4, 4), (5, 3), (3, 5), (40, 40), (2, 50, 37)], ids=str)
@pytest.mark.parametrize("letter", DTYPES)
def test_getrf(letter, shape):
    a = numbers(letter, *shape)
    results = [like(a), Type(dt.int32, (*shape[:-2], min(shape[-2:]))), info(*shape[:-2])]
    agree(letter, both(f"lapack_{letter}getrf_ffi", [a], results, (1, 1, 0, 0)))


def test_getrf_of_nothing():
    a = np.zeros((2, 0, 3))
    ours("lapack_dgetrf_ffi", [a], [like(a), Type(dt.int32, (2, 0)), info(2)])


def test_getrf_of_a_singular_matrix_says_which_pivot_is_zero():
    a = np.array([[[1.0, 2, 3], [2, 4, 7], [3, 6, 1]], np.zeros((3, 3)), np.eye(3)])
    results = [like(a), Type(dt.int32, (3, 3)), info(3)]
    (_, _), pivots, (found, wanted) = both("lapack_dgetrf_ffi", [a], results, (1, 1, 0, 0))
    assert np.array_equal(*pivots)
    assert list(found) == list(wanted) == [2, 1, 0]


@pytest.mark.parametrize("shape", [(2, 5, 3), (3, 5), (4, 4)], ids=str)
@pytest.mark.parametrize("letter", DTYPES)
def test_qr(letter, shape):
    a = numbers(letter, *shape)
    batch, n = shape[:-2], min(shape[-2:])
    results = [like(a), like(a, *batch, n)]
    agree(letter, both(f"lapack_{letter}geqrf_ffi", [a], results, (1, 1, 0)))
    factors, tau = (np.ascontiguousarray(x) for x in ours(
        f"lapack_{letter}geqrf_ffi", [a], results))
    kind = "un" if letter in "cz" else "or"
    thin = np.ascontiguousarray(factors[..., :n])
    agree(letter, both(f"lapack_{letter}{kind}gqr_ffi", [thin, tau], [like(thin)], (1, 0, 1)))
    for left in (True, False):
        c = numbers(letter, *batch, *((shape[-2], 2) if left else (2, shape[-2])), seed=1)
        for transposed in (True, False):
            agree(letter, both(f"lapack_{letter}{kind}mqr_ffi", [thin, tau, c], [like(c)],
                               (1, 0, 1, 1), left=left, transpose=transposed))


@pytest.mark.parametrize("shape", [(2, 5, 3), (3, 5)], ids=str)
@pytest.mark.parametrize("letter", DTYPES)
def test_qr_with_pivots(letter, shape):
    a, batch = numbers(letter, *shape), shape[:-2]
    free = np.zeros((*batch, shape[-1]), np.int32)
    results = [like(a), Type(dt.int32, (*batch, shape[-1])), like(a, *batch, min(shape[-2:]))]
    agree(letter, both(f"lapack_{letter}geqp3_ffi", [a, free], results, (1, 0, 1, 0, 0)))


@pytest.mark.parametrize("mode", ["A", "S", "N"])
@pytest.mark.parametrize("letter", DTYPES)
def test_svd(letter, mode):
    a = numbers(letter, 2, 4, 3)
    results = [like(a), Type(real(letter), (2, 3)), like(a, 2, 4, 3 if mode == "S" else 4),
               like(a, 2, 3, 3), info(2)]
    for name in ("gesdd", "gesvd"):
        outs = list(both(f"lapack_{letter}{name}_ffi", [a], results, (1, 1, 0, 1, 1, 0), mode=mode))
        agree(letter, [outs[1], outs[4]])
        if mode != "N":  # singular vectors have no sign of their own
            s, u, v = (x for x, _ in outs[1:4])
            agree(letter, [((u[..., :3] * s[:, None]) @ v, a)])
            for x in (u, np.swapaxes(v, -1, -2)):
                unit = np.broadcast_to(np.eye(x.shape[-1]), (2, *x.shape[-1:] * 2))
                agree(letter, [(np.swapaxes(x, -1, -2).conj() @ x, unit)])


@pytest.mark.parametrize("uplo", ["L", "U"])
@pytest.mark.parametrize("letter", DTYPES)
def test_eigh(letter, uplo):
    a, kind = hermitian(letter, 2, 4, 4), "heevd" if letter in "cz" else "syevd"
    results = [like(a), Type(real(letter), (2, 4)), info(2)]
    (v, _), values, infos = both(f"lapack_{letter}{kind}_ffi", [a], results, (1, 1, 0, 0),
                                 mode="V", uplo=uplo)
    agree(letter, [values, infos])
    np.testing.assert_allclose(a @ v, v * values[0][:, None], atol=10 * ROUGH[letter])


@pytest.mark.parametrize("letter", DTYPES)
def test_eig(letter):
    a = numbers(letter, 3, 4, 4)
    vectors = Type(dt.to_complex(a.dtype), a.shape)
    values = [like(a, 3, 4)] * (2 if letter in "sd" else 1)
    n = len(values)
    outs = list(both(f"lapack_{letter}geev_ffi", [a], [*values, vectors, vectors, info(3)],
                     (1, *[0] * n, 1, 1, 0), compute_left="V", compute_right="V"))
    agree(letter, [*outs[:n], outs[-1]])
    w = outs[0][0] + (1j * outs[1][0] if n == 2 else 0)
    left, right = np.swapaxes(outs[n][0], -1, -2).conj(), outs[n + 1][0]
    agree(letter, [(a @ right, right * w[:, None]), (left @ a, w[..., None] * left),
                   *((np.abs(x), np.abs(y)) for x, y in outs[n:n + 2])])


@pytest.mark.parametrize("letter", DTYPES)
def test_hessenberg(letter):
    a = numbers(letter, 2, 5, 5)
    for low, high in ((1, 5), (2, 4)):
        if low > 1:  # the matrix is to be triangular outside
            a = np.triu(a, -1) * (1 - np.eye(5, k=-1) * (np.arange(5) != 2)).astype(a.dtype)
        config = {"low": np.int32(low), "high": np.int32(high)}
        agree(letter, both(f"lapack_{letter}gehrd_ffi", [a], [like(a), like(a, 2, 4), info(2)],
                           (1, 1, 0, 0), **config))


@pytest.mark.parametrize("letter", DTYPES)
def test_schur(letter):
    """The form is LAPACK's up to the order of eigenvalues and signs."""
    a = numbers(letter, 2, 5, 5)
    values = [like(a, 2, 5)] * (2 if letter in "sd" else 1)
    n = len(values)
    outs = list(both(f"lapack_{letter}gees_ffi", [a], [like(a), like(a), *values, info(2), info(2)],
                     (1, 1, 1, *[0] * n, 0, 0), mode="V", sort="N"))
    agree(letter, outs[-2:])
    t, z = outs[0][0], outs[1][0]
    agree(letter, [(z @ t @ np.swapaxes(z, -1, -2).conj(), a)])
    order = lambda w: np.stack([np.array(sorted(row, key=lambda v: (v.real.round(3), v.imag)))
                                for row in w])
    w = [outs[2][k] + (1j * outs[3][k] if n == 2 else 0) for k in (0, 1)]
    agree(letter, [tuple(map(order, w))])
    nothing = ours(f"lapack_{letter}gees_ffi", [a * np.nan], [like(a), like(a), *values, info(2),
                                                             info(2)], mode="V", sort="N")
    assert np.isnan(nothing[0]).all() and nothing[-1].all()


@pytest.mark.parametrize("uplo", ["L", "U"])
@pytest.mark.parametrize("letter", DTYPES)
def test_tridiagonal_form(letter, uplo):
    a, kind = hermitian(letter, 2, 5, 5), "hetrd" if letter in "cz" else "sytrd"
    narrow = real(letter)
    results = [like(a), Type(narrow, (2, 5)), Type(narrow, (2, 4)), like(a, 2, 4), info(2)]
    outs = list(both(f"lapack_{letter}{kind}_ffi", [a], results, (1, 1, 0, 0, 0, 0), uplo=uplo))
    agree(letter, outs[1:])
    triangle = np.tril if uplo == "L" else np.triu
    agree(letter, [(triangle(outs[0][0]), triangle(outs[0][1]))])


def test_settings_that_are_no_letters_are_written():
    """And read again: which rows and columns are meant, and truth values."""
    large = arraylib.jit(lax.linalg.hessenberg).lower(np.ones((300, 300), np.float32)).as_text()
    assert "high = 300 : i32" in large
    rng = np.random.default_rng(2)
    a, tau, c = (rng.normal(size=s).astype(np.float32) for s in ((4, 4), (4,), (4, 3)))
    for function, operands in ((lax.linalg.hessenberg, [a]),
                               (partial(lax.linalg.ormqr, transpose=True), [a, tau, c])):
        text = arraylib.jit(function).lower(*operands).as_text()
        wanted = arraylib.tree.leaves(function(*operands))
        for found, other in zip(evaluate(parse(text), *operands), wanted, strict=True):
            np.testing.assert_allclose(found, other, 1e-5, 1e-5)


# -- systems ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", DTYPES)
def test_triangular_systems(letter):
    a = numbers(letter, 2, 3, 3) + 3 * np.eye(3).astype(DTYPES[letter])
    for side, b in (("L", numbers(letter, 2, 3, 4)), ("R", numbers(letter, 2, 4, 3))):
        for uplo, trans, diag in (("L", "N", "N"), ("U", "T", "U"), ("L", "C", "N")):
            agree(letter, both(f"lapack_{letter}trsm_ffi", [a, b], [like(b)], (1, 1, 1), side=side,
                               uplo=uplo, trans_x=trans, diag=diag))


@pytest.mark.parametrize("letter", DTYPES)
def test_tridiagonal_systems(letter):
    low, middle, high = (numbers(letter, 2, 6, seed=i) for i in range(3))
    low[:, 0] = high[:, -1] = 0
    b = numbers(letter, 2, 6, 3, seed=4)
    with jax.enable_x64(True):
        wanted = jax.lax.linalg.tridiagonal_solve(low, middle, high, b)
    results = [like(low), like(low), like(low), like(b), info(2)]
    *_, found, failed = ours(f"lapack_{letter}gtsv_ffi", [low, middle, high, b], results)
    agree(letter, [(found, np.asarray(wanted))])
    assert not failed.any()


def test_a_singular_tridiagonal_system_says_so():
    zero, b = np.zeros((2,)), np.ones((2, 1))
    results = [like(zero), like(zero), like(zero), like(b), info()]
    assert ours("lapack_dgtsv_ffi", [zero, zero, zero, b], results)[-1] == 1


# -- other calls -----------------------------------------------------------------------------------


def test_marks_for_the_partitioner_change_nothing():
    x = np.arange(3.0)
    for name in ("Sharding", "SPMDFullToShardShape", "annotate_device_placement"):
        assert CUSTOM_CALLS[name]([x], {}, [like(x)]) == (x,)


@pytest.mark.parametrize("function, order", [("approx_max_k", "gt"), ("approx_min_k", "lt")])
def test_approximate_top_k(function, order):
    x = np.random.default_rng(0).permutation(30).astype(np.float32).reshape(3, 10)
    places = np.broadcast_to(np.arange(10, dtype=np.int32), x.shape)
    settings = {"called_computations": [f"top_k_{order}_f32_comparator"], "mhlo.backend_config": {
        "top_k": 4, "reduction_dim": 1}}
    found = CUSTOM_CALLS["ApproxTopK"]([x, places, 0, 0], settings,
                                       [like(x, 3, 4), Type(dt.int32, (3, 4))])
    wanted = getattr(jax.lax, function)(x, 4)
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted))


def test_a_shape_assertion_that_fails_is_a_mistake():
    function = CUSTOM_CALLS["shape_assertion"]
    assert function([np.True_, np.int32(3)], {}, []) == ()
    with pytest.raises(ArgumentError, match="expected 3 rows"):
        function([np.False_, np.int32(3)], {"error_message": "expected {0} rows"}, [])


@pytest.mark.parametrize("name, x, y, agree", [
    ("eq", [1.0, np.nan, 0.0], [1.0, np.nan, -0.0], True),
    ("eq", [1.0], [np.nextafter(1, 2)], False),
    ("eq", [1, 2], [1, 3], False), ("close", [1.0], [np.nextafter(1, 2)], True),
    ("close", [1.0], [1.0 + 1e-6], False), ("close", [1e-320], [-1e-323 * 2], False),
    ("close", [np.inf], [np.inf], True), ("close", [np.nan], [1.0], False),
    ("close", [1 + 2j], [1 + 2j], True), ("close", [1 + 2j], [1 + 2.1j], False),
    ("almost_eq", [1000.0], [1000.9], True), ("almost_eq", [1.0], [1.1], False)])
def test_checks_of_stablehlos_own_programs(name, x, y, agree):
    x, y = np.array(x), np.array(y)
    kind = {"f": "f64", "i": "i64", "c": "complex<f64>"}[x.dtype.kind]
    type = f"tensor<{len(x)}x{kind}>"
    program = parse(f"func.func @main(%x: {type}, %y: {type}) {{\n  stablehlo.custom_call "
                    f"@check.expect_{name}(%x, %y) {{has_side_effect = true}} : ({type}, {type}) "
                    "-> ()\n  return\n}")
    for backend in ("reference", "cpu"):
        if agree:
            assert evaluate(program, x, y, backend=backend) == ()
        else:
            with pytest.raises(AssertionError, match=f"expect_{name}: 1 of .* elements differ"):
                evaluate(program, x, y, backend=backend)
