/*
 * Paging, from access rights to page faults in the middle of an instruction, in the three modes:
 * 32-bit, PAE, and PAE with execute-disable.
 *
 * Reference: SDM volume 3, chapter 4; volume 3, 5.3 (segment limits); volume 2 for each
 * instruction.
 */
#include "guests/lib/boot.h"
#include "guests/lib/check.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"
#include "guests/paging_tests.h"

static bool cpu_has(const struct paging_mode *mode)
{
    if (mode->pae && !(cpuid_features() & CPUID_PAE))
        return false;
    return !mode->nx || (cpuid(0x80000000).eax >= 0x80000001 &&
                         cpuid(0x80000001).edx & CPUID_NX);
}

unsigned guest_main(void)
{
    static const struct paging_mode modes[] = {
        { "32-bit", false, false }, { "PAE", true, false }, { "PAE-NX", true, true },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        if (!cpu_has(&modes[i])) {
            check_skip(modes[i].name, "the CPU does not have it");
            continue;
        }
        print("-- %s\n", modes[i].name);
        paging_init(modes[i].pae, modes[i].nx);
        paging_access_tests(&modes[i]);
        paging_edit_tests(&modes[i]);
        paging_self_tests(&modes[i]);
        paging_fault_tests();
    }
    return check_done();
}
