/* novt bench: the benchmarks are Python (bench/); this finds and starts them. */
#ifndef FRONTEND_BENCH_TOOL_H
#define FRONTEND_BENCH_TOOL_H

/* The words after "novt bench". Does not return but for an exit status (sysexits.h) when the
 * benchmarks cannot be started. */
int bench_tool(int argc, char **argv);

#endif
