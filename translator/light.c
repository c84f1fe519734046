/* Light calls: emitting them, and the C behind those for strings and INVLPG. */
#include "translator/emit.h"

#include "base/log.h"
#include "cpu/cpuid.h"
#include "cpu/env.h"
#include "cpu/host_ops.h"
#include "cpu/operand.h"
#include "cpu/tlb.h"
#include "translator/descriptors.h"

/* What comes before a jump of so many bytes. */
static uint32_t prepare(struct builder *b, const void *to, uint32_t jump)
{
    uint32_t slow;

    b->insn[b->insns - 1].how = HOW_CALLED;
    EMIT(b, 0x49, 0xb9);                       /* mov r9, to */
    emit64(b, (uint64_t)(uintptr_t)to);
    EMIT(b, 0x4c, 0x8d, 0x15);                 /* lea r10, [slow] */
    slow = here(b);
    emit32(b, 0);
    EMIT(b, 0x4c, 0x8d, 0x1d);                 /* lea r11, [behind the jump] */
    emit32(b, jump);
    return slow;
}

uint32_t light_call_by(struct builder *b, light_fn *fn, enum thunk thunk)
{
    uint32_t slow = prepare(b, (const void *)fn, 5);

    emit_jump_thunk(b, thunk);
    return slow;
}

uint32_t light_call(struct builder *b, light_fn *fn)
{
    return light_call_by(b, fn, THUNK_LIGHT);
}

uint32_t light_string(struct builder *b, const void *string, uint32_t mask)
{
    uint32_t slow;

    EMIT(b, 0x41, 0xbc), emit32(b, mask);      /* mov r12d, mask */
    slow = prepare(b, string, 3);
    EMIT(b, 0x41, 0xff, 0xe1);                 /* jmp r9 */
    return slow;
}

void light_end_as(struct builder *b, const struct insn *in, uint32_t slow, enum site_kind kind)
{
    EMIT(b, 0xeb, 15);                         /* over the callout */
    emit_patch(b, slow, here(b));
    rule_callout(b, in, kind, true);
}

void light_end(struct builder *b, const struct insn *in, uint32_t slow)
{
    light_end_as(b, in, slow, SITE_EXECUTE);
}

/*
 * The host address of [gla, gla + size), if it is in one page that the TLB has or may have. What
 * else there is to do about the page, the interpreter does.
 */
static uint8_t *in_page(struct vcpu *vcpu, uint32_t gla, uint64_t size, enum mem_access access)
{
    const struct tlb *tlb = (const struct tlb *)(uintptr_t)vcpu->bt.tlb;

    if ((gla & PAGE_MASK) + size > PAGE_SIZE)
        return NULL;
    if (!tlb_hit(tlb, access, gla) &&
        (tlb_device(tlb, access == MEM_WRITE, gla) ||
         mem_fill(vcpu, gla, 1, access) != MEM_FILLED || vcpu->bt.leave))
        return NULL;
    return (uint8_t *)(uintptr_t)(tlb->addend[tlb_index(gla)] + gla);
}

#define RUN_MAX 65536 /* elements; more needs somebody who looks for interrupts on the way */

/* A repeated string instruction. */
struct run {
    unsigned size, seg;
    uint64_t mask;   /* of SI, DI and CX */
    bool flat, until_equal;
};

static struct run run_of(uint32_t argument)
{
    bool flat = !(argument & LIGHT_SEGMENTED);
    unsigned addrsize = flat ? 4 : argument >> 16 & 0xff;

    return (struct run){ argument & 0xff, argument >> 8 & 0xff,
                         addrsize == 2 ? 0xffff : UINT32_MAX, flat,
                         argument & LIGHT_UNTIL_EQUAL };
}

/* Whole elements of 1, 2 or 4 bytes: a division would cost more than what most of them do. */
static uint64_t elements(uint64_t bytes, unsigned size)
{
    return bytes >> (size >> 1);
}

/* Bytes from the element at offset on, in the direction of DF, that are in the segment; gla: its
 * linear address. Less than an element: ask the interpreter. */
static uint64_t room_at(const struct vcpu *vcpu, const struct run *run, uint64_t offset,
                        uint32_t gla, int64_t limit)
{
    uint64_t in_page_left = PAGE_SIZE - (gla & PAGE_MASK), below = gla & PAGE_MASK;
    uint64_t room = run->mask - offset + 1 < in_page_left ? run->mask - offset + 1 : in_page_left;

    if (limit < (int64_t)offset)
        return 0;
    if ((uint64_t)limit - offset + 1 < room)
        room = (uint64_t)limit - offset + 1;
    if (!vcpu->bt.flag_df || room < run->size)
        return room;
    return run->size + (below < offset ? below : offset);
}

