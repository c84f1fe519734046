/* novt trace: shows what novt run -trace has recorded. */
#ifndef FRONTEND_TRACE_TOOL_H
#define FRONTEND_TRACE_TOOL_H

/* The words after "novt trace". An exit status (sysexits.h). */
int trace_tool(int argc, char **argv);

#endif
