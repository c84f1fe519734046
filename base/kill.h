/*
 * vm_kill: the guest did what we do not support. It cannot make us fail, it can
 * only make us stop it; the first reason wins.
 */
#ifndef BASE_KILL_H
#define BASE_KILL_H

#include <stdbool.h>

/* Why the machine stops. */
enum vm_end {
    VM_RUNNING,
    VM_POWEROFF,     /* ACPI S5 */
    VM_RESET,        /* the guest asked for a reboot */
    VM_DEBUG_EXIT,   /* isa-debug-exit; code is the exit status */
    VM_TRIPLE_FAULT,
    VM_PANIC,        /* pvpanic */
    VM_HALTED,       /* HLT with interrupts off, for ever */
    VM_EXPECTED,     /* -expect was met */
    VM_TIMEOUT,
    VM_SIGNAL,       /* code is the signal */
    VM_QUIT,         /* the user quit (Ctrl-A x) */
    VM_UNSUPPORTED,  /* reason says what */
    VM_HOST_ERROR,   /* a host resource failed (disk full, ...); reason says what, code the errno */
};

struct vm_stop {
    enum vm_end end;
    int code;
    char reason[256];
};

/* Records the end unless one is recorded already. */
void vm_stop(struct vm_stop *stop, enum vm_end end, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
