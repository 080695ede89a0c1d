/* Values of 4 and 8 bytes: the slot holds them. The two halves of this file are the same code for two
 * widths, made by a macro, as a width that the compiler knows is what makes them fast. */
#include <assert.h>
#include <string.h>

#include "parquet/dictionary_table.h"

/* ADD: a batch. All equal to the first (runs are common: sorted columns, constants): one search.
 * FILL: numbers in order, nothing to compare, as all values are distinct. */
#define DICTIONARY_OF(WIDTH, WORD, SLOT)                                                           \
  static inline uint64_t hash_##WIDTH(const struct parquet_dictionary *dictionary, WORD key) {     \
    return words_fold((uint64_t)key ^ dictionary->seeds[0], dictionary->seeds[1]);                 \
  }                                                                                                \
                                                                                                   \
  /* Hashes the values and asks for their slots. How many to look for: 1 if all are the same. */   \
  static inline int64_t prepare_##WIDTH(const struct parquet_dictionary *dictionary,               \
                                        const uint8_t *values, int64_t count, WORD *keys,          \
                                        uint64_t *homes) {                                         \
    const SLOT *slots = (const SLOT *)(const void *)dictionary->slots.data;                        \
    int shift = 64 - dictionary->bits;                                                             \
    memcpy(keys, values, (size_t)count * sizeof *keys);                                            \
    WORD different = 0;                                                                            \
    for (int64_t i = 0; i < count; i++) different |= keys[i] ^ keys[0];                            \
    if (different == 0) count = 1;                                                                 \
    for (int64_t i = 0; i < count; i++) {                                                          \
      homes[i] = hash_##WIDTH(dictionary, keys[i]) >> shift;                                       \
      __builtin_prefetch(&slots[homes[i]]);                                                        \
    }                                                                                              \
    return count;                                                                                  \
  }                                                                                                \
                                                                                                   \
  enum status dictionary_add_##WIDTH(struct parquet_dictionary *dictionary, const uint8_t *values, \
                                     int64_t count, uint32_t *indices, struct error *error) {      \
    WORD keys[DICTIONARY_BATCH];                                                                   \
    uint64_t homes[DICTIONARY_BATCH];                                                              \
    enum status status = dictionary_body_room(dictionary, count * WIDTH, error);                   \
    if (status != STATUS_OK) return status;                                                        \
    int64_t searched = prepare_##WIDTH(dictionary, values, count, keys, homes);                    \
    SLOT *slots = (SLOT *)(void *)dictionary->slots.data;                                          \
    uint64_t mask = ((uint64_t)1 << dictionary->bits) - 1;                                         \
    for (int64_t i = 0; i < searched; i++) {                                                       \
      uint64_t at = homes[i];                                                                      \
      while (slots[at].number != 0 && slots[at].key != keys[i]) at = (at + 1) & mask;              \
      if (slots[at].number == 0) {                                                                 \
        memcpy(dictionary->body.data + dictionary->body.size_bytes, &keys[i], WIDTH);              \
        dictionary->body.size_bytes += WIDTH;                                                      \
        slots[at] = (SLOT){keys[i], (uint32_t)++dictionary->count};                                \
        if (((at - homes[i]) & mask) > dictionary->far) dictionary->is_crowded = true;             \
      }                                                                                            \
      indices[i] = slots[at].number - 1;                                                           \
    }                                                                                              \
    for (int64_t i = searched; i < count; i++) indices[i] = indices[0];                            \
    return STATUS_OK;                                                                              \
  }                                                                                                \
                                                                                                   \
  void dictionary_fill_##WIDTH(struct parquet_dictionary *dictionary) {                            \
    WORD keys[DICTIONARY_BATCH];                                                                   \
    uint64_t homes[DICTIONARY_BATCH];                                                              \
    SLOT *slots = (SLOT *)(void *)dictionary->slots.data;                                          \
    uint64_t mask = ((uint64_t)1 << dictionary->bits) - 1;                                         \
    for (int64_t first = 0; first < dictionary->count; first += DICTIONARY_BATCH) {                \
      int64_t count = dictionary->count - first;                                                   \
      if (count > DICTIONARY_BATCH) count = DICTIONARY_BATCH;                                      \
      count =                                                                                      \
          prepare_##WIDTH(dictionary, dictionary->body.data + first * WIDTH, count, keys, homes);  \
      for (int64_t i = 0; i < count; i++) {                                                        \
        uint64_t at = homes[i];                                                                    \
        while (slots[at].number != 0) at = (at + 1) & mask;                                        \
        slots[at] = (SLOT){keys[i], (uint32_t)(first + i + 1)};                                    \
      }                                                                                            \
    }                                                                                              \
  }

DICTIONARY_OF(4, uint32_t, struct dictionary_slot_4)
DICTIONARY_OF(8, uint64_t, struct dictionary_slot_8)
