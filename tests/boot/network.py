#!/usr/bin/env python3
"""Networks with Debian's drivers: network.py NOVT PART MODEL; MODEL is virtio or e1000.

  user     DHCP; files from and to a server on the host, and from a server in the guest, compared;
           the frames of all that, as -nic dump= or -object filter-dump kept them
  socket   two guests on one line: ping, a file; one of them goes and comes back. By virtio one
           has the modern interface, the other the legacy one
  tap      an interface in a network namespace of our own: ping, files both ways

All addresses are this machine's own. Exit status 77: something is not there (ctest: skipped).
"""
import hashlib
import http.server
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

from console import Console, Failure

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import fetch, free_port, skip  # noqa: E402

SIZE = 6 << 20
DATA = random.Random(7).randbytes(SIZE)
SUM = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
MODULES = {
    "virtio": ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev",
               "virtio_pci", "failover", "net_failover", "virtio_net"],
    "e1000": ["e1000"],
}
# What DHCP says is done, and said.
LEASE = ("#!/bin/sh\\n[ $1 = bound ] || exit 0\\nip addr add $ip/$mask dev $interface\\n"
         "ip route add default via $router\\necho lease $ip $router $dns\\n")


class Guest:
    """A shell in a guest whose network card's driver is there."""

    def __init__(self, novt, model, nic, *options):
        files = fetch("686", "drivers")
        card = (["-nic", f"{nic},model={model}"] if model == "virtio" else
                ["-device", f"{model},netdev=n0", "-netdev", f"{nic},id=n0"])
        self.turns = 0
        self.console = Console([
            novt, "run", "-m", "256", "-kernel", str(files / "vmlinuz-686"),
            "-initrd", f"{files}/initramfs.gz,{files}/initramfs-drivers",
            "-append", "console=ttyS0 quiet", "-nographic", "-timeout", "3000",
            *card, *options])
        try:
            self.console.expect("This is a shell", 1000)
            self.run("stty cols 500; for m in " + " ".join(MODULES[model]) +
                     "; do insmod /drivers/$m.ko || echo NO $m; done; ip link set eth0 up")
        except Failure:
            self.end()
            raise

    def run(self, command, seconds=1000):
        """What the command prints."""
        self.turns += 1
        start = len(self.console.text)
        self.console.type(f"{command}; echo turn-$(({self.turns} + 1000))=$?\r")
        try:
            end = self.console.expect(f"turn-{self.turns + 1000}=", seconds, start)
        except Failure:
            self.console.show()
            raise
        return self.console.text[start:end]

    def want(self, command, wanted, seconds=1000):
        got = self.run(command, seconds)
        if wanted not in got:
            raise Failure(f"{command}: no {wanted!r} in what it printed: {got[-500:]}")

    def end(self):
        self.console.kill()

    def power_off(self):
        self.console.type("poweroff -f\r")
        if self.console.status(200):
            raise Failure("novt did not end well")


class Serves(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(SIZE))
        self.end_headers()
        self.wfile.write(DATA)

    def log_message(self, format, *args):
        pass


def serve(address):
    server = http.server.ThreadingHTTPServer((address, 0), Serves)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


class Sink:
    """Takes one connection and sums up what comes."""

    def __init__(self, address):
        self.socket = socket.create_server((address, 0))
        self.socket.settimeout(1000)
        self.port = self.socket.getsockname()[1]
        self.sum = None
        self.thread = threading.Thread(target=self.take, daemon=True)
        self.thread.start()

    def take(self):
        digest = hashlib.md5(usedforsecurity=False)
        connection = self.socket.accept()[0]
        with connection:
            while data := connection.recv(1 << 16):
                digest.update(data)
        self.sum = digest.hexdigest()

    def check(self):
        self.thread.join(1000)
        if self.sum != SUM:
            raise Failure("what the guest sent is not what the host got")


def there_and_back(guest, address, host):
    """A file from the host, and the same back."""
    port, sink = serve(host), Sink(host)
    guest.want(f"wget -q -O /tmp/data http://{address}:{port}/; md5sum /tmp/data", SUM)
    guest.run(f"nc {address} {sink.port} < /tmp/data")
    sink.check()


def frames(path):
    """What tcpdump would find: (bytes kept, of how many)."""
    data, at = Path(path).read_bytes(), 24
    if data[:24] != struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 200, 1):
        raise Failure(f"{path} does not begin as it should: {data[:24]}")
    while at < len(data):
        kept, size = struct.unpack_from("=8xII", data, at)
        yield data[at + 16:at + 16 + kept], size
        at += 16 + kept
    if at != len(data):
        raise Failure(f"{path} ends within a frame")


