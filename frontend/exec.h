/* novt exec: one command in a fresh Debian guest, as if it ran here. */
#ifndef FRONTEND_EXEC_H
#define FRONTEND_EXEC_H

/* The words after "novt exec". Returns the exit status: the command's, or one of sysexits.h. */
int exec_tool(int argc, char **argv);

#endif
