/* Stops of a debugger: see stops.h. */
#include "cpu/stops.h"

#include <errno.h>
#include <stdlib.h>

#include "cpu/interp.h"
#include "cpu/mem.h"
#include "cpu/paging.h"

static uint32_t linear(const struct vcpu *vcpu)
{
    return (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip);
}

/* --- The set ---------------------------------------------------------------------------- */

int stops_create(struct vcpu *vcpu)
{
    vcpu->stops = calloc(1, sizeof(*vcpu->stops));
    if (!vcpu->stops)
        return -ENOMEM;
    vcpu->stops->passing = STOPS_NOWHERE;
    return 0;
}

void stops_destroy(struct vcpu *vcpu)
{
    free(vcpu->stops);
    vcpu->stops = NULL;
}

/* Index of the first code stop at gla or above. */
static unsigned code_find(const struct stops *s, uint32_t gla)
{
    unsigned low = 0, high = s->code_count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (s->code[middle].gla < gla)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

unsigned stops_code_at(const struct stops *s, uint32_t gla)
{
    unsigned at = code_find(s, gla);

    return at < s->code_count && s->code[at].gla == gla ? s->code[at].kinds : 0;
}

bool stops_code_in(const struct stops *s, uint32_t gla, uint32_t size)
{
    unsigned at = code_find(s, gla);

    return at < s->code_count && s->code[at].gla - gla < size;
}

static int code_add(struct stops *s, enum stop_kind kind, uint32_t gla)
{
    unsigned at = code_find(s, gla);

    if (!stops_code_at(s, gla)) {
        if (s->code_count == STOPS_CODE_MAX)
            return -ENOSPC;
        for (unsigned i = s->code_count++; i > at; i--)
            s->code[i] = s->code[i - 1];
        s->code[at] = (struct stop_code){ gla, 0 };
        s->version++;
    }
    s->code[at].kinds |= (uint8_t)(1u << kind);
    return 0;
}

static void code_remove(struct stops *s, enum stop_kind kind, uint32_t gla)
{
    unsigned at = code_find(s, gla);

    if (!stops_code_at(s, gla))
        return;
    s->code[at].kinds &= (uint8_t)~(1u << kind);
    if (s->code[at].kinds)
        return;
    for (s->code_count--; at < s->code_count; at++)
        s->code[at] = s->code[at + 1];
}

static struct stop_data *data_find(struct stops *s, enum stop_kind kind, uint32_t gla,
                                   uint32_t size)
{
    for (unsigned i = 0; i < s->data_count; i++)
        if (s->data[i].kind == kind && s->data[i].gla == gla && s->data[i].size == size)
            return &s->data[i];
    return NULL;
}

int stops_add(struct vcpu *vcpu, enum stop_kind kind, uint32_t gla, uint32_t size)
{
    struct stops *s = vcpu->stops;

    if (kind <= STOP_CODE_HARD)
        return code_add(s, kind, gla);
    if (!size || size - 1 > UINT32_MAX - gla)
        return -EINVAL;
    if (data_find(s, kind, gla, size))
        return 0;
    if (s->data_count == STOPS_DATA_MAX)
        return -ENOSPC;
    s->data[s->data_count++] = (struct stop_data){ kind, gla, size };
    return 0;
}

int stops_remove(struct vcpu *vcpu, enum stop_kind kind, uint32_t gla, uint32_t size)
{
    struct stops *s = vcpu->stops;
    struct stop_data *data;

    if (kind <= STOP_CODE_HARD) {
        code_remove(s, kind, gla);
        return 0;
    }
    data = data_find(s, kind, gla, size);
    if (data)
        *data = s->data[--s->data_count];
    return 0;
}

void stops_clear(struct vcpu *vcpu)
{
    vcpu->stops->code_count = vcpu->stops->data_count = 0;
}

uint64_t stops_sum(const struct vcpu *vcpu)
{
    const struct stops *s = vcpu->stops;
    uint64_t sum = 0;

    for (unsigned i = 0; s && i < s->data_count; i++) /* in whatever order */
        sum += ((uint64_t)s->data[i].size << 32 | s->data[i].gla) * 0x9e3779b97f4a7c15ull | 1;
    return sum;
}

void stops_apply(struct vcpu *vcpu)
{
    struct stops *s = vcpu->stops;

    s->hit = false;
    if (s->applied == stops_sum(vcpu))
        return;
    s->applied = stops_sum(vcpu);
    mem_mode_changed(vcpu);
}

/* --- Data ------------------------------------------------------------------------------- */

bool stops_data_page(const struct vcpu *vcpu, uint64_t gla)
{
    const struct stops *s = vcpu->stops;
    uint32_t page = (uint32_t)gla >> PAGE_SHIFT;

    for (unsigned i = 0; i < s->data_count; i++)
        if (s->data[i].gla >> PAGE_SHIFT <= page &&
            (s->data[i].gla + s->data[i].size - 1) >> PAGE_SHIFT >= page)
            return true;
    return false;
}

static bool touches(const struct stop_data *data, uint32_t gla, unsigned size, bool write)
{
    if (data->kind != STOP_ACCESS && data->kind != (write ? STOP_WRITE : STOP_READ))
        return false;
    return gla < (uint64_t)data->gla + data->size && data->gla < (uint64_t)gla + size;
}

/* The first of an instruction is what is told. */
void stops_data_access(struct vcpu *vcpu, uint64_t gla, unsigned size, bool write)
{
    struct stops *s = vcpu->stops;

    for (unsigned i = 0; i < s->data_count && !s->hit; i++) {
        const struct stop_data *data = &s->data[i];

        if (!touches(data, (uint32_t)gla, size, write))
            continue;
        s->hit = true;
        s->touched = *data;
        s->touched_gla = gla < data->gla ? data->gla : (uint32_t)gla;
        vcpu_kick(vcpu); /* whoever runs the guest looks after this instruction */
    }
}

/* A trap's instruction is complete. */
void stops_faulted(struct vcpu *vcpu)
{
    if (!vcpu->fault.trap)
        vcpu->stops->hit = false;
}

/* --- Between instructions --------------------------------------------------------------- */

/* RF is set behind an iteration (SDM 3, 17.3.1.1), and clear behind all else that stays. */
static void execute_one(struct vcpu *vcpu)
{
    uint32_t before = linear(vcpu);

    interp_one(vcpu);
    vcpu->stops->repeating = linear(vcpu) == before && vcpu->eflags & EFLAGS_RF;
}

enum stops_found stops_look(struct vcpu *vcpu)
{
    struct stops *s = vcpu->stops;

    if (s->hit)
        return STOPS_DUE;
    if (!s->code_count || vcpu->halted || !stops_code_at(s, linear(vcpu)))
        return STOPS_NONE;
    if (s->passing != linear(vcpu))
        return STOPS_DUE;
    execute_one(vcpu);
    if (!s->repeating)
        s->passing = STOPS_NOWHERE;
    return STOPS_PASSED;
}

enum exit_reason stops_step(struct vcpu *vcpu)
{
    bool awake = vcpu_can_interrupt(vcpu) || (vcpu->nmi_pending && !vcpu->nmi_blocked);

    if (vcpu->halted && !awake)
        return EXIT_HALT;
    if (vcpu->halted)
        interp_step(vcpu);
    else
        execute_one(vcpu);
    return vcpu->stop->end != VM_RUNNING || vcpu->shutdown ? EXIT_STOP : EXIT_DEBUG;
}

static bool user_page(struct vcpu *vcpu, uint32_t gla)
{
    struct walk walk;

    return paging_peek(vcpu, gla, &walk) && walk.user;
}

/* A page with a data stop at its end may be the next one's. */
bool stops_in_user(struct vcpu *vcpu)
{
    const struct stops *s = vcpu->stops;

    for (unsigned i = 0; i < s->code_count; i++)
        if (user_page(vcpu, s->code[i].gla))
            return true;
    for (unsigned i = 0; i < s->data_count; i++)
        for (uint64_t at = s->data[i].gla & ~PAGE_MASK;
             at < (uint64_t)s->data[i].gla + s->data[i].size; at += PAGE_SIZE)
            if (user_page(vcpu, (uint32_t)at))
                return true;
    return false;
}
