#!/usr/bin/env python3
"""The gdb stub, byte by byte: stub.py NOVT debug.elf [CASE...]

Every case is run with both engines, and with the translator in each form of access to memory
(NOVT_ACCESS), as the case says. The guest is guests/debug.c; its labels are in debug_code.S.
"""
import os
import struct
import sys
import tempfile
import time
import traceback

from remote import Gone, Guest, symbols

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from checks import check, failures  # noqa: E402

INTERP = ("-engine", "interp")
TIERS = ("", "tlb", "window", "shared", "direct")


def run_to(gdb, address):
    check(gdb.ask(f"Z0,{address:x},1") == "OK", "Z0")
    reply = gdb.go()
    check(reply.startswith("T05") and "swbreak:;" in reply, reply)
    check(gdb.register("eip") == address, hex(gdb.register("eip")), "want", hex(address))
    check(gdb.ask(f"z0,{address:x},1") == "OK", "z0")


def finish(guest, gdb, s, status=1):
    """Lets it end by itself."""
    gdb.set_word(s["debug_rounds_left"], 1)
    reply = gdb.go()
    check(reply == f"W{status:02x}", reply)
    got = guest.end()
    check(got[0] == status, got)


def handler(s, vector):
    return s["trap_stubs"] + 16 * vector


# What each step leads to; "label+n" is n bytes behind it.
STEPS = ["step_pushf", "step_pop", "step_push", "step_popf", "step_load_ss", "step_mov_ss",
         "step_shadow", "step_shadow+5", "step_rep", "step_rep", "step_rep", "step_after_rep", 0x81]
RETURN = ["step_after_int+1", "step_after_int+2", "step_iret", "step_after_iret", "step_sysenter",
          "debug_sysenter_entry", "step_cpuid", "step_cpuid+1", "step_cpuid+3", "step_ud2", 6]
TRAPPED = ["step_after_ud2+1", "step_popf_tf", "step_trapped", 1]


def walk(gdb, s, path):
    """Steps along the labels; a number is a vector's handler."""
    for want in path:
        name, _, more = str(want).partition("+")
        address = handler(s, want) if isinstance(want, int) else s[name] + int(more or 0)
        got = gdb.step()
        check(got == address, "step to", hex(got), "want", want, hex(address))


def case_steps(guest, gdb, s):
    """Over everything that is hard to step over. The guest must not see a TF of ours."""
    run_to(gdb, s["step_pushf"])
    walk(gdb, s, STEPS[1:2])
    flags = gdb.word(gdb.register("esp"))
    check(not flags & 0x100, "PUSHF shows TF", hex(flags))
    walk(gdb, s, STEPS[2:])
    frame = struct.unpack("<3I", gdb.memory(gdb.register("esp"), 12))
    check(frame[0] == s["step_after_int"] and not frame[2] & 0x100, "INT's frame", frame)
    run_to(gdb, s["step_after_int"])
    walk(gdb, s, RETURN)
    check(gdb.word(gdb.register("esp")) == s["step_ud2"], "#UD's frame")
    run_to(gdb, s["step_after_ud2"])
    walk(gdb, s, TRAPPED)
    frame = struct.unpack("<3I", gdb.memory(gdb.register("esp"), 12))
    check(frame[0] == s["step_after_trap"] and frame[2] & 0x100, "#DB's frame", frame)
    run_to(gdb, s["step_after_trap"])
    walk(gdb, s, ["step_hlt", "step_after_hlt"])
    check("halted" in bytes.fromhex(gdb.ask("qThreadExtraInfo,1")).decode(), "halted")
    walk(gdb, s, [0x20])
    check(gdb.word(gdb.register("esp")) == s["step_after_hlt"], "the interrupt's frame")
    run_to(gdb, s["step_after_hlt"])
    walk(gdb, s, ["step_end"])
    check(gdb.word(s["debug_single_steps"]) == 1, "the guest's own single steps")
    finish(guest, gdb, s)


