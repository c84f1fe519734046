#!/usr/bin/env python3
"""Debian's time while the host is busy: two busy loops beside novt, and one in the guest.

The kernel keeps its tick ("nohz=off highres=off"), so after SECONDS of the guest's own time as many
timer interrupts must have come as there are 1/250 s in it, within 0.1 % and what is seen to be late
at times. Those are the PIT's, or with --apic the local APIC's, whose rate is what Linux took it
for: it measures for 100 ms and is content with 1 %, a tick that comes 1 ms late. The guest's time
against the host's is printed, and judged (0.1 %) with --judge-host: for a run by hand, of 60 s.

Exit status 77: the guests are not there (ctest: skipped).
"""
import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from boot import fetch
from console import Console, Failure

HZ = 250
APIC_HZ = 1000000000  # LAPIC_TIMER_HZ of devices/lapic.h


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--novt", required=True)
    parser.add_argument("--kernel", default="686", choices=["686", "686-pae"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--loaders", type=int, default=2)
    parser.add_argument("--append", default="nohz=off highres=off")
    parser.add_argument("--judge-host", action="store_true")
    parser.add_argument("--apic", action="store_true")
    return parser.parse_args()


def command(args, guest):
    return [str(word) for word in (
        args.novt, "run", "-m", "256", "-cpu", "host" if args.apic else "host,-apic",
        "-kernel", guest / f"vmlinuz-{args.kernel}",
        "-initrd", guest / "initramfs.gz", "-append",
        f"console=ttyS0 quiet apic=verbose {args.append}",
        "-nographic", "-timeout", args.seconds + 3000)]


def read_once(console, line, number):
    """(host time, how inexact it is, the guest's uptime, ticks) at one moment; the line of
    /proc/interrupts counts these."""
    start, before = len(console.text), time.monotonic()
    end = console.answer("r=$(cat /proc/uptime /proc/interrupts); set -- $r; up=$1; "
                         f"set -- ${{r#*{line}:}}; echo now-$((0+{number}))=$up=$1=",
                         f"now-{number}=", 300)
    after = time.monotonic()
    end = console.expect("=\n", 300, end)
    match = re.search(rf"now-{number}=([\d.]+)=(\d+)=\n", console.text[start:end])
    return (before + after) / 2, (after - before) / 2, float(match[1]), int(match[2])


def tick_rate(console, args):
    """Ticks a second: the local APIC's by how many bus clocks Linux has measured in one."""
    if not args.apic:
        return HZ
    start = len(console.text)
    end = console.answer('echo clocks-$((1 + 1))=$(dmesg | grep "calibration result")=',
                         "clocks-2=", 300)
    end = console.expect("=\n", 300, end)
    return APIC_HZ / int(re.search(r"calibration result: (\d+)=", console.text[start:end])[1])


def read_clocks(console, line, number, rate):
    """Of some readings the one at which the fewest ticks were late, and how many are at times."""
    def ahead(reading):
        """The ticks against the guest's time: fewer while some are late."""
        return reading[3] - reading[2] * rate

    got = [read_once(console, line, number + i) for i in range(8)]
    return max(got, key=ahead), max(map(ahead, got)) - min(map(ahead, got))


def ticks_are_wrong(guest, ticks, late, rate):
    """/proc/uptime has 1/100 s, and the guest may be busy between the two files."""
    return abs(ticks - guest * rate) > guest * rate * 0.001 + 0.02 * rate + late


def measure(console, args):
    console.expect("# ", 500)
    console.answer("(while :; do :; done) & echo busy-$((1 + 1))", "busy-2", 300)
    line = "LOC" if args.apic else " 0"
    rate = tick_rate(console, args)
    start, late = read_clocks(console, line, 100, rate)
    time.sleep(args.seconds)
    for attempt in range(20):  # a late tick is not a lost one: the guest catches up
        end, now_late = read_clocks(console, line, 200 + 10 * attempt, rate)
        late = max(late, now_late)
        if not ticks_are_wrong(end[2] - start[2], end[3] - start[3], late, rate):
            break
    console.type("kill %1; poweroff -f\r")
    console.status(300)
    return [b - a for a, b in zip(start, end)], start[1] + end[1], late, rate


def judge(args, host, guest, ticks, inexact, late, rate):
    ppm = (guest - host) / host * 1e6
    print(f"host {host:.3f} s (within {inexact:.3f}), guest {guest:.2f} s ({ppm:+.0f} ppm), "
          f"{ticks} ticks of {guest * rate:.0f} ({rate:.3f} a second), "
          f"up to {late:.0f} late at times")
    if "nohz=off" in args.append and ticks_are_wrong(guest, ticks, late, rate):
        raise Failure("ticks were lost or made up")
    if args.judge_host and abs(guest - host) > host * 0.001 + inexact:
        raise Failure("the guest's time is not within 0.1 % of the host's")


def main():
    args = arguments()
    guest = fetch(args.kernel)
    loaders = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
               for _ in range(args.loaders)]
    console = Console(command(args, guest))
    try:
        (host, _, uptime, ticks), inexact, late, rate = measure(console, args)
        judge(args, host, uptime, ticks, inexact, late, rate)
    except Failure as failure:
        console.show()
        print(f"FAILED: {failure}")
        sys.exit(1)
    finally:
        console.kill()
        for loader in loaders:
            loader.kill()
    print("ok")


if __name__ == "__main__":
    main()
