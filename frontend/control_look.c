/*
 * Commands of novt view: how an address is translated by the guest and by the shadow memory, the
 * units of translated code at it, and single steps. All of it is read from the CPU's, the shadow
 * memory's and the translator's own structures.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cpu/describe.h"
#include "cpu/paging.h"
#include "cpu/stops.h"
#include "cpu/vcpu.h"
#include "frontend/control_command.h"
#include "frontend/debugger.h"
#include "frontend/explain_words.h"
#include "frontend/machine.h"
#include "frontend/names.h"
#include "frontend/pause.h"
#include "shadowmm/shadowmm.h"
#include "translator/listing.h"

enum { UNITS_MAX = 4, HOST_STEPS_MAX = 128, STEPS_MAX = 100000,
       TRANSLATED_MAX = 1000, /* a millisecond or so each */
       NAME_SIZE = 128 };

static void put_hex(json_t *to, const char *name, uint64_t value, int digits)
{
    json_object_set_new(to, name, json_sprintf("0x%0*llx", digits, (unsigned long long)value));
}

static void put_name(struct control_call *call, json_t *to, uint32_t gla)
{
    char text[NAME_SIZE];

    names_at(call->machine->names, gla, text, sizeof(text));
    if (*text)
        json_object_set_new(to, "name", json_string(text));
}

static void put_bytes(json_t *to, const char *name, const uint8_t *bytes, size_t size)
{
    char *text = calloc(2, size + 1);

    for (size_t i = 0; text && i < size; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    json_object_set_new(to, name, json_string(text ? text : ""));
    free(text);
}

/* Is there a translator with a shadow memory? */
static bool is_translated(const struct machine *m)
{
    return m->engine == &engine_translator;
}

/* The linear address of the next instruction. */
static uint32_t linear_eip(const struct vcpu *vcpu)
{
    return (uint32_t)(vcpu->seg[SEG_CS].base + vcpu->rip);
}

/* The argument as a number or a name; eip without one. 0, or -1 with the error. */
static int address_of(struct control_call *call, uint32_t *gla)
{
    const char *text = control_string(call, "address");
    unsigned long long value;
    char *end;

    *gla = linear_eip(call->machine->vcpu);
    if (!text) {
        *gla = (uint32_t)control_number(call, "address", *gla);
        return 0;
    }
    value = strtoull(text, &end, 0);
    if (end != text && !*end && value <= UINT32_MAX) {
        *gla = (uint32_t)value;
        return 0;
    }
    if (names_find(call->machine->names, text, gla))
        return 0;
    return error_set(&call->error, EX_USAGE, "'%.100s' is no address (0xc0100000) and no name in "
                     "the kernel's file", text);
}

/* --- walk ----------------------------------------------------------------------------------- */

static const char *table_name(enum shadowmm_table state)
{
    static const char *const names[] = { [TABLE_PLAIN] = "not traced", [TABLE_TRACED] = "traced",
                                         [TABLE_UNSYNC] = "written since, unsynced" };

    return names[state];
}

/* What print says of the step; to be freed. NULL: no memory. */
static char *step_text(void (*print)(FILE *out, const struct paging_step *step),
                       const struct paging_step *step)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    print(out, step);
    if (!fclose(out))
        return text;
    free(text);
    return NULL;
}

/* A paging structure's entry, and what the shadow knows of it. */
static json_t *step_row(struct control_call *call, const struct paging_step *step)
{
    struct vcpu *vcpu = call->machine->vcpu;
    int digits = 2 * (int)paging_format(vcpu)->entry_bytes;
    char *entry = step_text(describe_entry, step), *name = step_text(describe_step, step);
    json_t *row = json_object();
    uint64_t copy = 0;
    enum shadowmm_table state;

    if (entry && name) {
        json_object_set_new(row, "name", json_string(name));
        json_object_set_new(row, "text", json_string(entry));
    }
    free(entry);
    free(name);
    put_hex(row, "entry", step->entry, digits);
    if (step->gpa == PAGING_REGISTER)
        return row;
    put_hex(row, "at", step->gpa, 8);
    if (!is_translated(call->machine))
        return row;
    state = shadowmm_table_state(listing_shadow(vcpu), step->gpa, &copy);
    json_object_set_new(row, "table", json_string(table_name(state)));
    if (state != TABLE_PLAIN)
        put_hex(row, "copy", copy, digits);
    return row;
}

