"""novt bench, all of it."""
import json
import os
import sys
from pathlib import Path

from novtbench import machines, options, results, schedule, table
from novtbench.rows import GROUPS, ROWS


def show_list():
    print("Rows:")
    for name, row in ROWS.items():
        print(f"  {name:14} {row.what}")
    print("  nano-NAME      one nanobenchmark, in cycles; nano: all of them\n"
          "  processes-N    N processes in one guest\nGroups:")
    for name, rows in GROUPS.items():
        print(f"  {name:14} {','.join(rows)}")
    print("Columns:")
    for name, machine in machines.MACHINES.items():
        print(f"  {name:14} {machine.title}")


def warn_if_busy(progress):
    load = os.getloadavg()[0]
    if load > 0.5:
        progress.note(f"this host is busy (load {load:.1f}): the numbers will be worth little")


def main(words):
    args, work = options.parse(words)
    if args.list:
        return show_list()
    progress = table.Progress()
    warn_if_busy(progress)
    found = machines.find(args)
    for name, why in found.items():
        if why:
            progress.note(f"without {machines.MACHINES[name].title}: {why}")
    samples = schedule.measure(args, work, found, progress)
    progress.clear()
    document = results.document(args, found, samples)
    table.show(document)
    if args.json:
        Path(args.json).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def run():
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
