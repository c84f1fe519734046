/*
 * One virtual x86 CPU: its architectural state.
 *
 * V1. This is canonical whenever no engine is running. Engines keep registers and flags elsewhere
 *     only between entering and leaving run().
 * V2. rip is the offset in CS (not linear); for 16- and 32-bit code its upper half is 0.
 * V3. The upper halves of gpr[] are 0 while the guest is not in 64-bit mode.
 * V4. eflags bit 1 is set; bits 3, 5, 15 and above 21 are clear.
 * V5. cpl equals SS.DPL in protected mode, 3 in virtual-8086 mode and 0 in real mode.
 *
 * The struct is open because translated code addresses its fields.
 */
#ifndef CPU_VCPU_H
#define CPU_VCPU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/kill.h"
#include "base/physmem.h"
#include "cpu/env.h"
#include "cpu/x86.h"

struct tlb;
struct cpu_model;
struct events;
struct jump_table;
struct mmu_ops;
struct spent;
struct stops;
struct transfers;

/* A segment register with its hidden part. limit in bytes, already scaled by G. */
struct segment {
    uint16_t selector;
    uint32_t attr; /* SEG_ bits */
    uint32_t limit;
    uint64_t base; /* gla */
};

struct table_register { /* GDTR, IDTR */
    uint64_t base;
    uint16_t limit;
};

/* An exception that an instruction raised and that has not been delivered yet. */
struct fault {
    uint8_t vector;
    bool has_error;
    bool trap;      /* #DB, #BP, #OF as traps: the saved rip is the next instruction's */
    bool soft;      /* INT n, INT3, INTO: the gate's DPL is checked */
    bool no_rf;     /* an instruction breakpoint's #DB: the frame's RF stays clear */
    uint32_t error;
    uint64_t cr2;   /* for #PF, the gla */
};

struct vcpu_stats {
    /* Instructions begun, each counted once: by the interpreter (callouts too), by translated code
     * of either access form. The latter two and the exits are counted only for vcpu.spent. */
    uint64_t insns_interp, insns_tlb, insns_window;
    uint64_t exits_direct, exits_looked_up; /* units left for a unit of the page, for any */
    uint64_t faults[32];      /* exceptions delivered, by vector */
    uint64_t interrupts;      /* external interrupts delivered */
    uint64_t soft_interrupts;
    uint64_t port_reads, port_writes, mmio_reads, mmio_writes;
    uint64_t halts;
    uint64_t tlb_fills, tlb_flushes, cr3_writes;
};

#define FPU_AREA_SIZE 4096 /* XSAVE area, standard format; AVX-512 needs 2696 bytes */

/*
 * What translated code keeps while it runs, at fixed offsets (translator/offsets.h); meaningless to
 * everybody else. IF and DF live here, each alone as in EFLAGS.
 */
struct bt_registers {
    uint64_t host_rsp;     /* the monitor's stack */
    /* r14: of the current view and privilege; poisoned to stop at the next poll */
    uint64_t jump_table;
    uint64_t tlb;          /* r13 */
    uint64_t scratch;      /* a value that outlives a memory probe */
    uint64_t window;       /* gs base, as the host's register has it */
    uint32_t flag_if, flag_df;
    uint32_t fault_gla;    /* a fault in the window: where, */
    uint32_t system_flags; /* EFLAGS without the arithmetic flags, IF and DF */
    uint64_t host_rip;     /* of the fault: which host instruction */
    uint64_t saved[2];     /* of a light call: where it goes on */
    /* FS, GS: the TLB, or one that never hits while the segment is not whole */
    uint64_t seg_tlb[2];
    uint32_t x87_data;     /* the guest's offset of the last x87 operand reached through the TLB, */
    uint8_t leave;         /* a callout changed something: look before going on in the unit */
    uint8_t fpu_loaded;    /* the guest's FPU and vector state is in the host's registers */
    bool fault_write;      /* the fault in the window: was it a write? */
    uint8_t x87_seg;       /* ... and its segment, in segmented code */
    uint64_t light_flags;  /* during a light call: the host's flags, as switch.S says */
    int32_t step[2];       /* of string instructions: 1 while DF is clear, -1 */
    uint64_t jumps;        /* what jump_table is or was before it was poisoned */
    uint64_t jump_shift;   /* of the jump tables: shadowmm.h */
};