def check_frames(path):
    """Pings go both ways, and a file's bytes have come."""
    pings, total = {0: 0, 8: 0}, 0
    for frame, size in frames(path):
        if len(frame) != min(size, 200):
            raise Failure(f"{len(frame)} of {size} bytes of a frame")
        total += size
        if frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] in pings:
            pings[frame[34]] += 1
    if pings != {0: 3, 8: 3} or total < 3 * SIZE:
        raise Failure(f"{path}: {pings} pings, {total} bytes")


def user(novt, model):
    with tempfile.TemporaryDirectory() as folder:
        user_dumped(novt, model, f"{folder}/frames")
        check_frames(f"{folder}/frames")


def user_dumped(novt, model, path):
    port, udp = free_port(), free_port()
    dump = (f",id=n,dump={path},dumplen=200", ()) if model == "virtio" else (
        "", ("-object", f"filter-dump,id=f,netdev=n0,file={path},maxlen=200"))
    guest = Guest(novt, model, f"user,hostfwd=tcp:127.0.0.1:{port}-:80,"
                               f"hostfwd=udp:127.0.0.1:{udp}-:53{dump[0]}", *dump[1])
    try:
        guest.run(f"printf '{LEASE}' > /tmp/lease; chmod +x /tmp/lease")
        guest.want("udhcpc -i eth0 -n -q -t 60 -s /tmp/lease", "lease 10.0.2.15 10.0.2.2 10.0.2.3")
        guest.want("ping -c 3 10.0.2.2", "3 packets received")
        there_and_back(guest, "10.0.2.2", "127.0.0.1")
        guest.run("httpd -p 80 -h /tmp")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/data", timeout=1000) as reply:
            got = reply.read()
        if got != DATA:
            raise Failure("what the guest's server has is not what comes by hostfwd")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(3):
                sender.sendto(b"by UDP\n", ("127.0.0.1", udp))
        # Nobody listens there (busybox has no such program), which the guest's kernel counts.
        guest.want("for i in $(seq 200); do set -- $(grep '^Udp: [0-9]' /proc/net/snmp);"
                   " [ $3 -ge 3 ] && break; sleep 0.2; done; echo unheard-$3", "unheard-3")
        guest.power_off()
    finally:
        guest.end()


def address(guest, number):
    guest.run(f"ip addr add 192.168.77.{number}/24 dev eth0")


def check_interface(guest, model, modern):
    """By VIRTIO_F_VERSION_1, which the kernel and the card have agreed on."""
    if model == "virtio":
        guest.want("echo bit-$(cut -c33 /sys/bus/virtio/devices/virtio0/features)", f"bit-{modern}")


def line(novt, model):
    with tempfile.TemporaryDirectory() as folder:
        path = f"socket,path={folder}/line"
        one, two = Guest(novt, model, path, "-virtio", "modern"), None
        try:
            two = Guest(novt, model, path, "-virtio", "legacy")
            check_interface(one, model, 1)
            check_interface(two, model, 0)
            address(one, 1)
            address(two, 2)
            two.want("ping -c 3 192.168.77.1", "3 packets received")
            one.run("awk 'BEGIN { for (i = 0; i < 300000; i++) print i * 7919 }' > /tmp/data;"
                    "httpd -p 80 -h /tmp")
            wanted = one.run("md5sum < /tmp/data").split()
            wanted = next(word for word in wanted if len(word) == 32)
            two.want("wget -q -O - http://192.168.77.1/data | md5sum", wanted)
            one.end() # the one that listens: the other finds its successor
            one = Guest(novt, model, path)
            address(one, 3)
            one.want("for i in $(seq 100); do ping -c 1 192.168.77.2 && break; done", "bytes from")
            one.power_off()
            two.power_off()
        finally:
            one.end()
            if two:
                two.end()


def tap(novt, model):
    if os.environ.get("NOVT_NAMESPACE") != "yes":
        os.environ["NOVT_NAMESPACE"] = "yes"
        try:
            again = subprocess.run(["unshare", "-Urn", sys.executable] + sys.argv)
        except FileNotFoundError:
            skip("no unshare here, so no network namespace of our own")
        if again.returncode == 1 and not Path("/proc/self/ns/net").exists():
            skip("no network namespaces here")
        sys.exit(again.returncode)
    for command in ("ip tuntap add dev novt0 mode tap", "ip addr add 192.168.78.1/24 dev novt0",
                    "ip link set novt0 up", "ip link set lo up"):
        if subprocess.run(command.split()).returncode:
            skip("no tap interface may be made here, so -nic tap was not tried")
    guest = Guest(novt, model, "tap,ifname=novt0")
    try:
        guest.run("ip addr add 192.168.78.2/24 dev eth0")
        guest.want("ping -c 3 192.168.78.1", "3 packets received")
        there_and_back(guest, "192.168.78.1", "192.168.78.1")
        guest.power_off()
    finally:
        guest.end()


def main():
    novt, part, model = sys.argv[1:]
    try:
        {"user": user, "socket": line, "tap": tap}[part](novt, model)
    except Failure as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
    print("ok")


if __name__ == "__main__":
    main()
