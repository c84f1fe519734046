/* Capstone as a printer. It is opened for each piece: pieces are rare, and nothing stays behind. */
#include "frontend/disasm.h"

#include <capstone/capstone.h>
#include <inttypes.h>
#include <stdbool.h>

#define BYTES_SHOWN 8

static bool open_capstone(csh *handle, int bits)
{
    cs_mode mode = bits == 16 ? CS_MODE_16 : bits == 64 ? CS_MODE_64 : CS_MODE_32;

    return cs_open(CS_ARCH_X86, mode, handle) == CS_ERR_OK;
}

static void print_line(FILE *out, const cs_insn *insn, char pointer)
{
    fprintf(out, "%c %8" PRIx64 ": ", pointer, insn->address);
    for (unsigned i = 0; i < BYTES_SHOWN; i++) {
        if (i < insn->size)
            fprintf(out, " %02x", insn->bytes[i]);
        else
            fprintf(out, "   ");
    }
    fprintf(out, "%s %s %s\n", insn->size > BYTES_SHOWN ? "+" : " ", insn->mnemonic, insn->op_str);
}

void disasm_print_marked(FILE *out, const uint8_t *code, size_t size, uint64_t address, int bits,
                         uint64_t mark)
{
    cs_insn *insn;
    csh handle;

    if (!open_capstone(&handle, bits))
        return;
    insn = cs_malloc(handle);
    while (insn && size) {
        if (cs_disasm_iter(handle, &code, &size, &address, insn)) {
            print_line(out, insn, insn->address == mark ? '>' : ' ');
            continue;
        }
        fprintf(out, "%c %8" PRIx64 ":  %02x .byte\n", address == mark ? '>' : ' ', address, *code);
        code++;
        size--;
        address++;
    }
    if (insn)
        cs_free(insn, 1);
    cs_close(&handle);
}

void disasm_print(FILE *out, const uint8_t *code, size_t size, uint64_t address, int bits)
{
    disasm_print_marked(out, code, size, address, bits, UINT64_MAX);
}

size_t disasm_text(const uint8_t *code, size_t size, uint64_t address, int bits, char *text,
                   size_t room)
{
    size_t length = 0;
    cs_insn *insn;
    csh handle;

    snprintf(text, room, "(bad)");
    if (!open_capstone(&handle, bits))
        return 0;
    insn = cs_malloc(handle);
    if (insn && cs_disasm_iter(handle, &code, &size, &address, insn)) {
        snprintf(text, room, "%s %s", insn->mnemonic, insn->op_str);
        length = insn->size;
    }
    if (insn)
        cs_free(insn, 1);
    cs_close(&handle);
    return length;
}

/* Do whole instructions fill the bytes? */
static bool fills(csh handle, cs_insn *insn, const uint8_t *code, size_t size)
{
    uint64_t address = 0;

    while (size)
        if (!cs_disasm_iter(handle, &code, &size, &address, insn))
            return false;
    return true;
}

size_t disasm_sync(const uint8_t *code, size_t size, int bits)
{
    size_t found = 0;
    cs_insn *insn;
    csh handle;

    if (!open_capstone(&handle, bits))
        return 0;
    insn = cs_malloc(handle);
    for (size_t n = size; insn && n && !found; n--)
        if (fills(handle, insn, code + size - n, n))
            found = n;
    if (insn)
        cs_free(insn, 1);
    cs_close(&handle);
    return found;
}
