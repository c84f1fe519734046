/*
 * ELF images in user address spaces. Reference: the ELF specification (Tool Interface Standard
 * 1.2), parts 1 (program headers) and 2 (dynamic section).
 *
 * From an address downward the first page that begins with an ELF header is its image's, if the
 * image reaches up to there. Where headers are in a page that nobody reads, it is a file of the
 * user's if the code is the same. Symbols are those of a file of the user's with the same program
 * headers, or what a dynamic linker needs (exported functions), as far as the guest has it in
 * memory: not all at first, so it is read again now and then.
 *
 * All of it is the guest's and may be anything: sizes are bounded, addresses wrap.
 */
#include "frontend/user_images.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/physmem.h"
#include "frontend/image.h"
#include "frontend/peek.h"
#include "frontend/symbols.h"

#define IMAGES 128
#define HEADERS_MAX 24
#define PAGES_BELOW 8192 /* how far below the address its header may be */
#define GAP_MAX 1024     /* pages of it that are not in memory */
#define MISSES 256       /* remembered addresses without an image */
#define MISS_USES 1000   /* for so many questions */
#define DYNAMIC_MAX 128
#define SYMBOLS_MAX 65536u
#define NAME_SIZE 64
#define READ_AGAIN_MAX 4096
#define CODE_SAME 16u /* bytes by which code is told to be the same */

/* What two copies of a file have in common. */
struct headers {
    Elf32_Half type;
    Elf32_Addr entry;
    unsigned count;
    Elf32_Phdr program[HEADERS_MAX];
};

struct offered {
    struct headers headers;
    struct symbols *symbols;
    uint8_t *code; /* of a program with a fixed address, from start on; NULL: it has none */
    uint32_t start, size;
    struct offered *next;
};

struct user_image {
    uint32_t base, end, bias; /* end 0: free */
    uint64_t mark;            /* of its headers' bytes */
    char name[NAME_SIZE];
    struct symbols *symbols; /* at addresses as in the file */
    bool own, complete;
    unsigned asked;
};

struct user_images {
    struct vcpu *vcpu;
    struct offered *offered;
    struct user_image image[IMAGES];
    unsigned next; /* to be replaced */
    struct {
        uint64_t root; /* 0: none */
        uint32_t page, uses;
    } miss[MISSES];
};

/* --- Headers --------------------------------------------------------------------------------- */

static bool is_elf(const Elf32_Ehdr *e)
{
    return !memcmp(e->e_ident, ELFMAG, SELFMAG) && e->e_ident[EI_CLASS] == ELFCLASS32 &&
           e->e_ident[EI_DATA] == ELFDATA2LSB && (e->e_type == ET_EXEC || e->e_type == ET_DYN) &&
           e->e_phentsize == sizeof(Elf32_Phdr) && e->e_phnum && e->e_phnum <= HEADERS_MAX;
}

static void take_header(struct headers *h, const Elf32_Ehdr *e)
{
    memset(h, 0, sizeof(*h));
    h->type = e->e_type;
    h->entry = e->e_entry;
    h->count = e->e_phnum;
}

static bool headers_at(struct vcpu *vcpu, uint32_t base, struct headers *h)
{
    Elf32_Ehdr e;

    if (!peek_bytes(vcpu, base, &e, sizeof(e)) || !is_elf(&e))
        return false;
    take_header(h, &e);
    return peek_bytes(vcpu, base + e.e_phoff, h->program, h->count * sizeof(Elf32_Phdr));
}

static bool headers_in(const struct image *file, struct headers *h)
{
    Elf32_Ehdr e;

    if (file->size < sizeof(e))
        return false;
    memcpy(&e, file->bytes, sizeof(e));
    if (!is_elf(&e) || e.e_phoff > file->size ||
        file->size - e.e_phoff < e.e_phnum * sizeof(Elf32_Phdr))
        return false;
    take_header(h, &e);
    memcpy(h->program, file->bytes + e.e_phoff, h->count * sizeof(Elf32_Phdr));
    return true;
}

