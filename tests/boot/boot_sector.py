#!/usr/bin/env python3
"""SeaBIOS starts boot sectors: boot_sector.py NOVT ENGINE.

From each kind of medium, in the order that -boot says, and once more after a reset. A sector prints
its name to the debug console and ends novt with status 1; one turns the machine off by the BIOS.
"""
import os
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import skip  # noqa: E402

BIOS = "/usr/share/seabios/bios-256k.bin"
ORIGIN = 0x7C00
SEGMENT_0 = bytes.fromhex("31c0 8ed8")  # xor ax, ax; mov ds, ax
# Only the first time, by a byte of CMOS RAM: a reset through the keyboard controller.
RESET_ONCE = bytes.fromhex("b050 e670 e471 3ca5 740f"   # the byte is a5: on
                           "b050 e670 b0a5 e671 b0fe e664 f4 ebfd")


# Comes back by the BIOS behind a reset of the processor, memory kept, as code of 286s leaves
# protected mode: CMOS RAM's shutdown status (0fh) is 0ah, 0040:0067 the address.
RESUME = bytes.fromhex("c7066704 1f7c c70669040000 b00f e670 b00a e671 b0fe e664 f4 ebfd")
RESUME += bytes.fromhex("31c0 8ed8")


# APM: INT 15h, AX 5307h: all devices (BX 1) off (CX 3). Comes back if the machine is still there.
POWER_OFF = bytes.fromhex("b80753 bb0100 b90300 cd15")


def sector(name, before=b""):
    """Code that prints name, then out 0xf4, 0."""
    code = SEGMENT_0 + before + b"\xbe"
    tail = bytes.fromhex("ac 84c0 7404 e6e9 ebf7 b000 e6f4 ebfe")
    text = ORIGIN + len(code) + 2 + len(tail)
    code += text.to_bytes(2, "little") + tail + name.encode() + b"\n\0"
    return code.ljust(510, b"\0") + b"\x55\xaa"


class Media:
    def __init__(self, directory):
        self.directory = directory

    def path(self, name, size, before=b""):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(sector(name, before))
            file.truncate(size)
        return path

    def disk(self, name, before=b""):
        return ["-drive", f"file={self.path(name, 4 << 20, before)},format=raw"]

    def virtio(self, name):
        return ["-drive", f"file={self.path(name, 4 << 20)},format=raw,if=virtio"]

    def floppy(self, name):
        return ["-drive", f"file={self.path(name, 1474560)},format=raw,if=floppy"]


def boots(novt, engine, media, options):
    """What the sector that was started says, or how it ended; "" when none was started."""
    log = os.path.join(media.directory, "log")
    got = subprocess.run([novt, "run", "-engine", engine, "-m", "32", *options, "-display", "none",
                          "-serial", "none", "-debugcon", "file:" + log, "-timeout", "400",
                          "-device", "isa-debug-exit,iobase=0xf4"],
                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=450)
    with open(log, "rb") as file:
        lines = file.read().decode("latin-1").splitlines()
    if got.returncode not in (0, 1):
        print(got.stderr, *lines[-20:], sep="\n")
    if got.returncode == 0:
        return "powered off"
    return lines[-1] if got.returncode == 1 and lines else ""


def main():
    novt, engine = sys.argv[1:]
    if not os.path.exists(BIOS):
        skip("SeaBIOS is not installed (apt-get install seabios)")
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        media = Media(directory)
        both = media.disk("disk") + media.floppy("floppy")
        rows = [
            ("disk", media.disk("disk")),
            ("floppy", media.floppy("floppy")),
            ("virtio", media.virtio("virtio")),
            ("disk", both),
            ("floppy", ["-boot", "a", *both]),
            ("disk", ["-boot", "order=ca", *both]),
            ("reset", media.disk("reset", RESET_ONCE)),
            ("resume", media.disk("resume", RESUME)),
            ("powered off", media.disk("off", POWER_OFF)),
        ]
        for want, options in rows:
            got = boots(novt, engine, media, options)
            if got != want:
                failed += 1
                print(f"{' '.join(options)}: started '{got}', not '{want}'")
    return 1 if failed else 0


sys.exit(main())
