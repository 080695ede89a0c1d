/* Readers of Parquet's encodings (Encodings.md), one number at a time: what tests hold the encoders against.
 * They trust nothing: bytes that are missing, or left over, fail the test. */
#ifndef ARROWPORT_TESTS_PARQUET_DECODE_H
#define ARROWPORT_TESTS_PARQUET_DECODE_H

#include <stdint.h>

/* What is left to be read. */
struct decode {
  const uint8_t *at, *end;
};

uint64_t decode_varint(struct decode *bytes);
int64_t decode_zigzag(struct decode *bytes);
/* RLE / bit-packing hybrid: `count` numbers. */
void decode_rle(struct decode *bytes, int bit_width, int64_t count, uint32_t *numbers);
/* DELTA_BINARY_PACKED, as many as it says, at most `most`. 32: sums wrap around in 32 bits. */
int64_t decode_delta(struct decode *bytes, int type_bits, int64_t most, int64_t *numbers);

#endif
