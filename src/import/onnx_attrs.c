/* Attributes of ONNX nodes: each must have the type that its name requires, or the node is refused. Otherwise a number
 * in place of a list would look like an absent attribute.
 * Owner rule: reads the protobuf tree only. */
#include "import/onnx_private.h"

enum { MAX_ATTRIBUTES = 64 }; /* of a node; ONNX has no operator with more than 20 */

#define FLOAT ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT
#define INT ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT
#define STRING ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING
#define TENSOR ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR
#define FLOATS ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS
#define INTS ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS

/* Every attribute that the reader reads. FLAG is an int that is 0 or 1. */
enum { FLAG = 1000 };
static const struct {
    const char *name;
    int type;
} KNOWN[] = {
    {"allowzero", FLAG},
    {"alpha", FLOAT},
    {"auto_pad", STRING},
    {"axes", INTS},
    {"axis", INT},
    {"beta", FLOAT},
    {"block_size", INT},
    {"ceil_mode", FLAG},
    {"count_include_pad", FLAG},
    {"dilations", INTS},
    {"end", INT},
    {"ends", INTS},
    {"epsilon", FLOAT},
    {"fmod", FLAG},
    {"group", INT},
    {"k", INT},
    {"keepdims", FLAG},
    {"kernel_shape", INTS},
    {"largest", FLAG},
    {"max", FLOAT},
    {"min", FLOAT},
    {"mode", STRING},
    {"noop_with_empty_axes", FLAG},
    {"num_outputs", INT},
    {"output_dtype", INT},
    {"paddings", INTS},
    {"pads", INTS},
    {"perm", INTS},
    {"select_last_index", FLAG},
    {"sorted", FLAG},
    {"spatial", FLAG},
    {"split", INTS},
    {"start", INT},
    {"starts", INTS},
    {"strides", INTS},
    {"to", INT},
    {"training_mode", FLAG},
    {"transA", FLAG},
    {"transB", FLAG},
    {"value_float", FLOAT},
    {"value_floats", FLOATS},
    {"value_int", INT},
    {"value_ints", INTS},
};

static const char *type_text(int type) {
    switch (type) {
    case FLAG: return "0 or 1";
    case INT: return "an int";
    case INTS: return "a list of ints";
    case FLOAT: return "a float";
    case FLOATS: return "a list of floats";
    case STRING: return "a string";
    default: return "a tensor";
    }
}

/* Files of IR 1 give no type; the contents then determine it. An empty list needs the type. */
static bool holds(const Onnx__AttributeProto *a, int type) {
    if (type == FLAG) return holds(a, INT) && (a->i == 0 || a->i == 1);
    bool named = a->has_type && (int)a->type == type;
    if (a->has_type && (int)a->type != 0 && !named) return false;
    switch (type) {
    case FLOAT: return a->has_f;
    case INT: return a->has_i;
    case STRING: return a->has_s;
    case TENSOR: return a->t != NULL;
    case FLOATS: return named || a->n_floats > 0;
    case INTS: return named || a->n_ints > 0;
    default: return true;
    }
}

static kf_status check_attribute(kf__onnx *o, const Onnx__NodeProto *p, const Onnx__AttributeProto *a) {
    bool pads = strcmp(p->op_type, "Pad") == 0; /* the only one whose "value" is not a tensor */
    if (a->ref_attr_name && *a->ref_attr_name)
        KF_FAIL(o->err, KF_ERR_UNSUPPORTED, "attribute %.64s refers to that of a function", a->name);
    if (strcmp(a->name, "value") == 0 && !holds(a, pads ? FLOAT : TENSOR))
        KF_FAIL(o->err, KF_ERR_FORMAT, "attribute value is not %s", pads ? "a float" : "a tensor");
    for (size_t i = 0; i < KF_COUNT(KNOWN); i++)
        if (strcmp(KNOWN[i].name, a->name) == 0 && !holds(a, KNOWN[i].type))
            KF_FAIL(o->err, KF_ERR_FORMAT, "attribute %s is not %s", a->name, type_text(KNOWN[i].type));
    return KF_OK;
}

kf_status kf__onnx_check_attributes(kf__onnx *o, const Onnx__NodeProto *p) {
    if (p->n_attribute > MAX_ATTRIBUTES)
        KF_FAIL(o->err, KF_ERR_LIMIT, "%zu attributes; at most %d are possible", p->n_attribute, MAX_ATTRIBUTES);
    for (size_t i = 0; i < p->n_attribute; i++) {
        const char *name = p->attribute[i]->name;
        if (!name || !*name) KF_FAIL(o->err, KF_ERR_FORMAT, "attribute %zu has no name", i);
        for (size_t k = 0; k < i; k++)
            if (strcmp(p->attribute[k]->name, name) == 0)
                KF_FAIL(o->err, KF_ERR_FORMAT, "attribute %.64s is given twice", name);
        KF_TRY(check_attribute(o, p, p->attribute[i]));
    }
    return KF_OK;
}
