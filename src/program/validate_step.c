/* The proof of one step: types of its tensors, fields it reads and fields it does not, extents. Everything is
 * checked against the entry in steps.def; only rules that combine several fields are here. Owner rule: reads only. */
#include "program/program_private.h"

#include <math.h>

static bool keeps_scale(const kf__ptensor *x, const kf__ptensor *y) {
    return x->dtype == y->dtype && x->scale == y->scale && x->zero == y->zero;
}

static kf_status check_types(const kf__program *p, const kf__step *s, const kf__step_form *f, kf_error *err) {
    const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
    if (!(kf__types_of(x->dtype) & f->first))
        STEP_FAIL(err, s, "there is no form of this step for %s", kf_dtype_name(x->dtype));
    for (int32_t k = 1; k < s->n_in; k++)
        if (!(kf__types_of(p->tensors[s->in[k]].dtype) & f->others))
            STEP_FAIL(err, s, "input %d must not be %s", k, kf_dtype_name(p->tensors[s->in[k]].dtype));
    if (f->out == KF_TYPES_SAME && !keeps_scale(x, y)) STEP_FAIL(err, s, "the output must keep the input's scale");
    if (f->out != KF_TYPES_SAME && !(kf__types_of(y->dtype) & f->out))
        STEP_FAIL(err, s, "the output must not be %s", kf_dtype_name(y->dtype));
    return KF_OK;
}

/* Only some kinds support scales per channel. */
static kf_status check_scaled(const kf__program *p, const kf__step *s, kf__scaled may, kf_error *err) {
    for (int32_t k = 0; k <= s->n_in; k++) {
        const kf__ptensor *t = &p->tensors[k < s->n_in ? s->in[k] : s->out];
        kf__scaled which = k > 0 ? KF_SCALED_OTHERS : KF_SCALED_FIRST;
        if (k == s->n_in) which = KF_SCALED_OUT;
        if (t->scales >= 0 && !(may & which)) STEP_FAIL(err, s, "tensor %s needs one scale", t->name ? t->name : "?");
    }
    return KF_OK;
}

/* An unused window, as importers and passes leave it. */
static bool left_window_ok(const kf__window *w, kf__window_use use) {
    const kf__window one = KF_WINDOW_ONE;
    static const kf__window zero;
    if (use == KF_WINDOW_USED || kf__window_same(w, &zero) || kf__window_same(w, &one)) return true;
    bool counts = w->kh >= 1 && w->kw >= 1 && w->sh >= 1 && w->sw >= 1 && w->dh >= 1 && w->dw >= 1 && w->group == 1;
    if (use == KF_WINDOW_LEFT) return counts && !kf__window_has_padding(w);
    return use == KF_WINDOW_ONE_TAP && counts && kf__window_is_one_tap(w);
}

static const char *bad_activation(const kf__step *s, unsigned reads) {
    const struct {
        const kf__activation *act;
        kf__fields bit;
        const char *name;
    } acts[] = {{&s->act, KF_READS_ACT, "act"},
                {&s->post_act, KF_READS_POST_ACT, "post_act"},
                {&s->gate_act, KF_READS_GATE_ACT, "gate_act"}};
    for (size_t i = 0; i < KF_COUNT(acts); i++) {
        const kf__activation *a = acts[i].act;
        bool fits = reads & acts[i].bit ? (unsigned)a->kind < KF_ACT_COUNT : a->kind == KF_ACT_NONE;
        if (!fits || isnan(a->lo) || isnan(a->hi)) return acts[i].name;
    }
    return NULL;
}

/* Fields that the step does not read are 0, except as left_window_ok allows. */
static kf_status check_unused(const kf__step *s, const kf__step_info *info, unsigned reads, kf_error *err) {
    const char *act = bad_activation(s, reads);
    if (act) STEP_FAIL(err, s, "%s is no activation that this step has, or a bound is NaN", act);
    if (!left_window_ok(&s->window, info->window)) STEP_FAIL(err, s, "a window that the step does not have");
    bool counts = reads & KF_READS_COUNT_PAD || info->window != KF_WINDOW_NONE;
    if (s->count_include_pad < 0 || s->count_include_pad > counts)
        STEP_FAIL(err, s, "count_include_pad is out of range");
    if (s->selects < 0 || s->selects > (reads & KF_READS_SELECTS ? KF_SELECTS_ALL : 0))
        STEP_FAIL(err, s, "selects is out of range");
    if (s->direct < 0 || s->direct > !!(reads & KF_READS_DIRECT)) STEP_FAIL(err, s, "direct is out of range");
    if (s->border_bias < 0 || s->border_bias > !!(reads & KF_READS_BORDER_BIAS))
        STEP_FAIL(err, s, "a bias table needs a conv step over pixels");
    if (!(reads & KF_READS_GATE) && (s->pool_qmax || s->hidden_qmax || s->pool_mul != 0 || s->hidden_inv != 0))
        STEP_FAIL(err, s, "only se_gate has bounds and multipliers of pooled and hidden values");
    if (!(reads & (KF_READS_GATE | KF_READS_CLIP | KF_READS_KEEPS)) && (s->qlo || s->qhi))
        STEP_FAIL(err, s, "bounds %d..%d of a step that has none", s->qlo, s->qhi);
    return KF_OK;
}

