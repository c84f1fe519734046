#!/usr/bin/env python3
"""Direct execution for as long as is asked for: lockstep streams from seeds that no other test has,
with and without kicks, and Debian guests that fork, execute, fault and write to pipes, with direct
execution forced and chosen.

    soak.py MINUTES NOVT TEST_LOCKSTEP

Prints the seed of each round, so that a failed one can be had again. Guests are left out where
Debian's packages are out of reach.
"""
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STORMS = [(user, load) for load in ("fork", "forkexec", "pagefault")
          for user in ("direct", "auto")] + [("auto", "pipe")]
PATIENCE = 1800  # seconds for what takes less than 30: a soak may run beside anything


def run(command, seconds, **environment):
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding="latin-1", timeout=seconds,
                              env=os.environ | environment, check=False)
    except subprocess.TimeoutExpired as late:
        fail(f"{' '.join(map(str, command))}: not done in {seconds} s", str(late.output))


def fail(what, output):
    print("\n".join(output.splitlines()[-200:]))
    print(f"FAILED: {what}", flush=True)
    sys.exit(1)


def lockstep(program, seed, kicks):
    streams = "1000" if kicks else "4000"
    got = run([program, streams, str(seed)] + (["100"] if kicks else []), PATIENCE,
              NOVT_ACCESS="direct")
    if got.returncode:
        fail(f"lockstep from seed {seed}, kicks {kicks}", got.stdout)


def storm(novt, guest, kernel, user, load):
    got = run([novt, "run", "-user", user, "-m", "512", "-kernel", guest / f"vmlinuz-{kernel}",
               "-initrd", guest / "initramfs.gz", "-append",
               f"console=ttyS0 quiet novt.bench={load}", "-nographic", "-timeout", str(PATIENCE)],
              PATIENCE + 60)
    if got.returncode or "BENCH done" not in got.stdout:
        fail(f"{kernel}, {load}, -user {user}: status {got.returncode}", got.stdout)


def guests():
    got = subprocess.run([ROOT / "guests/fetch", "686-pae"], stdout=subprocess.PIPE, text=True,
                         check=False)
    return Path(got.stdout.strip()) if not got.returncode else None


def main():
    end = time.monotonic() + 60 * float(sys.argv[1])
    novt, program = sys.argv[2:4]
    guest, rounds, seed = guests(), 0, int(time.time()) * 10000
    while time.monotonic() < end:
        user, load = STORMS[rounds % len(STORMS)]
        kernel = ("686", "686-pae")[rounds // len(STORMS) % 2]
        print(f"round {rounds}: seed {seed}; {kernel}, {load}, -user {user}", flush=True)
        lockstep(program, seed, False)
        lockstep(program, seed + 5000, True)
        if guest and (guest / f"vmlinuz-{kernel}").exists():
            storm(novt, guest, kernel, user, load)
        rounds, seed = rounds + 1, seed + 10000
    print(f"{rounds} rounds, {rounds * 5000} streams")


main()
