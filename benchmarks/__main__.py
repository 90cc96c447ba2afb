"""Times the workloads in several libraries side by side; README.md says how."""

import argparse
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from benchmarks.driver import measurer
from benchmarks.peers import LIBRARIES
from benchmarks.report import cell, print_markdown, print_report
from benchmarks.workloads import WORKLOADS

LIMITS = Path(__file__).with_name("limits.json")
NAMES = ["import/import", "import/first_result", *WORKLOADS]


def arguments():
    """The command line's parser."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--libs", default="arraylib,jax", help=f"comma-separated, of {','.join(LIBRARIES)}")
    add("--subject", help="whose ratios to print (default: the first of --libs)")
    add("--only", default="", help="comma-separated parts of names, such as matmul,train/gpt")
    add("--repeat", type=int, default=7, help="undisturbed rounds wanted; 0: only check results")
    add("--compile-repeat", type=int, default=3, help="the same, for compile times")
    add("--cores", type=int, default=len(os.sched_getaffinity(0)), help="cores to run on")
    clock = "cpu: processor time, steady on a busy machine; only fair with --cores 1"
    add("--clock", choices=["wall", "cpu"], default="wall", help=clock)
    add("--patience", type=float, default=20, help="seconds a workload to wait for quiet")
    add("--budget", type=float, default=120, help="start no new round of a workload after this")
    add("--timeout", type=float, default=300, help="seconds a library may take to answer")
    add("--json", type=Path, help="file to write; workloads already in it are kept or replaced")
    add("--retry", action="store_true", help="only what is noisy or absent in --json")
    add("--show", action="store_true", help="only print the report of --json")
    add("--markdown", action="store_true", help="only print the groups' table of --json")
    add("--list", action="store_true", help="only print the names of the workloads")
    return parser


def versions():
    """Versions of everything that was compared."""
    packages = "arraylib", "jax", "jaxlib", "torch", "numpy", "numba", "llvmlite"
    distributions = [d for d in metadata.distributions() if d.metadata["Name"]]
    found = {d.metadata["Name"].lower(): d.version for d in distributions}
    return {"python": platform.python_version()} | {k: found[k] for k in packages if k in found}


def prepare_environment(options):
    """What the processes that are timed inherit."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    os.environ["ARRAYLIB_CACHE"] = "0"  # compile times must be compile times
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    if options.clock == "cpu":
        os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # otherwise others' processor time
    os.environ.pop("OPENBLAS_CORETYPE", None)  # let OpenBLAS choose its kernels


def opened_record(options, parser):
    """The measurements so far, ready for more under these options."""
    record = {"workloads": {}}
    if options.json and options.json.exists():
        record = json.loads(options.json.read_text())
    if options.show or options.markdown:
        return record
    before = record.get("cores", options.cores), record.get("clock", options.clock)
    if before != (options.cores, options.clock):
        parser.error(f"{options.json} was measured with --cores {before[0]} --clock {before[1]}")
    limits = json.loads(LIMITS.read_text()) if LIMITS.exists() else None
    facts = {"versions": versions(), "cores": options.cores, "clock": options.clock}
    return record | facts | {"limits": limits}


def wanted(options, record):
    """The names of the workloads to measure."""
    names = [name for name in NAMES if any(part in name for part in options.only.split(","))]
    if not options.retry:
        return names
    known = record["workloads"]
    noisy = {name for name in known if any(fact.get("noisy") for fact in known[name].values())}
    return [name for name in names if name not in known or name in noisy]


def main():
    parser = arguments()
    options = parser.parse_args()
    if options.list:
        return print("\n".join(wanted(options, {"workloads": {}})))
    libraries = options.libs.split(",")
    subject = options.subject or libraries[0]
    record = opened_record(options, parser)
    if options.markdown:
        return print_markdown(record, subject)
    prepare_environment(options)
    for name in [] if options.show else wanted(options, record):
        results = record["workloads"][name] = measurer(name)(libraries, options)
        cells = [f"{library} {cell(fact)}" for library, fact in results.items()]
        print(name.ljust(34), *cells, file=sys.stderr)
        if options.json:
            options.json.write_text(json.dumps(record, indent=1))
    print_report(record, subject)


if __name__ == "__main__":
    main()
