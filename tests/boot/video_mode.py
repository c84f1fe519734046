#!/usr/bin/env python3
"""Debian's kernel by -kernel with vga=: video_mode.py NOVT

Firmware starts it then, and its real-mode part sets the mode: the kernel names it, and a picture of
the screen has its size. With -bios firmware starts it, too. Exit status 77: the guest or SeaBIOS is
not there (skipped).
"""
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import check, failures, fetch, skip  # noqa: E402

BIOS = "/usr/share/seabios/bios-256k.bin"
FIRMWARE = "BIOS-e820: [mem 0x00000000fffc0000-0x00000000ffffffff] reserved"  # its own place
TEXT = "Console: colour VGA+ 80x"
# the word, what the kernel says, the picture's size
MODES = [
    ("vga=788", "vesafb: mode is 800x600x16, linelength=1600", (800, 600)),
    ("vga=0x315", "vesafb: mode is 800x600x24, linelength=2400", (800, 600)),
    ("vga=ext", TEXT + "50", (720, 400)),
    ("vga=0xf07", TEXT + "60", (720, 480)),
    ("vga=normal", TEXT + "25", (720, 400)),
]


def run(novt, guest, append, *options, until="Run /init"):
    """The lines of its serial console, up to its first process or this."""
    got = subprocess.run([novt, "run", "-kernel", guest / "vmlinuz-686", "-initrd",
                          guest / "initramfs.gz", "-append", f"console=ttyS0 {append}",
                          "-m", "128", "-display", "none", "-serial", "stdio",
                          "-expect", until, "-timeout", "500", *options],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, check=False)
    text = got.stdout.decode("latin-1")
    check(got.returncode == 0, append, options, "status", got.returncode, text[-2000:])
    return text


def size_of(picture):
    return struct.unpack(">II", picture.read_bytes()[16:24])


def main():
    novt, guest = sys.argv[1], fetch("686")
    if not Path(BIOS).exists():
        skip("there is no SeaBIOS: apt-get install seabios")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "screen.png")
        for append, line, size in MODES:
            text = run(novt, guest, append, "-vga", "std", "-screenshot", str(picture))
            check(line in text, append, text[:6000])
            check(size_of(picture) == size, append, size_of(picture), size)
    check(FIRMWARE in run(novt, guest, "", "-bios", BIOS), "-bios")
    check(FIRMWARE not in run(novt, guest, ""), "no -bios")
    text = run(novt, guest, "vga=788 earlyprintk=serial", "-vga", "std", "-engine", "trap",
               until="Linux version")
    check("-engine trap cannot run" in text, text)
    check(TEXT not in run(novt, guest, "vga=788"), "nobody looks: no VGA at all")
    return 1 if failures else 0


sys.exit(main())
