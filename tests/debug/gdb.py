#!/usr/bin/env python3
"""gdb itself at a guest of ours with DWARF: gdb.py NOVT ENGINE debug.elf"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from remote import PATIENT, WAIT, Guest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import check, failures, skip  # noqa: E402

# Each with what gdb must print for it, in this order.
SESSION = [
    ("break inner", r"Breakpoint 1 at"),
    ("continue", r"Breakpoint 1, inner \(n=1\)"),
    ("backtrace", r"#0  inner \(n=1\).*#1 .*middle \(n=0\).*#2 .*outer \(n=0\).*#3 .*guest_main"),
    ("info threads", r"CPU 0, CPL 0"),
    ("finish", r"in middle.*Value returned is \$1 = 2"),
    ("print debug_record", r"count = 0, name = \"a record\\000"),
    ("delete 1", r""),
    ("watch debug_record.count", r"atchpoint 2: debug_record.count"),
    ("continue", r"atchpoint 2.*Old value = 0.*New value = 1"),
    ("continue", r"Old value = 1.*New value = 2"),
    ("delete 2", r""),
    ("set var debug_record.count = 40", r""),
    ("rwatch debug_rounds_left", r"ead watchpoint 3"),
    ("continue", r"ead watchpoint 3"),
    ("delete 3", r""),
    ("tbreak step_popf", r"Temporary breakpoint 4"),
    ("continue", r"step_popf \(\)"),
    ("stepi", r"step_load_ss \(\)"),
    ("print $eflags", r"= \["),
    ("stepi", r"step_mov_ss \(\)"),
    ("stepi", r"step_shadow \(\)"),
    ("tbreak step_rep", r"Temporary breakpoint 5"),
    ("continue", r"step_rep \(\)"),
    ("stepi", r"rep *stosb"),
    ("print $ecx", r"= 2"),
    ("hbreak step_hlt", r"ardware assisted breakpoint 6"),
    ("continue", r"Breakpoint 6.*step_hlt"),
    ("stepi", r"step_after_hlt \(\)"),
    ("stepi", r"trap_stubs \(\)"),
    ("delete 6", r""),
    ("break middle if n == 3", r"Breakpoint 7"),
    ("continue", r"Breakpoint 7, middle \(n=3\)"),
    ("next", r"debug_record.count\+\+"),
    ("step", r"return twice \+ 1"),
    ("print twice", r"= 8"),
    ("print $xmm0.uint128", r"= 0"),
    ("print $cr0 & 0x80000001", r"= -?\d+"),
    ("x/i step_popf", r"popf"),
    ("delete 7", r""),
    ("set var debug_rounds_left = 1", r""),
    ("continue", r"exited with code 01"),
]


def judge(out):
    """What was printed between two marks answers one command."""
    parts = re.split(r"MARK(\d+)\n", out)
    for i, (command, wanted) in enumerate(SESSION):
        got = parts[2 * i + 2] if 2 * i + 2 < len(parts) else ""
        check(re.search(wanted, got, re.S), f"({command}) wants /{wanted}/, got:\n{got}")


def main():
    novt, engine, elf = os.path.abspath(sys.argv[1]), sys.argv[2], os.path.abspath(sys.argv[3])
    if not shutil.which("gdb"):
        skip("no gdb here: apt-get install gdb")
    with tempfile.TemporaryDirectory() as directory:
        guest = Guest(novt, directory, "-engine", engine, "-device",
                      "isa-debug-exit,iobase=0xf4", "-kernel", elf)
        guest.connect().close()  # it listens
        script = os.path.join(directory, "script")
        with open(script, "w", encoding="utf-8") as file:
            file.write(f"set pagination off\nset confirm off\n{PATIENT}\n"
                       f"target remote {guest.path}\n")
            for i, (command, _) in enumerate(SESSION):
                file.write(f"echo MARK{i}\\n\n{command}\n")
        got = subprocess.run(["gdb", "-nx", "-batch", "-x", script, elf], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=2 * WAIT,
                             check=False)
        judge(got.stdout.decode())
        if failures:
            guest.process.kill()
        status, err = guest.end()
        check(status == 1, "ended with", status, err)
    return 1 if failures else 0


sys.exit(main())
