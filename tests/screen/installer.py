#!/usr/bin/env python3
"""Debian's installer, up to its question for the keyboard: installer.py NOVT [CASE...]

  text   on the VGA's text console, by keys
  gtk    on the bochs driver's frame buffer, by the mouse and keys

Each screen must be the one in golden/, but for where the mouse's pointer is. Exit status 77: the
package cannot be had (skipped).
"""
import sys
from pathlib import Path

import driven

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import fetch  # noqa: E402

HERE = Path(__file__).resolve().parent
# A busy host may not let the kernel see enough ticks when it tries the timer.
APPEND = "quiet "

WHITE, BLACK = bytes((255, 255, 255)), bytes(3)
GERMAN, CONTINUE = (100, 600), (962, 742)
EMPTY = 600 # a column in which no entry has letters


def golden(name, left=0, top=0):
    return driven.same_part(HERE / "golden" / f"installer-{name}.png", left, top)


def text(novt, guest):
    options = ["-m", "512", "-kernel", guest / "linux", "-initrd", guest / "initrd-text.gz",
               "-append", APPEND + "nomodeset vga=normal fb=false"]
    with driven.Driven(novt, "installer-text", *options) as machine:
        machine.wait("language", golden("text-language"))
        machine.keys("ret")
        machine.wait("country", golden("text-country"))
        machine.keys("up", "ret")
        machine.wait("keyboard", golden("text-keyboard"))
        machine.end()


def pointer(shown):
    """Where the tip of the arrow is: black steps down to 8 dots, between white. Or None."""
    wanted = [WHITE + BLACK * dots + WHITE for dots in range(1, 9)]
    for y, row in enumerate(shown.rows):
        at = row.find(wanted[7])
        while at >= 0:
            if at % 3 == 0 and all(shown.rows[y - 7 + i][at:].startswith(wanted[i])
                                   for i in range(7)):
                return at // 3 + 1, y - 7
            at = row.find(wanted[7], at + 1)
    return None


def step(distance):
    """How far to move: the guest may make more of it."""
    half = min(abs(distance) // 2 + 1, 60)
    return half if distance > 0 else -half if distance < 0 else 0


def move_to(machine, x, y):
    """Moves the pointer to within 3 dots; each step ends when it is seen elsewhere."""
    at = machine.wait("pointer", pointer)
    while max(abs(x - at[0]), abs(y - at[1])) > 3:
        def move(at=at):
            machine.ctl("mouse", step(x - at[0]), step(y - at[1]))

        def elsewhere(shown, at=at):
            return pointer(shown) not in (None, at) and pointer(shown)

        move()
        at = machine.wait("pointer moved", elsewhere, move)


def click(machine, x, y):
    move_to(machine, x, y)
    machine.ctl("mouse", 0, 0, 0, 1)
    machine.ctl("mouse", 0, 0, 0, 0)


def gtk(novt, guest):
    options = ["-m", "768", "-kernel", guest / "linux", "-initrd", guest / "initrd-gtk.gz",
               "-append", APPEND + "vga=788"]
    with driven.Driven(novt, "installer-gtk", *options) as machine:
        machine.wait("language", golden("gtk-language", 0, 80))
        white = machine.shown.pixel(EMPTY, GERMAN[1])
        click(machine, *GERMAN)
        machine.wait("German", lambda shown: shown.pixel(EMPTY, GERMAN[1]) != white)
        click(machine, *CONTINUE)
        machine.wait("country", golden("gtk-country", 0, 80))
        machine.keys("ret")
        machine.wait("keyboard", golden("gtk-keyboard", 0, 80))
        machine.end()


def main():
    guest = fetch("installer") / "installer"
    cases = {case.__name__: lambda case=case: case(sys.argv[1], guest) for case in (text, gtk)}
    return driven.run(cases, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
