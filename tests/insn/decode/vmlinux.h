/* The .text of an uncompressed 32-bit kernel, as food for decoders. */
#ifndef TESTS_INSN_DECODE_VMLINUX_H
#define TESTS_INSN_DECODE_VMLINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmlinux {
    uint8_t *text;
    size_t size;
};

bool vmlinux_load(struct vmlinux *vmlinux, const char *path);
void vmlinux_free(struct vmlinux *vmlinux);

#endif
