#!/usr/bin/env python3
"""The page of novt explain --html in a browser: explain_browser.py NOVT GUEST.elf.

Chromium opens it from a file, without a window. What is searched for, sorted by and pointed at is
said in the page's address. Nothing may be complained about in the console, and rows, their order
and the reason must be those that the data give. Status 77, told why: no Chromium.
"""
import html.parser
import json
import os
import re
import subprocess
import sys
import tempfile

import browser

EIP, CLASS, SIZE, WHY, SENSITIVE = 0, 3, 4, 6, 8


class Page(html.parser.HTMLParser):
    """Rows of the tables by their number, and what is shown above and at the pointer."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.texts, self.at, self.cell = {}, {}, None, False
        self.table, self.hidden = None, set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        its = dict(attrs)
        if tag == "table":
            self.table = self.tables.setdefault(its["id"], [])
        elif tag == "tr" and self.table is not None:
            self.table.append([])
        elif tag == "td":
            self.table[-1].append("")
        self.cell = tag == "td"
        if "id" in its and tag != "table":
            self.at = its["id"]
            if "hidden" in its:
                self.hidden.add(self.at)

    def handle_endtag(self, tag):
        self.cell = False
        self.at = None

    def handle_data(self, data):
        if self.cell:
            self.table[-1][-1] += data
        elif self.at:
            self.texts[self.at] = self.texts.get(self.at, "") + data

    def rows(self, table):
        return [row for row in self.tables[table] if row]


def open_page(chromium, folder, path, state):
    """The page as the browser has it. What it said goes to standard output if it complains."""
    page, said = browser.dump(chromium, folder, f"{path}#{state}", "--virtual-time-budget=20000")
    if said:
        yield "the console has: " + said
    yield Page(page)


def search(data, page):
    """popf, the sensitive ones, those with the longest translation first; why of the first."""
    wanted = [row for row in data["insns"] if row[SENSITIVE] and "popf" in row[2]]
    got = page.rows("insns")
    if sorted(row[0] for row in got) != sorted(f"{row[EIP]:08x}" for row in wanted):
        yield f"searched for: {got}"
    if [row[5] for row in got] != [str(n) for n in sorted((r[SIZE] for r in wanted), reverse=True)]:
        yield f"not in the order of their size: {got}"
    if page.texts.get("shown") != f"{len(wanted)} of {len(data['insns']):,}":
        yield f"the number shown is {page.texts.get('shown')}"
    if page.texts.get("tip") != data["whys"][wanted[0][WHY]] or "tip" in page.hidden:
        yield f"why is {page.texts.get('tip')}"


def whole(data, page):
    if len(page.rows("insns")) != min(300, len(data["insns"])):
        yield "not as many rows as fit"
    if [row[0] for row in page.rows("insns")] != [f"{row[EIP]:08x}" for row in data["insns"][:300]]:
        yield "not in the order of addresses"
    sizes = [int(row[3].replace(",", "")) for row in page.rows("functions")]
    if len(sizes) < 10 or sizes != sorted(sizes, reverse=True):
        yield f"functions not in the order of their host bytes: {sizes}"


def main():
    novt, guest = sys.argv[1:]
    chromium = browser.find("the page")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "page.html")
        subprocess.run([novt, "explain", guest, "--html", path], check=True,
                       stdout=subprocess.DEVNULL)
        with open(path, encoding="utf-8") as file:
            data = json.loads(re.search(r'id="data">(.*?)</script>', file.read(), re.S)[1])
        first = next(row for row in data["insns"] if row[SENSITIVE] and "popf" in row[2])
        for state, look in ((f"q=popf&only=1&sort=size&down=1&why={first[EIP]:08x}", search),
                            ("f=host+bytes&fdown=1", whole)):
            *complaints, page = open_page(chromium, folder, path, state)
            found += complaints + list(look(data, page))
    print("\n".join(found))
    sys.exit(1 if found else 0)


main()
