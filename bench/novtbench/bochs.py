"""Bochs: it starts no kernels by itself; GRUB does, on a CD-ROM image.

Its time stamp counter counts its own instructions: the nanobenchmarks tell when a round starts and
ends ("marks"), and the host's clock is what counts.
"""
import os
import pty
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from novtbench import host, machines

GRUB = """\
set timeout=0
terminal_output console
menuentry novt {{ multiboot /nano nano {append} }}
"""
CONFIG = """\
config_interface: textconfig
display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
megs: 64
ata0-master: type=cdrom, path={folder}/nano.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={folder}/serial
clock: sync=none
cpu: ips=50000000
log: {folder}/log
panic: action=fatal
speaker: enabled=0
sound: driver=dummy
"""
def make_medium(args, folder, append):
    files = folder / "files/boot/grub"
    files.mkdir(parents=True)
    (files / "grub.cfg").write_text(GRUB.format(append=append), encoding="ascii")
    shutil.copy(args.nanobench, folder / "files/nano")
    subprocess.run(["grub-mkrescue", "-o", folder / "nano.iso", folder / "files"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (folder / "bochsrc").write_text(CONFIG.format(folder=folder), encoding="ascii")


class Rounds:
    """Cycles of the host's counter for the quickest round of each benchmark."""

    def __init__(self, hz):
        self.hz, self.start, self.best = hz, 0, {}

    def line(self, text, seconds):
        got = re.match(r"NANO-(FROM|TO) (\S+) (\d+)", text)
        if got and got.group(1) == "FROM":
            self.start = seconds
        elif got:
            name = f"nano-{got.group(2)}"
            cycles = (seconds - self.start) * self.hz / int(got.group(3))
            self.best[name] = min(cycles, self.best.get(name, cycles))


def follow(path, process, seconds):
    """Lines that appear in a file, with the time of each, until the process ends."""
    deadline = time.monotonic() + seconds
    with open(path, encoding="latin-1") as file:
        pending = ""
        while time.monotonic() < deadline:
            over = process.poll() is not None
            pending += file.read()
            now = time.monotonic()
            *lines, pending = pending.split("\n")
            for line in lines:
                yield line.strip(), now
            if over or "DONE" in pending or any("DONE" in line for line in lines):
                return
            time.sleep(0.0002)


def start(args, folder):
    """The process and its terminal: Debian's Bochs has no display without one, and its debugger
    waits for a "c"."""
    ours, its = pty.openpty()
    process = subprocess.Popen(["bochs", "-q", "-f", folder / "bochsrc"], stdin=its, stdout=its,
                               stderr=its, env=dict(os.environ, TERM="linux"),
                               start_new_session=True, preexec_fn=machines.on_one_cpu(args))
    os.close(its)
    os.write(ours, b"c\n")
    threading.Thread(target=drain, args=(ours,), daemon=True).start()
    return process


def drain(terminal):
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        os.close(terminal)  # the process has ended


def nano(args, words, note):
    """words: for the guest's command line"""
    with tempfile.TemporaryDirectory(prefix="novt-bench-") as name:
        folder = Path(name)
        make_medium(args, folder, " ".join(["marks", *words]))
        (folder / "serial").touch()
        process = start(args, folder)
        rounds = Rounds(host.tsc_hz())
        try:
            for line, at in follow(folder / "serial", process, machines.patience(args)):
                rounds.line(line, at)
        finally:
            process.kill()
            process.wait()
        if not rounds.best:
            note("Bochs: the nanobenchmarks did not start")
        return rounds.best
