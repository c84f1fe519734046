"""novt bench compare OLD.json NEW.json: what became slower, and what the counters say.

A time is slower when its median grew by more than either side's spread and more than 5 %; with
one sample nobody knows the spread, and 25 % are allowed. Counters hardly vary: 2 % are allowed,
and one more. Exit status 1 if anything is slower or counts more.
"""
import argparse
import json
import os
import statistics

from novtbench.errors import fail
from novtbench.results import FORMAT
from novtbench.table import number, print_cells

ALLOWED, ALLOWED_BLIND = 0.05, 0.25


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        fail(f"cannot read '{path}': {error.strerror}", os.EX_NOINPUT)
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("novt_bench") != FORMAT:
        fail(f"'{path}' is not what novt bench --json writes", os.EX_DATAERR)
    return document


def spread(values):
    middle = statistics.median(values)
    if len(values) < 2:
        return ALLOWED_BLIND
    return (max(values) - min(values)) / middle if middle else 0


def rows_of(old, new):
    """(what, old median, new median, what is allowed), of novt's column where both have it."""
    before = {row["name"]: row for row in old["rows"]}
    for row in new["rows"]:
        was = before.get(row["name"])
        if was and "novt" in was["samples"] and "novt" in row["samples"]:
            yield (row["name"], was["median"]["novt"], row["median"]["novt"],
                   max(ALLOWED, spread(was["samples"]["novt"]), spread(row["samples"]["novt"])))


def counters_of(old, new, allowed):
    for form, counters in new["counters"].items():
        for name, value in counters.items():
            was = old["counters"].get(form, {}).get(name)
            if was is not None:
                yield f"{form}: {name}", was, value, allowed


def changed(rows, slack=0):
    """(those that got worse, those that got better), each with its ratio"""
    worse, better = [], []
    for what, was, now, allowed in rows:
        ratio = now / was if was else float(now > slack) + 1
        if now > was * (1 + allowed) + slack:
            worse.append((what, was, now, ratio))
        elif now < was / (1 + allowed) - slack:
            better.append((what, was, now, ratio))
    return worse, better


def show(title, rows):
    if rows:
        print(f"{title}:")
        print_cells([("", "was", "is", "ratio")] +
                    [(what, number(was), number(now), number(ratio))
                     for what, was, now, ratio in rows])


def main(words):
    parser = argparse.ArgumentParser(prog="novt bench compare", allow_abbrev=False)
    parser.add_argument("old", metavar="OLD.json")
    parser.add_argument("new", metavar="NEW.json")
    parser.add_argument("--counters", action="store_true", help="not the times")
    parser.add_argument("--allow", type=float, default=2, metavar="PERCENT",
                        help="that counters may be higher (2)")
    args = parser.parse_args(words)
    old, new = load(args.old), load(args.new)
    slower, faster = changed([] if args.counters else rows_of(old, new))
    more, less = changed(counters_of(old, new, args.allow / 100), slack=1)
    show("Slower", slower)
    show("Counts more", more)
    show("Faster", faster)
    show("Counts less", less)
    if not (slower or more):
        print("Nothing is slower." if not args.counters else "No counter is higher.")
    return 1 if slower or more else 0
