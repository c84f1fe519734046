#!/usr/bin/env python3
"""How user code in a window gets at more pages than the software TLB has. misses.py NOVT misses.elf

The same pages again and again soon need nothing of the monitor's; pages that change in each round
are no reason to map them, round by round, into a window.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import must  # noqa: E402

PAGES = 1024
SAME = 7 * 100 * PAGES  # accesses that would miss, seven loops for each of 100 rounds
CHANGED = 100 * PAGES


def run(novt, guest, what, user):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "stats.json")
        got = subprocess.run([novt, "run", "-m", "64", "-kernel", guest, "-append", what,
                              "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4",
                              "-no-reboot", "-timeout", "500", "-user", user, "-stats-json", path],
                             env={k: v for k, v in os.environ.items() if k != "NOVT_ACCESS"},
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=560)
        must("DONE 1 passed 0 failed" in got.stdout, f"{what}: {got.stdout}{got.stderr}")
        with open(path) as file:
            engine = json.load(file)["engine"]
        print(what, user, engine["slow_fills"], "misses", engine["window_faults"], "window faults")
        return engine["slow_fills"], engine["window_faults"]


def main():
    novt, guest = sys.argv[1:]
    misses, _ = run(novt, guest, "same", "tlb")
    must(misses > SAME * 0.9, "the TLB form: the guest's pages do not miss")
    misses, faults = run(novt, guest, "same", "window")
    must(misses < SAME * 0.1, "the same pages go on missing")
    must(faults < 3 * PAGES, "the same pages go on faulting")
    for what in ("fresh", "flushed"):
        misses, faults = run(novt, guest, what, "window")
        must(misses > CHANGED * 0.9 and faults < PAGES, "changed pages are mapped all the time")


main()
