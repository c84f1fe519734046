#!/usr/bin/env python3
"""GRUB from media that grub-mkrescue and grub-mkimage make: grub.py NOVT ENGINE cdrom|floppy.

Its menu is compared with golden/grub-menu.png, which leaves out the first lines: they tell its
version. Then the menu's first entry is started, by Enter.
"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "screen"))
sys.path.append(os.path.join(HERE, os.pardir))
import driven  # noqa: E402
import picture  # noqa: E402
from checks import skip  # noqa: E402

MODULES = "/usr/lib/grub/i386-pc"
BIOS = "/usr/share/seabios/bios-256k.bin"
GOLDEN = os.path.join(HERE, "golden", "grub-menu.png")
FIRST_LINE = 48
CONFIG = """terminal_output console
set timeout=-1
menuentry "novt test entry" {
  echo "started the first entry"
  sleep 36000
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
         "-p", "(memdisk)/boot/grub",
         "memdisk", "tar", "normal", "echo", "sleep", "biosdisk", "halt")
    with open(path, "wb") as image:
        for part in (os.path.join(MODULES, "boot.img"), core):
            with open(part, "rb") as file:
                image.write(file.read())
        image.truncate(1474560)
    return f"file={path},if=floppy,format=raw"


def menu(novt, engine, kind, drive):
    font = picture.bios_font()
    with driven.Driven(novt, f"grub-{kind}-{engine}", "-engine", engine, "-m", "128",
                       "-drive", drive) as machine:
        machine.wait("menu", driven.same_part(GOLDEN, 0, FIRST_LINE))
        machine.keys("ret")
        machine.wait("entry", lambda shown: any(
            line.startswith("started the first") for line in picture.read_text(shown, font)))
        machine.end()


def main():
    novt, engine, kind = sys.argv[1:]
    if missing():
        skip("not installed: " + " ".join(missing()))
    with tempfile.TemporaryDirectory() as directory:
        drive = {"cdrom": make_cdrom, "floppy": make_floppy}[kind](directory)
        return driven.run({kind: lambda: menu(novt, engine, kind, drive)}, [kind])


sys.exit(main())
