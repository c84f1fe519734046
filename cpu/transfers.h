/*
 * The last control transfers of a CPU, for the report of a crash.
 *
 * Exceptions and interrupts are always kept: they are rare. Jumps, calls and returns are only where
 * somebody asked for it (-d int): the interpreter then tells each that it executes, and each unit
 * of translated code has a prologue that tells where it begins. From where such a unit was come to
 * is found when it is asked for, by decoding what the one before it holds.
 */
#ifndef CPU_TRANSFERS_H
#define CPU_TRANSFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vcpu;

enum { TRANSFERS_KEPT = 256 }; /* next wraps there */

enum transfer_kind { TRANSFER_NONE, TRANSFER_UNIT, TRANSFER_BRANCH, TRANSFER_EXCEPTION,
                     TRANSFER_INTERRUPT };

/* what: the kind, the vector << 8, and of the code behind it: */
#define TRANSFER_CODE16 0x10000u

/* Open because units write to it (translator/transfers.c). Addresses are linear. */
struct transfers {
    uint8_t next; /* the oldest entry, which is written next */
    bool all;     /* not only exceptions and interrupts; set before an engine is created */
    struct {
        uint32_t to, what;
    } entry[TRANSFERS_KEPT];
    uint32_t from[TRANSFERS_KEPT]; /* not of units */
};

/* A transfer, for people. */
struct transfer {
    enum transfer_kind kind; /* TRANSFER_UNIT: from is not known */
    uint8_t vector;
    bool code16;             /* to is */
    uint32_t from, to;
    unsigned times;          /* so often in a row */
};

/* Gives the vcpu a ring of them, which vcpu_destroy() frees. 0 or -ENOMEM. */
int transfers_create(struct vcpu *vcpu, bool all);

/* The CPU is at its new place. from: the linear address that it left. */
void transfers_add(struct vcpu *vcpu, enum transfer_kind kind, uint8_t vector, uint32_t from);

/* The last ones, at most room, oldest first; returns how many. What a unit was reached from is
 * looked for in the guest's memory as it is now. */
unsigned transfers_last(struct vcpu *vcpu, struct transfer *last, unsigned room);

#endif
