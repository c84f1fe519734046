/*
 * The step loop: fetch near limits and page ends (KNOWN-FAULTS rows 5, 6, 8), single step and
 * breakpoints (row 1), interrupt shadows, NMI, HLT (row 20), port strings (row 12).
 */
#include "cpu/debug.h"
#include "tests/unit/cpu_machine.h"

/* --- Fetch ---------------------------------------------------------------- */

/* Instructions of 1 to 15 bytes: CLI behind DS prefixes, all of which are legal. */
static void put_cli(struct machine *m, uint32_t at, unsigned len)
{
    memset(m->pm.ram + at, 0x3e, len - 1);
    m->pm.ram[at + len - 1] = 0xfa;
}

static void test_limit(struct machine *m)
{
    struct vcpu *v = m->vcpu;
    const uint32_t limit = 0x1fff;

    for (unsigned len = 1; len <= 15; len++)
        for (unsigned back = 0; back < 15; back++) {
            m_protected(m, 0);
            v->seg[SEG_CS].base = 0x50000 + len; /* a CS base that is not page aligned (row 7) */
            v->seg[SEG_CS].limit = limit;
            v->rip = limit - back;
            put_cli(m, (uint32_t)v->seg[SEG_CS].base + limit - back, len);
            interp_step(v);
            if (len <= back + 1) {
                CHECK_EQ(v->rip, limit - back + len);
                continue;
            }
            CHECK_EQ(m_vector(m), VEC_GP);
            CHECK_EQ(m_frame(m, 0, 4), 0);
            CHECK_EQ(m_frame(m, 1, 4), limit - back);
        }
    m_protected(m, 0); /* 16 bytes */
    put_cli(m, AT_CODE, 16);
    interp_step(v);
    CHECK_EQ(m_vector(m), VEC_GP);
}

static void map_all(struct machine *m)
{
    m_put(m, 0x100000, 0x101007, 4);
    for (unsigned i = 0; i < 512; i++)
        m_put(m, 0x101000 + 4 * i, i << 12 | 7, 4);
    m->vcpu->cr3 = 0x100000;
    m->vcpu->cr0 |= CR0_PG | CR0_WP;
    mem_mode_changed(m->vcpu);
}

static void test_page_end(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    for (unsigned len = 1; len <= 15; len++)
        for (unsigned back = 1; back <= 16; back++)
            for (unsigned present = 0; present < 2; present++) {
                uint32_t at = AT_CODE + 0x1000 - back;

                m_protected(m, 3);
                map_all(m);
                m_put(m, 0x101000 + 4 * ((AT_CODE >> 12) + 1), present ? 0x11007 : 0, 4);
                v->eflags |= EFLAGS_IOPL;
                put_cli(m, at, len);
                v->rip = at;
                interp_step(v);
                if (present || len <= back) {
                    CHECK_EQ(v->rip, at + len);
                    continue;
                }
                CHECK_EQ(m_vector(m), VEC_PF);
                CHECK_EQ(v->cr2, AT_CODE + 0x1000);
                CHECK_EQ(m_frame(m, 0, 4), PF_U);
                CHECK_EQ(m_frame(m, 1, 4), at);
            }
}

/* Code that is rewritten between two executions, at every offset around a page end. */
static void test_rewritten(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    for (uint32_t at = AT_CODE + 0xff0; at < AT_CODE + 0x1004; at++)
        for (unsigned byte = 0; byte < 3; byte++) {
            m_protected(m, 0);
            v->eflags |= EFLAGS_IF;
            m_put(m, at, 0xfa3e3e, 3); /* ds ds cli */
            v->rip = at;
            interp_step(v);
            CHECK_EQ(v->eflags, EFLAGS_R1);
            m_put(m, at + byte, 0xfb, 1); /* sti, somewhere */
            v->rip = at;
            interp_step(v);
            CHECK_EQ(v->rip, at + byte + 1);
            CHECK_EQ(v->eflags, EFLAGS_R1 | EFLAGS_IF);
        }
}

/* --- Shadows, interrupts, NMI, HLT ---------------------------------------- */

static void interrupt(struct machine *m, uint8_t vector)
{
    m->interrupt = vector;
    m->vcpu->intr_line = true;
}

