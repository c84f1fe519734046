/*
 * REP MOVS of segmented code, forward and inside one page and the segment: the host's own
 * instruction, with host addresses in RSI and RDI. What does not fit, rule_repeat_movs()'s caller
 * has another way for. XLAT's table is reached in the same way. Reference: SDM 2, REP, XLAT.
 */
#include "translator/rules.h"

/* Jumps to what else there is to do. */
struct ways {
    uint32_t field[10];
    unsigned count;
};

static void leave(struct builder *b, struct ways *out)
{
    emit8(b, 0xe9);
    out->field[out->count++] = here(b);
    emit32(b, 0);
}

static void leave_unless_0(struct builder *b, struct ways *out)
{
    EMIT(b, 0xe3, 5);                            /* jrcxz over the jump */
    leave(b, out);
}

static void leave_if_0(struct builder *b, struct ways *out)
{
    EMIT(b, 0xe3, 2, 0xeb, 5);                   /* jrcxz 1f; jmp 2f; 1: jmp out; 2: */
    leave(b, out);
}

static unsigned scale_of(unsigned size)
{
    return size >> 1;
}

static bool narrow(const struct insn *in)
{
    return in->addrsize == 2;
}

/* The guest's count into ecx, from r11. */
static void load_count(struct builder *b, const struct insn *in)
{
    if (narrow(in))
        EMIT(b, 0x41, 0x0f, 0xb7, 0xcb);         /* movzx ecx, r11w */
    else
        EMIT(b, 0x44, 0x89, 0xd9);               /* mov ecx, r11d */
}

/* One end of a repeated instruction, or XLAT's table. */
struct run {
    const struct insn *in;
    unsigned size, seg, reg;
    enum mem_access access;
    unsigned bytes;                              /* 0: as many elements as rcx says */
};

/* The length less one into r9. */
static void length(struct builder *b, const struct run *run)
{
    if (run->bytes) {
        EMIT(b, 0x41, 0xb9), emit32(b, run->bytes - 1); /* mov r9d, bytes - 1 */
        return;
    }
    load_count(b, run->in);                      /* lea r9, [rcx*size - 1] */
    EMIT(b, 0x4c, 0x8d, 0x0c, scale_of(run->size) << 6 | 1 << 3 | 5), emit32(b, UINT32_MAX);
}

/* r8: the first byte's offset; r9: the last byte's. A count of 0 has none. */
static void offsets(struct builder *b, const struct run *run, struct ways *out)
{
    length(b, run);
    if (narrow(run->in)) {
        EMIT(b, 0x44, 0x0f, 0xb7, 0xc0 | run->reg); /* movzx r8d, reg16 */
    } else {
        EMIT(b, 0xc4, 0xc2, 0x9b, 0xf7, 0xc9);   /* shrx rcx, r9, r12: as many pages? */
        leave_unless_0(b, out);
        EMIT(b, 0x41, 0x89, 0xc0 | run->reg << 3); /* mov r8d, reg32 */
    }
    EMIT(b, 0x4f, 0x8d, 0x0c, 0x08);             /* lea r9, [r8 + r9] */
}

/* rcx: not 0 where r9 is beyond the segment's limit. */
static void compare_limit(struct builder *b, const struct run *run)
{
    EMIT(b, 0x4d, 0x89, 0xca, 0x49, 0xf7, 0xd2); /* mov r10, r9; not r10 */
    EMIT(b, 0x49, 0x8b, 0x8f);                   /* mov rcx, [limit] */
    emit32(b, (uint32_t)(offsetof(struct vcpu, bt_seg) + run->seg * sizeof(struct bt_segment) +
                         offsetof(struct bt_segment, limit) + 8 * (run->access == MEM_WRITE)));
    EMIT(b, 0x4a, 0x8d, 0x4c, 0x11, 1);          /* lea rcx, [rcx + r10 + 1] */
    EMIT(b, 0x48, 0x0f, 0xc9, 0x0f, 0xb6, 0xc9); /* bswap rcx; movzx ecx, cl */
}

