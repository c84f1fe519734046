/*
 * Instructions whose opcode is written again and again, as one of a few: their unit compares the
 * bytes with the versions that have been seen, and does the one that it finds. What is none of
 * them is fetched and interpreted, and becomes one while there is room.
 *
 *  V1. Such a unit is one instruction. It holds none of its bytes (no length, smc.c); they are
 *      compared before anything is done, as an instruction is fetched before it writes. C keeps
 *      nothing of them but in sites that only their version's code reaches (unit_insn.live).
 *  V2. Each time a version is done counts. After so many the instruction is translated as any
 *      other, and must be written again to get such a unit again; its versions are still known.
 *
 * Reference: SDM 3, 8.1.3.
 */
#include "translator/live.h"

#include "base/physmem.h"
#include "cpu/feature.h"

#define VERSION_USES 65536 /* V2 */
#define WANTED_MANY 4096

/* Of an instruction that shares its slot with another, it is the other's for some time. */
static struct versions *versions_of(struct translator *t, uint64_t gpa)
{
    struct versions *slot = &t->versions[(gpa ^ gpa >> 8) % VERSION_SITES];

    if (slot->gpa != gpa && (!slot->count || ++slot->wanted == WANTED_MANY))
        *slot = (struct versions){ .gpa = gpa };
    return slot->gpa == gpa ? slot : NULL;
}

static enum cpu_mode mode_of(uint32_t key)
{
    return key & KEY_CODE16 ? MODE_16 : MODE_32;
}

/* FPU and vector code has its state looked for once in a unit (U9). */
static bool allowed(const struct insn *in)
{
    return !(in->info->attr & (A_X87 | A_MMX | A_SSE | A_AVX | A_UNDEFINED)) &&
           !(in->prefixes & (PREFIX_VEX | PREFIX_EVEX));
}

/* All of the bytes are compared by wide loads. */
static bool possible(const struct translator *t, unsigned room)
{
    return t->bmi2 && room >= INSN_MAX;
}

/* What is at gpa is one. False: it is already, or cannot be, or there is no room. */
static bool learn(struct translator *t, uint64_t gpa, uint32_t key, unsigned room)
{
    const uint8_t *code = physmem_ptr(t->vcpu->mem, gpa);
    struct versions *known = versions_of(t, gpa);
    struct insn in;
    int len = decode(&in, code, room < INSN_MAX ? room : INSN_MAX, mode_of(key));

    if (!known || !possible(t, room) || len <= 0 || known->count == VERSIONS || !allowed(&in))
        return false;
    for (unsigned i = 0; i < known->count; i++)
        if (known->len[i] == len && !__builtin_memcmp(known->bytes[i], code, (unsigned)len))
            return false;
    known->len[known->count] = (uint8_t)len;
    __builtin_memcpy(known->bytes[known->count++], code, (unsigned)len);
    return true;
}

bool versions_missed(struct translator *t, const struct unit *unit)
{
    uint64_t left = (uint64_t)unit->limit + 1 - unit->eip;
    unsigned room = (unsigned)(PAGE_SIZE - (unit->gpa & PAGE_MASK));

    return learn(t, unit->gpa, unit->key, left < room ? (unsigned)left : room);
}

bool versions_worn(struct translator *t, const struct unit *unit)
{
    const struct versions *known = versions_of(t, unit->gpa);

    return known && unit->insn[0].live && !known->left;
}

void versions_forget(struct translator *t, uint64_t gpa)
{
    struct versions *known = versions_of(t, gpa);

    if (known)
        known->count = 0;
}

/* --- Emitting ------------------------------------------------------------------------------- */

static uint64_t first_bytes(const uint8_t *bytes, unsigned len)
{
    uint64_t value = 0;

    __builtin_memcpy(&value, bytes, len < 8 ? len : 8);
    return value;
}

/* Where rcx is not value: on to what this returns the field of. r9 is used. */
static uint32_t unless_rcx(struct builder *b, uint64_t value)
{
    EMIT(b, 0x49, 0xb9), emit64(b, -value);    /* mov r9, -value */
    EMIT(b, 0x4a, 0x8d, 0x0c, 0x09);           /* lea rcx, [rcx + r9] */
    EMIT(b, 0xe3, 5, 0xe9);                    /* jrcxz over the jmp */
    emit32(b, 0);
    return here(b) - 4;
}

/* rcx: the first len bytes at r8, up to 8; above them nothing, or below, which it returns by so
 * many bits. A load as wide as the store was can be forwarded from it. */
