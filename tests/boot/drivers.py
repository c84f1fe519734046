#!/usr/bin/env python3
"""Debian's drivers on our devices: drivers.py NOVT MODE PART...

A guest boots with the drivers of its kernel's package (guests/initramfs/init-drivers) and works
with each device; MODE is transitional, modern or legacy, for which interface virtio devices have
(transitional: and interrupts by lines, not by MSI-X), or none when there are none among the parts.
Parts:

  rng       bytes come, and do not repeat
  console   a line there and back, the terminal's size, also when it changes, and more output than
            the terminal takes at once
  balloon   the guest's free memory goes back to the host, and comes again
  share     files from both sides, names, attributes; ways out of the folder that must not be
  disk      checksums of what the guest reads and of what it wrote, on either side
  ide       the same for 64 MiB of an IDE disk, by DMA
  failing_ide, failing_virtio
            a disk with a bad place, and one that the host has no more room for: what fails is an
            error, all else is right, and the guest goes on
  cdrom     a disc's checksum; its tray opens and closes
  floppy    a disk's checksum, and a sector written

Exit status 77: the guests are not there (ctest: skipped).
"""
import fcntl
import hashlib
import json
import os
import pty
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import fetch, skip  # noqa: E402

MIB = 1 << 20
FILE_MAX = 16 << 30 # of novt's files


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def noise(size, seed):
    return random.Random(seed).randbytes(size)


class Wrong(Exception):
    pass


def want(text, line):
    if f"DRIVERS {line}\n" not in text:
        raise Wrong(f"no line: {line}")


def want_not(text, part):
    if part in text:
        raise Wrong(f"there is: {part}")


# ---- The parts: options of novt, what to do meanwhile, what to look for after ----


class Rng:
    options = ["-device", "virtio-rng-pci"]

    def __init__(self, folder):
        pass

    def meanwhile(self, process):
        pass

    def check(self, text):
        want(text, "rng current virtio_rng.0")
        packed = int(text.split("DRIVERS rng 65536 bytes, packed ")[1].split()[0])
        if packed < 65536:
            raise Wrong(f"64 KiB of random bytes can be packed into {packed}")
        want_not(text, "twice the same")


class Console:
    """On a terminal, which has a size at first and another one later."""

    def __init__(self, folder):
        self.master, self.terminal = pty.openpty()
        self.options = ["-virtcon", "mon:stdio"]
        self.heard = b""
        tty.setraw(self.terminal)
        self.resize(40, 100)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def take_terminal(self):
        """In the child: as a shell in its window has it."""
        os.setsid()
        fcntl.ioctl(self.terminal, termios.TIOCSCTTY, 0)

    def meanwhile(self, process):
        os.close(self.terminal)
        answers = [(b"hello from the guest\n", lambda: os.write(self.master, b"a line\n")),
                   (b"size 40 100\n", lambda: self.resize(50, 132))]
        while chunk := self.read():
            self.heard += chunk
            if answers and answers[0][0] in self.heard:
                answers.pop(0)[1]()

    def read(self):
        try:
            return os.read(self.master, 65536)
        except OSError:  # how Linux tells that the other side is closed
            return b""

    def check(self, text):
        want(text, "console heard a line")
        lines = self.heard.split(b"\n")
        expected = [b"hello from the guest", b"echo: a line", b"size 40 100", b"size 50 132",
                    b"x" * 200000, b"end of output", b""]
        if lines != expected:
            raise Wrong(f"the console said {[line[:40] for line in lines]}")


