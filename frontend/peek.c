/* Page by page: each costs a walk. */
#include "frontend/peek.h"

#include <string.h>

#include "base/physmem.h"
#include "cpu/mem.h"
#include "cpu/vcpu.h"

/* How much of size bytes at gla is in its page; *from is where. 0: not there. */
static size_t in_page(struct vcpu *vcpu, uint32_t gla, size_t size, const uint8_t **from)
{
    size_t room = (size_t)(PAGE_SIZE - (gla & PAGE_MASK));
    uint64_t gpa;

    if (!mem_debug_translate(vcpu, gla, &gpa) || !physmem_is_ram(vcpu->mem, gpa))
        return 0;
    *from = physmem_ptr(vcpu->mem, gpa);
    return room < size ? room : size;
}

bool peek_bytes(struct vcpu *vcpu, uint32_t gla, void *to, size_t size)
{
    uint8_t *out = to;
    const uint8_t *from;

    while (size) {
        size_t part = in_page(vcpu, gla, size, &from);

        if (!part)
            return false;
        memcpy(out, from, part);
        out += part;
        gla += (uint32_t)part;
        size -= part;
    }
    return true;
}

uint64_t peek_root(const struct vcpu *vcpu)
{
    return vcpu->cr3;
}

bool peek_word(struct vcpu *vcpu, uint32_t gla, uint32_t *word)
{
    return peek_bytes(vcpu, gla, word, sizeof(*word));
}

bool peek_string(struct vcpu *vcpu, uint32_t gla, char *text, size_t size)
{
    size_t used = 0;
    const uint8_t *from;

    while (used + 1 < size) {
        size_t part = in_page(vcpu, gla + (uint32_t)used, size - 1 - used, &from);

        if (!part)
            return false;
        memcpy(text + used, from, part);
        text[used + part] = '\0';
        used += strlen(text + used);
        if (memchr(from, 0, part))
            return true;
    }
    return true;
}
