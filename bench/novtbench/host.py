"""This host: what it is, how busy it is, and what a process costs it."""
import os
import platform
import re
import subprocess
from pathlib import Path


def text_of(path):
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def cpu_model():
    got = re.search(r"model name\s*: (.*)", text_of("/proc/cpuinfo"))
    return got.group(1) if got else platform.machine()


def hypervisor():
    """What runs this host, as far as it says: by CPUID's bit, and whose it is by lscpu."""
    if not re.search(r"^flags.*\bhypervisor\b", text_of("/proc/cpuinfo"), re.M):
        return "none"
    try:
        said = subprocess.run(["lscpu"], stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, LC_ALL="C")).stdout
    except OSError:
        said = ""
    vendor = re.search(r"^Hypervisor vendor: *(.*)", said, re.M)
    return vendor.group(1) if vendor else "yes"


def mitigations():
    folder = Path("/sys/devices/system/cpu/vulnerabilities")
    found = {path.name: text_of(path) for path in sorted(folder.glob("*"))}
    return {name: text for name, text in found.items() if text and text != "Not affected"}


def hardware_virtualization():
    flags = re.search(r"^flags.*", text_of("/proc/cpuinfo"), re.M)
    words = flags.group(0).split() if flags else []
    return "VT-x" if "vmx" in words else "AMD-V" if "svm" in words else "none"


def memory_mib(what="MemTotal"):
    got = re.search(rf"^{what}:\s+(\d+)", text_of("/proc/meminfo"), re.M)
    return int(got.group(1)) // 1024 if got else 0


def tsc_hz():
    """Of the time stamp counter: Linux takes its BogoMIPS from it."""
    got = re.search(r"^bogomips\s*: ([0-9.]+)", text_of("/proc/cpuinfo"), re.M)
    return float(got.group(1)) / 2 * 1e6 if got else 0


def describe():
    return {"cpu": cpu_model(), "cpus": os.cpu_count(), "memory_mib": memory_mib(),
            "tsc_mhz": tsc_hz() / 1e6,
            "kernel": f"{platform.system()} {platform.release()}",
            "hypervisor": hypervisor(), "virtualization": hardware_virtualization(),
            "mitigations": mitigations(), "load": os.getloadavg()[0]}


def sentence(its):
    return (f"{its['cpu']}, {its['cpus']} CPUs, {its['memory_mib']} MiB, {its['kernel']}, "
            f"hypervisor: {its['hypervisor']}, hardware virtualization: {its['virtualization']}")


# ---- What a process costs -------------------------------------------------------


def memory_beyond(pid, guest_mib):
    """MiB the process has beyond the guest's RAM: its other mappings by their
    share (PSS: what is mapped twice counts once), and its page tables."""
    beyond = size = 0
    guest_ram = named = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)", line)
        if head:
            guest_ram = "memfd:novt-ram" in head.group(1)
            named = bool(head.group(1))
        elif line.startswith("Size:"):
            size = int(line.split()[1])
            guest_ram = guest_ram or (not named and size == guest_mib * 1024)  # QEMU's
        elif line.startswith("Pss:") and not guest_ram:
            beyond += int(line.split()[1])
    status = Path(f"/proc/{pid}/status").read_text()
    return (beyond + int(re.search(r"VmPTE:\s+(\d+)", status).group(1))) / 1024


def family(pid):
    """The process and all below it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def areas(pid):
    return Path(f"/proc/{pid}/maps").read_text().count("\n")
