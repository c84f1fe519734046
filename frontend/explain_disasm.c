/* Both sides of a translation as text: see explain_disasm.h. */
#include "frontend/explain_disasm.h"

#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct explain_disasm {
    csh guest16, guest32, host;
    cs_insn *insn;
};

struct explain_disasm *explain_disasm_create(void)
{
    struct explain_disasm *d = calloc(1, sizeof(*d));

    if (d && !cs_open(CS_ARCH_X86, CS_MODE_16, &d->guest16) &&
        !cs_open(CS_ARCH_X86, CS_MODE_32, &d->guest32) &&
        !cs_open(CS_ARCH_X86, CS_MODE_64, &d->host) && (d->insn = cs_malloc(d->host)))
        return d;
    explain_disasm_destroy(d);
    return NULL;
}

void explain_disasm_destroy(struct explain_disasm *d)
{
    if (!d)
        return;
    if (d->insn)
        cs_free(d->insn, 1);
    if (d->host)
        cs_close(&d->host);
    if (d->guest32)
        cs_close(&d->guest32);
    if (d->guest16)
        cs_close(&d->guest16);
    free(d);
}

static void put_insn(const struct explain_disasm *d, char *text)
{
    snprintf(text, EXPLAIN_TEXT, "%s%s%s", d->insn->mnemonic, *d->insn->op_str ? " " : "",
             d->insn->op_str);
}

void explain_disasm_guest(struct explain_disasm *d, const struct insn *in, uint32_t eip,
                          char text[EXPLAIN_TEXT])
{
    csh handle = in->mode == MODE_16 ? d->guest16 : d->guest32;
    const uint8_t *code = in->bytes;
    uint64_t address = eip;
    size_t size = in->len;

    if (cs_disasm_iter(handle, &code, &size, &address, d->insn))
        put_insn(d, text);
    else
        snprintf(text, EXPLAIN_TEXT, "%s", in->info->mnemonic);
}

/* mov reg64, imm64: what the value is, by what comes behind it (rules*.c, light.c, count.c). */
static const char *pointer_of(const uint8_t *code)
{
    if (code[0] == 0x49 && code[1] == 0xbb && code[10] == 0x4d)
        return "mov r11, this unit's counter";
    if (code[0] != 0x49 || code[1] != 0xb9)
        return NULL;
    if (code[10] == 0x47)
        return "mov r9, a table";
    return code[10] == 0x4c ? "mov r9, a function for it"
           : code[10] == 0xe9 ? "mov r9, this instruction" : NULL;
}

static void put_host(const struct explain_disasm *d, const struct explain_host *host, char *text)
{
    const uint8_t *at = host->at;
    const char *pointer = host->end - at > 10 ? pointer_of(at) : NULL;
    int32_t rel;

    memcpy(&rel, at + 1, sizeof(rel));
    if (pointer)
        snprintf(text, EXPLAIN_TEXT, "%s", pointer);
    else if (at[0] == 0xe9 && (at + 5 + rel < host->start || at + 5 + rel > host->end))
        snprintf(text, EXPLAIN_TEXT, "jmp monitor");
    else if (at[0] == 0x41 && at[1] == 0xb9 && d->insn->size == 6 && at[6] == 0xe9)
        snprintf(text, EXPLAIN_TEXT, "mov r9d, this exit");
    else
        put_insn(d, text);
}

bool explain_disasm_host(struct explain_disasm *d, struct explain_host *host, uint32_t *offset,
                         char text[EXPLAIN_TEXT])
{
    uint64_t address = (uint64_t)(host->at - host->start);
    const uint8_t *code = host->at;

    if (!host->left || !cs_disasm_iter(d->host, &code, &host->left, &address, d->insn))
        return false;
    *offset = (uint32_t)(host->at - host->start);
    put_host(d, host, text);
    host->at = code;
    return true;
}
