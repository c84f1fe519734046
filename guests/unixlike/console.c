/*
 * Text in and out. The screen's cursor is asked of the 6845 for each character, as kernels do that
 * are started by different loaders; what comes from it is not believed if it is beyond the screen.
 *
 * Reference: National PC16550D data sheet; IBM VGA, CRT controller 0Eh, 0Fh; IBM AT Technical
 *            Reference, keyboard (scan code set 1).
 */
#include "guests/unixlike/unixlike.h"

enum { COM1 = 0x3f8, DATA = 0, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };
enum { CRTC = 0x3d4, CURSOR_HIGH = 14, CURSOR_LOW = 15, COLUMNS = 80, ROWS = 25, GREY = 0x0700 };
enum { KBC_DATA = 0x60, KBC_STATUS = 0x64, KBC_FULL = 1, RELEASED = 0x80 };
enum { PENDING = 128 };

static uint16_t *const screen = VIRTUAL(0xb8000);
static char pending[PENDING];
static volatile unsigned in, out;

void console_init(void)
{
    outb(COM1 + FCR, 0);
    outb(COM1 + LCR, 0x80);
    outb(COM1 + DATA, 12); /* 9600 baud */
    outb(COM1 + IER, 0);
    outb(COM1 + LCR, 0x03);
    outb(COM1 + MCR, 0);
}

/* The pins first: an edge at a masked one would be lost. */
void console_listen(void)
{
    apic_enable(IRQ_KEYBOARD);
    apic_enable(IRQ_COM1);
    outb(COM1 + IER, 1); /* what comes interrupts */
    while (inb(KBC_STATUS) & KBC_FULL)
        inb(KBC_DATA); /* of before */
}

static unsigned cursor(void)
{
    unsigned at;

    outb(CRTC, CURSOR_HIGH);
    at = inb(CRTC + 1) << 8;
    outb(CRTC, CURSOR_LOW);
    return at | inb(CRTC + 1);
}

static void set_cursor(unsigned at)
{
    outb(CRTC, CURSOR_HIGH);
    outb(CRTC + 1, at >> 8);
    outb(CRTC, CURSOR_LOW);
    outb(CRTC + 1, at);
}

static unsigned scroll(unsigned at)
{
    for (unsigned i = 0; i < COLUMNS * (ROWS - 1); i++)
        screen[i] = screen[i + COLUMNS];
    for (unsigned i = COLUMNS * (ROWS - 1); i < COLUMNS * ROWS; i++)
        screen[i] = GREY | ' ';
    return at - COLUMNS;
}

static void put_screen(char c)
{
    unsigned at = cursor();

    if (at >= COLUMNS * ROWS)
        return; /* panic() comes here, too */
    if (c == '\n')
        at += COLUMNS - at % COLUMNS;
    else
        screen[at++] = GREY | (uint8_t)c;
    set_cursor(at >= COLUMNS * ROWS ? scroll(at) : at);
}

bool console_has_screen(void)
{
    unsigned at = cursor();

    return at < COLUMNS * ROWS && at && screen[at - 1] == (GREY | '.');
}

void console_put(char c)
{
    for (unsigned i = 0; i < 12800 && !(inb(COM1 + LSR) & 0x20); i++)
        ;
    outb(COM1 + DATA, c);
    put_screen(c);
}

/* --- In --------------------------------------------------------------------------------- */

static void take(char c)
{
    if (in - out < PENDING)
        pending[in++ % PENDING] = c == '\r' ? '\n' : c;
}

void console_interrupt(void)
{
    while (inb(COM1 + LSR) & 1)
        take(inb(COM1 + DATA));
}

void keyboard_interrupt(void)
{
    static const char codes[] = "\0\0331234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./";
    uint8_t code;

    if (!(inb(KBC_STATUS) & KBC_FULL))
        return;
    code = inb(KBC_DATA);
    if (!(code & RELEASED) && code < sizeof(codes) && codes[code])
        take(codes[code]);
}

char console_get(void)
{
    for (;;) {
        cli();
        if (in != out)
            return pending[out++ % PENDING];
        sti_hlt();
    }
}

/* --- print ------------------------------------------------------------------------------ */

static void put_number(uint32_t n, unsigned base)
{
    char digits[11];
    unsigned at = sizeof(digits);

    do
        digits[--at] = "0123456789abcdef"[n % base];
    while (n /= base);
    while (at < sizeof(digits))
        console_put(digits[at++]);
}

static void print_list(const char *format, __builtin_va_list args)
{
    for (; *format; format++) {
        if (*format != '%') {
            console_put(*format);
            continue;
        }
        switch (*++format) {
        case 'u': put_number(__builtin_va_arg(args, uint32_t), 10); break;
        case 'x': put_number(__builtin_va_arg(args, uint32_t), 16); break;
        case 's':
            for (const char *s = __builtin_va_arg(args, const char *); *s; s++)
                console_put(*s);
            break;
        default: console_put(*format); break;
        }
    }
}

void print(const char *format, ...)
{
    __builtin_va_list args;

    __builtin_va_start(args, format);
    print_list(format, args);
    __builtin_va_end(args);
}

void panic(const char *format, ...)
{
    __builtin_va_list args;

    cli();
    print("panic: ");
    __builtin_va_start(args, format);
    print_list(format, args);
    __builtin_va_end(args);
    print("\n");
    outb(0xf4, 1); /* isa-debug-exit: status 3 */
    for (;;)
        __asm__ volatile("hlt");
}
