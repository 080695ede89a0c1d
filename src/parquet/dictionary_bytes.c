/* Byte strings, and values of a fixed number of bytes. A value of at most 16 bytes is compared as two words
 * and its size, in the slot; of a longer one the slot has the hash, and bytes are compared only
 * where hash and size agree.
 *
 * Never reads outside of a value: the array that it lies in may end where the page ends. Values that lie
 * one right behind the other are one piece, though, in which reading 16 bytes and cutting off what
 * is too much costs no branch: so it is looked for that first. */
#include <assert.h>
#include <string.h>

#include "parquet/dictionary_table.h"

struct batch {
  const uint8_t *data[DICTIONARY_BATCH];
  uint32_t sizes_bytes[DICTIONARY_BATCH];
  uint64_t keys[2][DICTIONARY_BATCH];
  uint64_t hashes[DICTIONARY_BATCH];
};

/* Words of which that many bytes count. */
static const uint64_t first_mask[DICTIONARY_INLINE_BYTES + 1] = {
    0,          0xff,         0xffff,         0xffffff,
    0xffffffff, 0xffffffffff, 0xffffffffffff, (UINT64_MAX >> 8),
    UINT64_MAX, UINT64_MAX,   UINT64_MAX,     UINT64_MAX,
    UINT64_MAX, UINT64_MAX,   UINT64_MAX,     UINT64_MAX,
    UINT64_MAX};
static const uint64_t second_mask[DICTIONARY_INLINE_BYTES + 1] = {0,
                                                                  0,
                                                                  0,
                                                                  0,
                                                                  0,
                                                                  0,
                                                                  0,
                                                                  0,
                                                                  0,
                                                                  0xff,
                                                                  0xffff,
                                                                  0xffffff,
                                                                  0xffffffff,
                                                                  0xffffffffff,
                                                                  0xffffffffffff,
                                                                  (UINT64_MAX >> 8),
                                                                  UINT64_MAX};

/* A short value without a byte beyond it: two loads that overlap. */
static inline void load_alone(const uint8_t *data, uint32_t size_bytes, uint64_t *first,
                              uint64_t *second) {
  *first = *second = 0;
  if (size_bytes >= 8) {
    *first = words_load_8(data);
    if (size_bytes > 8) *second = words_load_8(data + size_bytes - 8) >> (8 * (16 - size_bytes));
  } else if (size_bytes >= 4) {
    uint64_t end = words_load_4(data + size_bytes - 4);
    *first = words_load_4(data) | end << (8 * (size_bytes - 4));
  } else if (size_bytes > 0) {
    uint64_t middle = data[size_bytes / 2];
    uint64_t end = data[size_bytes - 1];
    *first = data[0] | middle << (8 * (size_bytes / 2)) | end << (8 * (size_bytes - 1));
  }
}

static uint64_t hash_long(const struct parquet_dictionary *dictionary, const uint8_t *data,
                          uint32_t size_bytes) {
  const uint64_t *seeds = dictionary->seeds;
  uint64_t hash = seeds[2] ^ size_bytes;
  const uint8_t *last = data + size_bytes - 16;
  for (; data < last; data += 16)
    hash = words_fold(words_load_8(data) ^ seeds[0], words_load_8(data + 8) ^ hash);
  hash = words_fold(words_load_8(last) ^ seeds[0], words_load_8(last + 8) ^ hash);
  return words_fold(hash, seeds[1]);
}

/* Keys and hash of the i-th value. Up to `readable_end` may be read (0: the value only). */
static inline void load(const struct parquet_dictionary *dictionary, struct batch *batch, int64_t i,
                        uintptr_t readable_end) {
  const uint8_t *data = batch->data[i];
  uint32_t size_bytes = batch->sizes_bytes[i];
  uint64_t first, second;
  if (size_bytes > DICTIONARY_INLINE_BYTES) {
    batch->keys[0][i] = batch->hashes[i] = hash_long(dictionary, data, size_bytes);
    batch->keys[1][i] = 0;
    return;
  }
  if ((uintptr_t)data + DICTIONARY_INLINE_BYTES <= readable_end) {
    first = words_load_8(data) & first_mask[size_bytes];
    second = words_load_8(data + 8) & second_mask[size_bytes];
  } else {
    load_alone(data, size_bytes, &first, &second);
  }
  batch->keys[0][i] = first;
  batch->keys[1][i] = second;
  batch->hashes[i] = words_fold(first ^ dictionary->seeds[0], second ^ dictionary->seeds[1]);
}

