/*
 * i8042 keyboard controller as the PS/2 has it, with an auxiliary port.
 *
 * Reference: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 *            Controller"; names are Linux's where IBM has none.
 * Modelled:  every command, both ports and their interrupts, output port (A20, reset), self tests,
 *            translation of scan codes from set 2 to set 1.
 * Not:       the password; the input buffer is never full (commands take no time).
 */
#include "devices/i8042.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/snap.h"
#include "devices/bus.h"
#include "devices/ps2.h"

/* --- Registers ---------------------------------------------------------- */

#define STATUS_OBF      0x01
#define STATUS_SYS      0x04
#define STATUS_COMMAND  0x08 /* the last write went to the command port */
#define STATUS_UNLOCKED 0x10
#define STATUS_AUX      0x20

#define CTR_KEYBOARD_INT 0x01
#define CTR_MOUSE_INT    0x02
#define CTR_SYS          0x04
#define CTR_KEYBOARD_OFF 0x10
#define CTR_MOUSE_OFF    0x20
#define CTR_TRANSLATE    0x40

#define OUT_RUN   0x01 /* 0 resets the processor */
#define OUT_A20   0x02
#define OUT_FIXED 0xcc /* keyboard clock and data up */
#define OUT_KBD_FULL   0x10
#define OUT_MOUSE_FULL 0x20

enum {
    CMD_READ_RAM = 0x20,
    CMD_WRITE_RAM = 0x60,
    CMD_TEST_PASSWORD = 0xa4,
    CMD_MOUSE_OFF = 0xa7,
    CMD_MOUSE_ON = 0xa8,
    CMD_MOUSE_TEST = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_KEYBOARD_TEST = 0xab,
    CMD_KEYBOARD_OFF = 0xad,
    CMD_KEYBOARD_ON = 0xae,
    CMD_READ_INPUT = 0xc0,
    CMD_READ_OUTPUT = 0xd0,
    CMD_WRITE_OUTPUT = 0xd1,
    CMD_KEYBOARD_LOOP = 0xd2,
    CMD_MOUSE_LOOP = 0xd3,
    CMD_WRITE_MOUSE = 0xd4,
    CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf,
    CMD_READ_TEST = 0xe0,
    CMD_PULSE = 0xf0,
};

#define PASSWORD_NONE 0xf1
#define SELF_TEST_OK  0x55
#define PORT_TEST_OK  0x00
#define INPUT_PORT    0xa0 /* keyboard not locked, colour display */

/* --- State -------------------------------------------------------------- */

enum source { FROM_NONE, FROM_KEYBOARD, FROM_MOUSE };

struct i8042 {
    struct i8042_config config;
    struct ps2 keyboard, mouse;
    uint8_t ram[32]; /* byte 0 is the command byte (CTR) */
    uint8_t output;  /* port */
    uint8_t data;    /* the output buffer, */
    uint8_t full;    /* and whose byte is in it */
    uint8_t command; /* waits for its data byte; 0: none does */
    uint8_t released; /* translating: 0xf0 came, the next code is a break */
    bool last_was_command;
    void (*set_leds)(void *arg, uint8_t leds);
    void *leds_arg;
};

/* --- Behaviour ---------------------------------------------------------- */

static void update_irqs(struct i8042 *kbc)
{
    uint8_t ctr = kbc->ram[0];

    irq_set(&kbc->config.keyboard_irq, kbc->full == FROM_KEYBOARD && ctr & CTR_KEYBOARD_INT);
    irq_set(&kbc->config.mouse_irq, kbc->full == FROM_MOUSE && ctr & CTR_MOUSE_INT);
}

static void give(struct i8042 *kbc, enum source source, uint8_t value)
{
    kbc->data = value;
    kbc->full = source;
    update_irqs(kbc);
}

/* Scan codes of set 2 in set 1. */
static const uint8_t translation[128] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

/* Answers go through it as well; but for the identity they are above its range. False: the byte
 * is only the prefix of a break code. */
static bool translate(struct i8042 *kbc, uint8_t *value)
{
    uint8_t released = kbc->released;

    kbc->released = 0;
    if (!(kbc->ram[0] & CTR_TRANSLATE))
        return true;
    if (*value == 0xf0) {
        kbc->released = 0x80;
        return false;
    }
    if (*value < 0x80)
        *value = translation[*value] | released;
    else if (*value == 0x83)
        *value = 0x41 | released;
    else if (*value == 0x84)
        *value = 0x54 | released;
    return true;
}