def case_breakpoints(guest, gdb, s):
    """In code that has been translated already, in a chain of units, and in the middle of one."""
    run_to(gdb, s["outer"])
    run_to(gdb, s["outer"])
    for name in ("inner", "middle"):
        check(gdb.ask(f"Z1,{s[name]:x},1") == "OK", "Z1")
    order = []
    for _ in range(4):
        reply = gdb.go()
        check("hwbreak:;" in reply, reply)
        order.append(gdb.register("eip"))
        gdb.step() if len(order) % 2 else None
        check(gdb.ask(f"z1,{order[-1]:x},1") == "OK", "z1")
        gdb.step()
        check(gdb.ask(f"Z1,{order[-1]:x},1") == "OK", "Z1")
    check(order == [s["middle"], s["inner"]] * 2, [hex(at) for at in order])
    for name in ("inner", "middle"):
        gdb.ask(f"z1,{s[name]:x},1")
    rounds = gdb.word(s["debug_rounds"])
    run_to(gdb, s["step_mov_ss"])
    run_to(gdb, s["step_shadow"])
    run_to(gdb, s["step_mov_ss"])
    check(gdb.word(s["debug_rounds"]) > rounds, "no round has passed")
    # A jump to a breakpoint stops at it.
    check(gdb.ask(f"Z0,{s['step_pushf']:x},1") == "OK", "Z0")
    check(gdb.set_register("eip", s["step_pushf"]) == "OK", "eip")
    check("swbreak:;" in gdb.go() and gdb.register("eip") == s["step_pushf"], "a jump there")
    gdb.ask(f"z0,{s['step_pushf']:x},1")
    # Memory is the guest's own: nobody has put an INT3 there.
    check(gdb.memory(s["step_pushf"], 1) == b"\x9c", "the guest's code has changed")


def case_user(guest, gdb, s):
    """User code, while it runs in its tier: interrupted, then stopped at, watched."""
    gdb.set_word(s["debug_user_loops"], 0x7fffffff)
    while gdb.register("cs") != 0x1b:  # until it is the user's code that Ctrl-C finds
        gdb.send("vCont;c")
        time.sleep(0.05)
        reply = gdb.interrupt()
        check(reply.startswith("T02"), reply)
    code, data = gdb.word(s["debug_user_code"]), gdb.word(s["debug_user_data"])
    check(gdb.register("eip") - code in range(5), hex(gdb.register("eip")), hex(code))
    run_to(gdb, code + 2)
    before = gdb.word(data)
    run_to(gdb, code)
    check(gdb.step() == code + 2 and gdb.word(data) == before + 1, "a step of the user's")
    check(gdb.step() == code + 3 and gdb.step() == code, "steps of the user's")
    check(gdb.ask(f"Z2,{data:x},4") == "OK", "Z2")
    before = gdb.word(data)
    for i in range(3):
        reply = gdb.go()
        check(f"watch:{data:x};" in reply, reply)
        check(gdb.word(data) == before + 1 + i and gdb.register("eip") == code + 2, "watched")
    check(gdb.ask(f"z2,{data:x},4") == "OK", "z2")
    gdb.set_register("ecx", 10)
    before = gdb.word(data)
    gdb.set_word(s["debug_user_loops"], 1000)
    run_to(gdb, s["run_user"])
    check(gdb.word(data) == before + 9, "the user's count", gdb.word(data), before)


def case_watch(guest, gdb, s):
    """Watched by kind, beside the address, in strings, and written by the debugger."""
    run_to(gdb, s["outer"])
    watched, buffer = s["debug_watched"], s["debug_buffer"]
    check(gdb.ask(f"Z2,{watched:x},4") == "OK", "Z2")
    before = gdb.word(watched)
    reply = gdb.go()
    check(f"watch:{watched:x};" in reply and s["inner"] < gdb.register("eip") < s["middle"] + 64,
          reply, hex(gdb.register("eip")))
    check(gdb.word(watched) != before, "it has not been written")
    gdb.set_word(watched, 5)
    check(gdb.ask(f"z2,{watched:x},4") == "OK", "z2")
    # The last of 64 longs of a string, then the string's end.
    check(gdb.ask(f"Z4,{buffer + 252:x},1") == "OK", "Z4")
    reply = gdb.go()
    check(f"awatch:{buffer + 252:x};" in reply, reply)
    check(gdb.register("ecx") == 0 and gdb.register("eip") == s["string_after"],
          gdb.register("ecx"), hex(gdb.register("eip")))
    check(gdb.ask(f"z4,{buffer + 252:x},1") == "OK", "z4")
    check(gdb.ask(f"Z2,{buffer + 8:x},4") == "OK", "Z2")
    gdb.go()
    check(gdb.register("edi") == buffer + 12, "a string's middle", hex(gdb.register("edi")))
    check(gdb.ask(f"z2,{buffer + 8:x},4") == "OK", "z2")
    # Reads: of a variable that is only read, in the loop's condition.
    left = s["debug_rounds"]
    check(gdb.ask(f"Z3,{left:x},4") == "OK", "Z3")
    reply = gdb.go()
    check(f"rwatch:{left:x};" in reply, reply)
    check(gdb.ask(f"z3,{left:x},4") == "OK", "z3")
    check(gdb.ask(f"Z2,{watched:x},0").startswith("E"), "no bytes")
    finish(guest, gdb, s)


