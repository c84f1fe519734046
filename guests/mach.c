/*
 * A bootstrap module for GNU Mach: a task in user mode, started by the kernel itself. Its first
 * argument is its name; it prints the others, gets memory and fills it while another such task does
 * the same, and says whether it is whole.
 * GNU Mach 1.8, i386/i386/syscall_sw.h: a trap is a far call to 7h:0, its number in EAX, its
 * arguments where a function's are.
 */
#include <stdint.h>

enum { PAGES = 256, PAGE = 4096, ROUNDS = 20 };

#define TRAP(name, number)                                                                         \
    __asm__(".globl " #name "\n" #name ": movl $" #number ", %eax\n lcall $7, $0\n ret")

TRAP(mach_task_self, -28);
TRAP(mach_print, -30);
TRAP(swtch_pri, -59);
TRAP(thread_switch, -61);
TRAP(syscall_vm_allocate, -65);

uint32_t mach_task_self(void);
void mach_print(const char *text);
int swtch_pri(int priority);
int thread_switch(uint32_t thread, int option, uint32_t milliseconds);
int syscall_vm_allocate(uint32_t task, uint32_t *address, uint32_t size, int anywhere);
void module(char **stack);

__asm__(".globl _start\n _start: pushl %esp\n call module");

static char *append(char *to, const char *text)
{
    while (*text)
        *to++ = *text++;
    return to;
}

/* A line in one piece: the other task prints as well. */
static void say(const char *name, const char *text)
{
    char line[200];

    *append(append(append(append(append(line, "module "), name), ": "), text), "\n") = 0;
    mach_print(line);
}

static int fill(volatile uint32_t *word, uint32_t seed)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < PAGES * PAGE / 4; i += 64)
            word[i] = i * seed + round;
        swtch_pri(0);
        for (uint32_t i = 0; i < PAGES * PAGE / 4; i += 64)
            if (word[i] != i * seed + round)
                return 0;
    }
    return 1;
}

/* stack: argc, then argv: the file, the name to go by, more. */
void module(char **stack)
{
    int count = (int)(uintptr_t)stack[0];
    const char *name = stack[count > 1 ? 2 : 1];
    uint32_t address = 0;

    for (int i = 3; i <= count; i++)
        say(name, stack[i]);
    if (syscall_vm_allocate(mach_task_self(), &address, PAGES * PAGE, 1))
        say(name, "no memory");
    else
        say(name, fill((uint32_t *)(uintptr_t)address, (uint32_t)(uint8_t)name[0])
                      ? "memory is whole" : "memory is wrong");
    for (;;)
        thread_switch(0, 2, 1000); /* SWITCH_OPTION_WAIT */
}
