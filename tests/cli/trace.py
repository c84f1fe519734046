"""novt run -trace and novt trace, from outside: trace.py NOVT KERNELS.elf TIERS.elf

The guests take exceptions, interrupts and system calls, switch page tables, change their own code
and run on the bare CPU; what the trace has of it is compared with the counters of the same run.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import guest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import check, failures  # noqa: E402

NOVT, KERNELS, TIERS = sys.argv[1:4]
LINE = re.compile(r"^ *(\d+\.\d{9}) (\w+) +([0-9a-f]{8}) (\w+) *(.*)$")


def novt(*words):
    done = subprocess.run([NOVT, *words], capture_output=True, text=True, timeout=guest.WAIT * 3,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def run(elf, *options, env=None):
    return subprocess.run([NOVT, "run", "-kernel", elf, *guest.DEBUG_EXIT, "-timeout", "1500",
                           *options], capture_output=True, timeout=guest.WAIT * 3,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))


def record(elf, folder, *options, env=None):
    """A run's trace; its counters."""
    path, stats = f"{folder}/trace", f"{folder}/stats.json"
    done = run(elf, "-trace", path, "-stats-json", stats, *options, env=env)
    check(done.returncode == 1, f"{elf} {options}: status {done.returncode}: {done.stderr}")
    with open(stats, encoding="utf-8") as file:
        return path, json.load(file)


def counts(*words):
    status, out, err = novt("trace", *words)
    check(status == 0 and not err, f"{words}: {status} {err}")
    return {m[1]: int(m[2]) for m in re.finditer(r"^  (\w+) +(\d+) ", out, re.M)}


def expected(stats):
    """What -stats has counted, by event."""
    cpu, engine = stats["cpu"], stats["engine"]
    of_engine = {"callout": "callouts", "map": "window_maps", "unmap": "window_unmaps",
                 "protect": "window_protects", "drop": "entries_dropped", "flush": "flushes",
                 "invlpg": "invlpgs", "table_write": "table_writes",
                 "table_trace": "tables_traced", "table_forget": "tables_forgotten",
                 "view": "view_switches", "direct_enter": "direct_runs",
                 "direct_leave": "direct_runs", "translate": "units",
                 "unit_drop": "units_dropped", "adapt": "sites_adapted", "smc": "smc_writes",
                 "smc_drop": "smc_drops"}
    of_cpu = {"interrupt": "interrupts", "software": "soft_interrupts", "cr3": "cr3_writes",
              "port_read": "port_reads", "port_write": "port_writes", "mmio_read": "mmio_reads",
              "mmio_write": "mmio_writes"}
    want = {event: cpu[name] for event, name in of_cpu.items()}
    want["halt"] = want["wake"] = stats["host"]["sleeps"]
    want["exception"] = sum(n for name, n in cpu.items() if name.startswith("fault_"))
    want["true_fault"] = cpu.get("fault_pf", 0)
    if stats["engine_name"] == "bt":
        want |= {event: engine[name] for event, name in of_engine.items()}
        want["trace_fault"] = engine["trace_faults"] + engine["trace_callouts"]
        want["tier"] = sum(row["moves"] for row in stats["address_spaces"])
    return want


def compare(got, stats, what):
    for event, count in expected(stats).items():
        check(got.get(event, 0) == count, f"{what}: {got.get(event, 0)} {event}, want {count}")
    told = sum(got.values()) - got.get("mode", 0) # which the reader finds
    check(told == stats["trace"]["events"], f"{what}: {told} in all, want {stats['trace']}")


def test_counts(folder):
    path, stats = record(KERNELS, folder)
    got = counts(path)
    compare(got, stats, "kernels")
    for event in ("mode", "interrupt", "exception", "software", "return", "cr3", "callout",
                  "true_fault", "hidden_fault", "trace_fault", "table_write", "map", "smc"):
        check(got.get(event), f"kernels has some {event}")
    fills = counts(path, "--filter", "hidden_fault,form=tlb").get("hidden_fault", 0)
    check(fills == stats["engine"]["slow_fills"], f"{fills} fills of the TLB")
    by_name = {name[9:]: n for name, n in stats["engine"].items() if name.startswith("callouts_")}
    name, count = max(by_name.items(), key=lambda pair: pair[1])
    check(counts(path, "--filter", f"instruction={name}") == {"callout": count},
          f"{count} callouts of {name}")
    return path, stats, got


