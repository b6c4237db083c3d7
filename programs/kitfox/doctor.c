/* Would other preprocessing serve these pictures better? The measure needs no labels.
 * A network that is fed as it was trained is sure of each picture, and of different pictures it says different things:
 * the mutual information of picture and class, the entropy of the mean answer less the mean entropy of the answers, is
 * largest. Sureness alone does not tell: far too large inputs give sure nonsense, but nearly always the same class.
 * Owner rule: see doctor.h. */
#include "kitfox/doctor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The thresholds, in nats, are from calibration photos: every fifth photo of 500 (TensorFlow's minimalistic network and
 * mobilenetv3_large_100) and every twentieth of 2000 small ones (everyday10). In 400 drawings of 20 for each network,
 * prepared as it was trained, no other way came out more than 0.079 better (0.189 with 10). Prepared wrongly, more than
 * 0.1 were found in 81 to 100 % with swapped channels, in 93 to 100 % where the numbers are not of the right size, and
 * in 27 to 93 % where ImageNet's mean and std take the place of 0.5 or the other way round. */
enum { MOST = 20, FEWEST = 10, N_WAYS = 5 };
static const double CLEARLY = 0.1, CLEARLY_OF_FEW = 0.2;

typedef struct way {
    kf_preprocess p;
    const char *is, *say; /* for people, and options */
} way;

typedef struct look {
    const kf_samples *samples;
    kf_session *s;
    kf_tensor in, out;
    kf_scores_kind kind;
    double *mean; /* [classes] */
    size_t n, classes;
} look;

static bool same_numbers(const kf_preprocess *a, const kf_preprocess *b) {
    double far = 0;
    for (int c = 0; c < 3; c++) far = fmax(far, fmax(fabs(a->mean[c] - b->mean[c]), fabs(a->std[c] - b->std[c])));
    return far < 0.01;
}

/* The other usual ways. Channels are swapped with the model's own numbers only. */
static int other_ways(const kf_preprocess *own, way w[N_WAYS]) {
    static const double MEANS[] = {0.5, 0, 0}, STDS[] = {0.5, 1, 1 / 255.0};
    static const char *const IS[] = {"mean 0.5 and std 0.5", "pixels of 0..1 (mean 0, std 1)", "pixels of 0..255"};
    static const char *const SAY[] = {"--mean 0.5 --std 0.5", "--mean 0 --std 1", "--mean 0 --std 0.00392157"};
    int n = 0;
    kf_preprocess p = *own, usual;
    kf_preprocess_init(&usual);
    p.color = own->color == KF_COLOR_BGR ? KF_COLOR_RGB : KF_COLOR_BGR;
    if (p.color == KF_COLOR_BGR) w[n++] = (way){p, "channels in the order B, G, R", "--color bgr"};
    else w[n++] = (way){p, "channels in the order R, G, B", "--color rgb"};
    for (int i = -1; i < 3; i++) {
        p = *own;
        for (int c = 0; c < 3; c++) {
            p.mean[c] = i < 0 ? usual.mean[c] : MEANS[i];
            p.std[c] = i < 0 ? usual.std[c] : STDS[i];
        }
        if (same_numbers(&p, own)) continue;
        if (i < 0) w[n++] = (way){p, "ImageNet's mean and std", "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"};
        else w[n++] = (way){p, IS[i], SAY[i]};
    }
    return n;
}

static void fill(const look *l, const kf_preprocess *p, const uint8_t *rgb) {
    size_t plane = (size_t)(l->in.shape[2] * l->in.shape[3]);
    float *to = l->in.data;
    for (size_t c = 0; c < 3; c++) {
        size_t from = p->color == KF_COLOR_BGR ? 2 - c : c;
        float value[256];
        for (int v = 0; v < 256; v++) value[v] = (float)kf_preprocess_normalize(p, (int32_t)c, v);
        for (size_t i = 0; i < plane; i++) to[c * plane + i] = value[rgb[3 * i + from]];
    }
}

static double entropy(double p) { return p > 0 ? -p * log(p) : 0; }

/* NAN: it cannot be measured. */
static double measure(const look *l, const kf_preprocess *p) {
    double each = 0, together = 0;
    kf_score best;
    size_t found;
    memset(l->mean, 0, l->classes * sizeof *l->mean);
    for (size_t i = 0; i < l->n; i++) {
        float *scores = l->out.data;
        fill(l, p, l->samples->tensors[i * l->samples->n / l->n].data);
        kf_tensor out = l->out;
        if (kf_session_run(l->s, &l->in, 1, &out, 1, NULL) != KF_OK) return NAN;
        if (kf_scores_rank(l->kind, scores, l->classes, 1, &best, &found, NULL) != KF_OK) return NAN;
        for (size_t k = 0; k < l->classes; k++) {
            each += entropy(scores[k]) / (double)l->n;
            l->mean[k] += scores[k] / (double)l->n;
        }
    }
    for (size_t k = 0; k < l->classes; k++) together += entropy(l->mean[k]);
    return together - each;
}

