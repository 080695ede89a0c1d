/* The encodings of Parquet (Encodings.md), as functions that cannot fail: the caller makes room, they
 * write and return the end. Values are dense: no nulls. Inside the room only. */
#ifndef ARROWPORT_PARQUET_ENCODE_H
#define ARROWPORT_PARQUET_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "parquet/format.h"
#include "parquet/names.h"
#include "parquet/values.h"

/* Each `..._room` is what the function of that name may write at most; functions may write up to
 * ENCODE_SLACK_BYTES past their end while they work: callers reserve that too, once. */
enum { ENCODE_SLACK_BYTES = 64 };

/* Bits that the numbers 0 to `largest` take: 0 for 0. */
int encode_bit_width(uint64_t largest);

/* RLE / bit-packing hybrid without a length in front. Width 0 writes one run of zeros. Equal
 * numbers that take 5 bytes packed (8 of them at least) become RLE runs, the rest is packed in groups of 8.
 * A run is at most 2^31 - 1 numbers. */
int64_t encode_rle_room(int64_t count, int bit_width);
uint8_t *encode_rle_8(const uint8_t *numbers, int64_t count, int bit_width, uint8_t *out);
uint8_t *encode_rle_32(const uint32_t *numbers, int64_t count, int bit_width, uint8_t *out);
/* `count` times the same number. */
uint8_t *encode_rle_same(uint32_t number, int64_t count, int bit_width, uint8_t *out);

/* PLAIN. Fixed-width values are their own encoding (memcpy). */
int64_t encode_plain_room(const struct parquet_leaf *leaf, const struct parquet_values *values);
uint8_t *encode_plain(const struct parquet_leaf *leaf, const struct parquet_values *values,
                      uint8_t *out);

/* DELTA_BINARY_PACKED: blocks of 128 in 4 miniblocks. */
int64_t encode_delta_room(int64_t count, int64_t width_bytes);
uint8_t *encode_delta_32(const int32_t *numbers, int64_t count, uint8_t *out);
uint8_t *encode_delta_64(const int64_t *numbers, int64_t count, uint8_t *out);

/* BYTE_ARRAY values. DELTA_LENGTH_BYTE_ARRAY; DELTA_BYTE_ARRAY, also of FIXED: see encode_values.
 * `lengths` is room for `2 * count` numbers that the function works in. */
int64_t encode_delta_length_room(const struct parquet_values *values);
uint8_t *encode_delta_length(const struct parquet_bytes *values, int64_t count, int32_t *lengths,
                             uint8_t *out);
int64_t encode_delta_bytes_room(const struct parquet_values *values);
uint8_t *encode_delta_bytes(const struct parquet_bytes *values, int64_t count, int32_t *lengths,
                            uint8_t *out);

/* BYTE_STREAM_SPLIT of values of `width_bytes`: as many bytes as go in. */
uint8_t *encode_split(const void *values, int64_t count, int64_t width_bytes, uint8_t *out);

/* BOOLEAN (a byte each): PLAIN packs bits, RLE has its 4 bytes of length in front. */
uint8_t *encode_booleans_rle(const uint8_t *values, int64_t count, uint8_t *out);

/* ---- any encoding but dictionaries --------------------------------------------------------------- */

/* Whether values of the type may have the encoding. */
bool encode_fits(const struct parquet_leaf *leaf, enum parquet_encoding encoding);

/* Room for the values in this encoding, ENCODE_SLACK_BYTES included, and for the work: `*work_bytes`. */
int64_t encode_values_room(const struct parquet_leaf *leaf, const struct parquet_values *values,
                           enum parquet_encoding encoding, int64_t *work_bytes);
/* The values in an encoding that fits (not RLE_DICTIONARY). */
uint8_t *encode_values(const struct parquet_leaf *leaf, const struct parquet_values *values,
                       enum parquet_encoding encoding, void *work, uint8_t *out);

#endif
