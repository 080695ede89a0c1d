/* Byte strings: what all begin with is skipped; the rest's first seven bytes and its length are a number that
 * compares as they do, and only where two numbers are equal and the strings go on are they
 * themselves looked at. Values are taken by blocks: a block whose least number is not below the
 * least so far is done with. */
#include <string.h>

#include "base/vector.h"
#include "parquet/statistics_extremes.h"

#define INLINE static inline __attribute__((always_inline))

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

enum {
  BLOCK = 256,
  LOAD_BYTES = 8,
  KEY_BYTES = 7,      /* of a string in its key */
  LONGER = 8,         /* in place of its length: it goes on */
  SKIP_BYTES_MIN = 4, /* fewer that all begin with do not matter */
  SKIP_BYTES_MAX = 256
};

INLINE uint64_t load_64(const uint8_t *from) {
  uint64_t word;
  memcpy(&word, from, sizeof word);
  return word;
}
INLINE uint32_t load_32(const uint8_t *from) {
  uint32_t word;
  memcpy(&word, from, sizeof word);
  return word;
}
INLINE uint64_t big_64(const uint8_t *from) { return __builtin_bswap64(load_64(from)); }
INLINE uint64_t big_32(const uint8_t *from) { return __builtin_bswap32(load_32(from)); }

/* Of the first eight bytes, whatever is behind the string. */
INLINE uint64_t key_from(uint64_t eight, int64_t bytes) {
  int64_t taken = bytes < KEY_BYTES ? bytes : KEY_BYTES;
  uint64_t mask = (UINT64_MAX << 8) << (8 * (KEY_BYTES - taken));
  return (eight & mask) | (uint64_t)(bytes < LONGER ? bytes : LONGER);
}

/* Nothing is read beside the string: fewer than eight bytes are put together of pieces that overlap. */
INLINE uint64_t key_of(const uint8_t *data, int64_t bytes) {
  if (bytes >= LOAD_BYTES) return key_from(big_64(data), bytes);
  if (bytes >= 4)
    return key_from(big_32(data) << 32 | big_32(data + bytes - 4) << (8 * (LOAD_BYTES - bytes)),
                    bytes);
  if (bytes == 0) return 0;
  int64_t middle = bytes / 2, last = bytes - 1;
  return key_from((uint64_t)data[0] << 56 | (uint64_t)data[middle] << (56 - 8 * middle) |
                      (uint64_t)data[last] << (56 - 8 * last),
                  bytes);
}

/* Values of a column, whichever way they lie. */
struct strings {
  const struct parquet_bytes *bytes; /* NULL: fixed ones */
  const uint8_t *data;
  int64_t width;
  int64_t skip;     /* bytes that all of them begin with */
  uint64_t flipped; /* of keys: the sign of numbers */
};

INLINE struct parquet_bytes string_at(const struct strings *strings, int64_t i, bool is_fixed) {
  if (is_fixed) return (struct parquet_bytes){strings->data + i * strings->width, strings->width};
  return strings->bytes[i];
}

static int64_t shared_bytes(const uint8_t *left, const uint8_t *right, int64_t most) {
  int64_t i = 0;
  while (i < most && left[i] == right[i]) i++;
  return i;
}

INLINE uint64_t differ_16(const uint8_t *left, const uint8_t *right) {
  return (load_64(left) ^ load_64(right)) | (load_64(left + 8) ^ load_64(right + 8));
}

/* As memcmp, of `bytes` >= SKIP_BYTES_MIN: mostly few, which a call would take longer for. */
INLINE bool are_equal(const uint8_t *left, const uint8_t *right, int64_t bytes) {
  if (bytes > 32) return memcmp(left, right, (size_t)bytes) == 0;
  if (bytes >= 16)
    return (differ_16(left, right) | differ_16(left + bytes - 16, right + bytes - 16)) == 0;
  if (bytes >= 8)
    return ((load_64(left) ^ load_64(right)) |
            (load_64(left + bytes - 8) ^ load_64(right + bytes - 8))) == 0;
  return ((load_32(left) ^ load_32(right)) |
          (load_32(left + bytes - 4) ^ load_32(right + bytes - 4))) == 0;
}

/* How many bytes all values share; the first ones say soon when there is nothing to gain. */
INLINE int64_t find_skip(const struct strings *strings, int64_t count, bool is_fixed) {
  struct parquet_bytes first = string_at(strings, 0, is_fixed);
  int64_t skip = first.size_bytes < SKIP_BYTES_MAX ? first.size_bytes : SKIP_BYTES_MAX;
  for (int64_t i = 1; i < count && skip >= SKIP_BYTES_MIN; i++) {
    struct parquet_bytes value = string_at(strings, i, is_fixed);
    int64_t most = value.size_bytes < skip ? value.size_bytes : skip;
    if (most < skip || !are_equal(value.data, first.data, skip))
      skip = shared_bytes(value.data, first.data, most);
  }
  return skip >= SKIP_BYTES_MIN ? skip : 0;
}

/* Of two whose keys are equal and that go on behind them. */
INLINE int compare_rest(const struct strings *strings, struct parquet_bytes left,
                        struct parquet_bytes right) {
  int64_t from = strings->skip + KEY_BYTES;
  int64_t shorter = left.size_bytes < right.size_bytes ? left.size_bytes : right.size_bytes;
  if (shorter - from >= LOAD_BYTES) { /* which mostly tells */
    uint64_t one = big_64(left.data + from), other = big_64(right.data + from);
    if (one != other) return one < other ? -1 : 1;
    from += LOAD_BYTES;
  }
  int order = memcmp(left.data + from, right.data + from, (size_t)(shorter - from));
  if (order != 0) return order > 0 ? 1 : -1;
  return (left.size_bytes > right.size_bytes) - (left.size_bytes < right.size_bytes);
}

