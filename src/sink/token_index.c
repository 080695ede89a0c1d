/* Sets of hashes, in the order of time.
 *
 * A set is an array in which a hash lies at the place that its bits and the seed name, or in one of
 * the next; 0 is an empty place (a hash of 0 is taken for 1, which only makes two tokens share one).
 * It is never more than four fifths full and grows by half, so that a hash takes 10 to 15 bytes.
 *
 * Invariants
 * 1. There is a generation, and the last one is the one that takes what lands.
 * 2. It has room for all that is reserved: an add cannot fail. A generation that cannot be made
 *    for want of memory is made later; until then the last one goes on.
 * 3. Generations are in the order of time, but for what was under way while one was closed: what
 *    they hold landed within [first_us, last_us] each. */
#include "sink/token_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
  GENERATIONS_MAX = 64, /* as many by age, as many by number, and those that are closing */
  CAPACITY_MIN = 64
};

struct generation {
  uint64_t *slots;
  int64_t capacity;
  int64_t count;
  int64_t from_us;           /* what was loaded belongs here from then on; when it was begun */
  int64_t first_us, last_us; /* of what landed; only where count > 0 */
};

struct token_index {
  struct generation generations[GENERATIONS_MAX];
  int64_t generation_count;
  int64_t reserved;
  int64_t count;
  int64_t retention_us;
  int64_t count_max;
  uint64_t seed;
  bool is_begun; /* by token_index_begin */
};

/* ---- one set --------------------------------------------------------------------------------- */

/* The places behind the one that is returned are tried in turn. */
static int64_t place_of(uint64_t hash, uint64_t seed, int64_t capacity) {
  uint64_t mixed = hash ^ seed;
  mixed = (mixed ^ (mixed >> 33)) * UINT64_C(0xFF51AFD7ED558CCD);
  mixed = (mixed ^ (mixed >> 33)) * UINT64_C(0xC4CEB9FE1A85EC53);
  mixed ^= mixed >> 33;
  return (int64_t)(((mixed >> 32) * (uint64_t)capacity) >> 32);
}

/* Where the hash is, or where it would be put. */
static int64_t find(const struct generation *generation, uint64_t hash, uint64_t seed) {
  int64_t at = place_of(hash, seed, generation->capacity);
  while (generation->slots[at] != 0 && generation->slots[at] != hash)
    if (++at == generation->capacity) at = 0;
  return at;
}

static bool has_room(const struct generation *generation, int64_t more) {
  return (generation->count + more) * 5 <= generation->capacity * 4;
}

static enum status make_room(struct generation *generation, int64_t more, uint64_t seed,
                             struct error *error) {
  if (generation->slots != NULL && has_room(generation, more)) return STATUS_OK;
  int64_t capacity = generation->capacity + generation->capacity / 2;
  int64_t wanted = (generation->count + more) * 5 / 4 + 1;
  if (capacity < wanted) capacity = wanted;
  if (capacity < CAPACITY_MIN) capacity = CAPACITY_MIN;
  struct generation grown = *generation;
  grown.slots = capacity > UINT32_MAX ? NULL : calloc((size_t)capacity, sizeof *grown.slots);
  if (grown.slots == NULL)
    return error_set(error, STATUS_NOMEM, "no memory to remember %lld tokens",
                     (long long)(generation->count + more));
  grown.capacity = capacity;
  for (int64_t i = 0; generation->slots != NULL && i < generation->capacity; i++)
    if (generation->slots[i] != 0)
      grown.slots[find(&grown, generation->slots[i], seed)] = generation->slots[i];
  free(generation->slots);
  *generation = grown;
  return STATUS_OK;
}

static uint64_t slot_value(uint64_t hash) { return hash == 0 ? 1 : hash; }

/* There is room. */
static void put(struct token_index *index, struct generation *generation, uint64_t hash,
                int64_t landed_us) {
  if (generation->count == 0) generation->first_us = generation->last_us = landed_us;
  if (landed_us < generation->first_us) generation->first_us = landed_us;
  if (landed_us > generation->last_us) generation->last_us = landed_us;
  int64_t at = find(generation, slot_value(hash), index->seed);
  if (generation->slots[at] != 0) return; /* two tokens of one hash */
  generation->slots[at] = slot_value(hash);
  generation->count++;
  index->count++;
}

/* ---- all of them ------------------------------------------------------------------------------- */

static struct generation *newest(struct token_index *index) {
  return &index->generations[index->generation_count - 1];
}

enum status token_index_new(int64_t retention_us, int64_t count_max, uint64_t seed,
                            struct token_index **out, struct error *error) {
  struct token_index *index = calloc(1, sizeof *index);
  *out = NULL;
  if (index == NULL) return error_set(error, STATUS_NOMEM, "no memory to remember tokens");
  index->seed = seed;
  index->generation_count = 1;
  token_index_limit(index, retention_us, count_max);
  enum status status = make_room(newest(index), 0, seed, error);
  if (status != STATUS_OK) {
    token_index_free(index);
    return status;
  }
  *out = index;
  return STATUS_OK;
}