/* Memory and a session; `false`: this model, or these samples, are not to be judged. */
static bool begin(look *l, const kf_model *m, const kf_model_info *info, int threads) {
    kf_session_options o;
    if (kf_model_input(m, 0, &l->in, NULL) != KF_OK || kf_model_output(m, kf_model_ranked(m), &l->out, NULL) != KF_OK)
        return false;
    bool sums = info->scores <= KF_SCORES_PROBABILITIES || info->scores == KF_SCORES_LOG; /* unknown: logits */
    bool picture = info->preprocess.valid && info->preprocess.color != KF_COLOR_GRAY && l->in.rank == 4;
    if (!sums || !picture || info->quantized || info->n_inputs != 1 || info->n_outputs != 1) return false;
    if (l->in.shape[0] != 1 || l->in.shape[1] != 3 || l->out.rank != 2 || l->out.dtype != KF_F32) return false;
    const kf_tensor *t = l->samples->tensors;
    if (l->samples->n < FEWEST || !t || t[0].dtype != KF_U8 || l->in.bytes != t[0].bytes * sizeof(float)) return false;
    l->classes = (size_t)l->out.shape[1], l->kind = info->scores;
    l->n = l->samples->n < MOST ? l->samples->n : MOST;
    if (l->classes < 2) return false;
    kf_session_options_init(&o);
    o.threads = threads;
    l->in.data = malloc(l->in.bytes), l->out.data = malloc(l->out.bytes), l->mean = calloc(l->classes, sizeof(double));
    return l->in.data && l->out.data && l->mean && kf_session_create(m, &o, &l->s, NULL) == KF_OK;
}

static void tell(const char *name, const look *l, const way *w, double best, double own) {
    char text[1024];
    snprintf(
        text, sizeof text,
        "%.400s: tells %zu of these pictures apart better with %s (%.2f against %.2f nats); was it trained so? then "
        "say %s; --no-doctor leaves this check out",
        name, l->n, w->is, best, own, w->say);
    cli_note(NULL, text);
}

void doctor_look(const char *name, const kf_model *m, const kf_samples *samples, int threads) {
    look l = {.samples = samples};
    kf_model_info info = {.size = sizeof info};
    way w[N_WAYS];
    if (kf_model_get_info(m, &info, NULL) == KF_OK && begin(&l, m, &info, threads)) {
        double own = measure(&l, &info.preprocess), best = own;
        int n = other_ways(&info.preprocess, w), which = -1;
        for (int i = 0; i < n; i++) {
            double x = measure(&l, &w[i].p);
            if (x > best) best = x, which = i;
        }
        if (which >= 0 && best - own > (l.n < MOST ? CLEARLY_OF_FEW : CLEARLY)) tell(name, &l, &w[which], best, own);
    }
    kf_session_destroy(&l.s);
    free(l.in.data), free(l.out.data), free(l.mean);
}

void doctor_look_graph(const char *name, kf_graph *g, const cli_common *c, const kf_samples *samples) {
    kf_model_options o;
    kf_model *m;
    if (c->no_doctor || samples->n < FEWEST) return;
    cli_model_options(c, &o);
    if (kf_graph_compile(g, &o, &m, NULL) != KF_OK) return;
    doctor_look(name, m, samples, c->threads);
    kf_model_destroy(&m);
}

void doctor_look_dataset(const char *name, const kf_model *m, const kf_dataset *d, int threads) {
    kf_samples s = {0};
    kf_dataset_item it;
    kf_model_info info = {.size = sizeof info};
    size_t count = kf_dataset_count(d), n = count < MOST ? count : MOST;
    if (n < FEWEST || kf_model_get_info(m, &info, NULL) != KF_OK || info.quantized) return;
    if (!(s.paths = calloc(n, sizeof *s.paths))) return;
    for (; s.n < n; s.n++) {
        if (kf_dataset_get(d, s.n * count / n, &it, NULL) != KF_OK || !(s.paths[s.n] = strdup(it.path))) break;
    }
    if (s.n == n && kf_samples_load(&s, &info.preprocess, NULL, NULL, NULL) == KF_OK) doctor_look(name, m, &s, threads);
    kf_samples_free(&s);
}
