/* The kernels' part of the bit contract (tests/e2e/hashes.h), with the runtime alone: for builds without the toolchain,
 * and for emulators. Links libkitfox and libkitfoximg. Owner rule: nothing is kept. */
#include "../e2e/hashes.h"

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kernels_give_the_hashes)};
    return cmocka_run_group_tests(tests, load_inputs, NULL);
}
