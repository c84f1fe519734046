/* What the CPU asks of the board. The board fills one in; every function is called on the vcpu's
 * thread. */
#ifndef CPU_ENV_H
#define CPU_ENV_H

#include <stdbool.h>
#include <stdint.h>

struct cpu_env {
    void *board; /* first argument of all */

    /* size: 1, 2 or 4 bytes. */
    uint64_t (*port_read)(void *board, uint16_t port, unsigned size);
    void (*port_write)(void *board, uint16_t port, unsigned size, uint64_t value);

    /* gpa outside RAM; size: 1, 2, 4 or 8 bytes, never across a page end. */
    uint64_t (*mmio_read)(void *board, uint64_t gpa, unsigned size);
    void (*mmio_write)(void *board, uint64_t gpa, unsigned size, uint64_t value);

    /* The interrupt controller's INTA cycle: the vector of the interrupt that vcpu.intr_line
     * announced. Called only while that line is up. */
    uint8_t (*intr_ack)(void *board);

    /* FERR#: an x87 error while CR0.NE is clear (IRQ 13 on a PC). */
    void (*ferr)(void *board);

    /* The next elements of INS or OUTS, at most count, between the port and host memory: how many
     * were done, with all that port_read or port_write of each would do; 0: ask for the next one
     * by itself. May be NULL. */
    uint64_t (*port_read_string)(void *board, uint16_t port, unsigned size, void *to,
                                 uint64_t count);
    uint64_t (*port_write_string)(void *board, uint16_t port, unsigned size, const void *from,
                                  uint64_t count);

    /* The same of MOVS and STOS in a device's memory at gpa and behind it, of 1, 2 or 4 bytes, all
     * in a page: read; written, from there, or (same) always that one; copied, one after the
     * other. May be NULL, all three. */
    uint64_t (*mmio_read_run)(void *board, uint64_t gpa, unsigned size, void *to, uint64_t count);
    uint64_t (*mmio_write_run)(void *board, uint64_t gpa, unsigned size, const void *from,
                               bool same, uint64_t count);
    uint64_t (*mmio_copy_run)(void *board, uint64_t to, uint64_t from, unsigned size,
                              uint64_t count);

    /* IA32_APIC_BASE was written. */
    void (*apic_base)(void *board, uint64_t value);

    /* The engine waits, ten times a second, for what the host does not run: looks after what does
     * not touch the CPU or memory. True: the machine is to end, do not wait. May be NULL. */
    bool (*held_up)(void *board);
};

#endif
