/*
 * 03 the seventeen: every instruction of the i386 that tells or changes something of the system
 * without asking whether it may. This kernel sets each thing up, asks for it, and says whether the
 * answer is its own.
 *
 * Reference: Robin and Irvine, "Analysis of the Intel Pentium's Ability to Support a Secure Virtual
 *            Machine Monitor", USENIX Security 2000.
 */
#include "exercise.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"

/* seventeen_code.S: each executes one of them and returns what it got. */
typedef uint32_t question(void);
question ask_sgdt, ask_sidt, ask_sldt, ask_str, ask_smsw, ask_pushf, ask_popf, ask_lar, ask_lsl,
    ask_verr, ask_verw, ask_mov, ask_push, ask_pop, ask_call, ask_jmp, ask_ret, ask_int;
void seventeen_gate(void);

enum { GATE = 0x40, BASED = FREE_SELECTOR / 8, BASE = 0x1000, CODE_RIGHTS = 0xc09a00 };

static const struct {
    const char *name, *what;
    question *ask;
    uint32_t want;
} questions[] = {
    { "sgdt", "where the GDT is", ask_sgdt, (uint32_t)gdt },
    { "sidt", "where the IDT is", ask_sidt, (uint32_t)idt },
    { "sldt", "the LDT's selector", ask_sldt, LDT_SELECTOR },
    { "str", "the task's selector", ask_str, TSS_MAIN },
    { "smsw", "CR0: protected mode, no FPU switch", ask_smsw, CR0_PE },
    { "pushf", "IOPL, which is 1 here", ask_pushf, 1 },
    { "popf", "IF, which it has cleared", ask_popf, 0 },
    { "lar", "the code segment's rights", ask_lar, CODE_RIGHTS },
    { "lsl", "the code segment's limit", ask_lsl, 0xffffffff },
    { "verr", "may the data segment be read", ask_verr, 1 },
    { "verw", "may the data segment be written", ask_verw, 1 },
    { "mov", "the selector in DS", ask_mov, KERNEL_DS },
    { "push", "the selector in CS", ask_push, KERNEL_CS },
    { "pop", "ES, with a base of 1000h", ask_pop, BASE },
    { "call", "far, and CS there", ask_call, KERNEL_CS },
    { "jmp", "far, and CS there", ask_jmp, KERNEL_CS },
    { "ret", "far, and CS there", ask_ret, KERNEL_CS },
    { "int n", "the CS that a gate leads to", ask_int, KERNEL_CS },
};

static void ask_all(void)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(questions); i++) {
        uint32_t got = questions[i].ask();
        bool own = got == questions[i].want;

        print("%-6s %-35s %s", questions[i].name, questions[i].what, own ? "ours\n" : "NOT OURS");
        if (!own)
            print(": %08x, not %08x\n", got, questions[i].want);
        wrong += !own;
    }
    print("%u of %u answers are not this kernel's own\n", wrong, (unsigned)ARRAY_SIZE(questions));
}

unsigned guest_main(void)
{
    gdt[BASED] = segment_make(BASE, 0xfffff, ACCESS_DATA | ACCESS_DPL3, FLAGS_FLAT);
    idt[GATE] = gate_make(KERNEL_CS, (uint32_t)seventeen_gate, ACCESS_INT_GATE | ACCESS_DPL3, 0);
    if (boot_option("exercise", NULL))
        print("this runs at CPL %u\n", privilege());
    else
        ask_all();
    return 0;
}