static void put_steps(struct control_call *call, uint32_t gla)
{
    struct vcpu *vcpu = call->machine->vcpu;
    struct paging_step step[PAGING_STEPS];
    unsigned count = paging_on(vcpu) ? paging_steps(vcpu, gla, step) : 0;
    json_t *rows = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(rows, step_row(call, &step[i]));
    json_object_set_new(call->result, "paging",
                        json_string(!paging_on(vcpu) ? "off" :
                                    vcpu->cr4 & CR4_PAE ? "PAE" : "32-bit"));
    put_hex(call->result, "cr3", vcpu->cr3, 8);
    json_object_set_new(call->result, "steps", rows);
}

/* What the guest's tables say of the page; watched: who hears of writes to its frame. */
static void put_guest(struct control_call *call, const struct walk *walk, uint8_t watched)
{
    json_t *guest = json_object();

    put_hex(guest, "physical", walk->gpa, 8);
    json_object_set_new(guest, "page_kib", json_integer((json_int_t)(walk->size >> 10)));
    json_object_set_new(guest, "rights",
                        json_sprintf("r%c%c, %s%s%s", walk->writable ? 'w' : '-',
                                     walk->nx ? '-' : 'x', walk->user ? "user" : "kernel",
                                     walk->accessed ? ", A" : "", walk->dirty ? ", D" : ""));
    if (watched & (WATCH_TABLE | WATCH_CODE))
        json_object_set_new(guest, "holds",
                            json_string(!(watched & WATCH_TABLE) ? "translated code" :
                                        watched & WATCH_CODE ? "page tables, translated code" :
                                        "page tables"));
    json_object_set_new(call->result, "guest", guest);
}

static const char *form_state(const struct shadowmm_form *form, const struct walk *walk,
                              uint8_t watched, bool user)
{
    if (!form->exists)
        return "not in use";
    if (!walk)
        return "not present, as for the guest";
    if (user && !walk->user)
        return "not for user code";
    if (!form->mapped)
        return "hidden: not used here yet";
    if (form->writable)
        return "present, writable";
    if (watched & WATCH_TABLE)
        return "write-protected: traced page table";
    if (watched & WATCH_CODE)
        return "write-protected: traced code";
    if (!walk->writable)
        return "read-only, as the guest has it";
    return walk->dirty ? "read-only until it is written again"
                       : "read-only until a write sets D";
}

static void put_shadow(struct control_call *call, uint32_t gla, const struct walk *walk,
                       uint8_t watched)
{
    static const struct {
        const char *name;
        bool user;
    } forms[LOOK_FORMS] = {
        [LOOK_KERNEL_TLB] = { "kernel TLB", false },
        [LOOK_KERNEL_WINDOW] = { "kernel window", false },
        [LOOK_USER_TLB] = { "user TLB", true }, [LOOK_USER_WINDOW] = { "user window", true },
        [LOOK_DIRECT] = { "bare CPU", true },
    };
    json_t *rows = json_array();
    struct shadowmm_look look;

    shadowmm_look(listing_shadow(call->machine->vcpu), gla, &look);
    for (unsigned i = 0; i < LOOK_FORMS; i++)
        json_array_append_new(rows, json_pack("{s:s, s:s}", "form", forms[i].name, "state",
                                              form_state(&look.form[i], walk, watched,
                                                         forms[i].user)));
    json_object_set_new(call->result, "shadow", rows);
    json_object_set_new(call->result, "view", json_integer(look.view));
    json_object_set_new(call->result, "shared", json_boolean(look.shared));
}

