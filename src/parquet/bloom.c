/* Split block Bloom filters. A filter is of blocks of 8 words of 32 bits; a value sets one bit in each
 * word of one block: the upper half of its hash says which block, the lower half, times a word's own
 * odd constant, which bit. So a value costs one cache line. */
#include "parquet/bloom.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/vector.h"
#include "parquet/thrift.h"

enum { BLOCK_WORDS = 8, BLOCK_BYTES = 32, HASHES_OF_FLOATS_MAX = 4 };

bool parquet_bloom_allowed(const struct parquet_leaf *leaf) {
  return leaf->type != PARQUET_BOOLEAN && leaf->conversion != PARQUET_NOTHING;
}

/* ---- hashes ------------------------------------------------------------------------------ */

static void hash_4(const uint8_t *values, int64_t count, uint64_t *hashes) {
  for (int64_t i = 0; i < count; i++) hashes[i] = XXH64(values + 4 * i, 4, 0);
}

static void hash_8(const uint8_t *values, int64_t count, uint64_t *hashes) {
  for (int64_t i = 0; i < count; i++) hashes[i] = XXH64(values + 8 * i, 8, 0);
}

static void hash_fixed(const uint8_t *values, int64_t count, int64_t width_bytes,
                       uint64_t *hashes) {
  for (int64_t i = 0; i < count; i++)
    hashes[i] = XXH64(values + width_bytes * i, (size_t)width_bytes, 0);
}

static void hash_bytes(const struct parquet_bytes *values, int64_t count, uint64_t *hashes) {
  for (int64_t i = 0; i < count; i++) {
    const uint8_t *data = values[i].size_bytes > 0 ? values[i].data : (const uint8_t *)"";
    assert(data != NULL);
    hashes[i] = XXH64(data, (size_t)values[i].size_bytes, 0);
  }
}

/* ---- zeros and NaNs ---------------------------------------------------------------------- */

struct float_kinds {
  bool has_zero, has_nan;
};

/* Whether there are zeros or NaNs, of either sign, among floats of a width; `infinity` is the bits of
 * positive infinity, above which all is NaN. */
#define FIND_KINDS(name, type)                                                                     \
  VECTOR_LOOP static struct float_kinds name(const void *values, int64_t count, type infinity) {   \
    const uint8_t *bytes = values;                                                                 \
    const type sign = (type)((type)1 << (8 * sizeof(type) - 1));                                   \
    type zeros = 0, nans = 0;                                                                      \
    for (int64_t i = 0; i < count; i++) {                                                          \
      type size;                                                                                   \
      memcpy(&size, bytes + i * (int64_t)sizeof size, sizeof size);                                \
      size = (type)(size & (type)~sign);                                                           \
      zeros = (type)(zeros | (size == 0));                                                         \
      nans = (type)(nans | (size > infinity));                                                     \
    }                                                                                              \
    return (struct float_kinds){zeros != 0, nans != 0};                                            \
  }
FIND_KINDS(find_kinds_16, uint16_t)
FIND_KINDS(find_kinds_32, uint32_t)
FIND_KINDS(find_kinds_64, uint64_t)

static bool is_half(const struct parquet_leaf *leaf) {
  return leaf->logical.kind == PARQUET_LOGICAL_FLOAT16;
}

/* Widths of floats in bytes; 0 for other types. */
static int64_t float_width(const struct parquet_leaf *leaf) {
  if (leaf->type == PARQUET_FLOAT) return 4;
  if (leaf->type == PARQUET_DOUBLE) return 8;
  return is_half(leaf) ? 2 : 0;
}

static uint64_t hash_of_bits(uint64_t bits, int64_t width_bytes) {
  return XXH64(&bits, (size_t)width_bytes, 0); /* little-endian, as PLAIN is */
}

