/* -engine: how guest code runs. */
#ifndef FRONTEND_CONFIG_ENGINE_H
#define FRONTEND_CONFIG_ENGINE_H

struct engine;
struct error;

/* 0, or -1 with *error. */
int config_engine_take(const struct engine **engine, const char *value, struct error *error);

#endif
