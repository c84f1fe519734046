/*
 * The fields of struct insn, case by case: bytes and what they must decode to. Lengths and names
 * are checked against the CPU, Zydis and Capstone elsewhere; here is what these do not tell.
 */
#include <string.h>
#include <sys/mman.h>

#include "cases.h"
#include "cpu/decode.h"
#include "tests/check.h"

static struct insn in;

/* Decodes hexadecimal text with zeros behind it. */
static int decode_text(const char *text, enum cpu_mode mode)
{
    uint8_t bytes[32] = {0};
    unsigned n = 0, value;

    for (; sscanf(text, "%2x", &value) == 1; text += text[2] ? 3 : 2)
        bytes[n++] = value;
    return decode(&in, bytes, 32, mode);
}

static void check_addresses32(void)
{
    CHECK_EQ(decode_text("8b 44 b3 f0", MODE_32), 4); /* mov eax, [ebx+esi*4-16] */
    CHECK_EQ(in.id, M_MOV);
    CHECK_EQ(in.base, RBX);
    CHECK_EQ(in.index, RSI);
    CHECK_EQ(in.scale, 2);
    CHECK_EQ(in.disp, (unsigned long long)-16);
    CHECK_EQ(in.seg, SEG_DS);
    CHECK_EQ(in.memsize, 4);
    CHECK_EQ(in.disp_at, 3);
    CHECK_EQ(in.disp_len, 1);
    CHECK_EQ(in.modrm_at, 1);
    CHECK_EQ(in.opcode_at, 0);
    CHECK_EQ(in.reg, RAX);

    CHECK_EQ(decode_text("89 04 24", MODE_32), 3); /* mov [esp], eax */
    CHECK_EQ(in.base, RSP);
    CHECK_EQ(in.index, REG_NONE);
    CHECK_EQ(in.seg, SEG_SS);
    CHECK_EQ(decode_text("89 45 08", MODE_32), 3); /* mov [ebp+8], eax */
    CHECK_EQ(in.base, RBP);
    CHECK_EQ(in.seg, SEG_SS);
    CHECK_EQ(decode_text("65 89 45 08", MODE_32), 4); /* mov gs:[ebp+8], eax */
    CHECK_EQ(in.seg, SEG_GS);
    CHECK_EQ(in.prefixes, PREFIX_SEG);
    CHECK_EQ(decode_text("89 05 78 56 34 92", MODE_32), 6); /* mov [0x92345678], eax */
    CHECK_EQ(in.base, REG_NONE);
    CHECK_EQ(in.disp, (unsigned long long)(int32_t)0x92345678);
    CHECK_EQ(in.seg, SEG_DS);
    CHECK_EQ(decode_text("89 04 8d 04 00 00 00", MODE_32), 7); /* mov [ecx*4+4], eax */
    CHECK_EQ(in.base, REG_NONE);
    CHECK_EQ(in.index, RCX);
    CHECK_EQ(in.seg, SEG_DS);
    CHECK_EQ(decode_text("8b 0c 20", MODE_32), 3); /* mov ecx, [eax]: index 4 is none */
    CHECK_EQ(in.index, REG_NONE);
    CHECK_EQ(in.scale, 0);
}

static void check_addresses16(void)
{
    CHECK_EQ(decode_text("8b 42 fe", MODE_16), 3); /* mov ax, [bp+si-2] */
    CHECK_EQ(in.base, RBP);
    CHECK_EQ(in.index, RSI);
    CHECK_EQ(in.seg, SEG_SS);
    CHECK_EQ(in.opsize, 2);
    CHECK_EQ(in.addrsize, 2);
    CHECK_EQ(decode_text("8b 06 34 f2", MODE_16), 4); /* mov ax, [0xf234] */
    CHECK_EQ(in.base, REG_NONE);
    CHECK_EQ(in.seg, SEG_DS);
    CHECK_EQ(in.disp_len, 2);
    CHECK_EQ(decode_text("67 66 8b 04 24", MODE_16), 5); /* mov eax, [esp] */
    CHECK_EQ(in.opsize, 4);
    CHECK_EQ(in.addrsize, 4);
    CHECK_EQ(in.seg, SEG_SS);
    CHECK_EQ(decode_text("67 8b 07", MODE_32), 3); /* mov eax, [bx] */
    CHECK_EQ(in.base, RBX);
    CHECK_EQ(in.index, REG_NONE);
}

