/*
 * A boot disk that measures BIOS services and single port accesses, in TSC cycles a call with the
 * loop around it, the least of BATCHES runs. A line for each on COM1, "BIOS name cycles", and
 * "BIOS done"; then it ends the machine (isa-debug-exit at 0xf4). bench/sixteen --bios shows them.
 */
    .code16
    .text
    .globl _start
SECTORS = 5     /* of code behind the first */
FILLED = 72     /* the medium has as many */
OWN = 0x60      /* vector */
BATCHES = 8
BUFFER = 0x1000 /* segment that disk reads go to */

_start:
    ljmp $0, $1f
1:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    cld
    sti
    movb %dl, drive
    movw $0x0200 + SECTORS, %ax
    movw $0x7e00, %bx
    movw $2, %cx
    xorb %dh, %dh
    int $0x13
    jc end
    jmp main

end:
    xorb %al, %al
    outb %al, $0xf4
1:  hlt
    jmp 1b

drive: .byte 0
    .org 510
    .word 0xaa55

/* --- Measuring ----------------------------------------------------------- */

main:
    movw $own, OWN * 4
    movw $0, OWN * 4 + 2
    movw $tests, %si
next:
    lodsw
    testw %ax, %ax
    jz 3f
    movw %ax, %di           /* the routine */
    lodsw
    movw %ax, rounds
    movl $-1, least
    movw $BATCHES, %cx
1:  pushw %cx
    call batch
    popw %cx
    cmpl least, %eax
    jae 2f
    movl %eax, least
2:  loop 1b
    call report
    jmp next
3:  movw $name_done, %si
    call puts
    jmp end

/* eax: cycles of a call of di, over rounds of them. */
batch:
    pushw %si
    pushw %di
    movw rounds, %cx
    rdtsc
    movl %eax, start
1:  pushw %cx
    pushw %di
    call *%di
    popw %di
    popw %cx
    loop 1b
    rdtsc
    subl start, %eax
    xorl %edx, %edx
    movzwl rounds, %ecx
    divl %ecx
    popw %di
    popw %si
    ret

own:
    iret

/* The name at si (left behind it), and least. */
report:
    pushw %si
    movw $name_bios, %si
    call puts
    popw %si
    call puts
    movb $' ', %al
    call putc
    movl least, %eax
    call decimal
    movb $'\n', %al
    jmp putc

decimal:
    movl $10, %ebx
    xorw %cx, %cx
1:  xorl %edx, %edx
    divl %ebx
    pushw %dx
    incw %cx
    testl %eax, %eax
    jnz 1b
2:  popw %ax
    addb $'0', %al
    call putc
    loop 2b
    ret

#include "guests/lib/serial16.inc"

/* --- What is measured ------------------------------------------------------ */

nothing:                        /* the loop alone */
    ret
load_es:
    xorw %ax, %ax
    movw %ax, %es
    ret
flags:
    pushfw
    cli
    popfw
    ret
interrupt:
    int $OWN
    ret
teletype:
    movw $0x0e41, %ax
    movw $7, %bx
    int $0x10
    ret
cursor_set:
    movb $2, %ah
    xorw %bx, %bx
    movw $0x0510, %dx
    int $0x10
    ret
cursor_get:
    movb $3, %ah
    xorw %bx, %bx
    int $0x10
    ret
characters:
    movw $0x0941, %ax
    movw $7, %bx
    movw $80, %cx
    int $0x10
    ret
scroll:
    movw $0x0601, %ax
    movb $7, %bh
    xorw %cx, %cx
    movw $0x184f, %dx
    int $0x10
    ret
key_waiting:
    movb $1, %ah
    int $0x16
    ret
key_shift:
    movb $2, %ah
    int $0x16
    ret
ticks:
    xorb %ah, %ah
    int $0x1a
    ret
rtc_time:
    movb $2, %ah
    int $0x1a
    ret
rtc_date:
    movb $4, %ah
    int $0x1a
    ret
memory:
    int $0x12
    ret
equipment:
    int $0x11
    ret
memory_map:
    movl $0xe820, %eax
    movl $0x534d4150, %edx
    xorl %ebx, %ebx
    movl $20, %ecx
    movw $0x6000, %di
    int $0x15
    ret
extended:
    movb $0x88, %ah
    int $0x15
    ret
serial_status:
    movb $3, %ah
    xorw %dx, %dx
    int $0x14
    ret
disk_sector:
    movw $0x0201, %ax
    jmp read
disk_64:
    movw $0x0240, %ax
read:
    movw $BUFFER, %bx
    movw %bx, %es
    xorw %bx, %bx
    movw $2, %cx
    movb drive, %dl
    xorb %dh, %dh
    int $0x13
    xorw %ax, %ax
    movw %ax, %es
    ret
disk_lba_8:
    movb $0x42, %ah
    movb drive, %dl
    movw $packet, %si
    int $0x13
    ret
mode_13h:
    movw $0x0013, %ax
    int $0x10
    ret
pixel:
    movw $0x0c05, %ax
    xorw %bx, %bx
    movw $100, %cx
    movw $50, %dx
    int $0x10
    ret
fill_64:                        /* of mode 13h's memory */
    movw $0xa000, %ax
    movw %ax, %es
    xorw %di, %di
    movw $64, %cx
    rep stosb
    xorw %ax, %ax
    movw %ax, %es
    ret
copy_320:                       /* a line to it */
    movw $0xa000, %ax
    movw %ax, %es
    xorw %si, %si
    xorw %di, %di
    movw $80, %cx
    rep movsl
    xorw %ax, %ax
    movw %ax, %es
    ret
mode_3:
    movw $0x0003, %ax
    int $0x10
    ret
out_80h:
    outb %al, $0x80
    ret
pic_mask:
    inb $0x21, %al
    outb %al, $0x21
    ret
pit_count:
    xorb %al, %al
    outb %al, $0x43
    inb $0x40, %al
    inb $0x40, %al
    ret
serial_byte:                    /* NUL, which shows on no terminal */
    movw $COM1 + 5, %dx
    inb %dx, %al
    movw $COM1, %dx
    xorb %al, %al
    outb %al, %dx
    ret

    .macro TEST routine rounds
    .word \routine, \rounds
    .asciz "\routine"
    .endm

tests:
    TEST nothing 1000
    TEST load_es 1000
    TEST flags 1000
    TEST interrupt 1000
    TEST teletype 500
    TEST cursor_set 500
    TEST cursor_get 500
    TEST characters 50
    TEST scroll 20
    TEST key_waiting 500
    TEST key_shift 500
    TEST ticks 500
    TEST rtc_time 200
    TEST rtc_date 200
    TEST memory 1000
    TEST equipment 1000
    TEST memory_map 200
    TEST extended 500
    TEST serial_status 500
    TEST disk_sector 50
    TEST disk_64 5
    TEST disk_lba_8 50
    TEST out_80h 1000
    TEST pic_mask 1000
    TEST pit_count 500
    TEST serial_byte 200
    TEST mode_13h 1
    TEST pixel 500
    TEST fill_64 1000
    TEST copy_320 1000
    TEST mode_3 1
    .word 0
name_bios: .asciz "BIOS "
name_done: .asciz "BIOS done\n"
packet: .byte 16, 0
    .word 8, 0, BUFFER
    .quad 1
rounds: .word 0
start:  .long 0
least:  .long 0
    .org FILLED * 512
