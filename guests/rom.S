/*
 * Firmware of our own: 64 KiB of ROM that starts at the reset vector and looks at what changes
 * under running code: ROM that is written to, shadow RAM (PAM) switched while code there runs, a
 * frame buffer moved by its base address register, a reset in the middle of all that. Without
 * paging and with it. Says "DONE" or "FAIL NN" (the number of the check) at the debug console,
 * port 0xe9.
 *
 *     novt run -bios rom.bin -debugcon stdio -serial none -device isa-debug-exit,iobase=0xf4
 *
 * Linked at its high alias, 4 GiB - 64 KiB; LOW(x) is the same byte below 1 MiB.
 */
#define LOW(x)    ((x) - 0xffff0000 + 0xf0000)
#define OFFSET(x) ((x) - _start)

#define ROUNDS     2000
#define STACK      0x7000
#define MARKER     0x5000      /* in RAM */
#define DIRECTORY  0x10000
#define CMOS_INDEX 0x50        /* says that this is the second time */
#define HOST       0x80000000  /* configuration addresses */
#define VGA        0x80001000
#define BUFFER_1   0xe0000000
#define BUFFER_2   0xe8000000
#define BUFFER_SIZE 0x100000
#define SUM(n) ((n)*(BUFFER_SIZE/4))

        .macro want number, register, value
        mov     $\number, %ebp
        cmp     $\value, \register
        jne     failed
        .endm

        .macro say text
        call    1f
        .asciz  "\text\n"
1:      pop     %esi
        call    print
        .endm

/* PAM register 0: what 0xf0000-0xfffff is read from and written to. */
#define PAM_ROM   0x00
#define PAM_READ  0x10
#define PAM_WRITE 0x20
        .macro pam value
        mov     $\value, %al
        call    set_pam
        .endm

        .macro config_write register, value
        mov     $\register, %eax
        mov     $\value, %ecx
        call    set_config
        .endm

/* --- Code below 1 MiB ------------------------------------------------------- */

        .text
        .code32
        .globl  _start
_start:

/* Returns what its own bytes say. */
        .align  64
number: mov     $1, %eax
        ret
#define NUMBER_BYTE (number + 1)

/* Writes al to port dx, which switches what is here, and returns what comes next then. */
        .align  64
switch: out     %al, %dx
switch_next:
        mov     $0x11, %eax
        ret
#define SWITCH_BYTE (switch_next + 1)

        .align  64
word:   .long   0x600dda7a, 0, 0, 0

/* --- Tools ------------------------------------------------------------------- */

print:  lodsb   %cs:(%esi)
        test    %al, %al
        jz      1f
        out     %al, $0xe9
        jmp     print
1:      ret

/* Check ebp failed: "FAIL" and its number in two digits. */
failed: say     "FAIL"
        mov     %ebp, %eax
        mov     $10, %cl
        div     %cl
        add     $0x3030, %ax
        out     %al, $0xe9
        mov     %ah, %al
        out     %al, $0xe9
        mov     $10, %al
        out     %al, $0xe9
        mov     %ebp, %eax
        out     %al, $0xf4

set_config: /* register eax = ecx */
        mov     $0xcf8, %dx
        out     %eax, %dx
        mov     $0xcfc, %dx
        mov     %ecx, %eax
        out     %eax, %dx
        ret

select_pam: /* dx: the port of PAM0 */
        push    %eax
        mov     $HOST + 0x58, %eax
        mov     $0xcf8, %dx
        out     %eax, %dx
        mov     $0xcfc + 1, %dx
        pop     %eax
        ret

set_pam:
        call    select_pam
        out     %al, %dx
        ret

/* Calls the low number() often enough for whatever makes code fast; eax: what it said last. */
call_number:
        mov     $ROUNDS, %ecx
1:      mov     $LOW(number), %esi
        push    %ecx
        call    *%esi
        pop     %ecx
        loop    1b
        ret

/* --- Checks ------------------------------------------------------------------ */

/* Every way to write, to both places. */
read_only:
        movl    $0, word
        movl    $0, LOW(word)
        mov     word, %eax
        want    1, %eax, 0x600dda7a
        mov     LOW(word), %eax
        want    2, %eax, 0x600dda7a
        incl    word
        lock    incl LOW(word)
        mov     $5, %eax
        xchg    %eax, word
        want    3, %eax, 0x600dda7a
        btsl    $2, LOW(word)
        mov     word, %eax
        want    4, %eax, 0x600dda7a
        mov     $LOW(word), %edi
        mov     $4, %ecx
        xor     %eax, %eax
        rep     stosl
        mov     LOW(word), %eax
        want    5, %eax, 0x600dda7a
        mov     %esp, %ebx
        mov     $LOW(word) + 4, %esp
        push    %ebx
        pop     %eax
        mov     %ebx, %esp
        want    6, %eax, 0x600dda7a
        mov     $ROUNDS, %ecx
1:      mov     %ecx, LOW(word)
        mov     %ecx, word
        loop    1b
        mov     LOW(word), %eax
        want    7, %eax, 0x600dda7a
        ret

