#!/usr/bin/env python3
"""Boots Debian's kernel to a shell, works in it, and powers off.

The self-test in the guest must print what the same script prints on this host,
the kernel may warn of nothing that it does not also warn of under QEMU
(qemu-warnings.txt), and poweroff must end novt with status 0.

Exit status 77: the guests or what runs them are not there (ctest: skipped).
"""
import argparse
import lzma
import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import ROOT, fetch, skip  # noqa: E402
from console import Console, Failure  # noqa: E402

HERE = Path(__file__).resolve().parent

# QEMU's TCG is not exact in these parts; the harness is tried with it.
QEMU_INEXACT = {"x87", "sse", "avx", "avx512", "faults", "limits"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--novt", help="the program (default: QEMU, to try this script)")
    parser.add_argument("--kernel", required=True, choices=["686", "686-pae"])
    parser.add_argument("--vmlinux", action="store_true", help="as an ELF file, by its PVH entry")
    parser.add_argument("--engine", default="bt")
    parser.add_argument("--memory", default="512M")
    parser.add_argument("--selftest", action="store_true")
    parser.add_argument("--append", default="", help="more for the kernel's command line")
    parser.add_argument("--slow", type=float, default=15, help="multiplies every time limit")
    return parser.parse_args()


def unpack(bzimage, folder):
    """The ELF file in it: the boot protocol's setup_sects, payload_offset, payload_length."""
    image = bzimage.read_bytes()
    offset, length = struct.unpack_from("<II", image, 0x248)
    at = (image[0x1f1] + 1) * 512 + offset
    vmlinux = Path(folder) / "vmlinux"
    # Behind the XZ stream is its size, again.
    vmlinux.write_bytes(lzma.LZMADecompressor().decompress(image[at:at + length]))
    return vmlinux


def command(args, guest, folder):
    kernel = guest / f"vmlinuz-{args.kernel}"
    if args.vmlinux:
        kernel = unpack(kernel, folder)
    files = ["-kernel", kernel, "-initrd", guest / "initramfs.gz",
             "-append", f"console=ttyS0 {args.append}", "-nographic", "-m", args.memory]
    if args.novt:
        return [args.novt, "run", "-engine", args.engine, *files]
    return ["qemu-system-i386", "-accel", "tcg", "-cpu", "max", "-no-reboot", *files]


def megabytes(text):
    return int(text[:-1]) * (1024 if text[-1] == "G" else 1)


def selftest_lines(text):
    """name -> checksum of each self-test line."""
    return dict(re.findall(r"^SELFTEST (\S+) (.+)$", text, re.M))


def host_selftest(guest):
    environment = dict(os.environ, BUSYBOX=str(guest / "busybox"),
                       SELFTEST=str(guest / "selftest-cpu"))
    try:
        got = subprocess.run([guest / "busybox", "sh", ROOT / "guests/initramfs/selftest", "all"],
                             env=environment, stdout=subprocess.PIPE, text=True, timeout=600)
    except OSError as error:
        skip(f"this host runs no 32-bit programs, so there is nothing to compare with: {error}")
    return selftest_lines(got.stdout)


def check_shell(console, slow):
    """Typed commands, job control, and Ctrl-C."""
    console.expect("# ", 20 * slow)
    # The kernel says no more here, in the middle of a line perhaps: see check_warnings().
    console.answer("dmesg -n 1; echo sum-$((6 * 7))", "sum-42", 20 * slow)
    console.answer("sleep 1000 & jobs; kill %1; echo killed-$((1 + 1))", "killed-2", 20 * slow)
    start = len(console.text)
    # What prints is the job in the foreground, so Ctrl-C reaches it and not the shell.
    console.type("sh -c 'echo waiting-$((1 + 2)); exec sleep 1000'\r")
    console.expect("waiting-3", 20 * slow, start)
    console.type("\x03")
    console.answer("echo status-$?-$((3 + 3))", "status-130-6", 20 * slow)
    if "can't access tty" in console.text:
        raise Failure("the shell has no controlling terminal")


def check_memory(console, wanted, slow):
    """MemTotal is what was asked for, less what the kernel keeps."""
    start = len(console.text)
    end = console.answer("grep MemTotal /proc/meminfo", " kB", 20 * slow)
    total = int(re.search(r"MemTotal: +(\d+) kB", console.text[start:end]).group(1)) // 1024
    # The kernel itself, and 32 bytes for each page.
    if not wanted * 0.96 - 36 <= total <= wanted:
        raise Failure(f"the guest sees {total} MiB of memory, not about {wanted}")


def check_selftest(console, guest, inexact, slow):
    start = len(console.text)
    end = console.answer("selftest all; echo SELFTEST the-end-$((1 + 1))", "the-end-2", 240 * slow)
    got, want = selftest_lines(console.text[start:end]), host_selftest(guest)
    wrong = [f"{name}: host {want[name]}, guest {got.get(name)}"
             for name in want if got.get(name) != want[name] and name not in inexact]
    if wrong or not want:
        raise Failure("the self-test differs from the host's:\n  " + "\n  ".join(wrong))


def check_warnings(console, slow):
    known = [line for line in (HERE / "qemu-warnings.txt").read_text().splitlines()
             if line and not line.startswith("#")]
    start = len(console.text)
    end = console.answer("dmesg -r | grep '^<[0-4]>'; echo dmesg-$((2 + 2))", "dmesg-4", 20 * slow)
    warnings = re.findall(r"^<[0-4]>\[[^]]*\] (.*)$", console.text[start:end], re.M)
    new = [w for w in warnings if not any(re.search(k, w) for k in known)]
    if new:
        raise Failure("the kernel warns of what it does not warn of under QEMU:\n  "
                      + "\n  ".join(new))


def check_mitigations(console, slow):
    """What the host's CPU is not affected by, or translated code is not, the guest does nothing
    about: the two that AMD's CPUs tell of by CPUID."""
    directory = Path("/sys/devices/system/cpu/vulnerabilities")
    start = len(console.text)
    end = console.answer(f"grep . {directory}/[st]*; echo vulnerable-$((3 + 2))", "vulnerable-5",
                         20 * slow)
    said = dict(re.findall(r"^\S+/(\w+):(.*?)\r?$", console.text[start:end], re.M))
    host = directory / "tsa"
    names = ["spec_rstack_overflow"]
    names += ["tsa"] if host.exists() and host.read_text() == "Not affected\n" else []
    wrong = [f"{name}: {said[name]}" for name in names
             if name in said and said[name] != "Not affected"]
    if wrong or not said:
        raise Failure("the guest's kernel cares about what cannot be:\n  " + "\n  ".join(wrong))


def check(console, args, guest):
    slow = args.slow
    console.expect("novt-init:", 60 * slow)
    console.expect("This is a shell", 20 * slow)
    check_shell(console, slow)
    check_memory(console, megabytes(args.memory), slow)
    if args.selftest:
        check_selftest(console, guest, set() if args.novt else QEMU_INEXACT, slow)
    check_warnings(console, slow)
    if args.novt and args.engine != "kvm":
        check_mitigations(console, slow)
    console.type("poweroff -f\r")
    status = console.status(30 * slow)
    if status:
        raise Failure(f"poweroff ended it with status {status}, not 0")
    if not console.terminal_restored():
        raise Failure("the terminal's modes were not restored")


def look_for_direct(novt):
    """Skips where direct execution is asked for and this host does not have it."""
    got = subprocess.run([novt, "doctor", "-quick"], stdout=subprocess.PIPE, text=True)
    line = [l.strip() for l in got.stdout.splitlines() if l.split()[:2] == ["direct", "execution"]]
    if os.environ.get("NOVT_ACCESS") == "direct" and not " ".join(line).endswith("works"):
        skip(f"no direct execution on this host: {line}")


def look_for_kvm(engine):
    """Where /dev/kvm is VT-x or SVM, Debian boots with it."""
    if engine != "kvm":
        return
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        skip("/dev/kvm cannot be opened")
    if Path("/sys/module/kvm_pvm").exists():
        skip("kvm_pvm emulates unmodified guests, slowly and without 32-bit paging")


def main():
    args = arguments()
    look_for_direct(args.novt)
    look_for_kvm(args.engine)
    guest = fetch(args.kernel)
    with tempfile.TemporaryDirectory() as folder:
        console = Console([str(word) for word in command(args, guest, folder)])
        try:
            check(console, args, guest)
        except Failure as failure:
            console.show()
            print(f"FAILED: {failure}")
            sys.exit(1)
        finally:
            console.kill()
    print("ok")


if __name__ == "__main__":
    main()
