/* Memory plan and program validation: nothing that lives at once overlaps, memory is reused, bad programs are refused.
 * Owner rule: each test frees what it makes. */
#include "program_builder.h"

#include "os/pages.h"
#include "runtime/model.h"

typedef struct range {
    int first, last;
    size_t from, to;
} range;

/* Lifetimes worked out again, the slow way. */
static range life(const kf__program *p, int32_t t, const size_t *offset) {
    const kf__ptensor *x = &p->tensors[t];
    range r = {-1, -1, offset[t], offset[t] + (size_t)x->n * (size_t)x->h * (size_t)x->w * (size_t)x->c * 4};
    for (int32_t i = 0; i < p->n_steps; i++) {
        if (p->steps[i].out == t) r.first = i;
        for (int k = 0; k < p->steps[i].n_in; k++)
            if (p->steps[i].in[k] == t) r.last = i;
    }
    for (int32_t i = 0; i < p->n_outputs; i++)
        if (p->outputs[i].tensor == t) r.last = p->n_steps;
    return r;
}

static void check_plan(const kf__program *p, bool keep_all, size_t *total) {
    size_t offset[16];
    kf_error err = {0};
    if (kf__plan(p, keep_all, offset, total, &err) != KF_OK) fail_msg("%s", err.text);
    for (int32_t a = 0; a < p->n_tensors; a++) {
        range x = life(p, a, offset);
        assert_int_equal(x.from % KF_ALIGN, 0);
        assert_true(x.to <= *total);
        for (int32_t b = 0; b < a; b++) {
            range y = life(p, b, offset);
            bool together = keep_all || (x.first <= y.last && y.first <= x.last);
            if (together && x.from < y.to && y.from < x.to) fail_msg("tensors %d and %d overlap", a, b);
        }
    }
}

static void no_overlap(void **state) {
    (void)state;
    kf__program *p = pb_small();
    size_t reused, kept;
    check_plan(p, false, &reused);
    check_plan(p, true, &kept);
    assert_true(reused < kept);
    kf__program_destroy(&p);
}

static void refuse(void (*spoil)(kf__program *p), const char *word) {
    kf__program *p = pb_small();
    kf_error err = {0};
    assert_int_equal(kf__program_validate(p, &err), KF_OK);
    spoil(p);
    if (kf__program_validate(p, &err) == KF_OK || !strstr(err.text, word)) fail_msg("wanted \"%s\", got \"%s\"", word, err.text);
    kf__program_destroy(&p);
}

static void read_early(kf__program *p) { p->steps[0].in[0] = p->steps[3].out; }
static void write_twice(kf__program *p) { p->steps[2].out = p->steps[0].out; }
static void wild_index(kf__program *p) { p->steps[0].in[0] = 99; }
static void huge(kf__program *p) { p->tensors[0].h = INT32_MAX; }
static void stride_zero(kf__program *p) { p->steps[0].window.sw = 0; }
static void odd_group(kf__program *p) { p->steps[0].window.group = 7; }
static void no_weights(kf__program *p) { p->steps[6].consts[KF_CONST_W] = -1; }
static void wrong_residual(kf__program *p) { p->steps[4].in[1] = 0; }
static void nan_bound(kf__program *p) { p->steps[1].act.lo = NAN; }
static void short_const(kf__program *p) { p->consts[0].bytes -= 4; }
static void turned_weights(kf__program *p) { p->consts[p->steps[6].consts[KF_CONST_W]].shape = kf__shape_make(2, (int64_t[]){20, 5}); }
static void flat_weights(kf__program *p) { p->consts[0].shape = kf__shape_make(1, (int64_t[]){540}); }
static void three_inputs(kf__program *p) { p->steps[4].n_in = 3, p->steps[4].in[2] = 0; }
static void no_outputs(kf__program *p) { p->n_outputs = 0; }
static void wild_layout(kf__program *p) { p->inputs[0].layout = 3; }

