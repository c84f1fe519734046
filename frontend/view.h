/* novt view: a running or paused guest in the terminal. */
#ifndef FRONTEND_VIEW_H
#define FRONTEND_VIEW_H

/* The words behind "novt view"; the exit status. */
int view_tool(int argc, char **argv);

#endif
