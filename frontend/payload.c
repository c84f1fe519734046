/*
 * Unpacking a bzImage. Reference: "The Linux/x86 Boot Protocol", Documentation/arch/x86/boot.rst:
 * setup_sects, version, payload_offset and payload_length (since 2.08). The packed data are told
 * apart by their first bytes; all but gzip's are followed by the size of what is in them.
 *
 * liblzma and libzstd are loaded when one is needed.
 */
#include "frontend/payload.h"

#include <dlfcn.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "frontend/boot.h"
#include "frontend/error.h"
#include "frontend/image.h"

enum {
    SETUP_SECTS = 0x1f1,
    VERSION = 0x206,
    PAYLOAD_OFFSET = 0x248,
    PAYLOAD_LENGTH = 0x24c,
    HEADER_END = 0x250,
    SECTOR = 512,
    VERSION_MIN = 0x0208,
};

#define UNPACKED_MAX (256u << 20)

struct packed {
    const uint8_t *bytes;
    size_t size;
    const char *path;
};

static int damaged(const struct packed *from, struct error *error)
{
    return error_set(error, EX_DATAERR, "kernel '%s': what is packed in it is damaged or cut "
                     "short; get it again", from->path);
}

static int no_memory(const struct packed *from, struct error *error)
{
    return error_set(error, EX_OSERR, "kernel '%s': no host memory to unpack it into; free some",
                     from->path);
}

static int missing(const struct packed *from, const char *library, const char *package,
                   struct error *error)
{
    return error_set(error, EX_UNAVAILABLE, "kernel '%s': it takes %s to unpack it; apt-get "
                     "install %s", from->path, library, package);
}

/* The size behind the data, and room for as much. */
static int make_room(const struct packed *from, struct image *to, struct error *error)
{
    uint32_t size;

    if (from->size < 8)
        return damaged(from, error);
    memcpy(&size, from->bytes + from->size - 4, 4);
    if (!size || size > UNPACKED_MAX)
        return damaged(from, error);
    to->bytes = malloc(size);
    to->size = size;
    return to->bytes ? 0 : no_memory(from, error);
}

/* --- xz and lzma ------------------------------------------------------------------------------ */

struct lzma {
#define LZMA_CALL(type, name, arguments) type(*name) arguments;
#define ZSTD_CALL(type, name, arguments)
#include "frontend/payload_calls.def"
};

static bool load_lzma(void *library, struct lzma *lzma)
{
#define LZMA_CALL(type, name, arguments)                                                          \
    *(void **)&lzma->name = library ? dlsym(library, #name) : NULL;                               \
    if (!lzma->name)                                                                              \
        return false;
#define ZSTD_CALL(type, name, arguments)
#include "frontend/payload_calls.def"
    return true;
}

static int decode_lzma(const struct lzma *lzma, const struct packed *from, struct image *to,
                       struct error *error)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_ret got;

    got = from->bytes[0] == 0xfd ? lzma->lzma_stream_decoder(&stream, UINT64_MAX, 0)
                                 : lzma->lzma_alone_decoder(&stream, UINT64_MAX);
    if (got != LZMA_OK)
        return no_memory(from, error);
    stream.next_in = from->bytes;
    stream.avail_in = from->size - 4;
    stream.next_out = to->bytes;
    stream.avail_out = to->size;
    got = lzma->lzma_code(&stream, LZMA_FINISH);
    to->size -= stream.avail_out;
    lzma->lzma_end(&stream);
    if (got == LZMA_MEM_ERROR)
        return no_memory(from, error);
    return got == LZMA_STREAM_END || (got == LZMA_OK && !stream.avail_out) ? 0
                                                                          : damaged(from, error);
}

static int unpack_lzma(const struct packed *from, struct image *to, struct error *error)
{
    void *library = dlopen("liblzma.so.5", RTLD_NOW | RTLD_LOCAL);
    struct lzma lzma;
    int err;

    if (!load_lzma(library, &lzma))
        return missing(from, "liblzma", "liblzma5", error);
    err = make_room(from, to, error);
    if (!err)
        err = decode_lzma(&lzma, from, to, error);
    dlclose(library);
    return err;
}