/* Rules that combine several fields of an integer step. */
static kf_status check_direct(const kf__program *p, const kf__step *s, unsigned reads, kf_error *err) {
    const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
    if (s->direct && (s->n_in > 1 || !kf__activation_is_clip(&s->act)))
        STEP_FAIL(err, s, "a residual or an activation needs an indirect step");
    if (s->direct && y->dtype == KF_F32 && !(reads & KF_READS_GATE))
        STEP_FAIL(err, s, "a direct step has a quantized output");
    if (!kf__activation_is_clip(&s->post_act)) STEP_FAIL(err, s, "after an integer step there is a clip or nothing");
    if (s->border_bias && (x->dtype != KF_U8 || x->zero != 0))
        STEP_FAIL(err, s, "a bias table needs a conv step over pixels");
    return KF_OK;
}

static bool factor_ok(float x) { return x >= 0 && isfinite(x); }

static kf_status check_gate(const kf__step *s, kf_error *err) {
    enum { TOP = 32767 };
    if (s->pool_qmax < 1 || s->pool_qmax > TOP || s->hidden_qmax < 1 || s->hidden_qmax > TOP)
        STEP_FAIL(err, s, "bounds of pooled or hidden values are out of range");
    if (s->qlo < -s->hidden_qmax || s->qhi > s->hidden_qmax || s->qlo > s->qhi)
        STEP_FAIL(err, s, "bounds %d..%d are outside those of hidden values", s->qlo, s->qhi);
    if (!factor_ok(s->pool_mul) || !factor_ok(s->hidden_inv)) STEP_FAIL(err, s, "multipliers are not usable");
    return KF_OK;
}

/* Later steps rely on what an output can hold: a step writes qlo..qhi, or what it moves. */
static kf_status check_bounds(const kf__program *p, const kf__step *s, unsigned reads, kf_error *err) {
    const kf__ptensor *x = &p->tensors[s->in[0]], *y = &p->tensors[s->out];
    bool rounds = reads & KF_READS_CLIP && y->dtype != KF_F32;
    if (rounds && (s->qlo < y->qmin || s->qhi > y->qmax || s->qlo > s->qhi))
        STEP_FAIL(err, s, "bounds %d..%d are outside the tensor's", s->qlo, s->qhi);
    if (reads & KF_READS_CLIP && !rounds && (s->qlo || s->qhi))
        STEP_FAIL(err, s, "bounds %d..%d of an f32 output", s->qlo, s->qhi);
    if (!(reads & KF_READS_KEEPS)) return KF_OK;
    if (s->qlo != y->qmin || s->qhi != y->qmax) STEP_FAIL(err, s, "bounds %d..%d are not the tensor's", s->qlo, s->qhi);
    if (x->qmin < y->qmin || x->qmax > y->qmax)
        STEP_FAIL(err, s, "bounds %d..%d of the input are outside the output's", x->qmin, x->qmax);
    return KF_OK;
}

kf_status kf__validate_step(const kf__program *p, const kf__step *s, kf_error *err) {
    const kf__step_info *info = kf__step_info_of(s->op);
    const int form = kf__step_form_of(p, s);
    const unsigned reads = info->forms[form].reads;
    KF_TRY(check_types(p, s, &info->forms[form], err));
    KF_TRY(check_scaled(p, s, info->scaled, err));
    KF_TRY(check_unused(s, info, reads, err));
    if (form) KF_TRY(check_direct(p, s, reads, err));
    if (reads & KF_READS_GATE) KF_TRY(check_gate(s, err));
    KF_TRY(check_bounds(p, s, reads, err));
    const char *wrong = kf__step_shape_error(p, s);
    if (wrong) STEP_FAIL(err, s, "%s", wrong);
    KF_TRY(kf__validate_consts(p, s, err));
    return form ? kf__validate_sums(p, s, err) : KF_OK;
}
