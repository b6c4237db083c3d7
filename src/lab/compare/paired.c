/* McNemar's exact test and Tango's score interval.
 * Owner rule: pure functions. */
#include "kitfox/lab.h"

#include <math.h>

enum { HALVINGS = 60 }; /* of an interval of length 2: below the last bit of a double */

double kf_mcnemar(size_t lost, size_t won) {
    size_t n = lost + won, few = lost < won ? lost : won;
    double sum = 0;
    for (size_t k = 0; k <= few; k++) /* by logarithms: 2^-n leaves the doubles at n = 1075 */
        sum += exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) - (double)n * log(2));
    return fmin(1, 2 * sum);
}

/* The score statistic of the hypothesis that the difference is d: falls with d. */
static double score(double lost, double won, double n, double d) {
    double a = 2 * n, b = -(lost + won) + (2 * n - (won - lost)) * d, c = -lost * d * (1 - d);
    double q = (sqrt(fmax(0, b * b - 4 * a * c)) - b) / (2 * a); /* chance of a lost picture, estimated under d */
    double variance = n * (2 * q + d * (1 - d));
    double gap = won - lost - n * d;
    if (variance > 0) return gap / sqrt(variance);
    if (gap > 0) return INFINITY;
    return gap < 0 ? -INFINITY : 0;
}

/* Where the statistic passes z; it is above z at `lo` and below at `hi`. */
static double root(double lost, double won, double n, double z, double lo, double hi) {
    for (int i = 0; i < HALVINGS; i++) {
        double mid = (lo + hi) / 2;
        if (score(lost, won, n, mid) > z) lo = mid;
        else hi = mid;
    }
    return (lo + hi) / 2;
}

void kf_paired_interval(size_t lost, size_t won, size_t n, double *lo, double *hi) {
    const double z = 1.959963984540054; /* 97.5 % of the normal distribution */
    double l = (double)lost, w = (double)won, m = (double)n, at = (w - l) / m;
    *lo = root(l, w, m, z, -1, at);
    *hi = root(l, w, m, -z, at, 1);
}