void token_index_free(struct token_index *index) {
  if (index == NULL) return;
  for (int64_t i = 0; i < index->generation_count; i++) free(index->generations[i].slots);
  free(index);
}

void token_index_limit(struct token_index *index, int64_t retention_us, int64_t count_max) {
  index->retention_us = retention_us;
  index->count_max = count_max;
}

/* One more, with room for what is reserved and `count`. */
static enum status add_generation(struct token_index *index, int64_t from_us, int64_t count,
                                  struct error *error) {
  if (index->generation_count == GENERATIONS_MAX)
    return error_set(error, STATUS_INTERNAL, "too many generations of tokens");
  struct generation made = {.from_us = from_us};
  enum status status = make_room(&made, index->reserved + count, index->seed, error);
  if (status == STATUS_OK) index->generations[index->generation_count++] = made;
  return status;
}

/* Closes the newest one when it is full or old. */
static void turn(struct token_index *index, int64_t now_us) {
  const struct generation *last = newest(index);
  struct error ignored;
  if (last->count == 0) return;
  if (last->count <= index->count_max / TOKEN_INDEX_PARTS &&
      now_us - last->first_us < index->retention_us / TOKEN_INDEX_PARTS)
    return;
  /* Without memory, or places, the newest one goes on: invariant 2. */
  enum status status = add_generation(index, now_us, 0, &ignored);
  (void)status;
}

enum status token_index_begin(struct token_index *index, int64_t from_us, int64_t count,
                              struct error *error) {
  struct generation *last = newest(index);
  /* Where there is no place for one more, that one takes the rest. */
  if (index->is_begun && index->generation_count < GENERATIONS_MAX)
    return add_generation(index, from_us, count, error);
  if (!index->is_begun) last->from_us = from_us;
  index->is_begun = true;
  return make_room(last, count, index->seed, error);
}

enum status token_index_load(struct token_index *index, uint64_t hash, int64_t landed_us,
                             struct error *error) {
  int64_t at = index->generation_count - 1;
  while (at > 0 && index->generations[at].from_us > landed_us) at--;
  struct generation *generation = &index->generations[at];
  enum status status = make_room(generation, 1, index->seed, error);
  if (status == STATUS_OK) put(index, generation, hash, landed_us);
  return status;
}

enum status token_index_reserve(struct token_index *index, struct error *error) {
  enum status status = make_room(newest(index), index->reserved + 1, index->seed, error);
  if (status == STATUS_OK) index->reserved++;
  return status;
}

void token_index_unreserve(struct token_index *index) {
  assert(index->reserved > 0);
  index->reserved--;
}

void token_index_add(struct token_index *index, uint64_t hash, int64_t landed_us, int64_t now_us) {
  assert(index->reserved > 0);
  turn(index, now_us);
  index->reserved--;
  put(index, newest(index), hash, landed_us);
}

bool token_index_find(const struct token_index *index, uint64_t hash, int64_t *from_us,
                      int64_t *to_us) {
  bool found = false;
  for (int64_t i = index->generation_count - 1; i >= 0; i--) {
    const struct generation *generation = &index->generations[i];
    if (generation->count == 0) continue;
    if (generation->slots[find(generation, slot_value(hash), index->seed)] == 0) continue;
    if (!found || generation->first_us < *from_us) *from_us = generation->first_us;
    if (!found || generation->last_us > *to_us) *to_us = generation->last_us;
    found = true;
  }
  return found;
}

/* ---- forgetting --------------------------------------------------------------------------------- */

void token_index_plan(struct token_index *index, int64_t now_us, struct token_index_plan *plan) {
  int64_t old_us = now_us - index->retention_us, left = index->count;
  *plan = (struct token_index_plan){.before_us = old_us};
  turn(index, now_us);
  for (int64_t i = 0; i + 1 < index->generation_count; i++) {
    const struct generation *generation = &index->generations[i];
    bool is_old = generation->count == 0 || generation->last_us < old_us;
    if (!is_old && left <= index->count_max) break;
    plan->generations++;
    left -= generation->count;
    if (!is_old) plan->early += generation->count;
  }
  if (plan->early == 0) return;
  int64_t before_us = now_us;
  for (int64_t i = plan->generations; i < index->generation_count; i++) {
    const struct generation *generation = &index->generations[i];
    if (generation->count > 0 && generation->first_us < before_us) before_us = generation->first_us;
  }
  if (before_us > old_us) plan->before_us = before_us;
}

void token_index_forget(struct token_index *index, const struct token_index_plan *plan) {
  assert(plan->generations < index->generation_count);
  for (int64_t i = 0; i < plan->generations; i++) {
    index->count -= index->generations[i].count;
    free(index->generations[i].slots);
  }
  index->generation_count -= plan->generations;
  memmove(index->generations, index->generations + plan->generations,
          (size_t)index->generation_count * sizeof *index->generations);
}

void token_index_look(const struct token_index *index, int64_t *count, int64_t *memory_bytes) {
  *count = index->count;
  *memory_bytes = (int64_t)sizeof *index;
  for (int64_t i = 0; i < index->generation_count; i++)
    *memory_bytes += index->generations[i].capacity * (int64_t)sizeof(uint64_t);
}