/* The hashes of what compares as equal to a zero or a NaN that is there but has other bits. */
static int64_t hash_float_kinds(const struct parquet_leaf *leaf,
                                const struct parquet_values *values, uint64_t *hashes) {
  const int64_t width_bytes = float_width(leaf);
  const void *data = values->data;
  struct float_kinds kinds = {false, false};
  uint64_t quiet_nan = 0;
  if (width_bytes == 2) {
    kinds = find_kinds_16(data, values->count, 0x7C00);
    quiet_nan = 0x7E00;
  } else if (width_bytes == 4) {
    kinds = find_kinds_32(data, values->count, 0x7F800000);
    quiet_nan = 0x7FC00000;
  } else if (width_bytes == 8) {
    kinds = find_kinds_64(data, values->count, 0x7FF0000000000000);
    quiet_nan = 0x7FF8000000000000;
  }
  const uint64_t sign = width_bytes > 0 ? (uint64_t)1 << (8 * width_bytes - 1) : 0;
  int64_t count = 0;
  if (kinds.has_zero) {
    hashes[count++] = hash_of_bits(0, width_bytes);
    hashes[count++] = hash_of_bits(sign, width_bytes);
  }
  if (kinds.has_nan) {
    hashes[count++] = hash_of_bits(quiet_nan, width_bytes);
    hashes[count++] = hash_of_bits(quiet_nan | sign, width_bytes);
  }
  assert(count <= HASHES_OF_FLOATS_MAX);
  return count;
}

/* Room for `needed_bytes` in all, by doubling where there is too little, as buffer_append does. */
static enum status grow(struct buffer *buffer, struct budget *budget, int64_t needed_bytes,
                        struct error *error) {
  const int64_t doubled_bytes = buffer->capacity_bytes * 2;
  if (needed_bytes <= buffer->capacity_bytes) return STATUS_OK;
  if (doubled_bytes > needed_bytes &&
      buffer_reserve(buffer, budget, doubled_bytes, NULL) == STATUS_OK)
    return STATUS_OK;
  return buffer_reserve(buffer, budget, needed_bytes, error);
}

enum status parquet_bloom_hash(const struct parquet_leaf *leaf, const struct parquet_values *values,
                               struct budget *budget, struct buffer *hashes, struct error *error) {
  assert(parquet_bloom_allowed(leaf));
  if (values->count == 0) return STATUS_OK;
  assert(values->data != NULL);
  int64_t room_bytes = (values->count + HASHES_OF_FLOATS_MAX) * (int64_t)sizeof(uint64_t);
  int64_t needed_bytes = hashes->size_bytes + room_bytes;
  enum status status = grow(hashes, budget, needed_bytes, error);
  if (status != STATUS_OK) return status;

  uint64_t *out = (uint64_t *)(void *)(hashes->data + hashes->size_bytes);
  switch (leaf->type) {
  case PARQUET_INT32:
  case PARQUET_FLOAT: hash_4(values->data, values->count, out); break;
  case PARQUET_INT64:
  case PARQUET_DOUBLE: hash_8(values->data, values->count, out); break;
  case PARQUET_FIXED: hash_fixed(values->data, values->count, leaf->type_length, out); break;
  case PARQUET_BYTE_ARRAY: hash_bytes(values->data, values->count, out); break;
  case PARQUET_BOOLEAN: return STATUS_OK; /* not allowed: asserted above */
  }
  int64_t count = values->count + hash_float_kinds(leaf, values, out + values->count);
  hashes->size_bytes += count * (int64_t)sizeof(uint64_t);
  return STATUS_OK;
}

/* ---- size -------------------------------------------------------------------------------- */

/* How often a filter of `blocks` with `distinct` values in it says "perhaps" of another one. A block's
 * number of values k is Poisson distributed; each word then has a given bit with 1 - (31/32)^k. */
