/* What guest code is called, a kernel's (names.h) and users' (user_images.h, programs.h). No name
 * has a blank, ';', or anything in it that could not be shown on a terminal. */
#ifndef FRONTEND_CODE_NAMES_H
#define FRONTEND_CODE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct code_names;
struct error;
struct machine;

#define CODE_NAME_SIZE 320

struct code_names *code_names_create(struct machine *machine); /* NULL: no memory */
void code_names_free(struct code_names *names); /* NULL is allowed */

/* -symbols: an ELF file, of a kernel or of a user's program, or a System.map. 0, or -1 with
 * *error. */
int code_names_offer(struct code_names *names, const char *path, struct error *error);

/* The kernel's are known. */
bool code_names_known(struct code_names *names);

/* Of code at gla, in the current address space: "symbol", "library:symbol", or an address as in the
 * image's file; user: at CPL 3. Adds "+0x12" where offset. Without a symbol, the address is that of
 * code before bytes before gla. */
void code_names_put(struct code_names *names, uint32_t gla, bool user, bool offset, uint32_t before,
                    char text[CODE_NAME_SIZE]);

/* Of the current address space's program; esp: in its stack. */
void code_names_program(struct code_names *names, uint32_t esp, char text[CODE_NAME_SIZE]);

#endif
