/*
 * What the loader told, and how the machine ends.
 *
 * Reference: Multiboot Specification 0.6.96, section 3.3; ACPI 6.3, sections 5.2.5 to 5.2.9 (the
 *            tables), 4.8.3.2 (PM1 control), 7.4.2 (S5's package).
 */
#include "guests/lib/boot.h"

#include "guests/lib/console.h"
#include "guests/lib/trap.h"

enum { MULTIBOOT_MAGIC = 0x2badb002, HAS_MEMORY = 1, HAS_COMMAND_LINE = 4 };
enum { DEBUG_EXIT = 0xf4 };

struct multiboot {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
};

/* Copies: where the loader has put them is the guest's to use. */
static struct multiboot multiboot;
static char command_line[2048];

void boot_start(uint32_t magic, const struct multiboot *info);

static void copy_line(const char *from)
{
    for (unsigned i = 0; i < sizeof(command_line) - 1 && from[i]; i++)
        command_line[i] = from[i];
}

void boot_start(uint32_t magic, const struct multiboot *info)
{
    if (magic == MULTIBOOT_MAGIC)
        multiboot = *info;
    if (multiboot.flags & HAS_COMMAND_LINE)
        copy_line((const char *)multiboot.cmdline);
    console_init();
    trap_init();
    boot_exit(guest_main());
}

const char *boot_command_line(void)
{
    const char *line = command_line;

    while (*line && *line != ' ') /* the file's name comes first */
        line++;
    while (*line == ' ')
        line++;
    return line;
}

/* Where word is in text as a whole word, or before a '='; NULL if it is not. */
static const char *find_word(const char *text, const char *word)
{
    while (*text) {
        const char *w = word;

        while (*w && *text == *w) {
            text++;
            w++;
        }
        if (!*w && (!*text || *text == ' ' || *text == '='))
            return text;
        while (*text && *text != ' ')
            text++;
        while (*text == ' ')
            text++;
    }
    return NULL;
}

bool boot_option(const char *word, uint32_t *value)
{
    const char *at = find_word(boot_command_line(), word);

    if (at && *at == '=' && value) {
        *value = 0;
        for (at++; *at >= '0' && *at <= '9'; at++)
            *value = *value * 10 + (*at - '0');
    }
    return at != NULL;
}

uint32_t boot_memory(void)
{
    return multiboot.flags & HAS_MEMORY ? multiboot.mem_upper : 0;
}

/* --- ACPI --------------------------------------------------------------- */

enum { RSDP_START = 0xe0000, RSDP_END = 0x100000, RSDP_SIZE = 20 };
enum { HEADER_SIZE = 36, FADT_DSDT = 40, FADT_PM1A_CONTROL = 64, FADT_PM_TIMER = 76 };
enum { SLP_EN = 1 << 13 };

static uint32_t get32(const uint8_t *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool sum_is_zero(const uint8_t *at, uint32_t size)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < size; i++)
        sum += at[i];
    return sum == 0;
}

static const uint8_t *find_rsdp(void)
{
    for (uint32_t at = RSDP_START; at < RSDP_END; at += 16) {
        const uint8_t *p = (const uint8_t *)at;

        if (get32(p) == 0x20445352 && get32(p + 4) == 0x20525450 && sum_is_zero(p, RSDP_SIZE))
            return p; /* "RSD PTR " */
    }
    return NULL;
}

static const uint8_t *find_fadt(void)
{
    const uint8_t *rsdp = find_rsdp(), *rsdt;

    if (!rsdp)
        return NULL;
    rsdt = (const uint8_t *)get32(rsdp + 16);
    for (uint32_t i = HEADER_SIZE; i + 4 <= get32(rsdt + 4); i += 4) {
        const uint8_t *table = (const uint8_t *)get32(rsdt + i);

        if (get32(table) == 0x50434146) /* "FACP" */
            return table;
    }
    return NULL;
}

/* \_S5's first element: NameOp "_S5_" PackageOp length count BytePrefix value. -1: not found. */
static int find_s5(const uint8_t *dsdt)
{
    for (uint32_t i = HEADER_SIZE; i + 12 < get32(dsdt + 4); i++) {
        const uint8_t *p = dsdt + i + 4;

        if (get32(dsdt + i) != 0x5f35535f || *p != 0x12)
            continue;
        p += 2 + (p[1] >> 6) + 1;
        return *p == 0x0a ? p[1] : *p; /* without a prefix: ZeroOp or OneOp */
    }
    return -1;
}

/* Without paging: the tables may be anywhere in memory. */
void boot_poweroff(void)
{
    const uint8_t *fadt;
    int type;

    cli();
    write_cr0(read_cr0() & ~CR0_PG);
    fadt = find_fadt();
    type = fadt ? find_s5((const uint8_t *)get32(fadt + FADT_DSDT)) : -1;
    if (type >= 0)
        outw(get32(fadt + FADT_PM1A_CONTROL), type << 10 | SLP_EN);
}

uint16_t boot_pm_timer(void)
{
    const uint8_t *fadt = find_fadt();

    return fadt ? get32(fadt + FADT_PM_TIMER) : 0;
}

void boot_exit(unsigned status)
{
    outb(DEBUG_EXIT, status);
    if (status == 0)
        boot_poweroff();
    for (;;)
        __asm__ volatile("cli; hlt");
}
