/* isa-debug-exit: a guest that writes a value ends the machine with exit status
 * (value << 1) | 1. */
#ifndef DEVICES_ISA_DEBUG_EXIT_H
#define DEVICES_ISA_DEBUG_EXIT_H

#include <stdint.h>

struct bus;
struct isa_debug_exit;

struct isa_debug_exit_config {
    struct bus *ports;
    uint16_t base, size; /* size: 1 to 4 ports */
    void (*exit)(void *arg, int status);
    void *arg;
};

/* NULL with errno set: EINVAL for a size out of range, EEXIST when the ports are taken, ENOMEM. */
struct isa_debug_exit *isa_debug_exit_create(const struct isa_debug_exit_config *config);
void isa_debug_exit_destroy(struct isa_debug_exit *dev);

#endif
