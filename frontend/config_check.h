/* What the options mean together, and what cannot be together. */
#ifndef FRONTEND_CONFIG_CHECK_H
#define FRONTEND_CONFIG_CHECK_H

struct config;
struct error;

/* After all options were taken: settles what they leave open. 0, or -1 with *error. */
int config_check(struct config *config, struct error *error);

#endif
