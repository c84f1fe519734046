"""What does not vary from run to run: novt's counters for a fixed guest, by form of access.

nanobench.elf does each of its operations so many times, with interrupts masked; which form of
access to memory an address space has is forced, for the choice depends on times. Not counted: port
accesses, for the serial line is asked until it has room.
"""
import json
import tempfile
from pathlib import Path

from novtbench import machines

FORMS = ("tlb", "window")
COUNT = 4096
ENGINE = ("units", "insns_translated", "bytes_guest", "bytes_host", "callouts", "slow_fills",
          "window_faults", "trace_faults", "trace_callouts", "table_syncs", "windows_made",
          "fpu_loads")
CPU = ("cr3_writes", "fault_de", "fault_pf", "mmio_reads", "tlb_fills")


def chosen(statistics):
    its = {name: statistics["engine"].get(name, 0) for name in ENGINE}
    its.update({name: statistics["cpu"].get(name, 0) for name in CPU})
    its["callouts"] -= statistics["engine"].get("callouts_in", 0)
    return its


def of_form(args, form):
    """None if the guest did not come to its end."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        machines.run_quietly(args, machines.nano_command(args, "novt", f"count={COUNT}")
                             + ["-stats-json", out.name], NOVT_ACCESS=form)
        try:
            return chosen(json.loads(Path(out.name).read_text(encoding="utf-8")))
        except ValueError:
            return None


def measure(args):
    found = {form: of_form(args, form) for form in FORMS}
    return {form: its for form, its in found.items() if its}
