/* The page that novt explain --html fills (explain_html.c): explain_page.html, as it is. */
        .section .rodata
        .globl explain_page, explain_page_end
explain_page:
        .incbin "frontend/explain_page.html"
explain_page_end:
        .section .note.GNU-stack, "", @progbits
