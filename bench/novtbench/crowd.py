"""Many guests at once: guests/crowd.c N times, each with 32 MiB, all on the same CPU.

All are started first and sleep; then all are told to work. What counts is the time until the last
is done, for each of them: were nothing lost, it would not grow with N.
"""
import os
import select
import subprocess
import time

from novtbench import host, machines

GUEST_MIB = 32
ROUNDS, QUICK_ROUNDS = 160, 40  # of each guest's work
BESIDE_MIB = 100  # for each, at most: what a monitor has of its own


def fits(count):
    """Has the host memory for them?"""
    return count * (GUEST_MIB + BESIDE_MIB) < host.memory_mib("MemAvailable")


def start(args, machine):
    command = machines.command(args, machine) + [
        "-kernel", str(args.crowd), "-nographic", "-m", str(GUEST_MIB), "-append",
        f"rounds={QUICK_ROUNDS if args.quick else ROUNDS}",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, preexec_fn=machines.on_one_cpu(args))


def wait_for(word, guests, seconds):
    """Until each has said it; False if one ended before or the time was over."""
    deadline = time.monotonic() + seconds
    said = {guest.stdout.fileno(): b"" for guest in guests}
    while said:
        ready = select.select(list(said), [], [], max(0, deadline - time.monotonic()))[0]
        if not ready:
            return False
        for fd in ready:
            data = os.read(fd, 4096)
            said[fd] += data
            if word in said[fd]:
                del said[fd]
            elif not data:
                return False
    return True


def seconds_each(args, machine, count):
    """What one guest's work took, done together with count - 1 others; None if it was not done."""
    guests = []
    try:
        for _ in range(count):
            guests.append(start(args, machine))
        if not wait_for(b"READY", guests, machines.patience(args)):
            return None
        began = time.monotonic()
        for guest in guests:
            guest.stdin.write(b"g")
            guest.stdin.flush()
        done = wait_for(b"DONE", guests, machines.patience(args))
        return (time.monotonic() - began) / count if done else None
    except BrokenPipeError:
        return None
    finally:
        for guest in guests:
            guest.kill()
            guest.communicate()


def measure(args, machine, counts, note):
    results = {}
    for count in counts:
        title = machines.MACHINES[machine].title
        if not fits(count):
            note(f"{title}: the host has no memory for {count} guests")
            continue
        its = seconds_each(args, machine, count)
        if its is None:
            note(f"{title}: {count} guests at once did not all get done")
            continue
        results[f"crowd-{count}"] = its
    return results
