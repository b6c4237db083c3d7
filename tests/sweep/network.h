/* A row of the sweep as the bytes of an ONNX file, with made-up weights.
 * Protobuf by hand: what is read back by the importer shares no code with what wrote it.
 * Owner rule: the caller frees the bytes. */
#ifndef SWEEP_NETWORK_H
#define SWEEP_NETWORK_H

#include "geometry.h"

/** ONNX bytes of the network of `r`; weights from `seed`. Release with free. Ends the program when out of memory. */
void *network_bytes(const net_row *r, uint64_t seed, size_t *bytes);

#endif
