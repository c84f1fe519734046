#!/usr/bin/env python3
"""gdb at Debian's kernel: kernel.py NOVT ENGINE KERNEL [VMLINUX]

The guest's own /proc/kallsyms becomes an ELF file with symbols of functions; then gdb breaks in a
system call that a shell makes all the time, looks at the stack, finishes, steps, watches the
kernel's tick count, steps over the POPF of a task switch. The guest must not be the worse for it.
With VMLINUX (out of the package linux-image-VERSION-dbg) symbols are that file's, and the guest is
started with nokaslr.
"""
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/boot"))
sys.path.append(str(ROOT / "tests"))
from checks import check, failures, fetch, skip  # noqa: E402
from console import Console, Failure  # noqa: E402
from remote import PATIENT, WAIT, Remote  # noqa: E402

NAMES = ("do_sys_openat2 __ia32_sys_openat __ia32_compat_sys_openat do_int80_syscall_32 "
         "__do_fast_syscall_32 do_fast_syscall_32 do_SYSENTER_32 entry_SYSENTER_32 "
         "entry_INT80_32 ia32_sys_call get_jiffies_64 __switch_to_asm _stext _etext").split()


PUSH_EBP, MOV_EBP = b"\x55", b"\x89\xe5"


def entry(data):
    """The length, and what makes it a multiple of 4 (DW_CFA_nop)."""
    data += bytes(-len(data) % 4)
    return struct.pack("<I", len(data)) + data


def frames(functions):
    """.debug_frame: where the caller is, from PUSH EBP and MOV ESP, EBP at the functions' starts.
    Kernels for i386 keep frame pointers; gdb by itself does not know prologues like theirs."""
    text = entry(struct.pack("<I", 0xffffffff) + b"\1\0\1\x7c\x08" b"\x0c\4\4" b"\x88\1")
    for address, size, code in functions:
        push, mov = code.find(PUSH_EBP), code.find(MOV_EBP)
        if 0 <= push < mov:
            text += entry(struct.pack("<III", 0, address, size) +
                          bytes([0x40 + push + 1]) + b"\x0e\x08\x85\2" +
                          bytes([0x40 + mov + 1 - push]) + b"\x0d\5")
    return text


def symbols_file(path, functions, names):
    """An ELF file of one section of code, with [(address, size, first bytes)] and their names."""
    start, (end, _, _) = functions[0][0], functions[-1]
    strings, table = b"\0", bytes(16)
    for (address, size, _), name in zip(functions, names):
        table += struct.pack("<IIIBBH", len(strings), address, size, 0x12, 0, 1)
        strings += name.encode() + b"\0"
    titles = b"\0.text\0.symtab\0.strtab\0.debug_frame\0"
    data, rows = b"", [(0,) * 10, (1, 8, 6, start, 52, end - start, 0, 0, 16, 0)]  # SHT_NOBITS
    for title, kind, content, link, info, size in (
            (b".symtab", 2, table, 3, 1, 16), (b".strtab", 3, strings, 0, 0, 0),
            (b".debug_frame", 1, frames(functions), 0, 0, 0), (b".strtab", 3, titles, 0, 0, 0)):
        data += bytes(-len(data) % 4)
        rows.append((titles.index(title), kind, 0, 0, 52 + len(data), len(content), link, info, 4,
                     size))
        data += content
    data += bytes(-len(data) % 4)
    header = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, 3, 1, start, 0,
                         52 + len(data), 0, 52, 0, 0, 40, len(rows), len(rows) - 1)
    path.write_bytes(header + data + b"".join(struct.pack("<10I", *row) for row in rows))


def read_symbols(console, socket, path):
    """Asks the guest; with the function behind each, so that ends are known."""
    start = len(console.text)
    console.answer("echo 0 >/proc/sys/kernel/kptr_restrict; "
                   f"grep -A1 -E ' ({'|'.join(NAMES)})$' /proc/kallsyms; echo listed-$((1 + 1))",
                   "listed-2", WAIT)
    found = re.findall(r"^([0-9a-f]{8}) [tT] (\w+)$", console.text[start:], re.M)
    found = sorted({int(address, 16): name for address, name in found}.items())
    check(len(found) > 8, "too few symbols", console.text[start:])
    remote = Remote(str(socket))
    functions = [(address, behind - address, remote.memory(address, 16))
                 for (address, _), (behind, _) in zip(found, found[1:] + [(found[-1][0] + 1, "")])]
    check(remote.ask("D") == "OK", "D")
    remote.close()
    symbols_file(path, functions, [name for _, name in found])


