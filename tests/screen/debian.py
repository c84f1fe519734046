#!/usr/bin/env python3
"""Debian's kernel on the VGA and the PS/2 mouse: debian.py NOVT

Its console as text (vgacon) and on a frame buffer (vesafb), with a line of keys, and the bochs
driver's frame buffer, all seen by VNC; then the mouse. Exit status 77: the guests are not there
(ctest: skipped).
"""
import re
import subprocess
import sys
import time
from pathlib import Path

import picture
import rfb
from screen import VGA_BIOS

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import WAIT, check, failures, fetch, free_port, skip  # noqa: E402


class Guest:
    def __init__(self, program, guest, append, *options):
        self.port = free_port()
        self.process = subprocess.Popen(
            [program, "run", "-m", "256", "-kernel", guest / "vmlinuz-686", "-initrd",
             f"{guest}/initramfs.gz,{guest}/initramfs-drivers", "-append", append, "-display",
             f"vnc=127.0.0.1:{self.port - 5900}", "-serial", "stdio", "-timeout", "3000", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seen = ""

    def wait(self, text):
        while text not in self.seen:
            part = self.process.stdout.read1(4096)
            if not part:
                check(False, "ended before", text, self.seen[-500:])
                return
            self.seen += part.decode(errors="replace").replace("\r", "")

    def end(self):
        self.process.terminate()
        self.process.wait(WAIT)


def wait_for_text(client, text, dots, seconds=WAIT):
    font = picture.bios_font()
    end = time.monotonic() + seconds
    lines = []
    while time.monotonic() < end:
        client.update(whole=True)
        lines = picture.read_text(client.picture(), font, dots)
        if any(text in line for line in lines):
            return True
        time.sleep(0.5)
    print("\n".join(lines))
    return False


def console(program, guest, more, size, dots):
    """dots: from one character to the next. On a frame buffer some look other than the BIOS's, so
    they are not in what is waited for."""
    machine = Guest(program, guest, f"console=tty0 quiet {more}")
    try:
        client = rfb.Client(machine.port)
        check(wait_for_text(client, "Enter 'help'", dots), more, "no shell on the screen")
        client.type("echo $((6*7))-Quick_Sand|rev\n")
        check(wait_for_text(client, "dnaS_kciuQ-24", dots), more, "what was typed")
        check((client.width, client.height) == size, more, client.width, client.height)
        client.close()
    finally:
        machine.end()


def text_console(program, guest):
    console(program, guest, "", (720, 400), 9)


def vesa_console(program, guest):
    """The firmware sets the mode, and nobody writes a register of the VGA again."""
    console(program, guest, "vga=788", (800, 600), 8)


def is_drawn(shown):
    return ((shown.width, shown.height) == (1024, 768)
            and shown.rows[0] == shown.rows[99] == bytes((128, 128, 128)) * 1024
            and "his is the console." in console_text(shown))


def console_text(shown):
    return "\n".join(picture.read_text(picture.Picture(1024, 160, shown.rows[608:768]),
                                       picture.bios_font(), dots=8))


def frame_buffer(program, guest):
    machine = Guest(program, guest, "console=tty0 console=ttyS0 quiet rdinit=/init-drivers "
                                    "novt.drivers=screen novt.screen=look")
    try:
        machine.wait("DRIVERS screen drawn")
        check("screen bochs-drmdrmfb 1024,768 32\n" in machine.seen, machine.seen)
        check("screen modes 1024x768 1920x1080" in machine.seen, machine.seen)
        client = rfb.Client(machine.port)
        shown = client.wait_for(is_drawn)
        check((shown.width, shown.height) == (1024, 768), shown.width, shown.height)
        if shown.width == 1024:
            wrong = sum(row != bytes((128, 128, 128)) * 1024 for row in shown.rows[:100])
            check(not wrong, f"{wrong} lines of 100 are wrong:", shown.pixel(5, 5))
            check("his is the console." in console_text(shown), console_text(shown))
            if failures:
                picture.write_png("screen-bochs.png", shown)
        client.close()
    finally:
        machine.end()


def mouse(program, guest):
    machine = Guest(program, guest, "console=ttyS0 quiet rdinit=/init-drivers novt.drivers=mouse")
    try:
        client = rfb.Client(machine.port)
        client.pointer(100, 100)
        machine.wait("DRIVERS mouse ready")
        check("IntelliMouse" in machine.seen or "ExplorerPS/2" in machine.seen or
              "ImExPS/2" in machine.seen, machine.seen)
        for number, x, y, buttons in ((1, 110, 95, 0), (2, 110, 95, 1), (3, 107, 97, 1)):
            client.pointer(x, y, buttons)
            machine.wait(f"DRIVERS mouse {number} moved")
        machine.wait("DRIVERS end")
        moved = re.findall(r"DRIVERS mouse \d moved (.*)", machine.seen)
        check(moved in (["8 10 5", "9 0 0", "25 -3 -2"], ["8 10 5", "9 0 0", "57 -3 -2"]), moved)
        client.close()
    finally:
        machine.end()


def main():
    program = sys.argv[1]
    guest = fetch("686", "drivers")
    if not Path(VGA_BIOS).exists():
        skip(f"there is no {VGA_BIOS}")
    for part in (text_console, vesa_console, frame_buffer, mouse):
        started = time.monotonic()
        part(program, guest)
        print(f"{part.__name__}: {time.monotonic() - started:.1f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
