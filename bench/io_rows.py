"""The rows of bench/compare about disks, networks and the screen: images, a listener, options.

Both machines get copies of the same images, made before each boot: what one has written is not
there for the other. The images are in the host's page cache, so that the host's disk is not what
is measured.
"""
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

MIB = 1 << 20
DATA, FRESH = 192, 96  # MiB with data, and never written: guests/initramfs/benchmark-io

READ = {"qemu": (0.5, 0.25)}
RANDOM = {"qemu": (0.7, 0.35)}
WRITE = {"qemu": (1.0, 0.5)}

# name up to the format: (what it is, what is required of it)
DISK_ROWS = {
    "read": ("disk read, 768 MiB by 1 MiB", READ),
    "direct": ("the same past the guest's cache", READ),
    "write": ("disk write, 96 MiB never written before", WRITE),
    "again": ("disk write, the same 3 times again", WRITE),
    "rand": ("20 000 random reads of 4 KiB", RANDOM),
    "rand32": ("40 000, 32 at a time", RANDOM),
    "randwrite": ("10 000 random writes of 4 KiB", WRITE),
    "randwrite32": ("20 000, 32 at a time", WRITE),
}
ROWS = {f"{name}-{form}": (f"{form}: {what}", "s", compared)
        for form in ("raw", "qcow2") for name, (what, compared) in DISK_ROWS.items()}
ROWS["tcp"] = ("512 MiB by TCP to the host, user network", "s", READ)
ROWS["redraw"] = ("200 pictures of 1024x768x32", "s", READ)


class Sink:
    """Takes connections, reads all, then closes."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        buffer = bytearray(MIB)
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                while connection.recv_into(buffer):
                    pass

    def close(self):
        self.socket.close()


class Devices:
    """What a machine of these rows has, in a folder of its own; a context manager."""

    def __init__(self, args):
        self.args = args

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="novt-compare-"))
        self.sink = Sink()
        with open(self.image("raw", "master"), "wb") as raw:
            block = bytes(range(1, 251)) * (MIB // 250 + 1)
            for i in range(DATA):
                raw.write(block[i:i + MIB])
            raw.truncate((DATA + FRESH) * MIB)
        subprocess.run([str(self.args.novt), "image", "convert", "-O", "qcow2",
                        self.image("raw", "master"), self.image("qcow2", "master")], check=True)
        return self

    def __exit__(self, *_):
        self.sink.close()
        shutil.rmtree(self.folder)

    def image(self, form, which):
        return str(self.folder / f"{which}.{form}")

    def renew(self):
        """Fresh copies, all of them on the host's disk before anybody measures."""
        for form in ("raw", "qcow2"):
            subprocess.run(["cp", "--sparse=always", self.image(form, "master"),
                            self.image(form, "copy")], check=True)
        subprocess.run(["sync", self.image("raw", "copy"), self.image("qcow2", "copy")], check=True)

    def in_guest(self, name):
        """How guests/initramfs/benchmark calls it."""
        return f"io-tcp-{self.sink.port}" if name == "tcp" else f"io-{name}"

    def options(self, machine):
        card = "virtio-net-pci" if machine == "qemu" else "virtio"
        options = ["-nic", f"user,model={card}", "-vga", "std"]
        for form in ("raw", "qcow2"):
            options += ["-drive", f"file={self.image(form, 'copy')},format={form},if=virtio"]
        return options


def make_initramfs(guest, folder):
    """One file of both archives: QEMU takes one. Archives begin at multiples of four bytes."""
    first = (guest / "initramfs.gz").read_bytes()
    path = folder / "initramfs"
    path.write_bytes(first + bytes(-len(first) % 4) + (guest / "initramfs-drivers").read_bytes())
    return path
