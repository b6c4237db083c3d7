/* Releases the model file: constants that were packed are dropped, those that are still read are copied.
 * Owner rule: afterwards the program's arena owns every constant that there is. */
#include "os/file.h"
#include "runtime/model.h"

/* Scales and zero points of tensors are read while the model runs, and two steps may share their weights. */
void kf__release_begin(const struct kf_model *m) {
    const kf__program *p = m->p;
    for (int32_t i = 0; i < p->n_consts; i++) p->consts[i].readers = 0;
    for (int32_t i = 0; i < p->n_steps; i++)
        for (int role = 0; role < KF_CONST_ROLES; role++)
            if (p->steps[i].consts[role] >= 0) p->consts[p->steps[i].consts[role]].readers++;
    for (int32_t i = 0; i < p->n_tensors; i++) {
        if (p->tensors[i].scales >= 0) p->consts[p->tensors[i].scales].readers++;
        if (p->tensors[i].zeros >= 0) p->consts[p->tensors[i].zeros].readers++;
    }
}

void kf__release_step(const struct kf_model *m, int32_t index) {
    const kf__program *p = m->p;
    for (int role = 0; role < KF_CONST_ROLES; role++) {
        int32_t c = p->steps[index].consts[role];
        if (c < 0 || !(m->steps[index].replaces & 1u << role) || --p->consts[c].readers) continue;
        if (p->drops && p->consts[c].borrowed) kf__file_drop(p->consts[c].data, p->consts[c].bytes);
    }
}

/* A constant stays wanted if a step reads it unpacked, or if it holds scales or zero points of a tensor. */
kf_status kf__release_file(struct kf_model *m, kf_error *err) {
    kf__program *p = m->p;
    bool *wanted = kf__mem_zalloc(NULL, (size_t)p->n_consts + 1);
    if (!wanted) KF_FAIL_MEMORY(err, p->n_consts);
    for (int32_t i = 0; i < p->n_steps; i++)
        for (int role = 0; role < KF_CONST_ROLES; role++)
            if (p->steps[i].consts[role] >= 0 && !(m->steps[i].replaces & 1u << role))
                wanted[p->steps[i].consts[role]] = true;
    for (int32_t i = 0; i < p->n_tensors; i++) {
        if (p->tensors[i].scales >= 0) wanted[p->tensors[i].scales] = true;
        if (p->tensors[i].zeros >= 0) wanted[p->tensors[i].zeros] = true;
    }
    kf_status st = KF_OK;
    for (int32_t i = 0; st == KF_OK && i < p->n_consts; i++) {
        kf__pconst *c = &p->consts[i];
        if (!c->borrowed) continue;
        c->data = wanted[i] ? kf__arena_copy(&p->arena, c->data, c->bytes) : NULL;
        c->borrowed = false;
        if (wanted[i] && !c->data) st = kf_error_set(err, KF_ERR_MEMORY, "out of memory: %zu bytes", c->bytes);
    }
    kf__mem_free(NULL, wanted);
    return st;
}