int control_walk(struct control_call *call)
{
    struct vcpu *vcpu = call->machine->vcpu;
    struct walk walk;
    uint8_t watched = 0;
    uint32_t gla;
    bool mapped;

    if (address_of(call, &gla))
        return -1;
    put_hex(call->result, "address", gla, 8);
    put_name(call, call->result, gla);
    put_steps(call, gla);
    mapped = paging_peek(vcpu, gla, &walk);
    if (mapped && walk.gpa >> PAGE_SHIFT < vcpu->mem->frames)
        watched = physmem_watched(vcpu->mem, walk.gpa >> PAGE_SHIFT);
    if (mapped)
        put_guest(call, &walk, watched);
    if (is_translated(call->machine))
        put_shadow(call, gla, mapped ? &walk : NULL, watched);
    return 0;
}

/* --- units ---------------------------------------------------------------------------------- */

static json_t *insn_row(const struct listing_insn *insn)
{
    json_t *row = json_object();

    put_hex(row, "eip", insn->eip, 8);
    put_bytes(row, "bytes", insn->in.bytes, insn->in.len);
    json_object_set_new(row, "class", json_string(explain_class(insn->class)));
    put_hex(row, "host", (uint64_t)(uintptr_t)insn->host, 12);
    put_bytes(row, "code", insn->host, insn->host_len);
    return row;
}

static void add_unit(void *arg, const struct listing_live *unit)
{
    json_t *rows = arg, *row, *insns, *exits;

    if (json_array_size(rows) == UNITS_MAX)
        return;
    row = json_object();
    insns = json_array();
    exits = json_array();
    for (unsigned i = 0; i < unit->code.count; i++)
        json_array_append_new(insns, insn_row(&unit->code.insn[i]));
    for (unsigned i = 0; i < unit->exit_count; i++)
        json_array_append_new(exits, json_sprintf("0x%08x%s", unit->exit[i].eip,
                                                  unit->exit[i].chained ? " chained" : ""));
    put_hex(row, "base", unit->base, 8);
    json_object_set_new(row, "bits", json_integer(unit->bits));
    json_object_set_new(row, "for", json_string(unit->user ? "user" : "kernel"));
    json_object_set_new(row, "memory", json_string(unit->window ? "window" : "TLB"));
    put_hex(row, "host", (uint64_t)(uintptr_t)unit->host, 12);
    json_object_set_new(row, "incoming", json_integer(unit->incoming));
    json_object_set_new(row, "instructions", insns);
    json_object_set_new(row, "exits", exits);
    json_array_append_new(rows, row);
}

/* The instruction itself, too: it may have no unit. */
static void put_code(struct control_call *call, uint32_t gla)
{
    struct vcpu *vcpu = call->machine->vcpu;
    uint8_t code[64];
    size_t size = 0;

    while (size < sizeof(code) && mem_debug_read(vcpu, (uint32_t)(gla + size), &code[size], 1))
        size++;
    put_bytes(call->result, "code", code, size);
    json_object_set_new(call->result, "bits", json_integer(vcpu_code32(vcpu) ? 32 : 16));
}

int control_units(struct control_call *call)
{
    json_t *rows = json_array();
    uint32_t gla;

    json_object_set_new(call->result, "units", rows);
    if (address_of(call, &gla))
        return -1;
    put_hex(call->result, "address", gla, 8);
    put_name(call, call->result, gla);
    put_code(call, gla);
    if (is_translated(call->machine))
        listing_at(call->machine->vcpu, gla, add_unit, rows);
    return 0;
}

/* --- step ----------------------------------------------------------------------------------- */