/* Where the values' memory ends, if each begins where the one before it ends; 0 if not. */
static uintptr_t end_of_piece(const struct batch *batch, int64_t count) {
  uintptr_t gaps = 0;
  for (int64_t i = 0; i + 1 < count; i++)
    gaps |= ((uintptr_t)batch->data[i] + batch->sizes_bytes[i]) ^ (uintptr_t)batch->data[i + 1];
  if (gaps != 0) return 0;
  return (uintptr_t)batch->data[count - 1] + batch->sizes_bytes[count - 1];
}

static void take_values(const struct parquet_dictionary *dictionary, struct batch *batch,
                        const void *values, int64_t count) {
  if (dictionary->type == PARQUET_BYTE_ARRAY) {
    const struct parquet_bytes *bytes = values;
    for (int64_t i = 0; i < count; i++) {
      batch->data[i] = bytes[i].data;
      batch->sizes_bytes[i] = (uint32_t)bytes[i].size_bytes;
    }
  } else {
    const uint8_t *data = values;
    for (int64_t i = 0; i < count; i++) {
      batch->data[i] = data + i * dictionary->width_bytes;
      batch->sizes_bytes[i] = (uint32_t)dictionary->width_bytes;
    }
  }
}

/* Whether all are the same short value. */
static bool is_same(const struct batch *batch, int64_t count) {
  uint64_t different = batch->sizes_bytes[0] > DICTIONARY_INLINE_BYTES;
  for (int64_t i = 0; i < count; i++)
    different |= (batch->keys[0][i] ^ batch->keys[0][0]) | (batch->keys[1][i] ^ batch->keys[1][0]) |
                 (batch->sizes_bytes[i] ^ batch->sizes_bytes[0]);
  return different == 0;
}

static void ask_for_slots(const struct parquet_dictionary *dictionary, struct batch *batch,
                          int64_t count) {
  const struct dictionary_slot_bytes *slots =
      (const struct dictionary_slot_bytes *)(const void *)dictionary->slots.data;
  int shift = 64 - dictionary->bits;
  for (int64_t i = 0; i < count; i++) {
    batch->hashes[i] >>= shift;
    __builtin_prefetch(&slots[batch->hashes[i]]);
  }
}

/* Of two values longer than a word: words, the last of which overlaps. */
static inline bool is_equal_long(const uint8_t *left, const uint8_t *right, uint32_t size_bytes) {
  uint64_t different = 0;
  uint32_t last = size_bytes - 8;
  for (uint32_t i = 0; i < last && different == 0; i += 8)
    different = words_load_8(left + i) ^ words_load_8(right + i);
  return (different | (words_load_8(left + last) ^ words_load_8(right + last))) == 0;
}

static inline bool is_equal(const struct parquet_dictionary *dictionary,
                            const struct dictionary_slot_bytes *slot, const struct batch *batch,
                            int64_t i) {
  if (slot->key[0] != batch->keys[0][i] || slot->size_bytes != batch->sizes_bytes[i]) return false;
  if (slot->size_bytes <= DICTIONARY_INLINE_BYTES) return slot->key[1] == batch->keys[1][i];
  return is_equal_long(dictionary->body.data + slot->key[1], batch->data[i], slot->size_bytes);
}