/* The same where it is beyond what 16-bit addresses can name. */
static void compare_64k(struct builder *b)
{
    EMIT(b, 0xc4, 0xc3, 0x7b, 0xf0, 0xc9, 16);   /* rorx ecx, r9d, 16 */
    EMIT(b, 0x0f, 0xb7, 0xc9);                   /* movzx ecx, cx */
}

/* r8: the first element's host address, where all lie in a page of the TLB. */
static void reach(struct builder *b, const struct run *run, struct ways *out)
{
    offsets(b, run, out);
    if (narrow(run->in)) {
        compare_64k(b);
        leave_unless_0(b, out);
    }
    if (!narrow(run->in) || !rule_is_real(b)) {
        compare_limit(b, run);
        leave_unless_0(b, out);
    }
    EMIT(b, 0x4d, 0x8b, 0x97);                   /* mov r10, [base] */
    emit32(b, (uint32_t)(offsetof(struct vcpu, bt_seg) + run->seg * sizeof(struct bt_segment)));
    EMIT(b, 0x47, 0x8d, 0x04, 0x10);             /* lea r8d, [r8 + r10] */
    EMIT(b, 0x47, 0x8d, 0x0c, 0x11);             /* lea r9d, [r9 + r10] */
    EMIT(b, 0xc4, 0x42, 0x1b, 0xf7, 0xd0);       /* shrx r10d, r8d, r12d */
    EMIT(b, 0xc4, 0x42, 0x1b, 0xf7, 0xc9);       /* shrx r9d, r9d, r12d */
    EMIT(b, 0x45, 0x0f, 0xb6, 0xd2);             /* movzx r10d, r10b */
    EMIT(b, 0x4b, 0x8b, 0x8c, 0xd5), emit32(b, TLB_TAG(run->access)); /* mov rcx, [tag] */
    EMIT(b, 0x4a, 0x8d, 0x0c, 0x09);             /* lea rcx, [rcx + r9] */
    leave_unless_0(b, out);
    EMIT(b, 0x4b, 0x8b, 0x8c, 0xd5), emit32(b, TLB_ADDEND); /* mov rcx, [addend] */
    EMIT(b, 0x4d, 0x8d, 0x04, 0x08);             /* lea r8, [r8 + rcx] */
}

/* MOVS to less than a page behind the source, where the host is slow: strings.S. */
static void leave_overlapping(struct builder *b, struct ways *out)
{
    EMIT(b, 0x49, 0x8b, 0x8f), emit32(b, OFF_SAVED); /* mov rcx, [saved]: the source */
    EMIT(b, 0x48, 0xf7, 0xd1);                   /* not rcx */
    EMIT(b, 0x4a, 0x8d, 0x0c, 0x01);             /* lea rcx, [rcx + r8] */
    EMIT(b, 0xc4, 0xe2, 0x9b, 0xf7, 0xc9);       /* shrx rcx, rcx, r12 */
    leave_if_0(b, out);
}

/* reg = its old value, which is in r9 or r10, and the r8 bytes that have been done. */
static void move_on(struct builder *b, const struct insn *in, unsigned reg)
{
    EMIT(b, 0x4c, 0x89, (reg == RSI ? 0xc8 : 0xd0) | reg); /* mov reg, r9 or r10 */
    if (narrow(in))
        emit8(b, 0x66);
    EMIT(b, 0x42, 0x8d, reg << 3 | 4, reg);      /* lea reg, [reg + r8] */
}

/* What is left of the count, in rcx, becomes the guest's. */
static void store_count(struct builder *b, const struct insn *in)
{
    if (narrow(in))
        EMIT(b, 0x66, 0x41, 0x89, 0xcb, 0x4c, 0x89, 0xd9); /* mov r11w, cx; mov rcx, r11 */
}

