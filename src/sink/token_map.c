/* A chained hash table whose entries are also in one of two lists: those that are held, and the
 * last ones, by the time that they were settled.
 *
 * 1. An entry is in one bucket's chain and in one list.
 * 2. Entries that are held are never pushed out: there are as many as loads that are under way. */
#include "sink/token_map.h"

#include <stdlib.h>
#include <string.h>

enum {
  BUCKETS = 4096,
  KEPT_MAX = 4096,         /* of the last ones */
  CHANGES_BYTES_MAX = 1024 /* an entry with more is not worth its place */
};

struct list {
  struct token_entry *newest, *oldest;
};

struct token_map {
  struct token_entry *buckets[BUCKETS];
  struct list held, kept;
  int64_t kept_count;
  int64_t memory_bytes;
};

static int64_t entry_bytes(const struct token_entry *entry) {
  size_t changes = entry->result.changes == NULL ? 0 : strlen(entry->result.changes) + 1;
  return (int64_t)(sizeof *entry + strlen(entry->key.table) + strlen(entry->key.token) + 2 +
                   changes);
}

static void link_newest(struct list *list, struct token_entry *entry) {
  entry->newer = NULL;
  entry->older = list->newest;
  if (list->newest != NULL)
    list->newest->newer = entry;
  else
    list->oldest = entry;
  list->newest = entry;
}

static void unlink_entry(struct list *list, struct token_entry *entry) {
  if (entry->newer != NULL)
    entry->newer->older = entry->older;
  else
    list->newest = entry->older;
  if (entry->older != NULL)
    entry->older->newer = entry->newer;
  else
    list->oldest = entry->newer;
}

static struct token_entry **bucket_of(struct token_map *map, uint64_t hash) {
  return &map->buckets[hash % BUCKETS];
}

enum status token_map_new(struct token_map **map, struct error *error) {
  *map = calloc(1, sizeof **map);
  if (*map == NULL) return error_set(error, STATUS_NOMEM, "no memory for the tokens under way");
  (*map)->memory_bytes = (int64_t)sizeof **map;
  return STATUS_OK;
}

void token_map_free(struct token_map *map) {
  if (map == NULL) return;
  while (map->held.oldest != NULL) token_map_drop(map, map->held.oldest);
  while (map->kept.oldest != NULL) token_map_drop(map, map->kept.oldest);
  free(map);
}

struct token_entry *token_map_find(const struct token_map *map, const struct token_key *key) {
  struct token_entry *entry = map->buckets[key->hash % BUCKETS];
  while (entry != NULL &&
         (entry->key.hash != key->hash || strcmp(entry->key.token, key->token) != 0 ||
          strcmp(entry->key.table, key->table) != 0))
    entry = entry->next;
  return entry;
}

enum status token_map_hold(struct token_map *map, const struct token_key *key,
                           struct token_entry **out, struct error *error) {
  size_t table_bytes = strlen(key->table) + 1, token_bytes = strlen(key->token) + 1;
  struct token_entry *entry = malloc(sizeof *entry + table_bytes + token_bytes);
  *out = entry;
  if (entry == NULL) return error_set(error, STATUS_NOMEM, "no memory for a token");
  char *texts = (char *)(entry + 1);
  memcpy(texts, key->table, table_bytes);
  memcpy(texts + table_bytes, key->token, token_bytes);
  *entry = (struct token_entry){
      .key = {.table = texts, .token = texts + table_bytes, .hash = key->hash}, .is_held = true};
  struct token_entry **bucket = bucket_of(map, key->hash);
  entry->next = *bucket;
  *bucket = entry;
  link_newest(&map->held, entry);
  map->memory_bytes += entry_bytes(entry);
  return STATUS_OK;
}

void token_map_keep(struct token_map *map, struct token_entry *entry,
                    const struct load_result *result) {
  char *changes = NULL;
  if (result->changes != NULL) {
    changes = strnlen(result->changes, CHANGES_BYTES_MAX) < CHANGES_BYTES_MAX
                  ? strdup(result->changes)
                  : NULL;
    if (changes == NULL) {
      token_map_drop(map, entry);
      return;
    }
  }
  if (map->kept_count == KEPT_MAX) token_map_drop(map, map->kept.oldest);
  map->memory_bytes -= entry_bytes(entry);
  unlink_entry(&map->held, entry);
  entry->is_held = false;
  entry->result = *result;
  entry->result.changes = changes;
  map->memory_bytes += entry_bytes(entry);
  link_newest(&map->kept, entry);
  map->kept_count++;
}

void token_map_drop(struct token_map *map, struct token_entry *entry) {
  struct token_entry **at = bucket_of(map, entry->key.hash);
  while (*at != entry) at = &(*at)->next;
  *at = entry->next;
  unlink_entry(entry->is_held ? &map->held : &map->kept, entry);
  if (!entry->is_held) map->kept_count--;
  map->memory_bytes -= entry_bytes(entry);
  load_result_release(&entry->result);
  free(entry);
}

void token_map_forget(struct token_map *map, int64_t before_us) {
  for (struct token_entry *entry = map->kept.oldest, *newer; entry != NULL; entry = newer) {
    newer = entry->newer;
    if (entry->landed_us < before_us) token_map_drop(map, entry);
  }
}

int64_t token_map_first_held_us(const struct token_map *map, int64_t none) {
  int64_t first = none;
  for (const struct token_entry *entry = map->held.oldest; entry != NULL; entry = entry->newer)
    if (entry->landed_us != 0 && entry->landed_us < first) first = entry->landed_us;
  return first;
}

int64_t token_map_memory_bytes(const struct token_map *map) { return map->memory_bytes; }
