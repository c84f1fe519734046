"""Who is measured when: all columns by turns, pair after pair, while there is time."""
import contextlib
import os
import time

from novtbench import boots, breakdown, crowd, machines, nano, setups
from novtbench.errors import fail
from novtbench.rows import GROUPS, row_of


RESERVED = 0.08  # of the minutes, for where novt's time goes


class Work:
    """What was asked for: rows that run in Debian, nanobenchmarks (True: all, or a set of names),
    how many guests at once, and whether counters."""

    def __init__(self, names, nanos, crowds, counters):
        self.names, self.nanos, self.crowds, self.counters = names, nanos, crowds, counters


class Samples:
    """Values by row and column, and what goes with them."""

    def __init__(self):
        self.values = {}  # row: column: values
        self.processes = {}
        self.pairs = 0

    def add(self, machine, results):
        for name, value in results.items():
            self.values.setdefault(name, {}).setdefault(machine, []).append(value)


def names_for(args, machine, names):
    """The rows a column is measured with: each as it is asked for, slow ones with less."""
    its = machines.MACHINES[machine]
    if its.kind == "bochs" or (its.slow and args.quick):
        return []  # nanobenchmarks alone: a Debian would take it long to boot
    if machine in machines.TIERS:
        return [name for name in names if name in GROUPS["system"]]
    if its.kind == "qemu":
        return [name for name in names if "qemu" in row_of(name).against]
    if its.slow:
        return [name for name in names if row_of(name).light]
    return names


def crowds_for(machine, counts):
    if machine in ("novt", "novt-kvm"):
        return counts
    return [count for count in counts if count <= 10] if machine.startswith("qemu") else []


def turn(args, machine, work, guest, samples, note):
    """One column's part of a pair."""
    names = names_for(args, machine, work.names)
    if names and machine == "native":
        samples.add(machine, boots.native(args, guest, names))
    elif names:
        results, its = boots.measure(args, machine, guest, names, note)
        samples.add(machine, results)
        samples.processes.update(its if machine == "novt" else {})
    if work.nanos and not (args.quick and machine in machines.TIERS):
        results = nano.measure(args, machine, work.nanos, note)
        samples.add(machine, {name: value for name, value in results.items()
                              if work.nanos is True or name in work.nanos})
    samples.add(machine, crowd.measure(args, machine, crowds_for(machine, work.crowds), note))


class Clock:
    """When there is no time left."""

    def __init__(self, args):
        self.limit = args.minutes * 60 * (1 if args.quick else 1 - RESERVED)
        self.start, self.longest = args.began, 0

    def passed(self):
        return time.monotonic() - self.start

    def words(self):
        return f"{int(self.passed()) // 60}:{int(self.passed()) % 60:02}"

    def over(self):
        return self.passed() > self.limit

    def allows_pair(self):
        return self.passed() + self.longest <= self.limit


def pairs(args, clock, work, columns, guest, progress):
    samples = Samples()
    for pair in range(args.pairs):
        began = clock.passed()
        if pair and not clock.allows_pair():
            progress.note(f"{pair} of {args.pairs} pairs: {args.minutes:g} minutes would be over")
            break
        for machine in columns:
            title = machines.MACHINES[machine].title
            if clock.over():
                progress.note(f"without {title}: its time is over (--minutes)")
                continue
            progress.step(f"{clock.words()}, pair {pair + 1} of {args.pairs}: {title}")
            turn(args, machine, work, guest, samples, progress.note)
        samples.pairs = pair + 1
        clock.longest = max(clock.longest, clock.passed() - began)
    return samples


def find_guest(args, work, progress):
    """The folder with Debian, if it is needed; without one the rows that run in it are left out."""
    guest = boots.fetch(args, work.names) if work.names else None
    if work.names and not guest:
        progress.note("Debian's packages are out of reach: without the rows that run in it")
        work.names = []
        if not (work.nanos or work.crowds or work.counters):
            fail("there is nothing else to measure", os.EX_UNAVAILABLE)
    return guest


def measure(args, work, found, progress):
    """(Samples, breakdown)"""
    columns = [name for name in args.machines if not found[name]]
    clock = Clock(args)
    guest = find_guest(args, work, progress)
    with contextlib.ExitStack() as stack:
        for setup, _ in setups.used(work.names):
            stack.enter_context(setup.open(args, guest))
        samples = pairs(args, clock, work, columns, guest, progress)
        if "novt" not in columns or breakdown.late(args):
            return samples, {}
        return samples, breakdown.measure(args, work, guest, progress)