static void test_shadow(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 0); /* sti; nop(lar) ; here */
    m_code(m, "\xfb\xfb\xfa", 3);
    interrupt(m, 0x40);
    interp_step(v); /* sti */
    CHECK_EQ(v->rip, AT_CODE + 1);
    interp_step(v); /* one more, in the shadow; a second STI does not prolong it */
    CHECK_EQ(v->rip, AT_CODE + 2);
    interp_step(v);
    CHECK_EQ(m_vector(m), 0x40);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE + 2);
    CHECK_EQ(v->eflags & EFLAGS_IF, 0);

    m_protected(m, 0); /* sti; cli: the interrupt is never taken */
    m_code(m, "\xfb\xfa\xfa\xfa", 4);
    interrupt(m, 0x40);
    for (unsigned i = 0; i < 4; i++)
        interp_step(v);
    CHECK_EQ(v->rip, AT_CODE + 4);

    m_protected(m, 0); /* mov ss, ax holds back interrupts */
    v->eflags |= EFLAGS_IF;
    v->gpr[RAX] = DATA0;
    m_code(m, "\x8e\xd0\x8e\xd0\x8e\xd0", 6);
    interp_step(v);
    interrupt(m, 0x40);
    interp_step(v);
    CHECK_EQ(v->rip, AT_CODE + 4);
    interp_step(v);
    CHECK_EQ(m_vector(m), 0x40);

    m_protected(m, 0); /* sti; hlt wakes up */
    m_code(m, "\xfb\xf4", 2);
    interp_step(v);
    interp_step(v);
    CHECK_EQ(v->halted, 1);
    interp_step(v);
    CHECK_EQ(v->rip, AT_CODE + 2);
    interrupt(m, 0x41);
    interp_step(v);
    CHECK_EQ(m_vector(m), 0x41);
    CHECK_EQ(v->halted, 0);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE + 2);
}

static void test_nmi(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 0);
    v->nmi_pending = true;
    interp_step(v);
    CHECK_EQ(m_vector(m), VEC_NMI);
    m_put(m, AT_HANDLER + 16 * VEC_NMI, 0xcf, 1); /* iret */
    v->nmi_pending = true;
    interp_step(v); /* blocked until IRET */
    CHECK_EQ(v->rip, AT_CODE);
    interp_step(v);
    CHECK_EQ(m_vector(m), VEC_NMI);
}

/* --- Debug ---------------------------------------------------------------- */

static void test_single_step(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 0);
    v->eflags |= EFLAGS_TF;
    M_RUN(m, "\xfa");
    CHECK_EQ(m_vector(m), VEC_DB);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE + 1);
    CHECK_EQ(m_frame(m, 2, 4), EFLAGS_R1 | EFLAGS_TF);
    CHECK_EQ(v->dr[6], DR6_RESET | DR6_BS);

    m_protected(m, 0); /* popf sets TF: the next instruction traps; the popf that clears it too */
    v->gpr[RSP] = AT_DATA;
    m_put(m, AT_DATA, EFLAGS_R1 | EFLAGS_TF, 4);
    m_put(m, AT_DATA + 4, EFLAGS_R1, 4);
    m_code(m, "\x9d\x9d", 2);
    interp_step(v);
    CHECK_EQ(v->rip, AT_CODE + 1);
    interp_step(v);
    CHECK_EQ(m_vector(m), VEC_DB);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE + 2);
    CHECK_EQ(m_frame(m, 2, 4), EFLAGS_R1);

    m_protected(m, 0); /* an INT n clears TF, and nothing traps in the handler */
    v->eflags |= EFLAGS_TF;
    M_RUN(m, "\xcd\x40");
    CHECK_EQ(m_vector(m), 0x40);

    m_protected(m, 0); /* a fault: its handler, not #DB */
    v->eflags |= EFLAGS_TF;
    M_RUN(m, "\x0f\x0b");
    CHECK_EQ(m_vector(m), VEC_UD);

    m_protected(m, 0); /* mov ss holds the trap back */
    v->eflags |= EFLAGS_TF;
    v->gpr[RAX] = DATA0;
    m_code(m, "\x8e\xd0\xfa", 3);
    interp_step(v);
    CHECK_EQ(v->rip, AT_CODE + 2);
    interp_step(v);
    CHECK_EQ(m_vector(m), VEC_DB);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE + 3);
}

