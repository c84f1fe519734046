"""Benchmarks in a Debian guest: one boot for all rows of a setup, and the same script natively.

The guest prints "BENCH-START NAME" and "BENCH NAME SECONDS", by its own monotonic clock; when the
host's disagrees by more than 5 %, that is told.
"""
import os
import re
import select
import subprocess
import time
from pathlib import Path

from novtbench import host, machines, setups
from novtbench.rows import PROCESSES, in_guest, row_of

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "guests/initramfs/benchmark"


def fetch(args, names):
    """guests/fetch's directory, None if there is no Debian."""
    parts = {part for setup, _ in setups.used(names) for part in setup.fetch}
    got = subprocess.run([ROOT / "guests/fetch", args.kernel, *sorted(parts)],
                         stdout=subprocess.PIPE, text=True)
    return None if got.returncode else Path(got.stdout.strip())


def timed_lines(process, seconds, note):
    """The lines a process prints, until it closes its output or the time is over."""
    deadline, pending = time.monotonic() + seconds, b""
    fd = process.stdout.fileno()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            note(f"no end within {seconds:.0f} s")
            return
        data = os.read(fd, 65536)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            yield line.decode("latin-1").strip("\r ")


class Run:
    """One boot: results by row, from the lines the guest prints."""

    def __init__(self, args, machine, note):
        self.args, self.machine, self.note = args, machine, note
        self.results, self.started_at, self.done = {}, {}, False
        self.processes = {}  # processes-N: what so many guest processes cost the host

    def line(self, text, seconds, pid):
        words = text.split()
        if text.startswith("novt-init:"):
            self.results["boot"] = seconds
        elif words[:1] == ["BENCH-START"]:
            self.started_at[words[1]] = seconds
        elif words[:2] == ["BENCH", "done"]:
            self.done = True
            self.results["memory"] = self.memory(host.family(pid))
        elif words[:1] == ["BENCH"] and len(words) == 3 and words[2] != "unknown":
            self.row(words[1], float(words[2]), seconds)
            if PROCESSES.fullmatch(words[1]):
                self.count_processes(words[1], host.family(pid))

    def memory(self, pids):
        return sum(host.memory_beyond(pid, self.args.memory) for pid in pids)

    def count_processes(self, name, pids):
        self.processes[name] = {"processes": len(pids), "memory": self.memory(pids),
                                "areas": max(host.areas(pid) for pid in pids)}

    def row(self, name, guest_seconds, seconds):
        self.results[name] = guest_seconds
        if name not in self.started_at:
            return  # it timed itself
        host_seconds = seconds - self.started_at[name]
        if abs(host_seconds - guest_seconds) > 0.05 + 0.05 * host_seconds:
            self.note(f"{self.machine}: the guest's clock says {guest_seconds:.3f} s for {name}, "
                      f"the host's {host_seconds:.3f} s")

    def go(self, command):
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT,
                                   preexec_fn=machines.on_one_cpu(self.args))
        last = []
        try:
            for line in timed_lines(process, machines.patience(self.args), self.note):
                last = (last + [line])[-15:]
                self.line(line, time.monotonic() - start, process.pid)
            if self.done:  # what follows is a power off
                process.wait(machines.patience(self.args))
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
            process.wait()
        if not self.done or process.returncode:
            self.note(f"{self.machine} ended with status {process.returncode}; its last lines:\n  "
                      + "\n  ".join(last))
        return self


def boot(args, machine, guest, names, setup, note, options=()):
    """One run with these rows, all of one setup."""
    wanted = ",".join(setup.in_guest(name) for name in names if in_guest(name)) or "none"
    setup.renew()
    command = machines.command(args, machine) + [
        "-kernel", str(guest / f"vmlinuz-{args.kernel}"), "-initrd", str(setup.initrd),
        "-append", f"console=ttyS0 novt.bench={wanted}", "-nographic", "-m", str(args.memory),
        *setup.options(machines.MACHINES[machine].kind), *options]
    return Run(args, machine, note).go(command)


def measure(args, machine, guest, names, note):
    """(results by row, the host's side of processes-N)"""
    results, processes = {}, {}
    for setup, its in setups.used(names):
        run = boot(args, machine, guest, its, setup, note)
        results.update({name: run.results[name] for name in its if name in run.results})
        processes.update(run.processes)
    return results, processes


def native(args, guest, names):
    """The same script on the host, for what needs no guest's devices."""
    names = [name for name in names if in_guest(name) and row_of(name).group != "io"]
    environment = dict(os.environ, BUSYBOX=str(guest / "busybox"), BENCH=str(guest / "bench"),
                       PROGRAMS=str(guest / "programs"))
    got = subprocess.run([guest / "busybox", "sh", SCRIPT, *names],
                         env=environment, stdout=subprocess.PIPE, text=True,
                         preexec_fn=machines.on_one_cpu(args))
    return {name: float(seconds) for name, seconds in
            re.findall(r"^BENCH (\S+) ([0-9.]+)$", got.stdout, re.M)}
