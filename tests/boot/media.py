#!/usr/bin/env python3
"""SeaBIOS boots a sector of our own (guests/disk.S) from each kind of medium: media.py NOVT SECTOR

From disks on either IDE channel and on virtio, floppies of every size, a CD-ROM that emulates a
floppy, and in the order that -boot says. The sector reads and writes by the BIOS; what it says and
what is in the image afterwards must be right. Exit status 77: there is no SeaBIOS (skipped).
"""
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import skip  # noqa: E402

BIOS = "/usr/share/seabios/bios-256k.bin"
SECTOR, CD_SECTOR = 512, 2048
FLOPPIES = (160, 180, 320, 360, 720, 1200, 1440, 1680, 2880) # KiB
PROTECTED = "failed 03" # what the BIOS says of a write to it


def image(boot, size, seed):
    return boot + random.Random(seed).randbytes(size - len(boot))


def checksum(data):
    total = 0
    for (word,) in struct.iter_unpack("<I", data):
        total = (total + word) & 0xffffffff
        total = (total << 1 | total >> 31) & 0xffffffff
    return f"{total:08x}"


def cdrom(floppy):
    """Nothing but what El Torito wants, and the image of a floppy of 1.44 MB."""
    check = bytes([1]) + bytes(29) + b"\x55\xaa"
    check = check[:28] + struct.pack("<H", -sum(struct.unpack("<16H", check)) & 0xffff) + check[30:]
    catalog = check + struct.pack("<BBHBBHI", 0x88, 2, 0, 0, 0, 1, 20)
    first = b"\x01CD001\x01"
    record = b"\x00CD001\x01" + b"EL TORITO SPECIFICATION".ljust(64, b"\0") + struct.pack("<I", 19)
    sectors = [bytes(16 * CD_SECTOR), first, record, b"\xffCD001\x01", catalog, floppy]
    return b"".join(part + bytes(-len(part) % CD_SECTOR) for part in sectors)


class Test:
    def __init__(self, novt, boot, folder):
        self.novt, self.boot, self.folder = novt, boot, Path(folder)
        self.wrong = []

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def run(self, name, options, number, content, write="ok"):
        """Boots; `content` is what it should find there."""
        want = [f"BOOT {number}", f"READ {checksum(content[SECTOR:7 * SECTOR])}", f"WRITE {write}"]
        got = subprocess.run([self.novt, "run", "-m", "32", "-bios", BIOS, *options,
                              "-serial", "stdio", "-display", "none",
                              "-device", "isa-debug-exit,iobase=0xf4", "-timeout", "400"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, errors="replace")
        said = got.stdout.replace("\r", "").splitlines()[-3:]
        if said != want:
            self.wrong.append(f"{name}: it said {said}, not {want}; status {got.returncode}, "
                              f"{got.stderr.strip()}")

    def boot_from(self, name, interface, number, size, extra="", options=()):
        """A medium that can be written to; it must hold what the guest has written."""
        content = image(self.boot, size, len(name) + size)
        path = self.file(name, content)
        self.run(name, ["-drive", f"file={path},format=raw,if={interface}{extra}", *options],
                 number, content)
        if path.read_bytes() != content[:7 * SECTOR] + content[:SECTOR] + content[8 * SECTOR:]:
            self.wrong.append(f"{name}: the image is not what the guest has written")


def disks(test):
    test.boot_from("first", "ide", "80", 8 << 20)
    test.boot_from("slave of the second", "ide", "80", 3 << 20, ",index=3")
    test.boot_from("large", "ide", "80", 1 << 20) # of one that is smaller than a BIOS cylinder
    test.boot_from("virtio", "virtio", "80", 8 << 20)


def floppies(test):
    for kib in FLOPPIES:
        test.boot_from(f"floppy{kib}", "floppy", "00", kib * 1024)
    content = image(test.boot, 1440 * 1024, 5)
    path = test.file("protected", content)
    test.run("protected", ["-drive", f"file={path},format=raw,if=floppy,readonly=on"], "00",
             content, PROTECTED)


def order(test):
    contents = [image(test.boot, 1440 * 1024, seed) for seed in (10, 11, 12)]
    disc = cdrom(contents[2])
    media = ["-fda", test.file("a.img", contents[0]), "-hda", test.file("c.img", contents[1]),
             "-cdrom", test.file("d.iso", disc), "-snapshot"]
    for letters, which, number, write in (("", 1, "80", "ok"), ("a", 0, "00", "ok"),
                                          ("dc", 2, "00", PROTECTED)):
        options = ["-boot", f"order={letters}"] if letters else []
        if letters == "a":
            options = ["-boot", "order=c,once=a"]  # and c after a reset: unit/test_pc.c
        test.run(f"order '{letters}'", [*media, *options], number, contents[which], write)
    unmarked = contents[0][:510] + b"\0\0" + contents[0][512:]
    media[1] = test.file("u.img", unmarked)
    for option, which, number in ([], contents[1], "80"), (["-no-fd-bootchk"], unmarked, "00"):
        test.run(f"unmarked {option}", [*media, "-boot", "order=ac", *option], number, which)
    test.run("only the CD", ["-cdrom", test.folder / "d.iso"], "00", contents[2], PROTECTED)


def main():
    if not os.path.exists(BIOS):
        skip("SeaBIOS is not installed (apt-get install seabios)")
    with tempfile.TemporaryDirectory() as folder:
        test = Test(sys.argv[1], Path(sys.argv[2]).read_bytes(), folder)
        disks(test)
        floppies(test)
        order(test)
    print(*test.wrong, sep="\n")
    return 1 if test.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
