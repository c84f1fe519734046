/* The commands of novt that are Python: bench (bench/) and learn (guests/course/). This finds and
 * starts them. */
#ifndef FRONTEND_SCRIPT_TOOL_H
#define FRONTEND_SCRIPT_TOOL_H

#include <stdbool.h>

/* Is "novt COMMAND" one of them? */
bool script_tool_is(const char *command);

/* argv: the command and the words after it. Does not return but for an exit status (sysexits.h)
 * when the script cannot be started. */
int script_tool(int argc, char **argv);

#endif
