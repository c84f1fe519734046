#!/usr/bin/env python3
"""iPXE: ipxe.py NOVT HOW MODEL; MODEL is virtio or e1000.

  lkrn   Debian's ipxe.lkrn as -kernel: DHCP, then a script of 600 KiB from a server on the host,
         whose last lines fetch more: they are run only if all of it came whole
  rom    the card's own ROM (ipxe-qemu), by -boot order=n: DHCP, a script by TFTP, which does it

Exit status 77: a package is not there (ctest: skipped).
"""
import http.server
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))
from checks import skip  # noqa: E402

LKRN = "/usr/lib/ipxe/ipxe.lkrn"
ROM = "/usr/lib/ipxe/qemu/pxe-{}.rom"
BIOS = "/usr/share/seabios/bios-256k.bin"
WANTED = ["/script", "/second", "/last"]


class Server(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.fetched = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://10.0.2.2:{self.server_port}{path}"

    def script(self):
        return ("#!ipxe\n" + "".join(f"# line {i:06} of many\n" for i in range(25000)) +
                "".join(f"imgfetch {self.url(path)}\n" for path in WANTED[1:])).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.server.script() if self.path == WANTED[0] else b"hello"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.fetched.append(self.path)

    def log_message(self, format, *args):
        pass


def options(how, model, server, folder):
    nic = f"user,model={model}"
    if how == "lkrn":
        return ["-kernel", LKRN, "-append", f"dhcp && chain {server.url(WANTED[0])}", "-nic", nic]
    (folder / "start.ipxe").write_text(f"#!ipxe\nchain {server.url(WANTED[0])}\n")
    return ["-boot", "order=n", "-nic", f"{nic},tftp={folder},bootfile=start.ipxe"]


def main():
    novt, how, model = sys.argv[1:]
    for path in (BIOS, LKRN if how == "lkrn" else ROM.format(model)):
        if not Path(path).exists():
            skip(f"{path} is not there (apt-get install seabios ipxe ipxe-qemu)")
    server = Server()
    with tempfile.TemporaryDirectory() as folder:
        picture = Path.cwd() / f"ipxe-{how}-{model}.png"
        run = subprocess.Popen([novt, "run", "-m", "96", *options(how, model, server, Path(folder)),
                                "-serial", "null", "-display", "none", "-timeout", "500",
                                "-screenshot", f"{picture},at=490"], stdin=subprocess.DEVNULL)
        while run.poll() is None and server.fetched != WANTED:
            time.sleep(0.1)
        good = server.fetched == WANTED
        if good:
            run.terminate()
        run.wait()
    if good:
        picture.unlink(missing_ok=True)
        print("ok")
        return 0
    print(f"FAILED: fetched {server.fetched}, not {WANTED}; status {run.returncode}; the screen is "
          f"in {picture}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
