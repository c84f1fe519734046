/*
 * What novt exec (frontend/exec*.c) and the guest's first process (agent.c) tell each other over
 * the virtio console: frames of a 32-bit word, low byte first (the kind in its low 8 bits, the
 * length of what follows in the others), and what follows.
 *
 *      host                                    guest
 *                                    <----     READY
 *      FOLDER ARGUMENT... VARIABLE...
 *      RUN                           ---->
 *      INPUT... INPUT_END, SIGNAL    ---->
 *                                    <----     OUTPUT ERRORS
 *      GRANT, CLOSE                  <--->     GRANT
 *                                    <----     FAILED or EXIT, the last
 *
 * Nobody sends more of a stream than the other side has room for: EXEC_WINDOW bytes, and what each
 * GRANT adds to it. So neither the console nor the other streams ever wait for a slow reader.
 */
#ifndef GUESTS_EXEC_PROTOCOL_H
#define GUESTS_EXEC_PROTOCOL_H

enum exec_frame {
    EXEC_READY = 1, /* the guest listens */
    EXEC_FOLDER,    /* a path: the shared folder is mounted there, and the command starts there */
    EXEC_ARGUMENT,  /* one word of the command, without its final NUL, of any bytes */
    EXEC_VARIABLE,  /* NAME=VALUE of its environment */
    EXEC_RUN,       /* that was all of them */
    EXEC_INPUT,     /* bytes of standard input */
    EXEC_INPUT_END,
    EXEC_OUTPUT,    /* bytes of standard output */
    EXEC_ERRORS,    /* bytes of standard error */
    EXEC_GRANT,     /* a stream (its frame's kind, a byte) and how many bytes more (32 bits) */
    EXEC_CLOSE,     /* nobody reads that stream (a byte) any more */
    EXEC_SIGNAL,    /* a signal's number (a byte) for the command and its children */
    EXEC_FAILED,    /* why the command could not begin, in words */
    EXEC_EXIT,      /* its exit status (a byte): 128 and the signal's number if one ended it */
};

enum {
    EXEC_HEADER = 4,
    EXEC_PAYLOAD_MAX = 1 << 18, /* bytes of a frame; Linux has no longer arguments */
    EXEC_WINDOW = 1 << 17,      /* bytes of each stream */
    EXEC_CHUNK = 1 << 14,       /* bytes of a stream in one frame, at most */
};

#endif
