"""Programs that import JAX, run as they are: in processes of their own, which have no other JAX."""

import importlib
import pkgutil
import subprocess
import sys

import jax
import numpy as np
import pytest

import arraylib
from arraylib.as_jax import imports, install
from arraylib.as_jax.__main__ import main
from arraylib.config import config
from arraylib.errors import ArgumentError

PROGRAM = '''
import sys
import jax, jax.numpy as jnp, jax.scipy.stats.norm as normal
from jax import lax, numpy, random, tree_util
from jax.scipy.special import logsumexp
from jax.nn import *
import jaxlib

def loss(w, x):
    return logsumexp(relu(x @ w)) + normal.logpdf(w.sum()) + lax.rsqrt(jax.scipy.special.erf(1.0))

slope = jax.jit(jax.grad(loss))(jnp.ones(3), random.normal(random.key(0), (2, 3)))
print(*(f"{value:.4f}" for value in slope))
assert numpy is jnp and isinstance(jnp.ones(3), jax.Array) and "softmax" in dir(jax.nn)
assert jax.__version__ == jaxlib.__version__ and sys.argv[1:] == ["--steps", "3"]
assert isinstance(jax.typeof(slope), jax.core.ShapedArray)
assert jax.core.ShapedArray((2, 3), "float32") == jax.typeof(jnp.ones((2, 3)))
assert jax.make_jaxpr(tree_util.Partial(jnp.add, 1))(2)
try:
    jnp.arange(3).at[jax.jit(lambda x: bool(x))(1)]
except jax.errors.TracerBoolConversionError as error:
    assert isinstance(error, jax.errors.ConcretizationTypeError)
assert not hasattr(jnp, "no_such_function")
@jax.numpy_rank_promotion("allow")
@jax.default_matmul_precision("float32")
@jax.enable_checks(False)
def twice(x):
    return 2 * x
assert twice(2) == 4 and jax.lib.__version__ == jax.__version__
try:
    from jax.experimental import no_such_module
except ImportError:
    import jax.no_such.module
'''


def _run(*arguments, cwd=None):
    return subprocess.run([sys.executable, "-m", "arraylib.as_jax", *arguments], text=True,
                          capture_output=True, cwd=cwd, check=False)


def test_a_program_runs_as_it_is_and_hears_what_is_missing(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = _run(str(script), "--steps", "3")
    w, x = jax.numpy.ones(3), jax.random.normal(jax.random.key(0), (2, 3))
    expected = jax.grad(lambda w: jax.scipy.special.logsumexp(jax.nn.relu(x @ w))
                        + jax.scipy.stats.norm.logpdf(w.sum()))(w)
    assert done.stdout, done.stderr
    np.testing.assert_allclose([float(word) for word in done.stdout.split()], expected, atol=2e-4)
    assert "ModuleNotFoundError: arraylib has no answer to 'jax.no_such'" in done.stderr
    lines = done.stderr[done.stderr.index("as_jax: the program asked for 3 names"):].split("\n")
    def where(text):
        before = PROGRAM[:PROGRAM.index(text)]
        return f"{script}:{before.count(chr(10)) + 1}"

    assert [line.split() for line in lines[1:4]] == [
        ["jax.experimental.no_such_module", where("from jax.experimental")],
        ["jax.no_such", where("import jax.no_such")],
        ["jax.numpy.no_such_function", where("assert not hasattr")]]


def test_modules_run_too(tmp_path):
    (tmp_path / "trains.py").write_text("import jax, sys\nprint(jax.numpy.ones(2), sys.argv[1:])")
    done = _run("-m", "trains", "x", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[1. 1.] ['x']\n", "")


def test_usage_is_told(capsys):
    assert (main([]), main(["-m"]), main(["--help"])) == (2, 2, 0)
    assert capsys.readouterr().out.count("usage: ") == 3


@pytest.mark.parametrize("name", imports.TABLE)
def test_the_table_names_modules_that_are_there(name):
    for source in imports.answers(name):
        importlib.import_module(imports._ours(source))
    parent = name.rpartition(".")[0]
    assert not parent or parent in imports.TABLE


@pytest.mark.parametrize("name", [name for name in imports.TABLE if "." in name])
def test_the_table_names_modules_of_jax(name):
    assert pkgutil.resolve_name(name)


def test_stand_ins_have_our_functions():
    assert imports.StandIn("jax.scipy.stats.norm").logpdf is arraylib.scipy.stats.norm.logpdf
    assert {"norm", "poisson"} <= set(dir(imports.StandIn("jax.scipy.stats")))
    assert {"numpy", "jit", "lax"} <= set(dir(imports.StandIn("jax")))
    assert imports.StandIn("jax").jit is arraylib.jit
    with pytest.raises(AttributeError, match="no answer to 'jax.array'"):
        imports.StandIn("jax").array  # noqa: B018


def test_jax_itself_is_not_replaced():
    with pytest.raises(ArgumentError, match="jax has been imported"):
        install()


def test_devices_are_as_many_as_the_flags_of_xla_say():
    with config.using(num_cpu_devices=1):
        imports.follow_flags("--xla_dump_to=/tmp --xla_force_host_platform_device_count=8")
        assert len(arraylib.devices()) == 8
        imports.follow_flags("--xla_force_host_platform_device_count=4")
        assert len(arraylib.devices()) == 8  # a number that was set before counts
