/* Memory for a debugger: see memory.h. */
#include "gdb/memory.h"

#include "cpu/mem.h"

/* Where the byte is, and in *left how many follow it in the page, at most *left before. False: not
 * mapped. */
static bool find(struct vcpu *vcpu, bool physical, uint64_t address, size_t *left, uint64_t *gpa)
{
    uint64_t room = PAGE_SIZE - (address & PAGE_MASK);

    if (address > UINT32_MAX)
        return false;
    if (physical)
        *gpa = address;
    else if (!mem_debug_translate(vcpu, address, gpa))
        return false;
    *left = *left < room ? *left : room;
    return true;
}

size_t gdb_memory_read(struct vcpu *vcpu, bool physical, uint64_t address, void *to, size_t size)
{
    size_t done = 0, part;
    uint64_t gpa;

    for (; done < size; done += part) {
        part = size - done;
        if (!find(vcpu, physical, address + done, &part, &gpa) ||
            !physmem_peek(vcpu->mem, gpa, (uint8_t *)to + done, part))
            break;
    }
    return done;
}

bool gdb_memory_write(struct vcpu *vcpu, bool physical, uint64_t address, const void *from,
                      size_t size)
{
    size_t done, part;
    uint64_t gpa;

    for (done = 0; done < size; done += part) {
        part = size - done;
        if (!find(vcpu, physical, address + done, &part, &gpa) ||
            !physmem_is_writable(vcpu->mem, gpa))
            return false;
    }
    for (done = 0; done < size; done += part) {
        part = size - done;
        if (!find(vcpu, physical, address + done, &part, &gpa))
            return false; /* what was written there was its page table */
        physmem_write(vcpu->mem, gpa, (const uint8_t *)from + done, part);
    }
    return true;
}
