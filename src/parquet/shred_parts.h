/* The parts of shredding: shred.c goes from node to node, shred_nulls.c closes what is null, shred_lists.c
 * opens lists, shred_codes.c goes through dictionaries and runs. Inside the room only, for these files. */
#ifndef ARROWPORT_PARQUET_SHRED_PARTS_H
#define ARROWPORT_PARQUET_SHRED_PARTS_H

#include "parquet/shred.h"

/* What an entry's definition level is while it has a slot in the node that is looked at: above every
 * level there is, so that the least of it and max_def is right in the end. */
enum { SHRED_OPEN = 0xFF };

enum { SHRED_SLACK_BYTES = 64 }; /* functions write, and read, so far past their end */

enum shred_work {
  SHRED_DEF,
  SHRED_REP,
  SHRED_SPARE_DEF,
  SHRED_SPARE_REP,
  SHRED_STARTS,
  SHRED_LENGTHS,
  SHRED_SLOTS,
  SHRED_BITS
};

/* Entries are what becomes a level each: `count` of them. Those that are open have a slot in `array`;
 * `at` says which, in the order of the entries, in one of its three forms. */
struct shred {
  const struct parquet_leaf *leaf;
  struct parquet_shredder *own;
  int64_t row, row_base;
  int64_t count;
  bool has_def;    /* false: all are open */
  bool has_rep;    /* false: each begins a row */
  bool is_aligned; /* of the form with a bitmap: entry i is position first + i */
  struct parquet_slots at;
  const struct ArrowArray *array;
  /* Nulls of the leaf in positions that are the entries', in order: they go to the levels at once. */
  const uint8_t *direct;
  uint8_t direct_null_def;
};

static inline uint8_t *shred_bytes(const struct shred *shred, enum shred_work work) {
  return shred->own->work[work].data;
}
static inline int64_t *shred_numbers(const struct shred *shred, enum shred_work work) {
  return (int64_t *)(void *)shred->own->work[work].data;
}

/* Room for `bytes` and the slack; what was there stays. */
enum status shred_reserve(struct shred *shred, enum shred_work work, int64_t bytes,
                          struct error *error) WARN_UNUSED;

/* Closes the open entries whose slot is null in the node of `step`. */
enum status shred_nulls(struct shred *shred, const struct parquet_step *step,
                        struct error *error) WARN_UNUSED;
/* The form with a bitmap becomes positions one by one; others stay. */
enum status shred_to_slots(struct shred *shred, struct error *error) WARN_UNUSED;
/* `out`[i] = `set` where bit `first` + i is set, else `clear`, which is less. Writes up to 7 bytes more. */
void shred_unpack(const uint8_t *bits, int64_t first, int64_t count, uint8_t clear, uint8_t set,
                  uint8_t *out);

/* The open entries' lists: each entry becomes as many as its list has items, an empty one is closed. Goes
 * on with the items. */
enum status shred_lists(struct shred *shred, const struct parquet_step *step,
                        struct error *error) WARN_UNUSED;

/* Go on with the values. */
enum status shred_dictionary(struct shred *shred, const struct parquet_step *step,
                             struct error *error) WARN_UNUSED;
enum status shred_runs(struct shred *shred, const struct parquet_step *step,
                       struct error *error) WARN_UNUSED;

#endif
