#!/usr/bin/env python3
"""Debian 12 on a disk of its own, booted by its own GRUB: debian.py NOVT virtio|ide.

To a login prompt on the serial line and one on the screen; a login on both; no warnings of the
kernel that QEMU does not give as well; ssh from this host; apt-get update; the power button.
For ide only the prompts and the button. A failure leaves the screen's picture.
Exit status 77: Debian's packages are out of reach (ctest: skipped).
"""
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from console import Console, Failure

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import fetch, free_port  # noqa: E402

HERE = Path(__file__).resolve().parent
SLOW = 15  # times of a busy host
PASSWORD = "novt"


class Guest:
    def __init__(self, novt, interface, files, directory):
        self.novt, self.monitor = novt, os.path.join(directory, "monitor")
        self.files, self.directory, self.port = files, directory, free_port()
        self.turns = 0
        self.console = Console([
            novt, "run", "-m", "512", "-serial", "stdio", "-display", "none",
            "-drive", f"file={files}/disk.qcow2,if={interface},snapshot=on",
            "-nic", f"user,hostfwd=tcp:127.0.0.1:{self.port}-:22",
            "-monitor", f"unix:{self.monitor}", "-timeout", "3400"])

    def control(self, *words):
        got = subprocess.run([self.novt, "ctl", "-s", self.monitor, *words], timeout=60 * SLOW,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if got.returncode:
            raise Failure(f"ctl {words}: status {got.returncode}, {got.stdout}")

    def run(self, command, seconds=40):
        """What the command prints on the serial line."""
        self.turns += 1
        start = len(self.console.text)
        self.console.type(f"{command}; echo turn-$(({self.turns} + 1000))=$?\r")
        end = self.console.expect(f"turn-{self.turns + 1000}=", seconds * SLOW, start)
        end = self.console.expect("\n", 10 * SLOW, end)
        return self.console.text[start:end]

    def want(self, command, wanted, seconds=40):
        got = self.run(command, seconds)
        if not re.search(wanted, got, re.M):
            raise Failure(f"{command}: no {wanted!r} in what it printed: {got[-500:]}")

    def log_in(self):
        self.console.expect("login: ", 60 * SLOW)
        self.console.type("root\r")
        self.console.expect("Password: ", 10 * SLOW)
        self.console.type(PASSWORD + "\r")
        self.console.expect("# ", 20 * SLOW)
        # No message of the kernel's in the middle of what is waited for.
        self.run("bind 'set enable-bracketed-paste off'; stty cols 500; dmesg -n 1")

    def power_down(self):
        self.control("powerdown")
        status = self.console.status(60 * SLOW)
        if status:
            raise Failure(f"the power button ended it with status {status}")


def try_screen(guest):
    """The prompt is on the screen, and who is typed in there comes in."""
    def until(command, wanted):
        guest.want(f"for i in $(seq 100); do {command} && break; sleep 0.2; done", wanted)

    until("grep -ao 'novt [l]ogin:' /dev/vcs1", "novt login:")
    guest.control("type", "root\n")
    until("grep -ao '[P]assword:' /dev/vcs1", "Password:")
    guest.control("type", PASSWORD + "\n")
    until("who | grep tty1", r"root +tty1")


def try_warnings(guest):
    known = [line for line in (HERE / "qemu-warnings.txt").read_text().splitlines()
             if line and not line.startswith("#")]
    got = re.findall(r"^<[0-4]>\[[^]]*\] (.*)$", guest.run("dmesg -r | grep '^<[0-4]>'"), re.M)
    new = [line for line in got if not any(re.search(k, line) for k in known)]
    if new:
        raise Failure("the kernel warns of what it does not warn of under QEMU:\n  "
                      + "\n  ".join(new))


def try_ssh(guest):
    key = os.path.join(guest.directory, "key")  # ssh wants it to be nobody else's
    with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write((guest.files / "key").read_bytes())
    for _ in range(4):
        got = ssh(guest, key)
        if got.returncode != 255:  # a server on a busy host may not wait for the end of a login
            break
    if got.stdout.split()[:2] != [b"i686", b"695c53e3f49b25131e94bffabd6728a7"]:
        raise Failure(f"ssh: status {got.returncode}, {got.stdout!r}")


def ssh(guest, key):
    return subprocess.run(
        ["ssh", "-q", "-i", key, "-p", str(guest.port), "-o", "StrictHostKeyChecking=no",
         "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
         "-o", f"ConnectTimeout={20 * SLOW}", "root@127.0.0.1", "uname -m; md5sum"],
        input=b"by ssh\n" * 100000, stdout=subprocess.PIPE, timeout=60 * SLOW)


def registry_reached():
    """By this host, with its own apt."""
    got = subprocess.run(["apt-get", "-q", "--print-uris", "update"], stdout=subprocess.PIPE,
                         text=True)
    for host in re.findall(r"^'http://([^/']+)/", got.stdout, re.M):
        try:
            name, _, port = host.partition(":")
            socket.create_connection((name, int(port or 80)), 10).close()
            return True
        except OSError:
            continue
    return False


def try_apt(guest):
    if not registry_reached():
        print("NOTE: no registry in reach of this host: apt-get update was not tried")
        return
    got = guest.run("apt-get -q update", 120)
    done = re.search(r"turn-\d+=0|Mirror sync in progress|Hash Sum mismatch", got)
    if not done or not re.search(r"^(Get|Hit):\d+ http", got, re.M):
        raise Failure(f"apt-get update: {got[-2000:]}")


def main():
    novt, interface = sys.argv[1:]
    files = fetch("debian") / "debian"
    with tempfile.TemporaryDirectory() as directory:
        guest = Guest(novt, interface, files, directory)
        try:
            guest.log_in()
            try_screen(guest)
            if interface == "virtio":
                try_warnings(guest)
                try_ssh(guest)
                try_apt(guest)
            guest.run("systemctl is-system-running --wait", 60)
            guest.want("systemctl is-active ssh systemd-logind", r"^active\s+active$")
            guest.power_down()
        except (Failure, subprocess.SubprocessError) as failure:
            guest.console.show()
            picture = f"debian-{interface}.png"
            subprocess.run([novt, "ctl", "-s", guest.monitor, "screenshot", picture], check=False)
            print(f"FAILED: {failure} (see {picture})")
            return 1
        finally:
            guest.console.kill()
    print("ok")
    return 0


sys.exit(main())
