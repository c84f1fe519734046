#!/usr/bin/env python3
"""The timeline of novt trace in a browser: trace_browser.py NOVT KERNELS.elf

Chromium opens it from a file, without a window: nothing may be complained about in its console, and
the page must show as many events of each kind as novt trace counts, for the whole trace and for a
part that the address names. Status 77, told why: no Chromium.
"""
import html.parser
import math
import re
import subprocess
import sys
import tempfile

import browser

# What somebody does with the mouse: the wheel over the middle, then a click on a row of events.
PLAY = """<script>
addEventListener("load", () => {
    const canvas = document.getElementById("timeline"), x = canvas.clientWidth / 2;
    const row = rows.find(r => r.kind !== undefined && kinds[r.kind].name === "callout");
    for (let i = 0; i < 8; i++)
        canvas.dispatchEvent(new WheelEvent("wheel", {deltaY: -1, clientX: x, clientY: 5}));
    document.body.dataset.zoomed = `${view.from}-${view.to}`;
    list(row, view.from);
    const drawn = context.getImageData(0, 0, canvas.width, canvas.height).data;
    document.body.dataset.drawn = new Set(new Uint32Array(drawn.buffer)).size;
});
</script>"""


class Table(html.parser.HTMLParser):
    """The numbers of each row: (in view, in all)."""

    def __init__(self, text):
        super().__init__()
        self.row, self.cell, self.rows, self.body, self.list = None, None, {}, {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        its = dict(attrs)
        self.cell = its.get("class") if tag == "td" else its.get("id")
        if tag == "tr":
            self.row = its.get("data-kind")
        if tag == "body":
            self.body = its

    def handle_endtag(self, tag):
        self.cell = None

    def handle_data(self, data):
        if self.row and self.cell and "number" in self.cell:
            self.rows.setdefault(self.row, []).append(int(data))
        elif self.cell == "list":
            self.list += data


def summary(novt, trace, *words):
    out = subprocess.run([novt, "trace", trace, *words], check=True, capture_output=True,
                         text=True).stdout
    return {m[1]: int(m[2]) for m in re.finditer(r"^  (\w+) +(\d+) ", out, re.M)}, out


def complaints(novt, chromium, folder, trace):
    page = f"{folder}/page.html"
    subprocess.run([novt, "trace", trace, "--timeline", page], check=True)
    whole, text = summary(novt, trace)
    seconds = re.search(r"from ([\d.]+) s to ([\d.]+) s", text)
    middle = (float(seconds[1]) + float(seconds[2])) / 2
    part, _ = summary(novt, trace, "--filter", f"time={middle:.9f}-{middle + 0.01:.9f}")
    dom, said = browser.dump(chromium, folder, f"{page}#t={middle:.9f}-{middle + 0.01:.9f}")
    if said:
        yield "the console has: " + said
    table = Table(dom)
    if table.body.get("data-ready") != "yes":
        yield "the page is not ready when it is loaded"
    want = {kind: [part.get(kind, 0), count] for kind, count in whole.items()}
    if table.rows != want:
        yield f"the page shows {table.rows}, the trace has {want}"
    yield from played(novt, chromium, folder, trace, page)


def played(novt, chromium, folder, trace, page):
    with open(page, encoding="utf-8") as file:
        text = file.read()
    if re.search(r"""(src|href) *= *["']?(?!data:)\w""", text.replace(PLAY, "")):
        yield "the page needs something else than itself"
    with open(page, "w", encoding="utf-8") as file:
        file.write(text.replace("</body>", PLAY + "</body>"))
    table = Table(browser.dump(chromium, folder, page)[0])
    begin, end = map(float, table.body.get("data-zoomed", "0-0").split("-"))
    if not 0 < end - begin < 2e9:
        yield f"the wheel has not zoomed: {begin} to {end}"
    lines = table.list.splitlines()
    words = ["--text", "--filter", f"callout,time={math.ceil(begin) / 1e9:.9f}-"]
    want = subprocess.run([novt, "trace", trace, *words], check=True, capture_output=True,
                          text=True).stdout.splitlines()[:200]
    differ = [pair for pair in zip(lines, want) if pair[0].split() != pair[1].split()]
    if differ or len(lines) != len(want):
        yield f"the list has {len(lines)} lines, the trace {len(want)}; {differ[:1]}"
    if int(table.body.get("data-drawn", 0)) < 8:
        yield f"{table.body.get('data-drawn')} colours have been drawn"


def main():
    novt, kernels = sys.argv[1:3]
    chromium = browser.find("the timeline")
    with tempfile.TemporaryDirectory() as folder:
        trace = f"{folder}/trace"
        subprocess.run([novt, "run", "-kernel", kernels, "-device",
                        "isa-debug-exit,iobase=0xf4,iosize=4", "-timeout", "300", "-trace", trace],
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        found = list(complaints(novt, chromium, folder, trace))
    print("\n".join(found))
    sys.exit(1 if found else 0)


main()