static void refusals(void **state) {
    (void)state;
    refuse(read_early, "before it is written");
    refuse(write_twice, "twice");
    refuse(wild_index, "tensor 99");
    refuse(huge, "tensor 0");
    refuse(stride_zero, "window");
    refuse(odd_group, "group does not divide");
    refuse(no_weights, "classifier");
    refuse(wrong_residual, "residual");
    refuse(nan_bound, "NaN");
    refuse(short_const, "const0");
    refuse(turned_weights, "20x5");
    refuse(flat_weights, "540");
    refuse(three_inputs, "at most 2");
    refuse(no_outputs, "outputs");
    refuse(wild_layout, "input 0");
}

static void border_classes(void **state) {
    (void)state;
    int32_t cls[112];
    kf__taps taps[112];
    const kf__axis same = {3, 2, 1, 0, 1}, padded = {3, 1, 1, 1, 1}, beyond = {3, 1, 1, 4, 4},
                   dilated = {2, 1, 3, 3, 3};
    /* 224, 3x3, stride 2, SAME of TensorFlow: nothing in front, one behind: only the last position is short of a tap */
    assert_int_equal(kf__border_classes(&same, 224, 112, cls, taps), 2);
    assert_int_equal(cls[0], 0);
    assert_int_equal(cls[111], 1);
    assert_int_equal(taps[1].count, 2);
    assert_int_equal(kf__border_classes(&padded, 5, 5, cls, taps), 3);
    assert_int_equal(taps[0].first, 1);
    assert_int_equal(taps[2].count, 2);
    /* a window wholly in padding has no tap inside, on whichever side of the image it is */
    assert_int_equal(kf__border_classes(&beyond, 5, 11, cls, taps), 6);
    assert_true(taps[0].count == 0 && cls[0] == 0 && cls[1] == 0 && cls[2] == 1 && cls[9] == 0 && cls[10] == 0);
    /* one pixel under two taps that lie three apart: the second, neither, neither, the first */
    assert_int_equal(kf__border_classes(&dilated, 1, 4, cls, taps), 3);
    assert_true(cls[0] == 0 && cls[1] == 1 && cls[2] == 1 && cls[3] == 2 && taps[0].first == 1 && taps[2].first == 0);
}

/* Every step fetches weights of later steps only, each line once and in the order of use, all of those of the last layers. */
static void ahead(void **state) {
    (void)state;
    struct kf_model *m = NULL;
    kf_error err = {0};
    kf__program *p = pb_small();
    if (kf__model_create(p, NULL, &m, &err) != KF_OK) fail_msg("%s", err.text);
    const char *end = m->floats_end, *asked = NULL;
    size_t lines = 0;
    for (int32_t i = p->n_steps - 1, later = p->n_steps; i >= 0; i--) {
        const kf__prepared *k = &m->steps[i];
        if (!k->packed) continue;
        const char *own_end = later < p->n_steps ? m->steps[later].packed : end;
        assert_true(k->ahead.at >= own_end && k->ahead.at + k->ahead.lines * KF_LINE <= end);
        if (k->ahead.lines > 0 && asked) assert_ptr_equal(k->ahead.at + k->ahead.lines * KF_LINE, asked);
        if (k->ahead.lines > 0) asked = k->ahead.at;
        if (p->steps[i].op != KF_STEP_CONV) assert_int_equal(k->ahead.lines, 0);
        lines += k->ahead.lines;
        later = i;
    }
    assert_int_equal(m->steps[4].ahead.lines * KF_LINE,
                     end - m->steps[6].packed); /* the projection: all of the classifier */
    assert_true(lines > m->steps[4].ahead.lines);
    kf__model_destroy(&m);
}

/* Weights end where a huge page ends, inside their block; small ones stay where they are. */
static void huge_end(void **state) {
    (void)state;
    for (size_t bytes = 1 << 20; bytes < 9 << 20; bytes += (1 << 20) + 64) {
        size_t room = bytes + kf__pages_slack(bytes);
        char *block = kf__mem_alloc(NULL, room), *at = kf__pages_huge_end(block, room, bytes);
        assert_true(at >= block && at + bytes <= block + room);
        assert_int_equal((uintptr_t)at % KF_ALIGN, 0);
        if (room > bytes) assert_int_equal((uintptr_t)(at + bytes) % (2 << 20), 0);
        kf__mem_free(NULL, block);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ahead), cmocka_unit_test(huge_end), cmocka_unit_test(no_overlap), cmocka_unit_test(refusals), cmocka_unit_test(border_classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
