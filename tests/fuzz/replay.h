/* main() of a replay program: every file of the corpus, and mutations of each, through the fuzz target.
 * Included at the end of a target when KF_REPLAY is defined.
 * Owner rule: each input is its own heap block, so that a sanitizer sees reads past its end. */
#include <string.h>

static void replay(const uint8_t *data, size_t n) {
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact) return;
    if (n) memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

int main(int argc, char **argv) {
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            fprintf(stderr, "%s is missing\n", argv[i]);
            return 1;
        }
        uint8_t *data = malloc(1 << 20);
        size_t n = data ? fread(data, 1, 1 << 20, f) : 0;
        fclose(f);
        if (!data) return 1;
        replay(data, n);
        for (int k = 0; k < 200 && n > 0; k++) { /* deterministic damage: a cut, or a few changed bytes */
            state = state * 6364136223846793005u + 1442695040888963407u;
            size_t at = (size_t)(state >> 20) % n;
            if (k % 4 == 0) {
                replay(data, at);
                continue;
            }
            uint8_t before = data[at];
            data[at] = (uint8_t)(state >> 12);
            replay(data, n);
            if (k % 3) data[at] = before;
        }
        free(data);
    }
    printf("%d files replayed with 200 mutations each\n", argc - 1);
    return 0;
}
