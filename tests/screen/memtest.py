#!/usr/bin/env python3
"""memtest86+, a whole pass over 64 MiB without an error: memtest.py NOVT

Exit status 77: the package cannot be had (skipped).
"""
import re
import sys
from pathlib import Path

import driven
import picture

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import fetch, skip  # noqa: E402

VGA_BIOS = Path("/usr/share/seabios/vgabios-stdvga.bin")


class Screen:
    """wait() wants functions of a picture: these look at the text in it."""

    def __init__(self):
        self.font = picture.bios_font()

    def shows(self, pattern):
        def seen(shown):
            return re.search(pattern, "\n".join(picture.read_text(shown, self.font)))
        return seen


def memtest(novt, guest):
    """Its last test waits for twice 80 seconds, each in a loop that reads the time stamp counter
    (RDTSC, PAUSE): novt may stand still meanwhile, so that no processor is busy for nothing."""
    screen = Screen()
    waits, over = screen.shows("fade over"), screen.shows(r"Pass: +[1-9]\d* +Errors: *(\d+)")
    with driven.Driven(novt, "memtest", "-m", "64", "-kernel", guest / "memtest") as machine:
        def seen(shown):
            if waits(shown):
                machine.stand_still(10)
            return over(shown)
        found = machine.wait("pass", seen)
        if found.group(1) != "0":
            machine.leave("errors")
            raise driven.Failure(f"{found.group(1)} errors")
        machine.end()


def main():
    guest = fetch("memtest")
    if not VGA_BIOS.exists():
        skip(f"there is no {VGA_BIOS}")
    cases = {"pass": lambda: memtest(sys.argv[1], guest)}
    return driven.run(cases, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
