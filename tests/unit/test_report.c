/* Exit statuses, the disassembler, and names from an ELF file's symbol table. */
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "frontend/disasm.h"
#include "frontend/image.h"
#include "frontend/report.h"
#include "frontend/symbols.h"
#include "tests/check.h"

static void test_status(void)
{
    static const struct {
        enum vm_end end;
        int code, status;
    } ends[] = {
        { VM_POWEROFF, 0, 0 },        { VM_EXPECTED, 0, 0 },
        { VM_RESET, 0, 83 },          { VM_DEBUG_EXIT, 63, 63 },
        { VM_TRIPLE_FAULT, 0, 80 },   { VM_PANIC, 0, 81 },
        { VM_HALTED, 0, 82 },         { VM_TIMEOUT, 0, 124 },
        { VM_SIGNAL, 15, 143 },       { VM_SIGNAL, 2, 130 },
        { VM_QUIT, 0, 130 },          { VM_UNSUPPORTED, 0, EX_SOFTWARE },
        { VM_HOST_ERROR, 28, EX_IOERR }, { VM_HOST_ERROR, 12, EX_OSERR },
    };

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        struct vm_stop stop = { ends[i].end, ends[i].code, "" };

        CHECK_EQ(report_status(&stop, false), ends[i].status);
        CHECK_EQ(strlen(report_end_name(ends[i].end)) > 0, 1);
        CHECK_EQ(report_status(&stop, true), ends[i].end == VM_POWEROFF ? 76 : ends[i].status);
    }
}

static void disassembles(const char *bytes, size_t size, int bits, const char *want)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    disasm_print_marked(out, (const uint8_t *)bytes, size, 0x1000, bits, 0x1001);
    fclose(out);
    if (!strstr(text, want)) {
        printf("%s lacks %s\n", text, want);
        check_failures++;
    }
    free(text);
}

static void test_disasm(void)
{
    disassembles("\x90\x0f\x0b", 3, 32, ">     1001:  0f 0b                    ud2");
    disassembles("\xb8\x34\x12", 3, 16, "mov ax, 0x1234");
    disassembles("\x48\x89\xd8", 3, 64, "mov rax, rbx");
    disassembles("\x90\xff\xff\x90", 4, 32, ".byte");
    disassembles("\x90\xff\xff\x90", 4, 32, "     1003:  90");
    /* b8 xx xx xx xx ends at the mark; from its second byte on there is other code as well */
    CHECK_EQ(disasm_sync((const uint8_t *)"\xff\xff\xb8\x90\x90\x90\x90", 7, 32), 5);
    CHECK_EQ(disasm_sync((const uint8_t *)"\x0f", 1, 32), 0);
}

/* Writes "name+0x12", or "" where there is none. */
static void write_name(const struct symbols *symbols, uint64_t address, char *text, size_t size)
{
    uint64_t offset;
    const char *name = symbols_nearest(symbols, address, &offset);

    *text = '\0';
    if (name)
        snprintf(text, size, "%s+0x%llx", name, (unsigned long long)offset);
}

/* The program's own headers come first; what it says is how far it was moved when it was loaded. */
static void name_at(const char *path, uint64_t address, char *text, size_t size)
{
    struct symbols *symbols = symbols_read(path);

    write_name(symbols, address, text, size);
    symbols_free(symbols);
}

static int first_base(struct dl_phdr_info *info, size_t size, void *base)
{
    (void)size;
    *(uintptr_t *)base = info->dlpi_addr;
    return 1;
}

static void test_own_symbols(void)
{
    uintptr_t base = 0;
    char text[128];

    dl_iterate_phdr(first_base, &base);
    name_at("/proc/self/exe", (uintptr_t)test_disasm - base + 3, text, sizeof(text));
    CHECK_EQ(strcmp(text, "test_disasm+0x3"), 0);
    name_at("/proc/self/exe", (uintptr_t)disasm_print - base, text, sizeof(text));
    CHECK_EQ(strcmp(text, "disasm_print+0x0"), 0);
    name_at("/proc/self/exe", 0xffffffff00000000, text, sizeof(text));
    CHECK_EQ(strlen(text), 0);
}

static void check_nearest(const struct symbols *s, uint64_t address, const char *want)
{
    char text[64];

    write_name(s, address, text, sizeof(text));
    CHECK_EQ(strcmp(text, want), 0);
}

static void test_map(void)
{
    static char text[] = "c0100000 T begin\nc0100020 t inner\nc0100020 T same\nnonsense\n"
                         "c0200000 W last";
    struct image map = { (uint8_t *)text, strlen(text) }, part = { (uint8_t *)text, 8 };
    struct symbols *s = symbols_create();
    uint64_t start, end;

    symbols_add_map(s, &part);
    CHECK_EQ(symbols_count(s), 0);
    symbols_add_map(s, &map);
    symbols_sort(s);
    CHECK_EQ(symbols_count(s), 4);
    check_nearest(s, 0xc010001f, "begin+0x1f");
    check_nearest(s, 0xc0100021, "inner+0x1");
    check_nearest(s, 0xc00fffff, "");
    CHECK_EQ(symbols_range(s, "inner", &start, &end), true);
    CHECK_EQ(start, 0xc0100020);
    CHECK_EQ(end, 0xc0200000);
    CHECK_EQ(symbols_range(s, "last", &start, &end) && end == start + 1, true);
    CHECK_EQ(symbols_range(s, "data", &start, &end), false);
    symbols_free(s);
}

static void test_sizes(void)
{
    struct symbols *s = symbols_create();

    symbols_add(s, 0x2000, 0x10, "inner");
    symbols_add(s, 0x1000, 0x3000, "outer");
    symbols_sort(s);
    check_nearest(s, 0x200f, "inner+0xf");
    check_nearest(s, 0x2010, "outer+0x1010");
    check_nearest(s, 0x4000, "");
    symbols_free(s);
}

static void test_no_symbols(void)
{
    char text[128], path[] = "/tmp/novt-test-XXXXXX";
    int fd = mkstemp(path);

    name_at("/nonexistent", 0x1000, text, sizeof(text));
    CHECK_EQ(strlen(text), 0);
    name_at("/dev/null", 0x1000, text, sizeof(text));
    CHECK_EQ(strlen(text), 0);
    CHECK_EQ(write(fd, "\x7f" "ELF garbage", 12), 12);
    name_at(path, 0x1000, text, sizeof(text));
    CHECK_EQ(strlen(text), 0);
    close(fd);
    unlink(path);
}

int main(void)
{
    test_status();
    test_disasm();
    test_own_symbols();
    test_map();
    test_sizes();
    test_no_symbols();
    return CHECK_DONE();
}
