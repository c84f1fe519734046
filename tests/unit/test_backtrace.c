/* Walks over stacks: frame pointers, prologues, stacks without either, and garbage. */
#include "cpu/engine.h"
#include "frontend/backtrace.h"
#include "frontend/folded.h"
#include "tests/check.h"
#include "tests/unit/cpu_machine.h"

enum {
    OUTER = AT_CODE,          /* call MIDDLE; call [eax] */
    MIDDLE = AT_CODE + 0x300, /* push ebp; mov ebp, esp; call INNER */
    INNER = AT_CODE + 0x200,  /* push ebp; mov ebp, esp; nop; ret */
    STACK = STACK0 - 0x400,
};

static struct machine m;
static struct backtrace trace;

static void code(uint32_t at, const char *bytes, size_t size)
{
    memcpy(m.pm.ram + at, bytes, size);
}

static void call(uint32_t at, uint32_t to)
{
    uint32_t distance = to - (at + 5);

    m.pm.ram[at] = 0xe8;
    memcpy(m.pm.ram + at + 1, &distance, 4);
}

static void word(uint32_t at, uint32_t value)
{
    memcpy(m.pm.ram + at, &value, 4);
}

static void walk(uint32_t eip, uint32_t esp, uint32_t ebp)
{
    struct guest_point point = { eip, esp, ebp, false, true };

    backtrace_take(m.vcpu, &point, &trace);
}

static void expect(unsigned count, const uint32_t *eips)
{
    CHECK_EQ(trace.count, count);
    for (unsigned i = 0; i < count && i < trace.count; i++)
        CHECK_EQ(trace.frame[i].eip, eips[i]);
}

static void prepare(void)
{
    call(OUTER, MIDDLE);
    code(OUTER + 5, "\xff\x10", 2);
    code(MIDDLE, "\x55\x89\xe5", 3);
    call(MIDDLE + 3, INNER);
    code(INNER, "\x55\x89\xe5\x90\xc3", 5);
}

static void test_frames(void)
{
    static const uint32_t want[] = { INNER + 3, MIDDLE + 8, OUTER + 5 };

    word(STACK, STACK + 8); /* INNER's frame, MIDDLE's */
    word(STACK + 4, MIDDLE + 8);
    word(STACK + 8, 0);
    word(STACK + 12, OUTER + 5);
    walk(INNER + 3, STACK, STACK);
    expect(3, want);
    CHECK_EQ(trace.frame[0].entry, INNER);
    CHECK_EQ(trace.frame[1].entry, MIDDLE);
    CHECK_EQ(trace.frame[2].entry, 0);
    CHECK_EQ(trace.in_user, false);
}

/* EBP is the caller's still, or again; or ESP has been changed by half an instruction. */
static void test_edges(void)
{
    static const struct {
        uint32_t eip, esp;
    } at[] = { { INNER, STACK + 4 }, { INNER, STACK }, { INNER + 1, STACK },
               { INNER + 4, STACK + 4 }, { INNER + 4, STACK + 8 } };

    for (unsigned i = 0; i < sizeof(at) / sizeof(*at); i++) {
        const uint32_t want[] = { at[i].eip, MIDDLE + 8, OUTER + 5 };

        walk(at[i].eip, at[i].esp, STACK + 8);
        expect(3, want);
    }
}

/* Without frame pointers: what did not call us is left out if something else did. */
static void test_scan(void)
{
    static const uint32_t want[] = { INNER + 3, MIDDLE + 8, OUTER + 5 };

    memset(m.pm.ram + STACK, 0, 0x400);
    word(STACK + 8, OUTER + 5); /* left there: it calls MIDDLE */
    word(STACK + 16, INNER);    /* no CALL ends there */
    word(STACK + 24, MIDDLE + 8);
    word(STACK + 40, OUTER + 5);
    walk(INNER + 3, STACK, 0x12345);
    expect(3, want);
    word(STACK + 24, 0);
    word(STACK + 40, OUTER + 7); /* by CALL [EAX], which says nothing */
    walk(INNER + 3, STACK, 0);
    CHECK_EQ(trace.frame[1].eip, OUTER + 7);
}

static void test_garbage(void)
{
    uint32_t random = 1;

    for (unsigned i = 0; i < 0x400; i += 4)
        word(STACK + i, i % 8 ? OUTER + 7 : STACK); /* frames in a circle */
    walk(INNER + 3, STACK, STACK);
    CHECK_EQ(trace.count <= BACKTRACE_MAX, 1);
    for (unsigned n = 0; n < 2000; n++) {
        random = random * 1664525 + 1013904223;
        word(STACK + n % 256 * 4, random);
        walk(random >> 3, n % 3 ? STACK : random, n % 2 ? STACK : random * 5);
        CHECK_EQ(trace.count >= 1 && trace.count <= BACKTRACE_MAX, 1);
    }
}

static void test_folded(void)
{
    static const char want[] = "a 2\nb;c 1\n";
    struct folded *folded = folded_create();
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    folded_count(folded, "a");
    folded_count(folded, "b;c");
    folded_count(folded, "a");
    folded_print(folded, out);
    fclose(out);
    CHECK_EQ(strcmp(text, want), 0);
    free(text);
    folded_free(folded);
}

int main(void)
{
    m_create(&m);
    prepare();
    test_frames();
    test_edges();
    test_scan();
    test_garbage();
    test_folded();
    m_destroy(&m);
    return CHECK_DONE();
}
