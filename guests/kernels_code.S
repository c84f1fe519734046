/* Code of kernels.c: mode switches, tasks, virtual-8086 programs. */

        .set    KERNEL_CS, 0x08
        .set    KERNEL_DS, 0x10
        .set    CODE16, 0xa8            # the selectors of kernels.c
        .set    DATA16, 0xb0
        .set    LOW, 0x8000             # where kernels_real is copied to
        .set    RESULT, 0x9000

        .text

/*
 * Switches paging on and off with straight-line code in between, the identity map being there:
 * uint32_t kernels_toggle(uint32_t address, uint32_t *without)
 */
        .globl  kernels_toggle
kernels_toggle:
        pushl   %ebx
        movl    8(%esp), %ecx
        movl    %cr0, %eax
        movl    %eax, %edx
        andl    $0x7fffffff, %eax
        movl    %eax, %cr0
        movl    (%ecx), %ebx
        movl    %edx, %cr0
        movl    (%ecx), %eax
        movl    12(%esp), %ecx
        movl    %ebx, (%ecx)
        popl    %ebx
        ret

/*
 * Remaps the page it runs in, and goes on in the new frame. eax: the PTE's address, ebx: its new
 * value, ecx: the page's address, edx: what tells the frames apart. The byte of the immediate is at
 * kernels_remap_value.
 */
        .globl  kernels_remap_invlpg, kernels_remap_cr3, kernels_remap_end
        .globl  kernels_remap_value1, kernels_remap_value2
kernels_remap_invlpg:
        movl    %ebx, (%eax)
        invlpg  (%ecx)
        movb    $0, %dl
kernels_remap_value1:
        ret
        .balign 16
kernels_remap_cr3:
        movl    %ebx, (%eax)
        movl    %cr3, %ecx
        movl    %ecx, %cr3
        movb    $0, %dl
kernels_remap_value2:
        ret
kernels_remap_end:

/*
 * To real mode and back, as boot loaders and DOS extenders do it. Runs at LOW; interrupts are off.
 */
        .globl  kernels_real, kernels_real_end
kernels_real:
        pushal
        sidt    LOW + (idt32 - kernels_real)
        movl    %esp, LOW + (esp32 - kernels_real)
        movl    %cr0, %eax
        movl    %eax, LOW + (cr0 - kernels_real)
        ljmp    $CODE16, $(to16 - kernels_real)
        .code16
to16:   movw    $DATA16, %ax            # 64 KiB limits, but not for FS
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $KERNEL_DS, %ax
        movw    %ax, %fs
        lidtl   %cs:idt16 - kernels_real
        movl    %cr0, %eax
        andl    $0x7ffffffe, %eax
        movl    %eax, %cr0
        ljmp    $(LOW >> 4), $(real - kernels_real)
real:   xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    %ax, %fs                # keeps its 4 GiB: unreal mode
        movl    $0x7f00, %esp
        movl    $0x200000, %edi
        movl    %fs:(%edi), %eax
        movl    %eax, RESULT            # 0: seen by unreal mode
        movl    $0x600dcafe, %fs:4(%edi)
        movw    %sp, %bx
        pushw   $0x1234
        pushl   $0x56789abc
        popl    %ecx
        popw    %dx
        movl    %ecx, RESULT + 4        # 1
        movw    %dx, RESULT + 8         # 2
        subw    %sp, %bx
        movw    %bx, RESULT + 10
        movw    $((LOW >> 4)), %ax      # int 0x60 by the vector at 0x180
        movw    $(handler - kernels_real), 0x180
        movw    %ax, 0x182
        stc
        sti
        int     $0x60
        movl    %ebp, RESULT + 12       # 3
        pushfl
        popl    %eax
        movl    %eax, RESULT + 16       # 4: CF, IF
        cli
        movw    $0xffff, %ax            # 1 MiB: wraps with A20 closed
        movw    %ax, %es
        movw    %es:0x510, %ax          # the image may lie there
        movw    %ax, RESULT + 40
        movw    $0x1111, 0x500
        movw    $0x2222, %es:0x510
        movw    0x500, %ax
        movw    %ax, RESULT + 20        # 5: A20 is open
        inb     $0x92, %al
        andb    $0xfd, %al
        outb    %al, $0x92
        movw    %es:0x510, %ax
        movw    %ax, RESULT + 22
        movw    $0x3333, %es:0x510
        movw    0x500, %ax
        movw    %ax, RESULT + 24        # 6
        inb     $0x92, %al
        orb     $2, %al
        outb    %al, $0x92
        movw    %es:0x510, %ax
        movw    %ax, RESULT + 26
        movw    RESULT + 40, %ax
        movw    %ax, %es:0x510
        movw    $0, RESULT + 28         # 7: #GP for a word at ffff
        movw    $(gp - kernels_real), 0x34
        movw    $(LOW >> 4), 0x36
        movw    $0xffff, %bx
        movw    (%bx), %ax
        movw    $0xffff, %sp            # the stack wraps
        incw    %sp
        pushw   $0x4444
        movw    %sp, RESULT + 30
        movl    $0x7f00, %esp
        smsww   %ax
        movw    %ax, RESULT + 32        # 8
        pushw   $0x7002                 # popf: IOPL and NT can be changed
        popfw
        pushfw
        popw    RESULT + 34
        pushw   $2
        popfw
        movw    $0, RESULT + 36         # 9: div
        movw    $(de - kernels_real), 0
        movw    $(LOW >> 4), 2
        xorw    %cx, %cx
