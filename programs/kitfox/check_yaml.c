/* kitfox check CONFIG.yaml: every value with its type and place, then whether quantize would take it, then the range of
 * camera frames. Owner rule: nothing is written but standard output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/files.h"
#include "kitfox/quantize.h"

static json_t *value_json(const kf_rdk_entry *e) {
    switch (e->type) {
    case KF_ENTRY_NULL: return json_null();
    case KF_ENTRY_BOOL: return json_boolean(e->number != 0);
    case KF_ENTRY_INT:
        if (e->number > -9e18 && e->number < 9e18) return json_integer((json_int_t)e->number);
        return cli_real(e->number); /* past 64 bits */
    case KF_ENTRY_FLOAT: return cli_real(e->number);
    case KF_ENTRY_LIST: return json_array();
    case KF_ENTRY_MAPPING: return json_object();
    default: return cli_text(e->text);
    }
}

static void print_entry(const kf_rdk_entry *e, bool json) {
    if (!json) {
        printf("%4d:%-4d ", e->line, e->column);
        for (int32_t i = 0; i < e->depth; i++) printf("%s%s", i ? "." : "", e->path[i]);
        printf(" = %s (%s)\n", e->text, kf_entry_type_name(e->type));
        return;
    }
    json_t *path = json_array();
    for (int32_t i = 0; i < e->depth; i++) json_array_append_new(path, cli_text(e->path[i]));
    /* numbers with all their digits, unlike measurements */
    cli_print_json_exactly(cli_pack("{s:s,s:o,s:o,s:s,s:i,s:i}", "kind", "entry", "path", path, "value", value_json(e),
                                    "type", kf_entry_type_name(e->type), "line", e->line, "column", e->column));
}

static kf_status check_frames(const char *path, const kf_rdk_config *c, const cli_common *common, const kf_tensor *in,
                              const yaml_frames *f, kf_error *err) {
    bool first = in->rank == 4 && in->shape[1] == 3, own = !f->width && in->rank == 4;
    const int row = first ? 2 : 1;
    int32_t w = own ? (int32_t)in->shape[row + 1] : (int32_t)f->width;
    int32_t h = own ? (int32_t)in->shape[row] : (int32_t)f->height;
    kf_rdk_luma l = {.size = sizeof l};
    KF_TRY(kf_rdk_check_frames(c, (const char *const *)f->paths, f->n, w, h, &l, err));
    const char *range = c->limited ? "limited" : "full";
    if (common->json)
        cli_print_json(cli_pack("{s:s,s:I,s:i,s:i,s:s,s:b}", "kind", "luma", "frames", (json_int_t)l.frames, "luma_min",
                                l.lo, "luma_max", l.hi, "range", range, "agrees", l.complaint == NULL));
    if (l.complaint)
        fprintf(stderr, "kitfox: note: %s: the luma of %zu frames lies in %d..%d, %s\n",
                kf_rdk_place(c, "input_space_and_range"), l.frames, l.lo, l.hi, l.complaint);
    else if (!common->json)
        printf("%s: the luma of %zu frames lies in %d..%d, as %s range has it\n", path, l.frames, l.lo, l.hi, range);
    return KF_OK;
}

static kf_status check_model(const kf_rdk_config *c, const cli_common *common, kf_tensor *in, size_t *samples,
                             kf_error *err) {
    kf_rdk_options o;
    cli_importing i;
    KF_TRY(cli_import_options(common, &i, err));
    if (!i.options.batch) i.options.batch = 1; /* as quantize has it */
    kf_rdk_options_init(&o);
    o.import = &i.options, o.limit = 0, o.notice = cli_note;
    kf_status st = kf_rdk_check(c, &o, in, samples, err);
    kf_labels_free(&i.labels);
    return st;
}

kf_status check_yaml(const char *path, const cli_common *common, const yaml_frames *frames, kf_error *err) {
    kf_rdk_config *c = NULL;
    kf_rdk_entry e = {.size = sizeof e};
    kf_tensor in = {0};
    kf_error end;
    size_t samples = 0;
    KF_TRY(kf_rdk_load(path, cli_note, NULL, &c, err));
    for (int32_t i = 0; kf_rdk_get(c, i, &e, &end) == KF_OK; i++) print_entry(&e, common->json);
    kf_status st = check_model(c, common, &in, &samples, err);
    if (st == KF_OK && common->json)
        cli_print_json(cli_pack("{s:s,s:s,s:b,s:s,s:I}", "kind", "verdict", "config", path, "fits", true, "model",
                                c->model, "samples", (json_int_t)samples));
    else if (st == KF_OK) printf("%s: model, node names and %zu calibration samples are fine\n", path, samples);
    if (st == KF_OK && frames->n) st = check_frames(path, c, common, &in, frames, err);
    kf_rdk_free(&c);
    return st;
}
