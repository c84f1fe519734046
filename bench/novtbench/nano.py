"""Nanobenchmarks: guests/nanobench.c, the same image in every monitor; cycles of the host's TSC.

Natively it is a program with those of the same loops that need no privilege.
"""
import re
import subprocess

from novtbench import bochs, machines


def parse(output):
    return {f"nano-{name}": float(cycles) for name, cycles in
            re.findall(r"NANO (\S+) ([0-9.]+)", output.decode("latin-1"))}


def words(args, nanos):
    """For the guest's command line; nanos: True or a set of rows."""
    its = ["fast"] if args.quick else []
    return its if nanos is True else [*its, "only", *(name[5:] for name in sorted(nanos))]


def command(args, machine, nanos):
    if machine == "native":
        return [str(args.native), *(["fast"] if args.quick else [])]
    return machines.nano_command(args, machine, " ".join(words(args, nanos)))


def measure(args, machine, nanos, note):
    if machines.MACHINES[machine].kind == "bochs":
        return bochs.nano(args, words(args, nanos), note)
    try:
        got = subprocess.run(command(args, machine, nanos), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=machines.patience(args), preexec_fn=machines.on_one_cpu(args))
    except (subprocess.TimeoutExpired, OSError) as error:
        note(f"{machines.MACHINES[machine].title}: no nanobenchmarks: {error}")
        return {}
    return parse(got.stdout)
