"""On what it is measured: the columns, how each is started, and whether it is here.

A column that is not here is skipped, and says why: the program is missing, or a small guest of ours
(nanobench.elf with one operation) did not come to its end under it.
"""
import contextlib
import functools
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import time
from typing import NamedTuple

PROBE_SECONDS = 10  # of the CPU's time
PATIENCE = 300      # of the clock's, where others have the CPU
TIERS = ("tlb", "window", "direct")


class Machine(NamedTuple):
    kind: str      # "native", "novt", "qemu", "bochs"
    title: str
    options: tuple  # of its command line
    slow: bool = False  # an interpreter: only rows that are light


MACHINES = {
    "native": Machine("native", "native", ()),
    "novt": Machine("novt", "novt", ()),
    "qemu": Machine("qemu", "QEMU TCG", ("-accel", "tcg", "-no-reboot")),
    "tlb": Machine("novt", "novt -user tlb", ("-user", "tlb")),
    "window": Machine("novt", "novt -user window", ("-user", "window")),
    "direct": Machine("novt", "novt -user direct", ("-user", "direct")),
    "interp": Machine("novt", "novt interp", ("-engine", "interp"), slow=True),
    "novt-kvm": Machine("novt", "novt kvm", ("-engine", "kvm")),
    "qemu-kvm": Machine("qemu", "QEMU KVM", ("-accel", "kvm", "-no-reboot")),
    "bochs": Machine("bochs", "Bochs", (), slow=True),
}


def command(args, name):
    """The start of its command line, up to the guest."""
    machine = MACHINES[name]
    if machine.kind == "novt":
        return [str(args.novt), "run", *machine.options, *shlex.split(args.novt_args)]
    return [args.qemu, *machine.options, *shlex.split(args.qemu_args)]


def on_one_cpu(args):
    """For subprocess's preexec_fn: everything that is compared has the same one CPU."""
    def place():
        with contextlib.suppress(OSError):  # somebody may have taken that CPU from us since
            os.sched_setaffinity(0, {args.cpu})

    return None if args.cpu is None else place


def nano_command(args, name, append):
    return command(args, name) + [
        "-kernel", str(args.nanobench), "-nographic", "-m", "64", "-append", append,
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]


def patience(args):
    """Seconds that one guest may take, so that all of it ends when it should."""
    return min(args.timeout, max(1, args.ends - time.monotonic()))


def run_quietly(args, words, **environment):
    """For what it writes to files."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=args.timeout,
                       env=dict(os.environ, **environment), preexec_fn=on_one_cpu(args))


def last_words(output, errors):
    """What a guest or a program said about its end, as far as one line can tell."""
    lines = [line.strip() for line in (errors + output).decode("latin-1").splitlines()]
    lines = [line for line in lines if line and "warning:" not in line]
    failed = [line[line.index("FAIL"):] for line in lines if "FAIL" in line]
    if failed:
        return f"a small guest of ours ended with: {failed[0]}"
    return lines[-1] if lines else "it said nothing"


def limit_probe(args):
    place = on_one_cpu(args)

    def before():
        resource.setrlimit(resource.RLIMIT_CPU, (PROBE_SECONDS, PROBE_SECONDS + 1))
        if place:
            place()
    return before


def probe(args, name):
    """None, or why a small guest did not run to its end."""
    try:
        got = subprocess.run(nano_command(args, name, "fast only callret"),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=PATIENCE,
                             preexec_fn=limit_probe(args))
    except subprocess.TimeoutExpired:
        return f"a small guest did not come to its end in {PATIENCE} s"
    if b"NANO callret" in got.stdout:
        return None
    if got.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"a small guest did not come to its end in {PROBE_SECONDS} s of CPU time"
    return last_words(got.stdout, got.stderr)


@functools.cache
def doctor_on_kvm(novt):
    """What novt doctor says of this host's KVM, if anything."""
    try:
        got = subprocess.run([str(novt), "doctor"], stdin=subprocess.DEVNULL, text=True,
                             capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    line = re.search(r"^ *engine kvm +(.*)$", got.stdout, re.M)
    return line.group(1) + "; " if line else ""


def missing(args, name):
    """None, or why this column cannot be had on this host."""
    kind = MACHINES[name].kind
    if kind == "bochs":
        return "not with --quick: it takes half a minute to boot" if args.quick else bochs_missing()
    program = {"novt": str(args.novt), "qemu": args.qemu}.get(kind)
    if program and not shutil.which(program):
        return f"{program} is not here"
    if name == "qemu-kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm cannot be opened"
    if kind == "native":
        return native_missing(args)
    why = probe(args, name)
    return f"{doctor_on_kvm(args.novt)}{why}" if why and name.endswith("-kvm") else why


def native_missing(args):
    """None, or why this host runs no i386 programs."""
    try:
        got = subprocess.run([str(args.native), "fast"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    except OSError as error:
        return f"this host does not run i386 programs ({args.native.name}: {error.strerror})"
    return f"{args.native.name} ended with status {got.returncode}" if got.returncode else None


def bochs_missing():
    """None, or what of it is not installed."""
    if not shutil.which("bochs"):
        return ("bochs is not here (./quickstart bench --machines novt,bochs installs it; "
                "apt-get install bochs bochs-term vgabios)")
    for tool in ("grub-mkrescue", "xorriso", "mformat"):
        if not shutil.which(tool):
            return f"{tool} is not here, which its boot medium is made with"
    return None


def find(args):
    """{name: None or why it is skipped}, for the columns that were asked for."""
    return {name: missing(args, name) for name in args.machines}
