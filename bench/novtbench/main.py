"""novt bench, all of it."""
import os
import signal
import sys

from novtbench import (counters, differences, machines, options, outputs, results, schedule,
                       table)
from novtbench.errors import fail
from novtbench.rows import GROUPS, NANOS, ROWS


def show_list():
    print("Rows:")
    for name, row in ROWS.items():
        print(f"  {name:20} {row.what}")
    for name, what in NANOS.items():
        print(f"  nano-{name:15} {what}")
    print("  processes-N          N processes in one guest\n"
          "  crowd-N              N guests at once\n"
          "  counters             what does not vary from run to run\nGroups:")
    for name, rows in {**GROUPS, "nano": ["nano-..."]}.items():
        print(f"  {name:20} {','.join(rows)}")
    print("Columns:")
    for name, machine in machines.MACHINES.items():
        print(f"  {name:20} {machine.title}")


def warn_if_busy(progress):
    load = os.getloadavg()[0]
    if load > 0.5:
        progress.note(f"this host is busy (load {load:.1f}): the numbers will be worth little")


def find_columns(args, progress):
    found = machines.find(args)
    for name, why in found.items():
        if why:
            progress.say(f"without {machines.MACHINES[name].title}: {why}")
    if all(found.values()):
        fail("there is nothing to measure on", os.EX_UNAVAILABLE)
    return found


def measure(args, work):
    progress = table.Progress()
    warn_if_busy(progress)
    found = find_columns(args, progress)
    samples, breakdown = schedule.measure(args, work, found, progress)
    with_counters = work.counters and "novt" in found and not found["novt"]
    its = counters.measure(args) if with_counters else {}
    progress.clear()
    return results.document(args, found, samples, breakdown, its, progress.notes)


def main(words):
    if words[2:3] == ["compare"]:  # after --novt PROGRAM
        words = words[2:]
    if words[:1] == ["compare"]:
        return differences.main(words[1:])
    args, work = options.parse(words)
    if args.list:
        show_list()
        return 0
    document = measure(args, work)
    table.show(document)
    outputs.write(args, document)
    return 0


def run():
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
        sys.exit(status)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # nobody reads on: | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
