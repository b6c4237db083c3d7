/* What a step may read: the table steps.def as C, for the proof at load, for tests and for fuzzers. A running step
 * reads only what the table lists. Owner rule: constant data; thread-safe. */
#ifndef KF_PROGRAM_STEPS_H
#define KF_PROGRAM_STEPS_H

#include "program/program.h"

/** Types that a tensor or a constant may have, as bits. */
typedef enum kf__types {
    KF_TYPES_NONE = 0,
    KF_TYPES_F32 = 1,
    KF_TYPES_U8 = 2,
    KF_TYPES_I16 = 4,
    KF_TYPES_I8 = 8,
    KF_TYPES_I32 = 16,
    KF_TYPES_SAME = 32, /* that of the first input, with its scale and zero point */
    KF_TYPES_Q = KF_TYPES_U8 | KF_TYPES_I16,
    KF_TYPES_ANY = KF_TYPES_F32 | KF_TYPES_Q,
    KF_TYPES_WEIGHTS = KF_TYPES_I8 | KF_TYPES_I16
} kf__types;

/** Tensors that may have scales per channel, as bits. */
typedef enum kf__scaled {
    KF_SCALED_NOTHING = 0,
    KF_SCALED_FIRST = 1,
    KF_SCALED_OTHERS = 2,
    KF_SCALED_OUT = 4
} kf__scaled;

/** How a step uses its window. An unused window was copied from the ONNX node, by this version or an older one. */
typedef enum kf__window_use {
    KF_WINDOW_NONE,    /* nothing: all 0, or all 1 without padding */
    KF_WINDOW_USED,    /* it runs over the image */
    KF_WINDOW_ONE_TAP, /* nothing; it was a convolution of one tap: all 0, or one tap without padding */
    KF_WINDOW_LEFT     /* nothing; it was a pool over everything: all 0, or any window without padding */
} kf__window_use;

/** Fields of kf__step that a step reads, as bits; every other field is 0. */
typedef enum kf__fields {
    KF_READS_NOTHING = 0,
    KF_READS_ACT = 1,       /* act */
    KF_READS_POST_ACT = 2,  /* post_act; in integer forms none or a clip */
    KF_READS_GATE_ACT = 4,  /* gate_act */
    KF_READS_COUNT_PAD = 8, /* count_include_pad; a kind with a window that does not read it may have 1 all the same */
    KF_READS_CLIP = 16,     /* qlo..qhi, inside the bounds of a quantized output; 0 and 0 where the output is f32 */
    KF_READS_KEEPS = 32,    /* qlo..qhi are the output's bounds, which hold those of the first input */
    KF_READS_DIRECT = 64,   /* direct: no activation or a clip, one input, an output that is quantized (or a gate) */
    KF_READS_BORDER_BIAS = 128, /* border_bias: on pixels */
    KF_READS_SELECTS = 512,     /* selects */
    KF_READS_GATE = 256         /* qlo..qhi of hidden values, pool_qmax, hidden_qmax, pool_mul, hidden_inv */
} kf__fields;

/** A form of a step: types of its tensors, and the fields it reads. It does not exist where `first` is NONE. */
typedef struct kf__step_form {
    uint8_t first, others, out; /* kf__types */
    uint16_t reads;             /* kf__fields */
} kf__step_form;

/** In bytes and without pointers, which would cost a relocation each. */
typedef struct kf__step_info {
    char name[12];          /* in the file */
    uint8_t least, most;    /* inputs */
    kf__step_form forms[2]; /* first input f32; first input quantized */
    uint8_t scaled;         /* kf__scaled: tensors that may have scales per channel */
    uint8_t window;         /* kf__window_use */
    uint8_t shape;          /* which rule kf__step_shape_error applies */
} kf__step_info;

/** Must the step have the constant, may it, or must it not? Depends on the step's fields and on constants before it. */
typedef enum kf__need { KF_NEED_NEVER, KF_NEED_MAY, KF_NEED_MUST } kf__need;

/** How long a constant is: its shape, or only the number of its elements, or one element alone. */
typedef struct kf__length {
    kf__shape shape;
    bool exact, or_one;
} kf__length;

/** The values that an f32 constant may have. */
typedef enum kf__values {
    KF_VALUES_ANY,
    KF_VALUES_FINITE,
    KF_VALUES_FACTOR /* finite, not negative */,
    KF_VALUES_PLACES /* of elements that a MOVE or a PICK reads: all inside the input */
} kf__values;

/** A row of the table, in single bytes; pointers would cost a relocation each. */
typedef struct kf__const_rule {
    uint8_t op, role; /* kf__step_op, kf__const_role */
    uint8_t need[2];  /* by form: which rule kf__const_need applies */
    uint8_t types;    /* kf__types in the integer form; f32 in the float form, but for places */
    uint8_t length;   /* which rule kf__const_length applies */
    uint8_t values;   /* kf__values */
} kf__const_rule;

/** The entry of a kind. */
const kf__step_info *kf__step_info_of(kf__step_op op);
/** What is wrong with the extents of a step's tensors, or with a window that is used; NULL: nothing. */
const char *kf__step_shape_error(const kf__program *p, const kf__step *s);
/** 0: the first input is f32; 1: it is quantized. Index of kf__step_info.forms and kf__const_rule.need. */
static inline int kf__step_form_of(const kf__program *p, const kf__step *s) {
    return p->tensors[s->in[0]].dtype != KF_F32;
}
kf__need kf__const_need(const kf__const_rule *rule, const kf__program *p, const kf__step *s);
void kf__const_length(const kf__const_rule *rule, const kf__program *p, const kf__step *s, kf__length *l);
/** The types that the constant may have. */
unsigned kf__const_types(const kf__const_rule *rule, int form);
/** All rules of constants; those of one kind are consecutive. */
const kf__const_rule *kf__const_rules(size_t *n);
/** The bit of a type. */
kf__types kf__types_of(kf_dtype type);

#endif
