/* A kernel's own symbols: tables of each layout, and tables that are broken. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/physmem.h"
#include "frontend/kallsyms.h"
#include "tests/check.h"

enum { RAM = 4 << 20, AT = 0x123000, SYMBOLS = 1300, STEP = 16, BASE = 0xc1000000u };
enum layout { PLAIN, ORDERED, LATER, LAYOUTS }; /* nothing, 3 bytes each before the tokens; 6.4 */

struct maker {
    uint8_t *ram;
    size_t at;
};

static void put32(struct maker *m, uint32_t value)
{
    memcpy(m->ram + m->at, &value, 4);
    m->at += 4;
}

static void align(struct maker *m)
{
    m->at = (m->at + 3) & ~(size_t)3;
}

static void put_offsets(struct maker *m)
{
    for (uint32_t i = 0; i < SYMBOLS; i++)
        put32(m, i * STEP);
    put32(m, BASE);
}

/* Every token is a character; 0 and 1 stand for what comes often. */
static void put_tokens(struct maker *m)
{
    uint16_t index[256];
    size_t start = m->at;

    for (unsigned i = 0; i < 256; i++) {
        index[i] = (uint16_t)(m->at - start);
        if (i == 1)
            m->at += (size_t)sprintf((char *)m->ram + m->at, "symbol_") + 1;
        else
            m->ram[m->at] = (uint8_t)(i ? i : 'x'), m->at += 2;
    }
    align(m);
    memcpy(m->ram + m->at, index, sizeof(index));
    m->at += sizeof(index);
}

static void put_names(struct maker *m, uint32_t *markers)
{
    size_t start = m->at;

    put32(m, SYMBOLS);
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        if (i % 256 == 0)
            markers[i / 256] = (uint32_t)(m->at - start - 4);
        m->at += (size_t)sprintf((char *)m->ram + m->at, "\006T\001%04u", i);
    }
    align(m);
}

static void make(struct physmem *mem, enum layout layout)
{
    struct maker m = { mem->ram, AT };
    uint32_t markers[SYMBOLS / 256 + 1];

    memset(mem->ram, 0, RAM);
    if (layout != LATER)
        put_offsets(&m);
    put_names(&m, markers);
    for (unsigned i = 0; i < SYMBOLS / 256 + 1; i++)
        put32(&m, markers[i]);
    if (layout == ORDERED) {
        memset(m.ram + m.at, 0x5a, 3 * SYMBOLS - 1);
        m.at += 3 * SYMBOLS;
        align(&m);
    }
    put_tokens(&m);
    if (layout == LATER)
        put_offsets(&m);
}

struct heard {
    unsigned count;
    bool sorted;
};

static void hear(void *arg, uint32_t gla, char type, const char *name)
{
    struct heard *heard = arg;
    char want[32];

    sprintf(want, "symbol_%04u", heard->count);
    heard->sorted &= type == 'T' && !strcmp(name, want) && gla == BASE + STEP * heard->count;
    heard->count++;
}

/* All of them; takes k. */
static void check_all(struct kallsyms *k)
{
    struct heard heard = { .sorted = true };

    CHECK_EQ(k != NULL, 1);
    if (k)
        kallsyms_each(k, hear, &heard);
    CHECK_EQ(heard.count, SYMBOLS);
    CHECK_EQ(heard.sorted, true);
    kallsyms_free(k);
}

static void test_layout(struct physmem *mem, enum layout layout)
{
    make(mem, layout);
    check_all(kallsyms_find(mem));
    check_all(kallsyms_in(mem->ram + 4096, RAM - 4096)); /* of a file */
}

static void read_name(void *sum, uint32_t gla, char type, const char *name)
{
    *(size_t *)sum += gla + (unsigned char)type + strlen(name);
}

/* A guest may write anything: the sanitizers judge. */
static void test_broken(struct physmem *mem)
{
    size_t sum = 0;

    for (unsigned i = 0; i < 300; i++) {
        struct kallsyms *k;

        make(mem, i % LAYOUTS);
        for (unsigned n = 0; n < 1 + i % 5; n++)
            mem->ram[AT + (unsigned)rand() % 40000] = (uint8_t)rand();
        k = kallsyms_find(mem);
        if (k)
            kallsyms_each(k, read_name, &sum);
        kallsyms_free(k);
    }
    CHECK_EQ(sum != 0, true);
}

int main(void)
{
    struct physmem mem;

    if (physmem_init(&mem, RAM))
        return 1;
    CHECK_EQ(kallsyms_find(&mem) == NULL, 1);
    for (unsigned i = 0; i < LAYOUTS; i++)
        test_layout(&mem, i);
    test_broken(&mem);
    physmem_destroy(&mem);
    return CHECK_DONE();
}
