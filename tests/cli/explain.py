"""novt explain, from outside: explain.py NOVT GUEST.elf, an ELF guest with sensitive code."""
import re
import subprocess
import sys

NOVT, GUEST = sys.argv[1:3]
# Robin and Irvine's seventeen by mnemonic (two are mov, two are the segment forms of push and
# pop, call, jmp and retf are the far ones), and iret.
SENSITIVE = ("sgdt sidt sldt smsw pushf popf lar lsl verr verw pop push call jmp int retf str mov "
             "iret").split()
failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f"FAIL {what}")


def explain(*words):
    done = subprocess.run([NOVT, "explain", *words], capture_output=True, text=True, timeout=60,
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
                          ("cwd", "identical", "identical"), ("in", "interpreted", "interpreted")):
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
    classes = [int(re.search(rf"^  {name} +(\d+)$", out, re.M)[1])
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


def test_errors():
    for words, status, text in (
            ((), 64, "which instruction, or which file"),
            (("pofp",), 64, "neither an instruction (did you mean pop?) nor a file"),
            (("/bin/sh",), 65, "no 32-bit x86 ELF file"),
            (("/none",), 66, "/none"),
            (("--function", "f"), 64, "of which file"),
            ((GUEST, "--function", "nobody"), 64, "none of that name"),
            ((GUEST, "--range", "9-1"), 64, "the lower one first"),
            ((GUEST, "--range"), 64, "needs a value"),
            ((GUEST, "--range", "1-2"), 65, "no code there"),
            (("--wrong",), 64, "--wrong: unknown")):
        got, out, err = explain(*words)
        check(got == status and text in err and not out, f"{words}: {got} {err}")
    check(explain("--help")[0] == 0, "--help")


test_sensitive()
test_kinds()
test_all()
test_file()
test_errors()
print("novt explain:", "failed" if failed else "ok")
sys.exit(failed != 0)
