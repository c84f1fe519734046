/* novt explain: what an instruction does to a virtual machine, and what the translator makes of it
 * or of a program. */
#ifndef FRONTEND_EXPLAIN_H
#define FRONTEND_EXPLAIN_H

/* The words after "novt explain". An exit status (sysexits.h). */
int explain_tool(int argc, char **argv);

#endif
