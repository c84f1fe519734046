/* What the translator makes of guest code: see listing.h. */
#include "translator/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "translator/unit.h"

enum {
    HLT = 0xf4,
    RAM_SIZE = 1 << 20,
    CODE = 0x2000, /* where the bytes are put, a page; the next one stays empty */
};

struct listing {
    struct physmem mem;
    struct vm_stop stop;
    struct vcpu *vcpu;
};

static const uint32_t keys[LISTING_FORMS] = {
    [LISTING_KERNEL_TLB] = KEY_OK | KEY_VECTORS | KEY_TSC,
    [LISTING_KERNEL_WINDOW] = KEY_OK | KEY_VECTORS | KEY_TSC | KEY_WINDOW,
    [LISTING_USER_WINDOW] = KEY_OK | KEY_VECTORS | KEY_TSC | KEY_WINDOW | KEY_USER | KEY_FS |
                            KEY_GS,
};

static void make_flat(struct vcpu *vcpu)
{
    const uint32_t data = SEG_S | SEG_P | SEG_WRITABLE | SEG_ACCESSED | SEG_DB | SEG_G;
    const uint32_t code = SEG_S | SEG_P | SEG_CODE | SEG_READABLE | SEG_ACCESSED | SEG_DB | SEG_G;

    for (unsigned i = 0; i < SEG_COUNT; i++)
        vcpu->seg[i] = (struct segment){ 0x10, i == SEG_CS ? code : data, UINT32_MAX, 0 };
    vcpu->cr0 |= CR0_PE;
    mem_mode_changed(vcpu);
}

struct listing *listing_create(const char **why)
{
    struct engine_request request = { .user = USER_WINDOW };
    struct listing *listing = calloc(1, sizeof(*listing));

    *why = "no host memory";
    if (!listing)
        return NULL;
    listing->mem.fd = -1;
    listing->vcpu = vcpu_create();
    if (!listing->vcpu || physmem_init(&listing->mem, RAM_SIZE))
        goto fail;
    listing->vcpu->mem = &listing->mem;
    listing->vcpu->stop = &listing->stop;
    if (mem_create(listing->vcpu))
        goto fail;
    vcpu_reset(listing->vcpu);
    make_flat(listing->vcpu);
    listing->vcpu->engine_state = engine_translator.create(listing->vcpu, &request);
    if (listing->vcpu->engine_state)
        return listing;
    *why = request.error;
fail:
    listing_destroy(listing);
    return NULL;
}

void listing_destroy(struct listing *listing)
{
    if (!listing)
        return;
    if (listing->vcpu && listing->vcpu->engine_state)
        engine_translator.destroy(listing->vcpu);
    if (listing->vcpu) {
        mem_destroy(listing->vcpu);
        vcpu_destroy(listing->vcpu);
    }
    physmem_destroy(&listing->mem);
    free(listing);
}

/* A call of the interpreter begins with the address of its site (rule_callout). */
static bool begins_with_call(const struct listing_insn *insn)
{
    return insn->host_len > 2 && insn->host[0] == 0x49 && insn->host[1] == 0xb9;
}

static enum listing_class class_of(const struct listing_insn *insn)
{
    if (begins_with_call(insn))
        return LISTING_CALLED;
    if (insn->in.info->attr & (A_BRANCH | A_FAR))
        return LISTING_TRANSFER;
    return insn->host_len == insn->in.len && !memcmp(insn->host, insn->in.bytes, insn->in.len)
               ? LISTING_IDENTICAL : LISTING_INLINE;
}

/* The instructions of the first size bytes: HLT is behind them, to end the unit. */
static void take(const struct unit *unit, const uint8_t *code, uint32_t size,
                 struct listing_unit *out)
{
    const unsigned room = sizeof(out->insn) / sizeof(*out->insn);

    out->count = 0;
    for (unsigned i = 0; i < unit->insn_count && i < room && unit->insn[i].guest < size; i++) {
        const struct unit_insn *at = &unit->insn[i];
        struct listing_insn *insn = &out->insn[out->count++];

        *insn = (struct listing_insn){ .eip = unit->eip + at->guest,
                                       .host = unit->host + at->host,
                                       .host_len = (uint32_t)(at[1].host - at->host) };
        BUG_ON(decode(&insn->in, code + at->guest, INSN_MAX, MODE_32) <= 0);
        insn->class = class_of(insn);
    }
    out->tail = unit->host + unit->insn[unit->insn_count].host;
    out->tail_len = unit->host_len - unit->insn[unit->insn_count].host;
}

bool listing_unit(struct listing *listing, enum listing_form form, uint32_t eip,
                  const uint8_t *code, uint32_t size, struct listing_unit *out)
{
    struct translator *t = translator_of(listing->vcpu);
    uint32_t offset = eip & PAGE_MASK, room = (uint32_t)PAGE_SIZE - offset;
    uint8_t *page = physmem_ptr(&listing->mem, CODE);
    uint8_t bytes[INSN_MAX] = { 0 };
    struct unit *unit;
    struct insn first;

    memcpy(bytes, code, size < INSN_MAX ? size : INSN_MAX);
    if (decode(&first, bytes, INSN_MAX, MODE_32) <= 0 || first.len > size)
        return false;
    memset(page, HLT, 2 * PAGE_SIZE);
    memcpy(page + offset, code, size < room ? size : room);
    unit_drop_all(t);
    unit_bury(t);
    if (first.len > room) {
        out->count = 1;
        out->tail_len = 0;
        out->insn[0] = (struct listing_insn){ .in = first, .eip = eip, .class = LISTING_CALLED };
        return true;
    }
    unit = translate_unit(t, eip, CODE + offset, page + offset, keys[form]);
    take(unit, page + offset, size, out);
    return true;
}