/* RSI and RDI have host addresses; the instruction, with the guest's registers back after it. */
static void execute(struct builder *b, const struct insn *in)
{
    EMIT(b, 0xf3, 0xa4);                         /* rep movsb */
    EMIT(b, 0x49, 0xf7, 0xd0);                   /* not r8 */
    EMIT(b, 0x4e, 0x8d, 0x44, 0x07, 1);          /* lea r8, [rdi + r8 + 1]: how many bytes */
    move_on(b, in, RSI);
    move_on(b, in, RDI);
    store_count(b, in);
}

/* Goes on where the rel32 leads that is returned; the other ways begin here. */
static uint32_t finish(struct builder *b, const struct ways *out)
{
    uint32_t done;

    emit8(b, 0xe9);
    done = here(b);
    emit32(b, 0);
    for (unsigned i = 0; i < out->count; i++)
        emit_patch(b, out->field[i], here(b));
    EMIT(b, 0x4c, 0x89, 0xd9);                   /* mov rcx, r11 */
    return done;
}

uint32_t rule_repeat_movs(struct builder *b, const struct insn *in)
{
    unsigned size = in->opcode & 1 ? in->opsize : 1;
    struct run from = { in, size, in->seg, RSI, MEM_READ, 0 };
    struct run to = { in, size, SEG_ES, RDI, MEM_WRITE, 0 };
    struct ways out = { .count = 0 };

    EMIT(b, 0x49, 0x89, 0xcb);                   /* mov r11, rcx */
    EMIT(b, 0x41, 0x0f, 0xb6, 0x8f), emit32(b, OFF_FLAG_DF + 1); /* movzx ecx, byte [DF] */
    leave_unless_0(b, &out);
    reach(b, &from, &out);
    EMIT(b, 0x4d, 0x89, 0x87), emit32(b, OFF_SAVED); /* mov [saved], r8 */
    reach(b, &to, &out);
    leave_overlapping(b, &out);
    load_count(b, in);
    if (size > 1)                                /* lea ecx, [rcx*size] */
        EMIT(b, 0x8d, 0x0c, scale_of(size) << 6 | 1 << 3 | 5), emit32(b, 0);
    EMIT(b, 0x49, 0x89, 0xfa, 0x4c, 0x89, 0xc7); /* mov r10, rdi; mov rdi, r8 */
    EMIT(b, 0x49, 0x89, 0xf1);                   /* mov r9, rsi */
    EMIT(b, 0x49, 0x8b, 0xb7), emit32(b, OFF_SAVED); /* mov rsi, [saved] */
    execute(b, in);
    return finish(b, &out);
}

/* The table's place, where nothing depends on AL: two that follow each other wait only for the
 * byte. */
static uint32_t xlat_inside(struct builder *b, const struct insn *in)
{
    struct run table = { in, 1, in->seg, RBX, MEM_READ, 256 };
    struct ways out = { .count = 0 };

    EMIT(b, 0x49, 0x89, 0xcb);                   /* mov r11, rcx */
    reach(b, &table, &out);
    EMIT(b, 0x4c, 0x89, 0xd9);                   /* mov rcx, r11 */
    EMIT(b, 0x44, 0x0f, 0xb6, 0xc8);             /* movzx r9d, al */
    EMIT(b, 0x43, 0x8a, 0x04, 0x08);             /* mov al, [r8 + r9] */
    return finish(b, &out);
}

bool rule_xlat(struct builder *b, const struct insn *in)
{
    uint32_t done = 0, retry;

    if (in->prefixes & PREFIX_LOCK || !access_possible(b, in, MEM_READ))
        return false;
    if (b->key & KEY_SEG)
        done = xlat_inside(b, in);
    retry = here(b);
    EMIT(b, 0x44, 0x0f, 0xb6, 0xc0);             /* movzx r8d, al */
    EMIT(b, 0x46, 0x8d, 0x04, 0x03);             /* lea r8d, [rbx + r8] */
    access_r8(b, in, MEM_READ, 1, retry);
    access_load_sized_at(b, RAX, 1);
    if (done)
        emit_patch(b, done, here(b));
    return true;
}
