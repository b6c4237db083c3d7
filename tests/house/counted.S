// A program of 64-bit Arm with known numbers of instructions, for the check of tools/count_plugin.c in tools/emulate.sh.
// Its argument, one digit, is how often the loop runs.
    .arch armv8.2-a+dotprod+i8mm
    .global _start
_start:
    ldr x1, [sp, 16]
    ldrb w0, [x1]
    sub w0, w0, 48
    sub sp, sp, 256
    // 27 instructions: 9 loads, 7 stores, 4 products of bytes, 1 matrix product, 2 widening products, 2 fused ones
2:  ldr x3, [sp]
    ldr w3, [sp, 8]
    ldrb w3, [sp, 16]
    ldp x4, x5, [sp, 32]
    ldr q0, [sp, 64]
    ldp q1, q2, [sp, 96]
    ld1 {v3.16b}, [sp]
    ldr x6, =0x1234567812345678
    ldr h4, [sp, 4]
    str x3, [sp]
    strb w3, [sp, 1]
    stp x4, x5, [sp, 32]
    str q0, [sp, 64]
    stp q1, q2, [sp, 96]
    st1 {v3.16b}, [sp]
    str h4, [sp, 4]
    sdot v5.4s, v0.16b, v1.16b
    udot v5.4s, v0.16b, v1.4b[1]
    usdot v6.4s, v0.16b, v1.16b
    usdot v6.4s, v0.16b, v1.4b[3]
    usmmla v7.4s, v0.16b, v1.16b
    smlal v5.8h, v0.8b, v1.8b
    smull2 v6.8h, v0.16b, v1.16b
    fmla v16.4s, v17.4s, v18.4s
    fmla v16.4s, v17.4s, v18.s[2]
    subs w0, w0, 1
    b.ne 2b
    mov x0, 0
    mov x8, 93
    svc 0