static void test_code_breakpoint(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 0);
    v->dr[2] = AT_CODE;
    v->dr[7] = DR7_RESET | 1 << 4;
    M_RUN(m, "\xfa");
    CHECK_EQ(m_vector(m), VEC_DB);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE); /* a fault, with RF clear in its frame */
    CHECK_EQ(m_frame(m, 2, 4), EFLAGS_R1);
    CHECK_EQ(v->dr[6] & 0xf, 4);
    m_put(m, v->gpr[RSP] + 8, EFLAGS_R1 | EFLAGS_RF, 4); /* resume */
    m_put(m, AT_HANDLER + 16, 0xcf, 1);
    interp_step(v);
    CHECK_EQ(v->rip, AT_CODE);
    interp_step(v);
    CHECK_EQ(v->rip, AT_CODE + 1);
    CHECK_EQ(v->eflags & EFLAGS_RF, 0);
    v->rip = AT_CODE;
    interp_step(v);
    CHECK_EQ(m_vector(m), VEC_DB);
}

/* A data breakpoint on ports (CR4.DE) and on memory. */
static void test_data_breakpoint(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 0);
    v->cr4 = CR4_DE;
    v->dr[0] = 0x50;
    v->dr[7] = DR7_RESET | 1 | 2 << 16;
    M_RUN(m, "\xe4\x50");
    CHECK_EQ(m_vector(m), VEC_DB);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE + 2);
    CHECK_EQ(v->dr[6] & 0xf, 1);

    for (unsigned off = 0; off < 8; off++) { /* pushf writes 4 bytes; watch 2 at AT_DATA + 4 */
        int hit = off >= 1 && off <= 5;

        m_protected(m, 0);
        M_RUN(m, "\x9c"); /* the TLB knows the page */
        v->rip = AT_CODE;
        v->gpr[RBX] = AT_DATA + 4;
        m_run(m, "\x0f\x23\xdb", 3); /* mov dr3, ebx */
        v->rip = AT_CODE;
        v->gpr[RBX] = 1u << 6 | 1u << 28 | 1u << 30; /* write, 2 bytes */
        m_run(m, "\x0f\x23\xfb", 3);
        v->rip = AT_CODE;
        v->gpr[RSP] = AT_DATA + off + 4;
        M_RUN(m, "\x9c");
        CHECK_EQ(m_vector(m), hit && off != 0 ? VEC_DB : -1);
        CHECK_EQ(m_get(m, AT_DATA + off, 4), EFLAGS_R1);
        if (hit)
            CHECK_EQ(v->dr[6] & 0xf, 8);
    }
}

/* --- Port strings --------------------------------------------------------- */

static void test_ins(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 3); /* rep insw into a page that is missing after 3 words */
    map_all(m);
    m_put(m, 0x101000 + 4 * (AT_DATA >> 12) + 4, 0, 4);
    v->eflags |= EFLAGS_IOPL;
    v->gpr[RCX] = 10;
    v->gpr[RDI] = AT_DATA + 0x1000 - 6;
    v->gpr[RDX] = 0x1f0;
    m->next_read = 0x1111;
    m->port_reads = 0;
    M_RUN(m, "\xf3\x66\x6d");
    CHECK_EQ(m_vector(m), VEC_PF);
    CHECK_EQ(v->cr2, AT_DATA + 0x1000);
    CHECK_EQ(m->port_reads, 3); /* the fourth has not been taken from the device */
    CHECK_EQ(v->gpr[RCX], 7);
    CHECK_EQ(v->gpr[RDI], AT_DATA + 0x1000);
    CHECK_EQ(m_get(m, AT_DATA + 0x1000 - 2, 2), 0x1113);

    m_protected(m, 0); /* rep outsb backwards, interrupted after the first */
    v->eflags |= EFLAGS_DF | EFLAGS_IF;
    v->gpr[RCX] = 4;
    v->gpr[RSI] = AT_DATA + 3;
    v->gpr[RDX] = 0xe9;
    m_put(m, AT_DATA, 0x64636261, 4);
    m->port_writes = 0;
    m_code(m, "\xf3\x6e", 2);
    v->exit_request = true;
    interp_step(v);
    CHECK_EQ(m->port_writes, 1);
    CHECK_EQ(m->last_value, 0x64);
    CHECK_EQ(v->rip, AT_CODE);
    CHECK_EQ(v->gpr[RCX], 3);
    v->exit_request = false;
    interp_step(v);
    CHECK_EQ(m->port_writes, 4);
    CHECK_EQ(m->last_value, 0x61);
    CHECK_EQ(v->gpr[RSI], AT_DATA - 1);
    CHECK_EQ(v->rip, AT_CODE + 2);
}

/* A board that takes at most five words at once, like a data port near a block's end. */
static unsigned strings;

