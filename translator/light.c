/* Light calls: emitting them, and the C behind those for strings. */
#include "translator/emit.h"

#include "cpu/tlb.h"

uint32_t light_call(struct builder *b, light_fn *fn)
{
    uint32_t slow;

    EMIT(b, 0x49, 0xb9);                       /* mov r9, fn */
    emit64(b, (uint64_t)(uintptr_t)fn);
    EMIT(b, 0x4c, 0x8d, 0x15);                 /* lea r10, [slow] */
    slow = here(b);
    emit32(b, 0);
    EMIT(b, 0x4c, 0x8d, 0x1d);                 /* lea r11, [behind the jump] */
    emit32(b, 5);
    emit_jump_thunk(b, THUNK_LIGHT);
    return slow;
}

void light_end(struct builder *b, const struct insn *in, uint32_t slow)
{
    EMIT(b, 0xeb, 15);                         /* over the callout */
    emit_patch(b, slow, here(b));
    rule_callout(b, in, SITE_EXECUTE, true);
}

/* The host address of [gla, gla + size), if it is in one page that the TLB has. */
static uint8_t *in_page(const struct vcpu *vcpu, uint32_t gla, uint64_t size,
                        enum mem_access access)
{
    const struct tlb *tlb = (const struct tlb *)(uintptr_t)vcpu->bt.tlb;

    if ((gla & PAGE_MASK) + size > PAGE_SIZE || !tlb_hit(tlb, access, gla))
        return NULL;
    return (uint8_t *)(uintptr_t)(tlb->addend[tlb_index(gla)] + gla);
}

bool bt_rep_stos(struct vcpu *vcpu, uint32_t size)
{
    uint64_t count = vcpu->gpr[RCX], value = vcpu->gpr[RAX];
    uint8_t *to;

    if (vcpu->bt.flag_df || count > PAGE_SIZE)
        return false;
    to = in_page(vcpu, (uint32_t)vcpu->gpr[RDI], count * size, MEM_WRITE);
    if (!to)
        return false;
    vcpu->gpr[RDI] = (uint32_t)(vcpu->gpr[RDI] + count * size);
    vcpu->gpr[RCX] = 0;
    if (size == 4)
        __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    else if (size == 2)
        __asm__ volatile("rep stosw" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    else
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
    return true;
}

bool bt_rep_movs(struct vcpu *vcpu, uint32_t size)
{
    uint64_t count = vcpu->gpr[RCX], bytes = count * size;
    const uint8_t *from;
    uint8_t *to;

    if (vcpu->bt.flag_df || count > PAGE_SIZE)
        return false;
    to = in_page(vcpu, (uint32_t)vcpu->gpr[RDI], bytes, MEM_WRITE);
    from = in_page(vcpu, (uint32_t)vcpu->gpr[RSI], bytes, MEM_READ);
    if (!to || !from)
        return false;
    vcpu->gpr[RDI] = (uint32_t)(vcpu->gpr[RDI] + bytes);
    vcpu->gpr[RSI] = (uint32_t)(vcpu->gpr[RSI] + bytes);
    vcpu->gpr[RCX] = 0;
    if (size == 4)
        __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    else if (size == 2)
        __asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    else
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return true;
}
