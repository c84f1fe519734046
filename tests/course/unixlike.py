#!/usr/bin/env python3
"""A student's kernel, by the command lines that courses give for QEMU: from disks, and by -kernel.

    unixlike.py NOVT GUESTS
"""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import must  # noqa: E402

SECTOR, TEXT = 512, b"the second disk has this to say."
WANTED = """unixlike: at 80100000. On the screen, too
apic: 1 CPU, this one is 0
ide: 2 disks
ide: written and read
user: hello
the second disk has this to say.
$ abc
user: exit 0
"""
COMMON = ("-smp", "1", "-m", "512", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
          "-no-reboot", "-timeout", "280")
NO_WINDOW = ("-serial", "mon:stdio", "-display", "none")


def disk(path, index):
    return "-drive", f"file={path},index={index},media=disk,format=raw"


def run(novt, folder, image, *options, first=None, access=None):
    """Types a line and an empty one, which ends it. first: how the first disk is given."""
    second = os.path.join(folder, "fs.img")
    with open(second, "wb") as file:
        file.write(bytes(SECTOR) + TEXT.ljust(SECTOR, b"\0") + bytes(62 * SECTOR))
    command = [novt, "run", *disk(second, 1), *(first or disk(image, 0)), *COMMON, *options]
    environment = dict(os.environ, **({"NOVT_ACCESS": access} if access else {}))
    got = subprocess.run(command, input=b"abc\r\r", stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env=environment)
    text = got.stdout.decode(errors="replace").replace("\r", "")
    must(got.returncode == 1 and text == WANTED,
         f"{command}: status {got.returncode}\n{text}{got.stderr.decode(errors='replace')}")
    with open(second, "rb") as file:
        file.seek(2 * SECTOR + 4)
        must(file.read(4) == (0x9e3779b9).to_bytes(4, "little"), "sector 2 was not written")


def main():
    novt, guests = sys.argv[1:]
    image, kernel = (os.path.join(guests, "unixlike" + end) for end in (".img", ".elf"))
    with tempfile.TemporaryDirectory() as folder:
        image = shutil.copy(image, folder)  # an image is one guest's
        run(novt, folder, image, "-nographic")
        run(novt, folder, image, *NO_WINDOW, access="window")
        run(novt, folder, image, "-nographic", first=[image])
        run(novt, folder, image, "-nographic", "-kernel", kernel, "-append", "a=b")
        run(novt, folder, image, "-nographic", "-kernel", kernel, "-engine", "interp")
    print("from disks, and by -kernel")


main()