def gdb(symbols, socket, *commands):
    """What gdb prints for all of them."""
    words = ["gdb", "-nx", "-batch", "-ex", "set pagination off", "-ex", "set confirm off",
             "-ex", PATIENT, "-ex", f"file {symbols}", "-ex", f"target remote {socket}"]
    for command in commands:
        words += ["-ex", command]
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=2 * WAIT, check=False).stdout.decode()


def debug(symbols, socket):
    out = gdb(symbols, socket, "break do_sys_openat2", "continue", "backtrace", "stepi 20",
              "info registers", "finish", "x/20i get_jiffies_64", "delete", "detach")
    check(re.search(r"Breakpoint 1, .*do_sys_openat2", out), "no breakpoint", out)
    stack = re.search(r"#0 .*do_sys_openat2.*\n#1 .*sys_openat.*\n(#\d+ .*\n)*"
                      r"#\d+ .*(do_fast_syscall_32|do_int80_syscall_32)", out)
    check(stack, "no backtrace", out)
    check(re.search(r"(^|\n)0x[0-9a-f]+ in \w*sys_openat", out), "finish", out)
    addresses = re.findall(r"mov +0x([0-9a-f]{8}),", out)
    check(addresses, "no address of jiffies", out)
    if not addresses:
        return
    # A second session: the tick count goes up by one each time.
    out = gdb(symbols, socket, f"watch *(unsigned *)0x{min(addresses)}", "continue", "continue",
              "delete", "stepi", "detach")
    values = [int(v) for v in re.findall(r"(?:Old|New) value = (\d+)", out)]
    check(len(values) == 4 and all(old < new for old, new in zip(values[::2], values[1::2])),
          "watch", out)


def step_over_popf(symbols, socket):
    """The one of each switch to another task: behind it the flags are those that it popped."""
    out = gdb(symbols, socket, "x/90i __switch_to_asm", "detach")
    popf = re.search(r"0x([0-9a-f]+) <__switch_to_asm\+\d+>:\s+popf", out)
    check(popf, "no popf", out)
    if not popf:
        return
    at = int(popf[1], 16)
    out = gdb(symbols, socket, f"break *{at:#x}", "continue", "x/wx $esp", "delete", "stepi",
              "p/x $eflags", "p/x $pc", "detach")
    got = re.search(r":\s+0x([0-9a-f]+)\n(?:.*\n)*.*= 0x([0-9a-f]+)\n.*= 0x([0-9a-f]+)", out)
    check(got, "no step", out)
    if got:
        popped, flags, pc = (int(word, 16) for word in got.groups())
        check(pc == at + 1 and (popped ^ flags) & 0x4ed5 == 0,
              f"{pc:x}, {popped:x}, {flags:x}", out)


def main():
    novt, engine, kernel = sys.argv[1:4]
    if not shutil.which("gdb"):
        skip("no gdb here: apt-get install gdb")
    guest = fetch(kernel)
    with tempfile.TemporaryDirectory() as directory:
        socket, symbols = Path(directory, "gdb"), Path(directory, "symbols")
        console = Console([novt, "run", "-engine", engine, "-kernel",
                           guest / f"vmlinuz-{kernel}", "-initrd", guest / "initramfs.gz",
                           "-append", "console=ttyS0 quiet" + " nokaslr" * (len(sys.argv) > 4),
                           "-nographic", "-m", "256", "-gdb", f"unix:{socket}"])
        try:
            console.expect("# ", 500)
            if len(sys.argv) > 4:
                symbols = sys.argv[4]
            else:
                read_symbols(console, socket, symbols)
            console.type("while [ ! -e /end ]; do cat /proc/version >/dev/null; done &\r")
            debug(symbols, socket)
            step_over_popf(symbols, socket)
            console.answer(": >/end; wait; echo alive-$((1 + 1))", "alive-2", WAIT)
            console.type("poweroff -f\r")
            check(console.status(WAIT) == 0, "poweroff")
        except (Failure, subprocess.TimeoutExpired) as failure:
            check(False, failure)
            console.show()
        finally:
            console.kill()
    return 1 if failures else 0


sys.exit(main())
