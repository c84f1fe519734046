/* Ways to write a page-table entry, each ending with int $0x30. */
#include "guests/lib/snippet.inc"

        snippet_table paging_edit_snippets
#include "guests/lib/entry_forms.inc"
        snippet "cmpxchg8b"
        movl    %edi, %esi
        andl    $-8, %esi
        movl    %eax, %ebx
        movl    4(%esi), %ecx
        cmpl    %esi, %edi
        je      1f
        movl    (%esi), %ebx
        movl    %eax, %ecx
1:      movl    (%esi), %eax
        movl    4(%esi), %edx
        lock cmpxchg8b (%esi)
        end
        snippet_table_end

        .section .note.GNU-stack, "", @progbits
