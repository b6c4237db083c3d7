/* Parameters of the sweep's networks, and a covering array: rows in which every pair of values occurs that can occur.
 * Greedy: an open pair is set, then channels, window and the rest so that many other open pairs come with it.
 * Owner rule: see geometry.h. */
#include "geometry.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 16, MOST_MACS = 100000, MOST_DEPTH = 392, TRIES = 400 };

typedef struct description {
    const char *name;
    const char *values[MOST_VALUES];
} description;

#define ONE_TO_SEVEN                                                                                                   \
    { "1", "2", "3", "4", "5", "6", "7" }
#define ONE_TO_THREE                                                                                                   \
    { "1", "2", "3" }
#define CHANNELS                                                                                                       \
    { "1", "2", "3", "4", "5", "8", "15", "16", "17", "24", "31", "32", "33", "48", "64", "70" }
#define PADS                                                                                                           \
    { "none", "one", "half", "last", "whole", "beyond" }
static const description PARAMETER[PARAMETERS] = {
    [P_INPUT] = {"input", {"pixels", "features"}},
    [P_BATCH] = {"batch", ONE_TO_THREE},
    [P_MAP] = {"map", {"1x1", "1x9", "9x1", "2x3", "5x7", "8x8", "13x11", "17x19", "2x130", "131x3", "1x257", "259x1"}},
    [P_CIN] = {"in", CHANNELS},
    [P_COUT] = {"out", CHANNELS},
    [P_GROUP] = {"group", {"one", "some", "depthwise", "multiplier"}},
    [P_KH] = {"kh", ONE_TO_SEVEN},
    [P_KW] = {"kw", ONE_TO_SEVEN},
    [P_SH] = {"sh", ONE_TO_THREE},
    [P_SW] = {"sw", ONE_TO_THREE},
    [P_DH] = {"dh", ONE_TO_THREE},
    [P_DW] = {"dw", ONE_TO_THREE},
    [P_TOP] = {"top", PADS},
    [P_LEFT] = {"left", PADS},
    [P_BOTTOM] = {"bottom", PADS},
    [P_RIGHT] = {"right", PADS},
    [P_BIAS] = {"bias", {"yes", "no", "norm"}},
    [P_ACT] = {"act", {"none", "relu", "relu6", "hswish", "hsigmoid", "clip", "sigmoid", "silu"}},
    [P_PAD_NODE] = {"pad-node", {"no", "yes"}},
    [P_BLOCK] = {"block", {"none", "gate", "residual", "gate+residual", "concat", "product"}},
    [P_POOL] = {"pool", {"none", "mean", "mean-padded", "mean-ceil", "max", "max-ceil"}},
    [P_SECOND] = {"second", {"none", "pointwise", "spatial", "depthwise", "grouped"}},
    [P_ACT2] = {"act2", {"none", "relu", "relu6", "hswish"}},
    [P_HEAD] = {"head", {"map", "pooled", "flat", "conv", "softmax"}},
    [P_QUANTIZER] = {"quantizer", {"8", "16-outputs", "16-nodes", "16-weights", "plain", "plain-mixed"}},
    [P_THREADS] = {"threads", {"1", "2"}},
};

int values_of(int parameter) {
    int n = 0;
    if (parameter == P_BATCH) return 2;
    while (n < MOST_VALUES && PARAMETER[parameter].values[n]) n++;
    return n;
}

const char *name_of_parameter(int parameter) { return PARAMETER[parameter].name; }
const char *name_of_value(int parameter, int value) { return PARAMETER[parameter].values[value]; }

static int number(const net_row *r, int parameter) { return atoi(PARAMETER[parameter].values[r->v[parameter]]); }

void print_row(FILE *to, const net_row *r) {
    for (int p = 0; p < PARAMETERS; p++)
        fprintf(to, "%s%s=%s", p ? " " : "", name_of_parameter(p), name_of_value(p, r->v[p]));
}

