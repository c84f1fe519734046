/*
 * A kernel as students write them after the usual textbooks: at 2 GiB, with APICs found by the
 * MultiProcessor tables, interrupts for the clock, the keyboard, the serial line and two IDE disks,
 * and a user program with system calls. What it needs of a PC is what matters (README.md).
 */
#ifndef GUESTS_UNIXLIKE_H
#define GUESTS_UNIXLIKE_H

#include "guests/lib/x86.h"

enum { PAGE = 4096, KERNEL = 0x80000000, PHYSICAL_END = 16 << 20 };
enum { SEL_CODE = 0x08, SEL_DATA = 0x10, SEL_USER_CODE = 0x1b, SEL_USER_DATA = 0x23,
       SEL_TSS = 0x28 };
enum { VECTOR_IRQ = 0x20, VECTOR_SYSTEM_CALL = 0x40, VECTOR_SPURIOUS = 0x3f, VECTOR_COUNT = 256 };
enum { IRQ_TIMER = 0, IRQ_KEYBOARD = 1, IRQ_COM1 = 4, IRQ_IDE = 14, IRQ_ERROR = 19 };
enum { SECTOR = 512 };

#define VIRTUAL(gpa)   ((void *)((uint32_t)(gpa) + KERNEL))
#define PHYSICAL(gla)  ((uint32_t)(gla) - KERNEL)

/* trap_entry.S */
struct frame {
    uint32_t edi, esi, ebp, unused, ebx, edx, ecx, eax;
    uint32_t es, ds, vector, error, eip, cs, eflags, esp, ss;
};

/* console.c: the serial line, and the screen's text memory */
void console_init(void);
void console_listen(void);     /* from now on there are interrupts */
bool console_has_screen(void); /* is the '.' printed last there? */
void console_put(char c);
void console_interrupt(void);  /* the serial line has something */
void keyboard_interrupt(void);
char console_get(void);        /* sleeps until there is a character */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);
__attribute__((noreturn, format(printf, 1, 2))) void panic(const char *format, ...);

/* memory.c */
void memory_init(void);  /* all of it at KERNEL, and devices where they are */
void *memory_page(void); /* a fresh page, of zeros */
void memory_map(uint32_t address, void *page); /* for the user program, writable */

/* apic.c: what the MultiProcessor tables tell, and the interrupt controllers */
void apic_init(void);
void apic_enable(unsigned irq);
void apic_end_of_interrupt(void);

/* ide.c */
void ide_init(void);
void ide_interrupt(void);
void ide_read(unsigned disk, uint32_t sector, void *to);
void ide_write(unsigned disk, uint32_t sector, const void *from);

/* trap.c */
extern volatile uint32_t ticks;
void trap_init(void);
void trap(struct frame *frame);
__attribute__((noreturn)) void user_enter(struct frame *frame);

#endif
