/* Chaining: a direct exit's rel32 points to its stub, or to the unit it leads to. */
#include <stdlib.h>

#include "base/bug.h"
#include "translator/unit.h"

bool chain_reserve(struct translator *t, unsigned count)
{
    uint32_t room = t->exit_room ? 2 * t->exit_room : 16384;
    struct unit_exit **exits;

    if (t->exit_count + count <= t->exit_room)
        return true;
    exits = realloc(t->exits, room * sizeof(*exits));
    if (!exits)
        return false;
    t->exits = exits;
    t->exit_room = room;
    return true;
}

uint32_t chain_exit_number(struct translator *t, struct unit_exit *exit)
{
    uint32_t number = t->exit_free;

    if (number != NO_EXIT) {
        t->exit_free = (uint32_t)(uintptr_t)t->exits[number];
        t->exits[number] = exit;
        return number;
    }
    BUG_ON(t->exit_count == t->exit_room);
    t->exits[t->exit_count] = exit;
    return t->exit_count++;
}

static void point(struct translator *t, const struct unit_exit *exit, const uint8_t *to)
{
    uint8_t *field = exit->from->host + exit->field;
    int32_t rel = (int32_t)(to - (field + 4));

    __builtin_memcpy(cache_writable(t, field), &rel, 4);
}

void chain_link(struct translator *t, struct unit_exit *exit, struct unit *to)
{
    point(t, exit, to->host);
    exit->to = to;
    exit->next_in = to->incoming;
    to->incoming = exit;
    t->stats.chains++;
}

void chain_unlink(struct translator *t, struct unit_exit *exit)
{
    struct unit_exit **at = &exit->to->incoming;

    while (*at != exit)
        at = &(*at)->next_in;
    *at = exit->next_in;
    exit->to = NULL;
    point(t, exit, exit->from->host + exit->stub);
}

/* Gives the numbers of a unit's exits back: a free entry holds the next free number. */
void chain_free(struct translator *t, struct unit *unit)
{
    for (unsigned i = 0; i < unit->exit_count; i++) {
        uint32_t number = unit->exits[i].number;

        t->exits[number] = (struct unit_exit *)(uintptr_t)t->exit_free;
        t->exit_free = number;
        if (t->pending_exit == number)
            t->pending_exit = NO_EXIT;
    }
}
