/* pvpanic: the guest's kernel says that it has panicked. Port 0x505. */
#ifndef DEVICES_PVPANIC_H
#define DEVICES_PVPANIC_H

#include <stdbool.h>
#include <stdint.h>

struct bus;
struct pvpanic;

struct pvpanic_config {
    struct bus *ports;
    uint16_t base;
    /* crash_kernel: the guest goes on by itself, in its crash kernel. */
    void (*panicked)(void *arg, bool crash_kernel);
    void *arg;
};

/* NULL with errno set when the port is taken or memory is out. */
struct pvpanic *pvpanic_create(const struct pvpanic_config *config);
void pvpanic_destroy(struct pvpanic *dev);

#endif
