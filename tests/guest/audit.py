#!/usr/bin/env python3
"""-engine trap -audit: every sensitive instruction of a kernel is found, with what it does wrong.

    audit.py NOVT deprivileged.elf

deprivileged.elf has a label audit_NAME before each. Exit status 77: no direct execution here.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import must, skip  # noqa: E402

SENSITIVE = ("sgdt", "sidt", "sldt", "str", "smsw", "pushf", "popf", "push", "pop", "mov", "lar",
             "lsl", "verr", "verw", "jmp", "call", "ret")
# What does not depend on the host.
EXPECTED = {
    "popf": "eflags       expected 00000202  actual 00000002",
    "push": "expected 00000010  actual 0000002b",
    "mov": "eax          expected 00000010  actual 0000002b",
    "pop": "es base      expected 00001000  actual 00000000",
    "verr": "eflags       expected 00000042  actual 00000002",
}


def run(novt, guest, *audit):
    """Its status, what it printed on standard error, its -stats-json."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "stats.json")
        got = subprocess.run([novt, "run", "-engine", "trap", *audit, "-m", "16", "-kernel", guest,
                              "-serial", "none", "-device", "isa-debug-exit,iobase=0xf4",
                              "-no-reboot", "-timeout", "250", "-stats-json", path],
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        with open(path) as file:
            return got.returncode, got.stderr, json.load(file)


def finds(text):
    """Symbol of each find, and what follows its first line."""
    parts = re.split(r"^novt: audit: ", text, flags=re.M)[1:]
    return [(re.search(r" at [0-9a-f]{8} (\S+):", part).group(1), part) for part in parts]


def main():
    novt, guest = sys.argv[1:]
    doctor = subprocess.run([novt, "doctor", "-quick"], stdout=subprocess.PIPE, text=True).stdout
    if not re.search(r"^  direct execution +works$", doctor, re.M):
        skip("no direct execution on this host")
    status, text, stats = run(novt, guest, "-audit", "all")
    must(status == 1, f"the guest ended with status {status}: {text}")
    found = dict(finds(text))
    for name in SENSITIVE:
        part = found.get(f"audit_{name}+0x0")
        must(part, f"{name} was not reported: {text}")
        must(EXPECTED.get(name, "") in part, f"{name}: {part}")
    must(stats["engine"]["audit_trapped_INT"] == 1, "INT did not trap")
    must("audit_differs_INT" not in stats["engine"], "INT differs")

    status, text, _ = run(novt, guest, "-audit")
    must(status == 0 and len(finds(text)) == 1, f"-audit: status {status}, {text}")
    print(len(found), "found")
    return 0


sys.exit(main())
