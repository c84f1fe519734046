/*
 * The programs and libraries that are mapped in a guest's user address spaces, found there by their
 * ELF headers: no help of the guest's system is asked for.
 */
#ifndef FRONTEND_USER_IMAGES_H
#define FRONTEND_USER_IMAGES_H

#include <stdint.h>

struct image;
struct user_images;
struct vcpu;

struct user_images *user_images_create(struct vcpu *vcpu); /* NULL: no memory */
void user_images_free(struct user_images *images); /* NULL is allowed */

/* An ELF file with symbols, for images with the same program headers. The file's bytes are looked
 * at now. 0, -ENOEXEC: it is no 32-bit ELF file with symbols, or -ENOMEM. */
int user_images_offer(struct user_images *images, const struct image *file);

struct user_name {
    const char *image;  /* a library's name; "": the program, or nothing is known */
    const char *symbol; /* NULL: none; as the above until the next call */
    uint64_t offset;    /* into it; without one: the address as in its file */
};

/* What is at gla in the current address space. */
struct user_name user_images_name(struct user_images *images, uint32_t gla);

#endif
