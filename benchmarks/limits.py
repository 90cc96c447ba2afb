"""What this machine can do at most, on one core and on all, into limits.json.

    python -m benchmarks.limits

limits.c (gcc, OpenMP, AVX-512 where there is one) gives the arithmetic and memory limits; NumPy's
OpenBLAS gives a good sgemm for comparison. Each figure is the best of several tries, and of the
file's: delete limits.json on a new machine, and run again where others were using the machine.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def best_rate(work, tries=15):
    """Billions a second of whatever work() returns the count of."""
    rates = []
    for _ in range(tries):
        start = time.perf_counter()
        count = work()
        rates.append(count / (time.perf_counter() - start) / 1e9)
    return max(rates)


def compile_c():
    """limits.c as a library of functions."""
    library = Path(tempfile.mkdtemp()) / "limits.so"
    flags = "-O3 -march=native -ffast-math -fopenmp -mprefer-vector-width=512 -shared -fPIC"
    command = ["gcc", *flags.split(), str(HERE / "limits.c"), "-o", str(library), "-lmvec", "-lm"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def measure():
    """Run in a process that has OMP_NUM_THREADS and OPENBLAS_NUM_THREADS set."""
    c, size = compile_c(), 1 << 26
    a, b, d = (np.ones(size + 16, np.float32) for _ in range(3))
    aligned = [x[-x.ctypes.data % 64 // 4 :].ctypes.data_as(ctypes.c_void_p) for x in (a, b, d)]

    def call(name, *args):
        function = getattr(c, name)
        function.restype = ctypes.c_double
        function.argtypes = [*[ctypes.c_void_p] * (len(args) - 1), ctypes.c_long]
        return best_rate(lambda: function(*args))

    out = {
        "fma_gflops": call("fma_peak", 5_000_000),
        "bf16_gflops": call("bf16_peak", 5_000_000),
        "exp_gps": call("exps", *aligned, 10_000),
        "threefry_gps": call("threefry", *aligned, 10_000),
    }
    for name in "copy", "triad", "stream", "read", "first_touch", "first_touch_huge_pages":
        out[name + "_gbs"] = call(name, *aligned, size)
    out["memory_gbs"] = max(out["copy_gbs"], out["triad_gbs"], out["stream_gbs"])
    m = np.random.default_rng(0).standard_normal((2048, 2048), np.float32)
    out["sgemm_gflops"] = best_rate(lambda: (m @ m).size * 2 * 2048)
    return out


def measure_with(threads):
    """The figures of a fresh process that uses so many threads."""
    env = os.environ | {"OMP_PROC_BIND": "true"}
    env |= {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    env.pop("OPENBLAS_CORETYPE", None)  # let OpenBLAS choose its kernels
    command = [sys.executable, "-m", "benchmarks.limits", "--measure"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    if sys.argv[1:] == ["--measure"]:
        return print(json.dumps(measure()))
    file = HERE / "limits.json"
    limits = json.loads(file.read_text()) if file.exists() else {}
    for threads in 1, len(os.sched_getaffinity(0)):
        for name, value in measure_with(threads).items():
            best = limits.setdefault(name, {})
            best[str(threads)] = max(round(value, 2), best.get(str(threads), 0))
    file.write_text(json.dumps(limits, indent=1))
    for name, values in limits.items():
        cells = [f"{threads} cores: {value:8.1f}" for threads, value in values.items()]
        print(name.ljust(27), *cells)


if __name__ == "__main__":
    main()
