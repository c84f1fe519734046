/*
 * Flat code that patches itself in each round, for patch.c: what guests/real_programs.inc has of 16
 * bits. A routine counts its rounds in eax, has them in ecx, and ends with int $0x30.
 */
        .section .rodata.table, "a"
        .balign 4
        .globl  patch_table
patch_table:
        .data                           # it is written
        .balign 4096

        .macro  routine name
        .section .rodata
1:      .asciz  "\name"
        .section .rodata.table, "a"
        .long   1b, 2f
        .data
        .balign 64
2:      xorl    %eax, %eax
        .endm

        .macro  rounds
        incl    %eax
        decl    %ecx
        jnz     1b
        int     $0x30
        .endm

        routine patched                 # the next operand
1:      movl    %eax, 4f + 1
4:      movl    $0, %esi
        rounds

        routine patched_disp            # the next displacement
        movl    $patch_data, %ebx
1:      movb    %cl, %dl
        andb    $0x7f, %dl
        movb    %dl, 4f + 2
4:      movl    8(%ebx), %esi
        rounds

        routine patched_jump            # the next jump's target
1:      movl    %ecx, %edx
        andl    $1, %edx
        movl    %edx, 4f + 1
4:      .byte   0xe9, 0, 0, 0, 0
        nop
        rounds

        routine patched_call            # a call's
1:      movl    %ecx, %edx
        andl    $1, %edx
        addl    $(5f - 6f), %edx
        movl    %edx, 4f + 1
4:      call    5f
6:      rounds
5:      nop
        ret

        routine patched_opcode          # the next opcode: INC ESI, DEC ESI
1:      xorb    $8, 4f
4:      incl    %esi
        rounds

        routine beside                  # data in the code's line
1:      movl    %eax, 4f
        jmp     5f
4:      .long   0
5:      rounds

        routine generated               # 64 bytes in each round, each time others
        movl    %ecx, %ebp
1:      movl    $4f, %esi
        movl    $patch_buffer, %edi
        movl    $16, %ecx
2:      movl    (%esi), %ebx
        movl    %ebx, (%edi)
        addl    $4, %esi
        addl    $4, %edi
        decl    %ecx
        jnz     2b
        movl    %eax, patch_buffer + 1
        call    patch_buffer
        incl    %eax
        decl    %ebp
        jnz     1b
        int     $0x30
4:      movl    $0, %edx
        .rept   11
        addl    $0x12, %edx
        xorl    %edx, %esi
        .endr
        ret
        .skip   64

        .balign 4096
patch_buffer:
        .skip   4096
patch_data:
        .skip   256

        .section .rodata.table, "a"
        .globl  patch_table_end
patch_table_end:
        .section .note.GNU-stack, "", @progbits
