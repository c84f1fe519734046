/*
 * Writes a newc cpio archive, the form an initramfs has, from a list of what
 * shall be in it. Needs no root: a device node is only a header here.
 * The same list gives the same bytes: owner 0, time 0, inodes counted.
 *
 *   mkcpio < LIST > ARCHIVE
 *
 *   dir  NAME MODE
 *   nod  NAME MODE b|c MAJOR MINOR
 *   link NAME TARGET
 *   file NAME MODE HOST-PATH
 *
 * Reference: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct entry {
    const char *name;
    unsigned mode;
    unsigned nlink;
    unsigned rdev_major, rdev_minor;
    const void *data;
    size_t size;
};

static unsigned line_number;
static unsigned next_inode = 1;
static size_t written;

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "mkcpio: line %u: ", line_number);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(65);
}

static void put(const void *data, size_t size)
{
    if (size && fwrite(data, size, 1, stdout) != 1)
        fail("cannot write the archive");
    written += size;
}

static void pad4(void)
{
    put("\0\0\0", -written & 3);
}

static void put_entry(const struct entry *e)
{
    const char *name = e->name + (*e->name == '/'); /* the archive's names are relative to / */
    char header[111];

    snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
             next_inode++, e->mode, 0, 0, e->nlink, 0, (unsigned)e->size, 0, 0, e->rdev_major,
             e->rdev_minor, (unsigned)strlen(name) + 1, 0);
    put(header, 110);
    put(name, strlen(name) + 1);
    pad4();
    put(e->data, e->size);
    pad4();
}

static void put_dir(const char *name, unsigned mode)
{
    put_entry(&(struct entry){ .name = name, .mode = S_IFDIR | mode, .nlink = 2 });
}

static void put_node(const char *name, unsigned mode, char type, unsigned maj, unsigned min)
{
    if (type != 'b' && type != 'c')
        fail("a node's type is b or c, not %c", type);
    put_entry(&(struct entry){ .name = name, .nlink = 1, .rdev_major = maj, .rdev_minor = min,
                               .mode = (type == 'b' ? S_IFBLK : S_IFCHR) | mode });
}

static void put_link(const char *name, const char *target)
{
    put_entry(&(struct entry){ .name = name, .mode = S_IFLNK | 0777, .nlink = 1,
                               .data = target, .size = strlen(target) });
}

static void put_file(const char *name, unsigned mode, const char *path)
{
    struct stat st;
    FILE *file = fopen(path, "rb");
    void *data;

    if (!file || fstat(fileno(file), &st) || !S_ISREG(st.st_mode))
        fail("cannot read the file %s", path);
    data = malloc(st.st_size + 1);
    if (!data || fread(data, 1, st.st_size, file) != (size_t)st.st_size)
        fail("cannot read all of %s", path);
    fclose(file);
    put_entry(&(struct entry){ .name = name, .mode = S_IFREG | mode, .nlink = 1,
                               .data = data, .size = st.st_size });
    free(data);
}

static void put_line(const char *line)
{
    char name[256], text[1024], type;
    unsigned mode, maj, min;

    if (sscanf(line, "dir %255s %o", name, &mode) == 2)
        put_dir(name, mode);
    else if (sscanf(line, "nod %255s %o %c %u %u", name, &mode, &type, &maj, &min) == 5)
        put_node(name, mode, type, maj, min);
    else if (sscanf(line, "link %255s %1023s", name, text) == 2)
        put_link(name, text);
    else if (sscanf(line, "file %255s %o %1023[^\n]", name, &mode, text) == 3)
        put_file(name, mode, text);
    else
        fail("expected dir, nod, link or file: %s", line);
}

int main(void)
{
    char line[2048];

    while (fgets(line, sizeof(line), stdin)) {
        line_number++;
        if (line[0] != '#' && line[0] != '\n')
            put_line(line);
    }
    put_entry(&(struct entry){ .name = "TRAILER!!!", .nlink = 1 });
    if (fflush(stdout))
        fail("cannot write the archive");
    return 0;
}