static void check_immediates(void)
{
    CHECK_EQ(decode_text("83 c0 ff", MODE_32), 3); /* add eax, -1 */
    CHECK_EQ(in.imm, ~0ull);
    CHECK_EQ(in.imm_at, 2);
    CHECK_EQ(in.imm_len, 1);
    CHECK_EQ(decode_text("80 c0 ff", MODE_32), 3); /* add al, 0xff */
    CHECK_EQ(in.imm, 0xff);
    CHECK_EQ(in.info->attr & A_BYTE, A_BYTE);
    CHECK_EQ(decode_text("66 b8 34 92", MODE_32), 4);
    CHECK_EQ(in.imm, 0x9234);
    CHECK_EQ(decode_text("c8 34 12 05", MODE_32), 4); /* enter 0x1234, 5 */
    CHECK_EQ(in.imm, 0x1234);
    CHECK_EQ(in.imm2, 5);
    CHECK_EQ(in.imm_len, 3);
    CHECK_EQ(decode_text("ea 78 56 34 12 10 00", MODE_32), 7); /* ljmp 0x10:0x12345678 */
    CHECK_EQ(in.imm, 0x12345678);
    CHECK_EQ(in.imm2, 0x10);
    CHECK_EQ(decode_text("9a 78 56 34 12", MODE_16), 5);
    CHECK_EQ(in.imm, 0x5678);
    CHECK_EQ(in.imm2, 0x1234);
    CHECK_EQ(decode_text("eb fe", MODE_32), 2);
    CHECK_EQ(in.imm, (unsigned long long)-2);
    CHECK_EQ(decode_text("66 e9 00 80", MODE_32), 4);
    CHECK_EQ(in.imm, (unsigned long long)-0x8000);
    CHECK_EQ(decode_text("c2 00 80", MODE_32), 3);
    CHECK_EQ(in.imm, 0x8000);
    CHECK_EQ(decode_text("f7 05 44 33 22 11 dd cc bb aa", MODE_32), 10); /* test [m], imm32 */
    CHECK_EQ(in.disp, 0x11223344);
    CHECK_EQ(in.imm, 0xaabbccdd);
    CHECK_EQ(in.disp_at, 2);
    CHECK_EQ(in.imm_at, 6);
}

static void check_moffs(void)
{
    CHECK_EQ(decode_text("a1 78 56 34 92", MODE_32), 5);
    CHECK_EQ(in.has_mem, true);
    CHECK_EQ(in.has_modrm, false);
    CHECK_EQ(in.disp, 0x92345678);
    CHECK_EQ(in.memsize, 4);
    CHECK_EQ(in.disp_len, 4);
    CHECK_EQ(in.info->attr & (A_READS_MEM | A_WRITES_MEM), A_READS_MEM);
    CHECK_EQ(decode_text("64 a2 34 f2", MODE_16), 4);
    CHECK_EQ(in.disp, 0xf234);
    CHECK_EQ(in.seg, SEG_FS);
    CHECK_EQ(in.memsize, 1);
}

