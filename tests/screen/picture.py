"""Pictures: reading PNG files as novt writes them (8-bit RGB), comparing, writing what is wrong."""
import struct
import zlib


class Picture:
    """width, height, and rows of RGB bytes."""

    def __init__(self, width, height, rows):
        self.width, self.height, self.rows = width, height, rows

    def pixel(self, x, y):
        return tuple(self.rows[y][3 * x:3 * x + 3])


def _unfilter(kind, line, above):
    if kind == 0:
        return line
    if kind == 2:
        return bytes(a + b & 0xFF for a, b in zip(line, above))
    out = bytearray(line)
    for i, byte in enumerate(line):
        left = out[i - 3] if i >= 3 else 0
        up = above[i]
        corner = above[i - 3] if i >= 3 else 0
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + up) // 2
        else:
            p = left + up - corner
            near = sorted((abs(p - v), i, v) for i, v in enumerate((left, up, corner)))
            guess = near[0][2]
        out[i] = (byte + guess) & 0xFF
    return bytes(out)


def read_png(path):
    data = open(path, "rb").read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", f"{path} is no PNG file"
    at, packed, size = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        crc, = struct.unpack(">I", data[at + 8 + length:at + 12 + length])
        assert zlib.crc32(kind + body) == crc
        if kind == b"IHDR":
            size = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    assert size[2:] == (8, 2, 0, 0, 0), size
    width, height = size[:2]
    raw, rows, above = zlib.decompress(packed), [], bytes(3 * width)
    for y in range(height):
        line = raw[y * (3 * width + 1):(y + 1) * (3 * width + 1)]
        above = _unfilter(line[0], line[1:], above)
        rows.append(above)
    return Picture(width, height, rows)


def write_png(path, picture):
    def chunk(kind, body):
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    raw = b"".join(b"\0" + bytes(row) for row in picture.rows)
    with open(path, "wb") as out:
        head = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
        out.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
                  + chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b""))


def draw(width, height, colour):
    """colour(x, y): (red, green, blue)"""
    return Picture(width, height,
                   [b"".join(bytes(colour(x, y)) for x in range(width)) for y in range(height)])


def difference(got, want):
    """None, or a sentence."""
    if (got.width, got.height) != (want.width, want.height):
        return f"{got.width}x{got.height}, want {want.width}x{want.height}"
    for y in range(want.height):
        if got.rows[y] != want.rows[y]:
            x = next(x for x in range(want.width) if got.pixel(x, y) != want.pixel(x, y))
            return f"at {x},{y}: {got.pixel(x, y)}, want {want.pixel(x, y)}"
    return None


# --- Text ------------------------------------------------------------------------

def bios_font(path="/usr/share/seabios/vgabios-stdvga.bin"):
    """The 8x16 glyphs in the VGA BIOS: 256 x 16 bytes."""
    rom = open(path, "rb").read()
    face = bytes.fromhex("00007e81a58181bd9981817e00000000")
    return rom[rom.index(bytes(16) + face):][:4096]


def read_text(picture, font, dots=9):
    """What is written on a text screen, by its glyphs, whatever the colours; '?' for others."""
    glyphs = {font[16 * c:16 * c + 16]: chr(c) for c in range(127, 31, -1)}
    lines = []
    for row in range(picture.height // 16):
        line = ""
        for column in range(picture.width // dots):
            cell = [[picture.pixel(column * dots + x, row * 16 + y) for x in range(8)]
                    for y in range(16)]
            back = cell[0][0]
            bits = bytes(sum((p != back) << (7 - x) for x, p in enumerate(r)) for r in cell)
            line += glyphs.get(bits, "?")
        lines.append(line.rstrip())
    return lines
