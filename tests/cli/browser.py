"""Pages of novt's in Chromium, opened from files and without a window."""
import os
import shutil
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import skip  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")


def find(what):
    """Chromium; without it the test is skipped, as what was not looked at."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        skip(f"no Chromium here (apt-get install chromium-headless-shell): {what} was not looked "
             "at")
    return browser


def dump(browser, folder, address, *options):
    """The page as the browser has it at a file's address, and what its console has: "" is well."""
    got = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu",
                          "--disable-dev-shm-usage", f"--user-data-dir={folder}/profile",
                          "--enable-logging=stderr", *options, "--dump-dom", f"file://{address}"],
                         capture_output=True, text=True, timeout=240,
                         env=dict(os.environ, HOME=folder), check=False)
    return got.stdout, got.stderr if "CONSOLE" in got.stderr else ""
