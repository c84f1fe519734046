/* The command info: what is inside the machine, as JSON. Reference: SDM 3, chapters 3 and 4. */
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/count.h"
#include "cpu/paging.h"
#include "cpu/vcpu.h"
#include "devices/pci.h"
#include "devices/virtio_balloon.h"
#include "frontend/control_command.h"
#include "frontend/drives.h"
#include "frontend/machine.h"
#include "frontend/nearest.h"
#include "frontend/nics.h"
#include "frontend/pc_irq.h"

enum { ROWS_MAX = 1024 };

static void put_hex(json_t *to, const char *name, uint64_t value, int digits)
{
    json_object_set_new(to, name, json_sprintf("0x%0*llx", digits, (unsigned long long)value));
}

/* --- Registers ------------------------------------------------------------------------------ */

static json_t *segment(const struct segment *from)
{
    json_t *to = json_object();

    put_hex(to, "selector", from->selector, 4);
    put_hex(to, "base", from->base, 8);
    put_hex(to, "limit", from->limit, 8);
    put_hex(to, "attributes", from->attr, 4);
    return to;
}

static json_t *table(const struct table_register *from)
{
    json_t *to = json_object();

    put_hex(to, "base", from->base, 8);
    put_hex(to, "limit", from->limit, 4);
    return to;
}

static void put_segments(json_t *to, const struct vcpu *vcpu)
{
    static const char *const names[SEG_COUNT] = { "es", "cs", "ss", "ds", "fs", "gs" };

    for (unsigned i = 0; i < SEG_COUNT; i++)
        json_object_set_new(to, names[i], segment(&vcpu->seg[i]));
    json_object_set_new(to, "ldtr", segment(&vcpu->ldtr));
    json_object_set_new(to, "tr", segment(&vcpu->tr));
    json_object_set_new(to, "gdtr", table(&vcpu->gdtr));
    json_object_set_new(to, "idtr", table(&vcpu->idtr));
}

