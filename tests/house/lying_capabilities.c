/* Loaded before the C library by tools/emulate.sh: a machine that promises every capability. KitFox has to ask further.
 * Owner rule: nothing is kept. */
#include <sys/auxv.h>

unsigned long getauxval(unsigned long type) { return type == AT_HWCAP || type == AT_HWCAP2 ? ~0ul : 0; }