/* Files of symbols alone have other offsets and sizes in the file. */
static bool same(const struct headers *a, const struct headers *b)
{
    if (a->type != b->type || a->entry != b->entry || a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (a->program[i].p_type != b->program[i].p_type ||
            a->program[i].p_vaddr != b->program[i].p_vaddr ||
            a->program[i].p_memsz != b->program[i].p_memsz)
            return false;
    return true;
}

static uint64_t mark_of(const struct headers *h)
{
    uint64_t mark = 0xcbf29ce484222325ull;

    for (size_t i = 0; i < sizeof(*h); i++)
        mark = (mark ^ ((const uint8_t *)h)[i]) * 0x100000001b3ull;
    return mark;
}

/* Where its first and last byte would be without a bias. False: nothing of it is loaded. */
static bool extent(const struct headers *h, uint32_t *first, uint32_t *end)
{
    *first = UINT32_MAX;
    *end = 0;
    for (unsigned i = 0; i < h->count; i++) {
        const Elf32_Phdr *p = &h->program[i];
        uint32_t behind = p->p_vaddr + p->p_memsz;

        if (p->p_type != PT_LOAD || behind < p->p_vaddr)
            continue;
        *first = p->p_vaddr < *first ? p->p_vaddr : *first;
        *end = behind > *end ? behind : *end;
    }
    *first &= ~(uint32_t)PAGE_MASK;
    return *end > *first;
}

/* --- Symbols in memory ----------------------------------------------------------------------- */

struct dynamic {
    uint32_t symbols, strings, strings_size, name;
};

static void read_dynamic(struct vcpu *vcpu, uint32_t at, struct dynamic *d)
{
    Elf32_Dyn entry;

    for (unsigned i = 0; i < DYNAMIC_MAX; i++) {
        if (!peek_bytes(vcpu, at + i * (uint32_t)sizeof(entry), &entry, sizeof(entry)) ||
            entry.d_tag == DT_NULL)
            return;
        switch (entry.d_tag) {
        case DT_SYMTAB: d->symbols = entry.d_un.d_ptr; break;
        case DT_STRTAB: d->strings = entry.d_un.d_ptr; break;
        case DT_STRSZ: d->strings_size = entry.d_un.d_val; break;
        case DT_SONAME: d->name = entry.d_un.d_val; break;
        default: break;
        }
    }
}

/* A dynamic linker has added the bias in place; some images are left as they were linked. */
static uint32_t biased(const struct user_image *image, uint32_t address)
{
    return address - image->base < image->end - image->base ? address : address + image->bias;
}

/* The strings are behind the symbols in what linkers make; nothing else says how many there are. */
static unsigned symbol_count(const struct dynamic *d)
{
    uint32_t count = (d->strings - d->symbols) / (uint32_t)sizeof(Elf32_Sym);

    return d->strings > d->symbols && count <= SYMBOLS_MAX ? count : 0;
}

static void read_symbols(struct vcpu *vcpu, struct user_image *image, const struct dynamic *d)
{
    unsigned count = symbol_count(d);
    char name[256];
    Elf32_Sym s;

    image->complete = true;
    for (unsigned i = 1; i < count; i++) {
        if (!peek_bytes(vcpu, d->symbols + i * (uint32_t)sizeof(s), &s, sizeof(s))) {
            image->complete = false;
            continue;
        }
        if (ELF32_ST_TYPE(s.st_info) != STT_FUNC || s.st_shndx == SHN_UNDEF ||
            s.st_name >= d->strings_size)
            continue;
        if (peek_string(vcpu, d->strings + s.st_name, name, sizeof(name)))
            symbols_add(image->symbols, s.st_value, s.st_size ? s.st_size : 1, name);
        else
            image->complete = false;
    }
}

static void read_image(struct vcpu *vcpu, struct user_image *image, const struct headers *h)
{
    struct dynamic d = { 0 };
    char name[NAME_SIZE];

    symbols_free(image->symbols);
    image->symbols = symbols_create();
    image->own = true;
    for (unsigned i = 0; i < h->count; i++)
        if (h->program[i].p_type == PT_DYNAMIC)
            read_dynamic(vcpu, h->program[i].p_vaddr + image->bias, &d);
    image->complete = !d.symbols || !d.strings;
    if (image->complete || !image->symbols)
        return;
    d.symbols = biased(image, d.symbols);
    d.strings = biased(image, d.strings);
    if (d.name && d.name < d.strings_size &&
        peek_string(vcpu, d.strings + d.name, name, sizeof(name)))
        snprintf(image->name, sizeof(image->name), "%s", name);
    read_symbols(vcpu, image, &d);
    symbols_sort(image->symbols);
}

/* --- Images ---------------------------------------------------------------------------------- */

static void forget(struct user_image *image)
{
    if (image->own)
        symbols_free(image->symbols);
    *image = (struct user_image){ 0 };
}

static const struct offered *find_offered(const struct user_images *images,
                                          const struct headers *h)
{
    for (const struct offered *o = images->offered; o; o = o->next)
        if (same(&o->headers, h))
            return o;
    return NULL;
}

static struct user_image *add(struct user_images *images, uint32_t base, const struct headers *h)
{
    struct user_image *image = &images->image[images->next];
    const struct offered *offered = find_offered(images, h);
    uint32_t first, end;

    if (!extent(h, &first, &end))
        return NULL;
    images->next = (images->next + 1) % IMAGES;
    forget(image);
    image->base = base;
    image->bias = h->type == ET_EXEC ? 0 : base - first;
    image->end = end + image->bias;
    image->mark = mark_of(h);
    read_image(images->vcpu, image, h);
    if (offered) {
        symbols_free(image->symbols);
        image->symbols = offered->symbols;
        image->own = false;
        image->complete = true;
    }
    return image;
}

static bool covers(const struct user_image *image, uint32_t gla)
{
    return image->end && gla - image->base < image->end - image->base;
}

/* Pages of the tables come into the guest's memory as they are used. */
static void read_again(struct user_images *images, struct user_image *image,
                       const struct headers *h)
{
    image->asked++;
    if (!image->complete && image->asked < READ_AGAIN_MAX && !(image->asked & (image->asked - 1)))
        read_image(images->vcpu, image, h);
}

static struct user_image *known(struct user_images *images, uint32_t gla)
{
    struct headers h;

    for (unsigned i = 0; i < IMAGES; i++) {
        struct user_image *image = &images->image[i];

        if (!covers(image, gla) || !headers_at(images->vcpu, image->base, &h) ||
            mark_of(&h) != image->mark)
            continue;
        read_again(images, image, &h);
        return image;
    }
    return NULL;
}

static struct user_image *look(struct user_images *images, uint32_t gla)
{
    uint32_t page = gla & ~(uint32_t)PAGE_MASK, word;
    struct headers h;
    unsigned gap = 0;

    for (unsigned i = 0; i < PAGES_BELOW && page && gap < GAP_MAX; i++) {
        gap = peek_word(images->vcpu, page, &word) ? 0 : gap + 1;
        if (!gap && headers_at(images->vcpu, page, &h)) {
            struct user_image *image = add(images, page, &h);

            return image && covers(image, gla) ? image : NULL;
        }
        page -= (uint32_t)PAGE_SIZE;
    }
    return NULL;
}

/* The same, but not again and again where nothing was found. */
static struct user_image *look_once(struct user_images *images, uint32_t gla)
{
    uint32_t page = gla >> PAGE_SHIFT;
    uint64_t root = peek_root(images->vcpu);
    struct user_image *image;
    unsigned i = (page ^ (unsigned)(root >> PAGE_SHIFT)) % MISSES;

    if (images->miss[i].root == root && images->miss[i].page == page && images->miss[i].uses--)
        return NULL;
    image = look(images, gla);
    images->miss[i].root = image ? 0 : root;
    images->miss[i].page = page;
    images->miss[i].uses = MISS_USES;
    return image;
}

/*
 * Where a system call by SYSENTER returns to, in a page that Linux maps for it: the header is in
 * another, which programs do not touch. The instructions are part of Linux's interface.
 */
static bool is_vsyscall(struct vcpu *vcpu, uint32_t gla)
{
    static const uint8_t end[] = { 0xcd, 0x80, 0x5d, 0x5a, 0x59, 0xc3 }; /* int 0x80; pops; ret */
    uint8_t code[sizeof(end)];

    return peek_bytes(vcpu, gla - 2, code, sizeof(code)) && !memcmp(code, end, sizeof(end));
}

/* The symbol of an offered program whose code is at gla. */
static const char *by_code(struct user_images *images, uint32_t gla, uint64_t *offset)
{
    uint32_t at = gla & ~(CODE_SAME - 1);
    uint8_t code[CODE_SAME];

    for (const struct offered *o = images->offered; o; o = o->next)
        if (at - o->start < o->size && o->size - (at - o->start) >= CODE_SAME &&
            peek_bytes(images->vcpu, at, code, CODE_SAME) &&
            !memcmp(code, o->code + (at - o->start), CODE_SAME))
            return symbols_nearest(o->symbols, gla, offset);
    return NULL;
}

struct user_name user_images_name(struct user_images *images, uint32_t gla)
{
    struct user_image *image = known(images, gla);
    struct user_name name = { .image = "", .offset = gla };

    if (!image)
        image = look_once(images, gla);
    if (!image && is_vsyscall(images->vcpu, gla))
        name.symbol = "__kernel_vsyscall";
    else if (!image)
        name.symbol = by_code(images, gla, &name.offset);
    if (!name.symbol)
        name.offset = gla;
    if (!image)
        return name;
    name.image = image->name;
    if (image->symbols)
        name.symbol = symbols_nearest(image->symbols, gla - image->bias, &name.offset);
    if (!name.symbol)
        name.offset = gla - image->bias;
    return name;
}

/* --- Files of the user's --------------------------------------------------------------------- */

/* Without memory for it, it is known by its headers alone. */
static void keep_code(struct offered *o, const struct image *file)
{
    for (unsigned i = 0; o->headers.type == ET_EXEC && i < o->headers.count; i++) {
        const Elf32_Phdr *p = &o->headers.program[i];

        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || p->p_offset > file->size ||
            file->size - p->p_offset < p->p_filesz || o->code)
            continue;
        o->code = malloc(p->p_filesz);
        if (!o->code)
            return;
        memcpy(o->code, file->bytes + p->p_offset, p->p_filesz);
        o->start = p->p_vaddr;
        o->size = p->p_filesz;
    }
}

int user_images_offer(struct user_images *images, const struct image *file)
{
    struct offered *o = calloc(1, sizeof(*o));

    if (o)
        o->symbols = symbols_create();
    if (!o || !o->symbols) {
        free(o);
        return -ENOMEM;
    }
    o->next = images->offered;
    images->offered = o;
    if (!headers_in(file, &o->headers))
        return -ENOEXEC;
    keep_code(o, file);
    symbols_add_elf(o->symbols, file);
    symbols_sort(o->symbols);
    return symbols_count(o->symbols) ? 0 : -ENOEXEC;
}

struct user_images *user_images_create(struct vcpu *vcpu)
{
    struct user_images *images = calloc(1, sizeof(*images));

    if (images)
        images->vcpu = vcpu;
    return images;
}

void user_images_free(struct user_images *images)
{
    if (!images)
        return;
    for (unsigned i = 0; i < IMAGES; i++)
        forget(&images->image[i]);
    while (images->offered) {
        struct offered *o = images->offered;

        images->offered = o->next;
        symbols_free(o->symbols);
        free(o->code);
        free(o);
    }
    free(images);
}
