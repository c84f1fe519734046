/*
 * A boot disk that draws, by the BIOS's video functions and by VGA's registers, in 16-bit code.
 *
 * The byte at 0x1f8 of the first sector says what (a test writes it there): 0 text, 1 mode 13h,
 * 2 mode X, 3 mode 12h, 4 1024x768x32 by VBE through banks, 5 what keys are pressed, 6 redraws of
 * that mode's frame buffer for ever, 7 1920x1200x32 in its frame buffer. "DONE" on COM1 says that
 * the picture is complete. What it must look like is in tests/screen/screen.py.
 */
#define SECTORS 7 /* behind the first */
#define WHAT    0x7df8
#define DRIVE   0x7df9

    .code16
    .text
    .globl _start
_start:
    ljmp $0, $1f
1:  xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $0x7c00, %sp
    cld
    mov %dl, DRIVE
    mov $0x0200 + SECTORS, %ax
    mov $0x7e00, %bx
    mov $2, %cx
    xor %dh, %dh
    int $0x13
    jc failed
    jmp main

failed:
    mov $text_failed, %si
    call print
1:  hlt
    jmp 1b

/* si: a string, to COM1. */
print:
    lodsb
    test %al, %al
    jz 1f
    call put
    jmp print
1:  ret

put:
    mov %al, %ah
    mov $0x3fd, %dx
1:  in %dx, %al
    test $0x20, %al
    jz 1b
    mov $0x3f8, %dx
    mov %ah, %al
    out %al, %dx
    ret

text_failed:
    .asciz "FAILED\r\n"
text_done:
    .asciz "DONE\r\n"

    .org 0x1f8
    .byte 0, 0
    .org 0x1fe
    .word 0xaa55

/* --- The second sector and those behind it ---------------------------------------------- */

main:
    movzbw WHAT, %bx
    add %bx, %bx
    call *parts(%bx)
    mov $text_done, %si
    call print
1:  sti
    hlt
    jmp 1b

parts:
    .word text, mode_13, mode_x, mode_12, vbe, keys, redraw, largest

/* Every character, with an attribute that depends on its place. */
text:
    mov $0x0003, %ax
    int $0x10
    mov $0x0100, %ax /* no cursor */
    mov $0x2000, %cx
    int $0x10
    mov $0xb800, %ax
    mov %ax, %es
    xor %di, %di
    xor %cx, %cx
1:  mov %cl, %al
    imul $7, %cx, %dx
    and $0x7f, %dl
    mov %dl, %ah
    stosw
    inc %cx
    cmp $2000, %cx
    jne 1b
    ret

/* Colour i is (i, 3i, 63 - i), each modulo 64. */
palette:
    mov $0x3c8, %dx
    xor %al, %al
    out %al, %dx
    inc %dx
    xor %cx, %cx
1:  mov %cl, %al
    and $63, %al
    out %al, %dx
    imul $3, %cx, %ax
    and $63, %al
    out %al, %dx
    mov %cl, %al
    not %al
    and $63, %al
    out %al, %dx
    inc %cl
    jnz 1b
    ret

/* Pixel (x, y) is x ^ y. */
mode_13:
    mov $0x0013, %ax
    int $0x10
    call palette
    mov $0xa000, %ax
    mov %ax, %es
    xor %di, %di
    xor %bx, %bx /* y */
1:  xor %cx, %cx
2:  mov %cl, %al
    xor %bl, %al
    stosb
    inc %cx
    cmp $320, %cx
    jne 2b
    inc %bx
    cmp $200, %bx
    jne 1b
    ret

/* 320x240 in planes; pixel (x, y) is x + 2y. */
mode_x:
    mov $0x0013, %ax
    int $0x10
    call palette
    mov $0x3c4, %dx
    mov $0x0604, %ax
    out %ax, %dx
    mov $0x3c2, %dx
    mov $0xe3, %al
    out %al, %dx
    mov $0x3d4, %dx
    mov $0x11, %al /* unlock */
    out %al, %dx
    inc %dx
    in %dx, %al
    and $0x7f, %al
    out %al, %dx
    dec %dx
    mov $crtc_x, %si
    mov $(crtc_x_end - crtc_x) / 2, %cx
1:  lodsw
    out %ax, %dx
    loop 1b
    mov $0xa000, %ax
    mov %ax, %es
    xor %bp, %bp /* plane */
2:  mov $0x3c4, %dx
    mov %bp, %cx
    mov $0x0102, %ax
    shl %cl, %ah
    out %ax, %dx
    xor %di, %di
    xor %bx, %bx /* y */
3:  mov %bp, %ax
    add %bl, %al
    add %bl, %al
    mov $80, %cx
4:  stosb
    add $4, %al
    loop 4b
    inc %bx
    cmp $240, %bx
    jne 3b
    inc %bp
    cmp $4, %bp
    jne 2b
    ret

