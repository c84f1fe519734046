/* Symbols sorted by address: see symbols.h. ELF files are read by libelf. */
#include "frontend/symbols.h"

#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/error.h"
#include "frontend/image.h"

#define FILE_MAX (1ull << 30)
#define FAR_AWAY 0x100000 /* a label this far below says nothing */

struct symbol {
    uint64_t value, size; /* size 0: not known */
    size_t name;          /* in the names */
};

struct symbols {
    struct symbol *row;
    size_t count, room;
    char *names;
    size_t used, names_room;
};

/* --- Reading ------------------------------------------------------------------------------ */

static bool grow(void **array, size_t *room, size_t wanted, size_t size)
{
    size_t more = *room ? *room : 256;
    void *bigger;

    if (wanted <= *room)
        return true;
    while (more < wanted)
        more *= 2;
    bigger = realloc(*array, more * size);
    if (!bigger)
        return false;
    *array = bigger;
    *room = more;
    return true;
}

void symbols_add(struct symbols *s, uint64_t address, uint64_t size, const char *name)
{
    size_t length = strlen(name) + 1;

    if (length < 2 || !grow((void **)&s->row, &s->room, s->count + 1, sizeof(*s->row)) ||
        !grow((void **)&s->names, &s->names_room, s->used + length, 1))
        return;
    s->row[s->count++] = (struct symbol){ address, size, s->used };
    memcpy(s->names + s->used, name, length);
    s->used += length;
}

static void add(struct symbols *s, const GElf_Sym *symbol, const char *name)
{
    unsigned type = GELF_ST_TYPE(symbol->st_info);

    if ((type == STT_FUNC || type == STT_NOTYPE) && name && symbol->st_shndx != SHN_UNDEF &&
        symbol->st_shndx != SHN_ABS)
        symbols_add(s, symbol->st_value, type == STT_FUNC ? symbol->st_size : 0, name);
}

static void add_section(struct symbols *s, Elf *elf, Elf_Scn *section, const GElf_Shdr *header)
{
    Elf_Data *data = elf_getdata(section, NULL);
    GElf_Sym symbol;

    if (!data || !header->sh_entsize)
        return;
    for (int i = 0; gelf_getsym(data, i, &symbol); i++)
        add(s, &symbol, elf_strptr(elf, header->sh_link, symbol.st_name));
}

void symbols_add_elf(struct symbols *s, const struct image *image)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    Elf *elf;

    if (elf_version(EV_CURRENT) == EV_NONE)
        return;
    elf = elf_memory((char *)image->bytes, image->size);
    while (elf && (section = elf_nextscn(elf, section)))
        if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB)
            add_section(s, elf, section, &header);
    elf_end(elf);
}

void symbols_add_map(struct symbols *s, const struct image *image)
{
    char *text = strndup((const char *)image->bytes, image->size), *rest = NULL, name[256], type;
    uint64_t address;

    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        if (sscanf(line, "%" SCNx64 " %c %255s", &address, &type, name) == 3)
            symbols_add(s, address, 0, name);
    free(text);
}

/* By address; of several names for one, the file's first comes last, where it is found first. */
static int by_value(const void *a, const void *b)
{
    const struct symbol *one = a, *other = b;

    if (one->value != other->value)
        return one->value < other->value ? -1 : 1;
    return one->name < other->name ? 1 : -1;
}

void symbols_sort(struct symbols *s)
{
    if (s->count)
        qsort(s->row, s->count, sizeof(*s->row), by_value);
}

struct symbols *symbols_create(void)
{
    return calloc(1, sizeof(struct symbols));
}

struct symbols *symbols_read(const char *path)
{
    struct symbols *s = symbols_create();
    struct error ignored = { 0 };
    struct image image;

    if (!s || image_read(&image, path, "kernel", FILE_MAX, &ignored)) {
        free(s);
        return NULL;
    }
    if (!image_unzip(&image, path, "kernel", FILE_MAX, &ignored))
        symbols_add_elf(s, &image);
    image_free(&image);
    if (s->count) {
        symbols_sort(s);
        return s;
    }
    symbols_free(s);
    return NULL;
}

void symbols_free(struct symbols *s)
{
    if (!s)
        return;
    free(s->row);
    free(s->names);
    free(s);
}

/* --- Looking up ----------------------------------------------------------------------------- */

/* How many begin at address or below. */
static size_t below(const struct symbols *s, uint64_t address)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (s->row[middle].value <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t symbols_count(const struct symbols *s)
{
    return s ? s->count : 0;
}

uint64_t symbols_highest(const struct symbols *s)
{
    return s && s->count ? s->row[s->count - 1].value : 0;
}

const char *symbols_nearest(const struct symbols *s, uint64_t address, uint64_t *offset)
{
    for (size_t i = s ? below(s, address) : 0; i > 0; i--) {
        const struct symbol *row = &s->row[i - 1];

        *offset = address - row->value;
        if (*offset >= FAR_AWAY)
            return NULL;
        if (!row->size || *offset < row->size)
            return s->names + row->name;
    }
    return NULL;
}

static const struct symbol *named(const struct symbols *s, const char *name)
{
    for (size_t i = 0; s && i < s->count; i++)
        if (!strcmp(s->names + s->row[i].name, name))
            return &s->row[i];
    return NULL;
}

/* Where the first one above it begins. */
static uint64_t next_above(const struct symbols *s, const struct symbol *row)
{
    for (const struct symbol *next = row + 1; next < s->row + s->count; next++)
        if (next->value != row->value)
            return next->value;
    return row->value + 1;
}

bool symbols_range(const struct symbols *s, const char *name, uint64_t *start, uint64_t *end)
{
    const struct symbol *row = named(s, name);

    if (!row)
        return false;
    *start = row->value;
    *end = row->size ? row->value + row->size : next_above(s, row);
    return true;
}

bool symbols_find(const struct symbols *s, const char *name, uint64_t *address)
{
    const struct symbol *row = named(s, name);

    if (row)
        *address = row->value;
    return row;
}
