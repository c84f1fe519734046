"""How a run that cannot be ends: one line, and a status of sysexits.h."""
import os
import sys


def fail(text, status=os.EX_USAGE):
    print(f"novt bench: {text}", file=sys.stderr)
    sys.exit(status)
