/* Readers of Parquet's encodings (Encodings.md), one number at a time: what tests hold the encoders against.
 * They trust nothing: bytes that are missing, or left over, fail the test. */
#ifndef ARROWPORT_TESTS_PARQUET_DECODE_H
#define ARROWPORT_TESTS_PARQUET_DECODE_H

#include <stdint.h>

#include "parquet/format.h"
#include "parquet/values.h"

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
/* `count` strings, as PLAIN, DELTA_LENGTH_BYTE_ARRAY or DELTA_BYTE_ARRAY have BYTE_ARRAY; all that there is.
 * Their bytes are put into `memory`, one behind the other. */
void decode_strings(struct decode *bytes, enum parquet_encoding encoding, int64_t count,
                    struct parquet_bytes *strings, uint8_t *memory);

#endif
