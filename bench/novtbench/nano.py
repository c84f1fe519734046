"""Nanobenchmarks: guests/nanobench.c, the same image in every monitor; cycles of the host's TSC."""
import re
import subprocess

from novtbench import machines


def parse(output):
    return {f"nano-{name}": float(cycles) for name, cycles in
            re.findall(r"NANO (\S+) (-?[0-9.]+)", output.decode("latin-1"))}


def measure(args, machine, note):
    append = "fast" if args.quick else ""
    try:
        got = subprocess.run(machines.nano_command(args, machine, append),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=args.timeout,
                             preexec_fn=machines.on_one_cpu(args))
    except subprocess.TimeoutExpired:
        note(f"{machine}: the nanobenchmarks did not end")
        return {}
    return parse(got.stdout)
