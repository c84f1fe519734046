/*
 * 06 a user program and its system call: ring 3, and the one door back. The program's code is
 * user_code.S; it can compute as it likes, and asks for everything else by INT 80h: EAX the number,
 * EBX the argument, EAX the answer.
 *
 * On the command line: cli or secret, for what the program is to try; loop=N for N system calls.
 *
 * Reference: SDM volume 3, sections 5.5, 5.12 and 6.12.
 */
#include "exercise.h"
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/paging.h"

enum { SYS_PUT = 1, SYS_NOTHING = 2 };

extern const uint8_t program_hello[], program_cli[], program_secret[], program_loop[];
extern const uint8_t program_exercise[];
extern uint8_t user_secret[];

static unsigned calls;

/* The program's registers are in *f: it stands still while the kernel works. */
static void on_system_call(struct frame *f)
{
    calls++;
    switch (f->eax) {
    case SYS_PUT: console_put(f->ebx); break;
    case SYS_NOTHING: break;
    default: f->eax = system_call(f->eax, f->ebx);
    }
}

/* Why it came back: INT 30h is how these programs end; anything else is an exception. */
static void run_program(const uint8_t *program, uint32_t argument)
{
    struct frame f = trap_frame((uint32_t)program, 3);

    f.ecx = argument;
    trap_run(&f);
    if (f.vector == TRAP_END)
        print("the program has ended, EAX is %u\n", f.eax);
    else
        print("the program was stopped: exception %u, error %x, at CPL %u\n", f.vector, f.error,
              f.cs & 3);
}

unsigned guest_main(void)
{
    uint32_t rounds;

    paging_init(false, false);
    *paging_pte((uint32_t)user_secret) &= ~PTE_U; /* a page for the kernel alone */
    write_cr3(read_cr3());
    trap_set(TRAP_SYSCALL, on_system_call);
    if (boot_option("cli", NULL))
        run_program(program_cli, 0);
    else if (boot_option("secret", NULL))
        run_program(program_secret, 0);
    else if (boot_option("loop", &rounds))
        run_program(program_loop, rounds);
    else if (boot_option("exercise", NULL))
        run_program(program_exercise, 0);
    else
        run_program(program_hello, 0);
    print("%u system calls\n", calls);
    return 0;
}
