#!/usr/bin/env python3
"""What guests/vga.S draws, on the screen: screen.py NOVT VGA.IMG [CASE...]

Each case is a function case_* below. Pictures are compared with what this file works out; one that
is wrong stays as screen-CASE.png in the current folder.
"""
import fcntl
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import desktop
import picture
import rfb
from desktop import Desktop, Logged, until, wait_for

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import WAIT, check, failures, free_port, skip  # noqa: E402

VGA_BIOS = "/usr/share/seabios/vgabios-stdvga.bin"
WHAT = 0x1F8
TEXT, MODE_13, MODE_X, MODE_12, VBE, KEYS, REDRAW, LARGEST = range(8)


class Novt:
    def __init__(self, program, image):
        self.program, self.image = program, image
        self.folder = tempfile.mkdtemp(prefix="novt-screen-")
        self.last = None

    def disk(self, what):
        path = os.path.join(self.folder, f"vga{what}.img")
        with open(self.image, "rb") as original:
            data = bytearray(original.read())
        data[WHAT] = what
        with open(path, "wb") as copy:
            copy.write(data)
        return path

    def command(self, what, *options):
        return [self.program, "run", "-m", "32", "-boot", "order=a", "-drive",
                f"file={self.disk(what)},format=raw,if=floppy", "-timeout", "3000", *options]

    def shot(self, what, *options, status=0):
        path = os.path.join(self.folder, f"shot{what}.png")
        got = subprocess.run(self.command(what, "-display", "none", "-expect", "DONE",
                                          "-screenshot", path, *options),
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT)
        check(got.returncode == status, "status", got.returncode, got.stderr[-500:],
              got.stdout[-300:])
        return path

    def start(self, what, *options, **more):
        self.last = subprocess.Popen(self.command(what, *options), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
        return self.last

    def tell(self):
        """How the last one is, or has ended, and what it has said since it was last read from."""
        if self.last:
            self.last.kill()
            print("novt: status", self.last.wait(), self.last.stdout.read(), flush=True)


def compare(name, got, want):
    wrong = picture.difference(got, want)
    check(wrong is None, name, wrong)
    if wrong:
        picture.write_png(f"screen-{name}.png", got)
        picture.write_png(f"screen-{name}-want.png", want)


# --- Pictures ----------------------------------------------------------------------

EGA = [(0, 0, 0), (0, 0, 2), (0, 2, 0), (0, 2, 2), (2, 0, 0), (2, 0, 2), (2, 1, 0), (2, 2, 2),
       (1, 1, 1), (1, 1, 3), (1, 3, 1), (1, 3, 3), (3, 1, 1), (3, 1, 3), (3, 3, 1), (3, 3, 3)]


def ega(colour):
    return tuple(part * 85 for part in EGA[colour])


def dac(colour):
    return tuple((part & 63) << 2 | (part & 63) >> 4 for part in (colour, 3 * colour, 63 - colour))


def text_want():
    font = picture.bios_font()

    def colour(x, y):
        n = y // 16 * 80 + x // 9
        code, attribute = n & 0xFF, n * 7 & 0x7F
        bits = font[code * 16 + y % 16]
        dot = 7 if x % 9 == 8 else x % 9
        lit = bits >> (7 - dot) & 1 and (x % 9 < 8 or 0xC0 <= code <= 0xDF)
        return ega(attribute & 15 if lit else attribute >> 4)
    return picture.draw(720, 400, colour)


def case_text(novt):
    compare("text", picture.read_png(novt.shot(TEXT)), text_want())


def case_mode_13(novt):
    compare("mode13", picture.read_png(novt.shot(MODE_13)),
            picture.draw(640, 400, lambda x, y: dac((x // 2 ^ y // 2) & 0xFF)))


def case_mode_x(novt):
    compare("modex", picture.read_png(novt.shot(MODE_X)),
            picture.draw(640, 480, lambda x, y: dac(x // 2 + y // 2 * 2 & 0xFF)))


def case_mode_12(novt):
    def colour(x, y):
        number = x // 8 + y // 16 & 15
        return ega(number ^ 15 if y == 240 else number)
    compare("mode12", picture.read_png(novt.shot(MODE_12)), picture.draw(640, 480, colour))


def vbe_want(width=1024, height=768):
    rows = [b"".join((n * 0x10305 & 0xFFFFFF).to_bytes(3, "big")
                     for n in range(y * width, (y + 1) * width)) for y in range(height)]
    return picture.Picture(width, height, rows)


def case_vbe(novt):
    compare("vbe", picture.read_png(novt.shot(VBE)), vbe_want())


def case_largest(novt):
    compare("largest", picture.read_png(novt.shot(LARGEST)), vbe_want(1920, 1200))


def case_interpreter(novt):
    compare("interp", picture.read_png(novt.shot(MODE_X, "-engine", "interp")),
            picture.draw(640, 480, lambda x, y: dac(x // 2 + y // 2 * 2 & 0xFF)))


# --- VNC ------------------------------------------------------------------------------

def text_of(shown):
    return "\n".join(picture.read_text(shown, picture.bios_font()))


def case_vnc(novt):
    port = free_port()
    process = novt.start(KEYS, "-display", f"vnc=127.0.0.1:{port - 5900}")
    try:
        client = rfb.Client(port)
        wait_for(process, b"READY")
        client.type("Hello, 42: {}|~ \"x\"")
        wait_for(process, b'"x"')
        shown = client.wait_for(lambda shown: 'Hello, 42: {}|~ "x"' in text_of(shown))
        check('Hello, 42: {}|~ "x"' in text_of(shown), "on the screen:", text_of(shown)[:200])
        client.type("q")
        wait_for(process, b"DONE")
        # Small changes are small rectangles: soon only the cursor blinks.
        for _ in range(20):
            seen = [r for _ in range(4) for r in client.update() or []]
            small = seen and all(w * h <= 4 * 9 * 16 for _, _, w, h in seen)
            if small:
                break
        check(small, "rectangles", seen)
        client.close()
        second = rfb.Client(port)
        second.update(whole=True)
        check((second.width, second.height) == (720, 400), second.width, second.height)
        second.close()
    finally:
        process.terminate()
        process.wait(WAIT)


def case_vnc_colours(novt):
    port = free_port()
    process = novt.start(VBE, "-display", f"vnc=127.0.0.1:{port - 5900}")
    try:
        wait_for(process, b"DONE")
        client = rfb.Client(port)
        want = vbe_want()
        compare("vnc", client.wait_for(lambda shown: not picture.difference(shown, want)), want)
        client.close()
    finally:
        process.terminate()
        process.wait(WAIT)


def case_vnc_garbage(novt):
    """Nonsense from the network ends a client, not the guest."""
    port = free_port()
    process = novt.start(KEYS, "-display", f"vnc=127.0.0.1:{port - 5900}")
    try:
        wait_for(process, b"READY")
        for data in (b"GET / HTTP/1.0\r\n\r\n", b"RFB 003.008\n\x01\x01" + b"\xff" * 2000,
                     bytes(5000)):
            with socket.create_connection(("127.0.0.1", port), 10) as s:
                try:
                    s.sendall(data)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(4096):
                        pass
                except OSError:
                    pass
        client = rfb.Client(port)
        client.type("aq")
        check(b"aq" in wait_for(process, b"DONE"), "keys after garbage")
        client.close()
    finally:
        process.terminate()
        process.wait(WAIT)


def case_port_in_use(novt):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        got = subprocess.run(novt.command(TEXT, "-display", f"vnc=127.0.0.1:{port - 5900}"),
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT, text=True)
    check(got.returncode == 69 and f"port {port}" in got.stderr and "in use" in got.stderr,
          got.returncode, got.stderr)


# --- Windows -----------------------------------------------------------------------------

def case_no_desktop(novt):
    """Also where SDL would draw into memory: "offscreen" is its last resort."""
    ours = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    if os.path.exists("/dev/dri"):
        environment["SDL_VIDEODRIVER"] = "x11" # else it draws on the console
    got = subprocess.run(novt.command(TEXT, "-display", "sdl"), stdin=subprocess.DEVNULL,
                         capture_output=True, timeout=WAIT, text=True, env=environment)
    check(got.returncode == 69 and "-display sdl" in got.stderr and "vnc" in got.stderr,
          got.returncode, got.stderr)


def case_window(novt):
    """Under Xvfb: a screenshot of the X server shows the picture, and keys arrive; what is on the
    clipboard is typed; the mouse is taken and given back."""
    if not desktop.is_here():
        return
    with Desktop(novt, KEYS) as seat:
        wait_for(seat.process, b"READY")
        window = seat.find("novt")
        seat.focus(window)
        seat.do("type", "--delay", "60", "Keys! [8]")
        wait_for(seat.process, b"[8]")
        until(lambda: "Keys! [8]" in text_of(seat.dump("-id", window)), "the window's text",
              lambda: text_of(seat.dump("-id", window)))
        seat.paste("Paste (42)")
        seat.grab(window)
        seat.do("key", "q")
        wait_for(seat.process, b"DONE")
        until(lambda: "novt - " in seat.title(window), "the title", lambda: seat.title(window))


TITLE = re.compile(r"novt - speed \d+ % \(\d+ % direct, \d+ % translated\), \d+ % busy")


def case_title(novt):
    """What is computed, where: in the title, with -stats too."""
    if not desktop.is_here():
        return
    for options in ((), ("-stats",)):
        with Desktop(novt, REDRAW, *options) as seat:
            window = seat.find("novt")
            until(lambda: TITLE.match(seat.title(window)), options, lambda: seat.title(window),
                  seat.tell)


def case_vnc_viewer(novt):
    """A viewer as people have it, under Xvfb: it shows the picture, and keys arrive."""
    if not desktop.is_here() or not shutil.which("xtightvncviewer"):
        print("no xtightvncviewer here: VNC is tested by our own client alone")
        return
    port = free_port()
    with Desktop(novt, KEYS, display=f"vnc=127.0.0.1:{port - 5900}") as seat:
        wait_for(seat.process, b"READY")
        viewer = Logged(["xtightvncviewer", f"127.0.0.1::{port}"], seat.environment)
        try:
            window = seat.find("TightVNC: novt", viewer.start_again_if_ended, viewer.tell)
            refused = re.search("Unable to connect|closed connection|reset by peer", viewer.tell())
            check(not refused, "novt has turned it away:", viewer.tell())
            seat.focus(window)
            seat.do("type", "--delay", "60", "Viewer: {42}|")
            wait_for(seat.process, b"{42}|")
            until(lambda: "Viewer: {42}|" in text_of(seat.dump("-id", window)), "the text",
                  lambda: text_of(seat.dump("-id", window)), viewer.tell)
        finally:
            viewer.end()


def shows_mode_12(shown, left, top, width, height):
    """The picture of case_mode_12 in that part of a dump, black bars around it. It is made of
    blocks of 8x16 pixels, whose middles no smoothing reaches."""
    def at(x, y):
        return tuple(shown.rows[y][3 * x:3 * x + 3])
    if shown.width < left + width or shown.height < top + height:
        return False # it is another size yet
    inside = all(at(left + (8 * i + 4) * width // 640, top + (16 * j + 8) * height // 480) ==
                 ega(i + j & 15) for i in range(80) for j in range(30) if j != 15)
    bars = [(x, y) for x in range(0, shown.width, 7) for y in range(0, shown.height, 7)
            if not (left - 1 <= x <= left + width and top - 1 <= y <= top + height)]
    return inside and all(at(x, y) == (0, 0, 0) for x, y in bars)


def case_sizes(novt):
    """The window's picture, pixel by pixel: larger, smaller, of another shape."""
    if not desktop.is_here():
        return
    with Desktop(novt, MODE_12) as seat:
        wait_for(seat.process, b"DONE")
        window = seat.find("novt")
        seat.grab(window, "windowfocus", window, "windowmove", window, "0", "0")

        def wait(what, size, *part):
            def seen():
                shown = seat.dump("-id", window)
                return (shown.width, shown.height) == size and shows_mode_12(shown, *part)

            def tell():
                shown = seat.dump("-id", window)
                return f"{shown.width}x{shown.height}", seat.tell()
            until(seen, what, tell)

        wait("as it is", (640, 480), 0, 0, 640, 480)
        seat.do("key", "ctrl+alt+equal", "ctrl+alt+equal")
        wait("twice as large", (1280, 960), 0, 0, 1280, 960)
        seat.do("key", "ctrl+alt+minus")
        wait("by a half", (960, 720), 0, 0, 960, 720)
        seat.do("key", "ctrl+alt+u")
        wait("as it is again", (640, 480), 0, 0, 640, 480)
        seat.do("windowsize", window, "960", "480")
        wait("wide", (960, 480), 160, 0, 640, 480)


def case_full_screen(novt):
    """By the keys and back, and by the option; for which a window manager is asked."""
    if not desktop.is_here() or not shutil.which("evilwm"):
        print("no evilwm here: full screen is not tested")
        return
    manager = ["evilwm", "-fn", "fixed", "-mask1", "mod4", "-mask2", "mod4"] # Ctrl-Alt is novt's
    with Desktop(novt, MODE_12, manager=manager) as seat:
        def wait(what, where, *part):
            until(lambda: shows_mode_12(seat.dump(*where), *part), what, seat.tell)

        wait_for(seat.process, b"DONE")
        window = seat.find("novt")
        alone, full = (("-id", window), 0, 0, 640, 480), (("-root",), 0, 32, 1280, 960)
        seat.grab(window, "mousemove", "--window", window, "100", "100")
        wait("a window", *alone)
        seat.do("key", "ctrl+alt+f")
        wait("full screen", *full)
        seat.do("key", "ctrl+alt+f")
        wait("a window again", *alone)
    with Desktop(novt, MODE_12, "-full-screen", manager=manager) as seat:
        wait("-full-screen", *full)


# --- The terminal ------------------------------------------------------------------------------

def terminal_lines(data):
    """What a terminal shows after these bytes: cursor movement, clearing, characters."""
    grid, row, column = {}, 1, 1
    for move, control, character in re.findall(
            "\x1b\\[(\\d+;\\d+)H|(\x1b\\[[?0-9;]*[a-zA-Z])|(.)",
            data.decode(errors="replace"), re.S):
        if move:
            row, column = map(int, move.split(";"))
        elif control == "\x1b[2J":
            grid = {}
        elif character:
            grid[row, column] = character
            column += 1
    return ["".join(grid.get((y, x), " ") for x in range(1, 81)).rstrip() for y in range(1, 26)]


def case_terminal(novt):
    """-display curses on a pseudo-terminal: text appears, keys arrive, Ctrl-A x ends."""
    master, slave = pty.openpty()
    serial = os.path.join(novt.folder, "serial")
    Path(serial).touch()
    process = subprocess.Popen(novt.command(KEYS, "-display", "curses", "-serial",
                                            f"file:{serial}"),
                               stdin=slave, stdout=slave, stderr=subprocess.PIPE,
                               start_new_session=True,
                               preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    seen = b""

    def read_until(condition, what, seconds=WAIT):
        nonlocal seen
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            if select.select([master], [], [], 0.5)[0]:
                try:
                    seen += os.read(master, 65536)
                except OSError:
                    break
        check(condition(), "not on the terminal:", what, terminal_lines(seen)[:3])

    read_until(lambda: seen.count(b"\x1b[25;1H"), "a first screen")
    read_until(lambda: "READY" in Path(serial).read_text(), "READY on the serial line")
    for key in "Text:", " 7~", "\x1b[C", "!":
        os.write(master, key.encode())
        time.sleep(0.1)
    read_until(lambda: "Text: 7~" in "".join(terminal_lines(seen)), "the text typed")
    os.write(master, b"\x01x")
    read_until(lambda: b"\x1b[?1049l" in seen, "the end")
    status = process.wait(WAIT)
    check(status == 130, "status", status, process.stderr.read())


# --- Options --------------------------------------------------------------------------------------

def case_options(novt):
    for options, part in ((("-display", "spice"), "sdl"),
                          (("-display", "vnc=here"), "vnc=127.0.0.1:0"),
                          (("-display", "vnc=:99999"), "vnc"), (("-vga", "tcx"), "std"),
                          (("-screenshot", "x.png,at=soon"), "SECONDS"),
                          (("-vga", "none", "-display", "sdl"), "-vga")):
        got = subprocess.run(novt.command(TEXT, *options), stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=WAIT)
        check(got.returncode == 64 and part in got.stderr, options, got.returncode, got.stderr)
    got = subprocess.run(novt.command(TEXT, "-screenshot", "/nowhere/x.png"), capture_output=True,
                         stdin=subprocess.DEVNULL, text=True, timeout=WAIT)
    check(got.returncode == 73 and "/nowhere/x.png" in got.stderr, got.returncode, got.stderr)


def main():
    program, image, *names = sys.argv[1:]
    if not os.path.exists(VGA_BIOS):
        skip("no SeaBIOS here (apt-get install seabios)")
    novt = Novt(program, image)
    cases = {name[5:]: function for name, function in globals().items() if name.startswith("case_")}
    try:
        for name in names or cases:
            started = time.monotonic()
            before = len(failures)
            try:
                cases[name](novt)
            except Exception: # it goes on to its traceback
                novt.tell()
                raise
            if len(failures) > before:
                novt.tell()
            print(f"{name}: {time.monotonic() - started:.1f} s")
    finally:
        shutil.rmtree(novt.folder)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
