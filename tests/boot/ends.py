#!/usr/bin/env python3
"""How a run of a real kernel ends: ends.py NOVT CASE [MODULE], CASE being

  expect    the serial output holds the string: 0
  audit     -engine trap -audit finds an instruction: 0
  reset     the kernel reboots under -no-reboot: 83
  timeout   124
  panic     the kernel panics and says so to the pvpanic device: 81
  term      SIGTERM: 128 + 15, with the terminal as it was
  gnumach   a multiboot kernel that is not Linux asks for its bootstrap modules, and
  modules   runs two of them (guests/mach.c, given after CASE), with what its script language makes
            of their arguments, with -user each tier

Exit status 77: the guests are not there (ctest: skipped).
"""
import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import fetch  # noqa: E402
from console import Console, Failure  # noqa: E402
from usermode import no_direct  # noqa: E402


def linux(novt, *options, append=""):
    guest = fetch("686")
    return [novt, "run", "-kernel", str(guest / "vmlinuz-686"), "-initrd",
            str(guest / "initramfs.gz"), "-append", f"console=ttyS0 quiet {append}", "-m", "128",
            *options]


def want(got, status):
    if got != status:
        raise Failure(f"status {got}, not {status}")


def run_plain(command):
    """No terminal at all; its status and output."""
    got = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=600)
    text = got.stdout.decode("latin-1")
    print(text[-2000:])
    return got.returncode, text


def case_expect(novt):
    want(run_plain(linux(novt, "-serial", "stdio", "-timeout", "500", "-expect",
                         "the guest's first process runs"))[0], 0)


def case_timeout(novt):
    want(run_plain(linux(novt, "-serial", "stdio", "-timeout", "1"))[0], 124)


def case_gnumach(novt):
    guest = fetch("gnumach")
    status, _ = run_plain([novt, "run", "-kernel", str(guest / "gnumach"), "-append",
                           "console=com0", "-serial", "stdio", "-m", "64", "-timeout", "500",
                           "-expect", "No bootstrap code loaded with the kernel!"])
    want(status, 0)


def case_modules(novt, module):
    for tier in ("auto", "tlb", "window", *([] if no_direct(novt) else ["direct"])):
        modules_in(novt, tier, module)


def modules_in(novt, tier, module):
    guest = fetch("gnumach")
    script = ",".join((f"{module} first --host=${{host-port}} $(task-create) $(task-resume)",
                       f"{module} second $(task-create) $(task-resume)"))
    console = Console([novt, "run", "-user", tier, "-kernel", str(guest / "gnumach"), "-append",
                       "console=com0", "-serial", "stdio", "-m", "64", "-initrd", script])
    try:
        for line in ("module first: --host=1\n", "module first: memory is whole\n",
                     "module second: memory is whole\n"):
            console.expect(line, 500)
    except Failure:
        console.show()
        raise
    finally:
        console.kill()


def at_shell(command, work):
    console = Console(command)
    try:
        console.expect("# ", 500)
        work(console)
    except Failure:
        console.show()
        raise
    finally:
        console.kill()


def case_panic(novt):
    def work(console):
        console.type("echo c > /proc/sysrq-trigger\r")
        want(console.status(300), 81)

    at_shell(linux(novt, "-nographic"), work)


def case_audit(novt):
    """What a kernel does first that does not trap: its loader asks by EFLAGS for a CPUID."""
    status, text = run_plain(linux(novt, "-serial", "stdio", "-timeout", "500", "-engine", "trap",
                                   "-audit"))
    want(status, 0)
    if text.count("novt: audit: ") != 1 or "audit: pushf at " not in text:
        raise Failure("the audit has not found the loader's PUSHF")


def case_reset(novt):
    def work(console):
        console.type("reboot -f\r")
        want(console.status(300), 83)

    at_shell(linux(novt, "-nographic", "-no-reboot"), work)


def case_term(novt):
    def work(console):
        os.kill(console.pid, signal.SIGTERM)
        want(console.status(300), 128 + signal.SIGTERM)
        if not console.terminal_restored():
            raise Failure("the terminal's modes were not restored")

    at_shell(linux(novt, "-nographic"), work)


def main():
    cases = {name[5:]: run for name, run in globals().items() if name.startswith("case_")}
    if len(sys.argv) < 3 or sys.argv[2] not in cases:
        sys.exit(__doc__)
    try:
        cases[sys.argv[2]](sys.argv[1], *sys.argv[3:])
    except Failure as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
    print("ok")


if __name__ == "__main__":
    main()
