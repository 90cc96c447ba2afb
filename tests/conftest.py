"""Settings and fixtures of the whole suite: every pass is verified; the golden file."""

import ctypes
import gc
import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("ARRAYLIB_VERIFY_PASSES", "1")
os.environ.setdefault("ARRAYLIB_TRACEBACKS", "full")

from arraylib.config import config

GOLDEN = Path(__file__).parent / "golden"
ROOM = 1 << 30  # bytes


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write what tests/golden expects")


def pytest_collection_finish():
    """The million objects of all tests are there to the end: no collection looks at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def golden(request):
    """`golden(name, text)` asserts that text is what tests/golden/name has."""
    def check(name, text):
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"no {path}: run pytest --update-golden and read what it wrote"
        assert text == path.read_text()
    return check


@pytest.fixture(scope="module", autouse=True)
def memory_is_given_back():
    """JAX keeps whatever it has compiled: gigabytes, in which tests of leaks look for minutes."""
    yield
    if "jax" in sys.modules and resident() > ROOM:
        sys.modules["jax"].clear_caches()
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(autouse=True)
def shardings_are_forgotten():
    """From a process's first sharding on every call is seen by Python: not those of other tests."""
    yield
    config.place(False)


def resident():
    """The bytes of this process that are in memory."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
