/* Kicks at a time: never early, near ones waited for, and not one such wait behind the other. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "cpu/vcpu.h"
#include "frontend/kick.h"
#include "tests/check.h"

enum { ROUNDS = 200, NEAR_NS = 500, FAR_NS = 20000000 };

static struct vcpu *vcpu;
static struct kick *kick;
static unsigned handled;

static void on_kick(struct vcpu *kicked, void *ucontext)
{
    (void)ucontext;
    CHECK_EQ(kicked == vcpu, true);
    handled++;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* As a byte: GCC 12 with -fsanitize=bool reads a volatile bool once, before the loop. */
static void until_kicked(void)
{
    const volatile uint8_t *kicked = (const volatile uint8_t *)&vcpu->exit_request;

    while (!*kicked)
        ;
}

/* Kicks at ns from now. True: it has returned with the kick, without the host's timer. */
static bool waits(uint64_t ns)
{
    unsigned before = handled;
    uint64_t due = now_ns() + ns;
    bool at_once;

    vcpu->exit_request = false;
    kick_at(kick, due);
    at_once = vcpu->exit_request && handled == before;
    until_kicked();
    CHECK_EQ(now_ns() >= due, true);
    return at_once;
}

static void far_by_timer(void)
{
    unsigned before = handled;

    CHECK_EQ(waits(FAR_NS), false);
    CHECK_EQ(handled, before + 1);
    CHECK_EQ(kick_waited(kick, now_ns() + FAR_NS), false);
}

static void past_at_once(void)
{
    unsigned before = handled;

    for (unsigned i = 0; i < ROUNDS; i++)
        CHECK_EQ(waits(0), true);
    CHECK_EQ(handled, before);
}

/* The guest runs in between for as long as it was kept. (The host may keep us for longer.) */
static void near_by_turns(void)
{
    unsigned waited = 0, in_a_row = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t end = now_ns() + 2 * NEAR_NS;

        while (now_ns() < end)
            ;
        if (!waits(NEAR_NS))
            continue;
        waited++;
        in_a_row += waits(NEAR_NS);
    }
    CHECK_EQ(waited > ROUNDS / 2, true);
    CHECK_EQ(in_a_row < waited / 2, true);
}

/* A guest that halts is not kept from anything. */
static void halted_in_a_row(void)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t due = now_ns() + NEAR_NS;

        CHECK_EQ(kick_waited(kick, due), true);
        CHECK_EQ(now_ns() >= due, true);
    }
}

int main(void)
{
    vcpu = vcpu_create();
    if (!vcpu || kick_create(&kick, vcpu, on_kick))
        return EXIT_FAILURE;
    far_by_timer();
    past_at_once();
    near_by_turns();
    halted_in_a_row();
    kick_destroy(kick);
    vcpu_destroy(vcpu);
    return CHECK_DONE();
}
