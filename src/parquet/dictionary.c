/* Dictionaries of columns: memory, growth, and what is asked of them. How values are looked for is in
 * dictionary_fixed.c and dictionary_bytes.c; the invariants are in dictionary_table.h.
 *
 * Searching is bound by memory, not by hashing: so values go in batches, in which all slots are
 * asked for before the first is looked at, and a slot holds a short value itself, so that comparing
 * asks for nothing else. The table starts small, as most columns of few values stay in the first-level
 * cache, and grows by four while that is cheap. */
#include "parquet/dictionary.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "parquet/dictionary_table.h"

enum {
  BITS_MIN = 5,
  BITS_LARGE = 16, /* from here on by two */
  BITS_MAX = 33,   /* for numbers of 32 bits */
  KEPT_BYTES_MAX = 8 << 20,
};

/* Tables of middling size are a quarter full at most: what a search waits for there is not memory but branches
 * that were foreseen wrongly, and nearly every search then ends at its first slot. */
static const int64_t SPARSE_BYTES_MIN = 8 << 10, SPARSE_BYTES_MAX = 4 << 20;

static bool is_full(const struct parquet_dictionary *dictionary, int64_t values, int bits) {
  int64_t bytes = dictionary->slot_bytes << bits;
  int64_t eighths = bytes >= SPARSE_BYTES_MIN && bytes < SPARSE_BYTES_MAX ? 2 : 5;
  return values > (eighths << bits) / 8;
}

static void seed_anew(struct parquet_dictionary *dictionary) {
  uint64_t *seeds = dictionary->seeds;
  if (getentropy(seeds, sizeof dictionary->seeds) != 0) {
    /* Better than nothing, which is what would be the alternative. */
    uint64_t state = (uint64_t)clock_now_us() ^ (uint64_t)(uintptr_t)dictionary ^ seeds[0];
    for (int i = 0; i < DICTIONARY_SEEDS; i++) {
      state += 0x9e3779b97f4a7c15U;
      seeds[i] = words_fold(state, 0xbf58476d1ce4e5b9U);
    }
  }
  for (int i = 0; i < DICTIONARY_SEEDS; i++)
    seeds[i] |= (uint64_t)1 | (uint64_t)1 << 63; /* factors: neither small nor even */
}

void dictionary_seed(struct parquet_dictionary *dictionary,
                     const uint64_t seeds[DICTIONARY_SEEDS]) {
  assert(dictionary->count == 0);
  memcpy(dictionary->seeds, seeds, sizeof dictionary->seeds);
}

enum status parquet_dictionary_new(const struct parquet_leaf *leaf, struct budget *budget,
                                   struct parquet_dictionary **dictionary, struct error *error) {
  assert(leaf->type != PARQUET_BOOLEAN);
  struct parquet_dictionary *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a dictionary");
  made->budget = budget;
  made->type = leaf->type;
  made->far = DICTIONARY_FAR_AT_FIRST;
  switch (leaf->type) {
  case PARQUET_INT32:
  case PARQUET_FLOAT:
    made->width_bytes = 4;
    made->slot_bytes = sizeof(struct dictionary_slot_4);
    break;
  case PARQUET_INT64:
  case PARQUET_DOUBLE:
    made->width_bytes = 8;
    made->slot_bytes = sizeof(struct dictionary_slot_8);
    break;
  default:
    made->width_bytes = leaf->type == PARQUET_FIXED ? leaf->type_length : 0;
    made->prefix_bytes = leaf->type == PARQUET_FIXED ? 0 : 4;
    made->slot_bytes = sizeof(struct dictionary_slot_bytes);
  }
  seed_anew(made);
  *dictionary = made;
  return STATUS_OK;
}

void parquet_dictionary_free(struct parquet_dictionary *dictionary) {
  if (dictionary == NULL) return;
  buffer_release(&dictionary->body);
  buffer_release(&dictionary->slots);
  free(dictionary);
}

/* The table keeps its size, as the next column chunk will be like this one, unless that was out of the
 * ordinary. */
void parquet_dictionary_clear(struct parquet_dictionary *dictionary) {
  if (dictionary->body.capacity_bytes > KEPT_BYTES_MAX) buffer_release(&dictionary->body);
  if (dictionary->slots.capacity_bytes > KEPT_BYTES_MAX) {
    buffer_release(&dictionary->slots);
    dictionary->bits = 0;
  }
  dictionary->count = 0;
  dictionary->body.size_bytes = 0;
  dictionary->is_crowded = false;
  dictionary->far = DICTIONARY_FAR_AT_FIRST;
  if (dictionary->bits > 0)
    memset(dictionary->slots.data, 0, (size_t)dictionary->slot_bytes << (unsigned)dictionary->bits);
}

/* A table of 2^bits slots with what there is in it; the memory is there. */
static void fill(struct parquet_dictionary *dictionary, int bits) {
  dictionary->bits = bits;
  dictionary->is_crowded = false;
  memset(dictionary->slots.data, 0, (size_t)dictionary->slot_bytes << (unsigned)bits);
  if (dictionary->count == 0) return;
  switch (dictionary->slot_bytes) {
  case sizeof(struct dictionary_slot_4): dictionary_fill_4(dictionary); break;
  case sizeof(struct dictionary_slot_8): dictionary_fill_8(dictionary); break;
  default: dictionary_fill_bytes(dictionary);
  }
}

