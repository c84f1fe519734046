"""What a Debian guest is started with: initrd, devices, and what guests/fetch gets for it."""
import contextlib

import io_rows
from novtbench.rows import row_of


class Setup:
    """One that needs nothing but an initrd of guests/fetch's directory."""

    def __init__(self, initrd, fetch=()):
        self.initrd_name, self.fetch = initrd, fetch

    def open(self, args, guest):
        """Before the first boot; a context manager for all of them."""
        self.initrd = guest / self.initrd_name
        return contextlib.nullcontext()

    def renew(self):
        """Before each boot."""

    def options(self, kind):
        """For "novt" or "qemu"."""
        return []

    def in_guest(self, name):
        """The word for guests/initramfs/benchmark."""
        return name


class Devices(Setup):
    """Disks, a network card and a screen (io_rows.py)."""

    def __init__(self):
        super().__init__("initramfs.gz", ("drivers",))

    @contextlib.contextmanager
    def open(self, args, guest):
        with io_rows.Devices(args) as self.devices:
            self.initrd = io_rows.make_initramfs(guest, self.devices.folder)
            yield

    def renew(self):
        self.devices.renew()

    def options(self, kind):
        return self.devices.options(kind)

    def in_guest(self, name):
        return self.devices.in_guest(name)


SETUPS = {
    "plain": Setup("initramfs.gz"),
    "programs": Setup("initramfs-programs", ("programs",)),
    "io": Devices(),
}


def used(names):
    """Those of these rows, with the rows of each."""
    for key, setup in SETUPS.items():
        its = [name for name in names if row_of(name).setup == key]
        if its:
            yield setup, its