static uint64_t read_string(void *board, uint16_t port, unsigned size, void *to, uint64_t count)
{
    struct machine *m = board;
    uint64_t n = count < 5 ? count : 5;

    strings++;
    CHECK_EQ(size, 2);
    for (uint64_t i = 0; i < n; i++) {
        uint16_t word = (uint16_t)m_port_read(board, port, size);

        memcpy((uint8_t *)to + 2 * i, &word, 2);
    }
    if (strings == 2)
        m->vcpu->exit_request = true; /* as an interrupt in between */
    return n;
}

static uint64_t write_string(void *board, uint16_t port, unsigned size, const void *from,
                             uint64_t count)
{
    uint64_t n = count < 5 ? count : 5;

    strings++;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t value = 0;

        memcpy(&value, (const uint8_t *)from + size * i, size);
        m_port_write(board, port, size, value);
    }
    return n;
}

static void start_ins(struct machine *m, unsigned count, uint32_t to)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 0);
    v->gpr[RCX] = count;
    v->gpr[RDI] = to;
    v->gpr[RDX] = 0x1f0;
    m->next_read = 0x1111;
    m->port_reads = strings = 0;
    m_code(m, "\xf3\x66\x6d", 3);
}

static uint64_t heard; /* bytes */

static void hear(void *arg, uint64_t gpa, uint64_t size)
{
    (void)arg;
    (void)gpa;
    heard += size;
}

static void test_ins_strings(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m->env.port_read_string = read_string;
    start_ins(m, 12, AT_DATA);
    interp_step(v);
    CHECK_EQ(strings, 2);
    CHECK_EQ(v->gpr[RCX], 2); /* five, five, and somebody wants the CPU */
    CHECK_EQ(v->gpr[RDI], AT_DATA + 20);
    CHECK_EQ(v->rip, AT_CODE);
    v->exit_request = false;
    interp_step(v);
    CHECK_EQ(m->port_reads, 12);
    CHECK_EQ(v->gpr[RCX], 0);
    CHECK_EQ(v->gpr[RDI], AT_DATA + 24);
    CHECK_EQ(v->rip, AT_CODE + 3);
    for (unsigned i = 0; i < 12; i++)
        CHECK_EQ(m_get(m, AT_DATA + 2 * i, 2), 0x1111 + i);
    start_ins(m, 3, AT_DATA + 10); /* backwards: one by one */
    v->eflags |= EFLAGS_DF;
    interp_step(v);
    CHECK_EQ(strings << 8 | m->port_reads, 3);
    start_ins(m, 3, AT_DATA + 0xffd); /* the second lies in two pages */
    interp_step(v);
    CHECK_EQ(m->port_reads, 3);
    CHECK_EQ(m_get(m, AT_DATA + 0xffd, 2) << 16 | m_get(m, AT_DATA + 0xfff, 2), 0x11111112);
    physmem_watch(&m->pm, AT_DATA >> PAGE_SHIFT, WATCH_TABLE); /* who watches must hear of it */
    start_ins(m, 3, AT_DATA);
    interp_step(v);
    CHECK_EQ(strings << 8 | m->port_reads, 3);
    physmem_unwatch(&m->pm, AT_DATA >> PAGE_SHIFT, WATCH_TABLE);
    physmem_watch(&m->pm, AT_DATA >> PAGE_SHIFT, WATCH_CODE); /* ... of code all at once */
    m->pm.on_write = hear;
    start_ins(m, 3, AT_DATA);
    interp_step(v);
    CHECK_EQ(strings << 8 | m->port_reads, 1 << 8 | 3);
    CHECK_EQ(heard, 6);
    m->pm.on_write = NULL;
    physmem_unwatch(&m->pm, AT_DATA >> PAGE_SHIFT, WATCH_CODE);
    m_protected(m, 3); /* a page that is missing after 3 words */
    map_all(m);
    m_put(m, 0x101000 + 4 * (AT_DATA >> 12) + 4, 0, 4);
    v->eflags |= EFLAGS_IOPL;
    v->gpr[RCX] = 10;
    v->gpr[RDI] = AT_DATA + 0x1000 - 6;
    v->gpr[RDX] = 0x1f0;
    m->port_reads = strings = 0;
    M_RUN(m, "\xf3\x66\x6d");
    CHECK_EQ(m_vector(m), VEC_PF);
    CHECK_EQ(v->cr2, AT_DATA + 0x1000);
    CHECK_EQ(strings << 8 | m->port_reads, 1 << 8 | 3);
    CHECK_EQ(v->gpr[RCX], 7);
    m->env.port_read_string = NULL;
}

