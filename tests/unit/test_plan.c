/* Memory plan and program validation: nothing that lives at once overlaps, memory is reused, bad programs are refused.
 * Owner rule: each test frees what it makes. */
#include "program_builder.h"

#include "os/pages.h"
#include "runtime/model.h"

typedef struct range {
    int32_t first, last;
    size_t from, to, rank;
    bool placed;
} range;

/* Lifetimes worked out again, the slow way. */
static range life(const kf__program *p, int32_t t) {
    const kf__ptensor *x = &p->tensors[t];
    range r = {.first = -1, .last = -1};
    r.to = kf__round_up(kf__ptensor_count(x) * kf_dtype_size(x->dtype), KF_ALIGN) + KF_REDZONE;
    r.rank = r.to;
    for (int32_t i = 0; i < p->n_steps; i++) {
        if (p->steps[i].out == t) r.first = r.last = i, r.rank = kf__steps_join(p, i) ? 0 : r.rank;
        for (int k = 0; k < p->steps[i].n_in; k++)
            if (p->steps[i].in[k] == t) r.last = i;
        if (i > 0 && kf__steps_join(p, i - 1) && p->steps[i - 1].in[0] == t) r.last = i;
    }
    for (int32_t i = 0; i < p->n_outputs; i++)
        if (p->outputs[i].tensor == t) r.last = p->n_steps;
    return r;
}

static bool meet(const range *a, const range *b) { return a->first <= b->last && b->first <= a->last; }

/* The definition, cubic in tensors: always the largest that is left, at the lowest place. */
static size_t plan_slowly(range *r, int32_t n) {
    size_t total = 0;
    for (int32_t done = 0; done < n; done++) {
        range *best = NULL;
        for (int32_t t = 0; t < n; t++)
            if (!r[t].placed && (!best || r[t].rank > best->rank)) best = &r[t];
        for (bool moved = true; moved;) {
            moved = false;
            for (int32_t o = 0; o < n; o++) {
                if (!r[o].placed || !meet(&r[o], best) || best->from >= r[o].to || r[o].from >= best->to) continue;
                best->to = r[o].to + best->to - best->from, best->from = r[o].to;
                moved = true;
            }
        }
        best->placed = true;
        if (best->to > total) total = best->to;
    }
    return total;
}

static size_t plan(kf__program *p, size_t *offset, size_t *work) {
    size_t total;
    kf_error err = {0};
    kf__program_link(p);
    if (kf__plan(p, offset, &total, work, &err) != KF_OK) fail_msg("%s", err.text);
    return total;
}

/* Byte for byte what the definition gives, and nothing that lives at once overlaps. Is memory used again? */
static bool check_plan(kf__program *p) {
    enum { MOST = 128 };
    size_t offset[MOST], work, each = 0, total = plan(p, offset, &work);
    range r[MOST];
    for (int32_t t = 0; t < p->n_tensors; t++) {
        r[t] = life(p, t), each += r[t].to;
        assert_int_equal(offset[t] % KF_ALIGN, 0);
    }
    assert_int_equal(total, plan_slowly(r, p->n_tensors));
    for (int32_t a = 0; a < p->n_tensors; a++) {
        assert_int_equal(offset[a], r[a].from);
        for (int32_t b = 0; b < a; b++)
            if (meet(&r[a], &r[b]) && r[a].from < r[b].to && r[b].from < r[a].to) fail_msg("%d and %d overlap", a, b);
    }
    return total < each;
}

static kf__program *blank(int32_t tensors, int32_t steps) {
    kf__program *p = NULL;
    assert_int_equal(kf__program_create(&p, NULL, NULL), KF_OK);
    p->tensors = kf__arena_array(&p->arena, (size_t)tensors, sizeof *p->tensors);
    p->steps = kf__arena_array(&p->arena, (size_t)steps, sizeof *p->steps);
    p->inputs = kf__arena_array(&p->arena, 2, sizeof *p->inputs);
    p->outputs = kf__arena_array(&p->arena, 2, sizeof *p->outputs);
    assert_true(p->tensors && p->steps && p->inputs && p->outputs);
    return p;
}

static int32_t one_of(kf__random *r, int32_t n) { return (int32_t)kf__random_range(r, 0, n - 1); }

/* Steps that read any earlier tensors, and pairs that run as one; sizes repeat, so that ties count. */
static kf__program *random_program(kf__random *r) {
    int32_t steps = 2 + one_of(r, 90);
    kf__program *p = blank(steps + 2, steps);
    p->n_inputs = 1 + one_of(r, 2);
    for (int32_t k = 0; k < p->n_inputs; k++) p->inputs[k].tensor = pb_tensor(p, "in", 1 + one_of(r, 4), 8, 16);
    for (int32_t i = 0; i < steps; i++) {
        int32_t near = p->n_tensors < 6 ? p->n_tensors : 6, at = p->n_tensors - 1 - one_of(r, near);
        bool pair = i + 1 < steps && one_of(r, 5) == 0;
        kf__step *s = pb_step(p, pair ? KF_STEP_CONV : KF_STEP_ADD, "s", at, p->n_tensors);
        if (!pair) s->in[s->n_in++] = one_of(r, p->n_tensors);
        pb_tensor(p, "t", pair ? 128 : 1 + one_of(r, 6), pair ? 128 : 8, 16);
        if (!pair) continue;
        pb_step(p, KF_STEP_DWCONV, "d", p->n_tensors - 1, p->n_tensors);
        pb_tensor(p, "u", 1 + one_of(r, 6), 8, 16);
        i++;
    }
    p->n_outputs = 2;
    p->outputs[0].tensor = p->n_tensors - 1, p->outputs[1].tensor = one_of(r, p->n_tensors);
    return p;
}

