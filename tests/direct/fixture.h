/* A sandbox with some guest RAM, for tests: code at CODE, data at DATA. */
#ifndef TESTS_DIRECT_FIXTURE_H
#define TESTS_DIRECT_FIXTURE_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "direct/sandbox.h"
#include "tests/check.h"

#define RAM_SIZE (1u << 20)
#define CODE 0x08048000u
#define DATA 0xbf000000u
#define SKIPPED 77
#define SECOND 1000000000ull

static int ram_fd;
static uint8_t *ram; /* page 0 at CODE, pages 1 to 4 at DATA */
static struct sandbox_host *host;
static struct sandbox *box;

/* Ends the test as skipped where the host has no direct execution. */
static inline void fixture_open(unsigned flags)
{
    const char *why;

    if (!ram) {
        ram_fd = memfd_create("test-ram", MFD_CLOEXEC);
        if (ram_fd < 0 || ftruncate(ram_fd, RAM_SIZE))
            exit(1);
        ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
    }
    host = sandbox_host_create(ram_fd, RAM_SIZE, flags, &why);
    if (!host) {
        printf("skipped: %s\n", why);
        exit(SKIPPED);
    }
}

static inline void fixture_box(void)
{
    const char *why;

    sandbox_destroy(box);
    box = sandbox_create(host, &why);
    if (!box) {
        printf("FAIL: %s\n", why);
        exit(1);
    }
    CHECK_EQ(sandbox_map(box, CODE, 0, 1, SANDBOX_READ | SANDBOX_EXEC, false), 0);
    CHECK_EQ(sandbox_map(box, DATA, 4096, 4, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_EXEC, true),
             0);
}

static inline void fixture_close(void)
{
    sandbox_destroy(box);
    sandbox_host_destroy(host);
    box = NULL;
}

static inline struct sandbox_regs fixture_regs(void)
{
    return (struct sandbox_regs){
        .gpr = { 0x11, 0x22, 0x33, 0x44, DATA + 0x800, DATA + 0x900, 0x77, 0x88 },
        .rip = CODE, .eflags = 0x202, .cs = SANDBOX_CS32,
        .ss = SANDBOX_DS, .ds = SANDBOX_DS, .es = SANDBOX_DS, .fs = SANDBOX_DS, .gs = SANDBOX_DS,
    };
}

/* Runs these bytes from CODE with *r; 10 s are for ever. */
static inline struct sandbox_exit fixture_run(const void *code, size_t size, struct sandbox_regs *r)
{
    struct sandbox_exit e = { .kind = SANDBOX_LOST };
    int error;

    memcpy(ram, code, size);
    do
        error = sandbox_run(box, r, 10 * SECOND, &e);
    while (!error && e.kind == SANDBOX_KICK && r->rip == CODE);
    CHECK_EQ((uint64_t)error, 0);
    return e;
}

#define RUN(r, ...)                                                                          \
    fixture_run((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), r)

#endif
