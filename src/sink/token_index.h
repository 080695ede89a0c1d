/* The hashes of the tokens that are remembered, by age: what there is of them in memory.
 *
 * A generation is an open-addressing set of 64-bit hashes that landed one after the other; the
 * newest one takes what lands, and is closed when it is a sixteenth of the retention old or holds a
 * sixteenth of the most that are remembered. Forgetting takes whole generations, the oldest first.
 * So nothing is stored of a single token but its hash: ten to sixteen bytes. Not thread-safe, knows
 * no clock: times are microseconds of the caller's, which never go back. */
#ifndef ARROWPORT_SINK_TOKEN_INDEX_H
#define ARROWPORT_SINK_TOKEN_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { TOKEN_INDEX_PARTS = 16 }; /* generations that a retention is worth, and a count_max */

struct token_index;

/* `seed` decides where in a set a hash lies: unknown outside, so that nobody can choose tokens that
 * get into each other's way. */
enum status token_index_new(int64_t retention_us, int64_t count_max, uint64_t seed,
                            struct token_index **index, struct error *error) WARN_UNUSED;
void token_index_free(struct token_index *index); /* NULL is allowed */
void token_index_limit(struct token_index *index, int64_t retention_us, int64_t count_max);

/* ---- what has landed before the start ------------------------------------------------- */

/* What is loaded from `from_us` on goes into a generation of its own, with room for `count`. Called
 * in the order of time, before anything else. */
enum status token_index_begin(struct token_index *index, int64_t from_us, int64_t count,
                              struct error *error) WARN_UNUSED;
/* In any order; `landed_us` is not before the first begin. */
enum status token_index_load(struct token_index *index, uint64_t hash, int64_t landed_us,
                             struct error *error) WARN_UNUSED;

/* ---- what lands ------------------------------------------------------------------------ */

/* Makes room for one more, which is kept until it is added or given up. */
enum status token_index_reserve(struct token_index *index, struct error *error) WARN_UNUSED;
void token_index_unreserve(struct token_index *index);
/* Takes what was reserved; cannot fail. */
void token_index_add(struct token_index *index, uint64_t hash, int64_t landed_us, int64_t now_us);

/* When a token of that hash landed, if one did: not before `from_us`, not after `to_us`. False:
 * none is remembered. */
bool token_index_find(const struct token_index *index, uint64_t hash, int64_t *from_us,
                      int64_t *to_us);

/* ---- forgetting ------------------------------------------------------------------------- */

struct token_index_plan {
  int64_t generations; /* to be forgotten, the oldest; 0: it is not time */
  int64_t early;       /* hashes among them that are not older than the retention */
  int64_t before_us;   /* all that landed before goes with them; nothing that stays did */
};
void token_index_plan(struct token_index *index, int64_t now_us, struct token_index_plan *plan);
/* Carries it out; what was added since the plan was made stays. */
void token_index_forget(struct token_index *index, const struct token_index_plan *plan);

void token_index_look(const struct token_index *index, int64_t *count, int64_t *memory_bytes);

#endif
