"""One process, one workload, one library: the first call, the check of its result, the timings."""

import ctypes
import gc
import hashlib
import math
import os
import resource
import signal
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.data import leaves
from benchmarks.peers import load
from benchmarks.workloads import WORKLOADS

REFERENCES = Path(tempfile.gettempdir()) / f"arraylib-benchmarks-{os.getuid()}"
CHECKED = 1 << 20  # larger outputs are checked at this many positions
BATCH = 0.05  # seconds that one timing lasts at least
PR_SET_PDEATHSIG = 1


def serve(conn, library, name):
    """Make the first call, check its result and report; then time a batch at each request."""
    try:
        os.setpgid(0, 0)  # a stopped process in the driver's group could get that group hung up
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # do not outlive it, stopped
        os.dup2(2, 1)  # what libraries print goes to stderr
        workload, peer = WORKLOADS[name], load(library)
        function, args = peer.build(workload)
        if workload.stored:
            peer.store(str(REFERENCES / f"code-{library}"))
        peer.warm()
        report, outputs = first_call(function, args, peer)
        if library == "reference":
            np.savez(reference_path(name), *outputs)
        else:
            report |= check(outputs, workload, peer)
        del outputs
    except BaseException as e:
        return conn.send({"missing": f"{type(e).__name__}: {e}".strip().split("\n")[0][:200]})
    conn.send(report)
    calls = 0
    while conn.recv():
        if not calls:
            calls = calibrate(function, args, peer)
            reset_peak()
        reply = time_calls(function, args, peer, calls, workload.group == "dispatch")
        conn.send(reply | {"mb_peak": memory_mb("VmHWM")})


def first_call(function, args, peer):
    """What the first call took, and samples of its results."""
    before = reset_peak()
    start, start_cpu = time.perf_counter(), cpu_seconds()
    out = function(*args)
    peer.block(out)
    report = {
        "first": time.perf_counter() - start,
        "first_cpu": cpu_seconds() - start_cpu,
        "mb_before": before,
        "mb_peak_first": memory_mb("VmHWM"),
    }
    return report, [sample(peer.numpy(x)) for x in leaves(out)]


def cpu_seconds():
    """Processor time of this process, its threads and the children it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def time_calls(function, args, peer, calls, pipelined=False):
    """Wall and processor seconds a call; pipelined calls are waited for together, at the end."""
    gc.collect()
    gc.disable()
    if calls > 1:
        peer.block(function(*args))  # bring caches and sleeping threads back
    start, start_cpu = time.perf_counter(), cpu_seconds()
    for i in range(calls):
        out = function(*args)
        if not pipelined or i == calls - 1:
            peer.block(out)
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - start_cpu
    gc.enable()
    return {"wall": seconds / calls, "cpu": cpu / calls}


def calibrate(function, args, peer):
    """How many calls make a batch."""
    seconds = min(time_calls(function, args, peer, calls)["wall"] for calls in (1, 1, 3))
    return max(1, min(100_000, math.ceil(BATCH / seconds)))


def sample(x):
    """All of a small array; both ends and fixed random positions of a large one."""
    x = x.ravel()
    if x.size <= CHECKED:
        return x
    middle = np.random.default_rng(0).integers(0, x.size, CHECKED)
    return np.concatenate([x[: CHECKED // 16], x[middle], x[-CHECKED // 16 :]])


def check(outputs, workload, peer):
    """How far the outputs are from the reference, and whether that is near enough."""
    with np.load(reference_path(workload.name)) as file:
        expected = [file[k] for k in file.files]
    if [x.size for x in outputs] != [x.size for x in expected]:
        return {"error": math.inf, "correct": False}
    if workload.group == "random" and not peer.exact_random:
        return check_moments(outputs[0].astype(float), expected[0].astype(float))
    worst, correct = 0.0, True
    for x, y in zip(outputs, expected):
        exact = y.dtype.kind in "biu"
        error = (x != y).astype(float) if exact else abs(x - y) / max(abs(y).max(), 1e-30)
        correct &= bool(np.mean(~(error <= workload.tol)) <= workload.bad)
        summary = error.mean() if exact else error.max()
        worst = max(worst, float(np.nan_to_num(summary, nan=math.inf)))
    return {"error": worst, "correct": correct}


def check_moments(x, y):
    """Random numbers of another generator: other bits are fine, other moments are not."""
    error = max(abs(x.mean() - y.mean()), abs(x.std() - y.std())) / y.std()
    return {"error": error, "correct": bool(error < 5e-3), "same_bits": False}


def reference_path(name):
    """Where the reference results of a workload are kept, until its source changes."""
    here = Path(__file__).parent
    sources = [here / "data.py", here / "models.py", *sorted((here / "workloads").glob("*.py"))]
    digest = hashlib.sha1(b"".join(source.read_bytes() for source in sources)).hexdigest()[:10]
    return REFERENCES / f"{name.replace('/', '-')}-{digest}.npz"


def memory_mb(field):
    """VmRSS (now) or VmHWM (peak) of this process."""
    line = next(line for line in open("/proc/self/status") if line.startswith(field))
    return int(line.split()[1]) / 1024


def reset_peak():
    """Start a new peak at what is used now, in MB."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return memory_mb("VmRSS")
