#!/usr/bin/env python3
"""novt learn: the chapters tell the truth, the exercises can be got wrong and right, and all of it
is found where novt is installed.

    course.py chapters|exercises|installed NOVT BUILD CMAKE
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import must  # noqa: E402

CHAPTERS = 10


def learn(novt, *words, folder=None):
    """Status and what it printed; no keyboard."""
    got = subprocess.run([novt, "learn", *words], cwd=folder, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return got.returncode, got.stdout


def wants(status, words, novt, *more, folder=None):
    got, text = learn(novt, *more, folder=folder)
    must(got == status and re.search(words, text), f"learn {more}: status {got}, want {status} "
         f"and {words!r}:\n{text}")


def chapters(novt, *_):
    status, text = learn(novt)
    must(status == 0 and len(re.findall(r"^  \d\d ", text, re.M)) == CHAPTERS, text)
    wants(0, "", novt, "--test")


def exercises(novt, _, __, folder):
    copy = os.path.join(folder, "copy")
    wants(65, "no 02-popf/exercise.c in .*--copy", novt, "02", "--check", folder=folder)
    wants(0, "copied", novt, "--copy", copy)
    wants(65, "is not empty", novt, "--copy", copy)
    names = sorted(name for name in os.listdir(copy) if name[0].isdigit())
    must(len(names) == CHAPTERS, names)
    for name in names:
        wants(1, "not yet", novt, name[:2], "--check", copy)
        shutil.copy(os.path.join(copy, name, "solution.c"), os.path.join(copy, name, "exercise.c"))
    status, text = learn(novt, "--check", folder=copy)
    must(status == 0 and len(re.findall(": right$", text, re.M)) == CHAPTERS, text)
    with open(os.path.join(copy, names[0], "exercise.c"), "a") as file:
        file.write("#error no C\n")
    wants(1, "no C", novt, "1", "--check", copy)


def installed(_, build, cmake, folder):
    subprocess.run([cmake, "--install", build, "--prefix", folder], check=True,
                   stdout=subprocess.DEVNULL)
    novt = os.path.join(folder, "bin", "novt")
    wants(0, "  01 hello", novt)
    wants(0, r"(?s)\$ novt run 01-hello.elf\nhello, world\n", novt, "01")
    wants(65, "no chapter '99'", novt, "99")
    wants(0, "", novt, "--test", "01")
    path = os.path.join(folder, "share", "novt", "docs", "course", "01-hello.md")
    with open(path) as file:
        text = file.read()
    for true, false in (("hello, world", "hello, moon"), ("~14", "~1400")):
        with open(path, "w") as file:
            file.write(text.replace(true, false))
        wants(1, "does not tell the truth", novt, "--test", "01")


def main():
    what, *words = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        globals()[what](*words, folder)
    print(what, "hold")


main()
