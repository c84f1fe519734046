#!/usr/bin/env python3
"""The TSC's rate as Debian's kernel measures it at boot, against the host's: many boots.

    calibration.py NOVT [BOOTS [LOADERS]]

LOADERS busy loops run beside it. The kernel counts TSC ticks during 10 to 50 ms of the PIT or the
PM timer; it must find the host's rate within 0.5 % every time. Status 77: no guests (skipped).
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from boot import fetch

SEEN = "Calibrating delay loop"  # comes after it


def boot(novt, kernel):
    """The rate that the kernel found, by what, and the host's; MHz."""
    with tempfile.TemporaryDirectory() as directory:
        stats = os.path.join(directory, "stats.json")
        command = [novt, "run", "-m", "128", "-kernel", kernel, "-append", "console=ttyS0",
                   "-serial", "stdio", "-timeout", "400", "-expect", SEEN, "-stats-json", stats]
        got = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=450)
        text = got.stdout.decode("latin-1")
        found = re.search(r"tsc: Detected ([\d.]+) MHz", text)
        if not found:
            sys.exit(f"FAILED: no rate (status {got.returncode}):\n{text[-2000:]}")
        by = re.findall(r"tsc: (Fast TSC calibration using PIT|using .* reference)", text)
        with open(stats) as file:
            return float(found[1]), by, json.load(file)["host"]["tsc_mhz"]


def main():
    novt = sys.argv[1]
    boots = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    loaders = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    kernel = fetch("686") / "vmlinuz-686"
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loaders)]
    worst = 0
    try:
        for _ in range(boots):
            found, by, host = boot(novt, kernel)
            off = abs(found / host - 1)
            worst = max(worst, off)
            print(f"{found:.3f} MHz, the host {host:.3f}: {off * 1e6:.0f} ppm {by}", flush=True)
            if off > 0.005:
                sys.exit("FAILED: the kernel measured a wrong rate")
    finally:
        for loop in loops:
            loop.kill()
    print(f"ok: {boots} boots, at most {worst * 1e6:.0f} ppm off")


if __name__ == "__main__":
    main()
