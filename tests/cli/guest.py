"""Tiny multiboot guests, assembled here by hand, and how to run novt on them."""
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import WAIT, check  # noqa: E402

LOAD = 0x100000
HEADER = 32

DEBUG_EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]

# novt leaves a signal ignored that is ignored where it starts, as in a shell's background job.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def wait_for(condition, what, *more):
    """The last value of condition(). more: functions that say what there is instead."""
    end = time.monotonic() + WAIT
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    check(value, "not seen:", what, *([] if value else [tell() for tell in more]))
    return value


def kernel(code):
    """A multiboot kernel of these instructions, entered at the first one; stack at 0x7c00."""
    magic, flags = 0x1BADB002, 0x10003
    header = struct.pack("<8I", magic, flags, -(magic + flags) & 0xFFFFFFFF, LOAD, LOAD, 0, 0,
                         LOAD + HEADER)
    return header + code + b"\xf4" * 16


def out8(port, value):
    return b"\x66\xba" + struct.pack("<H", port) + b"\xb0" + bytes([value]) + b"\xee"


def out16(port, value):
    return (b"\x66\xba" + struct.pack("<H", port) + b"\x66\xb8" + struct.pack("<H", value)
            + b"\x66\xef")


def text(string, port=0x3F8):
    return b"".join(out8(port, byte) for byte in string.encode("latin-1"))


POWER_OFF = out16(0x604, 0x2000)
RESET = out8(0x64, 0xFE)
PANIC = out8(0x505, 1)
TRIPLE_FAULT = b"\x0f\x0b"  # ud2, without an IDT
HALT = b"\xfa\xf4"
SPIN = b"\xeb\xfe"


def debug_exit(value):
    return out8(0xF4, value)


# An IDT of zeroes serves nobody: interrupts are on, the controllers mask all lines.
IDLE = out8(0x21, 0xFF) + out8(0xA1, 0xFF) + b"\xfb\xf4\xeb\xfd"

# Sends back what it receives, by polling; 'q' powers off.
ECHO = (b"\x66\xba\xfd\x03"  # 1: mov dx, LSR
        b"\xec\xa8\x01\x74\xfb"  # 2: in al, dx; test al, 1; jz 2
        b"\x66\xba\xf8\x03\xec"  # mov dx, RBR; in al, dx
        b"\x3c\x71\x74\x03"  # cmp al, 'q'; je 3
        b"\xee\xeb\xeb"  # out dx, al; jmp 1
        ) + POWER_OFF


class Novt:
    """Runs of one novt."""

    def __init__(self, program, directory, engine):
        self.program, self.directory, self.engine = program, directory, engine

    def path(self, name, content=None):
        path = os.path.join(self.directory, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def command(self, *options):
        return [self.program, "run", "-m", "16", "-engine", self.engine, *options]

    def run(self, *options, code=None, stdin=subprocess.DEVNULL, timeout=WAIT, **more):
        """(status, standard output, standard error)"""
        words = self.command(*options)
        if code is not None:
            words.append(self.path("kernel", kernel(code)))
        got = subprocess.run(words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             timeout=timeout, check=False, **more)
        return (got.returncode, got.stdout.decode("latin-1"), got.stderr.decode("latin-1"))

    def start(self, *options, code, **more):
        words = self.command(*options, self.path("kernel", kernel(code)))
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


class Terminal:
    """novt on a pseudo-terminal."""

    def __init__(self, words):
        self.text = b""
        ready, go = os.pipe()
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.close(go)
            os.read(ready, 1)  # not before its modes are known: novt changes them
            os.execv(words[0], words)
        self.before = termios.tcgetattr(self.fd)
        os.close(go)
        os.close(ready)

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += data
        return bool(data)

    def expect(self, wanted, seconds=WAIT):
        end = time.monotonic() + seconds
        while wanted not in self.text and time.monotonic() < end:
            self.read(0.1)
        return wanted in self.text

    def type(self, data):
        os.write(self.fd, data)

    def status(self, seconds=WAIT):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        return None
