/* What the files of the dictionary share: the table, and how it is hashed. Private to dictionary*.c.
 *
 * 1. `body` holds the distinct values in PLAIN form, in the order of their numbers: it is the dictionary
 *    page, and all that the table can be made of again.
 * 2. `slots` is a table of 2^bits slots with linear probing. A slot with number 0 is free, others hold
 *    the value (or what stands for it) and its number plus one. At most DICTIONARY_FULL of the
 *    slots are taken, so that every search ends.
 * 3. The table grows and is seeded anew only between two batches, by inserting what `body` has.
 * 4. Values come from strangers, who may want them all in one place: the hash depends on a random seed
 *    that never leaves the process. Should a search still go far, the table is hashed by another
 *    seed, which takes no memory, and what counts as far is doubled: so that ends, too. */
#ifndef ARROWPORT_PARQUET_DICTIONARY_TABLE_H
#define ARROWPORT_PARQUET_DICTIONARY_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "parquet/dictionary.h"
#include "parquet/words.h"

enum {
  DICTIONARY_BATCH = 64, /* values hashed, then prefetched, then looked for */
  DICTIONARY_INLINE_BYTES = 16,
  DICTIONARY_FAR_AT_FIRST = 256, /* probes; chance alone goes some 100 in a large table */
  DICTIONARY_SEEDS = 3
};

struct dictionary_slot_4 {
  uint32_t key;
  uint32_t number; /* plus one */
};
struct dictionary_slot_8 {
  uint64_t key;
  uint32_t number;
};
struct dictionary_slot_bytes {
  /* Of at most 16 bytes: the value itself, zeros behind it. Longer: its hash, and where it
   * begins in `body`. */
  uint64_t key[2];
  uint32_t number;
  uint32_t size_bytes;
};

struct parquet_dictionary {
  struct budget *budget;
  enum parquet_type type;
  int64_t width_bytes;  /* of a fixed-width value */
  int64_t prefix_bytes; /* in front of each value in `body`: its length */
  int64_t slot_bytes;
  struct buffer body, slots;
  int64_t count;
  int bits; /* 0: there is no table yet */
  bool is_crowded;
  uint64_t far;
  uint64_t seeds[DICTIONARY_SEEDS];
};

/* Makes room for a new value of `bytes` in `body`. */
enum status dictionary_body_room(struct parquet_dictionary *dictionary, int64_t bytes,
                                 struct error *error) WARN_UNUSED;

/* The numbers of `count` <= DICTIONARY_BATCH values: there are slots enough. */
enum status dictionary_add_4(struct parquet_dictionary *dictionary, const uint8_t *values,
                             int64_t count, uint32_t *indices, struct error *error) WARN_UNUSED;
enum status dictionary_add_8(struct parquet_dictionary *dictionary, const uint8_t *values,
                             int64_t count, uint32_t *indices, struct error *error) WARN_UNUSED;
/* `lengths`: struct parquet_bytes; otherwise width_bytes each. */
enum status dictionary_add_bytes(struct parquet_dictionary *dictionary, const void *values,
                                 int64_t count, uint32_t *indices, struct error *error) WARN_UNUSED;

/* Puts what `body` has into the slots, which are all free. */
void dictionary_fill_4(struct parquet_dictionary *dictionary);
void dictionary_fill_8(struct parquet_dictionary *dictionary);
void dictionary_fill_bytes(struct parquet_dictionary *dictionary);

/* What a dictionary is hashed by, for tests: they know it as an attacker might. Before its first value. */
void dictionary_seed(struct parquet_dictionary *dictionary, const uint64_t seeds[DICTIONARY_SEEDS]);

#endif
