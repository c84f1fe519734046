#!/usr/bin/env python3
"""What is told of a guest that crashes: crash.py NOVT crash.elf

The examples of docs/debugging.md are run and compared, but for the compiler's choice of addresses;
then other ends and other faults, in guests assembled by hand.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cli"))
sys.path.append(str(ROOT / "tests"))
from checks import check, failures  # noqa: E402
from guest import HALT, PANIC, WAIT, Novt, text, wait_for  # noqa: E402


def plain(line):
    """Without what another compiler would do otherwise."""
    line = re.sub(r"\.(constprop|isra|part)\.\d+", "", line.strip())
    line = re.sub(r"\+0x[0-9a-f]+", "+N", line)
    line = re.sub(r"\b[0-9a-f]{6,16}\b", "N", line)
    return re.sub(r"\s+", " ", line)


def holds_in_order(wanted, got):
    """Each line of wanted is in got, in this order; "..." in a line stands for anything."""
    rest = iter([plain(line) for line in got.splitlines()])
    for line in wanted:
        words = re.escape(plain(line)).replace(r"\.\.\.", ".*")
        check(any(re.fullmatch(words, other) for other in rest), "not in its place:", line)


def examples():
    """The indented blocks of the page."""
    page = (ROOT / "docs/debugging.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^    .*\n)+", page, re.M)
    run = next(b for b in blocks if b.startswith("    $ novt run -no-reboot -d int"))
    log = next(b for b in blocks if b.startswith("    exception v="))
    return run, log


def example(novt, elf):
    run, log = examples()
    command, *wanted = [line[4:] for line in run.splitlines()]
    words = command.split()[2:]
    for engine in ("bt", "interp"):
        with tempfile.TemporaryDirectory() as directory:
            os.symlink(elf, os.path.join(directory, "crash.elf"))
            got = subprocess.run([novt, words[0], "-engine", engine, *words[1:]], cwd=directory,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, timeout=WAIT, check=False)
            written = Path(directory, "int.log").read_text(encoding="utf-8")
        check(got.returncode == 80, engine, got.returncode)
        holds_in_order([line for line in wanted if line != "..."], got.stderr.decode())
        holds_in_order(log.splitlines(), written)
    quiet = subprocess.run([novt, "run", "-no-reboot", "-kernel", elf], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=WAIT,
                           check=False).stderr.decode()
    check("the last exceptions and interrupts" in quiet, "without -d int:", quiet)
    check("control transfers, oldest" not in quiet, "without -d int:", quiet)


def report(novt, code, status, *parts, options=()):
    got = novt.run("-no-reboot", *options, code=code)
    check(got[0] == status, got)
    for part in parts:
        check(part in got[2], part, "is not in", got[2])
    return got[2]


JUMP_BEYOND = b"\xea\x00\x00\x00\x00\x48\x00"  # jmp 0x48:0: the loader's GDT is shorter


def stops_for_monitor(program):
    """Under -S a crash stops for whoever has the monitor."""
    with tempfile.TemporaryDirectory() as directory:
        novt = Novt(program, directory, "bt")
        socket = novt.path("socket")
        process = novt.start("-no-reboot", "-S", "-monitor", "unix:" + socket, code=b"\x0f\x0b")

        def ctl(*words):
            got = subprocess.run([program, "ctl", "-s", socket, *words], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, timeout=WAIT, check=False)
            return got.stdout.decode()

        wait_for(lambda: "paused" in ctl("status"), "the guest before it starts", process.poll)
        ctl("continue")
        first = process.stderr.readline().decode()
        check("the guest is stopped" in first, first)
        wait_for(lambda: "paused" in ctl("status"), "the guest after its crash", process.poll)
        check("eip: 0x00100020" in ctl("info", "registers"), ctl("info", "registers"))
        ctl("continue")
        err = process.communicate(timeout=WAIT)[1].decode()
        check(process.returncode == 80 and "could not handle #UD" in err, process.returncode, err)


def ends(program):
    for engine in ("bt", "interp"):
        with tempfile.TemporaryDirectory() as directory:
            novt = Novt(program, directory, engine)
            report(novt, text("x") + PANIC + b"\xeb\xfe", 81, "panicked at eip", "code, 32 bits",
                   "cr0")
            report(novt, HALT, 82, "HLT with interrupts off at eip", "\n>   ", "eflags")
            report(novt, JUMP_BEYOND, 80, "could not handle #GP", "error code 0x0048",
                   "GDT entry 9", "beyond the table's limit")
            # call +0; jmp +0; push 0x10002e; ret; nop; ud2
            code = b"\xe8\x00\x00\x00\x00\xeb\x00\x68\x2e\x00\x10\x00\xc3\x90\x0f\x0b"
            out = report(novt, code, 80, "last", options=("-d", "int", "-D", novt.path("log")))
            holds_in_order(["00100020 call -> 00100025", "00100025 jmp -> 00100027",
                            "0010002c ret -> 0010002e"], out)
            report(novt, b"\xcd\x80", 80, "#GP", "IDT entry 128")


def main():
    example(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
    ends(os.path.abspath(sys.argv[1]))
    stops_for_monitor(os.path.abspath(sys.argv[1]))
    return 1 if failures else 0


sys.exit(main())
