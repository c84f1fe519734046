/* BUG_ON: we are wrong. Always compiled in; its condition has no side effects. */
#ifndef BASE_BUG_H
#define BASE_BUG_H

_Noreturn void bug(const char *file, int line, const char *condition);

#define BUG_ON(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!!(condition), 0))                                                    \
            bug(__FILE__, __LINE__, #condition);                                                   \
    } while (0)

#endif