divide: divw    %cx
        lidtl   %cs:idt32 - kernels_real
        movl    %cs:cr0 - kernels_real, %eax
        movl    %eax, %cr0
        ljmpl   $KERNEL_CS, $LOW + (to32 - kernels_real)
handler:
        movl    $0x0bad0000, %ebp
        pushfw
        popw    %bp
        iret
gp:     movw    $0x9999, RESULT + 28
        popw    %ax
        addw    $2, %ax                 # over movw (%bx), %ax
        pushw   %ax
        iret
de:     popw    %ax
        subw    $(divide - kernels_real), %ax
        movw    %ax, RESULT + 38        # a fault: 0
        movw    $0x8888, RESULT + 36
        movw    $(divide + 2 - kernels_real), %ax
        pushw   %ax
        iret
        .code32
to32:   movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    LOW + (esp32 - kernels_real), %esp
        popal
        ret
        .balign 4
idt16:  .word   0x3ff
        .long   0
idt32:  .word   0
        .long   0
        .balign 4
esp32:  .long   0
cr0:    .long   0
kernels_real_end:

/* Tasks: A adds 1 and calls B, B adds 16 and returns; each goes on behind its iret next time. */
        .globl  kernels_task_a, kernels_task_b, kernels_task_call, kernels_task_jmp
        .globl  kernels_task_int, kernels_task_loop, kernels_task_jmper, kernels_task_after
kernels_task_a:
        addl    $1, %eax
        lcall   $0x98, $0
        addl    $0x100, %eax
        iret
        jmp     kernels_task_a
kernels_task_b:
        addl    $16, %eax
        str     %edx
        iret
        jmp     kernels_task_b
kernels_task_loop:                      # calls A, which is busy
        lcall   $0x90, $0
        iret
kernels_task_call:
        lcall   $0x90, $0
        int     $0x30
kernels_task_jmp:
        ljmp    $0x90, $0
        int     $0x30
kernels_task_jmper:                     # jumps back to the main task
        addl    $1, %eax
        ljmp    $0x28, $0
        jmp     kernels_task_jmper
kernels_task_int:
        int     $0x71
        nop
kernels_task_after:
        int     $0x30

/* A program in virtual-8086 mode that has its own interrupt handlers. */
        .globl  kernels_v86, kernels_v86_end
kernels_v86:
        .code16
        xorw    %cx, %cx
        movw    $5, %dx
        sti
1:      int     $0x40
        incw    %cx
        decw    %dx
        jnz     1b
        cli
        inb     $0x71, %al              # allowed by the bitmap
        pushfw
        popw    %bx
        movw    $0xbeef, %si
        hlt
        .org    kernels_v86 + 0x80
        addw    $3, %bp                 # the handler of int 0x40
        pushfw
        popw    %di
        iret
        .code32
kernels_v86_end:

/* Flags, stack and string instructions in a mixture: what an interrupt must not disturb. */
        .globl  kernels_mixture
kernels_mixture:                        # ecx: rounds; esi, edi: 64-byte buffers; eax: sum
        pushl   %ecx
        addl    %ecx, %eax
        adcl    $7, %eax
        pushfl
        rcll    $3, %eax
        popfl
        sbbl    %ebx, %eax
        pushl   %esi
        pushl   %edi
        movl    $16, %ecx
        cld
        rep movsl
        popl    %edi
        popl    %esi
        addl    %eax, (%esi)
        adcl    %eax, 60(%esi)
        cmpxchgl %ebx, 4(%edi)
        xaddl   %eax, 8(%edi)
        std
        leal    60(%edi), %edi
        movl    $4, %ecx
        rep stosl
        leal    -44(%edi), %edi
        cld
        call    1f
        jnc     2f
        incl    %ebx
        jmp     2f
1:      bsrl    %eax, %ebx
        stc
        ret
2:      popl    %ecx
        decl    %ecx
        jnz     kernels_mixture
        int     $0x30

        .section .note.GNU-stack, "", @progbits
