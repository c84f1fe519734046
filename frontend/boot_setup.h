/*
 * The setup header of the Linux boot protocol, as both of its loaders read it (boot_linux.c by the
 * 32-bit entry point, boot_real.c by firmware), and the words of the command line that are a
 * loader's. Reference: Linux, Documentation/arch/x86/boot.rst; field names are its.
 */
#ifndef FRONTEND_BOOT_SETUP_H
#define FRONTEND_BOOT_SETUP_H

#include <stddef.h>
#include <stdint.h>

#include "frontend/image.h"

/* Offsets of its fields, in the file and in the zero page */
enum {
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    VID_MODE = 0x1fa,
    BOOT_FLAG = 0x1fe,
    JUMP = 0x200, /* its second byte says where the header ends */
    MAGIC = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END_PTR = 0x224,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_END = 0x290,
};

enum { LOADED_HIGH = 0x01, CAN_USE_HEAP = 0x80, XLF_KERNEL_64 = 0x01, LOADER_UNKNOWN = 0xff };
enum { VID_MODE_NORMAL = 0xffff, VID_MODE_EXT = 0xfffe, VID_MODE_ASK = 0xfffd };

#define SETUP_SECTOR 512
#define SETUP_KERNEL 0x100000 /* gpa of the protected-mode kernel, from where it moves itself */

/* A field of size bytes, 4 at most; head has what the field's version of the protocol has. */
uint32_t setup_get(const uint8_t *head, unsigned offset, unsigned size);

/* Of the protocol; 0: before it had numbers (Linux before 1.3.73, memtest86+ before 6). */
unsigned setup_version(const uint8_t *head);

/* The bytes of the real-mode part, with which the file begins. */
size_t setup_size(const uint8_t *head);

/* gpa of the end of the memory that a kernel which is loaded high uses before it looks at the
 * memory map. */
uint64_t setup_kernel_end(const struct image *kernel);

/* gpa below which the RAM disk has to end. */
uint64_t setup_initrd_end(const uint8_t *head);

/* The most bytes of a command line, without its end. */
size_t setup_cmdline_max(const uint8_t *head);

/* What the last vga= of a command line asks for, a VID_MODE_ or a number; -1 where there is none,
 * or none that says a mode ("Special Command Line Options"). */
int setup_video_mode(const char *append);

#endif
