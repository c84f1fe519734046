#!/usr/bin/env python3
"""A Debian guest writes files to a qcow2 disk with ext4 and novt is killed: disk_kill.py NOVT
INTERFACE ROUNDS. Then the image is sound, as QEMU sees it, too, and every file for which the guest
had its fsync answered is there, whole. The next round goes on with the same disk. In the last one
the image may not grow beyond a limit, and novt is killed when the guest has had its error.

Exit status 77: the guest, or the tools for ext4, are not there (ctest: skipped).
"""
import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import fetch, skip  # noqa: E402


INIT = """#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
echo 1 > /proc/sys/kernel/printk
for m in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk \\
    crct10dif_common crct10dif_generic crc-t10dif crc64 crc64-rocksoft t10-pi scsi_common \\
    scsi_mod libata ata_piix sd_mod crc16 libcrc32c crc32c_generic mbcache jbd2 ext4; do
    insmod /drivers/$m.ko 2>/dev/null
done
mkdir /disk
n=$(sed 's/.*kill.first=\\([0-9]*\\).*/\\1/' /proc/cmdline)
i=0
until [ -b /dev/vda ] || [ -b /dev/sda ] || [ $i = 100 ]; do i=$((i + 1)); sleep 0.1; done
for d in /dev/vda /dev/sda; do [ -b $d ] && mount -t ext4 $d /disk; done
echo "KILL mounted $(grep -c /disk /proc/mounts)"
(while true; do
    dd if=/dev/urandom of=/disk/noise bs=64k count=60 2>/dev/null || echo KILL noise
    rm /disk/noise
done) &
while true; do
    dd if=/dev/urandom of=/disk/f$n bs=1000 count=$((1 + n * 7 % 90)) conv=fsync 2>/dev/null ||
        echo "KILL error"
    echo "KILL file f$n $(sha256sum < /disk/f$n)"
    n=$((n + 1))
done
"""


def cpio(name, data):
    """An archive in the kernel's format with one executable."""
    out = b""
    for path, mode, content in ((name, 0o100755, data), ("TRAILER!!!", 0, b"")):
        fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + path.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + content
        out += b"\0" * (-len(out) % 4)
    return out


def run(*words, good=(0,)):
    done = subprocess.run([str(w) for w in words], text=True, timeout=500,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode not in good:
        print(f"FAIL {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}")
        sys.exit(1)


def leave_no_room(process, folder):
    """The image may grow by a few files more. (The signal of that limit is ignored by novt.)"""
    most = (folder / "disk.qcow2").stat().st_size + (3 << 20)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))


def one_round(novt, guest, folder, interface, files, full):
    """Boots, waits for some files or for an error, kills."""
    command = [novt, "run", "-m", "128", "-kernel", guest / "vmlinuz-686", "-initrd",
               f"{guest}/initramfs.gz,{guest}/initramfs-drivers,{folder}/init.cpio",
               "-append", f"console=ttyS0 quiet rdinit=/init-kill kill.first={len(files)}",
               "-drive", f"file={folder}/disk.qcow2,format=qcow2,if={interface}",
               "-serial", "stdio", "-display", "none", "-timeout", "3000"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace")
    wanted = len(files) + (10000 if full else random.randint(5, 25))
    killer, failed, seen = None, False, []
    for line in process.stdout:
        seen.append(line)
        words = line.split()
        if words[:2] == ["KILL", "file"] and len(words) >= 4 and len(words[3]) == 64:
            files[words[2]] = words[3]
        if words[:2] == ["KILL", "mounted"] and full:
            leave_no_room(process, folder)
        if words[:2] == ["KILL", "error"]:
            failed = True
            break
        if len(files) >= wanted and not killer:
            killer = threading.Timer(random.random() / 4, process.kill)
            killer.start()
    process.kill()
    if process.wait() != -9 or failed != full or (len(files) < wanted and not full):
        print(f"FAIL status {process.returncode}, {len(files)} files of {wanted}\n",
              "".join(seen[-30:]))
        sys.exit(1)


def look(novt, folder, files):
    disk, flat = folder / "disk.qcow2", folder / "flat"
    if shutil.which("qemu-img"):
        run("qemu-img", "check", disk)
    else:
        print("there is no qemu-img (apt-get install qemu-utils): novt alone has looked")
    run(novt, "image", "check", disk)
    run(novt, "image", "convert", disk, flat)
    run("e2fsck", "-fy", flat, good=(0, 1))  # 1: the journal was replayed
    for name, want in files.items():
        run("debugfs", "-R", f"dump /{name} {folder}/out", flat)
        got = hashlib.sha256((folder / "out").read_bytes()).hexdigest()
        if got != want:
            print(f"FAIL {name}: {got}, want {want}")
            sys.exit(1)


def main():
    novt, interface, rounds = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if not all(map(shutil.which, ("mke2fs", "e2fsck", "debugfs"))):
        skip("no e2fsprogs")
    guest = fetch("686", "drivers")
    files = {}
    with tempfile.TemporaryDirectory(prefix="novt-kill-") as name:
        folder = Path(name)
        (folder / "init.cpio").write_bytes(cpio("init-kill", INIT.encode()))
        run("mke2fs", "-q", "-t", "ext4", folder / "flat", "64M")
        run(novt, "image", "convert", "-f", "raw", "-O", "qcow2", folder / "flat",
            folder / "disk.qcow2")
        for n in range(rounds + 1):
            began = time.monotonic()
            one_round(novt, guest, folder, interface, files, n == rounds)
            look(novt, folder, files)
            print(f"{interface}: {len(files)} files, {time.monotonic() - began:.1f} s", flush=True)
    return 0


sys.exit(main())
