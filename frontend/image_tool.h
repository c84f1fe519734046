/* novt image create|info|check|convert: disk images without a guest. */
#ifndef FRONTEND_IMAGE_TOOL_H
#define FRONTEND_IMAGE_TOOL_H

/* argv[0] is the word behind "image". Returns the exit status: sysexits.h, and of check: 0 nothing
 * wrong, 1 it could not be checked, 2 damaged, 3 only leaks, 63 the format cannot be checked. */
int image_tool(int argc, char **argv);

#endif