/* --- zstd ------------------------------------------------------------------------------------- */

struct zstd {
#define LZMA_CALL(type, name, arguments)
#define ZSTD_CALL(type, name, arguments) type(*name) arguments;
#include "frontend/payload_calls.def"
};

static bool load_zstd(void *library, struct zstd *zstd)
{
#define LZMA_CALL(type, name, arguments)
#define ZSTD_CALL(type, name, arguments)                                                          \
    *(void **)&zstd->name = library ? dlsym(library, #name) : NULL;                               \
    if (!zstd->name)                                                                              \
        return false;
#include "frontend/payload_calls.def"
    return true;
}

static int unpack_zstd(const struct packed *from, struct image *to, struct error *error)
{
    void *library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
    struct zstd zstd;
    size_t size;
    int err;

    if (!load_zstd(library, &zstd))
        return missing(from, "libzstd", "libzstd1", error);
    err = make_room(from, to, error);
    if (!err) {
        size = zstd.ZSTD_decompress(to->bytes, to->size, from->bytes, from->size - 4);
        if (zstd.ZSTD_isError(size))
            err = damaged(from, error);
        else
            to->size = size;
    }
    dlclose(library);
    return err;
}

/* --- gzip ------------------------------------------------------------------------------------- */

static int unpack_gzip(const struct packed *from, struct image *to, struct error *error)
{
    to->bytes = malloc(from->size);
    if (!to->bytes)
        return no_memory(from, error);
    to->size = from->size;
    memcpy(to->bytes, from->bytes, from->size);
    return image_unzip(to, from->path, "kernel", UNPACKED_MAX, error);
}

/* --- All of them ------------------------------------------------------------------------------ */

static const struct format {
    const char *magic;
    size_t size;
    int (*unpack)(const struct packed *from, struct image *to, struct error *error);
} formats[] = {
    { "\x1f\x8b", 2, unpack_gzip },
    { "\xfd" "7zXZ", 6, unpack_lzma }, /* with its NUL */
    { "\x5d\0\0", 3, unpack_lzma },
    { "\x28\xb5\x2f\xfd", 4, unpack_zstd },
};

static int unpack(const struct packed *from, struct image *to, struct error *error)
{
    for (unsigned i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (from->size > formats[i].size &&
            !memcmp(from->bytes, formats[i].magic, formats[i].size))
            return formats[i].unpack(from, to, error);
    return error_set(error, EX_DATAERR, "kernel '%s': packed in another way than gzip, xz, lzma or "
                     "zstd; name the vmlinux in it", from->path);
}

static uint32_t get(const struct image *image, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    memcpy(&value, image->bytes + offset, size);
    return value;
}

/* Where the packed data are in the file. */
static int find(const struct image *image, struct packed *from, struct error *error)
{
    uint64_t start, size;

    if (image->size < HEADER_END || !boot_linux_is(image))
        return error_set(error, EX_DATAERR, "'%s' is no bzImage; name one that is", from->path);
    if (get(image, VERSION, 2) < VERSION_MIN)
        return error_set(error, EX_DATAERR, "kernel '%s': too old to say where its payload is "
                         "(boot protocol before 2.08); name the vmlinux in it", from->path);
    start = ((get(image, SETUP_SECTS, 1) ? get(image, SETUP_SECTS, 1) : 4) + 1) * SECTOR +
            (uint64_t)get(image, PAYLOAD_OFFSET, 4);
    size = get(image, PAYLOAD_LENGTH, 4);
    if (start > image->size || size > image->size - start)
        return damaged(from, error);
    from->bytes = image->bytes + start;
    from->size = size;
    return 0;
}

int payload_unpack(struct image *image, const char *path, struct error *error)
{
    struct packed from = { .path = path };
    struct image to = { 0 };

    if (find(image, &from, error))
        return -1;
    if (unpack(&from, &to, error)) {
        image_free(&to);
        return -1;
    }
    image_free(image);
    *image = to;
    return 0;
}
