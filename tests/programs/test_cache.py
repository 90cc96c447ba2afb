"""The disk cache as users meet it: why it missed, its size; disks, homes and writers that fail."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import arraylib
import arraylib.numpy as jnp
from arraylib import cache, compile as compiling
from arraylib.backends.cpu import objects, target
from arraylib.config import config
from arraylib.hlo.fingerprint import fingerprint
from arraylib.hlo.ir import Type, trace_graph
from arraylib.hlo.ops.lapack import Routine, lapack
from arraylib.hlo.passes.lapack import named
from arraylib.scipy import linalg as scipy_linalg

X = np.arange(6.0, dtype=np.float32)
ROOT = os.path.dirname(os.path.dirname(arraylib.__file__))


def scaled(x):
    return jnp.tanh(x * 3) + x


@pytest.fixture(autouse=True)
def own_cache(tmp_path):
    with config.using(cache_dir=str(tmp_path), cache=True):
        yield tmp_path


def compute(**options):
    """As in a new process: nothing is known but what is on disk."""
    compiling.clear_cache()
    jitted = arraylib.jit(scaled, **options)
    jitted(X.copy())
    return jitted


def reason(jitted):
    return cache.explain_miss(jitted).split("\n", 1)[1].strip()


def test_a_first_compilation_and_a_second():
    assert cache.explain_miss(arraylib.jit(scaled)) == "nothing has been compiled yet"
    jitted = compute()
    assert "no entry for this program" in reason(jitted)
    assert cache.explain_miss() == cache.explain_miss(jitted)
    assert "test_cache.py" in cache.explain_miss()
    assert reason(compute()) == "was loaded from the disk cache"


@pytest.mark.parametrize("setting, value, said", [
    ("fold_bytes", 77, "config.fold_bytes: 77 now, 4096 then"),
    ("cpu_target", "x86-64-v3", "the processor: x86-64-v3 now, "),
])
def test_other_settings_are_named(setting, value, said):
    with config.using(cpu_target=""):
        compute()
    with config.using(**{"cpu_target": "", setting: value}):
        assert said in reason(compute()), reason(compute())


def test_other_versions_donations_and_processors_are_named(monkeypatch):
    compute()
    assert "which arguments are donated" in reason(compute(donate_argnums=0))
    with monkeypatch.context() as patch:
        patch.setattr(compiling, "VERSION", "9.9")
        patch.setattr(compiling, "digest", lambda: "others")
        text = reason(compute())
    assert "arraylib's own sources" in text and "the version of arraylib: 9.9 now" in text
    facts = target.facts()
    monkeypatch.setattr(target, "facts", lambda: {**facts, "processor": "i8086"})
    assert "the processor: i8086 now, " in reason(compute())


def test_what_keeps_a_program_from_being_stored():
    with config.using(cache=False):
        assert reason(compute()) == "was compiled: config.cache is False"
    jitted = arraylib.jit(lambda x: arraylib.pure_callback(np.sin, x, x))
    jitted(X)
    assert "objects of this process" in reason(jitted)


def spread(kind, n=6):
    """A matrix far from singular."""
    random = np.random.default_rng(0).standard_normal((2, n, n))
    return (random[0] + (1j * random[1] if kind.startswith("c") else 0)
            + n * np.eye(n)).astype(kind)


FACTORED = {
    "solve": lambda a: jnp.linalg.solve(a, a[:, :2] * 2), "qr": jnp.linalg.qr,
    "inv": jnp.linalg.inv, "lu": scipy_linalg.lu, "lu_factor": scipy_linalg.lu_factor,
    "svd": lambda a: jnp.linalg.svd(a, compute_uv=False), "det": jnp.linalg.slogdet,
    "eigh": lambda a: jnp.linalg.eigvalsh(a @ a.T.conj()),
    "cholesky": lambda a: jnp.linalg.cholesky(a @ a.T.conj()), "fft": jnp.fft.fft,
}


@pytest.mark.parametrize("kind", ["float32", "complex128"])
@pytest.mark.parametrize("name", FACTORED)
def test_factorizations_and_transforms_are_kept(name, kind):
    a = jnp.asarray(spread(kind))
    compiling.clear_cache()
    first = arraylib.jit(FACTORED[name])
    wanted = arraylib.tree.leaves(first(a))
    assert "no entry for this program" in reason(first)
    compiling.clear_cache()
    again = arraylib.jit(FACTORED[name])
    for x, y in zip(arraylib.tree.leaves(again(a)), wanted, strict=True):
        np.testing.assert_array_equal(x, y)
    assert reason(again) == "was loaded from the disk cache"


ROUTINES = {  # of LAPACK as XLA's runtime has them: settings, results of n by n
    "geev": ({"compute_left": "N", "compute_right": "V"}, "wwmmi"),
    "gehrd": ({"low": 1, "high": 4}, "mti"),
    "getrf": ({}, "mpi"),
    "syevd": ({"mode": "V", "uplo": "L"}, "mvi"),
}


@pytest.mark.parametrize("name", ROUTINES)
def test_calls_of_routines_are_kept(name):
    """By native code or NumPy; their settings are part of what they are found by."""
    settings, kinds = ROUTINES[name]
    n, f64 = 4, "float64"
    types = {"m": Type(f64, (n, n)), "v": Type(f64, (n,)), "w": Type(f64, (n,)),
             "t": Type(f64, (n - 1,)), "p": Type("int32", (n,)), "i": Type("int32", ())}
    if name == "geev":
        types["m"] = Type("complex128", (n, n))

    def graph(**changed):
        routine = named(name, tuple({**settings, **changed}.items()))
        assert routine == named(name, tuple({**settings, **changed}.items()))
        return trace_graph([Type(f64, (n, n))], lambda a: lapack(
            a, routine=routine, results=tuple(types[kind] for kind in kinds)))

    a = spread(f64, n)
    compiling.clear_cache()
    first = compiling.compile_graph(graph())
    compiling.clear_cache()
    second = compiling.compile_graph(graph())
    assert (first.lookup.found, second.lookup.found) == ("nowhere", "disk")
    for x, y in zip(first.run([a]), second.run([a]), strict=True):
        np.testing.assert_array_equal(x, y)
    if settings:
        key = next(iter(settings))
        other = fingerprint(graph(**{key: {"N": "V", "V": "N", 1: 2}[settings[key]]}))
        assert other.portable and other.digest != fingerprint(graph()).digest


def test_a_routine_of_somebody_else_is_not_kept():
    other = Routine("getrf", (), lambda settings, results, x: (x,))
    f64 = Type("float64", (3, 3))
    graph = trace_graph([f64], lambda a: lapack(a, routine=other, results=(f64,)))
    assert not fingerprint(graph).portable
    assert named("nothing", ()) is None


def test_a_routine_with_a_setting_that_has_no_text_is_not_kept():
    f64 = Type("float64", (3, 3))
    plain = named("potrf", (("uplo", "L"),))

    def portable(routine):
        return fingerprint(trace_graph([f64], lambda a: lapack(
            a, routine=routine, results=(f64,)))).portable

    assert portable(plain) and not portable(plain.having(other=object()))


def test_damage_is_named(own_cache):
    compute()
    for path in own_cache.rglob("*.object"):
        path.write_bytes(b"?")
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert "its file was damaged" in reason(compute())
    assert reason(compute()) == "was loaded from the disk cache"


def test_size_and_clear(own_cache):
    assert cache.size() == 0 and cache.clear() == 0
    compute()
    assert cache.size() == sum(p.stat().st_size for p in own_cache.rglob("*.object")) > 0
    assert cache.folder() == own_cache / "objects"
    assert cache.clear() > 0 and cache.size() == 0
    assert "no entry" in reason(compute())


def test_the_report_of_compilations():
    jitted = compute()
    jitted(X[:4])
    compiling.clear_cache()
    again = arraylib.jit(scaled)
    again(X)
    copy = arraylib.jit(scaled)
    copy(X)
    report = jitted.compile_report()
    assert len(report.compilations) == 2 and report.seconds > 0
    first = report.compilations[0]
    assert {"trace", "passes", "lower", "write", "codegen", "link", "load"} == set(first.phases)
    assert sum(first.phases.values()) <= first.seconds
    assert first.census.operations == 4 and first.census.kernels == first.census.distinct == 1
    where, operations, kernels = report.lines[0]
    assert where.line == scaled.__code__.co_firstlineno + 1 and operations == 8 and kernels == 2
    assert [r.compile_report().compilations[0].found for r in (jitted, again, copy)] == [
        "nowhere", "disk", "process"]
    text = str(report)
    assert "scaled: compiled 2 times" in text and "codegen" in text and "test_cache.py" in text
    assert report._repr_html_().count("<table>") == 2


# -- what can go wrong on a disk -------------------------------------------------------------------

PROGRAM = """
import sys, warnings
import numpy as np
{before}
import arraylib, arraylib.numpy as jnp
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    jitted = arraylib.jit(lambda x: jnp.tanh(x * 3) + x)
    total = float(jitted(np.ones(5, np.float32)).sum())
    arraylib.jit(jnp.cos)(1.0)
    found = jitted.compile_report().compilations[0].found
    why = arraylib.cache.explain_miss(jitted).splitlines()[-1]
