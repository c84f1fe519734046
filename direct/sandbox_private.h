/* Private to this folder: what a sandbox and its host are. */
#ifndef DIRECT_SANDBOX_PRIVATE_H
#define DIRECT_SANDBOX_PRIVATE_H

#include "direct/sandbox.h"
#include "direct/stub.h"

#define PAGE 4096ull
#define XSTATE_X87 1ull /* bits of XSTATE_BV */
#define XSTATE_SSE 2ull
#define XSTATE_FX (XSTATE_X87 | XSTATE_SSE) /* what FXSAVE has */
#define LDT_FS 9 /* entries for the bases where FSGSBASE is missing */
#define LDT_GS 10
#define LDT_USED 11
#define LDT_SELECTOR(entry) ((uint16_t)((entry) * 8 + 7))

struct sandbox_host {
    struct sandbox_caps caps;
    int stub_fd; /* memfd with the stub's ELF file, sealed */
    int ram_fd;
    uint64_t ram_size;
    unsigned stub_flags; /* STUB_ */
    bool int1_stays; /* INT1's #DB has INT1's own address: hypervisors on AMD's CPUs */
    int helper, helper_pidfd, helper_socket; /* helper.c; pid 0: none */
    bool (*give_up)(void *arg); /* sandbox_host_ask */
    void *give_up_arg;
};

struct sandbox {
    struct sandbox_host *host;
    int pinned_to; /* CPU + 1, 0: none */
    int pid;      /* process and runner, */
    int pidfd;    /* which signals go by: no pid of anybody else's can be meant */
    int mapper;   /* thread id */
    int done_fd;  /* pipe: the mapper's byte for each batch */
    bool lost;
    volatile bool running;
    volatile bool kicked;
    uint64_t grace_ns; /* what a program may do behind a kick: sandbox_wait.c; tests make it less */
    uint32_t run, map; /* numbers of the last ones */
    unsigned queued;
    bool ordered; /* one of those must be done before the runner runs */
    bool unread;  /* the mapper's byte for the last batch */
    uint8_t *shared;   /* both of the following */
    struct stub_orders *orders;
    struct stub_request *request;
    volatile struct stub_report *report;

    /* Where the kernel puts the signal frame: seen once, before any guest code. */
    uint64_t frame_rsp;            /* address in the process */
    uint8_t *frame;                /* the same, here */
    uint8_t *xstate;               /* here */
    uint32_t mxcsr_mask;
    uint32_t xstate_size;          /* in the frame: 512, by FXSAVE, where the host has no XSAVE */
    uint8_t xstate_software[48];   /* bytes 464-511, the kernel's */
    uint32_t xstate_end;           /* of an XSAVE image: the 4 bytes behind it */

    uint64_t ldt_base[LDT_USED];
    uint32_t ldt_set;              /* a bit for each entry that is one for FS or GS */
    uint64_t ldt_limited[LDT_USED]; /* the descriptor of such an entry; 0: 4 GiB from ldt_base */
    struct sandbox_stats stats;
};

/* sandbox_wait.c */
enum run_end { RUN_CAME_BACK, RUN_STUCK, RUN_GIVEN_UP };

long sandbox_futex(volatile uint32_t *word, int op, uint32_t value, const void *timeout);
uint64_t sandbox_now_ns(void);
bool sandbox_asleep(struct sandbox *s); /* the runner, where it waits for the next run */
/* For the end of the run, also as a task's death shows it (s->lost); kicks it after timeout_ns. */
enum run_end sandbox_wait_run(struct sandbox *s, uint64_t timeout_ns);
/* A byte from the mapper: 0, -errno, or -EOWNERDEAD. */
int sandbox_wait_done(struct sandbox *s);
/* A wait that began then and lasts: does the owner want it to go on? */
bool sandbox_wait_on(const struct sandbox_host *host, uint64_t began);
/* Until fd can be read. False: the owner has given up. */
bool sandbox_wait_fd(const struct sandbox_host *host, int fd, uint64_t began);

/* sandbox.c */
void sandbox_set_lost(struct sandbox *s);
void sandbox_signal(const struct sandbox *s, int signal);

/* helper.c. helper_start forks; *why as for sandbox_host_create. helper_launch starts the stub with
 * fd[0] the shared pages and fd[1] the mapper's pipe, which stay the caller's, and fills in pid and
 * pidfd. helper_end ends and reaps it, also when it was only half started. */
bool helper_start(struct sandbox_host *host, const char **why);
bool helper_launch(const struct sandbox_host *host, struct sandbox *s, const int *fd,
                   const char **why);
void helper_end(struct sandbox_host *host);

/* sandbox_map.c. Hands the mapper what is queued, with these flags more (STUB_START) or none. The
 * orders must not be changed before sandbox_settle(), which is the end of it. */
void sandbox_send_batch(struct sandbox *s, uint32_t flags);
int sandbox_settle(struct sandbox *s);
/* Queues modify_ldt. */
int sandbox_queue_ldt(struct sandbox *s, unsigned entry, uint32_t base, uint32_t limit,
                      bool limit_in_pages);
int sandbox_queue_descriptor(struct sandbox *s, unsigned entry, uint64_t descriptor);

static inline uint64_t sandbox_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline void sandbox_copy(void *to, const volatile void *from, uint64_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

static inline void sandbox_zero(volatile void *to, uint64_t size)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

#endif