static int registers(struct control_call *call)
{
    static const char *const names[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
    const struct vcpu *vcpu = call->machine->vcpu;
    json_t *to = call->result;

    for (unsigned i = 0; i < 8; i++)
        put_hex(to, names[i], vcpu->gpr[i], 8);
    put_hex(to, "eip", vcpu->rip, 8);
    put_hex(to, "eflags", vcpu->eflags, 8);
    json_object_set_new(to, "cpl", json_integer(vcpu->cpl));
    json_object_set_new(to, "halted", json_boolean(vcpu->halted));
    put_segments(to, vcpu);
    put_hex(to, "cr0", vcpu->cr0, 8);
    put_hex(to, "cr2", vcpu->cr2, 8);
    put_hex(to, "cr3", vcpu->cr3, 8);
    put_hex(to, "cr4", vcpu->cr4, 8);
    put_hex(to, "efer", vcpu->efer, 8);
    return 0;
}

/* --- Paging ----------------------------------------------------------------------------------
 *
 * "tlb" is every mapping that the guest's tables hold now, page by page; "mem" joins neighbours
 * with the same rights. Both begin at an address and say where to go on.
 */

struct listing {
    json_t *rows;
    bool pages; /* else joined */
    uint64_t from, end, gpa;
    const char *rights; /* NULL: no row is under way */
};

static const char *rights_of(const struct walk *walk)
{
    static const char *const names[] = { "r--k", "rw-k", "r--u", "rw-u", "r-xk", "rwxk", "r-xu",
                                         "rwxu" };

    return names[walk->writable | walk->user << 1 | !walk->nx << 2];
}

static void end_row(struct listing *l)
{
    json_t *row = json_object();

    put_hex(row, "from", l->from, 8);
    put_hex(row, "to", l->end - 1, 8);
    if (l->pages)
        put_hex(row, "physical", l->gpa, 8);
    json_object_set_new(row, "rights", json_string(l->rights));
    json_array_append_new(l->rows, row);
    l->rights = NULL;
}

static void add_page(struct listing *l, uint64_t gla, uint64_t size, const struct walk *walk)
{
    const char *rights = rights_of(walk);

    if (l->rights && (l->pages || l->end != gla || l->rights != rights))
        end_row(l);
    if (!l->rights) {
        l->from = gla;
        l->gpa = walk->gpa;
        l->rights = rights;
    }
    l->end = gla + size;
}

static int mappings(struct control_call *call, bool pages)
{
    struct vcpu *vcpu = call->machine->vcpu;
    struct listing l = { .rows = json_array(), .pages = pages };
    uint64_t gla = (uint64_t)control_number(call, "address", 0) & 0xfffff000;
    struct walk walk;

    json_object_set_new(call->result, "paging", json_boolean(paging_on(vcpu)));
    while (paging_on(vcpu) && gla < PHYSMEM_LIMIT && json_array_size(l.rows) < ROWS_MAX) {
        uint64_t size = PAGE_SIZE;

        if (paging_peek(vcpu, gla, &walk)) {
            size = walk.size - (gla & (walk.size - 1));
            add_page(&l, gla, size, &walk);
        }
        gla += size;
    }
    if (l.rights)
        end_row(&l);
    json_object_set_new(call->result, pages ? "pages" : "ranges", l.rows);
    if (paging_on(vcpu) && gla < PHYSMEM_LIMIT)
        put_hex(call->result, "next", gla, 8);
    return 0;
}

static int mem(struct control_call *call)
{
    return mappings(call, false);
}

static int tlb(struct control_call *call)
{
    return mappings(call, true);
}

/* --- The board ------------------------------------------------------------------------------ */

/* The numbers of the bits that are set. */
static json_t *vectors(const uint32_t bits[8])
{
    json_t *to = json_array();

    for (int i = 0; i < 256; i++)
        if (bits[i / 32] >> i % 32 & 1)
            json_array_append_new(to, json_sprintf("0x%02x", i));
    return to;
}

static json_t *lapic(const struct lapic_view *view)
{
    static const char *const names[LAPIC_LVT_COUNT] = { "timer", "thermal", "performance", "lint0",
                                                        "lint1", "error" };
    json_t *to = json_object(), *lvt = json_object();

    json_object_set_new(to, "enabled", json_boolean(view->enabled));
    put_hex(to, "id", view->id, 2);
    put_hex(to, "task_priority", view->tpr, 2);
    put_hex(to, "logical", view->ldr, 8);
    put_hex(to, "format", view->dfr, 8);
    put_hex(to, "spurious", view->svr, 8);
    put_hex(to, "errors", view->esr, 8);
    for (unsigned i = 0; i < LAPIC_LVT_COUNT; i++)
        put_hex(lvt, names[i], view->lvt[i], 8);
    json_object_set_new(to, "lvt", lvt);
    put_hex(to, "timer_initial", view->initial, 8);
    put_hex(to, "timer_current", view->current, 8);
    put_hex(to, "timer_divide", view->divide, 8);
    json_object_set_new(to, "requested", vectors(view->irr));
    json_object_set_new(to, "in_service", vectors(view->isr));
    json_object_set_new(to, "level_triggered", vectors(view->tmr));
    return to;
}

/* Redirection entries as they are; the wires' levels a bit each. */
static json_t *ioapic(const struct ioapic_view *view)
{
    json_t *to = json_object(), *entries = json_array();

    put_hex(to, "id", view->id, 2);
    put_hex(to, "levels", view->levels, 6);
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        json_array_append_new(entries, json_sprintf("0x%016llx",
                                                    (unsigned long long)view->entry[i]));
    json_object_set_new(to, "entries", entries);
    return to;
}

static int pic(struct control_call *call)
{
    static const char *const names[] = { "master", "slave" };
    struct pc_irq_view view;

    pc_look_at_irqs(call->machine->pc, &view);
    for (unsigned i = 0; i < 2; i++) {
        json_t *chip = json_object();

        put_hex(chip, "requested", view.pic[i].irr, 2);
        put_hex(chip, "in_service", view.pic[i].isr, 2);
        put_hex(chip, "masked", view.pic[i].imr, 2);
        put_hex(chip, "levels", view.pic[i].elcr, 2);
        put_hex(chip, "vector", view.pic[i].base, 2);
        json_object_set_new(call->result, names[i], chip);
    }
    if (view.apic) {
        json_object_set_new(call->result, "lapic", lapic(&view.lapic));
        json_object_set_new(call->result, "ioapic", ioapic(&view.ioapic));
    }
    json_object_set_new(call->result, "intr", json_boolean(call->machine->vcpu->intr_line));
    return 0;
}

static json_t *pci_row(struct pci_bus *bus, unsigned slot, unsigned function)
{
    uint32_t at = slot << 11 | function << 8;
    json_t *row = json_object(), *windows = json_array();
    char text[32];

    snprintf(text, sizeof(text), "%02x.%u", slot, function);
    json_object_set_new(row, "slot", json_string(text));
    put_hex(row, "vendor", pci_config_read(bus, at | PCI_VENDOR, 2), 4);
    put_hex(row, "device", pci_config_read(bus, at | PCI_DEVICE, 2), 4);
    put_hex(row, "class", pci_config_read(bus, (at | PCI_REVISION), 4) >> 8, 6);
    put_hex(row, "command", pci_config_read(bus, at | PCI_COMMAND, 2), 4);
    json_object_set_new(row, "irq",
                        json_integer(pci_config_read(bus, at | PCI_INTERRUPT_LINE, 1)));
    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        uint32_t bar = pci_config_read(bus, (at | PCI_BAR0) + i * 4, 4);

        if (bar)
            json_array_append_new(windows, json_sprintf("%s 0x%x", bar & 1 ? "ports" : "memory",
                                                        bar & (bar & 1 ? ~3u : ~15u)));
    }
    json_object_set_new(row, "windows", windows);
    return row;
}

