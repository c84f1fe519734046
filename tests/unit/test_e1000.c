/* The 82540EM: identity, EEPROM, PHY, interrupts, reset, and whatever a hostile driver writes. */
#include <stdlib.h>

#include "base/snap.h"
#include "tests/unit/e1000_machine.h"

static void test_identity(void)
{
    CHECK_EQ(pci_config_read(pci, SLOT << 11, 4), 0x100e8086);
    CHECK_EQ(pci_config_read(pci, SLOT << 11 | 8, 4) >> 8, 0x020000);
    CHECK_EQ(rd(STATUS), 0x83);
    cable.dev.link = false;
    CHECK_EQ(rd(STATUS), 0x81);
    cable.dev.link = true;
    bus_write(ports, PORTS, 4, STATUS);
    CHECK_EQ(bus_read(ports, PORTS, 4), STATUS);
    CHECK_EQ(bus_read(ports, PORTS + 4, 4), 0x83);
    CHECK_EQ(bus_read(memory, MEMORY + STATUS, 1), 0x83);
    CHECK_EQ(rd(RA), 0x12005452);
    CHECK_EQ(rd(RA + 4), 0x80005634);
}

static void eecd(unsigned bits)
{
    wr(EECD, 0x42 | bits);
    wr(EECD, 0x42 | bits | 1);
    wr(EECD, 0x42 | bits);
}

/* As drivers bang it: start bit, READ, six bits of address, sixteen of data. */
static uint16_t microwire(unsigned address)
{
    uint16_t word = 0;

    wr(EECD, 0x40);
    CHECK_EQ(rd(EECD) & 0x1c0, 0x1c0);
    wr(EECD, 0x42);
    for (int i = 8; i >= 0; i--)
        eecd((6u << 6 | address) >> i & 1 ? 4 : 0);
    for (unsigned i = 0; i < 16; i++) {
        wr(EECD, 0x43);
        word = (uint16_t)(word << 1 | (rd(EECD) >> 3 & 1));
        wr(EECD, 0x42);
    }
    wr(EECD, 0);
    return word;
}

static void test_eeprom(void)
{
    uint16_t sum = 0;

    for (unsigned i = 0; i < 64; i++) {
        uint16_t word = microwire(i);

        wr(EERD, i << 8 | 1);
        CHECK_EQ(rd(EERD) & 0x10, 0x10);
        CHECK_EQ(rd(EERD) >> 16, word);
        sum += word;
    }
    CHECK_EQ(sum, 0xbaba);
    CHECK_EQ(microwire(0), 0x5452);
    CHECK_EQ(microwire(2), 0x5634);
}

static uint32_t mdic(uint32_t operation, unsigned phy, unsigned reg, uint16_t value)
{
    wr(MDIC, operation << 26 | phy << 21 | reg << 16 | value);
    CHECK_EQ(rd(MDIC) >> 28 & 1, 1);
    return rd(MDIC);
}

static void test_phy(void)
{
    CHECK_EQ(mdic(2, 1, 2, 0) & 0xffff, 0x0141);
    CHECK_EQ(mdic(2, 1, 3, 0) & 0xffff, 0x0c20);
    CHECK_EQ(mdic(2, 1, 1, 0) & 0x24, 0x24);
    CHECK_EQ(mdic(2, 2, 2, 0) >> 30 & 1, 1);
    mdic(1, 1, 4, 0x1e1);
    CHECK_EQ(mdic(2, 1, 4, 0) & 0xffff, 0x1e1);
    rd(ICR);
    mdic(1, 1, 0, 0x9140);
    CHECK_EQ(mdic(2, 1, 4, 0) & 0xffff, 0xde1);
    CHECK_EQ(rd(ICR), 4);
    mdic(2 | 1 << 3, 1, 0, 0); /* with an interrupt */
    CHECK_EQ(rd(ICR), 0x200);
}

