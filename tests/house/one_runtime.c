/* Is there one runtime in this process? For tests/house/test_install.py, which links it with the libraries in every
 * order. Arguments: a model file, a picture. Prints how many files of the runtime are loaded. Owner rule: what is made
 * is destroyed. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_TOOLCHAIN
#include "kitfox/lab.h"
#endif
#include "kitfox/kitfox.h"

static int bad;

static void check(const char *what, int ok) {
    if (!ok) printf("FAIL %s\n", what), bad = 1;
}

/* What the compiler took, what the linker of this program took, and what any library gets are the same function. */
static void same_address(const char *name, void *mine) {
    void *found = dlsym(RTLD_DEFAULT, name);
    check(name, !found || found == mine); /* a static program exports nothing */
}

static void steps_are_scalar(const char *which, const kf_model *m) {
    kf_step_info s = {.size = sizeof s};
    kf_model_info info = {.size = sizeof info};
    int vector = 0;
    kf_model_get_info(m, &info, NULL);
    for (int i = 0; i < info.n_steps && kf_model_step(m, i, &s, NULL) == KF_OK; i++)
        vector += strstr(s.kernel, "avx") != NULL || strstr(s.kernel, "sse") != NULL || strstr(s.kernel, "amx") != NULL;
    check(which, info.n_steps > 0 && vector == 0);
}

static int runtimes(void) {
    char line[4096];
    int n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f))
        n += strstr(line, " r-xp ") && (strstr(line, "/libkitfox.so") || strstr(line, "/libkitfoxc.so"));
    if (f) fclose(f);
    return n;
}

int main(int argc, char **argv) {
    kf_error err = {KF_OK, ""};
    kf_model *m = NULL;
    kf_image image = {0, 0, 0, NULL};
    if (argc != 3) return 2;
    check("limit", kf_cpu_limit("scalar", &err) == KF_OK && strcmp(kf_cpu_name(), "scalar") == 0);
    same_address("kf_cpu_limit", (void *)kf_cpu_limit);
    same_address("kf_image_create", (void *)kf_image_create);
    check("load", kf_model_load(argv[1], NULL, &m, &err) == KF_OK);
    if (m) steps_are_scalar("kernels of a loaded model", m);
    kf_model_destroy(&m);
    check("picture", kf_image_load(argv[2], NULL, &image, &err) == KF_OK && image.width > 0);
    kf_image_free(&image);
#ifdef WITH_TOOLCHAIN
    kf_graph *g = NULL;
    check("import", kf_graph_import(argv[1], NULL, &g, &err) == KF_OK);
    check("compile", kf_graph_compile(g, NULL, &m, &err) == KF_OK);
    if (m) steps_are_scalar("kernels of a compiled model", m);
    kf_model_destroy(&m);
    kf_graph_destroy(&g);
    check("workbench", kf_mcnemar(3, 3) == 1.0);
#endif
    if (bad) printf("%s\n", err.text);
    printf("%d\n", runtimes());
    return bad;
}
