"""Where host time went: novt's own account (-stats-json), by kinds of work.

One more run for each group of rows, for the account costs time itself. Of those that run in Debian
the boot's own part is taken off, so that each group shows what is its own; what is little beside a
boot is not shown, for boots differ.
"""
import json
import tempfile
import time
from pathlib import Path

from novtbench import boots, machines, setups
from novtbench.rows import row_of

# What is shown: the parts of base/spent.def in it.
PARTS = {
    "guest code": ("translated_tlb", "translated_window", "direct", "kvm", "interpreter"),
    "translation": ("translation", "exits"),
    "callouts": ("callouts", "exceptions", "interrupts"),
    "faults": ("hidden_faults", "traces", "views", "evictions"),
    "host kernel": ("signals", "maps"),
    "devices": ("ports", "mmio", "service"),
    "idle": ("asleep",),
    "monitor": ("boot", "monitor"),
}
ENOUGH = 10   # seconds for another guest
LITTLE = 0.2  # of a boot's time
KNOWN = {name for names in PARTS.values() for name in names}


def sums(statistics):
    """Seconds by part; what is not known here counts as the monitor's."""
    seconds = {name: row["seconds"] for name, row in statistics["time"].items()}
    parts = {part: sum(seconds.get(name, 0) for name in names) for part, names in PARTS.items()}
    parts["monitor"] += sum(its for name, its in seconds.items() if name not in KNOWN)
    return {"parts": parts, "system": statistics["host"]["system_s"]}


def total(its):
    return sum(its["parts"].values())


def without(its, boot):
    """The difference, never less than nothing."""
    return {"parts": {part: max(0, value - boot["parts"][part])
                      for part, value in its["parts"].items()},
            "system": max(0, its["system"] - boot["system"])}


def account(path):
    """None if the run did not come to its end."""
    try:
        return sums(json.loads(Path(path).read_text(encoding="utf-8")))
    except ValueError:
        return None


def of_boot(args, guest, names, note):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        for setup, its in setups.used(names):
            boots.boot(args, "novt", guest, its, setup, note, ("-stats-json", out.name))
            return account(out.name)


def of_nano(args):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        machines.run_quietly(args, machines.nano_command(args, "novt", "fast")
                             + ["-stats-json", out.name])
        return account(out.name)


def groups_of(names):
    """The plain setup's rows, by group."""
    groups = {}
    for name in names:
        row = row_of(name)
        if row.setup == "plain" and row.group in ("kernel", "compute", "memory"):
            groups.setdefault(row.group, []).append(name)
    return groups


def late(args):
    """No time for another guest."""
    return args.ends - time.monotonic() < ENOUGH


def of_debian(args, work, guest, progress):
    """The groups that run there, and the boot itself."""
    progress.step("where the time goes: boot")
    found = {"boot": of_boot(args, guest, ["boot"], progress.note)}
    for group, names in groups_of(work.names).items():
        if not found["boot"] or late(args):
            break
        progress.step(f"where the time goes: {group}")
        its = of_boot(args, guest, names, progress.note)
        own = without(its, found["boot"]) if its else None
        if own and total(own) > LITTLE * total(found["boot"]):
            found[group] = own
    return found


def measure(args, work, guest, progress):
    """{group: {"parts": seconds by part, "system": seconds}}"""
    found = {}
    if any(row_of(name).setup == "plain" for name in work.names):
        found = of_debian(args, work, guest, progress)
    if work.nanos and not late(args):
        progress.step("where the time goes: nano")
        found["nano"] = of_nano(args)
    return {group: its for group, its in found.items() if its}
