/*
 * -profile: samples of what runs in the guest, with who called it, as folded stacks: a line for
 * each different stack, outermost first, "busybox;main;sys_write_[k] 17". For flamegraph.pl and its
 * like.
 */
#ifndef FRONTEND_PROFILE_H
#define FRONTEND_PROFILE_H

struct error;
struct machine;
struct code_names;
struct profile;
struct profile_spec;

/* Makes the file and starts the timer. 0, or -1 with *error. */
int profile_open(struct profile **profile, struct machine *machine, struct code_names *names,
                 const struct profile_spec *spec, struct error *error);

/* The engine has come back: takes the sample that is due. NULL is allowed, here and below. */
void profile_look(struct profile *profile);

/* Stops the timer and writes the file. 0, or -1 with *error. */
int profile_close(struct profile *profile, struct error *error);
void profile_destroy(struct profile *profile);

#endif