def case_registers(guest, gdb, s):
    text = gdb.ask("qXfer:features:read:target.xml:0,3000")
    check(text[0] == "l" and "<architecture>i386</architecture>" in text, text[:200])
    check(gdb.ask("qXfer:features:read:target.xml:5,10") == "m" + text[6:22], "a part")
    names = [part.split('"')[0] for part in text.split('<reg name="')[1:]]
    sizes = [int(part.split('"')[0]) // 8 for part in text.split('bitsize="')[1:]]
    everything = bytes.fromhex(gdb.ask("g"))
    check(len(everything) == sum(sizes), len(everything), sum(sizes))
    for name, value in (("eax", 0x12345678), ("eflags", 0x202), ("ds", 8), ("ebp", 7)):
        check(gdb.set_register(name, value) == "OK", name)
        check(gdb.register(name) == value, name, hex(gdb.register(name)))
    check(gdb.set_register("ds", 0x77).startswith("E"), "a selector outside the table")
    check(gdb.register("ds") == 8, "it has changed")
    check(gdb.set_register("ds", 0x10) == "OK", "data again")
    for name, value in (("st0", bytes(range(1, 11))), ("xmm7", bytes(range(16))),
                        ("ymm3h", bytes(range(16, 32))), ("fctrl", b"\x7f\x02\0\0"),
                        ("mxcsr", b"\x80\x1e\0\0"), ("ftag", b"\xff\xff\0\0"),
                        ("cr2", b"\x01\x02\x03\x04"), ("fs_base", b"\0\0\x10\0")):
        if name not in names:
            continue
        number = names.index(name)
        check(gdb.ask(f"P{number:x}={value.hex()}") == "OK", name)
        check(gdb.ask(f"p{number:x}") == value.hex(), name, gdb.ask(f"p{number:x}"))
    check(gdb.ask(f"p{len(names):x}").startswith("E"), "one too many")
    check(gdb.ask("G" + everything.hex()) == "OK" and gdb.ask("g") == everything.hex(), "G")
    run_to(gdb, s["inner"])
    check(bytes.fromhex(gdb.ask(f"p{names.index('cr0'):x}"))[3] & 0x80, "CR0.PG")
    gdb.ask("D")


def case_memory(guest, gdb, s):
    run_to(gdb, s["inner"])
    record = s["debug_record"]
    check(gdb.memory(record + 4, 9) == b"a record\0", gdb.memory(record + 4, 9))
    check(gdb.ask(f"X{record + 4:x},3:") .startswith("E"), "too few bytes")
    gdb.send(b"X%x,3:" % (record + 4) + b"}\x03}\x04x")  # '#', '$', x
    check(gdb.receive() == "OK" and gdb.memory(record + 4, 3) == b"#$x", "X")
    check(gdb.ask("m90000000,4") == "E0e", "not mapped")
    check(gdb.ask("m123456789,4") == "E0e", "not an address")
    check(gdb.ask(f"M{0xf0000000:x},1:00").startswith("E"), "nothing there")
    check("is not mapped" in gdb.monitor("translate 0x90000000"), "translate")
    check(f"is 0x{record:08x}" in gdb.monitor(f"translate {record:#x}"), "translate")
    check(gdb.monitor(f"xp/3xb {record + 4:#x}").split(":")[1].split() == ["0x23", "0x24", "0x78"],
          gdb.monitor(f"xp/3xb {record + 4:#x}"))
    check("pushf" in gdb.monitor(f"xp/1i {s['step_pushf']:#x}"), "xp/i")
    check("physical" in gdb.monitor("physical on"), "physical")
    check(gdb.memory(record + 4, 3) == b"#$x", "physical")
    gdb.monitor("physical off")
    check("usage" in gdb.monitor("xp/9q 1"), "usage")
    check("did you mean" in gdb.monitor("statsu"), "a slip")
    check("state: paused" in gdb.monitor("status"), gdb.monitor("status"))
    check("screenshot" in gdb.monitor("help") and "xp" in gdb.monitor("help"), "help")
    # Written code is executed: "inner" returns 77 at once, for a while.
    code = gdb.memory(s["inner"], 6)
    check(gdb.ask(f"M{s['inner']:x},6:b84d000000c3") == "OK", "M")
    back = gdb.word(gdb.register("esp"))
    run_to(gdb, back)
    check(gdb.register("eax") == 77, gdb.register("eax"))
    check(gdb.ask(f"M{s['inner']:x},6:{code.hex()}") == "OK", "M")
    check(gdb.ask("vKill;1") == "OK", "vKill")
    check(guest.end()[0] == 130, "killed")


def case_packets(guest, gdb, s):
    check("PacketSize=4000" in gdb.ask("qSupported:xmlRegisters=i386"), "qSupported")
    for unknown in ("vMustReplyEmpty", "qSymbol::", "B", "qCRC:1,2"):
        check(gdb.ask(unknown) == "", unknown)
    check(gdb.ask("vCont?") == "vCont;c;C;s;S;r", "vCont?")
    check(gdb.ask("qfThreadInfo") == "m1" and gdb.ask("qsThreadInfo") == "l", "threads")
    check(gdb.ask("Hg1") == gdb.ask("Hg0") == gdb.ask("Hc-1") == gdb.ask("T1") == "OK", "threads")
    check(gdb.ask("Hg2").startswith("E") and gdb.ask("T2").startswith("E"), "no such thread")
    check(gdb.ask("qC") == "QC1" and gdb.ask("qAttached") == "1", "qC")
    check(gdb.ask("?").startswith("T05thread:1;08:"), gdb.ask("?"))
    # A range of steps ends behind it; a function called from there is not in it.
    run_to(gdb, s["step_pushf"])
    reply = gdb.ask(f"vCont;r{s['step_pushf']:x},{s['step_rep']:x}:1;c")
    check(reply.startswith("T05") and gdb.register("eip") == s["step_rep"], reply)
    # Somebody else in the meantime: waits, and finds it where it was.
    gdb.close()
    again = guest.connect(ack=True)
    check(again.register("eip") == s["step_rep"], "after a reconnection")
    again.socket.sendall(b"$?#00")
    check(again.byte() == b"-", "a wrong sum")
    again.send("?")
    again.receive()
    check(again.ask(f"Z0,{s['step_rep']:x},1") == "OK", "Z0")
    check(again.ask("D") == "OK", "D")
    third = guest.connect()
    check(third.register("eip") != 0, "after a detachment")
    third.send("k")
    try:
        third.receive()
        check(False, "killed, and it answers")
    except Gone:
        pass
    check(guest.end()[0] == 130, "killed")


# What ends a guest, the signal gdb gets, and the status after it.
TRIPLE_FAULT = b"\x0f\x01\x1d%s\x0f\x0b"  # lidt of zeroes; ud2
CRASHES = [(TRIPLE_FAULT, "T0b", 80), (b"\x66\xba\x05\x05\xb0\x01\xee", "T06", 81),
           (b"\xfa\xf4", "T06", 82)]


def case_crashes(guest, gdb, s, code=CRASHES[0], alone=False):
    """A guest that crashes stands still first, for whoever is there or comes."""
    run_to(gdb, s["inner"])
    at = s["debug_buffer"]
    text = code[0] % struct.pack("<I", at + 64) if b"%s" in code[0] else code[0]
    gdb.ask(f"M{at + 64:x},8:{bytes(8).hex()}")
    check(gdb.ask(f"M{at:x},{len(text):x}:{text.hex()}") == "OK", "M")
    gdb.set_register("eip", at)
    if alone:
        check(gdb.ask("D") == "OK", "D")
        gdb.close()
        gdb = guest.connect()
        while gdb.ask("?")[:3] != code[1]:  # before it crashed
            gdb.send("vCont;c")
            time.sleep(0.05)
            gdb.interrupt()
    else:
        reply = gdb.go()
        check(reply.startswith(code[1]), reply)
    check(gdb.register("eip") - at in range(16), hex(gdb.register("eip")))
    reply = gdb.go()
    check(reply == f"W{code[2]:02x}", reply)
    status, err = guest.end()
    check(status == code[2] and "debugger" in err, status, err)


def case_panic(guest, gdb, s):
    case_crashes(guest, gdb, s, CRASHES[1])


def case_halt(guest, gdb, s):
    case_crashes(guest, gdb, s, CRASHES[2])


def case_alone(guest, gdb, s):
    case_crashes(guest, gdb, s, alone=True)


def case_real(guest, gdb, s):
    """16-bit code, in a segment with a base: from the reset vector of guests/rom.S on."""
    text = gdb.ask("qXfer:features:read:target.xml:0,200")
    check("<architecture>i8086</architecture>" in text, text[:200])
    check(gdb.register("cs") == 0xf000 and gdb.register("eip") == 0xfff0, "not at its reset")
    path = [gdb.step() for _ in range(3)]
    check(gdb.register("cs") == 0xf000, hex(gdb.register("cs")))
    gdb.monitor("reset")
    at = 0xf0000 + path[2]
    check(gdb.ask(f"Z0,{at:x},1") == "OK", "Z0")
    check(gdb.ask(f"Z0,{0xffff0000 + path[2]:x},1") == "OK", "Z0")
    while gdb.register("eip") != 0xfff0:  # the reset is under way
        time.sleep(0.01)
    reply = gdb.go()
    check(reply.startswith("T05thread:1;08:"), reply)
    check(gdb.register("eip") == path[2], hex(gdb.register("eip")), hex(path[2]))
    for _ in range(200):  # and on from there
        gdb.send("c")
        time.sleep(0.05)
        gdb.interrupt()
        if gdb.register("eip") != path[2]:
            break
    check(gdb.register("eip") != path[2], "it has not gone on")
    gdb.ask("vKill;1")
    guest.end()


CASES = {
    case_steps: [INTERP] + [("", tier) for tier in ("", "window")],
    case_breakpoints: [INTERP] + [("", tier) for tier in TIERS],
    case_user: [INTERP] + [("", tier) for tier in TIERS],
    case_watch: [INTERP] + [("", tier) for tier in TIERS],
    case_registers: [("", "")],
    case_memory: [INTERP, ("", "")],
    case_packets: [("", "")],
    case_crashes: [INTERP, ("", "")],
    case_panic: [("", "")],
    case_halt: [("", "")],
    case_alone: [("", "")],
    case_real: [INTERP, ("", "")],
}


def run(novt, elf, case, how):
    options, access = (how, "") if how is INTERP else ((), how[1])
    rom = os.path.join(os.path.dirname(elf), "rom.bin")
    options += ("-bios", rom) if case is case_real else ("-no-reboot", "-kernel", elf)
    environment = {"NOVT_ACCESS": access} if access else {}
    with tempfile.TemporaryDirectory() as directory:
        guest = Guest(novt, directory, *options, "-display", "none", "-device",
                      "isa-debug-exit,iobase=0xf4", environment=environment)
        before = len(failures)
        try:
            gdb = guest.connect()
            case(guest, gdb, symbols(elf))
            gdb.close()
        except (Gone, AssertionError, OSError, ValueError) as error:
            traceback.print_exc()
            check(False, repr(error))
        guest.process.kill()
        _, err = guest.end()
        if len(failures) > before:
            print(err)


def main():
    novt, elf, wanted = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]
    for case, ways in CASES.items():
        if wanted and case.__name__[5:] not in wanted:
            continue
        for how in ways:
            print(case.__name__[5:], *how, flush=True)
            run(novt, elf, case, how)
    return 1 if failures else 0


sys.exit(main())
