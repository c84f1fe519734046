/* Offsets into struct vcpu for switch.S and the emitter; translator/engine.c asserts them. */
#ifndef TRANSLATOR_OFFSETS_H
#define TRANSLATOR_OFFSETS_H

#define OFF_GPR 0
#define OFF_RIP 128
#define OFF_EFLAGS 136
#define OFF_HOST_RSP 144
#define OFF_JUMP_TABLE 152
#define OFF_TLB 160
#define OFF_SCRATCH 168
#define OFF_WINDOW 176
#define OFF_FLAG_IF 184
#define OFF_FLAG_DF 188
#define OFF_SYSTEM_FLAGS 196
#define OFF_SAVED 208
#define OFF_SEG_TLB 224
#define OFF_X87_DATA 240
#define OFF_FPU_LOADED 245
#define OFF_LIGHT_FLAGS 248
#define OFF_JUMPS 264
#define OFF_SEG 280 /* struct segment[]: selector and attr, limit, base */
#define OFF_CS_BASE 320
#define OFF_BT_SEG 5184 /* struct bt_segment[]: base, limit of reads, of writes */

#define OFF_CPL 140
#define OFF_INTR_SHADOW 996
#define OFF_DEBUG_SHADOW 997
#define OFF_NMI_PENDING 999
#define OFF_NMI_BLOCKED 1000
#define OFF_INTR_LINE 1003
#define OFF_EXIT_REQUEST 1004
#define OFF_SOFT_INTERRUPTS 5728

/* struct bt_crossings; of each struct bt_crossing, of a struct bt_mode */
#define OFF_CROSSINGS 30424
#define OFF_CROSSING_OUT 33624
#define OFF_CROSSING_REACH 33656
#define OFF_MODES 33664
#define CROSSING_SIZE 200
#define CROSSING_AT 8
#define CROSSING_BYTES 40
#define CROSSING_STACK_TAG 72
#define CROSSING_STACK_PAGE 80
#define CROSSING_FRAME 88
#define CROSSING_MODE 96
#define CROSSING_PLACE 128
#define CROSSING_SLOT 136
#define CROSSING_CS 144
#define CROSSING_SS 168
#define CROSSING_ESP 192
#define CROSSING_FLAG_IF 196
#define MODE_TLB 8
#define MODE_WINDOW 16
#define MODE_KEY 24
#define MODE_SIZE 32

/* Bits of a mode's key (unit.h): KEY_SEG; what flat code has none of; what it need not have none of
 * if its segments are flat; those that struct bt_mode is known by. */
#define MODE_SEGMENTED 0x200
#define MODE_BENT 0x1bc00
#define MODE_SEGMENTS 0x220200
#define MODE_INDEX 0x22bc00
#define MODE_SHADOW 0x80000000 /* beside a key: SS has been loaded */

/* Which bits of a segment's attributes, and what of them: data, flat code */
#define DATA_BITS 0x1009e
#define DATA_ALL 0x92
#define CODE_BITS 0x609a
#define CODE_FLAT 0x409a

/* bit 1, the arithmetic flags, IF, DF, RF and VM: all that bt.system_flags leaves out of EFLAGS */
#define UNIT_FLAGS 0x30ed7

/* struct jump_table (shadowmm.h): tags of first places, of second places, then host addresses. */
#define JUMP_SECOND (65536 * 8)
#define JUMP_HOST (2 * JUMP_SECOND)
#define JUMP_KEY (4 * JUMP_SECOND)

/* struct tlb (cpu/tlb.h) */
#define TLB_TAG(access) ((access) * 256 * 8)
#define TLB_ADDEND (3 * 256 * 8)
#define TLB_LINE_TAG (4 * 256 * 8)
#define TLB_LINE_ADDEND (5 * 256 * 8)

#endif
