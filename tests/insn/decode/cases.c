/* See cases.h. */
#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/random.h"

/* xorshift64* */
static uint64_t next(uint64_t *random)
{
    return random_next(random) * 0x2545f4914f6cdd1du;
}

/* Puts a prefix (half of the time) and an opcode map or a VEX prefix in front of the bytes. */
static void steer(uint8_t bytes[INSN_MAX], uint64_t choice)
{
    static const uint8_t prefix[8] = {0x66, 0xf3, 0xf2, 0xf0, 0x67, 0x2e, 0x64, 0x66};
    uint8_t rest[INSN_MAX];
    unsigned n = 0, map = choice >> 8 & 15;

    memcpy(rest, bytes, sizeof(rest));
    if (choice & 1)
        bytes[n++] = prefix[choice >> 1 & 7];
    if (map == 0) {
        bytes[n++] = 0xc4;
        bytes[n++] = 0xe0 | (choice >> 16 & 3);
        bytes[n++] = choice >> 24 | (choice >> 18 & 1 ? 0x78 : 0);
    }
    if (map >= 4)
        bytes[n++] = 0x0f;
    if (map >= 10)
        bytes[n++] = map < 13 ? 0x38 : 0x3a;
    memcpy(bytes + n, rest, INSN_MAX - n);
}

void cases_next(uint64_t *random, uint8_t bytes[INSN_MAX])
{
    uint64_t low = next(random), high = next(random), choice = next(random);

    memcpy(bytes, &low, 8);
    memcpy(bytes + 8, &high, INSN_MAX - 8);
    if (choice >> 63)
        steer(bytes, choice);
}

int cases_decode(struct insn *in, const uint8_t bytes[INSN_MAX], bool code16, bool *undefined)
{
    int length = decode(in, bytes, INSN_MAX, code16 ? MODE_16 : MODE_32);
    bool may_lock;

    *undefined = false;
    if (length < 0)
        return INSN_MAX;
    may_lock = in->info->attr & A_LOCKABLE && in->has_mem;
    *undefined = in->info->attr & A_UNDEFINED || (in->prefixes & PREFIX_LOCK && !may_lock);
    return length;
}

unsigned long cases_option(const char *name, unsigned long value)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 0) : value;
}

void cases_print(const uint8_t bytes[INSN_MAX])
{
    for (unsigned i = 0; i < INSN_MAX; i++)
        printf(" %02x", bytes[i]);
    printf("\n");
}
