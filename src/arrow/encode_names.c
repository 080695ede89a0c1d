/* A hash table of all names that are taken: at first those that the schema gives, so
 * that nobody's own name is given to another. Each keeps the number to try next, so
 * that a thousand equal names do not try all numbers a thousand times. */
#include "arrow/encode_names.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUFFIX_BYTES = 24 };

struct entry {
  const char *name;
  int64_t next_number;
  bool is_used; /* by an earlier field */
};

struct table {
  struct entry *entries;
  size_t mask; /* number of entries, a power of two, less one */
};

static enum status no_memory(struct error *error) {
  error_set(error, STATUS_NOMEM, "no memory for names");
  return STATUS_NOMEM;
}

static uint64_t hash(const char *name) { /* FNV-1a */
  uint64_t value = UINT64_C(14695981039346656037);
  for (; *name != '\0'; name++) value = (value ^ (uint8_t)*name) * UINT64_C(1099511628211);
  return value ^ value >> 32;
}

/* The entry of `name`, or the free one that it would get. At most half are taken. */
static struct entry *find(const struct table *table, const char *name) {
  size_t i = (size_t)hash(name) & table->mask;
  while (table->entries[i].name != NULL && strcmp(table->entries[i].name, name) != 0)
    i = (i + 1) & table->mask;
  return &table->entries[i];
}

static enum status table_init(struct table *table, const struct layout *layout,
                              struct error *error) {
  size_t size = 8;
  while (size < 4 * (size_t)layout->child_count) size *= 2;
  table->entries = calloc(size, sizeof *table->entries);
  if (table->entries == NULL) return no_memory(error);
  table->mask = size - 1;
  for (int64_t i = 0; i < layout->child_count; i++) {
    const char *name = layout_name(&layout->children[i]);
    struct entry *entry = find(table, name);
    if (entry->name == NULL) *entry = (struct entry){.name = name, .next_number = 1};
  }
  return STATUS_OK;
}

/* A name of its own for a field called `given`; NULL when there is no memory. */
static char *make_name(struct table *table, const char *given) {
  struct entry *entry = find(table, given);
  size_t room_bytes = strlen(given) + SUFFIX_BYTES;
  char *name = malloc(room_bytes);
  if (name == NULL) return NULL;
  snprintf(name, room_bytes, "%s", given);
  if (!entry->is_used) {
    entry->is_used = true;
    return name;
  }
  struct entry *taken;
  do {
    snprintf(name, room_bytes, "%s_%lld", given, (long long)entry->next_number++);
    taken = find(table, name);
  } while (taken->name != NULL);
  *taken = (struct entry){.name = name, .next_number = 1, .is_used = true};
  return name;
}

enum status encode_names_new(const struct layout *layout, char ***names, struct error *error) {
  *names = NULL;
  int64_t count = layout->child_count;
  if (count == 0) return STATUS_OK;
  struct table table = {0};
  char **made = calloc((size_t)count, sizeof *made);
  if (made == NULL) return no_memory(error);
  enum status status = table_init(&table, layout, error);
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    made[i] = make_name(&table, layout_name(&layout->children[i]));
    if (made[i] == NULL) status = no_memory(error);
  }
  free(table.entries);
  if (status == STATUS_OK)
    *names = made;
  else
    encode_names_free(made, count);
  return status;
}

void encode_names_free(char **names, int64_t count) {
  if (names == NULL) return;
  for (int64_t i = 0; i < count; i++) free(names[i]);
  free(names);
}