/* The next byte into the output buffer, when that is empty. */
static void fill(struct i8042 *kbc)
{
    uint8_t ctr = kbc->ram[0];

    if (kbc->full != FROM_NONE)
        return;
    while (!(ctr & CTR_KEYBOARD_OFF) && ps2_has_data(&kbc->keyboard)) {
        uint8_t value = ps2_read(&kbc->keyboard);

        if (!translate(kbc, &value))
            continue;
        give(kbc, FROM_KEYBOARD, value);
        return;
    }
    if (!(ctr & CTR_MOUSE_OFF) && ps2_has_data(&kbc->mouse))
        give(kbc, FROM_MOUSE, ps2_read(&kbc->mouse));
}

static void set_ctr(struct i8042 *kbc, uint8_t value)
{
    kbc->ram[0] = value;
    update_irqs(kbc);
    fill(kbc);
}

static void set_output(struct i8042 *kbc, uint8_t value)
{
    kbc->output = value & (OUT_RUN | OUT_A20);
    irq_set(&kbc->config.a20, value & OUT_A20);
    irq_set(&kbc->config.reset, !(value & OUT_RUN));
}

static uint8_t output_port(const struct i8042 *kbc)
{
    return OUT_FIXED | kbc->output | (kbc->full == FROM_KEYBOARD ? OUT_KBD_FULL : 0) |
           (kbc->full == FROM_MOUSE ? OUT_MOUSE_FULL : 0);
}

static void self_test(struct i8042 *kbc)
{
    kbc->ram[0] = CTR_SYS | CTR_KEYBOARD_OFF | CTR_MOUSE_OFF | CTR_TRANSLATE;
    give(kbc, FROM_KEYBOARD, SELF_TEST_OK);
}

/* Bits 0-3 clear: output port bits that go low for a moment. */
static void pulse(struct i8042 *kbc, uint8_t value)
{
    if (value & OUT_RUN)
        return;
    irq_set(&kbc->config.reset, true);
    irq_set(&kbc->config.reset, false);
}

static void command_write(struct i8042 *kbc, uint8_t value)
{
    uint8_t ctr = kbc->ram[0];

    kbc->last_was_command = true;
    kbc->command = 0;
    if (value >= CMD_PULSE) {
        pulse(kbc, value);
        return;
    }
    if (value >= CMD_WRITE_RAM && value < CMD_WRITE_RAM + sizeof(kbc->ram)) {
        kbc->command = value;
        return;
    }
    if (value >= CMD_READ_RAM && value < CMD_READ_RAM + sizeof(kbc->ram)) {
        give(kbc, FROM_KEYBOARD, kbc->ram[value - CMD_READ_RAM]);
        return;
    }
    switch (value) {
    case CMD_TEST_PASSWORD: give(kbc, FROM_KEYBOARD, PASSWORD_NONE); break;
    case CMD_MOUSE_OFF: set_ctr(kbc, ctr | CTR_MOUSE_OFF); break;
    case CMD_MOUSE_ON: set_ctr(kbc, ctr & ~CTR_MOUSE_OFF); break;
    case CMD_MOUSE_TEST:
    case CMD_KEYBOARD_TEST: give(kbc, FROM_KEYBOARD, PORT_TEST_OK); break;
    case CMD_SELF_TEST: self_test(kbc); break;
    case CMD_KEYBOARD_OFF: set_ctr(kbc, ctr | CTR_KEYBOARD_OFF); break;
    case CMD_KEYBOARD_ON: set_ctr(kbc, ctr & ~CTR_KEYBOARD_OFF); break;
    case CMD_READ_INPUT: give(kbc, FROM_KEYBOARD, INPUT_PORT); break;
    case CMD_READ_OUTPUT: give(kbc, FROM_KEYBOARD, output_port(kbc)); break;
    case CMD_WRITE_OUTPUT:
    case CMD_KEYBOARD_LOOP:
    case CMD_MOUSE_LOOP:
    case CMD_WRITE_MOUSE: kbc->command = value; break;
    case CMD_A20_OFF: set_output(kbc, kbc->output & ~OUT_A20); break;
    case CMD_A20_ON: set_output(kbc, kbc->output | OUT_A20); break;
    case CMD_READ_TEST: give(kbc, FROM_KEYBOARD, 0x00); break;
    default: break; /* the controller ignores what it does not know */
    }
}

/* A byte for the keyboard also opens its port. */
static void keyboard_write(struct i8042 *kbc, uint8_t value)
{
    uint8_t leds = kbc->keyboard.leds;

    ps2_write(&kbc->keyboard, value);
    if (kbc->keyboard.leds != leds && kbc->set_leds)
        kbc->set_leds(kbc->leds_arg, kbc->keyboard.leds);
    set_ctr(kbc, kbc->ram[0] & ~CTR_KEYBOARD_OFF);
}

