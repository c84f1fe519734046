#!/usr/bin/env python3
"""memtest86+ over 64 MiB, until it says that a pass is over, without an error: memtest.py NOVT CASE

  pass    without its last test, which waits 160 s; that is taken out by its menu
  whole   all of it

Exit status 77: the package cannot be had (skipped).
"""
import re
import subprocess
import sys
from pathlib import Path

import driven
import picture

ROOT = Path(__file__).resolve().parent.parent.parent
VGA_BIOS = Path("/usr/share/seabios/vgabios-stdvga.bin")
SKIP = 77


class Screen:
    """wait() wants functions of a picture: these look at the text in it."""

    def __init__(self):
        self.font = picture.bios_font()

    def shows(self, pattern):
        def seen(shown):
            return re.search(pattern, "\n".join(picture.read_text(shown, self.font)))
        return seen


def drop_last_test(machine, screen):
    """Whether it has begun already or still waits: the menu comes, and it begins anew."""
    machine.wait("start", screen.shows("Memtest86"))
    machine.keys("f1")
    machine.wait("menu", screen.shows("Settings:"))
    machine.keys("f1")
    machine.wait("selection", screen.shows("Test Selection:"))
    machine.keys("f2")
    machine.wait("which", screen.shows(r"(?i)enter"))
    machine.ctl("type", "10\\n")
    machine.wait("selected", screen.shows(r"\*\.\*{8}\."))
    machine.keys("f10")
    machine.wait("menu again", screen.shows("Settings:"))
    machine.keys("f10", "ret")


def memtest(novt, guest, whole):
    screen = Screen()
    with driven.Driven(novt, "memtest", "-m", "64", "-kernel", guest / "memtest") as machine:
        if not whole:
            drop_last_test(machine, screen)
        found = machine.wait("pass", screen.shows(r"Pass: +[1-9]\d* +Errors: *(\d+)"))
        if found.group(1) != "0":
            machine.leave("errors")
            raise driven.Failure(f"{found.group(1)} errors")
        machine.end()


def main():
    got = subprocess.run([ROOT / "guests/fetch", "memtest"], stdout=subprocess.PIPE, text=True)
    if got.returncode or not VGA_BIOS.exists():
        print("SKIPPED: Debian's packages are out of reach, so memtest86+ was not run")
        return SKIP
    guest = Path(got.stdout.strip())
    cases = {"pass": lambda: memtest(sys.argv[1], guest, False),
             "whole": lambda: memtest(sys.argv[1], guest, True)}
    return driven.run(cases, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
