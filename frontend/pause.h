/*
 * Pausing a machine: its CPU stands still, and so do all of its clocks, the time stamp counter and
 * the real-time clock with them: the guest notices nothing. The host's side goes on: disk requests
 * are completed, packets and keys taken as far as the guest has room, windows painted, and -timeout
 * counts on.
 *
 * P1. While machine->paused is set, engine->run() is not called and the machine's clock does not
 *     move.
 */
#ifndef FRONTEND_PAUSE_H
#define FRONTEND_PAUSE_H

#include <stdbool.h>

struct machine;

/* On the vcpu's thread, while the engine does not run. Nothing happens when it is so already. */
void pause_begin(struct machine *machine);
void pause_end(struct machine *machine);

/* The guest is in HLT: goes on, and is paused again at the first instruction of what wakes it. 0 or
 * -ENOMEM. */
int pause_until_awake(struct machine *machine);

/* The engine returned EXIT_DEBUG. True: it was for that. */
bool pause_is_awake(struct machine *machine);

/* Sees to -timeout while it is paused. */
void pause_look(struct machine *machine);

#endif