/* A padding by its name: `span` is the window's extent, dilation included. */
static int pad_of(int value, int span) {
    const int pad[] = {0, 1, span / 2, span - 1, span, span + 2};
    return pad[value];
}

/* Input, batch, quantizer, channels and groups: what goes together whatever the window is. */
static bool channels_of(const net_row *r, first_layer *f) {
    f->n = number(r, P_BATCH), f->cin = number(r, P_CIN), f->cout = number(r, P_COUT), f->group = 1;
    if (r->v[P_INPUT] == INPUT_PIXELS && f->cin != 3) return false; /* pictures have three planes */
    if (f->n > 1 && r->v[P_QUANTIZER] < Q_PLAIN) return false;      /* the product's quantizer takes one image */
    switch (r->v[P_GROUP]) {
    case GROUP_SOME:
        for (f->group = 2; f->group < f->cin && (f->cin % f->group || f->cout % f->group);) f->group++;
        return f->group < f->cin;
    case GROUP_DEPTHWISE: f->group = f->cin; return f->cout == f->cin;
    case GROUP_MULTIPLIER: /* the multiple of the inputs that is nearest below, at least two */
        f->group = f->cin;
        f->cout = f->cout / f->cin < 2 ? 2 * f->cin : f->cout / f->cin * f->cin;
        return true;
    default: return true;
    }
}

bool first_layer_of(const net_row *r, first_layer *f) {
    *f = (first_layer){0};
    if (!channels_of(r, f) || sscanf(PARAMETER[P_MAP].values[r->v[P_MAP]], "%dx%d", &f->h, &f->w) != 2) return false;
    f->kh = number(r, P_KH), f->kw = number(r, P_KW), f->sh = number(r, P_SH), f->sw = number(r, P_SW);
    f->dh = number(r, P_DH), f->dw = number(r, P_DW), f->extra = r->v[P_PAD_NODE];
    int high = f->dh * (f->kh - 1) + 1, wide = f->dw * (f->kw - 1) + 1;
    f->pt = pad_of(r->v[P_TOP], high), f->pb = pad_of(r->v[P_BOTTOM], high);
    f->pl = pad_of(r->v[P_LEFT], wide), f->pr = pad_of(r->v[P_RIGHT], wide);
    int room_h = f->h + f->pt + f->pb + 2 * f->extra - high, room_w = f->w + f->pl + f->pr + 2 * f->extra - wide;
    if (room_h < 0 || room_w < 0) return false;
    f->oh = room_h / f->sh + 1, f->ow = room_w / f->sw + 1;
    int depth = f->kh * f->kw * f->cin / f->group;
    f->macs = (int64_t)f->n * f->oh * f->ow * f->cout * depth;
    return depth <= MOST_DEPTH && f->macs <= MOST_MACS && f->oh * f->ow * f->cout <= 8192;
}

/* ---- pairs ------------------------------------------------------------ */

/* One bit for each pair of values: open, covered or impossible. */
typedef struct pairs {
    uint8_t state[PARAMETERS][PARAMETERS][MOST_VALUES][MOST_VALUES]; /* [a][b], a < b */
} pairs;
enum { OPEN = 0, COVERED = 1, IMPOSSIBLE = 2 };

/* Of the parameters that channels_of looks at: is there a combination with both values? */
static bool channels_possible(int a, int va, int b, int vb) {
    static const int OF[] = {P_INPUT, P_BATCH, P_QUANTIZER, P_GROUP, P_CIN, P_COUT};
    net_row r = {0};
    int at[KF_COUNT(OF)] = {0};
    for (;;) {
        bool match = true;
        for (size_t i = 0; i < KF_COUNT(OF); i++) {
            r.v[OF[i]] = (uint8_t)at[i];
            match = match && (OF[i] != a || at[i] == va) && (OF[i] != b || at[i] == vb);
        }
        first_layer f;
        if (match && channels_of(&r, &f)) return true;
        size_t i = 0;
        while (i < KF_COUNT(OF) && ++at[i] == values_of(OF[i])) at[i++] = 0;
        if (i == KF_COUNT(OF)) return false;
    }
}

