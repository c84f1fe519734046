/* The table of event kinds: see kinds.h. */
#include "tracefile/kinds.h"

#include <string.h>
#include <zlib.h>

const struct kind kinds[EVENT_COUNT] = {
#define EVENT(name, group, a, A, b, B, c, C, help)                                                 \
    { #name, help, GROUP_##group, { { #a, TYPE_##A }, { #b, TYPE_##B }, { #c, TYPE_##C } } },
#include "base/events.def"
};

const char *const kind_groups[GROUP_COUNT] = {
    "cpu", "sensitive", "fault", "shadow", "code", "board",
};

const char *const kind_modes[EVENT_MODES] = {
#define EVENT_MODE(constant, name) name,
#include "base/events.def"
};

static uint32_t add(uint32_t sum, const char *text)
{
    return (uint32_t)crc32(sum, (const uint8_t *)text, (uInt)strlen(text) + 1);
}

uint32_t kinds_sum(void)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        sum = add(sum, kinds[i].name);
        for (unsigned v = 0; v < EVENT_VALUES; v++) {
            const uint8_t type = (uint8_t)kinds[i].value[v].type;

            sum = (uint32_t)crc32(add(sum, kinds[i].value[v].name), &type, 1);
        }
    }
    for (unsigned i = 0; i < EVENT_MODES; i++)
        sum = add(sum, kind_modes[i]);
    return sum;
}

int kind_find_value(const struct kind *kind, const char *name, unsigned len)
{
    for (int v = 0; v < EVENT_VALUES && kind->value[v].type; v++)
        if (strlen(kind->value[v].name) == len && !memcmp(kind->value[v].name, name, len))
            return v;
    return -1;
}
