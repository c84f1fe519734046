/*
 * Zydis and Capstone behind one interface, and the spelling of mnemonics: opcodes.def has one name
 * for a family (jcc, movs) where the peers put condition and operand size into the mnemonic.
 */
#include "peers.h"

#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "cpu/decode.h"

struct peers {
    ZydisDecoder zydis[2];
    csh capstone[2];
    cs_insn *insn[2];
};

static void create_zydis(ZydisDecoder *decoder, bool code16)
{
    ZydisDecoderInit(decoder,
                     code16 ? ZYDIS_MACHINE_MODE_LEGACY_16 : ZYDIS_MACHINE_MODE_LEGACY_32,
                     code16 ? ZYDIS_STACK_WIDTH_16 : ZYDIS_STACK_WIDTH_32);
    ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
    ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
}

struct peers *peers_create(void)
{
    struct peers *peers = calloc(1, sizeof(*peers));

    if (!peers)
        return NULL;
    for (int i = 0; i < 2; i++) {
        create_zydis(&peers->zydis[i], i);
        cs_open(CS_ARCH_X86, i ? CS_MODE_16 : CS_MODE_32, &peers->capstone[i]);
        peers->insn[i] = cs_malloc(peers->capstone[i]);
    }
    return peers;
}

void peers_destroy(struct peers *peers)
{
    for (int i = 0; i < 2; i++) {
        cs_free(peers->insn[i], 1);
        cs_close(&peers->capstone[i]);
    }
    free(peers);
}

static void ask_zydis(struct peers *peers, const uint8_t *bytes, bool code16,
                      struct peer_answer *answer)
{
    ZydisDecodedInstruction in;
    ZyanStatus status = ZydisDecoderDecodeInstruction(&peers->zydis[code16], NULL, bytes, 15, &in);
    bool too_long =
        status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA;

    answer->length = ZYAN_SUCCESS(status) ? in.length : too_long ? -1 : 0;
    answer->name[0] = 0;
    if (ZYAN_SUCCESS(status))
        snprintf(answer->name, sizeof(answer->name), "%s", ZydisMnemonicGetString(in.mnemonic));
}

static void ask_capstone(struct peers *peers, const uint8_t *bytes, bool code16,
                         struct peer_answer *answer)
{
    cs_insn *in = peers->insn[code16];
    size_t left = 15;
    uint64_t address = 0x1000;
    bool ok = cs_disasm_iter(peers->capstone[code16], &bytes, &left, &address, in);
    const char *last = ok ? strrchr(in->mnemonic, ' ') : NULL; /* behind "lock", "repne", "bnd" */

    answer->length = ok ? in->size : 0;
    snprintf(answer->name, sizeof(answer->name), "%s", last ? last + 1 : ok ? in->mnemonic : "");
}

void peers_ask(struct peers *peers, enum peer peer, const uint8_t bytes[15], bool code16,
               struct peer_answer *answer)
{
    if (peer == PEER_ZYDIS)
        ask_zydis(peers, bytes, code16, answer);
    else
        ask_capstone(peers, bytes, code16, answer);
}

/* Conditions by the low four opcode bits. */
static const char *const condition[PEER_COUNT][16] = {
    {"o", "no", "b", "nb", "z", "nz", "be", "nbe", "s", "ns", "p", "np", "l", "nl", "le", "nle"},
    {"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"},
};

/* Mnemonics with the operand size in them. */
static const struct {
    uint16_t id;
    const char *byte, *word, *dword;
} sized[] = {
    {M_MOVS, "movsb", "movsw", "movsd"},  {M_CMPS, "cmpsb", "cmpsw", "cmpsd"},
    {M_STOS, "stosb", "stosw", "stosd"},  {M_LODS, "lodsb", "lodsw", "lodsd"},
    {M_SCAS, "scasb", "scasw", "scasd"},  {M_INS, "insb", "insw", "insd"},
    {M_OUTS, "outsb", "outsw", "outsd"},  {M_CBW, "", "cbw", "cwde"},
    {M_CWD, "", "cwd", "cdq"},            {M_PUSHA, "", "pusha", "pushad"},
    {M_POPA, "", "popa", "popad"},        {M_PUSHF, "", "pushf", "pushfd"},
    {M_POPF, "", "popf", "popfd"},        {M_IRET, "", "iret", "iretd"},
};

