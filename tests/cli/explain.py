"""novt explain, from outside: explain.py NOVT GUEST.elf, an ELF guest with sensitive code."""
import ctypes
import gzip
import json
import lzma
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import WAIT, check, failures  # noqa: E402


NOVT, GUEST = sys.argv[1:3]
# Robin and Irvine's seventeen by mnemonic (two are mov, two are the segment forms of push and
# pop, call, jmp and retf are the far ones), and iret.
SENSITIVE = ("sgdt sidt sldt smsw pushf popf lar lsl verr verw pop push call jmp int retf str mov "
             "iret").split()


def explain(*words):
    done = subprocess.run([NOVT, "explain", *words], capture_output=True, text=True, timeout=WAIT,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def test_sensitive():
    for name in SENSITIVE:
        status, out, _ = explain(name)
        check(status == 0, f"{name}: status {status}")
        for line in ("sensitive, and not privileged", "  at CPL 0 ", "  deprivileged ", "  so ",
                     "  manual        SDM volume 2, "):
            check(line in out, f"{name}: no line '{line}'")
        check(out.count("  in a kernel, memory by") >= 2, f"{name}: not both kernel forms")


def test_kinds():
    check("kind          privileged" in explain("hlt")[1], "hlt is privileged")
    check("kind          depends on IOPL" in explain("cli")[1], "cli depends on IOPL")
    _, out, _ = explain("add")
    check("kind          innocuous" in out, "add is innocuous")
    check(re.search(r"software TLB: (identical|inline)", out), "add is not called out")
    _, out, _ = explain("hlt")
    check("software TLB: interpreted" in out and "jmp monitor" in out, "hlt leaves for the monitor")
    for name, *wanted in (("iret", "callout", "interpreted"), ("cli", "inline", "interpreted"),
                          ("jcc", "control flow", "control flow"), ("int", "callout", "callout"),
                          ("cwd", "identical", "identical"), ("in", "callout", "interpreted")):
        got = re.findall(r"by a window: (.*)", explain(name)[1])
        check(got == wanted, f"{name}: {got}")


def test_all():
    status, out, _ = explain("--all")
    check(status == 0, "--all")
    check(out.count("\n  kind  ") > 500, "--all explains all")
    check("no translation" not in out, "--all translates each")
    for name in SENSITIVE:
        check(re.search(rf"^{name} \(one that", out, re.M), f"--all has {name}")


def test_file():
    status, out, err = explain(GUEST)
    check(status == 0, err)
    total = int(re.search(r"^(\d+) instructions", out, re.M)[1])
    classes = [int(re.search(rf"^  {name} +(\d+) +[\d.]+ %$", out, re.M)[1])
               for name in ("identical", "inline", "callout", "interpreted", "control flow")]
    check(total > 100 and sum(classes) == total, f"{classes} are not {total}")
    check(all(classes), "every class is there")
    listed = int(re.search(r"^  sensitive ones +(\d+)$", out, re.M)[1])
    check(listed >= 17, f"{listed} sensitive instructions")
    # a function of it, and its first bytes as a range, say the same
    status, part, err = explain(GUEST, "--function", "guest_main")
    check(status == 0 and part.splitlines()[0].split("|")[0] in out, f"--function: {err}")
    begin = int(part.split()[0], 16)
    _, ranged, _ = explain(GUEST, "--range", f"{begin:x}-{begin + 1:x}")
    check(ranged.splitlines()[0] == part.splitlines()[0], "--range begins where the function does")


def zstd(data):
    library = ctypes.CDLL("libzstd.so.1")
    out = ctypes.create_string_buffer(len(data) + 4096)
    size = library.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)),
                                 3)
    return out.raw[:size]


def bzimage(payload, version=0x20f):
    """The parts of a kernel's setup header that say where the payload is."""
    image = bytearray(4096)
    image[0x1f1] = 1
    struct.pack_into("<H", image, 0x1fe, 0xaa55)
    struct.pack_into("<4sH", image, 0x202, b"HdrS", version)
    struct.pack_into("<II", image, 0x248, 4096 - 1024, len(payload))
    return bytes(image) + payload


