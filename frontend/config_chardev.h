/*
 * -chardev: consoles by name, for options that name one: chardev=ID of a -device, chardev:ID of
 * -serial and its like. Which belong together is known when all have been read.
 */
#ifndef FRONTEND_CONFIG_CHARDEV_H
#define FRONTEND_CONFIG_CHARDEV_H

#include "frontend/console.h"

struct error;

enum { CHARDEVS_MAX = 4, CHARDEV_TEXT_MAX = 4096 };

struct chardev_spec {
    const char *id;
    struct console_spec console;
    bool calls;                  /* server=off */
    bool taken;                  /* somebody has it */
    bool monitor;                /* -mon: commands come from there */
    char text[CHARDEV_TEXT_MAX]; /* what its strings point into */
};

struct chardev_specs {
    struct chardev_spec chardev[CHARDEVS_MAX];
    unsigned count;
    const char *monitor; /* what -mon said, or NULL */
};

/* -chardev stdio|null|pty|file,path=P|socket,path=P|host=H,port=N,id=ID. 0, or -1 with *error. */
int config_chardev_take(struct chardev_specs *chardevs, const char *value, struct error *error);

/* The spec is to be that of a -chardev. option and value: what says so, for messages; option is
 * kept. 0, or -1 with *error. */
int config_chardev_name(struct console_spec *spec, const char *id, const char *option,
                        const char *value, struct error *error);

/* A spec that was given a name becomes what the name stands for, others stay. output: good for
 * output alone. 0, or -1 with *error. */
int config_chardev_join(struct chardev_specs *chardevs, struct console_spec *spec, bool output,
                        struct error *error);

/* -mon [chardev=]ID[,mode=readline]. 0, or -1 with *error. */
int config_chardev_mon(struct chardev_specs *chardevs, const char *value, struct error *error);

/* Before the consoles are joined: that one of -mon is found, and has the monitor beside a console
 * if it is the terminal. 0, or -1 with *error. */
int config_chardev_find_monitor(struct chardev_specs *chardevs, struct error *error);

/* Afterwards: the one of -mon that no console has, or NULL. */
const struct chardev_spec *config_chardev_monitor(const struct chardev_specs *chardevs);

#endif
