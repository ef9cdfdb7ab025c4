/* What a fuzz target defines: one run over one input, returning 0. A property that does not hold is a BUG(). The input
 * lies in memory of exactly its size, so that AddressSanitizer sees one byte too far. */
#ifndef SLUICE_TESTS_FUZZ_H
#define SLUICE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