def packed():
    """The guest as each kind of payload; all but gzip's have the size behind them."""
    with open(GUEST, "rb") as file:
        elf = file.read()
    size = struct.pack("<I", len(elf))
    x86 = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    yield "gzip", gzip.compress(elf)
    yield "xz", lzma.compress(elf, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=x86) + size
    yield "lzma", lzma.compress(elf, lzma.FORMAT_ALONE) + size
    yield "zstd", zstd(elf) + size


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def test_bzimage(folder):
    wanted = explain(GUEST, "--range", "0-FFFFFFFE")[1]
    for name, payload in packed():
        path = write(folder, name, bzimage(payload))
        for words in ((path,), ("--bzimage", path)):
            status, out, err = explain(*words)
            check(status == 0 and out == wanted, f"{name}: {status} {err}")
        for end in (4, len(payload) // 2, len(payload) - 1):
            status, out, err = explain(write(folder, "short", bzimage(payload[:end])))
            check(status == 65 and not out and err.count("\n") == 1, f"{name}, {end}: {err}")
        for _ in range(5):
            wrong = bytearray(payload)
            for _ in range(3):
                wrong[random.randrange(len(wrong))] = random.randrange(256)
            status, _, err = explain(write(folder, "wrong", bzimage(bytes(wrong))), "--range",
                                     "0-1")
            check(status in (0, 64, 65) and err.count("\n") == (status != 0),
                  f"{name}, damaged: {status} {err}")
    for data, text in ((bzimage(b"BZh9" * 9), "packed in another way"),
                       (bzimage(b"", 0x206), "boot protocol before 2.08"),
                       (bzimage(b"")[:-3000], "damaged or cut short"), (b"x" * 9, "no bzImage")):
        status, out, err = explain("--bzimage", write(folder, "bad", data))
        check(status == 65 and text in err and not out, f"{text}: {status} {err}")


def test_symbols(folder):
    begin = int(explain(GUEST, "--function", "guest_main")[1].split()[0], 16)
    names = write(folder, "System.map", f"{begin:08x} T first\n{begin + 3:08x} t next\n".encode())
    status, out, err = explain(GUEST, "--symbols", names, "--function", "first")
    check(status == 0 and int(out.split()[0], 16) == begin, f"--symbols: {err}")
    check(explain(GUEST, "--symbols", names, "--function", "guest_main")[0] == 64,
          "no others than --symbols' names")
    _, out, _ = explain(GUEST, "--symbols", names, "--range", "0-FFFFFFFE")
    check(re.search(r"^ +[0-9a-f]+ +\w+ +\w+ +next\+0x", out, re.M), "finds have names")
    bad = write(folder, "nonsense", b"nothing of that kind")
    check(explain(GUEST, "--symbols", bad)[0] == 65, "no symbols in it")


def test_page(folder):
    """Its data; cli-explain_browser looks at it in a browser."""
    path = os.path.join(folder, "page.html")
    status, out, err = explain(GUEST, "--html", path)
    check(status == 0 and "instructions, " in out.splitlines()[0], f"--html: {err}")
    with open(path, encoding="utf-8") as file:
        page = file.read()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    total = int(re.search(r"^(\d+) instructions", out)[1])
    check(len(data["insns"]) == total == sum(data["counts"]), "all instructions are there")
    check(sum(row[8] for row in data["insns"]) == data["sensitive"] > 17, "the sensitive ones")
    check("http" not in page.replace("http-equiv", ""), "nothing from elsewhere")
    for row in data["insns"]:
        why = data["whys"][row[6]]
        check(why.startswith(data["classes"][row[3]] + ": "), f"{row}: {why}")
    status, out, err = explain(GUEST, "--html", os.path.join(folder, "nowhere", "page.html"))
    check(status == 73 and not out and "cannot write" in err, f"no folder: {err}")


def test_errors():
    for words, status, text in (
            ((), 64, "which instruction, or which file"),
            (("pofp",), 64, "neither an instruction nor a file; did you mean pop?"),
            (("/bin/sh",), 65, "no 32-bit x86 ELF file"),
            (("/none",), 66, "/none"),
            (("--function", "f"), 64, "of which file"),
            ((GUEST, "--function", "nobody"), 64, "none of that name"),
            ((GUEST, "--range", "9-1"), 64, "the lower one first"),
            ((GUEST, "--range"), 64, "needs a value"),
            ((GUEST, "--range", "1-2"), 65, "no code there"),
            (("--html", "x"), 64, "--html: of which file"),
            ((GUEST, "popf"), 64, "not both"),
            ((GUEST, "--function", "f", "--range", "1-2"), 64, "only one of them"),
            ((GUEST, "--symbols", "/none"), 66, "/none"),
            (("--bzimage", GUEST), 65, "no bzImage"),
            (("--wrong",), 64, "--wrong: unknown")):
        got, out, err = explain(*words)
        check(got == status and text in err and not out, f"{words}: {got} {err}")
    check(explain("--help")[0] == 0, "--help")


test_sensitive()
test_kinds()
test_all()
test_file()
test_errors()
with tempfile.TemporaryDirectory() as made:
    test_bzimage(made)
    test_symbols(made)
    test_page(made)
print("novt explain:", "failed" if failures else "ok")
sys.exit(1 if failures else 0)
