#!/usr/bin/env python3
"""The instructions that -stats counts: as many as the guest has, whoever executes them.

    count.py NOVT count.elf sensitive.elf

count.elf has 109 instructions in each round. Both guests ask for no time, so the engines and the
forms of memory access must agree to the instruction. Host time: the parts make up the whole.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import must  # noqa: E402

PER_ROUND = 109


def run(novt, engine, access, guest, append=""):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "stats.json")
        command = [novt, "run", "-engine", engine, "-m", "64", "-kernel", guest, "-append", append,
                   "-serial", "none", "-device", "isa-debug-exit,iobase=0xf4", "-no-reboot",
                   "-timeout", "500", "-stats-json", path]
        subprocess.run(command, env=dict(os.environ, NOVT_ACCESS=access), stdin=subprocess.DEVNULL,
                       timeout=560)
        with open(path) as file:
            return json.load(file)


def check_stats(stats, who):
    """What holds for every run."""
    tiers = stats["instructions"]
    total = tiers["total"]
    must(stats["end"] == "isa-debug-exit", f"{who} ended: {stats['end']}")
    must(sum(count for name, count in tiers.items() if name != "total") == total,
         f"{who}: the tiers do not add up: {tiers}")
    wall = stats["host"]["wall_s"]
    parts = sum(row["seconds"] for row in stats["time"].values())
    must(parts <= wall * 1.001 + 1e-6, f"{who}: {parts} s spent in {wall} s")
    must(parts >= wall * 0.999 - 1e-6, f"{who}: {parts} s accounted for in {wall} s")
    cpu, time = stats["cpu"], stats["time"]
    must(time["ports"]["times"] == cpu["port_reads"] + cpu["port_writes"], f"{who}: port accesses")
    return total


def main():
    novt, count, sensitive = sys.argv[1:]
    want = {}
    forms = ("interp", ""), ("bt", "tlb"), ("bt", ""), ("bt", "window")
    for engine, access in forms:
        who = f"{engine} {access}"
        for name, guest, append in (("1000", count, "rounds=1000"), ("9000", count, "rounds=9000"),
                                    ("sensitive", sensitive, "")):
            stats = run(novt, engine, access, guest, append)
            total = check_stats(stats, who)
            must(want.setdefault(name, total) == total,
                 f"{who}, {name}: {total} instructions, the interpreter has {want[name]}")
            used = stats["instructions"]
            if engine == "bt":
                for form in "tlb", "window":
                    must(access != form or used["translated_" + form] > total / 2,
                         f"{who}, {name}: the form was not used: {used}")
        must(want["9000"] - want["1000"] == 8000 * PER_ROUND,
             f"{who}: {want['9000'] - want['1000']} instructions in 8000 rounds")
    print(f"ok: {want}")


if __name__ == "__main__":
    main()
