"""The command line."""
import argparse
import os
import time
from pathlib import Path

from novtbench import machines
from novtbench.errors import fail
from novtbench.rows import CROWD, GROUPS, NANOS, PROCESSES, ROWS
from novtbench.schedule import Work

ROOT = Path(__file__).resolve().parents[2]
QUICK_ENDS = 1.9  # what has begun within the minute may take so many
QUICK = ["boot", "getppid", "pipe", "fork", "sse2", "nano", "counters"]


def parser():
    its = argparse.ArgumentParser(prog="novt bench", allow_abbrev=False, description=
                                  "Measures what virtualization costs on this host.",
                                  epilog="novt bench compare OLD.json NEW.json says what became "
                                         "slower; --counters: of the counters alone.")
    its.add_argument("--only", metavar="NAME[,NAME]", help="rows or groups of them; see --list")
    its.add_argument("--list", action="store_true", help="say what can be measured, and on what")
    its.add_argument("--quick", action="store_true", help="a minute: few rows, one pair")
    its.add_argument("--machines", metavar="NAME[,NAME]", help="columns; default: all")
    its.add_argument("--pairs", type=int, metavar="N", help="rounds of all columns (5)")
    its.add_argument("--minutes", type=float, metavar="N",
                     help="no new pair when it would take longer (30)")
    its.add_argument("--json", metavar="FILE", help="all of it, for programs")
    its.add_argument("--csv", metavar="FILE", help="a line for each sample")
    its.add_argument("--html", metavar="FILE", help="a report with charts, one file")
    its.add_argument("--kernel", default="686", choices=["686", "686-pae"])
    its.add_argument("--memory", type=int, default=512, metavar="MIB", help="of the guest (512)")
    its.add_argument("--cpu", default=str(max(os.sched_getaffinity(0))), metavar="N",
                     help="where all of it runs; none: anywhere (the last)")
    its.add_argument("--novt", type=Path, metavar="PROGRAM",
                     default=ROOT / "build/release/frontend/novt")
    its.add_argument("--novt-args", default="", metavar="ARGS", help="more options for novt run")
    its.add_argument("--qemu", default="qemu-system-i386", metavar="PROGRAM")
    its.add_argument("--qemu-args", default="", metavar="ARGS")
    its.add_argument("--guests", type=Path, metavar="FOLDER",
                     help="with our own guests; default: those of novt's build")
    its.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="for one boot")
    return its


def check_names(names, known, what):
    for name in names:
        if not known(name):
            fail(f"no {what} {name!r}; --list tells what there is")


def is_guest_row(name):
    return name in ROWS or PROCESSES.fullmatch(name)


def is_row(name):
    return (is_guest_row(name) or CROWD.fullmatch(name) or name in ("nano", "counters")
            or (name.startswith("nano-") and name[5:] in NANOS))


def choose(only):
    """Work for the names, which may be those of groups."""
    chosen = list(dict.fromkeys(name for word in only for name in GROUPS.get(word, [word])))
    check_names(chosen, is_row, "row")
    return Work(names=[name for name in chosen if is_guest_row(name)],
                nanos="nano" in chosen or {n for n in chosen if n.startswith("nano-")},
                crowds=[int(CROWD.fullmatch(n).group(1)) for n in chosen if CROWD.fullmatch(n)],
                counters="counters" in chosen)


def everything(quick):
    return QUICK if quick else [*ROWS, *GROUPS["processes"], *GROUPS["crowd"], "nano", "counters"]


def find_guests(args):
    """Our own guests: beside novt's build, else where all of this is installed."""
    built = args.novt.resolve().parent.parent / "guests"
    folder = args.guests or (built if (built / "nanobench.elf").exists() else ROOT / "guests")
    args.nanobench, args.native, args.crowd = (
        folder / name for name in ("nanobench.elf", "nanobench-native", "crowd.elf"))
    if not args.nanobench.exists():
        fail(f"{args.nanobench} is not there; build novt (./quickstart build)", os.EX_NOINPUT)


def check_outputs(args):
    """They are written at the end; who cannot write is told now."""
    for path in (args.json, args.csv, args.html):
        folder = os.path.dirname(path or "") or "."
        if path and (os.path.isdir(path) or not os.access(folder, os.W_OK)):
            fail(f"cannot write '{path}'; name a file in a folder of yours", os.EX_CANTCREAT)


def parse_cpu(text):
    if text == "none":
        return None
    allowed = os.sched_getaffinity(0)
    if not text.isdigit() or int(text) not in allowed:
        fail(f"--cpu {text}: not one of {', '.join(map(str, sorted(allowed)))}")
    return int(text)


def positive(name, value, default):
    if value is not None and value <= 0:
        fail(f"--{name} {value:g}: more than 0 is needed")
    return value or default


def parse(words):
    """(args, Work)"""
    args = parser().parse_args(words)
    args.pairs = positive("pairs", args.pairs, 1 if args.quick else 5)
    args.minutes = positive("minutes", args.minutes, 1 if args.quick else 30)
    args.began = time.monotonic()
    args.ends = args.began + args.minutes * 60 * (QUICK_ENDS if args.quick else 1)
    args.cpu = parse_cpu(args.cpu)
    args.machines = args.machines.split(",") if args.machines else list(machines.MACHINES)
    check_names(args.machines, machines.MACHINES.get, "column")
    work = choose(args.only.split(",") if args.only else everything(args.quick))
    if not args.list:
        find_guests(args)
        check_outputs(args)
    return args, work