/*
 * What translated code keeps of a segment register while its mode is segmented: the limit that a
 * read, a write must not go beyond, -1 where there is none, more than 4 GiB for all of it.
 */
struct bt_segment {
    uint64_t base;
    int64_t limit[2];
};

#define BT_DESCRIPTORS 256

/*
 * What a selector means for a use, as long as its table holds the same bytes: translated code looks
 * at them each time (translator/descriptors.c). By a hash of both; [n][i] is word n of entry i.
 */
struct bt_descriptors {
    uint64_t tag[BT_DESCRIPTORS];     /* minus use << 16 | selector; 0: no entry */
    const void *at[BT_DESCRIPTORS];   /* where the descriptor is, in host memory */
    uint64_t bytes[BT_DESCRIPTORS];   /* minus what it is */
    const void *code_at[BT_DESCRIPTORS]; /* the same of a gate's code segment */
    uint64_t code_bytes[BT_DESCRIPTORS];
    uint64_t offset[BT_DESCRIPTORS];     /* a gate's */
    uint64_t segment[3][BT_DESCRIPTORS]; /* struct segment: selector and attr; limit; base */
    uint64_t limit[2][BT_DESCRIPTORS];   /* struct bt_segment's */
    uint64_t mode[BT_DESCRIPTORS];       /* what a data segment brings to the mode's key */
};

/* What translated code runs on in a mode, as long as bt_crossings holds (translator/crossing.c). */
struct bt_mode {
    const struct jump_table *jumps; /* NULL: not known */
    const struct tlb *tlb;
    uint64_t window;              /* gs base; 0: it does not matter */
    uint32_t key;                 /* what jumps has to have code for */
};

#define BT_CROSSING_READS 4       /* gate, code segment, SS0:ESP0, stack segment */

/* Where INT of a vector has led from virtual-8086 mode to flat code of CPL 0. */
struct bt_crossing {
    uint64_t tag;                 /* the vector + 1; 0: nothing is known */
    const void *at[BT_CROSSING_READS]; /* what it read, in host memory, */
    uint64_t bytes[BT_CROSSING_READS]; /* and what that was */
    const uint64_t *stack_tag;    /* the TLB's, of the frame's page, */
    uint64_t stack_page;          /* and what it has to be; */
    uint8_t *frame;               /* then the frame is there in host memory */
    struct bt_mode mode;
    uint64_t place;               /* unit_place() of the gate's offset, */
    const uint64_t *slot;         /* and its first one in mode.jumps */
    struct segment cs, ss;
    uint32_t esp, flag_if;        /* of IF remains */
};

#define BT_CROSSINGS 16           /* by the vector */
#define BT_MODES 128               /* by some of the key's bits */

struct bt_crossings {
    struct bt_crossing in[BT_CROSSINGS];
    struct bt_mode out;           /* virtual-8086 mode with IOPL 3 */
    bool reach;                   /* bt_seg has virtual-8086 mode's limits */
    struct bt_mode mode[BT_MODES]; /* those that segmented code has gone on to */
};

struct vcpu {
    uint64_t gpr[GPR_COUNT];
    uint64_t rip;
    uint32_t eflags;
    uint8_t cpl;
    uint8_t padding[3];
    struct bt_registers bt;

    struct segment seg[SEG_COUNT];
    struct segment ldtr, tr;
    struct table_register gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, cr8, xcr0, efer;
    uint64_t dr[8];
    uint64_t pdpte[4]; /* PAE: loaded when CR3 is written (SDM 3, 4.4.1) */

    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux, pat, apic_base, misc_enable;
    uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_var[16];
    uint64_t tsc_offset; /* guest TSC = host TSC + tsc_offset */

    /* The selectors that user code had when it last ran on the bare CPU, which shows it others
       (segment_meant); 0: it never did. */
    uint16_t bare[SEG_COUNT];

    /* Interrupts are not taken before the next instruction: after STI, MOV SS, POP SS. */
    bool intr_shadow;
    bool debug_shadow;  /* MOV SS, POP SS: #DB is held back as well */
    bool halted;        /* in HLT */
    bool nmi_pending, nmi_blocked;
    bool a20_masked;    /* A20 gate closed: physical address bit 20 reads as 0 */
    bool shutdown;      /* triple fault */