static bool about_channels(int p) {
    return p == P_INPUT || p == P_BATCH || p == P_QUANTIZER || p == P_GROUP || p == P_CIN || p == P_COUT;
}

static void mark_row(pairs *s, const net_row *r, int *open) {
    for (int a = 0; a < PARAMETERS; a++)
        for (int b = a + 1; b < PARAMETERS; b++) {
            uint8_t *at = &s->state[a][b][r->v[a]][r->v[b]];
            if (*at == OPEN) *at = COVERED, --*open;
        }
}

static int count_open(pairs *s, int *impossible) {
    int open = 0;
    *impossible = 0;
    for (int a = 0; a < PARAMETERS; a++)
        for (int b = a + 1; b < PARAMETERS; b++)
            for (int va = 0; va < values_of(a); va++)
                for (int vb = 0; vb < values_of(b); vb++) {
                    bool can = !about_channels(a) || !about_channels(b) || channels_possible(a, va, b, vb);
                    s->state[a][b][va][vb] = can ? OPEN : IMPOSSIBLE;
                    open += can, *impossible += !can;
                }
    return open;
}

/* ---- rows ------------------------------------------------------------ */

static uint8_t any_value(kf__random *g, int p) { return (uint8_t)kf__random_range(g, 0, values_of(p) - 1); }

/* Open pairs that value `v` of `p` would add to the parameters that are set. */
static int gain_of(const pairs *s, const net_row *r, const bool *set, int p, int v) {
    int gain = 0;
    for (int o = 0; o < PARAMETERS; o++)
        if (set[o] && o != p) gain += (o < p ? s->state[o][p][r->v[o]][v] : s->state[p][o][v][r->v[o]]) == OPEN;
    return gain;
}

/* Set `p` to the value with the largest gain, among equals any; without pairs any. */
static void choose(const pairs *s, kf__random *g, net_row *r, bool *set, int p) {
    int best = -1, from = any_value(g, p), n = values_of(p);
    if (set[p]) return;
    for (int k = 0; s && k < n; k++) {
        int v = (from + k) % n, gain = gain_of(s, r, set, p, v);
        if (gain > best) best = gain, r->v[p] = (uint8_t)v;
    }
    if (!s) r->v[p] = (uint8_t)from;
    set[p] = true;
}

/* Fill a row whose set values stay; false where no try gave a network. Later tries look less at the gain. */
static bool complete(const pairs *s, kf__random *g, net_row *r, const bool *fixed) {
    static const int FREE[] = {P_BIAS, P_ACT, P_BLOCK, P_POOL, P_SECOND, P_ACT2, P_HEAD, P_THREADS};
    for (int t = 0; t < TRIES; t++) {
        bool set[PARAMETERS];
        int order[PARAMETERS];
        first_layer f;
        memcpy(set, fixed, sizeof set);
        for (int p = 0; p < PARAMETERS; p++) order[p] = p;
        for (int p = PARAMETERS - 1; p > 0; p--) {
            int k = (int)kf__random_range(g, 0, p), keep = order[p];
            order[p] = order[k], order[k] = keep;
        }
        for (int i = 0; i < PARAMETERS; i++) {
            bool by_gain = s && kf__random_range(g, 0, TRIES) > 2 * t;
            choose(by_gain ? s : NULL, g, r, set, order[i]);
        }
        if (!fixed[P_CIN] && r->v[P_INPUT] == INPUT_PIXELS) r->v[P_CIN] = 2;
        if (!fixed[P_COUT] && r->v[P_GROUP] == GROUP_DEPTHWISE) r->v[P_COUT] = r->v[P_CIN];
        if (!fixed[P_CIN] && r->v[P_GROUP] == GROUP_DEPTHWISE && r->v[P_INPUT] != INPUT_PIXELS)
            r->v[P_CIN] = r->v[P_COUT];
        if (!fixed[P_QUANTIZER] && r->v[P_BATCH] && r->v[P_QUANTIZER] < Q_PLAIN) r->v[P_QUANTIZER] = Q_PLAIN;
        if (!first_layer_of(r, &f)) continue;
        bool again[PARAMETERS];
        for (int p = 0; p < PARAMETERS; p++) again[p] = true;
        for (size_t i = 0; i < KF_COUNT(FREE); i++) again[FREE[i]] = fixed[FREE[i]];
        for (size_t i = 0; i < KF_COUNT(FREE); i++) choose(s, g, r, again, FREE[i]);
        return true;
    }
    return false;
}

