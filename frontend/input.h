/* Keys and mouse movement on their way from windows and commands to the board. */
#ifndef FRONTEND_INPUT_H
#define FRONTEND_INPUT_H

struct clock;
struct display;
struct input;
struct pc;
struct poller;

/* From now on input goes to the board; on the vcpu's thread. NULL when memory is out. */
struct input *input_create(struct display *display, struct pc *pc, struct clock *clock,
                           struct poller *poller);
void input_destroy(struct input *input);

/* "ctrl-alt-f1": the keys go down in this order and up again in the other. NULL, or what is wrong
 * with it: the part that is no key. */
const char *input_send_keys(struct display *display, const char *keys);

#endif
