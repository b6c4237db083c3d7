/* Golden vectors of the model files given, on the kernels that the machine or KITFOX_CPU chooses: 0 if every step of
 * each gives the bytes of the file. For a C library with which neither cmocka nor the codecs are built. Owner rule:
 * each model is freed before the next. */
#include <stdio.h>

#include <kitfox/kitfox.h>

static int verified(const char *path) {
    kf_model *m = NULL;
    kf_error err = {0};
    kf_verify_report report = {.size = sizeof report};
    kf_status status = kf_model_load(path, NULL, &m, &err);
    if (status == KF_OK) status = kf_model_verify(m, 1, &report, &err);
    kf_model_destroy(&m);
    if (status != KF_OK) return printf("%s: %s\n", path, err.text), 0;
    printf("%s: %d of %d steps byte for byte on %s\n", path, report.exact, report.steps, kf_cpu_name());
    return report.first < 0 && report.exact == report.steps;
}

int main(int argc, char **argv) {
    int good = argc > 1;
    for (int i = 1; i < argc; i++) good &= verified(argv[i]);
    return !good;
}