class Balloon:
    wanted = 112 * MIB  # of the guest's 256 MiB

    def __init__(self, folder):
        self.monitor = f"{folder}/monitor"
        self.options = ["-device", f"virtio-balloon,target={self.wanted >> 20}M",
                        "-monitor", f"unix:{self.monitor}"]
        self.held, self.statistics = 0, None

    def ask(self, process, *words):
        """The monitor's answer; empty: nobody answers (yet)."""
        got = subprocess.run([process.args[0], "ctl", "-s", self.monitor, "-json", *words],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return {} if got.returncode else json.loads(got.stdout)["return"]

    def meanwhile(self, process):
        """Once the guest has lent all that we want: what its memory takes of the host's. Then it
        may have all back, for which it waits."""
        while (process.poll() is None and
               self.ask(process, "balloon").get("memory_mib") != self.wanted >> 20):
            time.sleep(0.1)
        self.held = self.host_memory(process)
        self.statistics = self.ask(process, "info", "balloon").get("statistics")
        self.ask(process, "balloon", "256")

    @staticmethod
    def host_memory(process):
        """Bytes that the file of the guest's memory takes; 0: it has ended."""
        try:
            for fd in Path(f"/proc/{process.pid}/fd").iterdir():
                if "novt-ram" in os.readlink(fd):
                    return os.stat(fd).st_blocks * 512
        except OSError:
            pass
        return 0

    def check(self, text):
        want(text, "balloon took more than 100 MB")
        want(text, "balloon gave back as much")
        want(text, "balloon gave back 1")
        want(text, "balloon memory is good")
        if not self.statistics or not 0 < self.statistics["total"] < 256 * MIB:
            raise Wrong(f"the driver's statistics are {self.statistics}")
        if not 0 < self.held <= self.wanted:
            raise Wrong(f"the host holds {self.held >> 20} MiB for {self.wanted >> 20}")


class Share:
    def __init__(self, folder):
        self.share = folder / "share"
        self.outside = folder / "outside"
        self.share.mkdir()
        self.outside.mkdir()
        self.big = noise(3000000, 1)
        (self.share / "from-host").write_text("the host was here\n")
        (self.share / "big").write_bytes(self.big)
        (self.share / "out").symlink_to("../outside")
        (self.outside / "secret").write_text("secret\n")
        self.options = ["-share", f"{self.share}"]

    def meanwhile(self, process):
        pass

    def check(self, text):
        for line in ("host says the host was here", f"big sum {sha256(self.big)}",
                     f"copy sum {sha256(self.big)}", "moved", "link says the guest was here",
                     "links 2", "mode 600", "time 981173106", "size 1048576", "cut to 100",
                     "names 104", "df 1", "unmounted"):
            want(text, f"share {line}")
        for part in ("share read", "share wrote", "share removed", "cannot mount"):
            want_not(text, part)
        if (self.share / "copy").read_bytes() != self.big:
            raise Wrong("the copy that the guest made is another file")
        moved = self.share / "made/moved"
        if moved.read_text() != "the guest was here\n" or moved.stat().st_mode & 0o7777 != 0o600:
            raise Wrong("the guest's file is another one on the host")
        if sorted(path.name for path in self.outside.iterdir()) != ["secret"]:
            raise Wrong("something is new outside of the folder")


class Disk:
    size = 24 * MIB

    def __init__(self, folder):
        self.path, self.stats = folder / "disk.img", folder / "stats.json"
        self.before = noise(self.size, 2)
        self.path.write_bytes(self.before)
        self.options = ["-drive", f"file={self.path},format=raw,if=virtio",
                        "-stats-json", self.stats]

    def meanwhile(self, process):
        pass

    def check(self, text):
        data = "".join(f"line {i * 7919 % 1000003}\n" for i in range(200000)).encode()
        after = bytearray(self.before)
        after[64 * 4096:64 * 4096 + len(data)] = data
        want(text, f"disk sum {sha256(self.before)}")
        want(text, f"disk wrote {sha256(data)}")
        want(text, f"disk read {sha256(data)}")
        want(text, f"disk sum now {sha256(bytes(after))}")
        if self.path.read_bytes() != after:
            raise Wrong("the image holds something else")
        self.check_counters(json.loads(self.stats.read_text())["devices"])

    def check_counters(self, devices):
        """What the host has in memory is read while the driver notifies; an interrupt is for what
        a notification found done, or a thread."""
        drive = devices["drive virtio0"]
        chip = next(its for name, its in devices.items() if name.startswith("virtio-blk@"))
        if drive["read_bytes"] < self.size or drive["written_bytes"] < MIB or drive["errors"]:
            raise Wrong(f"the drive says {drive}")
        if chip["interrupts"] > chip["kicks"] + drive["wakes"] + 1:
            raise Wrong(f"an interrupt for nothing: {chip}, {drive}")
        if reads_without_waiting(self.path) and 2 * drive["reads_at_once"] < drive["reads"]:
            raise Wrong(f"reads waited for threads: {drive}")


def reads_without_waiting(path):
    """Whether this host's files can be read so: not all file systems know it."""
    with open(path, "rb") as file:
        try:
            return os.preadv(file.fileno(), [bytearray(4096)], 0, os.RWF_NOWAIT) == 4096
        except OSError:
            return False


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Ide:
    half = 64 * MIB

    def __init__(self, folder):
        self.path = folder / "ide.img"
        self.before = noise(self.half, 3)
        with open(self.path, "wb") as file:
            file.write(self.before)
            file.truncate(2 * self.half)
        self.options = ["-drive", f"file={self.path},format=raw,if=ide,index=0"]

    def meanwhile(self, process):
        pass

    def check(self, text):
        want(text, f"ide novt disk        {2 * self.half // 512} sectors")
        want(text, "ide mode XFER_MW_DMA_2")
        for what in ("sum", "copy"):
            want(text, f"ide {what} {md5(self.before)}")
        want(text, f"ide direct {md5(self.before[1000 * 4096:1064 * 4096])}")
        want_not(text, "ide cannot write")
        if self.path.read_bytes() != self.before * 2:
            raise Wrong("the image holds something else")


class Failing:
    """A qcow2 image in which one entry points into the middle of a cluster: reading it is EIO. And
    a raw one that reaches over the largest size that novt's files may have (FILE_MAX)."""
    cluster, count, bad = 1 << 16, 64, 20
    lines = (b"the guest was here\n" * (8 * MIB))[:8 * MIB]

    def __init__(self, folder):
        self.path, self.full = folder / "bad.qcow2", folder / "full.img"
        self.data = noise(self.count * self.cluster, 6)
        self.path.write_bytes(self.image())
        with open(self.full, "wb") as file:
            file.truncate(FILE_MAX + 64 * MIB)
        bad, full = self.places
        self.options = ["-drive", f"file={self.path},format=qcow2,{bad}",
                        "-drive", f"file={self.full},format=raw,{full}"]

    def image(self):
        """Clusters: header, L1, L2, refcount table, refcounts, data."""
        copied, first = 1 << 63, 5
        header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, len(self.data), 0, 1,
                             self.cluster, 3 * self.cluster, 1, 0, 0)
        entries = [copied | (first + i) * self.cluster for i in range(self.count)]
        entries[self.bad] += 512
        parts = [header, struct.pack(">Q", copied | 2 * self.cluster),
                 struct.pack(f">{self.count}Q", *entries), struct.pack(">Q", 4 * self.cluster),
                 struct.pack(">H", 1) * (first + self.count), self.data]
        return b"".join(part.ljust(self.cluster, b"\0") for part in parts)

    def meanwhile(self, process):
        pass

    def disk(self, what, text):
        """The guest's name for it."""
        found = re.search(f"DRIVERS {what} ({self.disks}) ", text)
        if not found:
            raise Wrong(f"no {what} disk")
        return found[1]

    def check(self, text):
        bad, full = (self.disk(what, text) for what in ("bad", "full"))
        want(text, f"bad {bad} before {md5(self.data[:self.bad * self.cluster])}")
        want(text, f"bad {bad} fails")
        want(text, f"bad {bad} after {md5(self.data[(self.bad + 1) * self.cluster:])}")
        want(text, f"bad {bad} at sector 2560")
        want(text, f"full {full} fails")
        want(text, f"full {full} at sector {FILE_MAX // 512}")
        want(text, f"full {full} holds {md5(self.lines[:4 * MIB])} {md5(self.lines)}")
        want_not(text, "is lost")
        with open(self.full, "rb") as file:
            if file.read(9 * MIB) != bytes(MIB) + self.lines:
                raise Wrong("the image holds something else")