/* Bytes, attributes of the memory operand and its size. */
static void check_memory(void)
{
    static const struct {
        const char *text;
        uint16_t id;
        uint8_t size;
        uint32_t attr;
    } cases[] = {
        {"01 00", M_ADD, 4, A_READS_MEM | A_WRITES_MEM},
        {"03 00", M_ADD, 4, A_READS_MEM},
        {"38 00", M_CMP, 1, A_READS_MEM},
        {"c6 00 01", M_MOV, 1, A_WRITES_MEM},
        {"8d 00", M_LEA, 0, 0},
        {"0f 1f 00", M_NOP, 4, 0},
        {"0f b7 00", M_MOVZX, 2, A_READS_MEM},
        {"66 8c 00", M_MOV_FROM_SEG, 2, A_WRITES_MEM},
        {"ff 18", M_CALL_FAR, 6, A_READS_MEM},
        {"62 00", M_BOUND, 8, A_READS_MEM},
        {"0f 01 10", M_LGDT, 6, A_READS_MEM},
        {"0f c7 08", M_CMPXCHG8B, 8, A_READS_MEM | A_WRITES_MEM},
        {"d9 00", M_FLD, 4, A_READS_MEM},
        {"db 28", M_FLD, 10, A_READS_MEM},
        {"d9 30", M_FNSTENV, 28, A_WRITES_MEM},
        {"66 d9 30", M_FNSTENV, 14, A_WRITES_MEM},
        {"dd 30", M_FNSAVE, 108, A_WRITES_MEM},
        {"66 dd 20", M_FRSTOR, 94, A_READS_MEM},
        {"0f ae 00", M_FXSAVE, 0, A_WRITES_MEM},
        {"0f 60 00", M_PUNPCKLBW, 4, A_READS_MEM},
        {"66 0f 60 00", M_PUNPCKLBW, 16, A_READS_MEM | A_ALIGN16},
        {"0f 10 00", M_MOVUPS, 16, A_READS_MEM},
        {"f3 0f 10 00", M_MOVSS, 4, A_READS_MEM},
        {"f2 0f 11 00", M_MOVSD, 8, A_WRITES_MEM},
        {"0f 29 00", M_MOVAPS, 16, A_WRITES_MEM | A_ALIGN16},
        {"0f 16 00", M_MOVHPS, 8, A_READS_MEM},
        {"66 0f 3a 63 00 00", M_PCMPISTRI, 16, A_READS_MEM},
        {"66 0f 3a 14 00 00", M_PEXTRB, 1, A_WRITES_MEM},
        {"66 0f 38 22 00", M_PMOVSXBQ, 2, A_READS_MEM},
        {"c4 e2 70 f2 00", M_ANDN, 4, A_READS_MEM},
    };
    const uint32_t mask = A_READS_MEM | A_WRITES_MEM | A_ALIGN16;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_EQ(decode_text(cases[i].text, MODE_32), (strlen(cases[i].text) + 1) / 3);
        CHECK_EQ(in.id, cases[i].id);
        CHECK_EQ(in.has_mem, true);
        CHECK_EQ(in.memsize, cases[i].size);
        CHECK_EQ(in.info->attr & mask, cases[i].attr);
    }
}

static void check_prefixes(void)
{
    CHECK_EQ(decode_text("f2 f3 a4", MODE_32), 3); /* the last of F2 and F3 wins */
    CHECK_EQ(in.prefixes, PREFIX_REP);
    CHECK_EQ(in.info->attr & (A_STRING | A_IMPLICIT_MEM), A_STRING | A_IMPLICIT_MEM);
    CHECK_EQ(decode_text("2e a5", MODE_32), 2);
    CHECK_EQ(in.seg, SEG_CS);
    CHECK_EQ(decode_text("f0 01 00", MODE_32), 3);
    CHECK_EQ(in.info->attr & A_LOCKABLE, A_LOCKABLE);
    CHECK_EQ(decode_text("f0 03 00", MODE_32), 3);
    CHECK_EQ(in.info->attr & A_LOCKABLE, 0);
    CHECK_EQ(decode_text("66 f2 0f 58 c1", MODE_32), 5); /* F2 beats 66 */
    CHECK_EQ(in.id, M_ADDSD);
    CHECK_EQ(decode_text("c4 e2 78 f3 cb", MODE_32), 5); /* blsr eax, ebx */
    CHECK_EQ(in.id, M_BLSR);
    CHECK_EQ(in.vvvv, RAX);
    CHECK_EQ(in.rm, RBX);
    CHECK_EQ(in.map, 2);
    CHECK_EQ(in.prefixes, PREFIX_VEX);
}

static void check_undefined(void)
{
    static const char *const texts[] = {"0f 0b", "8e c8", "0f 04", "fe f8", "62 c0 00", "8d c0"};

    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        decode_text(texts[i], MODE_32);
        CHECK_EQ(in.info->attr & A_UNDEFINED, A_UNDEFINED);
        CHECK_EQ(in.info->interp == NULL, true);
    }
    decode_text("06", MODE_64); /* push es */
    CHECK_EQ(in.info->attr & A_UNDEFINED, A_UNDEFINED);
}

