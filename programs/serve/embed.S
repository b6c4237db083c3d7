/* The pages, as bytes between symbols. PAGE_FILE and DOCS_FILE are their paths. */
    .section .rodata
    .global sv_page_html
    .global sv_page_html_end
    .global sv_docs_html
    .global sv_docs_html_end
sv_page_html:
    .incbin PAGE_FILE
sv_page_html_end:
    .byte 0
sv_docs_html:
    .incbin DOCS_FILE
sv_docs_html_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
