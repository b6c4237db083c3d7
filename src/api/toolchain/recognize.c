/* What an ONNX file does not say, found elsewhere: how pictures are prepared, from the JSON beside the file, the name
 * of a published network, TensorFlow's SAME padding, or normalization in the network. Calls import, zoo and passes.
 * Owner rule: the graph copies what it keeps; the sidecar and the copy of the graph end with the call. */
#include <stdio.h>

#include "api/toolchain/graph_api.h"
#include "import/sidecar.h"
#include "passes/passes.h"
#include "zoo/zoo.h"

/* All published weights with TensorFlow's padding were trained on pixels of -1..1, so any name of that kind serves. */
#define TENSORFLOW "tf_mobilenetv3_large_100"

/* ---- names ------------------------------------------------------------------------------------------------------- */

static bool joins(char c) { return c == '\0' || c == '.' || c == '-' || c == '_'; }

/* The same n bytes, with A to Z as a to z whatever the locale. */
static bool same(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int x = (unsigned char)a[i], y = (unsigned char)b[i];
        if (x >= 'A' && x <= 'Z') x += 'a' - 'A';
        if (y >= 'A' && y <= 'Z') y += 'a' - 'A';
        if (x != y) return false;
    }
    return true;
}

/* Does `text`, of `n` characters, say `name`? At its start, or behind the library it comes from: in "keras_NAME" it is
 * another network. What follows has to be parted from it, so that large_100 is not found in large_1000. */
static bool says(const char *text, size_t n, const char *name) {
    static const char *const BEFORE[] = {"", "timm_", "timm-", "torchvision_", "torchvision-", "tv_"};
    size_t length = strlen(name);
    for (size_t i = 0; i < KF_COUNT(BEFORE); i++) {
        size_t skip = strlen(BEFORE[i]);
        if (skip + length > n || !same(text, BEFORE[i], skip)) continue;
        if (!same(text + skip, name, length)) continue;
        if (skip + length == n || joins(text[skip + length])) return true;
    }
    return false;
}

/* The architecture that a text begins with; the longest name wins. NULL: none. */
static const kf__zoo_arch *arch_in(const char *text, size_t n) {
    const kf__zoo_arch *best = NULL;
    for (int32_t i = 0; text && i < kf__zoo_count(); i++) {
        const kf__zoo_arch *a = kf__zoo_at(i);
        if (says(text, n, a->name) && (!best || strlen(a->name) > strlen(best->name))) best = a;
    }
    return best;
}

