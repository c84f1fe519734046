/* Benchmarks that time themselves; the functions at the end are bench.c's. */
#ifndef GUESTS_BENCH_LOADS_H
#define GUESTS_BENCH_LOADS_H

/* "count" steps, repetitions, messages from each sender to each receiver, processes, ticks. */
void loads_chase(unsigned count);
void loads_avx2(unsigned count);
void loads_groups(unsigned count);
void loads_processes(unsigned count);
void loads_ticks(unsigned count);

/* What was done before does not count. */
void loads_clock(void);
/* What follows does not count. */
void loads_report(void);

#endif
