/* -d TOPIC[,TOPIC...] */
#ifndef FRONTEND_CONFIG_LOG_H
#define FRONTEND_CONFIG_LOG_H

struct error;

enum { LOG_TEXT_MAX = 128 };

struct log_specs {
    char topics[LOG_TEXT_MAX]; /* those of base/log.def, with commas; "": none */
};

/* 0, or -1 with *error. Topics that only QEMU has are left out, with a note. */
int config_log_take(struct log_specs *log, const char *value, struct error *error);

#endif
