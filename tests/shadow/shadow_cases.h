/* Edits of page tables that random ones hardly ever are; each undoes its own. */
#ifndef TESTS_SHADOW_SHADOW_CASES_H
#define TESTS_SHADOW_SHADOW_CASES_H

#include "tests/shadow/shadow_world.h"

void shadow_cases(struct test *t);

#endif
