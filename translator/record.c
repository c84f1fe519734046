/*
 * A unit's prologue where transfers are kept (cpu/transfers.h, all): it tells that the unit has
 * begun. Code that is translated otherwise has none of this.
 */
#include "cpu/transfers.h"
#include "translator/emit.h"

#define ENTRY offsetof(struct transfers, entry)

_Static_assert(!offsetof(struct transfers, next) && sizeof(((struct transfers *)0)->next) == 1 &&
               TRANSFERS_KEPT == 256, "next is a byte that wraps by itself");
_Static_assert(sizeof(((struct transfers *)0)->entry[0]) == 8 && ENTRY + 4 < 128,
               "addressed as below");

/* At a unit's beginning r8 to r11 are free, and the guest's flags are in the host's. */
void record_emit(struct builder *b)
{
    const struct transfers *transfers = b->t->vcpu->transfers;

    if (!transfers || !transfers->all)
        return;
    EMIT(b, 0x49, 0xb9);                               /* mov r9, transfers */
    emit64(b, (uint64_t)(uintptr_t)transfers);
    EMIT(b, 0x45, 0x0f, 0xb6, 0x01);                   /* movzx r8d, byte [r9] */
    EMIT(b, 0x43, 0xc7, 0x44, 0xc1, (uint8_t)ENTRY);   /* mov dword [r9 + r8*8 + to], address */
    emit32(b, b->cs_base + b->eip);
    EMIT(b, 0x43, 0xc7, 0x44, 0xc1, (uint8_t)(ENTRY + 4)); /* mov dword [... + what], unit */
    emit32(b, TRANSFER_UNIT | (b->key & KEY_CODE16 ? TRANSFER_CODE16 : 0));
    EMIT(b, 0x45, 0x8d, 0x40, 0x01);                   /* lea r8d, [r8 + 1] */
    EMIT(b, 0x45, 0x88, 0x01);                         /* mov [r9], r8b */
}
