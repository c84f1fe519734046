#!/usr/bin/env python3
"""GRUB from media that grub-mkrescue and grub-mkimage make: grub.py NOVT ENGINE cdrom|floppy.

Its menu is compared with golden/grub-menu.png, but for the first lines, which tell its version. The
host may be slow: the picture is taken later and later until it is right. A failure leaves it beside
the test's log.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import screen

MODULES = "/usr/lib/grub/i386-pc"
BIOS = "/usr/share/seabios/bios-256k.bin"
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", "grub-menu.png")
MENU = (48, 400)
TIMES = (2, 6, 20, 60)
SKIP = 77
CONFIG = """terminal_output console
set timeout=-1
menuentry "novt test entry" {
  echo hello
}
menuentry "second" { halt }
"""


def missing():
    tools = [tool for tool in ("grub-mkrescue", "grub-mkimage", "xorriso", "mformat")
             if not shutil.which(tool)]
    return tools + [path for path in (MODULES, BIOS) if not os.path.exists(path)]


def tool(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def files(directory):
    grub = os.path.join(directory, "files", "boot", "grub")
    os.makedirs(grub)
    with open(os.path.join(grub, "grub.cfg"), "w", encoding="ascii") as file:
        file.write(CONFIG)
    return os.path.join(directory, "files")


def make_cdrom(directory):
    path = os.path.join(directory, "grub.iso")
    tool("grub-mkrescue", "-d", MODULES, "-o", path, files(directory))
    return f"file={path},media=cdrom,format=raw"


def make_floppy(directory):
    path, core = os.path.join(directory, "grub.img"), os.path.join(directory, "core.img")
    memory = os.path.join(directory, "memdisk.tar")
    tool("tar", "-C", files(directory), "-cf", memory, "boot")
    tool("grub-mkimage", "-O", "i386-pc", "-d", MODULES, "-m", memory, "-o", core,
         "-p", "(memdisk)/boot/grub", "memdisk", "tar", "normal", "echo", "biosdisk", "halt")
    with open(path, "wb") as image:
        for part in (os.path.join(MODULES, "boot.img"), core):
            with open(part, "rb") as file:
                image.write(file.read())
        image.truncate(1474560)
    return f"file={path},if=floppy,format=raw"


def shoot(novt, engine, drive, path, seconds):
    got = subprocess.run([novt, "run", "-engine", engine, "-m", "128", "-drive", drive,
                          "-display", "none", "-serial", "none",
                          "-screenshot", f"{path},at={seconds}", "-timeout", str(seconds + 1)],
                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                         timeout=seconds + 60)
    if got.returncode != 124:
        print(got.stderr)
        sys.exit(f"status {got.returncode}, not 124")


def main():
    novt, engine, kind = sys.argv[1:]
    if missing():
        print("SKIPPED: not installed:", *missing())
        return SKIP
    with tempfile.TemporaryDirectory() as directory:
        drive = {"cdrom": make_cdrom, "floppy": make_floppy}[kind](directory)
        path = os.path.join(directory, "screen.png")
        for seconds in TIMES:
            shoot(novt, engine, drive, path, seconds)
            if screen.same(path, GOLDEN, *MENU):
                return 0
        shutil.copy(path, f"grub-{kind}-{engine}.png")
    print(f"the menu is not that of {GOLDEN}: see grub-{kind}-{engine}.png in", os.getcwd())
    return 1


sys.exit(main())
