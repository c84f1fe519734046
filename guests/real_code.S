/*
 * Real mode for real.c: a blob of 16-bit code that is copied to REAL_AT, the way there and back.
 *
 * In the blob's routines: ds = 3000h, es = 4000h, ss = 2000h; ecx counts rounds. They end with ret
 * and leave their answer in eax.
 */
        .set    REAL_AT, 0x10000
        .set    REAL_CS, 0x1000

/* --- From 32-bit code: uint32_t real_run(uint32_t offset, uint32_t rounds) ----------------- */
        .text
        .globl  real_run
real_run:
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        pushl   %ebp
        pushfl
        cli
        movl    24(%esp), %eax
        movl    28(%esp), %ecx
        movw    %ax, REAL_AT + (routine - real_blob)
        sgdt    saved_gdt
        sidt    saved_idt
        movl    %esp, saved_esp
        lgdt    real_gdt
        lidt    real_idt
        ljmp    $0x18, $(enter - real_blob)
back:
        movw    $0x10, %dx
        movw    %dx, %ds
        movw    %dx, %es
        movw    %dx, %ss
        movw    %dx, %fs
        movw    %dx, %gs
        movl    saved_esp, %esp
        lgdt    saved_gdt
        lidt    saved_idt
        ljmp    $0x08, $1f
1:      popfl
        popl    %ebp
        popl    %edi
        popl    %esi
        popl    %ebx
        ret

        .data
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # 08: 32-bit code
        .quad   0x00cf93000000ffff      # 10: data
        .quad   0x00009b010000ffff      # 18: 16-bit code at REAL_AT
        .quad   0x000093010000ffff      # 20: 16-bit data
real_gdt:
        .word   . - gdt - 1
        .long   gdt
real_idt:
        .word   0x3ff
        .long   0
        .balign 4
saved_gdt:
        .skip   8
saved_idt:
        .skip   8
saved_esp:
        .long   0

/* --- The blob ------------------------------------------------------------------------------- */
        .code16
        .balign 64
        .globl  real_blob, real_blob_end
real_blob:
routine:
        .word   0
enter:
        movw    $0x20, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    %ax, %fs
        movw    %ax, %gs
        movl    %cr0, %eax
        andb    $0xfe, %al
        movl    %eax, %cr0
        ljmp    $REAL_CS, $(1f - real_blob)
1:      movw    $0x2000, %ax
        movw    %ax, %ss
        movl    $0xfff0, %esp
        movw    $0x3000, %ax
        movw    %ax, %ds
        movw    $0x4000, %ax
        movw    %ax, %es
        cld
        callw   *%cs:routine - real_blob
        movl    %eax, %ebx
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        movl    %ebx, %eax
        ljmpl   $0x08, $back

        .macro  real name
        .balign 16
        .globl  real_\name
        .set    real_\name, . - real_blob
        .endm
        .macro  rounds
        decl    %ecx
        jnz     1b
        ret
        .endm

        real    alu                     # 8 instructions a round
        xorl    %eax, %eax
        movw    $0x1234, %bx
1:      addw    %bx, %ax
        rolw    $3, %ax
        adcw    %ax, %dx
        xorw    %dx, %bx
        leaw    5(%bx), %si
        addw    %si, %ax
        rounds

        real    load_store              # 8: a word of ds moved on and counted
        xorl    %eax, %eax
        xorw    %si, %si
1:      movw    (%si), %dx
        addw    %dx, %ax
        movw    %ax, 2(%si)
        addw    $1, %es:4(%si)
        addw    $2, %si
        andw    $0x3fff, %si
        rounds

        real    rep_movsb_64            # a round copies 64 bytes
        movl    %ecx, %ebp
1:      xorw    %si, %si
        xorw    %di, %di
        movw    $64, %cx
        rep movsb
        decl    %ebp
        jnz     1b
        movzwl  %di, %eax
        ret

        real    rep_movsb_4096
        movl    %ecx, %ebp
1:      xorw    %si, %si
        xorw    %di, %di
        movw    $4096, %cx
        rep movsb
        decl    %ebp
        jnz     1b
        movzwl  %di, %eax
        ret

        real    lodsb_stosb             # a round copies one byte, by LOOP
        movl    %ecx, %ebp
        shrl    $10, %ebp
1:      xorw    %si, %si
        xorw    %di, %di
        movw    $1024, %cx
2:      lodsb
        stosb
        loop    2b
        decl    %ebp
        jnz     1b
        movzwl  %di, %eax
        ret

        real    call_ret
        xorl    %eax, %eax
1:      callw   near_function
        rounds
near_function:
        incw    %ax
        ret

        real    call_far
        xorl    %eax, %eax
1:      lcall   $REAL_CS, $(far_function - real_blob)
        rounds
far_function:
        incw    %ax
        lret

        real    int_iret
        xorl    %eax, %eax
1:      int     $0x60
        rounds
        .globl  real_handler
        .set    real_handler, . - real_blob
        incw    %ax
        iret

        real    segments                # loads of es, by a register and from the stack
        xorl    %eax, %eax
        movw    $0x4000, %dx
1:      movw    %dx, %es
        pushw   %ds
        popw    %es
        incw    %ax
        rounds

        real    push_pop
        xorl    %eax, %eax
1:      pushw   %ax
        pushw   %bx
        popw    %dx
        popw    %ax
        incw    %ax
        rounds

        real    own_page                # data, stack and code in one page, as in boot sectors
        xorl    %eax, %eax
        movw    %ss, %bx
        movw    %sp, %di
        movw    %cs, %dx
        movw    %dx, %ss
        movw    $(own_stack - real_blob), %sp
1:      pushw   %ax
        incw    %cs:own_count - real_blob
        popw    %ax
        incw    %ax
        decl    %ecx
        jnz     1b
        movw    %bx, %ss
        movw    %di, %sp
        movzwl  %cs:own_count - real_blob, %eax
        ret
        .balign 64
own_count:
        .word   0
        .balign 64
        .skip   64
own_stack:
        .balign 64
real_blob_end:
        .section .note.GNU-stack, "", @progbits
