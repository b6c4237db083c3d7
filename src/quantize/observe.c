/* Histograms and the choice of a range: minimum squared error, maximum, percentile, KL divergence. The squared error
 * inside the range is that of a uniform rounding, s^2 / 12 per value; outside it is the distance to the clip.
 * Owner rule: see observe.h. */
#include "quantize/observe.h"

#include <math.h>

void kf__histogram_add(kf__histogram *h, float x) {
    if (x == 0) {
        h->zeros++;
        return;
    }
    float t = (x - h->lo) * ((float)KF_HISTOGRAM_BINS / (h->hi - h->lo));
    h->bins[kf__whole((double)t, 0, KF_HISTOGRAM_BINS - 1, 0)]++; /* 0 * inf where the range is tiny */
}

static double centre(const kf__histogram *h, int i) {
    return (double)h->lo + ((double)i + 0.5) * ((double)h->hi - (double)h->lo) / KF_HISTOGRAM_BINS;
}

/* Prefix sums of count, x and x^2, so that a candidate costs O(1). */
typedef struct sums {
    double n[KF_HISTOGRAM_BINS + 1], x[KF_HISTOGRAM_BINS + 1], xx[KF_HISTOGRAM_BINS + 1];
} sums;

static void accumulate(const kf__histogram *h, sums *s) {
    s->n[0] = s->x[0] = s->xx[0] = 0;
    for (int i = 0; i < KF_HISTOGRAM_BINS; i++) {
        double c = centre(h, i), n = h->bins[i];
        s->n[i + 1] = s->n[i] + n;
        s->x[i + 1] = s->x[i] + n * c;
        s->xx[i + 1] = s->xx[i] + n * c * c;
    }
}

static double clipped(const sums *s, int from, int to, double at) {
    return (s->xx[to] - s->xx[from]) - 2 * at * (s->x[to] - s->x[from]) + at * at * (s->n[to] - s->n[from]);
}

static int bin_of(const kf__histogram *h, double x) {
    double t = (x - (double)h->lo) / ((double)h->hi - (double)h->lo) * KF_HISTOGRAM_BINS;
    return (int)kf__whole(t, 0, KF_HISTOGRAM_BINS, 0);
}

static double squared_error(const kf__histogram *h, const sums *s, double lo, double hi, int levels) {
    int a = bin_of(h, lo), b = bin_of(h, hi);
    double step = (hi - lo) / levels;
    return clipped(s, 0, a, lo) + clipped(s, b, KF_HISTOGRAM_BINS, hi) + (s->n[b] - s->n[a]) * step * step / 12;
}

/* Alternate between both ends, 100 candidates each: shrinking one end at a time is enough for these one-hump
 * histograms. */
static void by_mse(const kf__histogram *h, int levels, float *lo, float *hi) {
    sums s;
    accumulate(h, &s);
    double best_lo = fmin(0, (double)h->lo), best_hi = fmax(0, (double)h->hi), full_lo = best_lo, full_hi = best_hi;
    double best = squared_error(h, &s, best_lo, best_hi, levels);
    for (int round = 0; round < 6; round++)
        for (int i = 1; i <= 100; i++) {
            double a = round & 1 ? full_lo * i / 100 : best_lo;
            double b = round & 1 ? best_hi : full_hi * i / 100;
            double e = b - a > 0 ? squared_error(h, &s, a, b, levels) : best;
            if (e < best) best = e, best_lo = a, best_hi = b;
        }
    *lo = (float)best_lo, *hi = (float)best_hi;
}

static void by_percentile(const kf__histogram *h, double percentile, float *lo, float *hi) {
    double total = (double)h->zeros, cut, seen = 0;
    for (int i = 0; i < KF_HISTOGRAM_BINS; i++) total += h->bins[i];
    cut = total * (1 - percentile / 100) / 2;
    int a = 0, b = KF_HISTOGRAM_BINS - 1;
    while (a < KF_HISTOGRAM_BINS - 1 && (seen += h->bins[a]) <= cut) a++;
    for (seen = 0; b > 0 && (seen += h->bins[b]) <= cut;) b--;
    *lo = (float)fmin(0, centre(h, a)), *hi = (float)fmax(0, centre(h, b));
}

/* Divergence of the histogram from itself clipped to bins [0, to) and spread over `levels` steps. */
static double divergence(const kf__histogram *h, int to, int levels) {
    double total = 0, tail = 0, kl = 0, per = (double)to / levels;
    for (int i = 0; i < KF_HISTOGRAM_BINS; i++) total += h->bins[i];
    for (int i = to; i < KF_HISTOGRAM_BINS; i++) tail += h->bins[i];
    for (int l = 0; l < levels; l++) {
        int from = (int)kf__whole(l * per, 0, to, 0), end = (int)kf__whole((l + 1) * per, 0, to, to);
        if (l == levels - 1) end = to;
        double sum = 0;
        int used = 0;
        for (int i = from; i < end; i++) sum += h->bins[i], used += h->bins[i] > 0;
        for (int i = from; i < end; i++) {
            double p = (h->bins[i] + (i == to - 1 ? tail : 0)) / total;
            double q = used ? sum / used / total : 0;
            if (p > 0) kl += p * log(p / fmax(q, 1e-12));
        }
    }
    return kl;
}

static void by_kl(const kf__histogram *h, int levels, float *lo, float *hi) {
    double best = INFINITY;
    int at = KF_HISTOGRAM_BINS;
    for (int to = levels + 1; to <= KF_HISTOGRAM_BINS; to += 8) {
        double kl = divergence(h, to, levels);
        if (kl < best) best = kl, at = to;
    }
    *lo = fminf(0, h->lo);
    *hi = (float)fmax(0, (double)h->lo + ((double)h->hi - (double)h->lo) * at / KF_HISTOGRAM_BINS);
}

void kf__range_choose(const kf__histogram *h, kf_range_method how, double percentile, int levels, float *lo,
                      float *hi) {
    *lo = fminf(0, h->lo);
    *hi = fmaxf(0, h->hi);
    if (!(h->hi > h->lo)) return;
    if (how == KF_RANGE_MSE) by_mse(h, levels, lo, hi);
    else if (how == KF_RANGE_PERCENTILE) by_percentile(h, percentile, lo, hi);
    else if (how == KF_RANGE_KL) by_kl(h, levels, lo, hi);
}

void kf__range_to_u8(float lo, float hi, float tiny, float *scale, int32_t *zero) {
    double s = ((double)hi - (double)lo) / 255;
    *scale = (float)s > tiny ? (float)s : tiny;
    *zero = (int32_t)kf__whole(rint(-(double)lo / (double)*scale), 0, 255, 0);
}
