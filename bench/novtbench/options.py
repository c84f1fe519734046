"""The command line."""
import argparse
import os
import sys
from pathlib import Path

from novtbench import machines
from novtbench.rows import GROUPS, PROCESSES, ROWS
from novtbench.schedule import Work

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["boot", "getppid", "pipe", "fork", "sse2"]


def parser():
    its = argparse.ArgumentParser(prog="novt bench", allow_abbrev=False, description=
                                  "Measures what virtualization costs on this host.")
    its.add_argument("--only", metavar="NAME[,NAME]", help="rows or groups of them; see --list")
    its.add_argument("--list", action="store_true", help="say what can be measured, and on what")
    its.add_argument("--quick", action="store_true", help="a minute: few rows, one pair")
    its.add_argument("--machines", metavar="NAME[,NAME]", help="columns; default: all")
    its.add_argument("--pairs", type=int, metavar="N", help="rounds of all columns (5)")
    its.add_argument("--minutes", type=float, metavar="N",
                     help="no new pair when it would take longer (30)")
    its.add_argument("--json", metavar="FILE")
    its.add_argument("--kernel", default="686", choices=["686", "686-pae"])
    its.add_argument("--memory", type=int, default=512, metavar="MIB", help="of the guest (512)")
    its.add_argument("--cpu", default=str(max(os.sched_getaffinity(0))), metavar="N",
                     help="where all of it runs; none: anywhere (the last)")
    its.add_argument("--novt", default=ROOT / "build/release/frontend/novt", metavar="PROGRAM")
    its.add_argument("--novt-args", default="", metavar="ARGS", help="more options for novt run")
    its.add_argument("--qemu", default="qemu-system-i386", metavar="PROGRAM")
    its.add_argument("--qemu-args", default="", metavar="ARGS")
    its.add_argument("--nanobench", metavar="FILE", help="nanobench.elf; default: novt's build's")
    its.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="for one boot")
    return its


def fail(text):
    """A mistake of the user, as sysexits.h has it."""
    print(f"novt bench: {text}", file=sys.stderr)
    sys.exit(64)


def names_of(text, known, what):
    names = text.split(",")
    for name in names:
        if name not in known:
            fail(f"no {what} {name!r}; --list tells what there is")
    return names


def choose(only):
    """Work for the names, which may be those of groups."""
    chosen = [name for word in only for name in GROUPS.get(word, [word])]
    nanos = "nano" in chosen or {name for name in chosen if name.startswith("nano-")}
    names = [name for name in dict.fromkeys(chosen)
             if name in ROWS or PROCESSES.fullmatch(name)]
    for name in chosen:
        if name not in names and name != "nano" and not name.startswith("nano-"):
            fail(f"no row {name!r}; --list tells what there is")
    return Work(names, nanos)


def everything(quick):
    return [*QUICK, "nano"] if quick else [*ROWS, *GROUPS["processes"], "nano"]


def parse(words):
    """(args, Work)"""
    args = parser().parse_args(words)
    args.pairs = args.pairs or (1 if args.quick else 5)
    args.minutes = args.minutes or (1 if args.quick else 30)
    args.cpu = None if args.cpu == "none" else int(args.cpu)
    args.machines = (names_of(args.machines, machines.MACHINES, "column") if args.machines
                     else list(machines.MACHINES))
    args.novt = Path(args.novt)
    args.nanobench = Path(args.nanobench or
                          args.novt.resolve().parent.parent / "guests/nanobench.elf")
    work = choose(args.only.split(",") if args.only else everything(args.quick))
    return args, work
