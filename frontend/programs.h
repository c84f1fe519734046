/* Which program an address space of the guest's belongs to. */
#ifndef FRONTEND_PROGRAMS_H
#define FRONTEND_PROGRAMS_H

#include <stddef.h>
#include <stdint.h>

struct programs;
struct vcpu;

struct programs *programs_create(struct vcpu *vcpu); /* NULL: no memory */
void programs_free(struct programs *programs); /* NULL is allowed */

/* The file name of the current address space's program, by the path that Linux leaves at the end
 * of its stack; esp: any address in a stack. One that had a name keeps it. Else "cr3:" and CR3. */
void programs_name(struct programs *programs, uint32_t esp, char *text, size_t size);

#endif