/* How many elements at seg:reg lie in one page and in the segment; *gla: of the first. */
static uint64_t reach(const struct vcpu *vcpu, const struct run *run, unsigned seg, unsigned reg,
                      enum mem_access access, uint32_t *gla)
{
    static const struct bt_segment flat = { .limit = { 1ll << 40, 1ll << 40 } };
    const struct bt_segment *s = run->flat ? &flat : &vcpu->bt_seg[seg];
    uint64_t offset = vcpu->gpr[reg] & run->mask;

    *gla = (uint32_t)(s->base + offset);
    return elements(room_at(vcpu, run, offset, *gla, s->limit[access == MEM_WRITE]), run->size);
}

/* The same, count at most; *at: the host address of the first. 0: ask the interpreter. */
static uint64_t span(struct vcpu *vcpu, const struct run *run, unsigned seg, unsigned reg,
                     enum mem_access access, uint64_t count, uint8_t **at)
{
    uint32_t gla;
    uint64_t fit = reach(vcpu, run, seg, reg, access, &gla);

    *at = fit ? in_page(vcpu, gla, 1, access) : NULL;
    return !*at ? 0 : fit < count ? fit : count;
}

/* By count elements in the direction of DF. */
static void advance(struct vcpu *vcpu, const struct run *run, unsigned reg, uint64_t count)
{
    uint64_t *gpr = &vcpu->gpr[reg], by = count * run->size;

    *gpr = (*gpr & ~run->mask) | ((*gpr + (vcpu->bt.flag_df ? -by : by)) & run->mask);
}

static void take(struct vcpu *vcpu, const struct run *run, uint64_t count)
{
    vcpu->gpr[RCX] = (vcpu->gpr[RCX] & ~run->mask) | ((vcpu->gpr[RCX] - count) & run->mask);
}

/*
 * MOVS downwards, for which the host takes 3 cycles a byte. Ends that do not overlap, or are the
 * same, may as well go upwards. Else it goes in steps of 8 bytes, but where the destination lies up
 * to 7 bytes below the source: there what is read has just been written.
 */
static void move_down(unsigned size, uint8_t *to, const uint8_t *from, uint64_t count)
{
    uint64_t left = count * size, below = (uintptr_t)from - (uintptr_t)to, eight;

    if (!below || below + left - 1 >= 2 * left - 1) {
        host_movs(1, false, to + size - left, from + size - left, left);
        return;
    }
    if (below < 8) {
        host_movs(size, true, to, from, count);
        return;
    }
    to += size;
    from += size;
    for (; left >= 8; left -= 8) {
        to -= 8;
        from -= 8;
        __builtin_memcpy(&eight, from, 8);
        __builtin_memcpy(to, &eight, 8);
    }
    for (; left; left--)
        *--to = *--from;
}

/* The first elements of count, as many as lie together, and their registers moved on; returns how
 * many. 0: ask the interpreter. */
typedef uint64_t part_fn(struct vcpu *vcpu, const struct run *run, uint64_t count);

/* What is left when this returns false, the interpreter does, from where it came to. The part looks
 * whether somebody wants the CPU (ports_stay). */
static bool repeat_all(struct vcpu *vcpu, uint32_t argument, part_fn *part)
{
    struct run run = run_of(argument);
    uint64_t count = vcpu->gpr[RCX] & run.mask, done;

    for (; count; count -= done) {
        done = part(vcpu, &run, count);
        if (!done)
            return false;
        take(vcpu, &run, done);
    }
    return true;
}

/* The same of a part that does not look. */
static bool repeat(struct vcpu *vcpu, uint32_t argument, part_fn *part)
{
    return (vcpu->gpr[RCX] & run_of(argument).mask) <= RUN_MAX &&
           repeat_all(vcpu, argument, part);
}

static uint64_t stos(struct vcpu *vcpu, const struct run *run, uint64_t count)
{
    uint8_t *to;

    count = span(vcpu, run, SEG_ES, RDI, MEM_WRITE, count, &to);
    if (!count)
        return 0;
    if (vcpu->bt.flag_df) /* the same upwards, which the host does much faster */
        to -= (count - 1) * run->size;
    host_stos(run->size, false, to, vcpu->gpr[RAX], count);
    advance(vcpu, run, RDI, count);
    return count;
}

