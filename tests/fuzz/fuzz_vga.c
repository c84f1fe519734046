/* Any accesses to the VGA's ports, memory, frame buffer and registers in memory, and looks at the
 * screen in between: small steps must show what one look shows. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "devices/display.h"
#include "devices/pci.h"
#include "devices/vga.h"
#include "tests/fuzz/fuzz.h"

#define FRAME_BUFFER 0xe0000000u
#define REGISTERS 0xfebf0000u

static void no_pin(void *board, unsigned slot, unsigned pin, bool level)
{
    (void)board, (void)slot, (void)pin, (void)level;
}

static void place(struct pci_bus *pci)
{
    pci_config_write(pci, 2 << 11 | PCI_BAR0, 4, FRAME_BUFFER);
    pci_config_write(pci, 2 << 11 | (PCI_BAR0 + 8), 4, REGISTERS);
    pci_config_write(pci, 2 << 11 | PCI_COMMAND, 2, 3);
}

static void look(struct display *display, struct clock *clock, struct display_picture *window,
                 struct display_picture *shot)
{
    clock_advance(clock, 40000000);
    display_paint(display, window, 0);
    if (display_shoot(display, shot) &&
        (shot->width != window->width || shot->height != window->height ||
         memcmp(shot->pixels, window->pixels, shot->width * shot->height * 4ul)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz fuzz = { data, size };
    struct bus *ports = bus_create(), *memory = bus_create();
    struct pci_bus *pci = pci_create(&(struct pci_bus_config){ ports, memory, no_pin, NULL, NULL });
    struct display *display = display_create();
    struct display_picture window = { 0 }, shot = { 0 };
    struct clock clock = { 0 };
    struct vga *vga = vga_create(&(struct vga_config){ .ports = ports, .memory = memory,
        .pci = pci, .slot = 2, .clock = &clock, .display = display });
    unsigned looks = 0;

    place(pci);
    if (fuzz_byte(&fuzz) & 1)
        vga_text_mode(vga);
    display_look(display, true);
    while (fuzz_more(&fuzz)) {
        switch (fuzz_byte(&fuzz) & 7) {
        case 0: fuzz_access(&fuzz, ports, 0x1ce, 3); break;
        case 1: fuzz_access(&fuzz, memory, 0xa0000, 0x20000); break;
        case 2: fuzz_access(&fuzz, memory, FRAME_BUFFER, VGA_VRAM_SIZE); break;
        case 3: fuzz_access(&fuzz, memory, REGISTERS, 0x1000); break;
        case 4:
            if (looks++ < 8)
                look(display, &clock, &window, &shot);
            break;
        default: fuzz_access(&fuzz, ports, 0x3b0, 0x30); break;
        }
    }
    display_look(display, false);
    display_forget(display, &window);
    display_forget(display, &shot);
    vga_destroy(vga);
    display_destroy(display);
    pci_destroy(pci);
    bus_destroy(memory);
    bus_destroy(ports);
    return 0;
}
