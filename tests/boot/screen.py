"""Screens: what -screenshot wrote, compared with a picture that was looked at by a person.

Reads PNG files of 8 bits a sample, without interlacing, with what Python has.
"""
import struct
import zlib


class Picture:
    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        if data[:8] != b"\x89PNG\r\n\x1a\n":
            raise ValueError(f"{path}: no PNG file")
        at, packed = 8, b""
        while at < len(data):
            size, kind = struct.unpack_from(">I4s", data, at)
            body = data[at + 8:at + 8 + size]
            if kind == b"IHDR":
                self.width, self.height, depth, colour = struct.unpack_from(">IIBB", body)
                self.samples = {0: 1, 2: 3, 6: 4}[colour]
                if depth != 8:
                    raise ValueError(f"{path}: {depth} bits a sample")
            elif kind == b"IDAT":
                packed += body
            at += 12 + size
        self.rows = list(self.unfilter(zlib.decompress(packed)))

    def unfilter(self, raw):
        size, step = self.width * self.samples, self.samples
        above = bytearray(size)
        for y in range(self.height):
            kind, row = raw[y * (size + 1)], bytearray(raw[y * (size + 1) + 1:(y + 1) * (size + 1)])
            for x in range(size):
                left = row[x - step] if x >= step else 0
                corner = above[x - step] if x >= step else 0
                row[x] = (row[x] + self.predict(kind, left, above[x], corner)) & 255
            above = row
            yield bytes(row)

    @staticmethod
    def predict(kind, left, up, corner):
        if kind < 4:
            return (0, left, up, (left + up) // 2)[kind]
        guess = left + up - corner
        return min((left, up, corner), key=lambda value: abs(guess - value))

    def grey(self, first, end):
        """The pixels of lines [first, end) as bytes, one a pixel."""
        step = self.samples
        return b"".join(row[::step] for row in self.rows[first:end])


def same(path, golden, first, end):
    """Do the two show the same from line first up to line end?"""
    one, two = Picture(path), Picture(golden)
    return (one.width == two.width and one.height == two.height
            and one.grey(first, end) == two.grey(first, end))
