#!/usr/bin/env python3
"""Images of the Linux boot protocol before 2.02, as -kernel and by themselves: old_images.py NOVT

Firmware starts them at 9020:0, as LILO did: without a number of the protocol (memtest86+ before 6),
2.00, and 2.01 loaded high. Each prints its command line, as the old protocol passes that, and those
that are loaded low what is at 1000:0. Exit status 77: there is no SeaBIOS (skipped).
"""
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import skip  # noqa: E402

BIOS = "/usr/share/seabios/bios-256k.bin"
SECTOR, SETUP_SECTORS, LOADED_HIGH = 512, 1, 1
PRINT = b"\xac\x84\xc0\x74\x03\xee\xeb\xf8"  # what is at DS:SI, to the port in DX
END = b"\xb0\x10\xe6\xf4\xf4\xeb\xfd"        # out 0xf4, al
LOW = b"\xb8\x00\x10\x8e\xd8\x31\xf6" + PRINT  # what is at 1000:0
KERNEL = b" and the kernel\0".ljust(5000, b"k")


def jne(code):
    """Over the code, where ZF is clear."""
    return b"\x75" + bytes([len(code)]) + code


def setup(high):
    """Ends at once where CS is not 0x9020, or [0x20] not 0xa33f; else prints what [0x22] says."""
    line = b"\x8b\x36\x22\x00\xba\xf8\x03" + PRINT + (b"" if high else LOW)
    magic = b"\x81\x3e\x20\x00\x3f\xa3" + jne(line)
    return b"\xb8\x00\x90\x8e\xd8\x8c\xc8\x3d\x20\x90" + jne(magic) + END


def image(version, high):
    head = bytearray((1 + SETUP_SECTORS) * SECTOR)
    head[0x1f1] = SETUP_SECTORS
    struct.pack_into("<H", head, 0x1f4, (len(KERNEL) + 15) // 16)
    struct.pack_into("<H", head, 0x1fe, 0xaa55)
    code = setup(high)
    if version:
        head[0x200:0x202] = b"\xeb\x3e"  # jmp 0x240
        head[0x202:0x206] = b"HdrS"
        struct.pack_into("<H", head, 0x206, version)
        head[0x211] = LOADED_HIGH if high else 0
    at = 0x240 if version else 0x200
    head[at:at + len(code)] = code
    return bytes(head) + KERNEL


def run(novt, path, options):
    got = subprocess.run([novt, "run", *options, path, "-append", "one two",
                          "-serial", "stdio", "-display", "none",
                          "-device", "isa-debug-exit,iobase=0xf4", "-timeout", "300"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         check=False)
    return got.stdout.decode("latin-1"), got.returncode, got.stderr.decode()


def main():
    novt, wrong = sys.argv[1], []
    if not Path(BIOS).exists():
        skip("there is no SeaBIOS: apt-get install seabios")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "image")
        for version, high in ((0, False), (0x200, False), (0x201, True)):
            Path(path).write_bytes(image(version, high))
            for options in (["-m", "32", "-kernel"], ["-m", "32" if high else "16"]):
                got = run(novt, path, options)
                if got[0] != "one two" + ("" if high else " and the kernel"):
                    wrong.append(f"{version:#x}, {options}: {got}")
        Path(path).write_bytes(image(0, False))
        got = run(novt, path, ["-initrd", path, "-kernel"])
        if got[1] != 64 or "too old to take a RAM disk" not in got[2]:
            wrong.append(f"-initrd: {got}")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


sys.exit(main())
