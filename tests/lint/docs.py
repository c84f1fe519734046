#!/usr/bin/env python3
"""Do the documents speak of what there is? docs.py, in the source's folder.

What stands in backquotes and looks like a file must be one, what looks like a function must be in
the source; links lead somewhere; a folder's README names each of its sources; a range of invariants
(V1-V5) is the file's; a row of a table (.def) is quoted as it is; docs/variables.md has the
variables that are read, and no others.
"""
import fnmatch
import os
import re
import sys
from pathlib import Path

CODE = (".c", ".h", ".S", ".def", ".py")
FILE = re.compile(r"[\w*{},.+-]+(?:/[\w*{},.+-]+)*\.(?:c|h|S|def|py|sh|md|txt|inc)"
                  r"|(?:[a-z]+/)+(?:[\w*{},-]+)?")
FUNCTION = re.compile(r"([a-z][a-z0-9]*(?:_[a-z0-9]+)+|[a-z]\w+(?=\(\)))(?:\(\))?")
# Names of the host's, of kernels, of files that are made, of what is to be.
ELSEWHERE = set("""
asm_common_interrupt handle_exception sched_setattr sched_switch signal_generate sysexits.h
build/release/frontend/novt share/novt/docs share/novt/guests x_run() x_snapshot
""".split())
wrong = []


def listed():
    """The source's files."""
    found = []
    for folder, folders, names in os.walk("."):
        folders[:] = [name for name in folders if not name.startswith((".git", "build", "__py"))]
        found += [Path(folder, name) for name in names if not name.startswith(".git")]
    return sorted(found)


def expand(text):
    """a{b,c}d is abd and acd."""
    match = re.search(r"\{([^{}]*)\}", text)
    if not match:
        return [text]
    return [whole for part in match.group(1).split(",")
            for whole in expand(text[:match.start()] + part + text[match.end():])]


def lines(file):
    """Its lines with their numbers, but for examples."""
    example = False
    for number, line in enumerate(file.read_text().splitlines(), 1):
        example ^= line.startswith("```")
        if not example and not line.startswith("    "):
            yield number, line


def known(name, words):
    """In the source, or a test's: unit_interp is test_interp.c of tests/unit."""
    kind, rest = name.split("_", 1) if "_" in name else (name, name)
    return name in words or (kind in ("unit", "guest", "direct", "decode", "lint")
                             and rest.split("_")[0] in words)


def check_names(file, paths, words):
    for number, line in lines(file):
        for text in re.findall(r"`([^`]+)`", line):
            if text in ELSEWHERE:
                continue
            if FILE.fullmatch(text):
                for name in expand(text.removeprefix("../")):
                    name = "*/" + re.sub(r"\b(NN|NAME|X)\b", "*", name).rstrip("/")
                    if not any(fnmatch.filter(paths, name + end)
                               for end in ("", "/*", "-*.md", ".*")):
                        wrong.append(f"{file}:{number}: no file {text}")
            elif (match := FUNCTION.fullmatch(text)) and not known(match.group(1), words):
                wrong.append(f"{file}:{number}: no {text} in the source")


def check_links(file):
    for number, line in lines(file):
        for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", line):
            if not (file.parent / target).exists():
                wrong.append(f"{file}:{number}: no {target} to link to")


def check_folder(readme, files):
    """Each source in the folder is named, by its stem or by a pattern; x_state.h by x."""
    names = {name for text in re.findall(r"[\w*{},.-]+", readme.read_text())
             for name in expand(text.rstrip(".,"))}
    names |= {Path(name).stem if Path(name).suffix in CODE else name for name in names}
    for source in files:
        if source.parent == readme.parent and source.suffix in CODE:
            beside = source.suffix == ".h" and source.with_suffix(".c") in files
            stems = [source.stem]
            if source.suffix != ".c":
                stems.append(source.stem.rsplit("_", 1)[0])
            if not beside and not any(fnmatch.filter(stems, name) for name in names):
                wrong.append(f"{readme}: nothing of {source.name}")


def check_decisions(index, files):
    told = index.read_text()
    wrong.extend(f"{index}: nothing of {file.name}" for file in files
                 if file.parent == index.parent and f"({file.name})" not in told and file != index)


def check_ranges(file):
    for number, line in lines(file):
        match = re.match(r"\| ([A-Z])1(?:-\1(\d+))? .*\| `([\w/.]+)` \|", line)
        if match:
            letter, last, where = match.groups()
            kept = {int(n) for n in re.findall(rf"^[ */]*{letter}(\d+)[. ]",
                                               Path(where).read_text(), re.M)}
            if kept != set(range(1, int(last or 1) + 1)):
                wrong.append(f"{file}:{number}: {where} has {sorted(kept)} of {letter}")


def check_rows(file, tables):
    for number, line in enumerate(file.read_text().splitlines(), 1):
        for row in re.findall(r"(?:^    |`)((?:INSN|ENC|INLINE|SAME)\(.*?\))(?:$|`)", line):
            if row not in tables:
                wrong.append(f"{file}:{number}: no row {row}")


def check_variables(files):
    table = Path("docs/variables.md")
    told = set(re.findall(r"^\| `(NOVT_\w+)`", table.read_text(), re.M))
    read = set()
    for file in files:
        if file.suffix != ".md" and file.suffix in CODE + (".sh", ".txt", ".cmake", ""):
            read |= set(re.findall(r"\bNOVT_[A-Z_]+\b", file.read_text(errors="replace")))
    wrong.extend(f"{table}: nothing of {name}" for name in sorted(read - told))
    wrong.extend(f"{table}: nobody reads {name}" for name in sorted(told - read))


def main():
    files = listed()
    paths = ["/" + str(file) for file in files]
    words = {file.stem for file in files} | {file.stem.removeprefix("test_") for file in files}
    for file in files:
        if file.suffix in CODE + (".txt", ".sh", ""):
            words.update(re.findall(r"\w+", file.read_text(errors="replace")))
    tables = "".join(file.read_text() for file in files if file.suffix == ".def")
    for file in files:
        if file.suffix == ".md":
            check_names(file, paths, words)
            check_rows(file, tables)
            check_links(file)
        if file.name == "README.md" and file.parent != Path():
            check_folder(file, files)
    check_ranges(Path("ARCHITECTURE.md"))
    check_decisions(Path("docs/decisions/README.md"), files)
    check_variables(files)
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


main()