static void as_defined(void **state) {
    (void)state;
    kf__random r = {7};
    int joined = 0, reused = 0;
    kf__program *p = pb_small();
    assert_true(check_plan(p));
    kf__program_destroy(&p);
    for (int i = 0; i < 300; i++) {
        p = random_program(&r);
        reused += check_plan(p);
        for (int32_t k = 0; k < p->n_steps; k++) joined += kf__steps_join(p, k);
        kf__program_destroy(&p);
    }
    assert_true(joined > 300 && reused > 200);
}

enum { A_CHAIN, HALF_STAY, ALL_STAY, NEVER_MADE, FORMS };

/* n tensors: each read by the next step; half of them, or all, outputs too; or made by nobody. */
static kf__program *long_program(int32_t n, int form) {
    kf__program *p = blank(n + 1, n);
    p->outputs = kf__arena_array(&p->arena, (size_t)n, sizeof *p->outputs);
    p->n_inputs = 1;
    pb_tensor(p, "in", 4, 4, 16);
    for (int32_t i = 0; i < n; i++) {
        int32_t t = pb_tensor(p, "t", 1 + i % 7, 4, 16);
        if (form == NEVER_MADE && i > 0) continue;
        pb_step(p, KF_STEP_ACT, "s", t - 1, t);
        bool stays = form == ALL_STAY || (form == HALF_STAY && i % 2 == 0);
        if (stays || i == n - 1) p->outputs[p->n_outputs++].tensor = t;
    }
    return p;
}

/* Where a tensor was put, for sorting. */
static int by_start(const void *a, const void *b) {
    const range *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* Outputs live to the end, so none of them may lie in another. */
static void outputs_apart(const kf__program *p, const size_t *offset, size_t total) {
    range *r = malloc((size_t)p->n_outputs * sizeof *r);
    assert_non_null(r);
    for (int32_t i = 0; i < p->n_outputs; i++) {
        int32_t t = p->outputs[i].tensor;
        r[i] = (range){.from = offset[t], .to = offset[t] + kf__ptensor_count(&p->tensors[t]) * sizeof(float)};
    }
    qsort(r, (size_t)p->n_outputs, sizeof *r, by_start);
    for (int32_t i = 1; i < p->n_outputs; i++) assert_true(r[i - 1].to <= r[i].from);
    assert_true(p->n_outputs == 0 || r[p->n_outputs - 1].to <= total);
    free(r);
}

/* What the planning looks at grows with the tensors, not with their square, whatever they are like. */
static void work_grows_slowly(void **state) {
    (void)state;
    size_t *offset = malloc(65537 * sizeof *offset), work;
    assert_non_null(offset);
    for (int form = 0; form < FORMS; form++)
        for (int32_t n = 1024; n <= 65536; n *= 4) {
            kf__program *p = long_program(n, form);
            size_t total = plan(p, offset, &work), tensors = (size_t)n + 1;
            assert_true(work <= (1 << 20) + 66 * tensors); /* once it is spent, each tensor looks once more */
            if (form == A_CHAIN) assert_true(work <= 60 * tensors);
            if (form == A_CHAIN || form == NEVER_MADE) assert_true(total < 8 * (7 * 4 * 16 * 4 + KF_REDZONE));
            outputs_apart(p, offset, total);
            kf__program_destroy(&p);
        }
    free(offset);
}

static void refuse(void (*spoil)(kf__program *p), const char *word) {
    kf__program *p = pb_small();
    kf_error err = {0};
    assert_int_equal(kf__program_validate(p, &err), KF_OK);
    spoil(p);
    if (kf__program_validate(p, &err) == KF_OK || !strstr(err.text, word))
        fail_msg("wanted \"%s\", got \"%s\"", word, err.text);
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
static void turned_weights(kf__program *p) {
    p->consts[p->steps[6].consts[KF_CONST_W]].shape = kf__shape_make(2, (int64_t[]){20, 5});
}
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

/* Every step fetches weights of later steps only, each line once and in the order of use, all of those of the last
 * layers. */
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(ahead),      cmocka_unit_test(huge_end),
                                       cmocka_unit_test(as_defined), cmocka_unit_test(work_grows_slowly),
                                       cmocka_unit_test(refusals),   cmocka_unit_test(border_classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
