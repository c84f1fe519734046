/* The board's ACPI namespace. */
#ifndef FRONTEND_DSDT_H
#define FRONTEND_DSDT_H

#include <stddef.h>

struct acpi_config;
struct aml;

/* Returns where the table starts. */
size_t dsdt_build(struct aml *a, const struct acpi_config *config);

#endif
