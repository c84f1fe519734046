/* What a stream of code that is not flat starts in: into a machine, and on paper. */
#include "tests/lockstep/segments.h"

#include <stdio.h>
#include <string.h>

#include "cpu/fpu.h"
#include "cpu/mem.h"
#include "cpu/paging.h"
#include "cpu/segment.h"

static void put_descriptor(struct machine *m, const struct segment *s)
{
    uint32_t limit = s->attr & SEG_G ? s->limit >> 12 : s->limit, base = (uint32_t)s->base;
    uint32_t low = base << 16 | (limit & 0xffff);
    uint32_t high = (base & 0xff000000) | (limit & 0xf0000) | (s->attr & 0xf0ff) << 8 |
                    (base >> 16 & 0xff);

    physmem_write(&m->mem, GDT + (s->selector & ~7u), &low, 4);
    physmem_write(&m->mem, GDT + (s->selector & ~7u) + 4, &high, 4);
}

/* Vectors of real mode lead to the same HLTs as the IDT's; 21h's handler returns. */
static void load_vectors(struct machine *m)
{
    static const uint8_t handler[] = { 0x40, 0xcf }; /* inc ax (or eax); iret */

    for (unsigned v = 0; v < 256; v++) {
        uint32_t entry = (uint32_t)(HANDLERS >> 4) << 16 | 16 * v;

        physmem_write(&m->mem, 4 * v, &entry, 4);
    }
    physmem_write(&m->mem, HANDLERS + 16 * 0x21, handler, 2);
}

/* What streams cannot write with paging: stale translations have no one right answer. */
static void load_tables(struct machine *m)
{
    for (uint32_t page = 0; page < RAM >> PAGE_SHIFT; page++) {
        bool table = page - (TABLES >> PAGE_SHIFT) <= RAM >> 22;
        uint32_t present = page && page == scene.absent ? 0 : PTE_P, now;
        uint32_t entry = page << PAGE_SHIFT | present | PTE_U | (table ? 0 : PTE_W);
        uint64_t at = TABLES + 0x1000 + 4 * page;

        memcpy(&now, physmem_ptr(&m->mem, at), 4);
        if ((now & ~(uint32_t)(PTE_A | PTE_D)) != entry)
            physmem_write(&m->mem, at, &entry, 4);
    }
    for (uint32_t i = 0; i < 1024; i++) {
        uint32_t entry = i < RAM >> 22 ? (TABLES + 0x1000 * (i + 1)) | 7 : 0, now;

        memcpy(&now, physmem_ptr(&m->mem, TABLES + 4 * i), 4);
        if ((now & ~(uint32_t)PTE_A) != entry)
            physmem_write(&m->mem, TABLES + 4 * i, &entry, 4);
    }
}

static void load_memory(struct machine *m)
{
    static const uint8_t no_descriptors[GDT_LIMIT + 1 - 0x18];
    uint8_t open_gate = 0xee;

    load_tables(m);
    physmem_write(&m->mem, scene.start, stream, sizeof(stream));
    physmem_write(&m->mem, DATA, scene.data, sizeof(scene.data));
    physmem_write(&m->mem, STACK, scene.data, sizeof(scene.data));
    physmem_write(&m->mem, IDT + 8 * 0x21 + 5, &open_gate, 1);
    load_vectors(m);
    physmem_write(&m->mem, GDT + 0x18, no_descriptors, sizeof(no_descriptors));
    for (unsigned i = 0; scene.mode >= PROT16 && i < SEG_COUNT; i++)
        put_descriptor(m, &scene.seg[i]);
}

void segments_load_registers(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    machine_flat(v);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        v->seg[i] = scene.seg[i];
    for (unsigned i = 0; i < 8; i++)
        v->gpr[i] = scene.gpr[i];
    v->gdtr.limit = GDT_LIMIT;
    v->eflags = scene.eflags;
    v->rip = scene.eip;
    v->cpl = (uint8_t)scene.cpl;
    v->cr0 |= scene.cr0;
    v->cr4 &= ~(uint64_t)scene.no_cr4;
    if (scene.mode == REAL) {
        v->cr0 &= ~(uint64_t)(CR0_PE | CR0_PG);
        v->idtr.base = 0;
        v->idtr.limit = (uint16_t)scene.idt_limit;
    }
    machine_rest(m);
    mem_mode_changed(v);
    fpu_reset(v);
}

void segments_load(struct machine *m)
{
    load_memory(m);
    segments_load_registers(m);
}

void segments_dump(uint64_t seed)
{
    static const char *const modes[] = { "real", "v86", "16-bit", "32-bit" };

    printf("seed %llu: %s, CPL %u, eflags %x, start %x\n", (unsigned long long)seed,
           modes[scene.mode], scene.cpl, scene.eflags, scene.start);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        printf("  seg %u: %04x attr %x base %llx limit %x\n", i, scene.seg[i].selector,
               scene.seg[i].attr, (unsigned long long)scene.seg[i].base, scene.seg[i].limit);
    for (unsigned i = 0; i < 8; i++)
        printf(" %x", scene.gpr[i]);
    printf("\n");
    machine_list(scene.eip, stream, stream_len, wide() ? MODE_32 : MODE_16);
}

bool segments_came_through(const struct vcpu *v)
{
    return v->rip == scene.eip + stream_len + 1;
}
