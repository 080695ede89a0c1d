/* Leaves by name. Every group and every leaf is an entry of a list that is sorted by the hash of its name,
 * once with all its names and once without those that Parquet puts between a field and its items. An
 * entry says where the leaves begin, and how many names of the first one's path it stands for, so names
 * are compared without being kept a second time. Sorted, not hashed into a table: whoever names the
 * fields cannot make it slow. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "parquet/schema_parts.h"

struct entry {
  uint64_t hash;
  int32_t first, count; /* leaves */
  int32_t names;        /* of the first leaf's path */
  bool is_short;
};

struct parquet_names {
  int64_t count;
  struct entry entries[];
};

/* ---- names as hashes ---------------------------------------------------------------------- */

static const uint64_t HASH_START = 0xcbf29ce484222325U;

/* FNV-1a: it can go on where it stopped. */
static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t size_bytes) {
  for (size_t i = 0; i < size_bytes; i++) hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001b3U;
  return hash;
}

/* A name that no field has given. */
static bool is_put_between(const char *name) {
  return name == parquet_name_list || name == parquet_name_element ||
         name == parquet_name_key_value;
}

/* Whether `path` is what the entry stands for. */
static bool entry_is(const struct parquet_schema *schema, const struct entry *entry,
                     const char *path) {
  const struct parquet_leaf *leaf = &schema->leaves[entry->first];
  for (int32_t i = 0; i < entry->names; i++) {
    const char *name = leaf->path[i];
    if (entry->is_short && is_put_between(name)) continue;
    if (i > 0 && *path++ != '.') return false;
    size_t bytes = strlen(name);
    if (strncmp(path, name, bytes) != 0) return false;
    path += bytes;
  }
  return *path == '\0';
}

/* ---- making the list ---------------------------------------------------------------------- */

/* Entries that begin with a leaf: its groups that the leaf before is not in, and itself. `ends`: behind
 * which leaf the group of each of its names ends. Without `names` they are counted only. */
static int64_t add_entries(const struct parquet_schema *schema, int32_t index, const int32_t *ends,
                           struct parquet_names *names) {
  const struct parquet_leaf *leaf = &schema->leaves[index];
  uint64_t full = HASH_START, brief = HASH_START;
  bool is_briefer = false;
  int64_t count = 0;
  for (int32_t i = 0; i < leaf->path_count; i++) {
    const char *name = leaf->path[i];
    size_t bytes = strlen(name);
    bool is_between = is_put_between(name);
    if (names != NULL) {
      if (i > 0) full = hash_bytes(full, ".", 1);
      full = hash_bytes(full, name, bytes);
      if (i > 0 && !is_between) brief = hash_bytes(brief, ".", 1);
      if (!is_between) brief = hash_bytes(brief, name, bytes);
    }
    is_briefer = is_briefer || is_between;
    if (i < leaf->shared_names) continue;
    bool has_short = is_briefer && !is_between;
    count += 1 + has_short;
    if (names == NULL) continue;
    struct entry entry = {.hash = full, .first = index, .count = ends[i] - index, .names = i + 1};
    names->entries[names->count++] = entry;
    if (!has_short) continue;
    entry.hash = brief;
    entry.is_short = true;
    names->entries[names->count++] = entry;
  }
  return count;
}

/* By hash; of one name the full one first, and the first leaf's. */
static int compare_entries(const void *left, const void *right) {
  const struct entry *a = left, *b = right;
  if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
  if (a->is_short != b->is_short) return a->is_short ? 1 : -1;
  return a->first < b->first ? -1 : a->first > b->first;
}

static int32_t longest_path(const struct parquet_schema *schema) {
  int32_t longest = 1;
  for (int32_t i = 0; i < schema->leaf_count; i++)
    if (schema->leaves[i].path_count > longest) longest = schema->leaves[i].path_count;
  return longest;
}

enum status parquet_names_new(const struct parquet_schema *schema, struct parquet_names **names,
                              struct error *error) {
  int64_t count = 0;
  for (int32_t i = 0; i < schema->leaf_count; i++) count += add_entries(schema, i, NULL, NULL);
  int32_t *ends = calloc((size_t)longest_path(schema), sizeof *ends);
  struct parquet_names *made = malloc(sizeof *made + (size_t)count * sizeof made->entries[0]);
  if (ends == NULL || made == NULL) {
    free(ends);
    free(made);
    return error_set(error, STATUS_NOMEM, "no memory for the names of a Parquet schema");
  }
  made->count = 0;
  for (int32_t i = schema->leaf_count - 1; i >= 0; i--) {
    bool is_last = i + 1 == schema->leaf_count;
    int32_t shared = is_last ? 0 : schema->leaves[i + 1].shared_names;
    for (int32_t k = shared; k < schema->leaves[i].path_count; k++) ends[k] = i + 1;
    add_entries(schema, i, ends, made);
  }
  qsort(made->entries, (size_t)made->count, sizeof made->entries[0], compare_entries);
  free(ends);
  *names = made;
  return STATUS_OK;
}

void parquet_names_free(struct parquet_names *names) { free(names); }

/* ---- finding ------------------------------------------------------------------------------ */

/* NULL: none that could be meant, or no memory to say it. */
static const char *nearest_name(const struct parquet_schema *schema, const char *path) {
  size_t count = (size_t)schema->leaf_count;
  const char **names = malloc((count > 0 ? 2 * count : 1) * sizeof *names);
  if (names == NULL) return NULL;
  for (size_t i = 0; i < count; i++) {
    names[i] = schema->leaves[i].name;
    names[count + i] = schema->leaves[i].path[0];
  }
  const char *nearest = text_nearest(path, names, 2 * count);
  free(names);
  return nearest;
}

static const struct entry *find_entry(const struct parquet_schema *schema, const char *path) {
  const struct parquet_names *names = schema->names;
  uint64_t hash = hash_bytes(HASH_START, path, strlen(path));
  int64_t low = 0, high = names->count;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (names->entries[middle].hash < hash)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < names->count && names->entries[low].hash == hash; low++)
    if (entry_is(schema, &names->entries[low], path)) return &names->entries[low];
  return NULL;
}

enum status parquet_schema_find(const struct parquet_schema *schema, const char *path,
                                int32_t *first, int32_t *count, struct error *error) {
  const struct entry *entry = find_entry(schema, path);
  if (entry != NULL) {
    *first = entry->first;
    *count = entry->count;
    return STATUS_OK;
  }
  const char *nearest = nearest_name(schema, path);
  if (nearest != NULL)
    return error_set(error, STATUS_NOT_FOUND,
                     "no column is called '%.200s': did you mean '%.200s'?", path, nearest);
  return error_set(error, STATUS_NOT_FOUND,
                   "no column is called '%.200s': name a field, with dots before the fields in it",
                   path);
}