class FailingIde(Failing):
    places, disks = ("if=ide,index=1", "if=ide,index=3"), "sd[a-z]"


class FailingVirtio(Failing):
    places, disks = ("if=virtio,serial=bad", "if=virtio,serial=full"), "vd[a-z]"


# In a mount namespace: FOLDER/small is a file system, of which `filler` takes a part until
# FOLDER/free appears; the images are carried out of it at the end.
SMALL = """
cd "$1" && shift && mount -t tmpfs -o size=24M small small && cp disk.* small/ || exit 77
head -c 8388608 /dev/zero > small/filler
(while [ ! -e free ] && kill -0 $$; do sleep 0.2; done; rm small/filler) 2>/dev/null &
"$@"
status=$?
touch free
mv small/disk.* .
exit $status
"""


class Space:
    lines = Failing.lines[:4 * MIB]

    def __init__(self, folder):
        self.folder, self.monitor = folder, f"{folder}/monitor"
        (folder / "small").mkdir()
        self.images = [folder / "disk.qcow2", folder / "disk.raw"]
        with open(self.images[1], "wb") as file:
            file.truncate(64 * MIB)
        subprocess.run([sys.argv[1], "image", "create", "-q", "-f", "qcow2", self.images[0],
                        "64M"], check=True)
        self.options = ["-drive", f"file={folder}/small/disk.qcow2,if=virtio,serial=space",
                        "-drive", f"file={folder}/small/disk.raw,format=raw,index=0",
                        "-monitor", f"unix:{self.monitor}"]

    def around(self, command):
        for way in (["unshare", "-Urm"], ["unshare", "-m"]):
            if not subprocess.run([*way, "mount", "-t", "tmpfs", "small", self.folder / "small"],
                                  stderr=subprocess.DEVNULL).returncode:
                return [*way, "sh", "-c", SMALL, "sh", self.folder, *command]
        skip("no file system can be mounted here (user namespaces are forbidden)")

    def failed(self):
        """Both disks have given the guest errors, and it has done with that: it has flushed. Room
        before that would be found by a driver that tries again, and filled."""
        got = subprocess.run([sys.argv[1], "ctl", "-s", self.monitor, "-json", "stats"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if got.returncode:
            return False
        devices = json.loads(got.stdout)["return"]["devices"]
        return bool(devices["drive virtio0"]["flushes"])

    def meanwhile(self, process):
        while process.poll() is None and not self.failed():
            time.sleep(0.2)
        (self.folder / "free").touch()

    def check(self, text):
        lines, part = md5(self.lines), md5(self.lines[:2 * MIB])
        counts = []
        for disk in ("vd[a-z]", "sd[a-z]"):
            name = re.search(f"DRIVERS space ({disk}) wrote", text)[1]
            want(text, f"space {name} wrote 64, holds {lines}")
            want(text, f"space {name} fails")
            want(text, f"space {name} then wrote 32, holds {part} {lines}")
            counts.append(int(re.search(f"DRIVERS space {name} count (\\d+)", text)[1]))
        if not 0 < counts[0] + counts[1] <= 128:
            raise Wrong(f"{counts} times 64 KiB went into 8 MiB")
        self.check_images(counts)

    def check_images(self, counts):
        """What the guest was told it had written, and nothing but that and zeros."""
        novt, raw = sys.argv[1], self.folder / "raw"
        for tool in [[novt, "image"], *([["qemu-img"]] if shutil.which("qemu-img") else [])]:
            checked = subprocess.run([*tool, "check", self.images[0]], stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True)
            if checked.returncode:
                raise Wrong(f"{tool} check: {checked.stdout}")
        subprocess.run([novt, "image", "convert", "-O", "raw", self.images[0], raw], check=True)
        for path, count in zip((raw, self.images[1]), counts):
            data = path.read_bytes()
            if (data[:4 * MIB] != self.lines or
                    data[8 * MIB:8 * MIB + (count << 16)] != (Failing.lines * 2)[:count << 16]):
                raise Wrong(f"{path.name} holds something else")


class Cdrom:
    def __init__(self, folder):
        self.path = folder / "cd.iso"
        self.disc = noise(20 * MIB, 4)
        self.path.write_bytes(self.disc)
        self.options = ["-cdrom", f"{self.path}"]

    def meanwhile(self, process):
        pass

    def check(self, text):
        want(text, "cdrom mode XFER_MW_DMA_2")
        want(text, f"cdrom sum {md5(self.disc)}")
        want(text, "cdrom tray +4 +0 +2 +0 +4")
        want(text, f"cdrom again {md5(self.disc[:100 * 2048])}")


class Floppy:
    def __init__(self, folder):
        self.path = folder / "floppy.img"
        self.before = noise(1440 * 1024, 5)
        self.path.write_bytes(self.before)
        self.options = ["-drive", f"file={self.path},format=raw,if=floppy"]

    def meanwhile(self, process):
        pass

    def check(self, text):
        want(text, f"floppy sum {md5(self.before)}")
        want(text, "floppy now the guest was here")
        after = self.path.read_bytes()
        at, line = 100 * 512, b"the guest was here\n"
        if after[at:at + len(line)] != line or after[:at] != self.before[:at]:
            raise Wrong("the image holds something else")


PARTS = {"ide": Ide, "failing_ide": FailingIde, "failing_virtio": FailingVirtio, "space": Space,
         "cdrom": Cdrom, "floppy": Floppy,
         "rng": Rng, "console": Console, "balloon": Balloon, "share": Share, "disk": Disk}


# The kernel's command line: where interrupts are not to come as messages but by the shared lines.
LINES = {"transitional": "pci=nomsi"}


def limit_files():
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_MAX, hard))


