/* The names for novt explain, wherever there are some: see explain_names.h. */
#include "frontend/explain_names.h"

#include <stddef.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/error.h"
#include "frontend/image.h"
#include "frontend/kallsyms.h"
#include "frontend/symbols.h"

#define FILE_MAX (1ull << 30)

static int add_file(struct symbols *names, const char *path, struct error *error)
{
    struct image file;

    if (image_read(&file, path, "symbols", FILE_MAX, error))
        return -1;
    if (image_unzip(&file, path, "symbols", FILE_MAX, error)) {
        image_free(&file);
        return -1;
    }
    symbols_add_elf(names, &file);
    if (!symbols_count(names))
        symbols_add_map(names, &file);
    image_free(&file);
    if (symbols_count(names))
        return 0;
    return error_set(error, EX_DATAERR, "--symbols: '%s' is neither an ELF file with symbols nor a "
                     "System.map; name one that is", path);
}

static void add(void *names, uint32_t gla, char type, const char *name)
{
    if (strchr("tTwW", type))
        symbols_add(names, gla, 0, name);
}

/* Its symbol table; a kernel that has none keeps another. */
static void add_own(struct symbols *names, const struct image *program)
{
    struct kallsyms *table;

    symbols_add_elf(names, program);
    table = symbols_count(names) ? NULL : kallsyms_in(program->bytes, program->size);
    if (table)
        kallsyms_each(table, add, names);
    kallsyms_free(table);
}

struct symbols *explain_names(const struct image *program, const char *symbols,
                              struct error *error)
{
    struct symbols *names = symbols_create();

    if (!names) {
        error_set(error, EX_OSERR, "explain: no host memory for names; free some");
        return NULL;
    }
    if (!symbols) {
        add_own(names, program);
    } else if (add_file(names, symbols, error)) {
        symbols_free(names);
        return NULL;
    }
    symbols_sort(names);
    return names;
}
