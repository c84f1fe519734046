/*
 * Input: taken from the display's queues as fast as the keyboard has room for it. Text is typed
 * slower, since firmware and boot loaders forget keys that come faster than a person's.
 */
#include "frontend/input.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "devices/display.h"
#include "devices/keys.h"
#include "frontend/pc.h"
#include "frontend/poller.h"

#define FULL_NS 4000000ull  /* look again when the keyboard's queue was full */
#define TYPE_NS 15000000ull /* from one typed character to the next */
enum { COMBINATION_MAX = 8 };

struct input {
    struct display *display;
    struct pc *pc;
    struct clock *clock;
    struct poller *poller;
    struct poller_fd fd;
    struct timer timer;
    uint64_t type_ns; /* no character before that */
};

static void deliver(struct input *input, const struct display_event *event)
{
    if (event->kind == DISPLAY_KEY)
        pc_key(input->pc, event->key, event->down);
    else
        pc_pointer(input->pc, event->dx, event->dy, event->dz, event->buttons);
}

static void type(struct input *input, int character)
{
    bool shift;
    unsigned key = keys_for_character((uint32_t)character, &shift);

    if (!key)
        return;
    if (shift)
        pc_key(input->pc, KEYS_SHIFT, true);
    pc_key(input->pc, key, true);
    pc_key(input->pc, key, false);
    if (shift)
        pc_key(input->pc, KEYS_SHIFT, false);
}

static void again(struct input *input, uint64_t at_ns)
{
    timer_arm(&input->timer, input->clock, at_ns);
}

static void pump(void *arg)
{
    struct input *input = arg;
    uint64_t now = clock_now_ns(input->clock);
    struct display_event event;
    int character;

    while (pc_has_key_room(input->pc)) {
        if (!display_take_event(input->display, &event))
            break;
        deliver(input, &event);
    }
    if (!pc_has_key_room(input->pc)) {
        again(input, now + FULL_NS);
        return;
    }
    if (now < input->type_ns) {
        again(input, input->type_ns);
        return;
    }
    character = display_take_character(input->display);
    if (character < 0)
        return;
    type(input, character);
    input->type_ns = now + TYPE_NS;
    again(input, input->type_ns);
}

static void ready(void *arg, short revents)
{
    struct input *input = arg;

    (void)revents;
    display_quiet_input(input->display);
    pump(input);
}

struct input *input_create(struct display *display, struct pc *pc, struct clock *clock,
                           struct poller *poller)
{
    struct input *input = calloc(1, sizeof(*input));

    if (!input)
        return NULL;
    *input = (struct input){ .display = display, .pc = pc, .clock = clock, .poller = poller };
    input->fd = (struct poller_fd){ .fd = display_input_fd(display), .events = POLLIN,
                                    .ready = ready, .arg = input };
    input->timer = (struct timer){ .fire = pump, .arg = input };
    if (poller_add(poller, &input->fd)) {
        free(input);
        return NULL;
    }
    return input;
}

void input_destroy(struct input *input)
{
    if (!input)
        return;
    poller_remove(input->poller, &input->fd);
    timer_cancel(&input->timer);
    free(input);
}

/* --- Combinations ------------------------------------------------------------ */

const char *input_send_keys(struct display *display, const char *keys)
{
    unsigned down[COMBINATION_MAX], count = 0;

    for (const char *at = keys; *at || at == keys;) {
        size_t length = strcspn(at, "-");
        unsigned key = keys_by_name(at, length);

        if (!key || count == COMBINATION_MAX)
            return at;
        down[count++] = key;
        at += length;
        if (*at == '-' && !*++at)
            return at - 1;
    }
    for (unsigned i = 0; i < count; i++)
        display_key(display, down[i], true);
    while (count-- > 0)
        display_key(display, down[count], false);
    return NULL;
}
