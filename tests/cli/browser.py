"""Pages of novt's in Chromium, opened from files and without a window."""
import os
import shutil
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import WAIT, skip  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")


def find(what):
    """Chromium; without it the test is skipped, as what was not looked at."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        skip(f"no Chromium here (apt-get install chromium-headless-shell): {what} was not looked "
             "at")
    return browser


def dump(browser, folder, address, *options):
    """The page as the browser has it at a file's address, and what its console has: "" is well.
    The browser is no part of novt: where it fails on a busy host it is asked again."""
    for attempt in range(3):
        words = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 f"--user-data-dir={folder}/profile{attempt}", "--enable-logging=stderr", *options,
                 "--dump-dom", f"file://{address}"]
        try:
            got = subprocess.run(words, capture_output=True, text=True, timeout=WAIT,
                                 env=dict(os.environ, HOME=folder), check=False)
        except subprocess.TimeoutExpired:
            print(f"the browser has not ended in {WAIT} s", flush=True)
            continue
        if got.stdout and not got.returncode:
            return got.stdout, got.stderr if "CONSOLE" in got.stderr else ""
        print(f"the browser failed: {got.returncode} {got.stderr[-2000:]}", flush=True)
    return "", ""
