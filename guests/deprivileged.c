/*
 * A kernel with every instruction that is sensitive and not privileged (deprivileged_code.S), for
 * -engine trap -audit: tests/guest/audit.py looks for each.
 *
 * Reference: Robin and Irvine, "Analysis of the Intel Pentium's Ability to Support a Secure Virtual
 *            Machine Monitor", USENIX Security 2000.
 */
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/trap.h"

enum { GATE = 0x40, CONFORMING = 4, WINDOW = 5, STACK3 = 7, WINDOW_BASE = 0x1000 };

void deprivileged_run(void);
void deprivileged_gate(void);

unsigned guest_main(void)
{
    gdt[CONFORMING] = segment_make(0, 0xfffff, ACCESS_CODE | 4, FLAGS_FLAT);
    gdt[WINDOW] = segment_make(WINDOW_BASE, 0xfffff, ACCESS_DATA | ACCESS_DPL3, FLAGS_FLAT);
    gdt[STACK3] = segment_make(0, 0xfffff, ACCESS_DATA | ACCESS_DPL3, FLAGS_FLAT);
    idt[GATE] = gate_make(KERNEL_CS, (uint32_t)deprivileged_gate, ACCESS_INT_GATE | ACCESS_DPL3, 0);
    deprivileged_run();
    print("DONE 1 passed 0 failed\n");
    return 0;
}
