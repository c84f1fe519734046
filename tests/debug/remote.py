"""gdb's remote protocol from the other side, and the symbols of an ELF file: for tests that want to
know which byte came back."""
import os
import socket
import struct
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import checks  # noqa: E402

WAIT = int(os.environ.get("DEBUG_WAIT", checks.WAIT))  # seconds: for a state that will come
# gdb takes an answer that comes later than in two seconds for a broken connection.
PATIENT = f"set remotetimeout {WAIT}"


def symbols(path):
    """{name: address} of a 32-bit ELF file."""
    with open(path, "rb") as file:
        data = file.read()
    offset, = struct.unpack_from("<I", data, 32)
    size, count = struct.unpack_from("<HH", data, 46)
    sections = [struct.unpack_from("<10I", data, offset + i * size) for i in range(count)]
    found = {}
    for section in sections:
        if section[1] != 2:  # SHT_SYMTAB
            continue
        names = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], 16):
            name, value = struct.unpack_from("<II", data, at)
            end = data.index(b"\0", names + name)
            found[data[names + name:end].decode()] = value
    return found


class Gone(Exception):
    """The other side has closed the connection."""


class Remote:
    """A connection to a stub."""

    def __init__(self, path, ack=False):
        end = time.monotonic() + WAIT
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                self.socket.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.socket.settimeout(WAIT)
        self.bytes = b""
        self.ack = True
        if not ack:
            assert self.ask("QStartNoAckMode") == "OK"
            self.socket.sendall(b"+")
            self.ack = False

    def close(self):
        self.socket.close()

    def send(self, text):
        data = text.encode("latin-1") if isinstance(text, str) else text
        self.socket.sendall(b"$" + data + b"#%02x" % (sum(data) & 255))

    def byte(self):
        if not self.bytes:
            self.bytes = self.socket.recv(65536)
            if not self.bytes:
                raise Gone
        byte, self.bytes = self.bytes[:1], self.bytes[1:]
        return byte

    def receive(self):
        """The next packet's data."""
        while self.byte() != b"$":
            pass
        data = b""
        while (byte := self.byte()) != b"#":
            data += bytes([self.byte()[0] ^ 0x20]) if byte == b"}" else byte
        self.byte(), self.byte()
        if self.ack:
            self.socket.sendall(b"+")
        return data.decode("latin-1")

    def ask(self, text):
        self.send(text)
        return self.receive()

    def monitor(self, words):
        self.send("qRcmd," + words.encode().hex())
        text = ""
        while (reply := self.receive()).startswith("O") and reply != "OK":
            text += bytes.fromhex(reply[1:]).decode("latin-1")
        assert reply == "OK", reply
        return text

    # Registers by the numbers of gdb/registers.def.
    NUMBERS = {name: i for i, name in enumerate(
        "eax ecx edx ebx esp ebp esi edi eip eflags cs ss ds es fs gs".split())}

    def register(self, name):
        return struct.unpack("<I", bytes.fromhex(self.ask(f"p{self.NUMBERS[name]:x}")))[0]

    def set_register(self, name, value):
        return self.ask(f"P{self.NUMBERS[name]:x}={struct.pack('<I', value).hex()}")

    def memory(self, address, size):
        return bytes.fromhex(self.ask(f"m{address:x},{size:x}"))

    def word(self, address):
        return struct.unpack("<I", self.memory(address, 4))[0]

    def set_word(self, address, value):
        reply = self.ask(f"M{address:x},4:{struct.pack('<I', value).hex()}")
        assert reply == "OK", reply

    def step(self):
        """One instruction: where it led."""
        reply = self.ask("s")
        assert reply.startswith("T05"), reply
        return self.register("eip")

    def go(self):
        """Until it stops: the reply."""
        return self.ask("c")

    def interrupt(self):
        self.socket.sendall(b"\x03")
        return self.receive()


class Guest:
    """novt with a stub at a socket, stopped before its first instruction."""

    def __init__(self, novt, directory, *options, stopped=True, environment=None):
        self.path = os.path.join(directory, "gdb")
        self.serial = os.path.join(directory, "serial")
        words = [novt, "run", "-m", "64", "-gdb", "unix:" + self.path, "-serial",
                 "file:" + self.serial, *(["-S"] if stopped else []), *options]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE,
                                        env={**os.environ, **(environment or {})})

    def connect(self, **more):
        return Remote(self.path, **more)

    def end(self):
        """(status, standard error)"""
        try:
            _, err = self.process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, err = self.process.communicate()
        return self.process.returncode, err.decode()