/* Room for `more` values, whatever they are. Leaves everything as it was when it fails. */
static enum status make_room(struct parquet_dictionary *dictionary, int64_t more,
                             struct error *error) {
  int bits = dictionary->bits;
  int64_t values = dictionary->count + more;
  if (bits > 0 && !is_full(dictionary, values, bits)) return STATUS_OK;
  if (values > (int64_t)UINT32_MAX)
    return error_set(error, STATUS_TOO_LARGE, "a dictionary of more than %lld values",
                     (long long)UINT32_MAX);
  if (bits == 0)
    bits = BITS_MIN;
  else if (bits < BITS_LARGE && dictionary->count > 0)
    bits++; /* by four with the next line */
  while (is_full(dictionary, values, bits) || (bits == dictionary->bits && bits < BITS_MAX)) bits++;

  int64_t bytes = dictionary->slot_bytes << bits;
  if (bytes > dictionary->slots.capacity_bytes) {
    struct buffer slots = BUFFER_EMPTY;
    enum status status = buffer_reserve(&slots, dictionary->budget, bytes, error);
    if (status != STATUS_OK) return status;
    buffer_release(&dictionary->slots);
    dictionary->slots = slots;
  }
  fill(dictionary, bits);
  return STATUS_OK;
}

enum status dictionary_body_room(struct parquet_dictionary *dictionary, int64_t bytes,
                                 struct error *error) {
  struct buffer *body = &dictionary->body;
  int64_t needed_bytes = body->size_bytes + bytes;
  if (needed_bytes <= body->capacity_bytes) return STATUS_OK;
  int64_t doubled_bytes = body->capacity_bytes * 2;
  enum status status = STATUS_BUDGET;
  if (doubled_bytes > needed_bytes)
    status = buffer_reserve(body, dictionary->budget, doubled_bytes, NULL);
  if (status != STATUS_OK) status = buffer_reserve(body, dictionary->budget, needed_bytes, error);
  return status;
}

static enum status add_batch(struct parquet_dictionary *dictionary, const uint8_t *values,
                             int64_t count, uint32_t *indices, struct error *error) {
  switch (dictionary->slot_bytes) {
  case sizeof(struct dictionary_slot_4):
    return dictionary_add_4(dictionary, values, count, indices, error);
  case sizeof(struct dictionary_slot_8):
    return dictionary_add_8(dictionary, values, count, indices, error);
  default: return dictionary_add_bytes(dictionary, values, count, indices, error);
  }
}

enum status parquet_dictionary_add(struct parquet_dictionary *dictionary,
                                   const struct parquet_values *values, uint32_t *indices,
                                   struct error *error) {
  int64_t width_bytes = dictionary->type == PARQUET_BYTE_ARRAY
                            ? (int64_t)sizeof(struct parquet_bytes)
                            : dictionary->width_bytes;
  const uint8_t *data = values->data;
  for (int64_t i = 0; i < values->count; i += DICTIONARY_BATCH) {
    int64_t count = values->count - i;
    if (count > DICTIONARY_BATCH) count = DICTIONARY_BATCH;
    enum status status = make_room(dictionary, count, error);
    if (status == STATUS_OK)
      status = add_batch(dictionary, data + i * width_bytes, count, indices + i, error);
    if (status != STATUS_OK) return status;
    if (dictionary->is_crowded) {
      dictionary->far *= 2;
      seed_anew(dictionary);
      fill(dictionary, dictionary->bits);
    }
  }
  return STATUS_OK;
}

int64_t parquet_dictionary_count(const struct parquet_dictionary *dictionary) {
  return dictionary->count;
}

int64_t parquet_dictionary_bytes(const struct parquet_dictionary *dictionary) {
  return dictionary->body.size_bytes;
}

enum status parquet_dictionary_write(const struct parquet_dictionary *dictionary,
                                     struct buffer *out, struct budget *budget,
                                     struct error *error) {
  return buffer_append(out, budget, dictionary->body.data, dictionary->body.size_bytes, error);
}

enum status parquet_dictionary_values(const struct parquet_dictionary *dictionary,
                                      struct budget *budget, struct parquet_values *scratch,
                                      struct error *error) {
  const struct buffer *body = &dictionary->body;
  scratch->count = dictionary->count;
  scratch->data = body->data;
  scratch->data_bytes = 0;
  if (dictionary->type != PARQUET_BYTE_ARRAY) return STATUS_OK;

  int64_t bytes = dictionary->count * (int64_t)sizeof(struct parquet_bytes);
  scratch->own.size_bytes = 0; /* nothing to keep */
  enum status status = buffer_reserve(&scratch->own, budget, bytes, error);
  if (status != STATUS_OK) {
    scratch->count = 0;
    return status;
  }
  struct parquet_bytes *values = (struct parquet_bytes *)(void *)scratch->own.data;
  const uint8_t *at = body->data;
  for (int64_t i = 0; i < dictionary->count; i++) {
    values[i] = (struct parquet_bytes){at + 4, (int64_t)words_load_4(at)};
    at = values[i].data + values[i].size_bytes;
  }
  scratch->own.size_bytes = bytes;
  scratch->data = values;
  scratch->data_bytes = body->size_bytes - 4 * dictionary->count;
  return STATUS_OK;
}
