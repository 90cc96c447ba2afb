"""Tables of what was measured: each workload, and each group by its geometric means."""

import math
import statistics

from benchmarks.peers import LIBRARIES
from benchmarks.workloads import WORKLOADS


def ratio(results, a, b):
    """Median over the rounds of a's time over b's."""
    pairs = zip(results[a]["samples"], results[b]["samples"])
    return statistics.median(x / y for x, y in pairs)


def usable(fact):
    return "median" in fact and fact.get("correct", False)


def best_peer(results, subject):
    """The fastest other library with a correct result, and JAX's random bits where asked for."""
    peers = [
        library
        for library, fact in results.items()
        if library != subject and usable(fact) and fact.get("same_bits", True)
    ]
    return min(peers, key=lambda library: results[library]["median"], default=None)


def limit_seconds(name, record):
    """The least time this machine could take: the slowest of arithmetic, memory, exp and bits."""
    w, limits, cores = WORKLOADS.get(name), record["limits"], str(record["cores"])
    if not w or cores not in (limits or {}).get("memory_gbs", {}):
        return 0
    rate = {k: values[cores] * 1e9 for k, values in limits.items()}
    arithmetic = w.flops / rate["bf16_gflops" if w.bf16 else "fma_gflops"]
    bits = w.words / rate["threefry_gps"] if "threefry_gps" in rate else 0  # of older runs
    return max(arithmetic, w.bytes / rate["memory_gbs"], w.exps / rate["exp_gps"], bits)


def shown(seconds):
    """Three digits and a unit."""
    for unit, scale in ("s", 1), ("ms", 1e3):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g}{unit}"
    return f"{seconds * 1e6:.3g}us"


def cell(fact):
    """One library's entry in the table."""
    if "correct" not in fact:
        return "-"
    time = shown(fact["median"]) + ("~" if fact["noisy"] else "") if "median" in fact else "ok"
    return time if fact["correct"] else time + "x"


def geomean(values, form):
    return format(statistics.geometric_mean(values), form) if values else "-"


def compare(name, record, subject):
    """The subject's time over each peer's and over the best one's, and its share of the limit."""
    results = record["workloads"][name]
    fact = results.get(subject, {})
    if not usable(fact):
        return {}
    peers = [k for k in results if k != subject and usable(results[k])]
    found = {peer: ratio(results, subject, peer) for peer in peers}
    best, limit = best_peer(results, subject), limit_seconds(name, record)
    if best:
        found["best"] = found[best]
    if limit:
        found["limit"] = limit / fact["median"]
    return found


def workload_row(name, record, libraries, subject):
    results, found = record["workloads"][name], compare(name, record, subject)
    fact = results.get(subject, {})
    return [
        name,
        *(cell(results.get(library, {})) for library in libraries),
        f"{found['best']:.2f}" if "best" in found else "",
        (usable(fact) and best_peer(results, subject)) or "",
        f"{found['limit']:.0%}" if "limit" in found else "",
        f"{fact.get('mb_peak', 0):.0f}",
        f"{fact.get('error', math.nan):.0e}",
    ]


def group_row(group, record, columns, subject):
    names = [name for name in record["workloads"] if name.split("/")[0] == group]
    found = [compare(name, record, subject) for name in names]
    means = [geomean([f[k] for f in found if k in f], ".2f") for k in columns]
    share = geomean([f["limit"] for f in found if "limit" in f], ".0%")
    ran = sum(usable(record["workloads"][name].get(subject, {})) for name in names)
    return [group, f"{ran}/{len(names)}", *means, share]


def group_table(record, subject):
    """Heads and rows: the geometric means of every group."""
    workloads = record["workloads"]
    libraries = [k for k in LIBRARIES if any(k in results for results in workloads.values())]
    columns = [*(k for k in libraries if k != subject), "best"]
    groups = dict.fromkeys(name.split("/")[0] for name in workloads)
    rows = [group_row(group, record, columns, subject) for group in groups]
    return ["group", "ran", *columns, "of limit"], rows


def print_report(record, subject):
    """Both tables, how to read them, and what the subject could not run."""
    workloads = record["workloads"]
    libraries = [k for k in LIBRARIES if any(k in results for results in workloads.values())]
    subject = subject if subject in libraries else libraries[0]
    heads = ["workload", *libraries, f"{subject}/best", "best peer", "of limit", "MB", "error"]
    print_table(heads, [workload_row(name, record, libraries, subject) for name in workloads])
    print(
        f"\nGeometric means: {subject}'s time over each peer's (below 1: {subject} is faster), and"
    )
    print(f"its share of the machine's limit. Only workloads that {subject} ran correctly count;")
    print("'ran' says how many.")
    print_table(*group_table(record, subject))
    print(
        f"\n{record['cores']} cores, {record['clock']} time   ~ measured while other processes ran"
    )
    print("x wrong result   - no version, or it failed")
    for line in shortfalls(record, subject):
        print(line)


def shortfalls(record, subject):
    """Lines that name each workload that is missing, behind its best peer or larger than JAX's."""
    for name, results in record["workloads"].items():
        fact, found = results.get(subject, {}), compare(name, record, subject)
        if "missing" in fact:
            yield f"missing: {subject} {name}: {fact['missing']}"
        if found.get("best", 0) > 1 and found.get("limit", 0) < 0.9:
            yield f"behind {best_peer(results, subject)}: {name}: {found['best']:.2f} of its time"
        mine, theirs = fact.get("mb_peak", 0), results.get("jax", {}).get("mb_peak", 0)
        if subject != "jax" and 0 < theirs < mine:
            yield f"larger than jax: {name}: {mine:.0f} MB, {theirs:.0f} MB"


def print_table(heads, rows):
    """Columns as wide as their widest entry; the first to the left."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for first, *rest in [heads, *rows]:
        cells = [text.rjust(width) for text, width in zip(rest, widths[1:])]
        print("  ".join([first.ljust(widths[0]), *cells]))


def print_markdown(record, subject):
    """The groups' table for a README."""
    heads, rows = group_table(record, subject)
    for row in [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]:
        print(f"| {' | '.join(row)} |")
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    print(f"\n{record['cores']} cores, {record['clock']} time; {versions}.")
