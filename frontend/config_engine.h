/* -engine, -user, -audit: how guest code runs. */
#ifndef FRONTEND_CONFIG_ENGINE_H
#define FRONTEND_CONFIG_ENGINE_H

#include "cpu/engine.h"

struct error;

/* 0, or -1 with *error. */
int config_engine_take(const struct engine **engine, const char *value, struct error *error);
int config_engine_take_user(enum user_tier *user, const char *value, struct error *error);

struct engine_options {
    const struct engine *engine;
    enum user_tier user;
    enum audit_mode audit;
    const char *log; /* of -d, or NULL */
};

/* After all options: do they go together? 0, or -1 with *error. */
int config_engine_check(const struct engine_options *options, struct error *error);

#endif