static void test_outs_strings(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m->env.port_write_string = write_string;
    m_protected(m, 0);
    v->gpr[RCX] = 7;
    v->gpr[RSI] = AT_DATA;
    v->gpr[RDX] = 0x1f0;
    m_put(m, AT_DATA, 0x04030201, 4);
    m_put(m, AT_DATA + 4, 0x070605, 4);
    m->port_writes = strings = 0;
    m_code(m, "\xf3\x6e", 2);
    interp_step(v);
    CHECK_EQ(strings << 8 | m->port_writes, 2 << 8 | 7);
    CHECK_EQ(m->last_value, 7);
    CHECK_EQ(v->gpr[RCX], 0);
    CHECK_EQ(v->gpr[RSI], AT_DATA + 7);
    v->gpr[RCX] = 0; /* nothing to do */
    v->rip = AT_CODE;
    interp_step(v);
    CHECK_EQ(m->port_writes, 7);
    m->env.port_write_string = NULL;
}

/* LOCK where it does not belong (row 23). */
static void test_lock(struct machine *m)
{
    m_protected(m, 0);
    M_RUN(m, "\xf0\xfa");
    CHECK_EQ(m_vector(m), VEC_UD);
    m_protected(m, 0);
    M_RUN(m, "\xf0\x0f\x22\xc0");
    CHECK_EQ(m_vector(m), VEC_UD);
}

/* --- Who comes first (SDM 3, table 6-2; row 13) ------------------------------ */

static void test_priority(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    m_protected(m, 3); /* an instruction breakpoint beats the fetch's page fault */
    map_all(m);
    m_put(m, 0x101000 + 4 * (AT_CODE >> 12), 0, 4);
    v->dr[0] = AT_CODE;
    v->dr[7] = DR7_RESET | 1;
    interp_step(v);
    CHECK_EQ(m_vector(m), VEC_DB);
    CHECK_EQ(m_frame(m, 0, 4), AT_CODE);

    m_protected(m, 0); /* the trap of the instruction before beats an interrupt */
    v->eflags |= EFLAGS_TF | EFLAGS_IF;
    interrupt(m, 0x40);
    v->intr_shadow = true;
    M_RUN(m, "\xf8");
    CHECK_EQ(m_vector(m), VEC_DB);
    CHECK_EQ(v->intr_line, 1);

    m_protected(m, 0); /* an NMI beats an interrupt */
    v->eflags |= EFLAGS_IF;
    interrupt(m, 0x40);
    v->nmi_pending = true;
    M_RUN(m, "\xf8");
    CHECK_EQ(m_vector(m), VEC_NMI);

    m_v86(m, 0); /* #UD of a LOCK prefix beats the privilege's #GP */
    M_RUN(m, "\xf0\x0f\x22\xc0");
    CHECK_EQ(m_vector(m), VEC_UD);

    m_protected(m, 3); /* a segment's limit beats its page */
    map_all(m);
    m_put(m, 0x101000 + 4 * (AT_DATA >> 12), 0, 4);
    v->seg[SEG_DS].limit = AT_DATA + 2;
    M_RUN(m, "\xa1\x00\x80\x01\x00");
    CHECK_EQ(m_vector(m), VEC_GP);
}

/* #DE is a fault: the frame names the division itself, and nothing has changed. */
static void test_divide(struct machine *m)
{
    struct vcpu *v = m->vcpu;

    for (unsigned i = 0; i < 2; i++) {
        m_protected(m, 0);
        v->gpr[RAX] = 0x80000000;
        v->gpr[RDX] = i ? 0xffffffff : 0;
        v->gpr[RCX] = i ? 0xffffffff : 0;
        m_run(m, i ? "\xf7\xf9" : "\xf7\xf1", 2);
        CHECK_EQ(m_vector(m), VEC_DE);
        CHECK_EQ(m_frame(m, 0, 4), AT_CODE);
        CHECK_EQ(v->gpr[RAX], 0x80000000);
        CHECK_EQ(v->gpr[RDX], i ? 0xffffffff : 0);
    }
}

int main(void)
{
    struct machine m;

    m_create(&m);
    test_limit(&m);
    test_page_end(&m);
    test_rewritten(&m);
    test_shadow(&m);
    test_nmi(&m);
    test_single_step(&m);
    test_code_breakpoint(&m);
    test_data_breakpoint(&m);
    test_ins(&m);
    test_ins_strings(&m);
    test_outs_strings(&m);
    test_lock(&m);
    test_priority(&m);
    test_divide(&m);
    m_destroy(&m);
    return CHECK_DONE();
}