static unsigned load_first(struct builder *b, unsigned len)
{
    switch (len) {
    case 1: EMIT(b, 0x41, 0x0f, 0xb6, 0x08); return 0; /* movzx ecx, byte [r8] */
    case 2: EMIT(b, 0x41, 0x0f, 0xb7, 0x08); return 0; /* movzx ecx, word [r8] */
    case 4: EMIT(b, 0x41, 0x8b, 0x08); return 0;       /* mov ecx, [r8] */
    }
    EMIT(b, 0x49, 0x8b, 0x08);                         /* mov rcx, [r8] */
    if (len >= 8)
        return 0;
    EMIT(b, 0x41, 0xb9), emit32(b, 64 - 8 * len);      /* mov r9d, bits */
    EMIT(b, 0xc4, 0xe2, 0xb1, 0xf7, 0xc9);             /* shlx rcx, rcx, r9 */
    return 64 - 8 * len;
}

/* The bytes at r8 are these: else on to the fields, of which it returns how many there are. */
static unsigned compare(struct builder *b, const uint8_t *bytes, unsigned len, uint32_t field[2])
{
    unsigned shift = load_first(b, len);

    field[0] = unless_rcx(b, first_bytes(bytes, len) << shift);
    if (len <= 8)
        return 1;
    EMIT(b, 0x49, 0x8b, 0x48, (uint8_t)(len - 8));     /* mov rcx, [r8 + len - 8] */
    field[1] = unless_rcx(b, first_bytes(bytes + len - 8, 8));
    return 2;
}

/* V2: to the field when it has been used so often. r9 is used. */
static uint32_t count_use(struct builder *b, const struct versions *known)
{
    EMIT(b, 0x49, 0xb9), emit64(b, (uint64_t)(uintptr_t)&known->left); /* mov r9, left */
    EMIT(b, 0x41, 0x8b, 0x09);                 /* mov ecx, [r9] */
    EMIT(b, 0x8d, 0x49, 0xff);                 /* lea ecx, [rcx - 1] */
    EMIT(b, 0x41, 0x89, 0x09);                 /* mov [r9], ecx */
    EMIT(b, 0xe3, 2, 0xeb, 5, 0xe9);           /* jrcxz to the jmp rel32; jmp over it */
    emit32(b, 0);
    return here(b) - 4;
}

static void apply(struct builder *b, struct insn *in, const struct adapt_site *site)
{
    feature_limit(b->t->vcpu->model, in);
    b->live = 0;
    b->spots = site->spots;
    b->adapted = b->key & KEY_WINDOW && site->tlb;
    b->counted = 0;
    b->insn[0].counts = b->t->counting;
    count_emit_insns(b);
    b->last = true;
    rule_apply(b, in);
    if (!b->ended)
        exit_direct(b, b->at + in->len);
    b->ended = false;
}

/* One of them: what differs goes on behind it. At the unit's beginning r8 to r11 are free. */
static void version(struct builder *b, const struct adapt_site *site,
                    const struct versions *known, unsigned i, uint32_t worn[])
{
    struct insn in;
    uint32_t field[2];
    unsigned fields;

    if (decode(&in, known->bytes[i], known->len[i], mode_of(b->key)) != known->len[i])
        return; /* another mode's */
    fields = compare(b, known->bytes[i], known->len[i], field);
    worn[i] = count_use(b, known);
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    apply(b, &in, site);
    for (unsigned k = 0; k < fields; k++)
        emit_patch(b, field[k], here(b));
}

void versions_emit(struct builder *b, const struct adapt_site *site, unsigned room)
{
    struct versions *known = versions_of(b->t, b->gpa);
    uint32_t worn[VERSIONS] = { 0 };

    if (!known || !possible(b->t, room))
        return;
    (void)learn(b->t, b->gpa, b->key, room);
    known->left = VERSION_USES;
    b->insn[0].live = true;
    EMIT(b, 0x49, 0x89, 0xcb);                 /* mov r11, rcx */
    EMIT(b, 0x49, 0xb8);                       /* mov r8, the bytes' address */
    emit64(b, (uint64_t)(uintptr_t)physmem_ptr(b->t->vcpu->mem, b->gpa));
    for (unsigned i = 0; i < known->count; i++)
        version(b, site, known, i, worn);
    for (unsigned i = 0; i < known->count; i++)
        if (worn[i])
            emit_patch(b, worn[i], here(b));
    EMIT(b, 0x4c, 0x89, 0xd9);                 /* mov rcx, r11 */
    b->counted = 0;
}