/* What drivers' self-tests look at: reserved bits that were written read as 0. */
static void test_reserved(void)
{
    enum { FCAL_AT = 0x28, FCAH_AT = 0x2c, RA_AT = 0x5400, ADDRESSES = 16 };

    wr(FCAL_AT, ~0u);
    CHECK_EQ(rd(FCAL_AT), ~0u);
    wr(FCAH_AT, ~0u);
    CHECK_EQ(rd(FCAH_AT), 0xffff);
    for (unsigned i = 0; i < ADDRESSES; i++) {
        wr(RA_AT + 8 * i, ~0u);
        CHECK_EQ(rd(RA_AT + 8 * i), ~0u);
        wr(RA_AT + 8 * i + 4, ~0u);
        CHECK_EQ(rd(RA_AT + 8 * i + 4), 0x8003ffff);
    }
}

static void test_interrupts(void)
{
    wr(IMC, ~0u);
    rd(ICR);
    wr(ICS, 0x80);
    CHECK_EQ(pin, false);
    wr(IMS, 0x80);
    CHECK_EQ(pin, true);
    CHECK_EQ(rd(IMS), 0x80);
    CHECK_EQ(rd(ICR), 0x80);
    CHECK_EQ(pin, false);
    CHECK_EQ(rd(ICR), 0);
    wr(ICS, 0x80);
    wr(IMC, 0x80);
    CHECK_EQ(pin, false);
    rd(ICR);
    /* throttled to one in 256 us */
    clock_advance(&timebase, 1000000);
    wr(ITR, 1000);
    wr(IMS, 0x80);
    wr(ICS, 0x80);
    CHECK_EQ(pin, true);
    rd(ICR);
    wr(ICS, 0x80);
    CHECK_EQ(pin, false);
    clock_advance(&timebase, 255999);
    CHECK_EQ(pin, false);
    clock_advance(&timebase, 1);
    CHECK_EQ(pin, true);
    rd(ICR);
    clock_advance(&timebase, 256000);
    wr(ICS, 0x80);
    CHECK_EQ(pin, true);
    rd(ICR);
    wr(ITR, 0);
}

static void test_reset(void)
{
    static uint8_t image[200000];
    struct snap snap = { .at = image };

    wr(ICS, 0x80);
    wr(IMS, 0x80);
    e1000_snapshot(dev, &snap);
    CHECK_EQ((size_t)(snap.at - image) < sizeof(image), true);
    wr(CTRL, 1u << 26);
    CHECK_EQ(pin, false);
    CHECK_EQ(rd(TDLEN), 0);
    CHECK_EQ(rd(RCTL), 0);
    CHECK_EQ(rd(RA), 0x12005452);
    snap = (struct snap){ .loading = true, .at = image };
    e1000_snapshot(dev, &snap);
    CHECK_EQ(pin, true);
    CHECK_EQ(rd(TDLEN), ENTRIES * 16);
    e1000_reset(dev);
    CHECK_EQ(pin, false);
    CHECK_EQ(pci_config_read(pci, SLOT << 11 | PCI_COMMAND, 2), 0);
}

/* Rings at no place, of no size, heads beyond their end, descriptors that point anywhere. */
static void test_hostile(void)
{
    uint8_t frame[2000] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

    for (unsigned n = 0; n < 20000; n++) {
        unsigned at = (unsigned)rand() % 0x6000 & ~3u;

        if (n % 200 == 0)
            start_rings();
        for (unsigned i = 0; i < 32; i++)
            physmem_ptr(&mem, RINGS)[rand() % 0x2000] = rand() & 0xff;
        if (rand() % 3)
            wr(at, (uint32_t)rand() << (rand() % 20));
        else
            rd(at);
        wr(TDT, rand() % (rand() % 2 ? ENTRIES : 70000));
        cable.room = rand() % 4 ? ~0u : 0;
        if (cable.dev.room && rand() % 2)
            cable.dev.room(dev);
        cable_give(&cable, frame, 14 + (size_t)rand() % 1900);
        clock_advance(&timebase, 1000);
    }
}

int main(void)
{
    srand(1);
    open_chip();
    test_identity();
    test_eeprom();
    test_phy();
    test_interrupts();
    test_reset();
    close_chip();
    open_chip();
    test_reserved();
    close_chip();
    open_chip();
    test_hostile();
    close_chip();
    return CHECK_DONE();
}
