/* Page walks: see paging.h. Modelled: 32-bit and PAE. Not yet: 4- and 5-level, PKE. */
#include "cpu/paging.h"

#include "cpu/cpuid.h"

#define BIT(n) (1ull << (n))

const struct paging_format paging_32 = {
    .levels = 2, .entry_bytes = 4, .index_bits = 10, .top_index_bits = 10, .large_levels = BIT(2)
};
const struct paging_format paging_pae = {
    .levels = 3, .entry_bytes = 8, .index_bits = 9, .top_index_bits = 2,
    .large_levels = BIT(2), .bare_levels = BIT(3)
};

const struct paging_format *paging_format(const struct vcpu *vcpu)
{
    return vcpu->cr4 & CR4_PAE ? &paging_pae : &paging_32;
}

static uint64_t a20(const struct vcpu *vcpu, uint64_t gpa)
{
    return vcpu->a20_masked ? gpa & ~BIT(20) : gpa;
}

static uint64_t entry_read(const struct vcpu *vcpu, uint64_t gpa, unsigned bytes)
{
    uint64_t value = 0;

    if (!physmem_is_ram(vcpu->mem, gpa))
        return bytes == 8 ? UINT64_MAX : UINT32_MAX;
    __builtin_memcpy(&value, physmem_ptr(vcpu->mem, gpa), 4);
    if (bytes == 8)
        __builtin_memcpy(&value, physmem_ptr(vcpu->mem, gpa), 8);
    return value;
}

/* A and D are in the entry's low byte. Translated code may have been made from a table's frame. */
static void entry_set(const struct vcpu *vcpu, uint64_t gpa, uint64_t entry, uint64_t bits)
{
    uint8_t low = (uint8_t)(entry | bits);

    if ((entry & bits) == bits || !physmem_is_writable(vcpu->mem, gpa))
        return;
    *physmem_ptr(vcpu->mem, gpa) = low;
    if (physmem_watched(vcpu->mem, gpa >> PAGE_SHIFT) & (WATCH_CODE | WATCH_DISPLAY))
        physmem_written(vcpu->mem, gpa, 1);
}

static uint64_t reserved_bits(const struct vcpu *vcpu, const struct paging_format *f,
                              unsigned level, bool large)
{
    uint64_t bits = 0;

    if (f->entry_bytes == 8) {
        bits = ~(BIT(PHYS_BITS) - 1) & ~PTE_NX; /* PAE ignores none of them */
        if (!(vcpu->efer & EFER_NXE))
            bits |= PTE_NX;
        if (large)
            bits |= 0x1fe000; /* bit 12 is PAT */
    } else if (large) {
        bits = cpuid_has(vcpu->model, CPUID_PSE36) ? 0x3e0000 /* 36 address bits: 17 to 21 */
                                                   : 0x3fe000;
    }
    return f->bare_levels & BIT(level) ? 0 : bits;
}

/* PSE-36: bits 13 to 16 of a 4 MiB entry are address bits 32 to 35. */
static uint64_t large_address(const struct paging_format *f, uint64_t entry)
{
    if (f->entry_bytes == 4)
        return (entry & 0xffc00000) | (entry >> 13 & 0xf) << 32;
    return entry & (BIT(PHYS_BITS) - 1) & ~(BIT(21) - 1);
}

#define NO_GPA PAGING_REGISTER

struct path {
    unsigned count;
    struct {
        uint64_t gpa, entry; /* where the entry is (NO_GPA: a PDPTE register), and its value */
    } step[4];
};

enum walked { WALKED, WALK_ABSENT, WALK_RESERVED };

static uint64_t next_entry(struct vcpu *vcpu, const struct paging_format *f, struct path *path,
                           struct walk *out, uint64_t table, uint64_t gla, unsigned level)
{
    unsigned shift = PAGE_SHIFT + (level - 1) * f->index_bits;
    unsigned bits = level == f->levels ? f->top_index_bits : f->index_bits;
    unsigned index = gla >> shift & (BIT(bits) - 1);
    uint64_t gpa = NO_GPA, entry;

    if (f->bare_levels & BIT(level)) {
        entry = vcpu->pdpte[index];
    } else {
        gpa = a20(vcpu, table + (uint64_t)index * f->entry_bytes);
        entry = entry_read(vcpu, gpa, f->entry_bytes);
        out->table_gfn[out->tables] = gpa >> PAGE_SHIFT;
        out->table_base[out->tables] = gla & ~(BIT(shift + bits) - 1);
        out->table_shift[out->tables++] = shift;
    }
    path->step[path->count].gpa = gpa;
    path->step[path->count++].entry = entry;
    return entry;
}

static enum walked descend(struct vcpu *vcpu, uint64_t gla, struct walk *out, struct path *path)
{
    const struct paging_format *f = paging_format(vcpu);
    uint64_t table = vcpu->cr3 & 0xfffff000, perms = PTE_W | PTE_U;

