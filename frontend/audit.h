/* -audit: what the trap engine finds, for people. */
#ifndef FRONTEND_AUDIT_H
#define FRONTEND_AUDIT_H

struct audit_find;

/* The engine's audit_found (cpu/engine.h): prints to standard error. arg: struct machine. */
void audit_print(void *arg, const struct audit_find *find);

#endif