VECTOR_LOOP static void range_of(const uint64_t *keys, int64_t count, uint64_t *min,
                                 uint64_t *max) {
  uint64_t least = keys[0], most = keys[0];
  for (int64_t i = 1; i < count; i++) {
    least = keys[i] < least ? keys[i] : least;
    most = keys[i] > most ? keys[i] : most;
  }
  *min = least;
  *max = most;
}

/* How many of the strings, from the first on, can be loaded eight bytes at a time whatever their length: when each
 * begins where the one before ends, as in an array, what is behind one is the next. */
static int64_t count_joined(const struct parquet_bytes *bytes, int64_t count, int64_t skip) {
  bool is_joined = true;
  for (int64_t i = 1; i < count; i++)
    is_joined &= bytes[i].data == bytes[i - 1].data + bytes[i - 1].size_bytes;
  if (!is_joined) return 0;
  const uint8_t *end = bytes[count - 1].data + bytes[count - 1].size_bytes;
  while (count > 0 && end - bytes[count - 1].data < skip + LOAD_BYTES) count--;
  return count;
}

INLINE void make_keys(const struct strings *strings, int64_t at, int64_t count, bool is_fixed,
                      uint64_t *keys) {
  int64_t i = 0, joined = 0;
  if (!is_fixed) joined = count_joined(strings->bytes + at, count, strings->skip);
  for (; i < joined; i++) {
    struct parquet_bytes value = strings->bytes[at + i];
    keys[i] = key_from(big_64(value.data + strings->skip), value.size_bytes - strings->skip);
  }
  for (; i < count; i++) {
    struct parquet_bytes value = string_at(strings, at + i, is_fixed);
    keys[i] =
        key_of(value.data + strings->skip, value.size_bytes - strings->skip) ^ strings->flipped;
  }
}

/* The first of a block that has the `key`; of those that go on, the one that `sign` (-1: the least, 1: the
 * greatest) asks for, the string at `best` (-1: none) included. */
INLINE int64_t settle(const struct strings *strings, const uint64_t *keys, int64_t at,
                      int64_t count, uint64_t key, int64_t best, int sign, bool is_fixed) {
  int16_t equal[BLOCK]; /* listed first: of values that begin alike there are many */
  int64_t found = 0;
  for (int64_t i = 0; i < count; i++) {
    equal[found] = (int16_t)i;
    found += keys[i] == key;
  }
  if ((key & 0xFF) != LONGER) return at + equal[0];
  for (int64_t k = 0; k < found; k++) {
    int64_t i = at + equal[k];
    if (best < 0 || sign * compare_rest(strings, string_at(strings, i, is_fixed),
                                        string_at(strings, best, is_fixed)) >
                        0)
      best = i;
  }
  return best;
}

INLINE struct extremes find(const struct strings *strings, int64_t count, bool is_fixed) {
  struct extremes found = {-1, -1};
  uint64_t keys[BLOCK], least = UINT64_MAX, most = 0;
  for (int64_t at = 0; at < count; at += BLOCK) {
    int64_t few = count - at < BLOCK ? count - at : BLOCK;
    uint64_t low, high;
    make_keys(strings, at, few, is_fixed, keys);
    range_of(keys, few, &low, &high);
    if (low < least || found.min < 0 || (low == least && (low & 0xFF) == LONGER))
      found.min = settle(strings, keys, at, few, low, low == least ? found.min : -1, -1, is_fixed);
    if (high > most || found.max < 0 || (high == most && (high & 0xFF) == LONGER))
      found.max = settle(strings, keys, at, few, high, high == most ? found.max : -1, 1, is_fixed);
    least = low < least ? low : least;
    most = high > most ? high : most;
  }
  return found;
}

struct extremes extremes_of_bytes(const struct parquet_bytes *values, int64_t count) {
  struct strings strings = {.bytes = values};
  strings.skip = find_skip(&strings, count, false);
  return find(&strings, count, false);
}

/* ---- numbers of up to 16 bytes -------------------------------------------------------------------- */

/* Most decimals are small for their width: their first eight bytes are all alike, so all 16 are compared. Of
 * fewer than 16 the first eight and the last eight: where the first are the same the rest decides. */
INLINE struct extremes find_numbers(const uint8_t *values, int64_t count, int64_t width) {
  struct extremes found = {0, 0};
  int128 least = 0, most = 0;
  for (int64_t i = 0; i < count; i++) {
    const uint8_t *value = values + i * width;
    uint64_t high = big_64(value), low = big_64(value + width - LOAD_BYTES);
    int128 number = (int128)((uint128)high << 64 | low);
    if (i == 0) least = most = number;
    bool is_less = number<least, is_more = number> most;
    least = is_less ? number : least;
    found.min = is_less ? i : found.min;
    most = is_more ? number : most;
    found.max = is_more ? i : found.max;
  }
  return found;
}

struct extremes extremes_of_fixed(const uint8_t *values, int64_t count, int64_t width,
                                  bool is_signed) {
  enum { NUMBER_BYTES = 16 };
  if (is_signed && width == NUMBER_BYTES) return find_numbers(values, count, NUMBER_BYTES);
  if (is_signed && width >= LOAD_BYTES && width < NUMBER_BYTES)
    return find_numbers(values, count, width);
  struct strings strings = {.data = values, .width = width};
  strings.skip = find_skip(&strings, count, true);
  if (is_signed && strings.skip == 0) strings.flipped = (uint64_t)1 << 63;
  return find(&strings, count, true);
}
