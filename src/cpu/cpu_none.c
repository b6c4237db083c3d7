/* Processors without instruction sets of their own in levels.def: they run the scalar kernels.
 * Owner rule: nothing is kept. */
#include "cpu/cpu.h"

uint32_t kf__cpu_detect(uint32_t asked) { return 0; }
