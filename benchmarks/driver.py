"""Starts workers, lets one run at a time, alternates between them while the machine is quiet."""

import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import time
from functools import partial

from benchmarks.peers import IMPORTS
from benchmarks.worker import REFERENCES, cpu_seconds, reference_path, serve
from benchmarks.workloads import WORKLOADS


class Worker:
    """A process that runs one workload in one library; stopped, except while it is timed."""

    def __init__(self, library, name, timeout):
        context = multiprocessing.get_context("spawn")
        self.timeout = timeout
        self.conn, child = context.Pipe()
        self.process = context.Process(target=serve, args=(child, library, name), daemon=True)
        self.process.start()
        child.close()
        self.report = self.receive()
        if "missing" in self.report:
            self.close()
        else:
            self.signal(signal.SIGSTOP)  # its idle threads must not spin while others are timed

    def signal(self, number):
        os.kill(self.process.pid, number)

    def receive(self):
        """The worker's next message, or why there is none."""
        try:
            if self.conn.poll(self.timeout):
                return self.conn.recv()
            return {"missing": f"over {self.timeout} s"}
        except EOFError:
            self.process.join()
            return {"missing": f"crashed: exit code {self.process.exitcode}"}

    def time(self):
        """Seconds a call, from one batch."""
        self.signal(signal.SIGCONT)
        self.conn.send(True)
        reply = self.receive()
        if "missing" not in reply:
            self.signal(signal.SIGSTOP)
        return reply

    def close(self):
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.conn.close()


def others_running():
    """The share of some moments at which a process not ours is on a core or waits for one."""
    busy = 0
    for _ in range(8):
        line = next(line for line in open("/proc/stat") if line.startswith("procs_running"))
        busy += int(line.split()[1]) > 1
        time.sleep(0.002)
    return busy / 8


def wait_for_quiet(deadline):
    """Whether the machine got quiet before the deadline."""
    while others_running() > 0.25:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def in_rounds(libraries, time_one, repeat, options):
    """Time every library once a round, in alternating order, until `repeat` rounds were quiet.

    Rounds during which other processes ran are kept only when too few were quiet. A library that
    fails (`time_one` gives None) is left out from then on.
    """
    rounds, libraries = [], list(libraries)
    started = time.monotonic()
    while libraries and len(rounds) < 2 * repeat and sum(quiet for quiet, _ in rounds) < repeat:
        never_quiet = len(rounds) >= repeat and not rounds[-1][0]
        if never_quiet or (rounds and time.monotonic() > started + options.budget):
            break
        quiet = options.clock == "cpu" or wait_for_quiet(started + options.patience)
        times = {library: time_one(library) for library in libraries[:: 1 - 2 * (len(rounds) % 2)]}
        rounds.append((quiet and (options.clock == "cpu" or others_running() <= 0.25), times))
        libraries = [library for library in libraries if times[library]]
    noisy = sum(quiet for quiet, _ in rounds) < min(3, len(rounds))
    kept = [times for quiet, times in rounds if quiet or noisy]
    able = libraries if rounds else []
    return {name: summary([t[name] for t in kept], options.clock, noisy) for name in able}


def summary(times, clock, noisy):
    """What is kept of one library's rounds."""
    samples = [t[clock] for t in times]
    return {
        "median": statistics.median(samples),
        "min": min(samples),
        "noisy": noisy,
        "samples": samples,
        "cpu": statistics.median(t["cpu"] for t in times),
    }


def measure(name, libraries, options):
    """{library: facts} of one workload."""
    ensure_reference(name, options)
    if WORKLOADS[name].group == "compile" and options.repeat:
        return measure_first_calls(name, libraries, options)
    return measure_batches(name, libraries, options)


def ensure_reference(name, options):
    if reference_path(name).exists():
        return
    REFERENCES.mkdir(exist_ok=True)
    reference = Worker("reference", name, options.timeout)
    reference.close()
    if "missing" in reference.report:
        raise SystemExit(f"no reference for {name}: {reference.report['missing']}")


def measure_first_calls(name, libraries, options):
    """Facts of each library, a fresh process for every call."""
    facts = {}

    def time_first_call(library):
        worker = Worker(library, name, options.timeout)
        worker.close()
        facts[library] = report = worker.report
        if "missing" in report:
            return None
        return {"wall": report["first"], "cpu": report["first_cpu"]}

    if WORKLOADS[name].stored:
        for library in libraries:
            time_first_call(library)
    repeat = min(options.repeat, options.compile_repeat)
    return joined(facts, in_rounds(libraries, time_first_call, repeat, options))


def measure_batches(name, libraries, options):
    """Facts of each library, batches of calls in a process that lives on."""
    workers = {}
    try:
        for library in libraries:
            workers[library] = Worker(library, name, options.timeout)
        facts = {library: worker.report for library, worker in workers.items()}

        def time_batch(library):
            reply = workers[library].time()
            facts[library] |= {k: reply[k] for k in ("missing", "mb_peak") if k in reply}
            return None if "missing" in reply else reply

        able = [library for library in libraries if "missing" not in facts[library]]
        return joined(facts, in_rounds(able, time_batch, options.repeat, options))
    finally:
        for worker in workers.values():
            worker.close()


def joined(facts, timings):
    return {library: fact | timings.get(library, {}) for library, fact in facts.items()}


def measure_import(name, libraries, options):
    """Whole-process time of a fresh interpreter, its files already in the page cache."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    facts = {library: {"correct": True} for library in libraries}

    def time_one(library):
        command = [sys.executable, "-c", IMPORTS[library][name == "import/first_result"]]
        start, start_cpu = time.perf_counter(), cpu_seconds()
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        seconds = time.perf_counter() - start
        if done.returncode:
            facts[library] = {"missing": done.stderr.strip().split("\n")[-1][:200]}
            return None
        return {"wall": seconds, "cpu": cpu_seconds() - start_cpu}

    able = [library for library in libraries if time_one(library)]  # and warm the page cache
    return joined(facts, in_rounds(able, time_one, options.repeat, options))


def measurer(name):
    """What measures the workload of this name."""
    return partial(measure_import if name.startswith("import/") else measure, name)