static int pci(struct control_call *call)
{
    struct pci_bus *bus = pc_bus(call->machine->pc);
    json_t *rows = json_array();

    for (unsigned slot = 0; slot < PCI_SLOT_COUNT; slot++)
        for (unsigned function = 0; function < 8; function++)
            if (pci_config_read(bus, slot << 11 | function << 8, 2) != 0xffff)
                json_array_append_new(rows, pci_row(bus, slot, function));
    json_object_set_new(call->result, "functions", rows);
    return 0;
}

static int block(struct control_call *call)
{
    json_t *rows = json_array();
    struct drive_view view;

    for (unsigned i = 0; drives_view(call->machine->drives, i, &view); i++) {
        json_t *row = json_pack("{s:s, s:s?, s:s, s:b, s:I, s:b, s:b, s:b, s:b}", "drive",
                                view.name, "file", view.file, "format", view.format, "snapshot",
                                view.snapshot, "size", (json_int_t)view.size, "removable",
                                view.removable, "readonly", view.readonly, "locked", view.locked,
                                "tray_open", view.tray_open);

        json_array_append_new(rows, row);
    }
    json_object_set_new(call->result, "drives", rows);
    return 0;
}

static int network(struct control_call *call)
{
    json_t *rows = json_array();
    struct nic_view view;

    for (unsigned i = 0; nics_view(call->machine->nics, i, &view); i++) {
        const uint8_t *mac = view.mac;
        json_t *row = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "model", view.model, "cable",
                                view.cable, "link", view.link, "out_frames",
                                (json_int_t)view.counts.out_frames, "in_frames",
                                (json_int_t)view.counts.in_frames, "in_dropped",
                                (json_int_t)view.counts.in_dropped);

        json_object_set_new(row, "mac", json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
                                                     mac[1], mac[2], mac[3], mac[4], mac[5]));
        json_array_append_new(rows, row);
    }
    json_object_set_new(call->result, "cards", rows);
    return 0;
}

/* What the guest said last; each time it is asked for newer ones. */
static json_t *balloon_statistics(struct virtio_balloon *from)
{
    struct virtio_balloon_stats s;

    virtio_balloon_ask_stats(from, &s);
    if (!s.known)
        return json_null();
    return json_pack("{s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "at_s",
                     (double)s.taken_ns / NS_PER_SEC, "total", (json_int_t)s.total, "free",
                     (json_int_t)s.free, "available", (json_int_t)s.available, "caches",
                     (json_int_t)s.caches, "swapped_in", (json_int_t)s.swap_in, "swapped_out",
                     (json_int_t)s.swap_out, "major_faults", (json_int_t)s.major_faults,
                     "minor_faults", (json_int_t)s.minor_faults);
}

static int balloon(struct control_call *call)
{
    struct virtio_balloon *from = pc_balloon(call->machine->pc);
    json_t *to = call->result;

    if (!from)
        return error_set(&call->error, EX_UNAVAILABLE,
                         "there is no balloon: run with -device virtio-balloon");
    json_object_set_new(to, "memory_mib",
                        json_integer((json_int_t)(virtio_balloon_memory(from) >> 20)));
    json_object_set_new(to, "returned_mib",
                        json_integer((json_int_t)(virtio_balloon_returned(from) >> 20)));
    json_object_set_new(to, "statistics", balloon_statistics(from));
    return 0;
}

static int version(struct control_call *call)
{
    json_object_set_new(call->result, "version", json_string("novt " NOVT_VERSION));
    return 0;
}

/* --- All of them ---------------------------------------------------------------------------- */

static const char *const names[] = { "registers", "mem", "tlb", "pic", "pci", "block", "network",
                                     "balloon", "status", "version" };
static control_function *const functions[] = { registers, mem, tlb, pic, pci, block, network,
                                               balloon, control_status, version };

int control_info(struct control_call *call)
{
    int n = nearest_which("info", control_string(call, "what"), names, COUNT(names), &call->error);

    return n < 0 ? -1 : functions[n](call);
}
