#include "parquet/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint8_t next_byte(struct decode *bytes) {
  if (bytes->at == bytes->end) fail_msg("the bytes end too early");
  return *bytes->at++;
}

uint64_t decode_varint(struct decode *bytes) {
  uint64_t number = 0;
  for (int shift = 0;; shift += 7) {
    assert_true(shift < 70);
    uint8_t byte = next_byte(bytes);
    number |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return number;
  }
}

int64_t decode_zigzag(struct decode *bytes) {
  uint64_t number = decode_varint(bytes);
  return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}

/* Bit `index` of packed bytes. */
static uint64_t bit_of(const uint8_t *bytes, int64_t index) {
  return (bytes[index / 8] >> (index % 8)) & 1U;
}

static const uint8_t *take(struct decode *bytes, int64_t count) {
  assert_true(bytes->end - bytes->at >= count);
  bytes->at += count;
  return bytes->at - count;
}

static uint64_t unpack(const uint8_t *bytes, int bit_width, int64_t index) {
  uint64_t number = 0;
  for (int bit = 0; bit < bit_width; bit++) number |= bit_of(bytes, index * bit_width + bit) << bit;
  return number;
}

void decode_rle(struct decode *bytes, int bit_width, int64_t count, uint32_t *numbers) {
  int64_t done = 0;
  while (done < count) {
    uint64_t header = decode_varint(bytes);
    int64_t run = (int64_t)(header >> 1);
    assert_true(run > 0 && run <= INT32_MAX);
    if ((header & 1) != 0) {
      const uint8_t *packed = take(bytes, run * bit_width);
      int64_t here = run * 8;
      assert_true(here < count - done + 8); /* only the last group is filled up */
      for (int64_t i = 0; i < here; i++) {
        uint64_t number = unpack(packed, bit_width, i);
        if (done < count)
          numbers[done++] = (uint32_t)number;
        else
          assert_int_equal(number, 0);
      }
    } else {
      uint32_t number = 0;
      for (int bits = 0; bits < bit_width; bits += 8) number |= (uint32_t)next_byte(bytes) << bits;
      assert_true(run <= count - done);
      for (int64_t i = 0; i < run; i++) numbers[done++] = number;
    }
  }
}

int64_t decode_delta(struct decode *bytes, int type_bits, int64_t most, int64_t *numbers) {
  int64_t block = (int64_t)decode_varint(bytes), miniblocks = (int64_t)decode_varint(bytes);
  int64_t count = (int64_t)decode_varint(bytes);
  uint64_t last = (uint64_t)decode_zigzag(bytes);
  assert_int_equal(block % 128, 0);
  assert_int_equal(block / miniblocks % 32, 0);
  assert_true(count <= most);
  int64_t done = 0;
  if (count > 0) numbers[done++] = (int64_t)last;
  while (done < count) {
    uint64_t least = (uint64_t)decode_zigzag(bytes);
    const uint8_t *widths = take(bytes, miniblocks);
    for (int64_t k = 0; k < miniblocks; k++) {
      if (done == count) {
        assert_int_equal(widths[k], 0);
        continue;
      }
      assert_true(widths[k] <= type_bits);
      int64_t size = block / miniblocks;
      const uint8_t *packed = take(bytes, size / 8 * widths[k]);
      for (int64_t i = 0; i < size && done < count; i++) {
        last += least + unpack(packed, widths[k], i);
        numbers[done++] = type_bits == 32 ? (int32_t)(uint32_t)last : (int64_t)last;
      }
    }
  }
  return count;
}

void decode_strings(struct decode *bytes, enum parquet_encoding encoding, int64_t count,
                    struct parquet_bytes *strings, uint8_t *memory) {
  int64_t *prefixes = calloc((size_t)count + 1, sizeof *prefixes);
  int64_t *lengths = calloc((size_t)count + 1, sizeof *lengths);
  assert_true(prefixes != NULL && lengths != NULL);
  if (encoding == PARQUET_DELTA_BYTE_ARRAY)
    assert_int_equal(decode_delta(bytes, 32, count, prefixes), count);
  if (encoding != PARQUET_PLAIN) assert_int_equal(decode_delta(bytes, 32, count, lengths), count);
  for (int64_t i = 0; i < count; i++) {
    if (encoding == PARQUET_PLAIN)
      for (int shift = 0; shift < 32; shift += 8)
        lengths[i] |= (int64_t)((uint64_t)next_byte(bytes) << shift);
    assert_true(prefixes[i] >= 0 && lengths[i] >= 0);
    assert_true(prefixes[i] <= (i == 0 ? 0 : strings[i - 1].size_bytes));
    strings[i] = (struct parquet_bytes){memory, prefixes[i] + lengths[i]};
    for (int64_t k = 0; k < prefixes[i]; k++) *memory++ = strings[i - 1].data[k];
    for (int64_t k = 0; k < lengths[i]; k++) *memory++ = next_byte(bytes);
  }
  assert_ptr_equal(bytes->at, bytes->end);
  free(prefixes);
  free(lengths);
}