static uint64_t movs(struct vcpu *vcpu, const struct run *run, uint64_t count)
{
    uint8_t *to, *from;

    count = span(vcpu, run, run->seg, RSI, MEM_READ, count, &from);
    if (count)
        count = span(vcpu, run, SEG_ES, RDI, MEM_WRITE, count, &to);
    if (!count)
        return 0;
    if (vcpu->bt.flag_df)
        move_down(run->size, to, from, count);
    else
        host_movs(run->size, false, to, from, count);
    advance(vcpu, run, RSI, count);
    advance(vcpu, run, RDI, count);
    return count;
}

/* --- Where one end or both are a device's memory, in runs that it takes at once; and between
 * those, what is memory: a long copy may go over all that there is, and behind it --- */

struct end {
    uint8_t *host; /* NULL: of a device */
    uint64_t gpa;
};

/* As span(), of a device's memory that the TLB knows, too. */
static uint64_t end_at(struct vcpu *vcpu, const struct run *run, unsigned seg, unsigned reg,
                       enum mem_access access, uint64_t count, struct end *end)
{
    const struct tlb *tlb = (const struct tlb *)(uintptr_t)vcpu->bt.tlb;
    uint32_t gla;
    uint64_t fit = reach(vcpu, run, seg, reg, access, &gla);
    const struct tlb_device *device = tlb_device(tlb, access == MEM_WRITE, gla);

    end->host = NULL;
    if (fit && !device) {
        end->host = in_page(vcpu, gla, 1, access);
        device = vcpu->bt.leave ? NULL : tlb_device(tlb, access == MEM_WRITE, gla);
    }
    if (!end->host && !device)
        return 0;
    if (!end->host)
        end->gpa = device->gpa | (gla & PAGE_MASK);
    return fit < count ? fit : count;
}

static uint64_t stos_device(struct vcpu *vcpu, const struct run *run, uint64_t count)
{
    const struct cpu_env *env = vcpu->env;
    struct end to;

    count = ports_stay(vcpu) ? end_at(vcpu, run, SEG_ES, RDI, MEM_WRITE, count, &to) : 0;
    if (!count)
        return 0;
    if (to.host)
        host_stos(run->size, false, to.host, vcpu->gpr[RAX], count);
    else
        count = env->mmio_write_run(env->board, to.gpa, run->size, &vcpu->gpr[RAX], true, count);
    advance(vcpu, run, RDI, count);
    vcpu->stats.mmio_writes += to.host ? 0 : count;
    return count;
}

static uint64_t move_run(struct vcpu *vcpu, const struct run *run, struct end to, struct end from,
                         uint64_t count)
{
    const struct cpu_env *env = vcpu->env;

    if (to.host && from.host) {
        host_movs(run->size, false, to.host, from.host, count);
        return count;
    }
    if (to.host)
        return env->mmio_read_run(env->board, from.gpa, run->size, to.host, count);
    if (from.host)
        return env->mmio_write_run(env->board, to.gpa, run->size, from.host, false, count);
    return env->mmio_copy_run(env->board, to.gpa, from.gpa, run->size, count);
}

static uint64_t movs_device(struct vcpu *vcpu, const struct run *run, uint64_t count)
{
    struct end to = { 0 }, from = { 0 };

    count = ports_stay(vcpu) ? end_at(vcpu, run, run->seg, RSI, MEM_READ, count, &from) : 0;
    if (count)
        count = end_at(vcpu, run, SEG_ES, RDI, MEM_WRITE, count, &to);
    if (!count)
        return 0;
    count = move_run(vcpu, run, to, from, count);
    advance(vcpu, run, RSI, count);
    advance(vcpu, run, RDI, count);
    vcpu->stats.mmio_reads += from.host ? 0 : count;
    vcpu->stats.mmio_writes += to.host ? 0 : count;
    return count;
}

/* Does the TLB know a device's memory at ES:(E)DI? */
static bool to_device(const struct vcpu *vcpu, uint32_t argument)
{
    const struct tlb *tlb = (const struct tlb *)(uintptr_t)vcpu->bt.tlb;
    struct run run = run_of(argument);
    uint32_t gla;

    return tlb->has_devices && reach(vcpu, &run, SEG_ES, RDI, MEM_WRITE, &gla) &&
           tlb_device(tlb, true, gla);
}

/* What is left of it. */
static bool at_device(struct vcpu *vcpu, uint32_t argument, part_fn *part)
{
    return !vcpu->bt.flag_df && !vcpu->bt.leave && vcpu->env->mmio_write_run &&
           ports_begin(vcpu) && ports_end(vcpu, repeat_all(vcpu, argument, part));
}