/* The i-th value is new: behind the others in `body`, and into a slot that is free. */
static enum status add_new(struct parquet_dictionary *dictionary, const struct batch *batch,
                           int64_t i, struct dictionary_slot_bytes *slot, struct error *error) {
  uint32_t size_bytes = batch->sizes_bytes[i];
  enum status status =
      dictionary_body_room(dictionary, dictionary->prefix_bytes + (int64_t)size_bytes, error);
  if (status != STATUS_OK) return status;
  struct buffer *body = &dictionary->body;
  if (dictionary->prefix_bytes > 0) memcpy(body->data + body->size_bytes, &size_bytes, 4);
  int64_t begin = body->size_bytes + dictionary->prefix_bytes;
  if (size_bytes > 0) memcpy(body->data + begin, batch->data[i], size_bytes);
  body->size_bytes = begin + size_bytes;
  bool is_long = size_bytes > DICTIONARY_INLINE_BYTES;
  *slot = (struct dictionary_slot_bytes){
      {batch->keys[0][i], is_long ? (uint64_t)begin : batch->keys[1][i]},
      (uint32_t)++dictionary->count,
      size_bytes};
  return STATUS_OK;
}

enum status dictionary_add_bytes(struct parquet_dictionary *dictionary, const void *values,
                                 int64_t count, uint32_t *indices, struct error *error) {
  assert(count > 0);
  struct batch batch;
  take_values(dictionary, &batch, values, count);
  uintptr_t end = end_of_piece(&batch, count);
  for (int64_t i = 0; i < count; i++) load(dictionary, &batch, i, end);
  int64_t searched = is_same(&batch, count) ? 1 : count;
  ask_for_slots(dictionary, &batch, searched);

  struct dictionary_slot_bytes *slots =
      (struct dictionary_slot_bytes *)(void *)dictionary->slots.data;
  uint64_t mask = ((uint64_t)1 << dictionary->bits) - 1;
  for (int64_t i = 0; i < searched; i++) {
    uint64_t at = batch.hashes[i];
    while (slots[at].number != 0 && !is_equal(dictionary, &slots[at], &batch, i))
      at = (at + 1) & mask;
    if (slots[at].number == 0) {
      enum status status = add_new(dictionary, &batch, i, &slots[at], error);
      if (status != STATUS_OK) return status;
      if (((at - batch.hashes[i]) & mask) > dictionary->far) dictionary->is_crowded = true;
    }
    indices[i] = slots[at].number - 1;
  }
  for (int64_t i = searched; i < count; i++) indices[i] = indices[0];
  return STATUS_OK;
}

void dictionary_fill_bytes(struct parquet_dictionary *dictionary) {
  struct dictionary_slot_bytes *slots =
      (struct dictionary_slot_bytes *)(void *)dictionary->slots.data;
  uint64_t mask = ((uint64_t)1 << dictionary->bits) - 1;
  const uint8_t *body = dictionary->body.data;
  uintptr_t end = (uintptr_t)body + (uintptr_t)dictionary->body.size_bytes;
  int64_t begin = 0;
  for (int64_t first = 0; first < dictionary->count; first += DICTIONARY_BATCH) {
    struct batch batch;
    int64_t count = dictionary->count - first;
    if (count > DICTIONARY_BATCH) count = DICTIONARY_BATCH;
    for (int64_t i = 0; i < count; i++) {
      batch.sizes_bytes[i] = (uint32_t)dictionary->width_bytes;
      if (dictionary->prefix_bytes > 0) batch.sizes_bytes[i] = words_load_4(body + begin);
      batch.data[i] = body + begin + dictionary->prefix_bytes;
      begin += dictionary->prefix_bytes + (int64_t)batch.sizes_bytes[i];
      load(dictionary, &batch, i, end);
    }
    ask_for_slots(dictionary, &batch, count);
    for (int64_t i = 0; i < count; i++) {
      uint64_t at = batch.hashes[i];
      while (slots[at].number != 0) at = (at + 1) & mask;
      bool is_long = batch.sizes_bytes[i] > DICTIONARY_INLINE_BYTES;
      slots[at] = (struct dictionary_slot_bytes){
          {batch.keys[0][i], is_long ? (uint64_t)(batch.data[i] - body) : batch.keys[1][i]},
          (uint32_t)(first + i + 1),
          batch.sizes_bytes[i]};
    }
  }
}
