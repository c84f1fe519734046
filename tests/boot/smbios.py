#!/usr/bin/env python3
"""What Debian's kernel reads of the SMBIOS tables: smbios.py NOVT kernel|grub.

By -kernel the tables are novt's own, by GRUB from a CD-ROM SeaBIOS puts them into memory and
writes the structure about itself. Each way once as the board is, once as -smbios and -uuid say.

Exit status 77: the guests or what makes the CD-ROM are not there (ctest: skipped).
"""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import fetch, skip  # noqa: E402
from console import Console, Failure  # noqa: E402

MODULES = "/usr/lib/grub/i386-pc"
APPEND = "console=ttyS0 quiet"
CONFIG = f"linux /vmlinuz {APPEND}\ninitrd /initramfs\nboot\n"
BOARD = {"sys_vendor": "QEMU", "product_name": "Standard PC (i440FX + PIIX, 1996)",
         "product_version": "pc-i440fx", "chassis_vendor": "QEMU", "chassis_type": "1",
         "bios_vendor": {"kernel": "novt", "grub": "SeaBIOS"}, "bios_date": "04/01/2014"}
OPTIONS = ["-uuid", "00112233-4455-6677-8899-aabbccddeeff",
           "-smbios", "type=0,vendor=Acme,, Inc.,version=7,date=01/02/2023,release=3.4",
           "-smbios", "type=1,manufacturer=M,product=P,serial=S 1,sku=K,family=F",
           "-smbios", "type=2,product=B,asset=A 2", "-smbios", "type=3,serial=C3"]
SAID = {"product_uuid": "00112233-4455-6677-8899-aabbccddeeff", "bios_vendor": "Acme, Inc.",
        "bios_version": "7", "bios_date": "01/02/2023", "bios_release": "3.4", "sys_vendor": "M",
        "product_name": "P", "product_serial": "S 1", "product_sku": "K", "product_family": "F",
        "board_name": "B", "board_asset_tag": "A 2", "chassis_serial": "C3"}


def make_cdrom(guest, directory):
    tree, image = Path(directory, "tree"), Path(directory, "boot.iso")
    (tree / "boot/grub").mkdir(parents=True)
    (tree / "boot/grub/grub.cfg").write_text(CONFIG, encoding="ascii")
    shutil.copy(guest / "vmlinuz-686", tree / "vmlinuz")
    shutil.copy(guest / "initramfs.gz", tree / "initramfs")
    subprocess.run(["grub-mkrescue", "-d", MODULES, "-o", image, tree], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return ["-cdrom", str(image), "-display", "none"]


def media(way, guest, directory):
    if way == "kernel":
        return ["-kernel", str(guest / "vmlinuz-686"), "-initrd", str(guest / "initramfs.gz"),
                "-append", APPEND]
    missing = [tool for tool in ("grub-mkrescue", "xorriso", "mformat") if not shutil.which(tool)]
    if missing or not Path(MODULES).exists():
        skip("GRUB's tools are not installed")
    return make_cdrom(guest, directory)


def look(command, way, wanted):
    console = Console(command)
    try:
        console.expect("This is a shell inside the guest", 500)
        for name, value in wanted.items():
            value = value[way] if isinstance(value, dict) else value
            console.answer(f"echo =$(cat /sys/class/dmi/id/{name})=", f"\n={value}=\n", 60)
        console.type("poweroff -f\r")
        if console.status(60):
            raise Failure("the guest did not power off")
    finally:
        print(console.text[-1500:])
        console.kill()


def main():
    novt, way = sys.argv[1:]
    guest = fetch("686")
    with tempfile.TemporaryDirectory() as directory:
        command = [novt, "run", "-m", "256", *media(way, guest, directory)]
        try:
            look(command, way, BOARD)
            look([*command, *OPTIONS], way, SAID)
        except Failure as failure:
            print(f"FAILED: {failure}")
            return 1
    print("ok")
    return 0


sys.exit(main())
