#!/usr/bin/env python3
"""User code in one tier: usermode.py NOVT TIER KERNEL

A guest runs usermode, selftest-cpu and escape (guests/initramfs), with -user TIER. The lines of the
first two must be those of the same programs run on this host. escape must find no way out: each try
must end in an exception of the guest's, and run directly in the tiers that have that. Neither a
canary file nor a process may be left behind.

Exit status 77: the guests are not there, the host runs no 32-bit programs, or it has no direct
execution and TIER is that (ctest: skipped).
"""
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import WAIT, fetch, skip  # noqa: E402

CANARY = Path("/tmp/novt-escaped")
GROUPS = 20  # of tries in escape, at least
# INT1 is a trap (SDM 2, INT n; APM 2, 8.2.2): EIP is behind it. KVM on AMD's CPUs leaves it before.
INT1 = ("icebp=5/1/c0000/1/0/c0000", "icebp=5/1/c0001/1/0/c0001")


def no_direct(novt):
    """Why this host has no direct execution; empty: it has."""
    got = subprocess.run([novt, "doctor", "-quick"], stdout=subprocess.PIPE, text=True)
    why = [line.split(None, 2)[2] for line in got.stdout.splitlines()
           if line.split()[:2] == ["direct", "execution"]]
    return "" if why == ["works"] else (why or ["novt doctor failed"])[0]


def lines(text, prefix):
    """name -> the rest, of each line that begins with the prefix."""
    found = {}
    for line in text.replace("\r", "").splitlines():
        if line.startswith(prefix + " "):
            name, _, rest = line[len(prefix) + 1:].partition(" ")
            found[name] = rest
    return found


def host_output(guest):
    try:
        text = "".join(subprocess.run([guest / name], stdout=subprocess.PIPE, text=True,
                                      timeout=300).stdout for name in ("usermode", "selftest-cpu"))
    except OSError as error:
        return skip(f"this host runs no 32-bit programs: {error}")
    return text.replace(*INT1)


def left_behind(mark):
    """Processes that still have the run's mark in their environment."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (directory / "environ").read_bytes():
                found.append(f"left behind: process {directory.name}")
        except OSError:
            pass
    return found


def wait_for_none(mark):
    """What is left behind of the run, and is not just about to end on a busy host."""
    end = time.monotonic() + WAIT
    while (found := left_behind(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def differences(got, want, prefix):
    mine, host = lines(got, prefix), lines(want, prefix)
    return [f"{prefix} {name}:\n    host  {host[name]}\n    guest {mine.get(name)}"
            for name in host if mine.get(name) != host[name]]


def not_tried(text, tier):
    """Groups of tries of which too few ran in a sandbox: "ESCAPE-COUNT group tries directly"."""
    part = {"direct": 0.95, "auto": 0.8}.get(tier, 0)
    counts = [line.split()[1:] for line in text.replace("\r", "").splitlines()
              if line.startswith("ESCAPE-COUNT ")]
    wrong = [f"escape {group}: only {direct} of {tries} tries ran directly"
             for group, tries, direct in counts if int(direct) < part * int(tries)]
    return wrong if len(counts) >= 2 * GROUPS else wrong + [f"only {len(counts)} groups"]


def main():
    novt, tier, kernel = sys.argv[1:4]
    why, wanted = no_direct(novt), tier
    if why and tier == "direct":
        skip(f"no direct execution on this host: {why}")
    if why and tier == "auto":
        print(f"no direct execution on this host, so nothing of it is tested: {why}")
        wanted = "window"  # nobody waits for it
    guest = fetch(kernel)
    want, mark = host_output(guest), f"usermode-{os.getpid()}"
    CANARY.unlink(missing_ok=True)
    got = subprocess.run(
        [novt, "run", "-m", "256", "-user", tier, "-kernel", guest / f"vmlinuz-{kernel}", "-initrd",
         guest / "initramfs.gz", "-append", f"console=ttyS0 quiet novt.usermode={wanted}",
         "-serial", "stdio", "-timeout", "3000"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=3060, env=dict(os.environ, NOVT_TEST_RUN=mark))
    text = got.stdout.decode("latin-1")
    wrong = differences(text, want, "USERMODE") + differences(text, want, "SELFTEST")
    wrong += [f"ESCAPE {name} {rest}" for name, rest in lines(text, "ESCAPE").items()
              if rest != "ok" and name != "done"]
    wrong += not_tried(text, wanted)
    if text.count("ESCAPE done") != 2:
        wrong.append("escape did not end twice with 'done'")
    if got.returncode:
        wrong.append(f"novt ended with status {got.returncode}")
    if CANARY.exists():
        wrong.append(f"the guest made {CANARY} on the host")
    wrong += wait_for_none(f"NOVT_TEST_RUN={mark}")
    if wrong:
        print(text[-3000:])
        print("FAILED:\n  " + "\n  ".join(wrong))
        sys.exit(1)
    print("ok")


if __name__ == "__main__":
    main()
