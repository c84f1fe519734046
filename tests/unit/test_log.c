/* The log's topics: which are on, which are misspelt, what is printed. */
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#include "tests/check.h"

static void test_enable(void)
{
    const char *bad = NULL, *list = "int,nonsense,mmu";

    CHECK_EQ(log_on(LOG_int), 0);
    CHECK_EQ(log_enable("int", &bad), 0);
    CHECK_EQ(log_on(LOG_int), 1);
    CHECK_EQ(log_on(LOG_in_asm), 0);
    CHECK_EQ(log_enable("mmu,trace", &bad), 0);
    CHECK_EQ(log_on(LOG_int) && log_on(LOG_mmu) && log_on(LOG_trace), 1);
    CHECK_EQ(log_enable("in", &bad) == -1, 1); /* a prefix is no name */
    CHECK_EQ(log_enable("intx", &bad) == -1, 1);
    CHECK_EQ(log_enable(list, &bad) == -1, 1);
    CHECK_EQ(bad - list, 4);
    CHECK_EQ(log_enable("", &bad), 0);
    CHECK_EQ(log_enable(",", &bad) == -1, 1);
    CHECK_EQ(log_enable("dev,", &bad), 0);
    CHECK_EQ(log_on(LOG_dev), 1);
    novt_log.topics = 0;
    CHECK_EQ(log_enable("all", &bad), 0);
    for (unsigned i = 0; i < LOG_TOPIC_COUNT; i++)
        CHECK_EQ(log_on(i), 1);
}

static void test_print(void)
{
    char *text = NULL;
    size_t size = 0;

    novt_log.out = open_memstream(&text, &size);
    novt_log.topics = 1u << LOG_dev;
    log_print(LOG_dev, "%s %d\n", "port", 0x60);
    log_print(LOG_mmu, "not this\n");
    fclose(novt_log.out);
    novt_log.out = NULL;
    CHECK_EQ(strcmp(text, "port 96\n"), 0);
    free(text);
}

int main(void)
{
    test_enable();
    test_print();
    return CHECK_DONE();
}
