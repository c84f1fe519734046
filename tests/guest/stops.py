#!/usr/bin/env python3
"""A guest that measures its TSC by the PIT while the host stops novt again and again.

    stops.py NOVT calibrate.elf [ROUNDS [ENGINE]]

Linux's loop tells when it was stopped by a step that is too long, and begins anew; a stop in its
last look it would not see, were the chip's answer of behind it (devices/i8254.c). Most rounds here
have a stop. None of the rates that are accepted may be wrong.
"""
import os
import random
import signal
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import must  # noqa: E402

RUN_S, STOP_S = (0.0003, 0.004), (0.010, 0.012)


def main():
    novt, guest = sys.argv[1:3]
    rounds = sys.argv[3] if len(sys.argv) > 3 else "400"
    engine = sys.argv[4] if len(sys.argv) > 4 else "bt"
    command = [novt, "run", "-engine", engine, "-m", "16", "-kernel", guest, "-append",
               f"rounds={rounds}", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4",
               "-no-reboot", "-timeout", "1000"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    begun = process.stdout.readline()
    must(begun.startswith("begin"), f"it has not begun: {begun}")
    stops = 0
    while process.poll() is None:
        time.sleep(random.uniform(*RUN_S))
        process.send_signal(signal.SIGSTOP)
        time.sleep(random.uniform(*STOP_S))
        process.send_signal(signal.SIGCONT)
        stops += 1
    text = process.stdout.read()
    print(begun + text + f"{stops} stops")
    must(process.returncode == 1 and f"{rounds} rounds" in text, f"status {process.returncode}")


main()