/* --- Forward in flat segments: page by page, as far as the TLB knows them --- */

/* How many of count elements from gla on lie in one page; 0: the first does not. */
static uint64_t elements_in_page(uint32_t gla, uint64_t count, unsigned size)
{
    uint64_t fit = elements(PAGE_SIZE - (gla & PAGE_MASK), size);

    return count < fit ? count : fit;
}

static bool stos_flat(struct vcpu *vcpu, unsigned size)
{
    uint64_t count = (uint32_t)vcpu->gpr[RCX], done;
    uint8_t *to;

    if (count > RUN_MAX)
        return false;
    for (; count; count -= done) {
        done = elements_in_page((uint32_t)vcpu->gpr[RDI], count, size);
        to = done ? in_page(vcpu, (uint32_t)vcpu->gpr[RDI], done * size, MEM_WRITE) : NULL;
        if (!to)
            return false;
        host_stos(size, false, to, vcpu->gpr[RAX], done);
        vcpu->gpr[RDI] = (uint32_t)(vcpu->gpr[RDI] + done * size);
        vcpu->gpr[RCX] = count - done;
    }
    return true;
}

static bool movs_flat(struct vcpu *vcpu, unsigned size)
{
    uint64_t count = (uint32_t)vcpu->gpr[RCX], done;
    const uint8_t *from;
    uint8_t *to;

    if (count > RUN_MAX)
        return false;
    for (; count; count -= done) {
        done = elements_in_page((uint32_t)vcpu->gpr[RDI], count, size);
        done = elements_in_page((uint32_t)vcpu->gpr[RSI], done, size);
        from = done ? in_page(vcpu, (uint32_t)vcpu->gpr[RSI], done * size, MEM_READ) : NULL;
        to = from ? in_page(vcpu, (uint32_t)vcpu->gpr[RDI], done * size, MEM_WRITE) : NULL;
        if (!to)
            return false;
        host_movs(size, false, to, from, done);
        vcpu->gpr[RDI] = (uint32_t)(vcpu->gpr[RDI] + done * size);
        vcpu->gpr[RSI] = (uint32_t)(vcpu->gpr[RSI] + done * size);
        vcpu->gpr[RCX] = count - done;
    }
    return true;
}

bool bt_rep_stos(struct vcpu *vcpu, uint32_t argument)
{
    bool finished = to_device(vcpu, argument)                        ? false
                    : argument & LIGHT_SEGMENTED || vcpu->bt.flag_df ? repeat(vcpu, argument, stos)
                                                                     : stos_flat(vcpu, argument);

    return finished || at_device(vcpu, argument, stos_device);
}

bool bt_rep_movs(struct vcpu *vcpu, uint32_t argument)
{
    bool finished = to_device(vcpu, argument)                        ? false
                    : argument & LIGHT_SEGMENTED || vcpu->bt.flag_df ? repeat(vcpu, argument, movs)
                                                                     : movs_flat(vcpu, argument);

    return finished || at_device(vcpu, argument, movs_device);
}

static void load(struct vcpu *vcpu, const uint8_t *from, unsigned size)
{
    uint16_t word;
    uint32_t value = *from;

    if (size == 2) {
        __builtin_memcpy(&word, from, 2);
        value = word;
    } else if (size == 4) {
        __builtin_memcpy(&value, from, 4);
    }
    operand_set_register(vcpu, RAX, size, value);
}

/* Of RAM only the last element is ever seen. */
static uint64_t lods(struct vcpu *vcpu, const struct run *run, uint64_t count)
{
    uint8_t *from;

    count = span(vcpu, run, run->seg, RSI, MEM_READ, count, &from);
    if (!count)
        return 0;
    load(vcpu, vcpu->bt.flag_df ? from - (count - 1) * run->size : from + (count - 1) * run->size,
         run->size);
    advance(vcpu, run, RSI, count);
    return count;
}

bool bt_rep_lods(struct vcpu *vcpu, uint32_t argument)
{
    return repeat(vcpu, argument, lods);
}

/* Up to the end of a device's block; 0: the interpreter goes element by element, or somebody has to
 * look before more is done. */
