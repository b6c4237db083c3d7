/* The workbench library (libkitfoxlab): data sets, evaluation, comparison, the RDK zoo's YAML, reports.
 * What the verbs of `kitfox` do, for C programs, servers and other languages. Nothing here prints or knows a terminal.
 * Owner rule: each declaration says who frees what. */
#ifndef KITFOX_LAB_H
#define KITFOX_LAB_H

#include "kitfox/compile.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Exact two-sided p of McNemar's test: the chance that `lost` and `won` flips (right to wrong, wrong to right) are
 *  this uneven or more if both were equally likely, 2 * P(X <= min(lost, won)) with X ~ Binomial(lost + won, 1/2), at
 *  most 1. 1 without flips. In [0, 1]. McNemar, Psychometrika 12 (1947) 153; the exact form as in Fagerland, Lydersen
 *  and Laake, BMC Med. Res. Methodol. 13 (2013) 91. Thread safe. */
KF_API double kf_mcnemar(size_t lost, size_t won);
/** 95 % score interval of (won - lost) / n, the difference of two paired proportions, in [-1, 1]. n > 0 and lost + won
 *  <= n. Tango, Stat. Med. 17 (1998) 891, eq. (7) and (8): the differences that a score test at 5 % does not reject.
 *  Unlike Wald's it keeps its level with few flips and has a width without any. Thread safe. */
KF_API void kf_paired_interval(size_t lost, size_t won, size_t n, double *lo, double *hi);

#ifdef __cplusplus
}
#endif
#endif
