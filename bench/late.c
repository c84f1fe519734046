/*
 * How late this host wakes a process, for bench/latency to compare with: late [TICKS [alone]].
 *
 * One process sleeps until each millisecond, as the monitor does while a program runs directly;
 * another one computes beside it (SCHED_BATCH, as the sandboxes' runners), but for "alone". Both
 * stay where they were started: taskset and nice say where and how. Prints p50, p90, p99 and the
 * worst, in microseconds.
 */
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 1000000
#define NS_PER_SEC 1000000000
#define US 1e3

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double ns_of(const struct timespec *t)
{
    return (double)t->tv_sec * NS_PER_SEC + (double)t->tv_nsec;
}

static void compute(void)
{
    const struct sched_param none = { 0 };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sched_setscheduler(0, SCHED_BATCH, &none))
        perror("late: SCHED_BATCH");
    for (;;)
        __asm__ volatile("");
}

static void measure(double *late, size_t count)
{
    struct timespec due, now;

    clock_gettime(CLOCK_MONOTONIC, &due);
    for (size_t i = 0; i < count; i++) {
        due.tv_nsec += PERIOD_NS;
        if (due.tv_nsec >= NS_PER_SEC) {
            due.tv_nsec -= NS_PER_SEC;
            due.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        late[i] = (ns_of(&now) - ns_of(&due)) / US;
    }
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 0) : 5000;
    bool alone = argc > 2 && !strcmp(argv[2], "alone");
    double *late = count ? calloc(count, sizeof(*late)) : NULL;
    pid_t other = alone || !late ? -1 : fork();

    if (!late || (!alone && other < 0)) {
        fputs("late: no memory, or no ticks\n", stderr);
        return 1;
    }
    if (!other)
        compute();
    measure(late, count);
    if (other > 0)
        kill(other, SIGKILL);
    qsort(late, count, sizeof(*late), by_value);
    printf("%.1f %.1f %.1f %.1f\n", late[count / 2], late[count * 9 / 10], late[count * 99 / 100],
           late[count - 1]);
    free(late);
    return 0;
}