    /* Written by the board (same thread): the interrupt controller's INTR pin. */
    bool intr_line;
    /* Written by anyone, also from a signal handler: the engine must return soon. */
    volatile bool exit_request;
    bool sample_soon; /* the engine would look at the guest in a millisecond: kick it then */

    struct fault fault;        /* valid when a step returned STEP_FAULT */
    struct fault first_fault;  /* for the report of a double or triple fault */
    uint64_t first_fault_rip;

    /* x87, MMX, SSE, AVX: an XSAVE image in the standard format, cpu/fpu.c. */
    uint8_t fpu[FPU_AREA_SIZE] __attribute__((aligned(64)));

    struct bt_segment bt_seg[SEG_COUNT];

    struct fpu_unit *fpu_unit; /* cpu/fpu_thunk.h: the host's FPU and copies of instructions */

    /* Memory: cpu/mem.c. tlb[0] holds translations for CPL 0-2, tlb[1] for CPL 3. */
    struct tlb *tlb[2];
    const struct mmu_ops *mmu;
    void *mmu_arg;
    struct physmem *mem;

    const struct cpu_env *env;
    const struct cpu_model *model; /* CPUID and MSRs, cpu/cpuid.h */
    struct vm_stop *stop;
    void *engine_state;            /* the running engine's own */
    struct decode_cache *decode_cache; /* cpu/interp.c */
    uint32_t debug_pending;        /* DR6 bits of the #DB trap due after this instruction */
    struct vcpu_stats stats;
    uint64_t tsc_paused;           /* how far the counter stood still; it is in tsc_offset */
    struct stops *stops; /* a debugger's (cpu/stops.h); NULL: there is none */
    struct transfers *transfers; /* cpu/transfers.h; NULL: nobody keeps them */
    struct spent *spent; /* NULL, or set before the engine is created: -stats */
    struct events *events; /* the same: -trace; told by cpu/event.h */
    uint8_t sysenter_ways; /* SYSENTER_ bits: how CPL 3 has executed it since reset */
    bool syscall_lost; /* it has executed SYSCALL and nobody knows where (direct/sandbox.h) */
    struct bt_descriptors bt_descriptors;
    struct bt_crossings bt_crossings;
};

/* With ESP in EBP, as Linux wants it; otherwise. */
enum { SYSENTER_AT_ESP = 1, SYSENTER_ELSEWHERE = 2 };

static inline void vcpu_note_sysenter(struct vcpu *vcpu)
{
    vcpu->sysenter_ways |= (uint32_t)vcpu->gpr[RBP] == (uint32_t)vcpu->gpr[RSP]
                               ? SYSENTER_AT_ESP : SYSENTER_ELSEWHERE;
}

/* Allocated (aligned) with everything cleared, or NULL. The caller then sets mem, env, model and
 * stop, calls mem_create() (cpu/mem.h) and vcpu_reset(). */
struct vcpu *vcpu_create(void);
void vcpu_destroy(struct vcpu *vcpu);

/* The state after RESET#, SDM 3, table 9-1 (rip f000:fff0, real mode). */
void vcpu_reset(struct vcpu *vcpu);

/* Make a running engine return to its caller soon; async-signal-safe. */
static inline void vcpu_kick(struct vcpu *vcpu)
{
    vcpu->exit_request = true;
}

static inline bool vcpu_protected(const struct vcpu *vcpu)
{
    return vcpu->cr0 & CR0_PE;
}

static inline bool vcpu_v86(const struct vcpu *vcpu)
{
    return vcpu->eflags & EFLAGS_VM;
}

static inline bool vcpu_code32(const struct vcpu *vcpu)
{
    return vcpu->seg[SEG_CS].attr & SEG_DB;
}

static inline unsigned vcpu_iopl(const struct vcpu *vcpu)
{
    return vcpu->eflags >> 12 & 3;
}

/* An interrupt is due and the guest can take it now. */
static inline bool vcpu_can_interrupt(const struct vcpu *vcpu)
{
    return vcpu->intr_line && vcpu->eflags & EFLAGS_IF && !vcpu->intr_shadow;
}

#endif
