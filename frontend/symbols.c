/* Looks up one address in an ELF file's symbol table, by libelf. */
#include "frontend/symbols.h"

#include <gelf.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "frontend/error.h"
#include "frontend/image.h"

#define FILE_MAX (1ull << 30)
#define FAR_AWAY 0x100000 /* a label this far below says nothing */

struct best {
    uint64_t address, value;
    const char *name; /* NULL: none yet */
};

static void consider(struct best *best, const GElf_Sym *symbol, const char *name)
{
    unsigned type = GELF_ST_TYPE(symbol->st_info);
    uint64_t distance = best->address - symbol->st_value;

    if ((type != STT_FUNC && type != STT_NOTYPE) || !name || !*name ||
        symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS ||
        symbol->st_value > best->address || distance >= FAR_AWAY ||
        (type == STT_FUNC && symbol->st_size && distance >= symbol->st_size))
        return;
    if (!best->name || symbol->st_value > best->value) {
        best->name = name;
        best->value = symbol->st_value;
    }
}

static void search_section(struct best *best, Elf *elf, Elf_Scn *section, const GElf_Shdr *header)
{
    Elf_Data *data = elf_getdata(section, NULL);
    GElf_Sym symbol;

    if (!data || !header->sh_entsize)
        return;
    for (int i = 0; gelf_getsym(data, i, &symbol); i++)
        consider(best, &symbol, elf_strptr(elf, header->sh_link, symbol.st_name));
}

static void search(const struct image *image, uint64_t address, char *text, size_t size)
{
    struct best best = { .address = address };
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    Elf *elf;

    if (elf_version(EV_CURRENT) == EV_NONE)
        return;
    elf = elf_memory((char *)image->bytes, image->size);
    while (elf && (section = elf_nextscn(elf, section)))
        if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB)
            search_section(&best, elf, section, &header);
    if (best.name)
        snprintf(text, size, "%s+0x%" PRIx64, best.name, address - best.value);
    elf_end(elf);
}

void symbols_name(const char *path, uint64_t address, char *text, size_t size)
{
    struct error ignored = { 0 };
    struct image image;

    *text = '\0';
    if (image_read(&image, path, "kernel", FILE_MAX, &ignored))
        return;
    if (!image_unzip(&image, path, "kernel", FILE_MAX, &ignored))
        search(&image, address, text, size);
    image_free(&image);
}
