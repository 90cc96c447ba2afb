"""Settings and fixtures of the whole suite: every pass is verified; the golden file."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("ARRAYLIB_VERIFY_PASSES", "1")
os.environ.setdefault("ARRAYLIB_TRACEBACKS", "full")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write what tests/golden expects")


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
