/*
 * 05 self-modifying code: a store changes an instruction, and the next time round the new one must
 * run. The CPU does that by itself; a translator has run its own copy of the old one, and must hear
 * of the store.
 *
 * On the command line: code changes an instruction PATCHES times, data a variable as often.
 *
 * Reference: SDM volume 3, section 8.1.3 and 11.6.
 */
#include "exercise.h"
#include "guests/lib/boot.h"
#include "guests/lib/code.h"
#include "guests/lib/console.h"

enum { PATCHES = 1000 };

typedef uint32_t function(void);

uint32_t patch_ahead(void);

/* On a page of its own: what else is on a page with code is slow to write, too. */
static uint8_t buffer[4096] __attribute__((aligned(4096)));
static volatile uint32_t variable;

/* mov $value, %eax; ret */
static void write_function(uint32_t value)
{
    struct code c = { buffer };

    code_load_eax(&c, value);
    code_byte(&c, 0xc3);
}

static uint32_t __attribute__((noinline)) read_variable(void)
{
    return variable;
}

static uint32_t change_code(void)
{
    uint32_t sum = 0;

    for (uint32_t i = 1; i <= PATCHES; i++) {
        write_function(i);
        sum += ((function *)buffer)();
    }
    return sum;
}

static uint32_t change_data(void)
{
    uint32_t sum = 0;

    for (uint32_t i = 1; i <= PATCHES; i++) {
        variable = i;
        sum += read_variable();
    }
    return sum;
}

static void use_exercise(void)
{
    static const uint32_t values[] = { 0, 1, 0x12345678, 0xffffffff };

    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        make_constant(buffer, values[i]);
        print("%08x: %08x\n", values[i], ((function *)buffer)());
    }
}

unsigned guest_main(void)
{
    if (boot_option("exercise", NULL))
        use_exercise();
    else if (boot_option("data", NULL))
        print("data: the sum is %u\n", change_data());
    else if (boot_option("ahead", NULL))
        print("ahead: %u\n", patch_ahead());
    else
        print("code: the sum is %u\n", change_code());
    return 0;
}