static void check_control_registers(void)
{
    CHECK_EQ(decode_text("0f 22 00", MODE_32), 3); /* mod is ignored: mov cr0, eax */
    CHECK_EQ(in.id, M_MOV_TO_CR);
    CHECK_EQ(in.has_mem, false);
    CHECK_EQ(in.mod, 3);
    CHECK_EQ(in.modrm, 0);
    CHECK_EQ(in.info->attr & (A_PRIVILEGED | A_ENDS), A_PRIVILEGED | A_ENDS);
}

static void check_mode64(void)
{
    CHECK_EQ(decode_text("48 89 05 10 00 00 00", MODE_64), 7); /* mov [rip+16], rax */
    CHECK_EQ(in.base, REG_PC);
    CHECK_EQ(in.opsize, 8);
    CHECK_EQ(decode_text("48 b8 88 77 66 55 44 33 22 11", MODE_64), 10);
    CHECK_EQ(in.imm, 0x1122334455667788);
    CHECK_EQ(decode_text("4d 8b 64 2c 08", MODE_64), 5); /* mov r12, [r12+rbp+8] */
    CHECK_EQ(in.reg, R12);
    CHECK_EQ(in.base, R12);
    CHECK_EQ(in.index, RBP);
    CHECK_EQ(decode_text("48 a1 88 77 66 55 44 33 22 11", MODE_64), 10);
    CHECK_EQ(in.disp, 0x1122334455667788);
    CHECK_EQ(decode_text("50", MODE_64), 1);
    CHECK_EQ(in.opsize, 8);
}

/* 0 when bytes are missing, -1 when there are more than 15. */
static void check_ends(void)
{
    static const uint8_t mov[] = {0x81, 0x84, 0x98, 1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t bytes[32];

    for (unsigned n = 0; n < sizeof(mov); n++)
        CHECK_EQ(decode(&in, mov, n, MODE_32), 0);
    CHECK_EQ(decode(&in, mov, sizeof(mov), MODE_32), sizeof(mov));
    CHECK_EQ(in.imm, 0x08070605);

    memset(bytes, 0x26, sizeof(bytes));
    CHECK_EQ(decode(&in, bytes, 15, MODE_32), (unsigned long long)-1);
    CHECK_EQ(decode(&in, bytes, 14, MODE_32), 0);
    memcpy(bytes + 4, mov, sizeof(mov)); /* exactly 15 */
    CHECK_EQ(decode(&in, bytes, 15, MODE_32), 15);
    CHECK_EQ(in.imm, 0x08070605);
    memset(bytes, 0x26, 5);
    memcpy(bytes + 5, mov, sizeof(mov));
    CHECK_EQ(decode(&in, bytes, 32, MODE_32), (unsigned long long)-1);
    memset(bytes, 0x26, 14);
    bytes[14] = 0x90;
    CHECK_EQ(decode(&in, bytes, 15, MODE_32), 15);
    CHECK_EQ(in.id, M_NOP);
}

/* Random strings at the end of a page: nothing beyond avail is read, and fewer bytes never give
 * another length. */
static void check_bounds(void)
{
    enum { PAGE = 4096, STRINGS = 100000 };
    uint8_t *pages =
        mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t bytes[INSN_MAX];
    uint64_t random = 1;

    CHECK_EQ(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
    for (unsigned i = 0; i < STRINGS; i++) {
        enum cpu_mode mode = i % 3;
        int length;

        cases_next(&random, bytes);
        memcpy(pages + PAGE - INSN_MAX, bytes, INSN_MAX);
        length = decode(&in, pages + PAGE - INSN_MAX, INSN_MAX, mode);
        for (unsigned n = 0; n < INSN_MAX; n++) {
            uint8_t *at = pages + PAGE - n;
            int want = length > 0 && (unsigned)length <= n ? length : 0;

            memcpy(at, bytes, n);
            if (decode(&in, at, n, mode) != want)
                CHECK_EQ(decode(&in, at, n, mode), (unsigned)want);
        }
    }
    munmap(pages, 2 * PAGE);
}

int main(void)
{
    check_addresses32();
    check_addresses16();
    check_immediates();
    check_moffs();
    check_memory();
    check_prefixes();
    check_undefined();
    check_control_registers();
    check_mode64();
    check_ends();
    check_bounds();
    return CHECK_DONE();
}
