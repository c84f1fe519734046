/* Expectations, counted by groups. */
#include "guests/lib/check.h"

#include "guests/lib/console.h"

enum { DETAILS_MAX = 6 };

static const char *group;
static unsigned checks, failures;
static unsigned groups_passed, groups_failed;

void check_begin(const char *name)
{
    group = name;
    checks = failures = 0;
}

bool check_that(bool holds, const char *format, ...)
{
    __builtin_va_list args;

    checks++;
    if (holds || failures++ >= DETAILS_MAX)
        return holds;
    print("  %s: ", group);
    __builtin_va_start(args, format);
    print_list(format, args);
    __builtin_va_end(args);
    print("\n");
    return false;
}

bool check_equal(const char *what, uint32_t got, uint32_t want)
{
    return check_that(got == want, "%s is 0x%x, want 0x%x", what, got, want);
}

void check_end(void)
{
    if (failures) {
        groups_failed++;
        print("FAIL %s %u of %u\n", group, failures, checks);
    } else {
        groups_passed++;
        print("PASS %s\n", group);
    }
}

void check_skip(const char *name, const char *why)
{
    print("SKIP %s %s\n", name, why);
}

unsigned check_done(void)
{
    print("DONE %u passed %u failed\n", groups_passed, groups_failed);
    return groups_failed != 0;
}