static void data_write(struct i8042 *kbc, uint8_t value)
{
    uint8_t command = kbc->command;

    kbc->last_was_command = false;
    kbc->command = 0;
    switch (command) {
    case 0: keyboard_write(kbc, value); break;
    case CMD_WRITE_RAM: set_ctr(kbc, value); break;
    case CMD_WRITE_OUTPUT: set_output(kbc, value); break;
    case CMD_KEYBOARD_LOOP: give(kbc, FROM_KEYBOARD, value); break;
    case CMD_MOUSE_LOOP: give(kbc, FROM_MOUSE, value); break;
    case CMD_WRITE_MOUSE:
        ps2_write(&kbc->mouse, value);
        set_ctr(kbc, kbc->ram[0] & ~CTR_MOUSE_OFF);
        break;
    default: kbc->ram[command % sizeof(kbc->ram)] = value; break;
    }
}

/* --- Ports -------------------------------------------------------------- */

static uint64_t data_read(void *dev, uint64_t offset, unsigned size)
{
    struct i8042 *kbc = dev;
    uint8_t value = kbc->data;

    (void)offset;
    (void)size;
    kbc->full = FROM_NONE;
    update_irqs(kbc);
    fill(kbc);
    return value;
}

static void data_port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset;
    (void)size;
    data_write(dev, value);
}

static const struct bus_ops data_ops = {
    .read = data_read,
    .write = data_port_write,
    .max_size = 1,
    .name = "i8042",
};

static uint64_t status_read(void *dev, uint64_t offset, unsigned size)
{
    struct i8042 *kbc = dev;

    (void)offset;
    (void)size;
    return STATUS_UNLOCKED | (kbc->full ? STATUS_OBF : 0) |
           (kbc->full == FROM_MOUSE ? STATUS_AUX : 0) | (kbc->ram[0] & CTR_SYS ? STATUS_SYS : 0) |
           (kbc->last_was_command ? STATUS_COMMAND : 0);
}

static void command_port_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset;
    (void)size;
    command_write(dev, value);
}

static const struct bus_ops command_ops = {
    .read = status_read,
    .write = command_port_write,
    .max_size = 1,
    .name = "i8042",
};

/* --- Input -------------------------------------------------------------- */

void i8042_key(struct i8042 *kbc, unsigned key, bool down)
{
    ps2_key(&kbc->keyboard, key, down);
    fill(kbc);
}

void i8042_tell_leds(struct i8042 *kbc, void (*set_leds)(void *arg, uint8_t leds), void *arg)
{
    kbc->set_leds = set_leds;
    kbc->leds_arg = arg;
}

bool i8042_has_room(const struct i8042 *kbc)
{
    return ps2_has_room(&kbc->keyboard);
}

void i8042_move(struct i8042 *kbc, int dx, int dy, int dz, unsigned buttons)
{
    ps2_move(&kbc->mouse, dx, dy, dz, buttons);
    fill(kbc);
}

/* --- Life --------------------------------------------------------------- */

/* As firmware leaves it: tested, both ports open, translating. */
void i8042_reset(struct i8042 *kbc)
{
    ps2_init(&kbc->keyboard, PS2_KEYBOARD);
    ps2_init(&kbc->mouse, PS2_MOUSE);
    for (unsigned i = 0; i < sizeof(kbc->ram); i++)
        kbc->ram[i] = 0;
    kbc->ram[0] = CTR_SYS | CTR_KEYBOARD_INT | CTR_MOUSE_INT | CTR_TRANSLATE;
    kbc->output = OUT_RUN | OUT_A20;
    kbc->data = 0;
    kbc->full = FROM_NONE;
    kbc->command = 0;
    kbc->released = 0;
    kbc->last_was_command = false;
    update_irqs(kbc);
}

void i8042_snapshot(struct i8042 *kbc, struct snap *snap)
{
    uint8_t last = kbc->last_was_command;

    ps2_snapshot(&kbc->keyboard, snap);
    ps2_snapshot(&kbc->mouse, snap);
    snap_bytes(snap, kbc->ram, sizeof(kbc->ram));
    snap_u8(snap, &kbc->output);
    snap_u8(snap, &kbc->data);
    snap_u8(snap, &kbc->full);
    snap_u8(snap, &kbc->command);
    snap_u8(snap, &kbc->released);
    snap_u8(snap, &last);
    kbc->last_was_command = last;
    if (snap->loading)
        update_irqs(kbc);
}

struct i8042 *i8042_create(const struct i8042_config *config)
{
    struct i8042 *kbc = calloc(1, sizeof(*kbc));
    int err;

    if (!kbc)
        return NULL;
    kbc->config = *config;
    err = bus_claim(config->ports, config->data_port, 1, &data_ops, kbc);
    if (!err)
        err = bus_claim(config->ports, config->command_port, 1, &command_ops, kbc);
    if (err) {
        free(kbc);
        errno = -err;
        return NULL;
    }
    i8042_reset(kbc);
    return kbc;
}

void i8042_destroy(struct i8042 *kbc)
{
    free(kbc);
}
