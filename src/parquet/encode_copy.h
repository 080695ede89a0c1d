/* Byte strings one behind the other: what encodings of BYTE_ARRAY do most of the time. Inside the room only.
 *
 * A string of a few bytes is copied fastest by copying 16 or 32, whatever its length, and letting the next one
 * overwrite what was too much: nothing depends on the length but where the next one goes. That may not
 * read what belongs to nobody. But strings mostly lie in a record batch one behind the other, so what follows
 * one is the next: in a *chain* of them every byte up to the end of its last may be read. The last few of
 * a chain, and strings that are in none, are copied as they are. */
#ifndef ARROWPORT_PARQUET_ENCODE_COPY_H
#define ARROWPORT_PARQUET_ENCODE_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "parquet/encode.h"
#include "parquet/values.h"

enum {
  COPY_CHAIN_MAX = 256,    /* strings: they are looked at twice, and stay in the cache between */
  COPY_GAP_BYTES_MAX = 15, /* between two strings: short ones in views lie 16 bytes apart */
  COPY_SHORT_BYTES = 16,   /* of a string that one step copies */
  COPY_LONG_BYTES = 32     /* a step for others */
};
_Static_assert((int)COPY_LONG_BYTES <= (int)ENCODE_SLACK_BYTES, "what is too much has room");

struct copy_chain {
  int64_t count;      /* strings: 1 at least */
  int64_t safe_count; /* of these: COPY_LONG_BYTES behind their end may be read */
  int64_t bytes_max;  /* of one string */
  bool is_dense;      /* there is nothing between them */
};

static inline uint64_t copy_gap(const struct parquet_bytes *value) {
  return (uintptr_t)value[1].data - (uintptr_t)value[0].data - (uint64_t)value[0].size_bytes;
}

/* The chain at the front of `count` (>= 1) strings. What is read between two of them lies less than 16
 * bytes from memory that is somebody's on both sides: on the same page as one of the two. */
static inline struct copy_chain copy_find_chain(const struct parquet_bytes *values, int64_t count) {
  struct copy_chain chain = {.count = 1, .bytes_max = values[0].size_bytes};
  uint64_t gaps = 0;
  int64_t most = count < COPY_CHAIN_MAX ? count : COPY_CHAIN_MAX;
  while (chain.count < most) {
    const struct parquet_bytes *next = &values[chain.count];
    uint64_t gap = copy_gap(next - 1);
    if (gap > COPY_GAP_BYTES_MAX) break;
    gaps |= gap;
    chain.bytes_max = next->size_bytes > chain.bytes_max ? next->size_bytes : chain.bytes_max;
    chain.count++;
  }
  chain.is_dense = gaps == 0;
  chain.safe_count = chain.count;
  const struct parquet_bytes *last = &values[chain.count - 1];
  uintptr_t end = (uintptr_t)last->data + (uintptr_t)last->size_bytes;
  while (chain.safe_count > 0) {
    const struct parquet_bytes *value = &values[chain.safe_count - 1];
    if (end - (uintptr_t)value->data - (uintptr_t)value->size_bytes >= COPY_LONG_BYTES) break;
    chain.safe_count--;
  }
  return chain;
}

/* How many strings of a chain are to be done with before the next one is looked for: the last ones of a
 * chain that was only cut for its length are the first of the next. */
static inline int64_t copy_chain_step(const struct copy_chain *chain) {
  bool is_cut = chain->count == COPY_CHAIN_MAX && chain->safe_count > 0;
  return is_cut ? chain->safe_count : chain->count;
}

/* Nothing outside of the string is read, nothing outside of `bytes` is written. */
static inline uint8_t *copy_exactly(const uint8_t *data, int64_t bytes, uint8_t *out) {
  if (bytes > 16) {
    memcpy(out, data, (size_t)bytes);
  } else if (bytes >= 8) {
    uint64_t head, tail;
    memcpy(&head, data, 8);
    memcpy(&tail, data + bytes - 8, 8);
    memcpy(out, &head, 8);
    memcpy(out + bytes - 8, &tail, 8);
  } else if (bytes >= 4) {
    uint32_t head, tail;
    memcpy(&head, data, 4);
    memcpy(&tail, data + bytes - 4, 4);
    memcpy(out, &head, 4);
    memcpy(out + bytes - 4, &tail, 4);
  } else if (bytes > 0) {
    uint8_t head = data[0], middle = data[bytes / 2], tail = data[bytes - 1];
    out[0] = head;
    out[bytes / 2] = middle;
    out[bytes - 1] = tail;
  }
  return out + bytes;
}

static inline uint8_t *copy_length(int64_t bytes, uint8_t *out) {
  uint32_t length = (uint32_t)bytes;
  memcpy(out, &length, sizeof length);
  return out + sizeof length;
}

/* Strings without their first `skips[i]` bytes (NULL: whole), with their length in front if `has_lengths`.
 * `step_bytes` are copied at a time, past the end of the string and of `out`; 0: exactly. All but numbers
 * of strings are constants to the compiler. */
static inline uint8_t *copy_by_steps(const struct parquet_bytes *values, const int32_t *skips,
                                     int64_t count, bool has_lengths, int64_t step_bytes,
                                     uint8_t *out) {
  for (int64_t i = 0; i < count; i++) {
    int64_t skip = skips == NULL ? 0 : skips[i], bytes = values[i].size_bytes - skip;
    if (has_lengths) out = copy_length(bytes, out);
    if (step_bytes == 0) {
      if (bytes > 0) out = copy_exactly(values[i].data + skip, bytes, out);
      continue;
    }
    const uint8_t *data = values[i].data + skip;
    memcpy(out, data, (size_t)step_bytes);
    if (step_bytes == COPY_LONG_BYTES)
      for (int64_t at = step_bytes; at < bytes; at += step_bytes)
        memcpy(out + at, data + at, (size_t)step_bytes);
    out += bytes;
  }
  return out;
}

static inline uint8_t *copy_strings(const struct parquet_bytes *values, const int32_t *skips,
                                    int64_t count, bool has_lengths, uint8_t *out) {
  for (int64_t i = 0; i < count;) {
    const struct parquet_bytes *here = values + i;
    const int32_t *here_skips = skips == NULL ? NULL : skips + i;
    if (i + 1 == count || copy_gap(here) > COPY_GAP_BYTES_MAX) { /* a chain of one */
      out = copy_by_steps(here, here_skips, 1, has_lengths, 0, out);
      i++;
      continue;
    }
    struct copy_chain chain = copy_find_chain(here, count - i);
    int64_t safe = chain.safe_count, done = copy_chain_step(&chain);
    if (chain.bytes_max <= COPY_SHORT_BYTES)
      out = copy_by_steps(here, here_skips, safe, has_lengths, COPY_SHORT_BYTES, out);
    else
      out = copy_by_steps(here, here_skips, safe, has_lengths, COPY_LONG_BYTES, out);
    here_skips = skips == NULL ? NULL : skips + i + safe;
    out = copy_by_steps(here + safe, here_skips, done - safe, has_lengths, 0, out);
    i += done;
  }
  return out;
}

#endif