def test_tiers(folder):
    """The bare CPU, the software TLB, and another engine."""
    for elf, options, env in ((TIERS, [], {"NOVT_ACCESS": "direct"}),
                              (TIERS, [], {"NOVT_ACCESS": "tlb"}),
                              (KERNELS, ["-engine", "interp"], {})):
        path, stats = record(elf, folder, *options, env=env)
        got = counts(path)
        compare(got, stats, f"tiers {options} {env}")
        if env.get("NOVT_ACCESS") == "direct" and got.get("direct_enter"):
            check(counts(path, "--filter", "tier,to=direct,why=asked for").get("tier", 0) > 0,
                  "the tier that was asked for")


def test_sensitive(folder):
    """What is translated in line is not told, but for those who ask."""
    path, plain = record(KERNELS, folder)
    few = counts(path, "--filter", "instruction=pushf")
    path, stats = record(KERNELS, folder, "-trace-sensitive")
    compare(counts(path), stats, "-trace-sensitive")
    for name in ("pushf", "popf", "cli", "sti", "iret"):
        many = counts(path, "--filter", f"instruction={name}").get("callout", 0)
        check(many > few.get("callout", 0), f"{many} of {name}")
    check(stats["engine"]["callouts"] > plain["engine"]["callouts"], "more callouts")


def lines(*words):
    status, out, err = novt("trace", *words, "--text")
    check(status == 0 and not err, f"{words}: {status} {err}")
    found = [LINE.match(line) for line in out.splitlines()]
    check(all(found), f"{words}: lines of another form")
    return [m.groups() for m in found if m]


def test_text(path, got):
    events = lines(path, "--filter", "cpu,shadow")
    names = [event[3] for event in events]
    times = [float(event[0]) for event in events]
    check(times == sorted(times), "events in the order of time")
    for name in ("interrupt", "exception", "cr3", "view", "map"):
        check(names.count(name) == got[name], f"as many lines of {name}")
    mode = None
    for _, now, _, name, values in events: # a change of mode is told before anything in it
        if name == "mode":
            want = f"from={mode or 'real'} to={now}"
            check(values == want, f"mode: {values}, want {want}")
            mode = now
        elif mode:
            check(now == mode, f"{name} in mode {now}, and the last change was to {mode}")
    faults = lines(path, "--filter", "true_fault")
    cr2 = [re.search(r"cr2=(\S+)", event[4])[1]
           for event in lines(path, "--filter", "exception,vector=14")]
    check([re.search(r"address=(\S+)", event[4])[1] for event in faults] == cr2,
          "the addresses of page faults")


def test_filter(path, got):
    check(counts(path, "--filter", "exception,interrupt").keys() == {"exception", "interrupt"},
          "names")
    some = counts(path, "--filter", "cpu", "--filter", "!mode")
    check("mode" not in some and "callout" not in some and some["cr3"] == got["cr3"], "groups")
    end = lines(path, "--filter", "interrupt")[-1][0]
    early = counts(path, "--filter", f"time=-{end}")
    late = counts(path, "--filter", f"time={end}-")
    check(early["interrupt"] == got["interrupt"] and late["interrupt"] == 1, "time")


