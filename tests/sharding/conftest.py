"""Eight virtual devices, and what JAX says of the same programs on eight of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arraylib.config import config

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def eight_devices():
    with config.using(num_cpu_devices=8):
        yield


@pytest.fixture(scope="session")
def by_jax():
    """What each case gives under JAX, by its name: computed once, in a process of its own."""
    pytest.importorskip("jax")
    settings = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
                "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, HERE / "cases.py"], env=settings, text=True,
                          capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
