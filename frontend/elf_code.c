/* The code of a 32-bit x86 ELF file: see elf_code.h. */
#include "frontend/elf_code.h"

#include <gelf.h>
#include <stdlib.h>
#include <sysexits.h>

#include "frontend/boot.h"
#include "frontend/error.h"
#include "frontend/image.h"
#include "frontend/payload.h"

#define FILE_MAX (1ull << 30)

struct elf_code {
    struct image image;
    Elf *elf;
};

static int read_file(struct image *image, const char *path, bool packed, struct error *error)
{
    if (image_read(image, path, "program", FILE_MAX, error))
        return -1;
    if (packed || boot_linux_is(image))
        return payload_unpack(image, path, error);
    return image_unzip(image, path, "program", FILE_MAX, error);
}

struct elf_code *elf_code_open(const char *path, bool packed, struct error *error)
{
    struct elf_code *code = calloc(1, sizeof(*code));
    GElf_Ehdr header;

    if (!code) {
        error_set(error, EX_OSERR, "no host memory for '%s'; free some", path);
        return NULL;
    }
    if (read_file(&code->image, path, packed, error)) {
        elf_code_close(code);
        return NULL;
    }
    if (elf_version(EV_CURRENT) != EV_NONE)
        code->elf = elf_memory((char *)code->image.bytes, code->image.size);
    if (code->elf && gelf_getehdr(code->elf, &header) && header.e_machine == EM_386)
        return code;
    elf_code_close(code);
    error_set(error, EX_DATAERR, "'%s' is no 32-bit x86 ELF file; name one that is", path);
    return NULL;
}

void elf_code_close(struct elf_code *code)
{
    if (code->elf)
        elf_end(code->elf);
    image_free(&code->image);
    free(code);
}

const struct image *elf_code_image(const struct elf_code *code)
{
    return &code->image;
}

/* The part of [piece->start, piece->end) that a loaded, executable section has. */
static bool clip(const struct elf_code *code, const GElf_Shdr *section, struct code_piece *piece)
{
    uint64_t end = section->sh_addr + section->sh_size;

    if (section->sh_type != SHT_PROGBITS || !(section->sh_flags & SHF_EXECINSTR) ||
        section->sh_offset > code->image.size ||
        section->sh_size > code->image.size - section->sh_offset || end > UINT32_MAX ||
        piece->end <= section->sh_addr || piece->start >= end)
        return false;
    if (piece->start < section->sh_addr)
        piece->start = (uint32_t)section->sh_addr;
    if (piece->end > end)
        piece->end = (uint32_t)end;
    piece->bytes = code->image.bytes + section->sh_offset + (piece->start - section->sh_addr);
    return true;
}

bool elf_code_next(const struct elf_code *code, unsigned *place, uint32_t start, uint32_t end,
                   struct code_piece *piece)
{
    Elf_Scn *section;
    GElf_Shdr header;

    while ((section = elf_getscn(code->elf, ++*place))) {
        *piece = (struct code_piece){ start, end, NULL };
        if (gelf_getshdr(section, &header) && clip(code, &header, piece))
            return true;
    }
    return false;
}