    out->tables = 0;
    out->nx = false;
    out->accessed = true;
    out->entry_bytes = f->entry_bytes;
    path->count = 0;
    for (unsigned level = f->levels;; level--) {
        unsigned shift = PAGE_SHIFT + (level - 1) * f->index_bits;
        uint64_t entry = next_entry(vcpu, f, path, out, table, gla, level);
        bool large = f->large_levels & BIT(level) && entry & PTE_PS &&
                     (f->entry_bytes == 8 || vcpu->cr4 & CR4_PSE);

        if (!(entry & PTE_P))
            return WALK_ABSENT;
        if (entry & reserved_bits(vcpu, f, level, large))
            return WALK_RESERVED;
        if (!(f->bare_levels & BIT(level))) {
            perms &= entry;
            out->accessed &= !!(entry & PTE_A);
            out->nx |= f->entry_bytes == 8 && entry & PTE_NX;
        }
        if (level == 1 || large) {
            uint64_t offset = BIT(shift) - 1;

            table = large ? large_address(f, entry)
                          : entry & (BIT(PHYS_BITS) - 1) & ~PAGE_MASK;
            out->gpa = a20(vcpu, table | (gla & offset));
            out->size = offset + 1;
            out->writable = perms & PTE_W;
            out->user = perms & PTE_U;
            out->global = vcpu->cr4 & CR4_PGE && entry & PTE_G;
            out->dirty = entry & PTE_D;
            return WALKED;
        }
        table = entry & (BIT(PHYS_BITS) - 1) & ~PAGE_MASK;
    }
}

static bool granted(const struct vcpu *vcpu, const struct walk *w, enum mem_access access,
                    bool user)
{
    if (user && !w->user)
        return false;
    if (access == MEM_WRITE && !w->writable && (user || vcpu->cr0 & CR0_WP))
        return false;
    return access != MEM_EXEC || !w->nx;
}

static uint32_t error_code(const struct vcpu *vcpu, enum mem_access access, bool user)
{
    uint32_t error = user ? PF_U : 0;

    if (access == MEM_WRITE)
        error |= PF_W;
    if (access == MEM_EXEC && vcpu->cr4 & CR4_PAE && vcpu->efer & EFER_NXE)
        error |= PF_I;
    return error;
}

bool paging_walk(struct vcpu *vcpu, uint64_t gla, enum mem_access access, bool user,
                 struct walk *out, uint32_t *error)
{
    struct path path;
    enum walked walked = descend(vcpu, gla, out, &path);

    if (walked != WALKED || !granted(vcpu, out, access, user)) {
        *error = error_code(vcpu, access, user);
        if (walked != WALK_ABSENT)
            *error |= PF_P;
        if (walked == WALK_RESERVED)
            *error |= PF_R;
        return false;
    }
    for (unsigned i = 0; i < path.count; i++) {
        bool leaf = i + 1 == path.count;

        if (path.step[i].gpa != NO_GPA)
            entry_set(vcpu, path.step[i].gpa, path.step[i].entry,
                      leaf && access == MEM_WRITE ? PTE_A | PTE_D : PTE_A);
    }
    out->accessed = true;
    out->dirty |= access == MEM_WRITE;
    return true;
}

bool paging_peek(struct vcpu *vcpu, uint64_t gla, struct walk *out)
{
    struct path path;

    if (paging_on(vcpu))
        return descend(vcpu, gla, out, &path) == WALKED;
    *out = (struct walk){ .gpa = a20(vcpu, gla), .accessed = true, .dirty = true,
                          .size = PAGE_SIZE, .writable = true, .user = true };
    return true;
}

unsigned paging_steps(struct vcpu *vcpu, uint64_t gla, struct paging_step step[PAGING_STEPS])
{
    const struct paging_format *f = paging_format(vcpu);
    struct walk walk;
    struct path path;

    descend(vcpu, gla, &walk, &path);
    for (unsigned i = 0; i < path.count; i++) {
        unsigned level = f->levels - i, shift = PAGE_SHIFT + (level - 1) * f->index_bits;
        unsigned bits = i ? f->index_bits : f->top_index_bits;
        uint64_t entry = path.step[i].entry;
        bool large = f->large_levels & BIT(level) && entry & PTE_PS &&
                     (f->entry_bytes == 8 || vcpu->cr4 & CR4_PSE);

        step[i] = (struct paging_step){
            .level = level, .index = gla >> shift & (BIT(bits) - 1), .gpa = path.step[i].gpa,
            .entry = entry, .large = large,
            .reserved = entry & PTE_P ? entry & reserved_bits(vcpu, f, level, large) : 0,
        };
    }
    return path.count;
}
