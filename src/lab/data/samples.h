/* What the readers of calibration data share.
 * Owner rule: a kf_samples is the caller's. */
#ifndef KITFOX_LAB_SAMPLES_H
#define KITFOX_LAB_SAMPLES_H

#include <stdbool.h>

#include "kitfox/lab.h"

/** One more path, folder/name. False when out of memory. */
/** A status that says something of one file, not of the machine or the call. */
bool kf__samples_broken(kf_status st);
bool kf__samples_add(kf_samples *p, const char *folder, const char *name);
/** Keep `limit` > 0 of the paths, spread evenly. */
void kf__samples_keep(kf_samples *p, size_t limit);

#endif