crtc_x:
    .word 0x0d06, 0x3e07, 0x4109, 0xea10, 0xac11, 0xdf12, 0x0014, 0xe715, 0x0616, 0xe317
crtc_x_end:

/* 640x480, a colour for eight pixels by write mode 2: (x / 8 + y / 16) modulo 16. Then a line
 * across, inverted by set/reset with XOR. */
mode_12:
    mov $0x0012, %ax
    int $0x10
    mov $0x3ce, %dx
    mov $0x0205, %ax
    out %ax, %dx
    mov $0xa000, %ax
    mov %ax, %es
    xor %di, %di
    xor %bx, %bx
1:  mov %bx, %ax
    shr $4, %ax
    mov $80, %cx
2:  stosb
    inc %ax
    loop 2b
    inc %bx
    cmp $480, %bx
    jne 1b
    mov $0x0005, %ax /* write mode 0 */
    out %ax, %dx
    mov $0x0f00, %ax
    out %ax, %dx
    mov $0x0f01, %ax
    out %ax, %dx
    mov $0x1803, %ax
    out %ax, %dx
    mov $240 * 80, %di
    mov $80, %cx
3:  mov %es:(%di), %al
    stosb
    loop 3b
    ret

/* 1024x768x32: pixel n, line by line, is n * 0x10305. */
vbe:
    mov $0x4f02, %ax
    mov $0x0144, %bx
    int $0x10
    cmp $0x004f, %ax
    jne failed
    mov $0xa000, %ax
    mov %ax, %es
    xor %esi, %esi
    xor %dx, %dx /* bank */
1:  push %dx
    mov $0x4f05, %ax
    xor %bx, %bx
    int $0x10
    pop %dx
    xor %di, %di
    mov $16384, %cx
2:  mov %esi, %eax
    stosl
    add $0x10305, %esi
    loop 2b
    inc %dx
    cmp $48, %dx
    jne 1b
    ret

/* Each key's ASCII code to COM1 and to the screen, until "q". */
keys:
    mov $0x0003, %ax
    int $0x10
    mov $text_ready, %si
    call print
1:  xor %ax, %ax
    int $0x16
    push %ax
    call put
    pop %ax
    push %ax
    mov $0x0e, %ah
    xor %bx, %bx
    int $0x10
    pop %ax
    cmp $'q', %al
    jne 1b
    ret

text_ready:
    .asciz "READY\r\n"

/* 1024x768x32 in its frame buffer by 32-bit code, in a new colour each time; a dot to COM1 for
 * every hundred. */
redraw:
    mov $0x4f02, %ax
    mov $0x4144, %bx
    int $0x10
    cmp $0x004f, %ax
    jne failed
    mov $0x4f01, %ax
    mov $0x4144, %cx
    mov $0x9000, %di
    int $0x10
    mov 0x9000 + 0x28, %ebp /* where it is */
    mov $text_ready, %si
    call print
    cli
    lgdt gdt_pointer
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $8, $1f
    .code32
1:  mov $16, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $0x7c00, %esp
    xor %eax, %eax
2:  mov $100, %edx
3:  mov %ebp, %edi
    mov $1024 * 768, %ecx
    rep stosl
    add $0x00010203, %eax
    dec %edx
    jnz 3b
    push %eax
    mov $'.', %al
    mov $0x3f8, %dx
    out %al, %dx
    pop %eax
    jmp 2b
    .code16

/* Pixel n, line by line, is n * 0x10305. The mode is found in the BIOS's list, and ES is given a
 * limit of 4 GiB on the way through protected mode, which it keeps. */
largest:
    movl $0x32454256, 0x9000 /* "VBE2" */
    mov $0x4f00, %ax
    mov $0x9000, %di
    int $0x10
    cmp $0x004f, %ax
    jne failed
    lfs 0x9000 + 0x0e, %si
1:  mov %fs:(%si), %cx
    add $2, %si
    cmp $0xffff, %cx
    je failed
    mov $0x4f01, %ax
    mov $0x9200, %di
    int $0x10
    cmpl $1200 << 16 | 1920, 0x9200 + 0x12
    jne 1b
    cmpb $32, 0x9200 + 0x19
    jne 1b
    mov $0x4f02, %ax
    mov %cx, %bx
    or $0x40, %bh
    int $0x10
    cmp $0x004f, %ax
    jne failed
    cli
    lgdt gdt_pointer
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    mov $16, %bx
    mov %bx, %es
    and $0xfe, %al
    mov %eax, %cr0
    mov 0x9200 + 0x28, %edi /* where it is */
    xor %eax, %eax
    mov $1920 * 1200, %ecx
2:  mov %eax, %es:(%edi)
    add $4, %edi
    add $0x10305, %eax
    dec %ecx
    jnz 2b
    ret

    .balign 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt

    .org 0x200 * (SECTORS + 1)
    .org 1474560
