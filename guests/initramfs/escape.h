/* What the parts of escape share: a way out, what is done there, and a try, which must end. */
#ifndef GUESTS_INITRAMFS_ESCAPE_H
#define GUESTS_INITRAMFS_ESCAPE_H

#include "guests/initramfs/usermode.h"

/* What 64-bit code does with the table (escape_code.S). */
enum { MODE_SYSCALL, MODE_INT80, MODE_SYSENTER, MODE_GO, MODE_WRITE, MODE_WRITE_ON, MODE_LOOP,
       MODE_COPY, MODE_PRETEND, MODE_LIE };
enum { T_RAX, T_RDI, T_RSI, T_RDX, T_R10, T_R8, T_R9, T_RIP, T_RSP, T_RBP, T_RBX, T_COUNT };

/* Where novt has its own pages (direct/stub.h). */
#define STUB 0x7e0000000000ull
#define STUB_SIZE 0xc00u
#define ORDERS 0x7e0000100000ull
#define ORDERS_PARENT 48u
#define REPORT 0x7e0000200000ull
#define REPORT_SIZE 0xc000u

typedef void escape_way(void);
escape_way escape_jump, escape_call, escape_return, escape_iret, escape_nostack,
    escape_selector_jump, escape_64;
extern const uint8_t escape_code[], escape_code_end[];
extern volatile uint64_t escape_mode, escape_table[T_COUNT];

/* All of the table, from the first on; the others are 0. */
void escape_set(uint32_t mode, unsigned count, const uint64_t *table);
#define SET(mode, ...)                                                                             \
    escape_set(mode, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })

/*
 * Goes that way in a process of its own. It must end in an exception, or the process must die of
 * one; else the group has gone wrong, and the words and the number are printed.
 */
void escape_try(escape_way *way, const char *what, uint32_t number);
void escape_wrong(const char *what, uint32_t number);
int escape_is_exception(int signal);

extern uint8_t *escape_copied;                     /* a page that all processes share */
extern int escape_few;                             /* few tries, each of which takes long */
extern uint8_t escape_frame[8 * PAGE];             /* this process's */
void escape_copy(uint64_t from, uint32_t size);    /* to there, by 64-bit code; 0 where it faults */

extern const struct um_case escape_call_groups[], escape_memory_groups[], escape_stub_groups[];

#endif