static double rate(double distinct, double blocks) {
  const double mean = distinct / blocks;
  if (mean > 256) return 1; /* every bit is set, as good as */
  double weight = exp(-mean), sum = 0, bit_free = 1;
  const int last = (int)(mean + 12 * sqrt(mean) + 24);
  for (int k = 0; k <= last; k++) {
    sum += weight * pow(1 - bit_free, BLOCK_WORDS);
    weight *= mean / (k + 1);
    bit_free *= 31.0 / 32;
  }
  return sum;
}

int64_t parquet_bloom_bytes(int64_t distinct, double false_positives, int64_t bytes_max) {
  assert(false_positives > 0 && false_positives < 1);
  /* The common formula, -8 n / ln(1 - p^(1/8)) bits, supposes that all blocks have as many values. They
   * have not, and at 1 % it gives what says "perhaps" half as often again. So the rate itself is
   * looked at; rounding up to a power of two mostly hides the difference. */
  int64_t blocks = 1;
  while (blocks * BLOCK_BYTES <= bytes_max / 2 &&
         rate((double)distinct, (double)blocks) > false_positives)
    blocks *= 2;
  return blocks * BLOCK_BYTES;
}

/* ---- the filter -------------------------------------------------------------------------- */

static void insert_all(const uint64_t *hashes, int64_t count, uint64_t blocks,
                       uint8_t *restrict filter) {
  static const uint32_t salt[BLOCK_WORDS] = {0x47b6137bU, 0x44974d91U, 0x8824ad5bU, 0xa2b7289dU,
                                             0x705495c7U, 0x2df1424bU, 0x9efc4947U, 0x5c6bfb31U};
  for (int64_t n = 0; n < count; n++) {
    const uint32_t low = (uint32_t)hashes[n];
    uint8_t *block = filter + ((hashes[n] >> 32) * blocks >> 32) * BLOCK_BYTES;
    for (size_t i = 0; i < BLOCK_WORDS; i++) { /* in memory as it is: the filter is not aligned */
      uint32_t word;
      memcpy(&word, block + i * sizeof word, sizeof word);
      word |= (uint32_t)1 << (low * salt[i] >> 27);
      memcpy(block + i * sizeof word, &word, sizeof word);
    }
  }
}

/* BloomFilterHeader: the block algorithm, XXH64, not compressed: each the first of its union, empty. */
static enum status write_header(int64_t filter_bytes, struct budget *budget, struct buffer *out,
                                struct error *error) {
  struct thrift thrift;
  thrift_start(&thrift, out, budget);
  thrift_i32(&thrift, 1, (int32_t)filter_bytes);
  for (int16_t field = 2; field <= 4; field++) {
    thrift_struct(&thrift, field);
    thrift_struct(&thrift, 1);
    thrift_struct_end(&thrift);
    thrift_struct_end(&thrift);
  }
  return thrift_end(&thrift, error);
}

enum status parquet_bloom_write(const struct buffer *hashes, int64_t filter_bytes,
                                struct budget *budget, struct buffer *out, struct error *error) {
  assert(filter_bytes >= BLOCK_BYTES && filter_bytes % BLOCK_BYTES == 0);
  assert(filter_bytes <= INT32_MAX && hashes->size_bytes % (int64_t)sizeof(uint64_t) == 0);
  const int64_t start_bytes = out->size_bytes;
  enum status status =
      buffer_reserve(out, budget, start_bytes + 64 + filter_bytes, error); /* header included */
  if (status == STATUS_OK) status = write_header(filter_bytes, budget, out, error);
  if (status != STATUS_OK) return status;
  uint8_t *filter = out->data + out->size_bytes;
  memset(filter, 0, (size_t)filter_bytes);
  insert_all((const uint64_t *)(const void *)hashes->data,
             hashes->size_bytes / (int64_t)sizeof(uint64_t), (uint64_t)filter_bytes / BLOCK_BYTES,
             filter);
  out->size_bytes += filter_bytes;
  buffer_pad(out);
  return STATUS_OK;
}
