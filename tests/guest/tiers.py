#!/usr/bin/env python3
"""Is each tier really used? tiers.py NOVT tiers.elf

A guest whose user code computes is run under each -user, and its counters must show the tier: where
its 900 million instructions were executed, how often it was entered directly, and the line of its
address space. Exit status 77: this host has no direct execution.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import must, skip  # noqa: E402

INSTRUCTIONS = 900_000_000


def run(novt, guest, user):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "stats.json")
        got = subprocess.run([novt, "run", "-m", "64", "-kernel", guest, "-append", "test",
                              "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4",
                              "-no-reboot", "-timeout", "500", "-user", user, "-stats-json", path],
                             env={k: v for k, v in os.environ.items() if k != "NOVT_ACCESS"},
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=560)
        if user == "direct" and got.returncode in (69, 71) and not os.path.exists(path):
            skip(f"no direct execution here: {got.stderr.strip()}")
        must("DONE 1 passed 0 failed" in got.stdout, f"{user}: {got.stdout}{got.stderr}")
        with open(path) as file:
            return json.load(file)


def longest(stats):
    """The address space that ran longest, of those that left the first tier."""
    spaces = stats["address_spaces"]
    return max(spaces, key=lambda s: s["tlb"] + s["window"] + s["direct"]) if spaces else None


def climbed(stats):
    """In auto it begins in the TLB form and is direct soon."""
    engine, space = stats["engine"], longest(stats)
    return (engine["directs_made"] >= 1 and engine["direct_runs"] > 0 and space
            and space["moves"] >= 1 and 0 < space["tlb"] < space["direct"]
            and stats["instructions"]["total"] < INSTRUCTIONS * 0.9)


def main():
    novt, guest = sys.argv[1:]
    stats = {user: run(novt, guest, user) for user in ("tlb", "window", "direct")}
    for _ in range(8):  # the policy judges by the clock, which a busy host makes useless
        stats["auto"] = run(novt, guest, "auto")
        if climbed(stats["auto"]):
            break
    done = {user: stats[user]["instructions"] for user in stats}
    engine = {user: stats[user]["engine"] for user in stats}
    for user in stats:
        print(user, done[user], longest(stats[user]), f"direct_runs {engine[user]['direct_runs']}")

    must(done["tlb"]["translated_tlb"] > INSTRUCTIONS * 0.99, "-user tlb: not in the TLB form")
    must(done["window"]["translated_window"] > INSTRUCTIONS * 0.99, "-user window: no window")
    for user in ("tlb", "window"):
        must(engine[user]["direct_runs"] == 0, f"-user {user}: ran directly")
    must(engine["direct"]["direct_runs"] > 0, "-user direct: did not run directly")
    must(done["direct"]["total"] < INSTRUCTIONS * 0.1, "-user direct: translated nevertheless")

    must(climbed(stats["auto"]), "-user auto: did not climb")


main()