print(round(total, 3), found, [str(c.message) for c in caught], why, sep="|")
"""


def run(before="", **settings):
    """(result, where it was found, warnings, why) of a new process."""
    environment = {**os.environ, "PYTHONPATH": ROOT, **settings}
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(before=before)],
                          capture_output=True, text=True, timeout=120,
                          env={k: v for k, v in environment.items() if v is not None})
    assert done.returncode == 0, done.stderr
    result, found, warned, why = done.stdout.strip().split("|")
    assert float(result) == round(5 * (np.tanh(3) + 1), 3)
    return found, warned, why


@pytest.mark.skipif(os.name != "posix", reason="limits of processes")
def test_a_full_disk(tmp_path):
    """No file can be written: one note, no error, no rest of a file."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))"
    # Python itself would leave the half of a file of bytecode, and fail on it for ever.
    settings = {"ARRAYLIB_CACHE_DIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    found, warned, why = run(limit, **settings)
    assert found == "nowhere" and warned.count("no disk cache of compiled code") == 1
    assert "is not kept: " in why
    assert list((tmp_path / "objects").iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="homes")
def test_homes_that_do_not_serve(tmp_path):
    blocked = tmp_path / "home"
    blocked.write_text("a file")
    found, warned, _ = run(HOME=str(blocked), ARRAYLIB_CACHE_DIR="")
    assert found == "nowhere" and warned.count("no disk cache") == 1
    nobody = "import pwd; pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid))"
    found, warned, _ = run(nobody, HOME=None, ARRAYLIB_CACHE_DIR="")
    assert found == "nowhere" and warned.count("there is no home folder") == 1, warned
    assert not os.path.exists("~")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_writer_that_dies_leaves_no_entry(tmp_path):
    """Killed between writing and renaming: the next process compiles, later ones tidy up."""
    killed = "import os, signal; os.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(AssertionError):
        run(killed, ARRAYLIB_CACHE_DIR=str(tmp_path))
    folder = tmp_path / "objects"
    (left,) = folder.iterdir()
    assert left.name.startswith("writing-")
    assert run(ARRAYLIB_CACHE_DIR=str(tmp_path))[:2] == ("nowhere", "[]")
    assert run(ARRAYLIB_CACHE_DIR=str(tmp_path))[:2] == ("disk", "[]")
    os.utime(left, (0, 0))
    with warnings.catch_warnings(), config.using(cache_dir=str(tmp_path)):
        warnings.simplefilter("error")
        objects.sweep()
    assert not left.exists()


def test_files_may_go_while_they_are_counted(own_cache, monkeypatch):
    """Another process evicts or renames at any moment: that is neither an error nor a warning."""
    compute()
    listed = [*objects.folder().iterdir(), objects.folder() / "writing-gone"]
    monkeypatch.setattr(type(listed[0]), "iterdir", lambda self: iter(listed))
    listed[0].unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.size() == sum(p.stat().st_size for p in listed[1:-1])
        objects.sweep()
        cache.clear()
        assert "no entry" in reason(compute())
