/*
 * A kernel with a mistake, and nobody to catch it: its IDT has no gate for page faults, and none
 * for double faults. docs/debugging.md reads the report of its end.
 */
#include "guests/lib/boot.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"

enum { PAGE_FAULT = 14, DOUBLE_FAULT = 8 };

struct list {
    struct list *next;
    uint32_t value;
};

static struct list last = { 0, 3 }, middle = { &last, 2 }, first = { &middle, 1 };

static __attribute__((noinline)) uint32_t sum(const struct list *list)
{
    uint32_t total = 0;

    for (; list; list = list->next)
        total += list->value;
    return total;
}

/* The end of a list that was never ended. */
static __attribute__((noinline)) void append(struct list *list, struct list *more)
{
    while (list->next)
        list = list->next;
    list->next = more;
    more->value = sum(&first);
}

unsigned guest_main(void)
{
    trap_init();
    paging_init(false, false);
    idt[PAGE_FAULT] = idt[DOUBLE_FAULT] = 0;
    append(&first, (struct list *)PAGING_TEST);
    return 0;
}
