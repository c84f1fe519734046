/*
 * A boot sector that uses the BIOS's disk services on the drive it came from, and says on COM1 what
 * it got:
 *
 *   BOOT dd       the drive's number
 *   READ ssssssss the sum of sectors 2 to 7 (INT 13h, AH 02h), or "failed ee" with the BIOS's error
 *   WRITE ok      this sector, written to sector 8 (AH 03h) and read again; or "failed ee"
 *
 * Then it ends the machine (isa-debug-exit at 0xf4).
 */
    .code16
    .globl _start
    .text
BUFFER = 0x1000 /* segment */
drive = 0x7a00    /* outside of this sector, which is written as it is */
SECTORS = 6 /* every floppy's track has 8 */

_start:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7c00, %sp
    cld
    movb %dl, drive
    movw $boot, %si
    call puts
    movb drive, %al
    call hex_byte

    movw $read, %si
    call puts
    movw $BUFFER, %ax
    movw %ax, %es
    xorw %bx, %bx
    movw $0x0200 + SECTORS, %ax
    movw $0x0002, %cx
    call disk
    jc 2f
    xorl %eax, %eax
    xorw %si, %si
    movw $SECTORS * 512 / 4, %cx
1:  addl %es:(%si), %eax
    roll $1, %eax
    addw $4, %si
    loop 1b
    call hex
    jmp 3f
2:  call failed

3:  movw $write, %si
    call puts
    xorw %ax, %ax
    movw %ax, %es
    movw $0x7c00, %bx
    movw $0x0301, %ax
    movw $0x0008, %cx
    call disk
    jc 5f
    movw $0x8000, %bx
    movw $0x0201, %ax
    movw $0x0008, %cx
    call disk
    jc 5f
    movw $0x7c00, %si
    movw $0x8000, %di
    movw $256, %cx
    movb $0xff, %ah
    repe cmpsw
    jne 5f
    movw $ok, %si
    call puts
    jmp end
5:  call failed

end:
    movw $newline, %si
    call puts
    xorb %al, %al
    outb %al, $0xf4
1:  hlt
    jmp 1b

/* INT 13h; the head is 0. */
disk:
    xorb %dh, %dh
    movb drive, %dl
    int $0x13
    ret

failed:
    pushw %ax
    movw $failure, %si
    call puts
    popw %ax
    movb %ah, %al
hex_byte:
    shll $24, %eax
    movw $2, %cx
    jmp hex_digits
hex:
    movw $8, %cx
hex_digits:
    roll $4, %eax
    pushl %eax
    andb $15, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe 1f
    addb $'a' - '9' - 1, %al
1:  call putc
    popl %eax
    loop hex_digits
    ret

#include "guests/lib/serial16.inc"

boot: .asciz "BOOT "
read: .asciz "\nREAD "
write: .asciz "\nWRITE "
failure: .asciz "failed "
ok: .asciz "ok"
newline: .asciz "\n"
    .org 510
    .word 0xaa55
