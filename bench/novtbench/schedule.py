"""Who is measured when: all columns by turns, pair after pair, while there is time."""
import contextlib
import time

from novtbench import boots, machines, nano, setups
from novtbench.rows import GROUPS, row_of


class Work:
    """What was asked for: rows that run in Debian, and nanobenchmarks (True: all, or a set)."""

    def __init__(self, names, nanos):
        self.names, self.nanos = names, nanos


class Samples:
    """Values by row and column, and what goes with them."""

    def __init__(self):
        self.values = {}  # row: column: values
        self.processes = {}
        self.pairs = 0

    def add(self, machine, results):
        for name, value in results.items():
            self.values.setdefault(name, {}).setdefault(machine, []).append(value)


def names_for(machine, names):
    """The rows a column is measured with: each as it is asked for, slow ones with less."""
    if machine in machines.TIERS:
        return [name for name in names if name in GROUPS["system"]]
    if machines.MACHINES[machine].kind == "qemu":
        return [name for name in names if "qemu" in row_of(name).against]
    if machines.MACHINES[machine].slow:
        return [name for name in names if row_of(name).light]
    return names


def turn(args, machine, work, guest, samples, note):
    """One column's part of a pair."""
    names = names_for(machine, work.names)
    if machine == "native":
        samples.add(machine, boots.native(args, guest, names) if names else {})
        return
    if names:
        results, its = boots.measure(args, machine, guest, names, note)
        samples.add(machine, results)
        samples.processes.update(its if machine == "novt" else {})
    if work.nanos and machine not in machines.TIERS:
        results = nano.measure(args, machine, note)
        samples.add(machine, {name: value for name, value in results.items()
                              if work.nanos is True or name in work.nanos})


def pairs(args, work, columns, guest, progress):
    samples = Samples()
    start = time.monotonic()
    longest = 0
    for pair in range(args.pairs):
        began = time.monotonic()
        if pair and began - start + longest > args.minutes * 60:
            progress.note(f"{args.minutes:g} minutes are over: {pair} of {args.pairs} pairs")
            break
        for machine in columns:
            progress.step(f"pair {pair + 1} of {args.pairs}: {machines.MACHINES[machine].title}")
            turn(args, machine, work, guest, samples, progress.note)
        samples.pairs = pair + 1
        longest = max(longest, time.monotonic() - began)
    return samples


def measure(args, work, found, progress):
    columns = [name for name in args.machines if not found[name]]
    guest = boots.fetch(args, work.names) if work.names else None
    with contextlib.ExitStack() as stack:
        for setup, _ in setups.used(work.names):
            stack.enter_context(setup.open(args, guest))
        return pairs(args, work, columns, guest, progress)
