/* quantize --report and --data: the float and the quantized model side by side, on test pictures or on the calibration
 * ones. Owner rule: quantize_report_free releases everything; options are borrowed. */
#ifndef KITFOX_QUANTIZE_REPORT_H
#define KITFOX_QUANTIZE_REPORT_H

#include "common/compared.h"

typedef struct quantize_report {
    const char *path; /* --report, or NULL */
    const char *data; /* --data, or NULL: the calibration samples */
    const char *model;
    int threads;
    kf_model *m[2];
    pictures tests;
    int64_t *truth;
    kf_comparison w;
} quantize_report;

/** Before quantizing: can the page be written, which test pictures are there; compiles the float network of `g`, and
 * asks the quantizer for details. All three calls do nothing when neither option was given. */
kf_status quantize_report_begin(quantize_report *r, const char *model, kf_graph *g, kf_quantize_options *q,
                                kf_error *err);
/** After quantizing and before anything is written: both models over the pictures. */
kf_status quantize_report_measure(quantize_report *r, kf_graph *g, const pictures *calibration, kf_error *err);
/** The page; `out` is the quantized file, already written. */
kf_status quantize_report_write(const quantize_report *r, const kf_graph *g, const char *out, kf_error *err);
/** Its numbers on test pictures: "test" of the JSON object, or lines. */
void quantize_report_tell(const quantize_report *r, json_t *object);
void quantize_report_free(quantize_report *r);

#endif
