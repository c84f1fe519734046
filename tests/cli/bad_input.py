#!/usr/bin/env python3
"""Everything a user can hand novt that is no guest: bad_input.py NOVT.

Each must end in one line on standard error that names the thing, a status of sysexits.h, nothing on
standard output, and no file made or changed.
"""
import gzip
import os
import random
import struct
import sys
import tempfile

import guest
from guest import Novt

QUIET = ["-display", "none"] # no word about there being no desktop
USAGE, DATAERR, NOINPUT, UNAVAILABLE, OSERR, CANTCREAT = 64, 65, 66, 69, 71, 73
GOOD = guest.kernel(guest.POWER_OFF)


def elf(bits=1, machine=3, kind=2):
    """The head of an ELF file and nothing behind it."""
    return (b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9) + struct.pack("<HHI", kind, machine, 1)
            + struct.pack("<III", 0x100000, 52, 0) + bytes(16)).ljust(200, b"\0")


def linux(xloadflags=0, version=0x20F, size=8192, init_size=1 << 20):
    image = bytearray(5 * 512 + size)
    image[0x1F1] = 4
    struct.pack_into("<I", image, 0x1F4, size // 16)
    struct.pack_into("<H", image, 0x1FE, 0xAA55)
    image[0x200:0x206] = b"\xeb\x66HdrS"
    struct.pack_into("<H", image, 0x206, version)
    image[0x211] = 1
    struct.pack_into("<I", image, 0x214, 1 << 20)
    struct.pack_into("<I", image, 0x22C, 0x7FFFFFFF)
    struct.pack_into("<H", image, 0x236, xloadflags)
    struct.pack_into("<I", image, 0x238, 255)
    struct.pack_into("<QI", image, 0x258, 1 << 20, init_size)
    return bytes(image)


def noise(size):
    return random.Random(size).randbytes(size)


# name, content, status, what the line says
KERNELS = [
    ("empty", b"", DATAERR, "empty"),
    ("one byte", b"x", DATAERR, "neither"),
    ("random", noise(100000), DATAERR, "neither"),
    ("zeroes", bytes(100000), DATAERR, "neither"),
    ("text", b"#!/bin/sh\necho hello\n" * 100, DATAERR, "neither"),
    ("x86-64 ELF", elf(bits=2, machine=62), DATAERR, "32-bit x86"),
    ("ARM ELF", elf(machine=40), DATAERR, "ARM"),
    ("object file", elf(kind=1), DATAERR, "executable"),
    ("ELF head", elf()[:40], DATAERR, "cut short"),
    ("64-bit Linux", linux(xloadflags=1), DATAERR, "64-bit"),
    ("ancient Linux", gzip.compress(linux(version=0x200)), DATAERR, "old Linux"),
    ("cut Linux", linux()[:6000], DATAERR, "cut short"),
    ("hungry Linux", linux(init_size=0x7FFFFFFF), DATAERR, "-m"),
    ("cut multiboot", GOOD[:24], DATAERR, "multiboot"),
    ("cut gzip", gzip.compress(GOOD * 50)[:60], DATAERR, "damaged"),
    ("random gzip", b"\x1f\x8b\x08\0" + noise(5000), DATAERR, "damaged"),
    ("gzip of nothing", gzip.compress(b""), DATAERR, "nothing"),
    ("gzip of noise", gzip.compress(noise(5000)), DATAERR, "neither"),
    ("gzip bomb", gzip.compress(bytes(20 << 20)), DATAERR, "-m"),
]


class Matrix:
    def __init__(self, novt):
        self.novt, self.failed, self.rows = novt, 0, 0

    def row(self, name, words, status, part, **more):
        before = sorted(os.listdir(self.novt.directory))
        got = self.novt.run(*words, **more)
        lines = got[2].splitlines()
        self.rows += 1
        if (got[0] == status and len(lines) == 1 and lines[0].startswith("novt: ")
                and part in lines[0] and not got[1]
                and sorted(os.listdir(self.novt.directory)) == before):
            return
        self.failed += 1
        print(f"{name}: status {got[0]}, want {status} and {part!r}: {got[2]!r} {got[1][:80]!r}")


def kernels(matrix, novt):
    for name, content, status, part in KERNELS:
        path = novt.path("kernel", content)
        outputs = ["-serial", "file:" + novt.path("serial"), "-D", novt.path("log"), "-d", "dev",
                   "-stats-json", novt.path("stats")]
        matrix.row(name, [*outputs, path], status, part)
        matrix.row(name, ["-kernel", path], status, "kernel '" + path)
    huge = novt.path("huge")
    with open(huge, "wb") as file:
        file.truncate(1 << 40)
    matrix.row("huge", [huge], DATAERR, "-m")
    os.unlink(huge)
    matrix.row("missing", [novt.path("none")], NOINPUT, "check its name")
    matrix.row("empty name", [""], NOINPUT, "check its name")
    matrix.row("directory", [novt.directory], NOINPUT, "directory")
    matrix.row("line break", [novt.path("a\nb")], NOINPUT, "a?b")
    matrix.row("not a directory", [novt.path("kernel", b"x") + "/x"], NOINPUT, "Not a directory")
    matrix.row("endless", ["/dev/zero"], DATAERR, "-m")
    matrix.row("long name", ["/" + "x" * 5000], NOINPUT, "too long")


def initrds(matrix, novt):
    good = novt.path("good", linux())
    multiboot = novt.path("multiboot", GOOD)
    for kernel, word in ((good, "initrd"), (multiboot, "module")):
        matrix.row("missing", ["-initrd", novt.path("none"), kernel], NOINPUT, word)
        matrix.row("empty", ["-initrd", novt.path("empty", b""), kernel], DATAERR, word)
        matrix.row("directory", ["-initrd", novt.directory, kernel], NOINPUT, word)
        matrix.row("endless", ["-initrd", "/dev/zero", kernel], DATAERR, word)
        matrix.row("no name", ["-initrd", ",", kernel], USAGE, "-initrd")
        matrix.row("large", ["-initrd", novt.path("large", bytes(15 << 20)), kernel], DATAERR, "-m")
        matrix.row("many", ["-initrd", ",".join([multiboot] * 33), kernel], USAGE, "-initrd")
    matrix.row("long command line", ["-append", "x" * 256, good], USAGE, "-append")


def firmware(matrix, novt):
    matrix.row("missing", [*QUIET, "-bios", novt.path("none")], NOINPUT, "firmware '")
    matrix.row("directory", [*QUIET, "-bios", novt.directory], NOINPUT, "directory")
    for size in (0, 1, 100, 65535, 65537, (16 << 20) + 65536):
        matrix.row(f"{size} bytes", [*QUIET, "-bios", novt.path("bios", noise(size))], DATAERR,
                   "wrong size")
    matrix.row("endless", [*QUIET, "-bios", "/dev/zero"], DATAERR, "wrong size")
    matrix.row("with a kernel", [*QUIET, "-bios", novt.path("none"), novt.path("good", GOOD)],
               NOINPUT, "firmware '")


def unreadable(matrix, novt):
    """As somebody who is not root."""
    path = novt.path("secret", GOOD)
    os.chmod(path, 0)
    os.chmod(novt.directory, 0o755)
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    matrix.row("unreadable", [path], NOINPUT, "readable", **user)
    os.chmod(path, 0o644)
    if user:
        matrix.row("serial file", ["-serial", "file:" + novt.path("new"), path], CANTCREAT,
                   "serial", **user)
        matrix.row("log", ["-D", novt.path("new"), path], CANTCREAT, "-D", **user)
        matrix.row("statistics", ["-stats-json", novt.path("new"), path], CANTCREAT, "-stats-json",
                   **user)


def options(matrix, novt):
    good = novt.path("multiboot", GOOD)
    for value in ("0", "1", "x", "", "-1", "1e3", "12Q", "4G", "9999999999999999999999"):
        matrix.row(f"-m {value}", ["-m", value, good], USAGE, "-m")
    matrix.row("no kernel", [], USAGE, "no kernel")
    for option, value in (("-cpu", "z80"), ("-cpu", "host,+nonsense"), ("-engine", "tcg"),
                          ("-smp", "4"), ("-serial", "file:"), ("-device", "vga"), ("-d", "x"),
                          ("-timeout", "x"), ("-nosuch", "x")):
        matrix.row(option, [option, value, good], USAGE, option)
    for engine, option in (("interp", "-d in_asm"), ("interp", "-d guest_errors,trace"),
                           ("interp", "-user direct"), ("interp", "-audit"), ("interp", "-perf"),
                           ("kvm", "-d int"), ("trap", "-user tlb"), ("trap", "-d unit")):
        matrix.row(f"{engine} {option}", ["-engine", engine, *option.split(), good], USAGE,
                   option.split()[0])
    matrix.row("balloon", ["-m", "64", "-device", "virtio-balloon,target=65M", good], USAGE,
               "target=")
    matrix.row("port taken", ["-device", "isa-debug-exit,iobase=0x3f8", good], USAGE,
               "isa-debug-exit")
    for path, part in (("/nonexistent/x", "create"), (novt.directory, "directory")):
        matrix.row("serial", ["-serial", "file:" + path, good], CANTCREAT, part)
        matrix.row("debugcon", ["-debugcon", "file:" + path, good], CANTCREAT, part)
        matrix.row("socket", ["-serial", "unix:" + path, good], CANTCREAT, "serial line")
        matrix.row("log", ["-D", path, good], CANTCREAT, "-D")
        matrix.row("frames", ["-nic", "user,dump=" + path, good], CANTCREAT, "frames")
        matrix.row("statistics", ["-stats-json", path, good], CANTCREAT, "-stats-json")
    fifo = novt.path("fifo")
    os.mkfifo(fifo)
    for option in ("-trace", "-profile", "-D", "-screenshot", "-serial"):
        matrix.row(f"{option} into a FIFO", [option, "file:" * (option == "-serial") + fifo, good],
                   CANTCREAT, "start its reader")
    matrix.row("frames into a FIFO", ["-nic", "user,dump=" + fifo, good], CANTCREAT,
               "start its reader")
    matrix.row("a file for a line", ["-nic", "socket,path=" + good, good], UNAVAILABLE, good)


def limits(matrix, novt):
    """More memory than the process may have."""
    if "asan" in os.environ.get("NOVT_BUILD", ""):
        return  # the sanitizer itself needs terabytes of address space
    good = novt.path("multiboot", GOOD)

    def low():
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))

    matrix.row("ulimit -v", ["-m", "1G", good], OSERR, "-m", preexec_fn=low)


def main():
    with tempfile.TemporaryDirectory() as directory:
        novt = Novt(os.path.abspath(sys.argv[1]), directory, "interp")
        matrix = Matrix(novt)
        for part in (kernels, initrds, firmware, unreadable, options, limits):
            part(matrix, novt)
    print(f"{matrix.rows} rows, {matrix.failed} failed")
    sys.exit(1 if matrix.failed else 0)


main()
