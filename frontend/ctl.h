/* novt ctl: commands for a running guest, over its monitor's socket. */
#ifndef FRONTEND_CTL_H
#define FRONTEND_CTL_H

/* The words after "novt ctl". Returns the exit status: 0, or what the answer's error says. */
int ctl_tool(int argc, char **argv);

#endif
