"""A VNC client: raw pixels, one update after the other, keys and the pointer. RFC 6143."""
import os
import socket
import struct
import sys
import time

from picture import Picture

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import WAIT  # noqa: E402

RAW, DESKTOP_SIZE = 0, -223
SHIFTED = '~!@#$%^&*()_+{}|:"<>?'
RETURN, SHIFT = 0xFF0D, 0xFFE1


class Client:
    def __init__(self, port, host="127.0.0.1", patience=WAIT):
        end = time.monotonic() + patience
        while True:
            try:
                self.socket = socket.create_connection((host, port), patience)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self._read(12)
        self.socket.sendall(b"RFB 003.008\n")
        types = self._read(self._read(1)[0])
        assert 1 in types, types
        self.socket.sendall(b"\x01")
        assert self._read(4) == bytes(4)
        self.socket.sendall(b"\x01")
        self.width, self.height = struct.unpack(">HH", self._read(4))
        self._read(16)
        self.name = self._read(struct.unpack(">I", self._read(4))[0])
        self.socket.sendall(struct.pack(">BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255,
                                        0, 8, 16))
        self.socket.sendall(struct.pack(">BxHii", 2, 2, RAW, DESKTOP_SIZE))
        self.pixels = bytearray(self.width * self.height * 4)
        self.asked = False

    def _read(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError("the server is gone")
            data += part
        return data

    def update(self, whole=False, seconds=60):
        """The rectangles of the next update; None when none comes in that time."""
        if not self.asked or whole:
            self.socket.sendall(struct.pack(">BBHHHH", 3, not whole, 0, 0, self.width, self.height))
        self.asked = True
        self.socket.settimeout(seconds)
        try:
            kind = self._read(1)[0]
        except socket.timeout:
            return None
        finally:
            self.socket.settimeout(WAIT)
        if kind == 3:
            self._read(3)
            self._read(struct.unpack(">I", self._read(4))[0])
        if kind != 0:
            return []
        self.asked = False
        return self._rectangles(struct.unpack(">xH", self._read(3))[0])

    def _rectangles(self, count):
        seen = []
        for _ in range(count):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self._read(12))
            if encoding == DESKTOP_SIZE:
                self.width, self.height = width, height
                self.pixels = bytearray(width * height * 4)
                continue
            assert encoding == RAW, encoding
            data = self._read(width * height * 4)
            for line in range(height):
                at = ((y + line) * self.width + x) * 4
                self.pixels[at:at + width * 4] = data[line * width * 4:(line + 1) * width * 4]
            seen.append((x, y, width, height))
        return seen

    def wait_for(self, condition, seconds=WAIT):
        """Whole updates until the picture is as wanted; the last one's."""
        end = time.monotonic() + seconds
        while True:
            self.update(whole=True)
            shown = self.picture()
            if condition(shown) or time.monotonic() > end:
                return shown
            time.sleep(0.2)

    def picture(self):
        """The pixels' order was chosen so that bytes are red, green, blue, none."""
        rows = []
        for y in range(self.height):
            line = self.pixels[y * self.width * 4:(y + 1) * self.width * 4]
            row = bytearray(3 * self.width)
            row[0::3], row[1::3], row[2::3] = line[0::4], line[1::4], line[2::4]
            rows.append(bytes(row))
        return Picture(self.width, self.height, rows)

    def key(self, symbol, down=None):
        for state in ((True, False) if down is None else (down,)):
            self.socket.sendall(struct.pack(">BBxxI", 4, state, symbol))

    def type(self, text):
        for character in text:
            shift = character in SHIFTED or character.isupper()
            if shift:
                self.key(SHIFT, True)
            self.key(RETURN if character == "\n" else ord(character))
            if shift:
                self.key(SHIFT, False)
            time.sleep(0.02)

    def pointer(self, x, y, buttons=0):
        self.socket.sendall(struct.pack(">BBHH", 5, buttons, x, y))

    def close(self):
        self.socket.close()
