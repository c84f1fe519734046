/* Waiting for processes that the host does not run: direct/sandbox_wait.c. */
#include <sys/wait.h>

#include "direct/sandbox_private.h"
#include "tests/direct/fixture.h"

#define STOPS 4

static void *stopper(void *arg)
{
    for (unsigned i = 0; i < STOPS; i++) {
        usleep(20000);
        kill(sandbox_pid(arg), SIGSTOP);
        usleep(600000);
        kill(sandbox_pid(arg), SIGCONT);
    }
    *(volatile uint32_t *)(ram + 8192) = 1;
    return NULL;
}

/* A host that does not let the process run for far longer than a program may hold out: what it has
 * done is not lost, and not done again. */
static void test_stopped(void)
{
    volatile uint32_t *count = (volatile uint32_t *)(ram + 4096), *over = count + 1024;
    struct sandbox_regs r = fixture_regs();
    struct sandbox_exit e = { .kind = SANDBOX_KICK };
    pthread_t thread;

    /* L: inc dword [DATA]; inc eax; jmp L */
    memcpy(ram, "\xff\x05\0\0\0\xbf\x40\xeb\xf7", 9);
    *count = *over = 0;
    r.gpr[0] = 0;
    box->grace_ns = SECOND / 50;
    CHECK_EQ((uint64_t)sandbox_flush(box), 0);
    pthread_create(&thread, NULL, stopper, box);
    while (!*over && e.kind == SANDBOX_KICK) {
        CHECK_EQ((uint64_t)sandbox_run(box, &r, SECOND / 100, &e), 0);
        CHECK_EQ(e.kind, SANDBOX_KICK);
        CHECK_EQ(*count - (uint32_t)r.gpr[0], r.rip == CODE + 6);
    }
    pthread_join(thread, NULL);
    CHECK_EQ(r.gpr[0] != 0, 1);
    fixture_box();
}

/* --- Waiting that nobody wants any more ------------------------------------------------------- */

static unsigned asked;

static bool give_up(void *arg)
{
    (void)arg;
    return ++asked >= 3;
}

/* All of its tasks have stopped when this returns. */
static void stop(int pid)
{
    int status = 0;

    kill(pid, SIGSTOP);
    waitpid(pid, &status, __WALL | WUNTRACED);
    CHECK_EQ(WIFSTOPPED(status), 1);
}

static void woken(int sig)
{
    (void)sig;
}

static void *waker(void *arg)
{
    usleep(50000);
    pthread_kill(*(pthread_t *)arg, SIGUSR2);
    return NULL;
}

/* A runner, a mapper, and the process that starts them, each stopped for good. */
static void test_given_up(void)
{
    struct sigaction action = { .sa_handler = woken };
    struct sandbox_regs r = fixture_regs(), before;
    struct sandbox_exit e = { .kind = SANDBOX_KICK };
    pthread_t self = pthread_self(), thread;
    const char *why = NULL;

    sigaction(SIGUSR2, &action, NULL);
    sandbox_host_ask(host, give_up, NULL);
    memcpy(ram, "\xeb\xfe", 2);
    /* A first run, after which the mapper has nothing to do: FS and GS may be its work. */
    CHECK_EQ((uint64_t)sandbox_run(box, &r, SECOND / 100, &e), 0);
    CHECK_EQ(e.kind, SANDBOX_KICK);
    stop(sandbox_pid(box));
    before = r;
    CHECK_EQ((uint64_t)sandbox_run(box, &r, SECOND / 100, &e), 0);
    CHECK_EQ(e.kind, SANDBOX_GIVEN_UP);
    CHECK_EQ(asked, 3);
    CHECK_EQ(memcmp(&r, &before, sizeof(r)), 0);
    CHECK_EQ((uint64_t)-sandbox_run(box, &r, 0, &e), EOWNERDEAD);
    fixture_box();
    CHECK_EQ((uint64_t)sandbox_flush(box), 0);
    CHECK_EQ((uint64_t)sandbox_unmap(box, DATA, 4), 0);
    stop(sandbox_pid(box));
    asked = 0;
    pthread_create(&thread, NULL, waker, &self);
    CHECK_EQ((uint64_t)-sandbox_flush(box), EOWNERDEAD);
    CHECK_EQ(asked, 3);
    pthread_join(thread, NULL);
    stop(host->helper);
    asked = 0;
    CHECK_EQ(sandbox_create(host, &why) == NULL && why != NULL, 1);
    CHECK_EQ(asked, 3);
    fixture_close();
    fixture_open(0);
    fixture_box();
}

int main(void)
{
    alarm(1100);
    fixture_open(0);
    fixture_box();
    test_stopped();
    test_given_up();
    fixture_close();
    return CHECK_DONE();
}
