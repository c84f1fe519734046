"""Samples become one document: what --json writes, and what every way of showing it reads."""
import statistics

from novtbench import host, machines
from novtbench.rows import GROUPS, PROCESSES, ROWS, row_of

FORMAT = 1


def base_of(median, against):
    """What novt is compared with: the column's median, or its own best forced tier's."""
    if against == "tiers":
        forced = [median[tier] for tier in machines.TIERS if tier in median]
        return min(forced) if len(forced) == len(machines.TIERS) else None
    return median.get(against)


def judge(row, median):
    for against, (required, aim) in row.against.items():
        base, ratio = base_of(median, against), None
        if median.get("novt") is not None and base:
            ratio = median["novt"] / base
        yield {"against": against, "required": required, "aim": aim, "ratio": ratio,
               "holds": None if ratio is None else ratio <= required}


def row_document(name, by_machine):
    row = row_of(name)
    median = {machine: statistics.median(values) for machine, values in by_machine.items()}
    return {"name": name, "what": row.what, "unit": row.unit, "group": row.group,
            "median": median, "samples": by_machine, "judged": list(judge(row, median))}


def position(name):
    order = list(ROWS)
    return order.index(name) if name in order else len(order)


def processes_document(samples):
    """By number of guest processes: milliseconds each, and what they cost the host."""
    rows = []
    for name in sorted(filter(PROCESSES.fullmatch, samples.values),
                       key=GROUPS["processes"].index):
        count = int(PROCESSES.fullmatch(name).group(1))
        each = {machine: statistics.median(values) * 1000 / count
                for machine, values in samples.values[name].items()}
        rows.append({"count": count, "ms_each": each, "host": samples.processes.get(name, {})})
    return rows


def document(args, found, samples):
    names = sorted((name for name in samples.values if not PROCESSES.fullmatch(name)),
                   key=position)
    columns = {name: {"title": machines.MACHINES[name].title, "skipped": why}
               for name, why in found.items()}
    return {"novt_bench": FORMAT, "host": host.describe(), "kernel": args.kernel,
            "memory_mib": args.memory, "cpu": args.cpu, "pairs": samples.pairs,
            "columns": columns, "rows": [row_document(n, samples.values[n]) for n in names],
            "processes": processes_document(samples)}
