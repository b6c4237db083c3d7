/* Statistics of two classifiers on the same labelled pictures: is their difference more than chance?
 * Owner rule: pure functions. */
#ifndef KITFOX_PAIRED_H
#define KITFOX_PAIRED_H

#include <stddef.h>

/** Exact two-sided p of McNemar's test: the chance that `lost` and `won` flips (right to wrong, wrong to right) are
 * this uneven or more if both were equally likely, 2 * P(X <= min(lost, won)) with X ~ Binomial(lost + won, 1/2), at
 * most 1. 1 without flips. In [0, 1]. McNemar, Psychometrika 12 (1947) 153; the exact form as in Fagerland, Lydersen
 * and Laake, BMC Med. Res. Methodol. 13 (2013) 91. Thread safe. */
double cli_mcnemar(size_t lost, size_t won);

/** 95 % score interval of (won - lost) / n, the difference of two paired proportions, in [-1, 1]. n > 0 and lost + won
 * <= n. Tango, Stat. Med. 17 (1998) 891, eq. (7) and (8): the differences that a score test at 5 % does not reject.
 * Unlike Wald's it keeps its level with few flips and has a width without any. Thread safe. */
void cli_paired_interval(size_t lost, size_t won, size_t n, double *lo, double *hi);

#endif
