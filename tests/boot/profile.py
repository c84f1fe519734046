#!/usr/bin/env python3
"""Profiles of Debian: profile.py NOVT KERNEL

-profile and -perf in one boot, with symbols for a program that has none in the guest: a copy of it
to which a symbol table is added here.
"""
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import check, failures, fetch  # noqa: E402

WAIT = 3000


def with_symbol(program, name):
    """The ELF file with a function of that name over all of its code."""
    image = bytearray(program.read_bytes())
    phoff, = struct.unpack_from("<I", image, 28)
    phnum, = struct.unpack_from("<H", image, 44)
    loads = [struct.unpack_from("<8I", image, phoff + 32 * i) for i in range(phnum)]
    code = next(p for p in loads if p[0] == 1 and p[6] & 1)  # PT_LOAD, PF_X
    strings = b"\0" + name.encode() + b"\0"
    symbols = bytes(16) + struct.pack("<3IBBH", 1, code[2], code[5], 2, 0, 1)  # STT_FUNC
    at = len(image)
    image += symbols + strings
    sections = bytes(40)
    sections += struct.pack("<10I", 0, 2, 0, 0, at, len(symbols), 2, 1, 4, 16)  # SHT_SYMTAB
    sections += struct.pack("<10I", 0, 3, 0, 0, at + 32, len(strings), 0, 0, 1, 0)  # SHT_STRTAB
    struct.pack_into("<I", image, 32, len(image))
    struct.pack_into("<3H", image, 46, 40, 3, 2)
    return bytes(image + sections)


def run(novt, guest, kernel, folder):
    (folder / "bench-symbols").write_bytes(with_symbol(guest / "bench", "all_of_bench"))
    with subprocess.Popen([novt, "run", "-m", "256", "-kernel", guest / f"vmlinuz-{kernel}",
                           "-initrd", guest / "initramfs.gz", "-append",
                           "console=ttyS0 quiet novt.bench=getppid,forkexec", "-nographic",
                           "-profile", "out.folded", "-symbols", "bench-symbols", "-perf",
                           "-timeout", str(WAIT)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, cwd=folder) as process:
        output = process.communicate(timeout=WAIT + 60)[0]
    check(process.returncode == 0 and "BENCH done" in output, process.returncode, output[-2000:])
    return process.pid


def judge_folded(text):
    lines = [line.rsplit(" ", 1) for line in text.splitlines()]
    stacks = [stack.split(";") for stack, _ in lines]
    check(all(re.fullmatch(r"[!-~]+ [0-9]+", line) for line in text.splitlines()), "the form")
    check(any(s[:2] == ["bench", "all_of_bench"] for s in stacks), "a program with symbols")
    check(any(s[0] == "bench" and "__kernel_vsyscall" in ";".join(s) and
              s[-1] != "[novt]" and any("SYSENTER" in f or "syscall" in f for f in s)
              for s in stacks), "from a program through a system call into the kernel")
    check(any(s[0] == "busybox" and s[-1].endswith("_[k]") for s in stacks), "fork and exec")
    check(any(s[:2] == ["[kernel]", "ret_from_fork_[k]"] for s in stacks), "the kernel's threads")


def judge_map(path):
    names = [line.split(" ")[2] for line in path.read_text(encoding="ascii").splitlines()]
    path.unlink()
    for part in ("ret_from_fork+0x", "all_of_bench+0x"):
        check(any(part in name for name in names), f"{part} in perf's map")


def main():
    novt, kernel = sys.argv[1:3]
    guest = fetch(kernel)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pid = run(novt, guest, kernel, folder)
        judge_folded((folder / "out.folded").read_text(encoding="ascii"))
        judge_map(Path(f"/tmp/perf-{pid}.map"))
        if failures:
            print((folder / "out.folded").read_text(encoding="ascii")[-20000:])
    return 1 if failures else 0


sys.exit(main())