shadow: call    call_number
        want    10, %eax, 1
        pam     PAM_WRITE
        mov     $0xf0000, %esi
        mov     %esi, %edi
        mov     $0x4000, %ecx
        rep     movsl
        movb    $2, LOW(NUMBER_BYTE)
        movb    $0x22, LOW(SWITCH_BYTE)
        call    call_number
        want    11, %eax, 1
        pam     PAM_READ + PAM_WRITE
        call    call_number
        want    12, %eax, 2
        movb    $3, LOW(NUMBER_BYTE)
        call    call_number
        want    13, %eax, 3
        pam     PAM_READ
        movb    $4, LOW(NUMBER_BYTE)
        call    call_number
        want    14, %eax, 3
        pam     PAM_ROM
        call    call_number
        want    15, %eax, 1
        pam     PAM_READ + PAM_WRITE
        call    call_number
        want    16, %eax, 3
        pam     PAM_ROM
        ret

/* The code that switches is what is switched. */
under_itself:
        mov     $ROUNDS, %edi
1:      call    select_pam
        mov     $PAM_READ, %al
        mov     $LOW(switch), %esi
        call    *%esi
        want    20, %eax, 0x22
        call    select_pam
        mov     $PAM_ROM, %al
        call    *%esi
        want    21, %eax, 0x11
        dec     %edi
        jnz     1b
        ret

/* eax: the sum of a pass over the buffer at edi that adds 1 to each word. */
pass:   xor     %eax, %eax
        mov     $BUFFER_SIZE / 4, %ecx
1:      incl    (%edi)
        add     (%edi), %eax
        add     $4, %edi
        loop    1b
        ret

frame_buffer:
        config_write VGA + 0x10, BUFFER_1
        config_write VGA + 4, 3
        mov     $BUFFER_1, %edi
        mov     $BUFFER_SIZE / 4, %ecx
        xor     %eax, %eax
        rep     stosl
        mov     $20, %ebx
1:      mov     $BUFFER_1, %edi
        call    pass
        dec     %ebx
        jnz     1b
        want    30, %eax, SUM(20)
        config_write VGA + 0x10, BUFFER_2
        mov     BUFFER_1, %eax
        want    31, %eax, -1
        movl    $0, BUFFER_1
        mov     $BUFFER_2, %edi
        call    pass
        want    32, %eax, SUM(21)
        config_write VGA + 4, 0
        mov     BUFFER_2, %eax
        want    33, %eax, -1
        movl    $0, BUFFER_2
        config_write VGA + 0x10, BUFFER_1
        config_write VGA + 4, 3
        mov     $BUFFER_1, %edi
        call    pass
        want    34, %eax, SUM(22)
        mov     BUFFER_2, %eax
        want    35, %eax, -1
        ret

/* Code in the frame buffer, which moves it. */
code_there:
        mov     $switch, %esi
        mov     $BUFFER_1, %edi
        mov     $64, %ecx
        rep     movsb
        mov     $BUFFER_1, %ebx
        mov     $20, %edi
1:      mov     $VGA + 0x10, %eax
        mov     $0xcf8, %dx
        out     %eax, %dx
        mov     $0x80, %dx     /* for the output in there */
        call    *%ebx
        want    40, %eax, 0x11
        incb    BUFFER_1 + SWITCH_BYTE - switch
        call    *%ebx
        want    41, %eax, 0x12
        decb    BUFFER_1 + SWITCH_BYTE - switch
        dec     %edi
        jnz     1b
        config_write VGA + 0x10, BUFFER_2
        mov     $BUFFER_2, %ebx
        call    *%ebx
        want    42, %eax, 0x11
        config_write VGA + 0x10, BUFFER_1
        ret

checks: call    read_only
        call    shadow
        call    under_itself
        call    frame_buffer
        call    code_there
        ret

/* --- From the reset on --------------------------------------------------------- */

paging: mov     $DIRECTORY, %edi
        mov     $0x83, %eax     /* present, writable, 4 MiB */
1:      mov     %eax, (%edi)
        add     $4, %edi
        add     $0x400000, %eax
        jnc     1b
        mov     $DIRECTORY, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $0x10, %eax
        mov     %eax, %cr4
        mov     %cr0, %eax
        or      $0x80000000, %eax
        mov     %eax, %cr0
        ret

start32:
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $STACK, %esp
        mov     $CMOS_INDEX, %al
        out     %al, $0x70
        in      $0x71, %al
        cmp     $0xa5, %al
        je      second
        call    checks
        call    paging
        call    checks
        say     "RESET"
        movl    $1, MARKER
        mov     $CMOS_INDEX, %al
        out     %al, $0x70
        mov     $0xa5, %al
        out     %al, $0x71
        pam     PAM_READ
        mov     $0xcf9, %dx
        mov     $2, %al
        out     %al, %dx
        mov     $6, %al
        out     %al, %dx
        mov     $50, %ebp
        jmp     failed

/* All is as after power-on. */
second: mov     MARKER, %eax
        want    51, %eax, 0
        call    call_number
        want    52, %eax, 1
        mov     BUFFER_1, %eax
        want    53, %eax, -1
        mov     %cr0, %eax
        and     $0x80000001, %eax
        want    54, %eax, 1
        call    checks
        say     "DONE"
        xor     %eax, %eax
        out     %al, $0xf4

        .align  8
gdt:    .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_end:
gdtr:   .word   gdt_end - gdt - 1
        .long   gdt

        .code16
start16:
        cli
        lgdtl   %cs:OFFSET(gdtr)
        mov     %cr0, %eax
        or      $1, %eax
        mov     %eax, %cr0
        ljmpl   $8, $start32

        .org    0xfff0
        .byte   0xea /* far jump */
        .word   OFFSET(start16), 0xf000
        .org    0x10000
