/* What single system calls and what comes with them cost, as lmbench has them. */
#ifndef GUESTS_BENCH_CALLS_H
#define GUESTS_BENCH_CALLS_H

/* "count" times each. */
void calls_open(unsigned count);    /* open and close */
void calls_stat(unsigned count);
void calls_signal(unsigned count);  /* a signal to oneself, taken and returned from */
void calls_mmap(unsigned count);    /* 32 pages mapped, 8 of them touched, unmapped */
void calls_protect(unsigned count); /* a page made read-only and writable again, and written */
void calls_workset(unsigned count); /* words written at random places of 128 MiB */

#endif