def prepare(terminals):
    limit_files()
    for part in terminals:
        part.take_terminal()


def run(novt, mode, names, folder):
    guest = fetch("686", "drivers")
    parts = [PARTS[name](folder) for name in names]
    command = [novt, "run", "-m", "256", "-kernel", guest / "vmlinuz-686",
               "-initrd", f"{guest}/initramfs.gz,{guest}/initramfs-drivers",
               "-append", f"console=ttyS0 quiet {LINES.get(mode, '')} rdinit=/init-drivers "
               f"novt.drivers={','.join(names)}", "-serial", f"file:{folder}/serial",
               "-timeout", "3000"]
    if mode != "none":
        command += ["-virtio", mode]
    for part in parts:
        command += part.options
    for part in parts:
        command = part.around(command) if hasattr(part, "around") else command
    terminals = [part for part in parts if hasattr(part, "terminal")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE,
                               preexec_fn=lambda: prepare(terminals),
                               **{stream: terminals[0].terminal if terminals else
                                  subprocess.DEVNULL for stream in ("stdin", "stdout")})
    threads = [threading.Thread(target=part.meanwhile, args=(process,), daemon=True)
               for part in parts]
    for thread in threads:
        thread.start()
    errors = process.communicate()[1].decode(errors="replace")
    for thread in threads:
        thread.join(100)
    text = (folder / "serial").read_text(errors="replace").replace("\r", "")
    return text + errors, process.returncode, parts


def main():
    novt, mode, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder:
        text, status, parts = run(novt, mode, names, Path(folder))
        wrong = [] if status == 0 else [f"novt ended with status {status}"]
        for part in parts:
            try:
                part.check(text)
                want(text, "end")
            except (Wrong, OSError, IndexError) as error:
                wrong.append(f"{type(part).__name__}: {error}")
        if mode != "none" and f"status 0x000000{'07' if mode == 'legacy' else '0f'}" not in text:
            wrong.append(f"no driver took the {mode} interface")
        if mode != "none" and ("PCI-MSI" in text) != (mode not in LINES):
            wrong.append("the drivers' interrupts come in the wrong way")
    if wrong:
        print(text)
        print("WRONG:", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