static const char *file_name(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

static const kf__zoo_arch *arch_of_file(const char *path) {
    const char *name = file_name(path);
    return name ? arch_in(name, strlen(name)) : NULL;
}

/* ---- padding ----------------------------------------------------------------------------------------------------- */

typedef struct padding {
    int same, other; /* convolutions of stride 2 with one row more at the end, and without */
    bool open;       /* there are Pad nodes, whose amounts may not be folded yet */
    bool sigmoid;    /* EfficientNet: the same padding, but ImageNet's mean and std */
} padding;

/* Of an odd size the padding is the same on both sides: such a layer says nothing. */
static bool is_odd(const kf__graph *g, const kf__node *n) {
    const kf__shape *s = &g->values[n->in[0]].shape;
    return s->rank == 4 && s->dim[2] % 2 == 1 && s->dim[3] % 2 == 1;
}

static padding look(const kf__graph *g) {
    padding p = {0};
    for (size_t i = 0; i < g->n_nodes; i++) {
        const kf__node *n = &g->nodes[i];
        const kf__window *w = &n->attrs.window;
        if (n->dead) continue;
        p.sigmoid |= n->op == KF_OP_SIGMOID;
        p.open |= n->op == KF_OP_PAD;
        if (n->op != KF_OP_CONV || w->sh != 2 || w->sw != 2 || w->kh < 2 || is_odd(g, n)) continue;
        if (w->pb == w->pt + 1 && w->pr == w->pl + 1) p.same++;
        else p.other++;
    }
    return p;
}

/* Every strided convolution has to agree: one alone may be somebody's own choice. PyTorch computes the padding of each
 * layer from its input by a chain of nodes, which folds away in a copy. What hinders that is met again when the network
 * itself is optimized, so that only missing memory is an error here. */
static kf_status find_padding(const kf__graph *g, uint64_t max_fold_bytes, bool *tensorflow, kf_error *err) {
    padding p = look(g);
    if (p.open) {
        kf__graph *copy;
        kf_error why = {KF_OK, ""};
        KF_TRY(kf__graph_clone(g, &copy, err));
        copy->max_fold_bytes = max_fold_bytes;
        kf_status st = kf__passes_run(copy, KF_OPTIMIZE_SIMPLIFY, &why);
        if (st == KF_OK) p = look(copy);
        kf__graph_destroy(&copy);
        if (st == KF_ERR_MEMORY) KF_FAIL(err, st, "%s", why.text);
    }
    *tensorflow = p.same > 0 && p.other == 0 && !p.sigmoid;
    return KF_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

/* Any JSON may lie beside an ONNX file. One that is not about this network is left alone, with a note where it looked
 * as if it were. */
static kf_status read_beside(const kf__graph *g, const char *path, const kf_import_options *o, kf__sidecar *s,
                             kf_error *err) {
    const kf__shape *out = &g->values[kf__graph_ranked(g)].shape;
    kf_error why = {KF_OK, ""};
    char text[KF_ERROR_TEXT + 32];
    *s = (kf__sidecar){0};
    if (!path) return KF_OK;
    kf_status st = kf__sidecar_read(path, s, &why);
    if (st == KF_ERR_MEMORY) KF_FAIL(err, st, "%s", why.text);
    if (st == KF_OK && s->path && s->classes && out->rank == 2 && out->dim[1] > 0 && s->classes != out->dim[1]) {
        snprintf(why.text, sizeof why.text, "%.600s: num_classes: %d, but the network has %lld outputs", s->path,
                 s->classes, (long long)out->dim[1]);
        st = KF_ERR_FORMAT;
    }
    if (st == KF_OK) {
        if (s->path && o->file) o->file(o->file_user, s->path);
        return KF_OK;
    }
    snprintf(text, sizeof text, "%s; the file is not used", why.text);
    if (o->notice) o->notice(o->notice_user, text);
    kf__sidecar_free(s);
    return KF_OK;
}

static bool gives(const kf__sidecar *s, const char *key) {
    const kf_field *f;
    for (int32_t k = 0; (f = kf_preprocess_field(k)) != NULL; k++)
        if (strcmp(f->key, key) == 0) return s->fields >> k & 1;
    return false;
}

/* Sure sources first: a statement, then what the network shows, then names. A network that normalizes gets pixels as
 * they are, whatever its name says. A name of PyTorch's own weights on a
 * network with TensorFlow's padding is wrong: the padding belongs to the weights. */
static kf_status find(kf__graph *g, const char *path, const kf_import_options *o, const kf__sidecar *s,
                      kf_preprocess *p, const char **from, kf_error *err) {
    const char *json = file_name(s->path);
    const kf__zoo_arch *a = s->arch ? kf__zoo_find(s->arch) : NULL;
    *from = a ? json : NULL;
    if (!a && (a = arch_of_file(path)) == NULL && g->name) a = arch_in(g->name, strlen(g->name));
    bool tensorflow = false;
    if (!*from && !(a && a->same_padding)) KF_TRY(find_padding(g, o->max_fold_bytes, &tensorflow, err));
    if (tensorflow) {
        a = kf__zoo_find(TENSORFLOW);
        *from = "TensorFlow's padding in the network";
    } else if (a && !*from) *from = kf__arena_printf(&g->arena, "the name %s", a->name);
    if (a && !*from) KF_FAIL_MEMORY(err, strlen(a->name));
    kf_preprocess_init(p);
    if (a) KF_TRY(kf_preprocess_by_name(a->name, p, err));
    double white = 0;
    KF_TRY(kf__graph_white(g, o->max_fold_bytes, &white, err));
    if (white > 0) { /* mean 0, and a std that makes pixels of 0..1 what the network takes */
        for (int c = 0; c < 3; c++) p->mean[c] = 0, p->std[c] = 1 / white;
        *from = "normalization in the network";
    }
    kf_preprocess_copy(p, &s->given, s->fields);
    if (gives(s, "mean") && gives(s, "std")) *from = json;
    return KF_OK;
}

kf_status kf__graph_recognize(kf__graph *g, const char *path, const kf_import_options *o, kf_error *err) {
    const kf__shape *in = &g->values[g->inputs[0]].shape;
    kf_import_options found = *o;
    kf_preprocess p;
    kf__sidecar s;
    const char *from;
    if (o->preprocess || in->rank != 4 || in->dim[1] != 3 || in->dim[2] < 1 || in->dim[3] < 1)
        return kf__graph_describe(g, o, err);
    KF_TRY(read_beside(g, path, o, &s, err));
    kf_status st = find(g, path, o, &s, &p, &from, err);
    if (st == KF_OK && (from || s.fields)) found.preprocess = &p;
    if (st == KF_OK) st = kf__graph_describe(g, &found, err);
    if (st == KF_OK && found.preprocess) {
        g->meta.origin = from ? KF_ORIGIN_RECOGNIZED : KF_ORIGIN_ASSUMED;
        g->meta.preprocess_source = from ? kf__arena_strdup(&g->arena, from) : NULL;
        if (from && !g->meta.preprocess_source) st = kf_error_set(err, KF_ERR_MEMORY, "out of memory");
    }
    kf__sidecar_free(&s);
    return st;
}
