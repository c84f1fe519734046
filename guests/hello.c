/*
 * The default guest: says what it runs on, counts timer ticks for a second, and answers a few
 * commands on the serial line.
 *
 * With "demo" on its command line it asks nothing and powers off.
 */
#include "guests/lib/boot.h"
#include "guests/lib/console.h"
#include "guests/lib/time.h"
#include "guests/lib/trap.h"

enum { HZ = 100, LINE_MAX = 80 };

static volatile uint32_t ticks;

static void on_tick(struct frame *f)
{
    (void)f;
    ticks++;
    trap_irq_end(0);
}

/* --- What it tells ------------------------------------------------------ */

/* n registers' bytes in the order given, as text. */
static void print_registers(const uint32_t *r, unsigned n)
{
    const char *text = (const char *)r;

    for (unsigned i = 0; i < n * 4 && text[i]; i++)
        console_put(text[i]);
}

static void print_brand(void)
{
    for (uint32_t leaf = 0x80000002; leaf <= 0x80000004; leaf++) {
        struct cpuid r = cpuid(leaf);

        print_registers(&r.eax, 4);
    }
}

static void show_cpu(void)
{
    struct cpuid vendor = cpuid(0), version = cpuid(1);
    uint32_t id[3] = { vendor.ebx, vendor.edx, vendor.ecx };

    print("cpu: ");
    print_registers(id, 3);
    print(" family %u model %u stepping %u", version.eax >> 8 & 15,
          (version.eax >> 12 & 0xf0) | (version.eax >> 4 & 15), version.eax & 15);
    if (cpuid(0x80000000).eax >= 0x80000004) {
        print(", ");
        print_brand();
    }
    print("\n");
    if (version.edx & CPUID_TSC)
        print("tsc: %u MHz\n", time_tsc_khz() / 1000);
}

static void show_memory(void)
{
    print("memory: %u KiB above 1 MiB\n", boot_memory());
}

/* Sleeps between the ticks of about a second. */
static void show_ticks(void)
{
    uint32_t first = ticks;

    print("ticks: ");
    while (ticks - first < HZ) {
        if ((ticks - first) % (HZ / 10) == 0)
            console_put('.');
        sti_hlt();
    }
    print(" %u in a second, %u since the start\n", HZ, ticks);
}

static void show_help(void)
{
    print("help      this\n"
          "cpu       the CPU, as CPUID tells\n"
          "mem       the memory, as the loader tells\n"
          "ticks     counts the timer's interrupts for a second\n"
          "poweroff  ends the machine (ACPI S5)\n");
}

static void power_off(void)
{
    print("powering off\n");
    cli();
    boot_poweroff();
    print("there is no ACPI here; trying port 0xf4\n");
    boot_exit(0);
}

/* --- The shell ---------------------------------------------------------- */

static const struct command {
    const char *name;
    void (*run)(void);
} commands[] = {
    { "help", show_help },   { "cpu", show_cpu },         { "mem", show_memory },
    { "ticks", show_ticks }, { "poweroff", power_off },
};

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static void run_line(const char *line)
{
    if (!*line)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        if (equal(line, commands[i].name)) {
            commands[i].run();
            return;
        }
    print("%s: not a command; try help\n", line);
}

/* The next character. Sleeps; a tick or the line's own interrupt ends the sleep. */
static char wait_for_character(void)
{
    for (;;) {
        int c = console_get();

        if (c >= 0)
            return c;
        sti_hlt();
    }
}

static void read_line(char line[LINE_MAX])
{
    unsigned length = 0;

    for (;;) {
        char c = wait_for_character();

        if (c == '\r' || c == '\n')
            break;
        if ((c == 8 || c == 127) && length) {
            length--;
            print("\b \b");
        } else if (c >= ' ' && c < 127 && length < LINE_MAX - 1) {
            line[length++] = c;
            console_put(c);
        }
    }
    line[length] = 0;
    print("\n");
}

static void start_timer(void)
{
    trap_set(TRAP_IRQ, on_tick);
    time_start_ticks(TIME_PIT_HZ / HZ);
    trap_irq_mask(0xfffe);
    sti();
}

unsigned guest_main(void)
{
    char line[LINE_MAX];

    print("\nhello: a guest of our own\n");
    show_cpu();
    show_memory();
    start_timer();
    show_ticks();
    if (boot_option("demo", NULL))
        power_off();
    print("type help for what there is\n");
    for (;;) {
        print("> ");
        read_line(line);
        run_line(line);
    }
}