static uint64_t ins(struct vcpu *vcpu, const struct run *run, uint64_t count)
{
    const struct cpu_env *env = vcpu->env;
    uint8_t *to;

    if (vcpu->bt.flag_df || !ports_stay(vcpu))
        return 0;
    count = span(vcpu, run, SEG_ES, RDI, MEM_WRITE, count, &to);
    if (count)
        count = env->port_read_string(env->board, vcpu->gpr[RDX] & 0xffff, run->size, to, count);
    advance(vcpu, run, RDI, count);
    vcpu->stats.port_reads += count;
    return count;
}

static uint64_t outs(struct vcpu *vcpu, const struct run *run, uint64_t count)
{
    const struct cpu_env *env = vcpu->env;
    uint8_t *from;

    if (vcpu->bt.flag_df || !ports_stay(vcpu))
        return 0;
    count = span(vcpu, run, run->seg, RSI, MEM_READ, count, &from);
    if (count)
        count = env->port_write_string(env->board, vcpu->gpr[RDX] & 0xffff, run->size, from,
                                       count);
    advance(vcpu, run, RSI, count);
    vcpu->stats.port_writes += count;
    return count;
}

bool bt_rep_ins(struct vcpu *vcpu, uint32_t argument)
{
    return vcpu->env->port_read_string && ports_begin(vcpu) && ports_stay(vcpu) &&
           ports_end(vcpu, repeat_all(vcpu, argument, ins));
}

bool bt_rep_outs(struct vcpu *vcpu, uint32_t argument)
{
    return vcpu->env->port_write_string && ports_begin(vcpu) && ports_stay(vcpu) &&
           ports_end(vcpu, repeat_all(vcpu, argument, outs));
}

/* --- Comparisons, whose end is not known before. Flags that have not come to it are not the
 * guest's: those of an instruction that faults are what they were, but on AMD's CPUs
 * (cpu/interp_string.c, S1). --- */

/* As part_fn, up to where they end; flags: of the last one. */
typedef uint64_t comparison_fn(struct vcpu *vcpu, const struct run *run, uint64_t count,
                               uint16_t *flags);

static bool ended(const struct run *run, uint16_t flags)
{
    return !!(host_flags_unpack(flags) & EFLAGS_ZF) == run->until_equal;
}

static bool compare(struct vcpu *vcpu, uint32_t argument, comparison_fn *part)
{
    struct run run = run_of(argument);
    uint64_t count = vcpu->gpr[RCX] & run.mask, room = RUN_MAX, done;
    uint16_t flags = (uint16_t)vcpu->bt.light_flags;

    while (count) {
        done = room ? part(vcpu, &run, count < room ? count : room, &flags) : 0;
        if (!done) {
            if (cpuid_is_amd(vcpu->model))
                vcpu->bt.light_flags = flags;
            return false;
        }
        take(vcpu, &run, done);
        room -= done;
        count = ended(&run, flags) ? 0 : count - done;
    }
    vcpu->bt.light_flags = flags;
    return true;
}

static uint64_t scas(struct vcpu *vcpu, const struct run *run, uint64_t count, uint16_t *flags)
{
    uint8_t *at;

    count = span(vcpu, run, SEG_ES, RDI, MEM_READ, count, &at);
    if (!count)
        return 0;
    count -= host_scas(run->size, run->until_equal, vcpu->bt.flag_df, vcpu->gpr[RAX], at, count,
                       flags);
    advance(vcpu, run, RDI, count);
    return count;
}

/* ES:EDI is read first, as the CPUs do. */
static uint64_t cmps(struct vcpu *vcpu, const struct run *run, uint64_t count, uint16_t *flags)
{
    uint8_t *a, *b;

    count = span(vcpu, run, SEG_ES, RDI, MEM_READ, count, &b);
    if (count)
        count = span(vcpu, run, run->seg, RSI, MEM_READ, count, &a);
    if (!count)
        return 0;
    count -= host_cmps(run->size, run->until_equal, vcpu->bt.flag_df, a, b, count, flags);
    advance(vcpu, run, RSI, count);
    advance(vcpu, run, RDI, count);
    return count;
}

bool bt_rep_scas(struct vcpu *vcpu, uint32_t argument)
{
    return compare(vcpu, argument, scas);
}

bool bt_rep_cmps(struct vcpu *vcpu, uint32_t argument)
{
    return compare(vcpu, argument, cmps);
}

/* A trace and the log want to hear of it as of any callout. */
bool bt_invlpg(struct vcpu *vcpu, uint32_t gla)
{
    if (vcpu->events || novt_log.topics || !shadowmm_invlpg_page(translator_of(vcpu)->sm, gla))
        return false;
    descriptors_check(vcpu);
    return true;
}