def test_chrome(path, got, folder):
    out = f"{folder}/chrome.json"
    check(novt("trace", path, "--chrome", out, "--filter", "!callout")[0] == 0, "--chrome FILE")
    with open(out, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    instants = [event for event in events if event["ph"] == "i"]
    check(len(instants) == sum(got.values()) - got["callout"],
          "an instant for each event")
    rows = {event["tid"]: event["args"]["name"] for event in events
            if event["name"] == "thread_name"}
    spans = [event for event in events if event["ph"] == "X"]
    check(all(event["tid"] in rows and event["pid"] == 1 for event in instants + spans), "rows")
    check(all(event["dur"] >= 0 for event in spans), "lengths")
    check({event["name"] for event in spans} >= {"kernel", "user"}, "the guest's modes")
    fault = next(event for event in instants if event["name"] == "true_fault")
    check(fault["cat"] == "fault" and re.match("0x[0-9a-f]+$", fault["args"]["address"]),
          f"a fault: {fault}")
    only = json.loads(novt("trace", path, "--chrome", "--filter", "cr3")[1])["traceEvents"]
    check(sum(event["ph"] == "i" for event in only) == got["cr3"], "--chrome --filter")


def test_bad_input(path, folder):
    def refused(status, text, *words):
        got, out, err = novt(*words)
        check(got == status and text in err and err.startswith("novt: ") and err.count("\n") == 1
              and "Traceback" not in err, f"{words}: {got} {err}")
        return out

    with open(path, "rb") as file:
        whole = file.read()
    bad = f"{folder}/bad"

    def write(data):
        with open(bad, "wb") as file:
            file.write(data)

    write(b"not a trace at all, but long enough to have a header of one")
    refused(65, "not a trace of novt", "trace", bad)
    write(b"")
    refused(65, "too short", "trace", bad)
    write(whole[:8] + b"\x02" + whole[9:])
    refused(65, "header is damaged", "trace", bad)
    middle = len(whole) // 2
    write(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:])
    check("events from" in refused(65, "damaged at byte", "trace", bad), "what is before damage")
    write(whole[:middle])
    status, out, err = novt("trace", bad)
    check(status == 0 and "has no end" in err and "events from" in out, f"cut off: {status} {err}")
    refused(66, "No such file", "trace", f"{folder}/none")
    refused(65, "read from any position", "trace", folder)
    refused(64, "which file", "trace")
    refused(64, "unknown", "trace", path, "--nonsense")
    refused(64, "of which trace", "run", "-kernel", KERNELS, "-trace-sensitive")
    refused(64, "one of them", "trace", path, "--text", "--chrome")
    refused(64, "needs a value", "trace", path, "--timeline")
    refused(64, "no such event", "trace", path, "--filter", "nonsense")
    refused(64, "too many words", "trace", path, "a", "b")
    refused(64, "only --timeline", "trace", path, "--text", "out")
    refused(73, "cannot write", "trace", path, "--timeline", f"{folder}/none/out.html")
    refused(73, "cannot write", "trace", path, "--timeline", path)
    check(open(path, "rb").read() == whole, "a trace is not overwritten by what is made of it")
    refused(73, "-trace: cannot write", "run", "-kernel", KERNELS, "-trace", f"{folder}/none/t")
    status, _, err = novt("run", "-kernel", KERNELS, *guest.DEBUG_EXIT, "-serial", "none",
                          "-trace", "/dev/full")
    check(status and "cannot write" in err, f"a full disk: {status} {err}")


def test_killed(folder):
    """kill -9: what was written until then is there."""
    path = f"{folder}/killed"
    spin = f"{folder}/spin"
    with open(spin, "wb") as file: # in al, 0x64 for ever
        file.write(guest.kernel(b"\xe4\x64\xeb\xfc"))
    with subprocess.Popen([NOVT, "run", "-kernel", spin, "-serial", "none", "-trace", path],
                          stdin=subprocess.DEVNULL) as child:
        guest.wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 100000,
                       "a trace that grows", child.poll)
        child.kill()
    status, out, err = novt("trace", path)
    check(status == 0 and "has no end" in err, f"killed: {status} {err}")
    got = re.search(r"^  port_read +(\d+) ", out, re.M)
    check(got and int(got[1]) > 1000, f"killed: {out}")
    last = lines_of_cut(path)
    check(last and "port=0x64" in last[-1], f"killed: its last event is {last[-1:]}")


def lines_of_cut(path):
    return novt("trace", path, "--text", "--filter", "port_read")[1].splitlines()


def main():
    with tempfile.TemporaryDirectory() as folder:
        path, _, got = test_counts(folder)
        path = shutil.copy(path, f"{folder}/kept")
        test_text(path, got)
        test_filter(path, got)
        test_chrome(path, got, folder)
        test_bad_input(path, folder)
        test_killed(folder)
        test_tiers(folder)
        test_sensitive(folder)
    status, out, _ = novt("trace", "--help")
    check(status == 0 and "hidden_fault" in out and "Modes: real" in out, "--help")
    print(f"{'FAIL' if failures else 'ok'} trace")
    sys.exit(1 if failures else 0)


main()