static void add_row(covering *c, int *room, net_row r) {
    if (c->n == *room) {
        *room = *room ? 2 * *room : 256;
        net_row *grown = realloc(c->rows, (size_t)*room * sizeof *grown);
        if (!grown) abort();
        c->rows = grown;
    }
    c->rows[c->n++] = r;
}

covering covering_make(uint64_t seed) {
    covering c = {0};
    pairs *s = calloc(1, sizeof *s);
    kf__random g = {seed * 2 + 1};
    if (!s) abort();
    int open = count_open(s, &c.impossible), room = 0;
    c.pairs = open;
    for (int a = 0; a < PARAMETERS; a++)
        for (int b = a + 1; b < PARAMETERS; b++)
            for (int va = 0; va < values_of(a); va++)
                for (int vb = 0; vb < values_of(b); vb++) {
                    bool fixed[PARAMETERS] = {[0] = false};
                    net_row r = {0};
                    if (s->state[a][b][va][vb] != OPEN) continue;
                    fixed[a] = fixed[b] = true;
                    r.v[a] = (uint8_t)va, r.v[b] = (uint8_t)vb;
                    if (!complete(s, &g, &r, fixed)) continue;
                    mark_row(s, &r, &open);
                    add_row(&c, &room, r);
                }
    c.missing = open;
    free(s);
    return c;
}

void covering_free(covering *c) {
    free(c->rows);
    *c = (covering){0};
}

/* Pairs do not make a pointwise first layer over pixels: that takes thirteen values at once, each of them the first. */
static void fix_pointwise(bool *fixed) {
    static const int FIRST[] = {P_INPUT, P_GROUP, P_KH,   P_KW,     P_SH,    P_SW,      P_DH,
                                P_DW,    P_TOP,   P_LEFT, P_BOTTOM, P_RIGHT, P_PAD_NODE};
    for (size_t i = 0; i < KF_COUNT(FIRST); i++) fixed[FIRST[i]] = true;
}

net_row row_at(const covering *c, uint64_t seed, int index) {
    enum { POINTWISE_ONE_IN = 8 };
    bool fixed[PARAMETERS] = {[0] = false};
    net_row r = {0};
    if (index < c->n) return c->rows[index];
    if (index % POINTWISE_ONE_IN == 0) fix_pointwise(fixed);
    kf__random g = {seed * 1000003u + (uint64_t)index};
    for (int p = 0; p < 8; p++) kf__random_u64(&g);
    while (!complete(NULL, &g, &r, fixed)) {
    }
    return r;
}

int pairs_missing(const covering *c, const net_row *rows, const bool *in, int n, char *text, size_t size) {
    pairs *s = calloc(1, sizeof *s);
    int impossible, open;
    if (!s) abort();
    open = count_open(s, &impossible);
    for (int i = 0; i < n; i++)
        if (in[i]) mark_row(s, &rows[i], &open);
    text[0] = '\0';
    for (int a = 0; a < PARAMETERS && !text[0]; a++)
        for (int b = a + 1; b < PARAMETERS && !text[0]; b++)
            for (int va = 0; va < values_of(a) && !text[0]; va++)
                for (int vb = 0; vb < values_of(b) && !text[0]; vb++)
                    if (s->state[a][b][va][vb] == OPEN)
                        snprintf(text, size, "%s=%s with %s=%s", name_of_parameter(a), name_of_value(a, va),
                                 name_of_parameter(b), name_of_value(b, vb));
    (void)c;
    free(s);
    return open;
}
