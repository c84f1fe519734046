/* The interpreter's cache of decoded instructions, made and freed with its vcpu. */
#ifndef CPU_INTERP_CACHE_H
#define CPU_INTERP_CACHE_H

struct vcpu;

/* 0 or -ENOMEM. */
int interp_cache_create(struct vcpu *vcpu);
void interp_cache_destroy(struct vcpu *vcpu);

#endif
