"""Samples become one document: what --json writes, and what every way of showing it reads."""
import statistics

from novtbench import host, machines
from novtbench.rows import (CROWD, NANOS, PROCESSES, PUBLISHED, PUBLISHED_COLUMNS, PUBLISHED_NEED,
                            PUBLISHED_TITLE, ROWS, row_of)

FORMAT = 2  # of the document


def medians(by_machine):
    return {machine: statistics.median(values) for machine, values in by_machine.items()}


def base_of(median, against, samples):
    """What novt is compared with: the column's median, its own best forced tier's, its own with
    one guest."""
    if against == "tiers":
        forced = [median[tier] for tier in machines.TIERS if tier in median]
        return min(forced) if len(forced) == len(machines.TIERS) else None
    if against == "one":
        return medians(samples.values.get("crowd-1", {})).get("novt")
    return median.get(against)


def verdict(against, need, value, base):
    required, aim = need
    ratio = value / base if value is not None and base else None
    return {"against": against, "required": required, "aim": aim, "ratio": ratio,
            "holds": None if ratio is None else ratio <= required}


def judge(name, row, median, samples):
    value = median.get("novt")
    for against, need in row.against.items():
        yield verdict(against, need, value, base_of(median, against, samples))
    if name in PUBLISHED:
        yield verdict("published", PUBLISHED_NEED, value, PUBLISHED[name][1])


def row_document(name, samples):
    row, by_machine = row_of(name), samples.values[name]
    median = medians(by_machine)
    its = {"name": name, "what": row.what, "unit": row.unit, "group": row.group,
           "median": median, "samples": by_machine,
           "judged": list(judge(name, row, median, samples))}
    if name in PUBLISHED:
        its["published"] = dict(zip(PUBLISHED_COLUMNS, PUBLISHED[name]))
    return its


ORDER = [*ROWS, *(f"nano-{name}" for name in NANOS)]


def position(name):
    """As the tables have them; many guests last, by their number."""
    if name in ORDER:
        return ORDER.index(name), 0
    crowd = CROWD.fullmatch(name)
    return len(ORDER), int(crowd.group(1)) if crowd else 0


def processes_document(samples):
    """By number of guest processes: milliseconds each, and what they cost the host."""
    rows = []
    for name, by_machine in samples.values.items():
        got = PROCESSES.fullmatch(name)
        if got:
            count = int(got.group(1))
            each = {machine: its * 1000 / count for machine, its in medians(by_machine).items()}
            rows.append({"count": count, "ms_each": each,
                         "host": samples.processes.get(name, {})})
    return sorted(rows, key=lambda row: row["count"])


def document(args, found, samples, breakdown, counters, notes):
    names = sorted((name for name in samples.values if not PROCESSES.fullmatch(name)),
                   key=position)
    columns = {name: {"title": machines.MACHINES[name].title, "skipped": why}
               for name, why in found.items()}
    return {"novt_bench": FORMAT, "host": host.describe(), "kernel": args.kernel,
            "memory_mib": args.memory, "cpu": args.cpu, "pairs": samples.pairs,
            "columns": columns, "notes": notes, "published": PUBLISHED_TITLE,
            "rows": [row_document(name, samples) for name in names],
            "processes": processes_document(samples), "breakdown": breakdown,
            "counters": counters}
