/*
 * Text on the first serial port, and on the debug console where there is one.
 *
 * Reference: National PC16550D data sheet, section 8. The debug console answers reads of its port
 *            with the port's own number, as Bochs' does.
 */
#include "guests/lib/console.h"

enum { DATA, IER, FCR, LCR, MCR, LSR };
enum { LSR_DATA_READY = 0x01, LSR_THR_EMPTY = 0x20, LSR_NOBODY = 0xff };
enum { DEBUGCON = 0xe9 };

static bool has_debugcon;

void console_init(void)
{
    outb(CONSOLE_PORT + IER, 0);
    outb(CONSOLE_PORT + LCR, 0x80);
    outb(CONSOLE_PORT + DATA, 1); /* 115200 baud */
    outb(CONSOLE_PORT + IER, 0);
    outb(CONSOLE_PORT + LCR, 0x03);
    outb(CONSOLE_PORT + FCR, 0x07);
    outb(CONSOLE_PORT + MCR, 0x0b);
    has_debugcon = inb(DEBUGCON) == DEBUGCON;
}

static void put_raw(char c)
{
    while (!(inb(CONSOLE_PORT + LSR) & LSR_THR_EMPTY))
        ;
    outb(CONSOLE_PORT + DATA, c);
    if (has_debugcon)
        outb(DEBUGCON, c);
}

void console_put(char c)
{
    if (c == '\n')
        put_raw('\r');
    put_raw(c);
}

int console_get(void)
{
    uint8_t status = inb(CONSOLE_PORT + LSR);

    if (status == LSR_NOBODY || !(status & LSR_DATA_READY))
        return -1;
    return inb(CONSOLE_PORT + DATA);
}

/* --- print -------------------------------------------------------------- */

struct field {
    bool left, zero, is_signed;
    unsigned width, base;
};

static void put_padding(unsigned have, unsigned width, char c)
{
    for (; have < width; have++)
        console_put(c);
}

static void put_text(const char *text, const struct field *f)
{
    unsigned length = 0;

    while (text[length])
        length++;
    if (!f->left)
        put_padding(length, f->width, ' ');
    for (unsigned i = 0; i < length; i++)
        console_put(text[i]);
    if (f->left)
        put_padding(length, f->width, ' ');
}

static void put_number(uint64_t value, const struct field *f)
{
    char digits[24];
    unsigned at = sizeof(digits) - 1;
    bool negative = f->is_signed && (int64_t)value < 0;

    digits[at] = 0;
    if (negative)
        value = -value;
    do
        digits[--at] = "0123456789abcdef"[divide(&value, f->base)];
    while (value);
    while (f->zero && sizeof(digits) - 1 - at + negative < f->width && at > 1)
        digits[--at] = '0';
    if (negative)
        digits[--at] = '-';
    put_text(digits + at, f);
}

static const char *parse_field(const char *format, struct field *f)
{
    for (; *format == '-' || *format == '0'; format++) {
        f->left |= *format == '-';
        f->zero |= *format == '0';
    }
    for (; *format >= '0' && *format <= '9'; format++)
        f->width = f->width * 10 + (*format - '0');
    return format;
}

void print_list(const char *format, __builtin_va_list args)
{
    for (; *format; format++) {
        struct field f = { .base = 10 };
        bool is_long = false;

        if (*format != '%') {
            console_put(*format);
            continue;
        }
        format = parse_field(format + 1, &f);
        while (*format == 'l') {
            is_long = true;
            format++;
        }
        switch (*format) {
        case 's': put_text(__builtin_va_arg(args, const char *), &f); break;
        case 'c': console_put((char)__builtin_va_arg(args, int)); break;
        case 'd':
            f.is_signed = true;
            put_number(is_long ? __builtin_va_arg(args, int64_t) : __builtin_va_arg(args, int), &f);
            break;
        case 'x': f.base = 16; /* fall through */
        case 'u':
            put_number(is_long ? __builtin_va_arg(args, uint64_t)
                               : __builtin_va_arg(args, uint32_t), &f);
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
