/* The built-in model, as bytes between two symbols. BUILTIN_FILE is the path of the compiled model. */
    .section .rodata
    .global cli_builtin_model
    .global cli_builtin_model_end
    .balign 64
cli_builtin_model:
    .incbin BUILTIN_FILE
cli_builtin_model_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
