#!/usr/bin/env python3
"""SeaBIOS: firmware.py NOVT ENGINE.

From the reset vector to "No bootable device", by its own log: what it found of memory and chips,
and that it ran the VGA's BIOS.
"""
import os
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import skip  # noqa: E402

BIOS = "/usr/share/seabios/bios-256k.bin"
LAST = "No bootable device."

WANTED = [
    "Running on QEMU (i440fx)",
    "QEMU fw_cfg DMA interface supported",
    "addr 0x0000000000000000 len 0x0000000006000000 [RAM]", # 96 MiB
    "PCI: init bdf=00:00.0 id=8086:1237",
    "PCI: init bdf=00:01.0 id=8086:7000",
    "PCI: init bdf=00:01.1 id=8086:7010",
    "PCI: init bdf=00:01.3 id=8086:7113",
    "Using pmtimer, ioport 0x608",
    "PIIX3/PIIX4 init: elcr=00 0c",
    "PCI: init bdf=00:02.0 id=1234:1111",
    "ACPI: parse DSDT",
    "Running option rom at c000:0003",
    "VBE DISPI: lfb_addr=fd000000, size 16 MB",
    "set VGA mode 3",
    "Found 1 serial ports",
    "PS2 keyboard initialized",
    "0000000000100000 - 0000000005ffe000 = 1 RAM",
    LAST,
]


def text_of(path):
    with open(path, "rb") as file:
        return file.read().decode("latin-1")


def main():
    novt, engine = sys.argv[1:]
    if not os.path.exists(BIOS):
        skip("SeaBIOS is not installed (apt-get install seabios)")
    with tempfile.TemporaryDirectory() as directory:
        log = os.path.join(directory, "log")
        run = subprocess.Popen([novt, "run", "-engine", engine, "-m", "96", "-bios", BIOS,
                                "-serial", "null", "-debugcon", "file:" + log,
                                "-timeout", "400"], stdin=subprocess.DEVNULL)
        try:
            text = ""
            while run.poll() is None and LAST not in text:
                time.sleep(0.1)
                text = text_of(log) if os.path.exists(log) else ""
        finally:
            run.terminate()
            run.wait()
    missing = [line for line in WANTED if line not in text]
    if missing:
        print(text)
        print("not said:", *missing, sep="\n  ")
        return 1
    return 0


sys.exit(main())
