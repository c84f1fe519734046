#!/usr/bin/env python3
"""compare.py NOVT RANDOM: images that QEMU made are read and changed by us and looked at by
QEMU, and the other way round. 77: qemu-img and qemu-io are not there."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import WAIT, skip  # noqa: E402

NOVT, RANDOM = map(os.path.abspath, sys.argv[1:3])
SIZE, ROOM = 12 << 20, 1 << 30


def memory():
    """Where files are in memory, with room for this and another run: thousands of flushes would
    wait for a disk. Containers often have 64 MiB there."""
    try:
        there = os.statvfs("/dev/shm")
    except OSError:
        return None
    roomy = there.f_bavail * there.f_frsize > ROOM
    return "/dev/shm" if roomy and os.access("/dev/shm", os.W_OK) else None


FOLDER = tempfile.mkdtemp(dir=memory())
failures = 0


def run(*words, status=0):
    global failures
    done = subprocess.run([str(w) for w in words], cwd=FOLDER, text=True, timeout=250,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != status:
        failures += 1
        print(f"FAIL {' '.join(map(str, words))}: {done.returncode}, want {status}\n{done.stdout}")
    return done.stdout


def image(*words):
    return run(NOVT, "image", *words)


def good(name):
    """QEMU and we find nothing wrong."""
    run("qemu-img", "check", name)
    image("check", name)


def same(one, other, one_format="qcow2", other_format="raw"):
    run("qemu-img", "compare", "-f", one_format, "-F", other_format, one, other)


def operate(name, seed, count=300, form="qcow2"):
    """Random operations, after which the flat copy must be what QEMU reads."""
    run(RANDOM, name, form, seed, count, "flat")
    if form == "qcow2":
        good(name)
    same(name, "flat", form)


LAYOUTS = ["cluster_size=64k", "cluster_size=512", "cluster_size=2M", "cluster_size=4k",
           "compat=0.10", "compat=0.10,cluster_size=1k", "lazy_refcounts=on",
           "preallocation=metadata", "preallocation=falloc", "preallocation=full"]
LAYOUTS += [f"refcount_bits={1 << n},cluster_size={512 << n}" for n in range(7)]


def theirs():
    """Every option of qemu-img create."""
    for seed, options in enumerate(LAYOUTS):
        run("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, "a.qcow2", SIZE)
        run("qemu-io", "-c", "write -P 3 100k 300k", "-c", "write -z 200k 64k",
            "-c", "write -P 9 5M 1M", "-c", "discard 5500k 200k", "a.qcow2")
        image("convert", "a.qcow2", "read.raw")
        same("a.qcow2", "read.raw")
        operate("a.qcow2", seed)


def ours():
    """Every option of novt image create; QEMU goes on with the image."""
    options = [o for o in LAYOUTS if "prealloc" not in o]
    for seed, option in enumerate(options):
        image("create", "-f", "qcow2", "-o", option, "b.qcow2", SIZE)
        good("b.qcow2")
        operate("b.qcow2", 100 + seed, 150)
        run("qemu-io", "-c", "write -P 5 1M 3M", "-c", "write -P 6 9M 512", "b.qcow2")
        good("b.qcow2")
        operate("b.qcow2", 200 + seed, 50)


def backing():
    run("qemu-img", "create", "-q", "-f", "qcow2", "base.qcow2", SIZE)
    run("qemu-io", "-c", "write -P 7 1M 5M", "base.qcow2")
    run("qemu-img", "convert", "-O", "raw", "base.qcow2", "base.raw")
    for form in ("qcow2", "raw"):
        for options in ("compat=1.1", "compat=0.10,cluster_size=4k", "refcount_bits=1"):
            run("qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", f"base.{form}",
                "-o", options, "over.qcow2", SIZE + (1 << 20))
            operate("over.qcow2", 3)
        image("create", "-f", "qcow2", "-F", form, "-b", f"base.{form}", "over.qcow2")
        operate("over.qcow2", 4)
    image("create", "-f", "qcow2", "-F", "qcow2", "-b", "over.qcow2", "over2.qcow2")
    operate("over2.qcow2", 5)
    same("base.qcow2", "base.raw")


def compressed():
    for options in ("cluster_size=64k", "cluster_size=512", "cluster_size=2M,refcount_bits=1"):
        run("qemu-img", "convert", "-c", "-O", "qcow2", "-o", options, "over2.qcow2", "c.qcow2")
        image("convert", "c.qcow2", "read.raw")
        same("c.qcow2", "read.raw")
        operate("c.qcow2", 6)
        image("convert", "-c", "-O", "qcow2", "-o", options, "over2.qcow2", "d.qcow2")
        good("d.qcow2")
        same("over2.qcow2", "d.qcow2", other_format="qcow2")
        operate("d.qcow2", 7)


def snapshots():
    """They are kept as they are."""
    shutil.copy(f"{FOLDER}/over2.qcow2", f"{FOLDER}/s.qcow2")
    run("qemu-img", "snapshot", "-c", "one", "s.qcow2")
    run("qemu-img", "convert", "-l", "one", "-O", "raw", "s.qcow2", "one.raw")
    operate("s.qcow2", 8)
    run("qemu-img", "snapshot", "-c", "two", "s.qcow2")
    operate("s.qcow2", 9)
    run("qemu-img", "convert", "-l", "one", "-O", "raw", "s.qcow2", "again.raw")
    same("one.raw", "again.raw", "raw")
    run("qemu-img", "snapshot", "-d", "one", "s.qcow2")
    good("s.qcow2")
    operate("s.qcow2", 10)
    run("qemu-img", "snapshot", "-a", "two", "s.qcow2")
    good("s.qcow2")


def dirty():
    """A crash of QEMU with lazy refcounts: opening repairs."""
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "lazy_refcounts=on", "l.qcow2", SIZE)
    run("qemu-io", "-c", "write -P 3 1M 2M", "-c", "flush", "-c", "sigraise 9", "l.qcow2",
        status=-9)
    if "dirty: true" not in image("info", "l.qcow2"):
        print("FAIL the image should be dirty")
        sys.exit(1)
    run(NOVT, "image", "check", "l.qcow2", status=2)
    operate("l.qcow2", 11, 50)
    run("qemu-io", "-c", "read -P 3 1M 512", "l.qcow2")


def repaired():
    """Leaks and errors as qemu-img sees them, repaired by us."""
    run("qemu-img", "create", "-q", "-f", "qcow2", "r.qcow2", SIZE)
    run("qemu-io", "-c", "write -P 3 1M 2M", "r.qcow2")
    shutil.copy(f"{FOLDER}/r.qcow2", f"{FOLDER}/q.qcow2")
    with open(f"{FOLDER}/r.qcow2", "r+b") as f:
        f.seek(48)
        table = int.from_bytes(f.read(8), "big")
        f.seek(table)
        block = int.from_bytes(f.read(8), "big")
        f.seek(block + 2 * 10)
        f.write(b"\0\3\0\0")
        f.seek(block + 2 * 100)
        f.write(b"\0\1")
    run("qemu-img", "check", "r.qcow2", status=2)
    run(NOVT, "image", "check", "r.qcow2", status=2)
    run(NOVT, "image", "check", "-r", "all", "r.qcow2")
    good("r.qcow2")
    run("qemu-img", "compare", "r.qcow2", "q.qcow2")
    with open(f"{FOLDER}/r.qcow2", "r+b") as f:  # no refcounts at all
        f.seek(48)
        table = int.from_bytes(f.read(8), "big")
        f.seek(table)
        f.write(b"\0" * 8)
    run(NOVT, "image", "check", "-r", "all", "r.qcow2")
    good("r.qcow2")
    run("qemu-img", "compare", "r.qcow2", "q.qcow2")


def raw():
    with open(f"{FOLDER}/flat.raw", "wb") as f:
        f.truncate(SIZE)
    operate("flat.raw", 12, form="raw")
    image("convert", "-f", "raw", "-O", "qcow2", "flat.raw", "e.qcow2")
    good("e.qcow2")
    same("e.qcow2", "flat.raw")


def locked():
    """Who writes an image has it alone, whoever it is."""
    writer = subprocess.Popen(["qemu-io", "e.qcow2"], cwd=FOLDER, stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL)
    ours_is = [NOVT, "image", "info", "e.qcow2"]
    end = time.monotonic() + WAIT
    while (time.monotonic() < end and
           not subprocess.run(ours_is, cwd=FOLDER, capture_output=True).returncode):
        time.sleep(0.05)
    out = run(*ours_is, status=65)
    if "another process" not in out:
        print(f"FAIL lock: {out}")
    image("info", "-U", "e.qcow2")
    writer.kill()
    writer.wait()
    image("info", "e.qcow2")


def main():
    if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
        os.rmdir(FOLDER)
        skip("no qemu-img or qemu-io (apt-get install qemu-utils)")
    for test in (theirs, ours, backing, compressed, snapshots, dirty, repaired, raw, locked):
        test()
        print(test.__name__, flush=True)
    shutil.rmtree(FOLDER)
    return 1 if failures else 0


sys.exit(main())
