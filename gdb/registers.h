/* The CPU's registers as gdb numbers them: by the table registers.def. */
#ifndef GDB_REGISTERS_H
#define GDB_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

enum gdb_feature { FEATURE_CORE, FEATURE_SSE, FEATURE_AVX, FEATURE_SYSTEM, FEATURE_COUNT };

enum gdb_register_kind {
    KIND_GPR, KIND_EIP, KIND_EFLAGS, KIND_SELECTOR,
    KIND_ST, KIND_X87_WORD, KIND_X87_LONG, KIND_X87_TAGS, KIND_XMM, KIND_MXCSR, KIND_YMM_HIGH,
    KIND_CONTROL, KIND_DEBUG, KIND_CPL, KIND_BASE, KIND_LIMIT, KIND_ATTRIBUTES,
    KIND_SHORT, KIND_LONG, KIND_LONG64, /* a field of struct vcpu; not written */
};

struct gdb_register {
    enum gdb_feature feature;
    const char *name;
    unsigned bytes;
    const char *type, *group; /* group NULL: by the type */
    enum gdb_register_kind kind;
    unsigned index;
};

#define GDB_REGISTER_BYTES 16 /* the largest */

extern const struct gdb_register gdb_registers[];
extern const unsigned gdb_register_count;

/* Numbers of those that a stop reply tells, without being asked. */
enum { GDB_ESP = 4, GDB_EBP = 5, GDB_EIP = 8 };

/* Has this CPU model the registers of the feature? */
bool gdb_feature_present(const struct vcpu *vcpu, enum gdb_feature feature);

/* The register with this number, of those that the model has; NULL: there is none. */
const struct gdb_register *gdb_register(const struct vcpu *vcpu, unsigned number);

/* Its value, the lowest byte first: r->bytes of them. */
void gdb_register_get(const struct vcpu *vcpu, const struct gdb_register *r, uint8_t *to);

/* False: it cannot have that value, or is not for writing; nothing has changed then. Writing what
 * it has is always possible. */
bool gdb_register_set(struct vcpu *vcpu, const struct gdb_register *r, const uint8_t *from);

/* The description of them all, for qXfer:features:read; the caller frees it. NULL: no memory. Its
 * architecture is i8086 while the CPU is in 16-bit code. */
char *gdb_description(const struct vcpu *vcpu);

#endif
