/*
 * Translations that an edit of a page table has made stale: after the guest's invalidation none may
 * be used, whatever was filled between the edit and it.
 */
#include <string.h>

#include "cpu/mem.h"
#include "tests/check.h"
#include "tests/machine.h"

enum { PAGE = 0x500000, LARGE = 0x40000000, OLD = 0x800000, NEW = 0xc00000 };

static void edit(struct vcpu *v, uint32_t gla, uint32_t entry)
{
    v->cpl = 0;
    CHECK_EQ(mem_write(v, SEG_DS, gla, 4, entry), false);
}

static uint64_t value_at(struct vcpu *v, uint32_t gla, uint8_t cpl)
{
    uint64_t value = 0;

    v->cpl = cpl;
    CHECK_EQ(mem_read(v, SEG_DS, gla, 4, &value), false);
    return value;
}

/* The write right in the user's TLB must go though the kernel has used the new entry meanwhile. */
static void test_filled_between(struct machine *m)
{
    struct vcpu *v = m->vcpu;
    uint32_t entry_at = TABLES + 0x1000 + (PAGE >> 12) * 4;

    v->cpl = 3;
    CHECK_EQ(mem_write(v, SEG_DS, PAGE, 4, 1), false);
    edit(v, entry_at, PAGE | 0x65); /* read-only */
    CHECK_EQ(value_at(v, PAGE, 0), 1);
    v->mmu->root_changed(v);
    v->cpl = 3;
    CHECK_EQ(mem_write(v, SEG_DS, PAGE, 4, 2), true);
    CHECK_EQ(value_at(v, PAGE, 0), 1);
    edit(v, entry_at, PAGE | 7);
    v->mmu->root_changed(v);
}

/* INVLPG of one address in a large page takes the translations of all of it. */
static void test_large_page(struct machine *m)
{
    struct vcpu *v = m->vcpu;
    uint32_t entry_at = TABLES + (LARGE >> 22) * 4;

    memset(physmem_ptr(&m->mem, OLD), 0x11, 0x3000);
    memset(physmem_ptr(&m->mem, NEW), 0x22, 0x3000);
    edit(v, entry_at, OLD | 0x87);
    for (uint32_t page = 0; page < 0x3000; page += 0x1000)
        CHECK_EQ(value_at(v, LARGE + page, 0), 0x11111111);
    edit(v, entry_at, NEW | 0x87);
    v->mmu->invlpg(v, LARGE);
    for (uint32_t page = 0; page < 0x3000; page += 0x1000)
        CHECK_EQ(value_at(v, LARGE + page, 0), 0x22222222);
}

int main(void)
{
    struct machine m;

    machine_signal_stack();
    if (machine_create(&m, &engine_translator))
        return 2;
    test_filled_between(&m);
    test_large_page(&m);
    machine_destroy(&m);
    return CHECK_DONE();
}
