/* Programs by their stacks; see programs.h. Of Linux for i386, with user space below 3 GiB. */
#include "frontend/programs.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/physmem.h"
#include "frontend/peek.h"

#define STACK_PAGES 64     /* looked at from the stack pointer on */
#define STACK_END 0xc0000000u
#define STACK_AREA 2304    /* pages below it: Linux shifts a stack by up to 8 MiB */
#define PATH_SIZE 256
#define PROGRAMS 256
#define PROGRAM_SIZE 64

struct programs {
    struct vcpu *vcpu;
    uint64_t stack_root; /* whose stack ends at: */
    uint32_t stack_top;
    struct {
        uint64_t root;
        char name[PROGRAM_SIZE];
    } program[PROGRAMS]; /* by a hash of the root: an exiting process has no stack any more */
};

struct programs *programs_create(struct vcpu *vcpu)
{
    struct programs *programs = calloc(1, sizeof(*programs));

    if (programs)
        programs->vcpu = vcpu;
    return programs;
}

void programs_free(struct programs *programs)
{
    free(programs);
}

/* The stack ends with the path and a word of zeroes. */
static bool ends_in_path(const uint8_t *page, char *path)
{
    static const uint8_t zeroes[5];
    size_t end = PAGE_SIZE - sizeof(zeroes), start = end;

    if (memcmp(page + end, zeroes, sizeof(zeroes)))
        return false;
    while (start && page[start - 1] > ' ' && page[start - 1] <= '~' && end - start < PATH_SIZE - 1)
        start--;
    if (start == end || !start || page[start - 1])
        return false;
    memcpy(path, page + start, end - start);
    path[end - start] = '\0';
    return true;
}

static bool path_at(struct programs *programs, uint32_t page, char *path)
{
    uint8_t bytes[PAGE_SIZE];

    return peek_bytes(programs->vcpu, page, bytes, sizeof(bytes)) && ends_in_path(bytes, path);
}

/* From a stack pointer up to the end of what is mapped. */
static uint32_t top_above(struct programs *programs, uint32_t esp)
{
    uint32_t page = esp & ~(uint32_t)PAGE_MASK, word;

    for (unsigned i = 0; i < STACK_PAGES; i++, page += (uint32_t)PAGE_SIZE)
        if (!peek_word(programs->vcpu, page, &word))
            break;
    return page - (uint32_t)PAGE_SIZE;
}

/* Of a thread, whose own stack is elsewhere: the first page from the end of user space. */
static uint32_t top_below_kernel(struct programs *programs)
{
    uint32_t page = STACK_END - (uint32_t)PAGE_SIZE, word;

    for (unsigned i = 0; i < STACK_AREA; i++, page -= (uint32_t)PAGE_SIZE)
        if (peek_word(programs->vcpu, page, &word))
            return page;
    return page;
}

static bool find_path(struct programs *programs, uint32_t esp, char *path)
{
    uint64_t root = peek_root(programs->vcpu);

    if (programs->stack_root == root && path_at(programs, programs->stack_top, path))
        return true;
    programs->stack_root = root;
    programs->stack_top = top_above(programs, esp);
    if (path_at(programs, programs->stack_top, path))
        return true;
    programs->stack_top = top_below_kernel(programs);
    return path_at(programs, programs->stack_top, path);
}

void programs_name(struct programs *programs, uint32_t esp, char *text, size_t size)
{
    uint64_t root = peek_root(programs->vcpu);
    unsigned i = (unsigned)(root >> 5 ^ root >> 13) % PROGRAMS;
    const char *slash;
    char path[PATH_SIZE];

    if (find_path(programs, esp, path)) {
        slash = strrchr(path, '/');
        programs->program[i].root = root;
        snprintf(programs->program[i].name, PROGRAM_SIZE, "%.63s",
                 slash && slash[1] ? slash + 1 : path);
    }
    if (programs->program[i].root == root && *programs->program[i].name)
        snprintf(text, size, "%s", programs->program[i].name);
    else
        snprintf(text, size, "cr3:0x%llx", (unsigned long long)root);
}