static json_t *host_row(const struct listing_step *step)
{
    json_t *row = json_object(), *registers = json_array();

    put_hex(row, "at", (uint64_t)(uintptr_t)step->host, 12);
    put_bytes(row, "bytes", step->host, INSN_MAX);
    for (unsigned i = 0; i < 16; i++)
        json_array_append_new(registers, json_sprintf("%llx", (unsigned long long)step->gpr[i]));
    json_object_set_new(row, "registers", registers);
    put_hex(row, "flags", step->flags, 8);
    json_object_set_new(row, "monitor", json_integer(step->monitor));
    return row;
}

/* By the translation, or, where there would be none, by the interpreter. */
static int step_translated(struct control_call *call)
{
    struct vcpu *vcpu = call->machine->vcpu;
    struct listing_step *step = calloc(HOST_STEPS_MAX, sizeof(*step));
    json_t *rows = json_array();
    int count = step ? listing_step(vcpu, step, HOST_STEPS_MAX) : 0;

    for (int i = 0; i < count; i++)
        json_array_append_new(rows, host_row(&step[i]));
    free(step);
    json_object_set_new(call->result, "host", rows);
    return count;
}

static bool may_go_on(const struct machine *m)
{
    return m->stop.end == VM_RUNNING && !m->vcpu->shutdown;
}

/* One instruction by the interpreter, as a debugger's step. */
static enum exit_reason step_guest(struct vcpu *vcpu)
{
    bool ours = !vcpu->stops;
    enum exit_reason reason;

    if (ours && stops_create(vcpu))
        return EXIT_STOP;
    reason = stops_step(vcpu);
    if (ours)
        stops_destroy(vcpu);
    return reason;
}

/* Something is due that ends a HLT. */
static bool is_awake(const struct vcpu *vcpu)
{
    return vcpu_can_interrupt(vcpu) || (vcpu->nmi_pending && !vcpu->nmi_blocked);
}

static int may_step(struct control_call *call)
{
    const struct machine *m = call->machine;

    if (m->engine->undebugged)
        return error_set(&call->error, EX_UNAVAILABLE,
                         "step: not with -engine %s; use bt or interp", m->engine->name);
    if (!m->paused)
        return error_set(&call->error, EX_UNAVAILABLE, "step: the guest runs; pause it first");
    if (debugger_holds(m->debugger))
        return error_set(&call->error, EX_UNAVAILABLE,
                         "step: the debugger has stopped the guest; step there");
    return 0;
}

int control_step(struct control_call *call)
{
    struct machine *m = call->machine;
    int64_t count = control_number(call, "count", 1), done = 0;
    bool translated = control_has(call, "translated");

    if (may_step(call))
        return -1;
    if (count < 1 || count > (translated ? TRANSLATED_MAX : STEPS_MAX))
        return error_set(&call->error, EX_USAGE, "step: 1 to %d, translated to %d", STEPS_MAX,
                         TRANSLATED_MAX);
    if (translated && !is_translated(m))
        return error_set(&call->error, EX_UNAVAILABLE, "step: engine %s translates nothing",
                         m->engine->name);
    if (m->vcpu->halted && !is_awake(m->vcpu)) {
        json_object_set_new(call->result, "state", json_string("waking"));
        return pause_until_awake(m) ? error_set(&call->error, EX_OSERR, "step: no host memory") : 0;
    }
    m->stats.engine_exits++;
    for (; done < count && may_go_on(m) && (!m->vcpu->halted || is_awake(m->vcpu)); done++)
        if (!translated || step_translated(call) < 0)
            step_guest(m->vcpu);
    json_object_set_new(call->result, "done", json_integer(done));
    json_object_set_new(call->result, "state",
                        json_string(!may_go_on(m) ? "ended" : m->vcpu->halted ? "halted" :
                                    "stopped"));
    put_hex(call->result, "eip", m->vcpu->rip, 8);
    put_name(call, call->result, linear_eip(m->vcpu));
    return 0;
}
