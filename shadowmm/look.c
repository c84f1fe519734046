/* What the shadow memory has of an address, for people to look at: nothing of it changes here. */
#include "cpu/tlb.h"
#include "shadowmm/view.h"

static const struct area *area_of(const struct window *w, uint64_t page)
{
    for (unsigned i = 0; i < w->areas; i++)
        if (page - w->area[i].page < w->area[i].count)
            return &w->area[i];
    return NULL;
}

static void look_at_window(const struct window *w, uint64_t gla, struct shadowmm_form *out)
{
    const struct area *area = w ? area_of(w, gla >> PAGE_SHIFT) : NULL;

    out->exists = w;
    out->mapped = area;
    out->writable = area && area->rights.write;
}

static void look_at_tlb(const struct tlb *tlb, uint64_t gla, struct shadowmm_form *out)
{
    out->exists = true;
    out->mapped = tlb_hit(tlb, MEM_READ, gla) || tlb_hit(tlb, MEM_EXEC, gla);
    out->writable = tlb_hit(tlb, MEM_WRITE, gla);
}

void shadowmm_look(const struct shadowmm *sm, uint64_t gla, struct shadowmm_look *out)
{
    const struct view *view = &sm->view[sm->current];

    for (unsigned user = 0; user < 2; user++)
        look_at_tlb(&view->tlb[user], gla, &out->form[user ? LOOK_USER_TLB : LOOK_KERNEL_TLB]);
    look_at_window(view->window[SLOT_KERNEL], gla, &out->form[LOOK_KERNEL_WINDOW]);
    look_at_window(view->window[SLOT_USER], gla, &out->form[LOOK_USER_WINDOW]);
    look_at_window(view->window[SLOT_DIRECT], gla, &out->form[LOOK_DIRECT]);
    out->shared = sm->share.window && view->window[SLOT_KERNEL] == sm->share.window;
    out->view = sm->current;
}

enum shadowmm_table shadowmm_table_state(const struct shadowmm *sm, uint64_t gpa, uint64_t *copy)
{
    uint64_t gfn = gpa >> PAGE_SHIFT;
    const struct table *t = gfn < sm->tables_end ? sm->table_of[gfn] : NULL;

    if (!t)
        return TABLE_PLAIN;
    *copy = t->entry_bytes == 8 ? t->copy[(gpa & PAGE_MASK) / 8]
                                : ((const uint32_t *)t->copy)[(gpa & PAGE_MASK) / 4];
    return t->unsync ? TABLE_UNSYNC : TABLE_TRACED;
}
