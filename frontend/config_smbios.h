/* -smbios and -uuid: what the guest's SMBIOS tables say. */
#ifndef FRONTEND_CONFIG_SMBIOS_H
#define FRONTEND_CONFIG_SMBIOS_H

#include "frontend/smbios.h"

struct error;

struct smbios_specs {
    struct smbios_config said; /* its texts are below */
    char text[SMBIOS_TEXT_MAX];
    size_t used;
};

/* 0, or -1 with *error. */
int config_smbios_take(struct smbios_specs *smbios, const char *value, struct error *error);
int config_smbios_take_uuid(struct smbios_specs *smbios, const char *value, struct error *error);

#endif
