/*
 * What C cannot say: the instructions of the system level, and names for their bits.
 * The names are the SDM's; they are written down here again, apart from the monitor's, so that a
 * wrong one there is noticed.
 */
#ifndef GUESTS_LIB_X86_H
#define GUESTS_LIB_X86_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum { FL_CF = 1, FL_1 = 2, FL_PF = 4, FL_AF = 0x10, FL_ZF = 0x40, FL_SF = 0x80, FL_TF = 0x100,
       FL_IF = 0x200, FL_DF = 0x400, FL_OF = 0x800, FL_IOPL3 = 0x3000, FL_NT = 0x4000,
       FL_RF = 0x10000, FL_VM = 0x20000, FL_AC = 0x40000, FL_ID = 0x200000,
       FL_ARITH = FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF };

enum { VEC_DE, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF, VEC_TS = 10, VEC_NP,
       VEC_SS, VEC_GP, VEC_PF, VEC_MF = 16, VEC_AC, VEC_MC, VEC_XM };

#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_PG 0x80000000u

#define CR4_TSD        0x004u
#define CR4_DE         0x008u
#define CR4_PSE        0x010u
#define CR4_PAE        0x020u
#define CR4_PGE        0x080u
#define CR4_OSFXSR     0x200u
#define CR4_OSXMMEXCPT 0x400u

/* CPUID leaf 1's EDX */
#define CPUID_TSC  (1u << 4)
#define CPUID_MSR  (1u << 5)
#define CPUID_PSE  (1u << 3)
#define CPUID_DE   (1u << 2)
#define CPUID_PAE  (1u << 6)
#define CPUID_CX8  (1u << 8)
#define CPUID_APIC (1u << 9)
#define CPUID_SEP  (1u << 11)
#define CPUID_PGE  (1u << 13)
#define CPUID_FXSR (1u << 24)
#define CPUID_SSE  (1u << 25)
#define CPUID_SSE2 (1u << 26)
/* leaf 0x80000001's EDX */
#define CPUID_NX   (1u << 20)

enum { MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP };
#define MSR_EFER 0xc0000080u
#define EFER_SCE 1u
#define EFER_NXE 0x800u
#define MSR_STAR 0xc0000081u

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t inw(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

#define X86_REGISTER(name)                                                                         \
    static inline uint32_t read_##name(void)                                                       \
    {                                                                                              \
        uint32_t value;                                                                            \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value) : : "memory");                        \
        return value;                                                                              \
    }                                                                                              \
    static inline void write_##name(uint32_t value)                                                \
    {                                                                                              \
        __asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");                            \
    }
X86_REGISTER(cr0)
X86_REGISTER(cr2)
X86_REGISTER(cr3)
X86_REGISTER(cr4)
X86_REGISTER(dr0)
X86_REGISTER(dr1)
X86_REGISTER(dr6)
X86_REGISTER(dr7)
#undef X86_REGISTER

static inline uint32_t read_flags(void)
{
    uint32_t flags;

    __asm__ volatile("pushfl; popl %0" : "=r"(flags) : : "memory");
    return flags;
}

static inline void write_flags(uint32_t flags)
{
    __asm__ volatile("pushl %0; popfl" : : "r"(flags) : "memory", "cc");
}

static inline uint64_t rdtsc(void)
{
    uint64_t value;

    __asm__ volatile("rdtsc" : "=A"(value));
    return value;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint64_t value;

    __asm__ volatile("rdmsr" : "=A"(value) : "c"(msr));
    return value;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "A"(value), "c"(msr) : "memory");
}

static inline void invlpg(uint32_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void sti_hlt(void)
{
    __asm__ volatile("sti; hlt" : : : "memory");
}

static inline void sti(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static inline void cli(void)
{
    __asm__ volatile("cli" : : : "memory");
}

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf)
{
    struct cpuid r = { leaf, 0, 0, 0 };

    __asm__ volatile("cpuid" : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
    return r;
}

/* Leaf 1's EDX. All CPUs that novt and QEMU offer have CPUID. */
static inline uint32_t cpuid_features(void)
{
    return cpuid(1).edx;
}

/* n /= by; returns the remainder. There is no libgcc to divide 64 bits. */
static inline uint32_t divide(uint64_t *n, uint32_t by)
{
    uint32_t high = *n >> 32, low = *n, remainder = high % by;

    high /= by;
    __asm__("divl %2" : "+a"(low), "+d"(remainder) : "r"(by) : "cc");
    *n = (uint64_t)high << 32 | low;
    return remainder;
}

#endif
