/* The command of novt exec: its streams, signals and end, over the guest's virtio console. */
#ifndef FRONTEND_EXEC_LINK_H
#define FRONTEND_EXEC_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct error;

struct exec_link_config {
    int console;     /* a socket: the virtio console */
    int said;        /* a pipe: what the guest's novt and its serial line say */
    bool verbose;    /* show that at once */
    const char *folder; /* where the shared folder is mounted, and the command starts; NULL: none */
    char **words, **variables; /* the command, its environment; each ends with NULL */
};

enum exec_end {
    EXEC_END_EXITED,   /* status: as the command's shell would give it */
    EXEC_END_SIGNAL,   /* we were told to end: status is 128 and the signal's number */
    EXEC_END_FAILED,   /* the guest could not begin; text says why */
    EXEC_END_LOST,     /* the guest has gone; text is the last that was said */
};

struct exec_result {
    enum exec_end end;
    int status;
    char text[4096];
};

/*
 * Takes the signals that end programs, runs the command and brings its output to ours until it ends
 * and all of it is written. The first signal of a kind is the command's, if it runs; a second ends
 * the wait. 0 with *result, or -1 with *error.
 */
int exec_link_run(const struct exec_link_config *config, struct exec_result *result,
                  struct error *error);

/* Undoes for a new process what exec_link_run()'s caller has prepared: see exec_link_block(). */
void exec_link_unblock(void);

/* Signals wait from here on until exec_link_run() takes them. */
void exec_link_block(void);

#endif
