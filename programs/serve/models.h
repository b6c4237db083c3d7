/* The models of a server, by name: loaded, swapped while requests run, released by the last one that uses them.
 * Owner rule: sv_models_take gives a reference, sv_model_drop takes it back; the table belongs to the service.
 * Thread rule: every function may be called from any thread; create, add and folder come before the others. A session
 * belongs to the worker of its index. */
#ifndef KITFOX_SERVE_MODELS_H
#define KITFOX_SERVE_MODELS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "kitfox/lab.h"

enum { SV_MAX_MODELS = 64, SV_MAX_TENSORS = 16, SV_MAX_NAME = 127, SV_MAX_REASON = 255 };

/** Every model has the one version that clients of the protocol expect where there are none: a swap does not change the
 * URLs. */
#define SV_VERSION "1"

/** A model in memory. It does not change. */
typedef struct sv_model {
    char name[SV_MAX_NAME + 1];
    char *path;
    kf_model *model;
    kf_session **sessions; /* [n_sessions], one for each worker, of one thread */
    int n_sessions;
    kf_model_info info;
    kf_tensor inputs[SV_MAX_TENSORS], outputs[SV_MAX_TENSORS];
    int64_t classes;  /* elements of output 0 of one image */
    int loads;        /* 1, and one more for each swap */
    atomic_int users; /* 0: the last one frees it */
} sv_model;

/** What the table says of a model. */
typedef struct sv_state {
    char name[SV_MAX_NAME + 1];
    int loads;                      /* as in sv_model; 0: it is not loaded */
    bool unloaded;                  /* somebody wanted it so */
    char reason[SV_MAX_REASON + 1]; /* why not; no folder of this machine is in it */
} sv_state;

/** Makes a kf_model of a file: the program loads .kfx files and imports others. */
typedef kf_status (*sv_load_fn)(void *user, const char *path, kf_model **out, kf_error *err);

typedef struct sv_models sv_models;
/** `workers` sessions are made for each model. */
kf_status sv_models_create(int workers, sv_load_fn load, void *user, sv_models **out, kf_error *err);
void sv_models_destroy(sv_models **models);
/** Name a file; the model is called as its stem. It is not loaded. ARGUMENT: the name is taken, or not one that a path
 * of a URL can have; LIMIT. */
kf_status sv_models_add(sv_models *models, const char *path, kf_error *err);
/** Name the .kfx, .onnx and .safetensors files of a folder, now and at each sv_models_scan; `folder` has to live as
 * long as the table. Errors: IO; those of sv_models_add. */
kf_status sv_models_folder(sv_models *models, const char *folder, kf_error *err);
/** Name what is new in the folder; what cannot be named is passed over. */
void sv_models_scan(sv_models *models);
/** Load, or load anew: requests that run keep the old model; when this fails nothing has changed. ARGUMENT: no such
 * name. */
kf_status sv_models_load(sv_models *models, const char *name, kf_error *err);
/** Take it out of service. ARGUMENT: no such name. */
kf_status sv_models_unload(sv_models *models, const char *name, kf_error *err);
/** A reference, or NULL: no such model, or it is not loaded. `known` (may be NULL) tells the two apart. */
sv_model *sv_models_take(sv_models *models, const char *name, bool *known);
void sv_model_drop(sv_model *model);
/** State of model `index`; false past the last. */
bool sv_models_at(sv_models *models, int index, sv_state *out);
/** Is one loaded? Those that somebody unloaded do not count. */
bool sv_models_ready(sv_models *models);

#endif
