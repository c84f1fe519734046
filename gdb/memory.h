/* Memory for a debugger: by linear addresses, as the guest's tables have them now, or by physical
 * ones. Nothing faults, no A or D bit is set; devices' registers are no memory, but what
 * physmem_peek() finds can be read. */
#ifndef GDB_MEMORY_H
#define GDB_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vcpu;

/* Reads up to size bytes; returns how many there are from address on. */
size_t gdb_memory_read(struct vcpu *vcpu, bool physical, uint64_t address, void *to, size_t size);

/* All of it, or false and nothing has been written: a byte is not there, or is ROM. */
bool gdb_memory_write(struct vcpu *vcpu, bool physical, uint64_t address, const void *from,
                      size_t size);

#endif
