/*
 * uint32_t patch_ahead(void): the store changes the very next instruction, movl $1 to movl $2. It
 * has been fetched, and in a translator translated, together with the store.
 */
        .data                           # it is written; these kernels run what they may read
        .balign 4096
        .globl  patch_ahead
patch_ahead:
        movb    $2, 1f + 1
1:      movl    $1, %eax
        movb    $1, 1b + 1
        ret
        .balign 4096

        .section .note.GNU-stack, "", @progbits
