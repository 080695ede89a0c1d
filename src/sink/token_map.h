/* The tokens that are in somebody's hands, and those that were last: by name, in memory.
 *
 * An entry is held from its claim on until it is settled; then it stays among the last ones, so that
 * a storm of repeated requests is answered without a look into the table, until newer ones push it
 * out. Not thread-safe. */
#ifndef ARROWPORT_SINK_TOKEN_MAP_H
#define ARROWPORT_SINK_TOKEN_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "sink/sink.h"

/* What a token is known by. The texts are the caller's. */
struct token_key {
  const char *table; /* as the table of tokens has it */
  const char *token;
  uint64_t hash; /* of both */
};

struct token_entry {
  struct token_key key; /* the texts lie behind the entry */
  bool is_held;
  int64_t landed_us; /* 0: not recorded yet */
  struct load_result result;
  struct token_entry *next; /* in the bucket */
  struct token_entry *newer, *older;
};

struct token_map;

enum status token_map_new(struct token_map **map, struct error *error) WARN_UNUSED;
void token_map_free(struct token_map *map); /* NULL is allowed */

struct token_entry *token_map_find(const struct token_map *map,
                                   const struct token_key *key); /* NULL: there is none */
/* A held one; there is none of that key. */
enum status token_map_hold(struct token_map *map, const struct token_key *key,
                           struct token_entry **entry, struct error *error) WARN_UNUSED;
/* It landed: it is one of the last. `result` is copied; where there is no memory for its changes,
 * or they are long, the entry goes, as by token_map_drop. */
void token_map_keep(struct token_map *map, struct token_entry *entry,
                    const struct load_result *result);
void token_map_drop(struct token_map *map, struct token_entry *entry);
/* Drops those among the last that landed before. */
void token_map_forget(struct token_map *map, int64_t before_us);
/* When the first of those that are held was recorded; `none` where none was. */
int64_t token_map_first_held_us(const struct token_map *map, int64_t none);
int64_t token_map_memory_bytes(const struct token_map *map);

#endif