/* Other spellings. */
static const struct {
    uint16_t id;
    const char *name;
} also[] = {
    {M_XLAT, "xlatb"},      {M_FWAIT, "wait"},     {M_CALL_FAR, "lcall"},  {M_JMP_FAR, "ljmp"},
    {M_UD, "ud0"},          {M_UD, "ud1"},         {M_UD, "ud2"},          {M_UD, "ud2b"},
    {M_NOP, "pause"},       {M_NOP, "endbr32"},    {M_NOP, "endbr64"},     {M_NOP, "prefetch"},
    {M_NOP, "prefetchw"},   {M_NOP, "prefetchwt1"}, {M_NOP, "prefetchnta"}, {M_NOP, "prefetcht0"},
    {M_NOP, "prefetcht1"},  {M_NOP, "prefetcht2"}, {M_NOP, "cldemote"},    {M_NOP, "rdsspd"},
    {M_RET_FAR, "ret"},     {M_SHL, "sal"},        {M_PUSHA, "pushal"},    {M_POPA, "popal"},
    {M_PUSHA, "pushaw"},    {M_POPA, "popaw"},     {M_FUCOMIP, "fucompi"}, {M_FCOMIP, "fcompi"},
    {M_FNSETPM, "fsetpm"},  {M_WBINVD, "wbnoinvd"},
    {M_VZEROUPPER, "vzeroall"},
    {M_VCVTPD2PS, "vcvtpd2psx"}, {M_VCVTTPD2DQ, "vcvttpd2dqx"}, {M_VCVTPD2DQ, "vcvtpd2dqx"},
};

/* Comparison predicates that Capstone moves into the mnemonic: cmpps 1 is cmpltps. */
static bool is_compare(const struct insn *in, const char *name)
{
    static const char *const predicate[8] = {"eq",  "lt",  "le",  "unord",
                                             "neq", "nlt", "nle", "ord"};
    char full[32];
    const char *suffix = in->info->mnemonic + 3;

    if (in->id == M_VCMPPS || in->id == M_VCMPPD || in->id == M_VCMPSS || in->id == M_VCMPSD)
        return !strncmp(name, "vcmp", 4) && !strcmp(name + strlen(name) - 2, suffix + 1);
    if (in->id != M_CMPPS && in->id != M_CMPPD && in->id != M_CMPSS && in->id != M_CMPSD)
        return false;
    snprintf(full, sizeof(full), "cmp%s%s", predicate[in->imm & 7], suffix);
    return !strcmp(full, name);
}

static bool is_sized(const struct insn *in, const char *name)
{
    for (unsigned i = 0; i < sizeof(sized) / sizeof(sized[0]); i++) {
        if (sized[i].id != in->id)
            continue;
        bool byte = in->info->attr & A_STRING && !(in->opcode & 1);
        const char *wide = in->opsize == 2 ? sized[i].word : sized[i].dword;
        return !strcmp(name, byte ? sized[i].byte : wide);
    }
    return false;
}

bool peers_same_name(enum peer peer, const struct insn *in, const char *name)
{
    const char *ours = in->info->mnemonic;

    if (in->id == M_JCC)
        return name[0] == 'j' && !strcmp(name + 1, condition[peer][in->opcode & 15]);
    if (in->id == M_SETCC)
        return !strncmp(name, "set", 3) && !strcmp(name + 3, condition[peer][in->opcode & 15]);
    if (in->id == M_CMOVCC)
        return !strncmp(name, "cmov", 4) && !strcmp(name + 4, condition[peer][in->opcode & 15]);
    if (in->id == M_JCXZ)
        return !strcmp(name, in->addrsize == 2 ? "jcxz" : "jecxz");
    if (!strcmp(ours, name) || is_sized(in, name) || is_compare(in, name))
        return true;
    for (unsigned i = 0; i < sizeof(also) / sizeof(also[0]); i++)
        if (also[i].id == in->id && !strcmp(also[i].name, name))
            return true;
    return false;
}
