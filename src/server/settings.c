#include "server/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum status no_memory(struct error *error) {
  return error_set(error, STATUS_NOMEM, "no memory for the configuration");
}

enum status settings_init(struct settings *settings, const struct settings_section *section,
                          struct error *error) {
  *settings = (struct settings){.section = section};
  enum status status = config_new(section->fields, &settings->values, error);
  if (status != STATUS_OK) return status;
  size_t count = 0;
  while (section->sections != NULL && section->sections[count].key != NULL) count++;
  if (count == 0) return STATUS_OK;
  settings->sections = calloc(count, sizeof settings->sections[0]);
  if (settings->sections == NULL) return no_memory(error);
  settings->section_count = count;
  /* As deep as the tables are, which are ours. */
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = settings_init(&settings->sections[i], &section->sections[i], error);
  return status;
}

void settings_release(struct settings *settings) {
  config_free(settings->values);
  for (size_t i = 0; i < settings->section_count; i++) settings_release(&settings->sections[i]);
  free(settings->sections);
  for (size_t i = 0; i < settings->entry_count; i++) {
    free(settings->entries[i].name);
    free(settings->entries[i].where);
    settings_release(&settings->entries[i].settings);
  }
  free(settings->entries);
  *settings = (struct settings){0};
}

struct settings *settings_section(struct settings *settings, const char *key) {
  size_t i = 0;
  while (i < settings->section_count && strcmp(settings->sections[i].section->key, key) != 0) i++;
  assert(i < settings->section_count);
  return &settings->sections[i];
}

enum status settings_entry_add(struct settings *settings, const char *name, const char *where,
                               struct settings **entry, struct error *error) {
  if (settings->entry_count == SETTINGS_ENTRIES_MAX)
    return error_set(error, STATUS_TOO_LARGE, "more than %d entries in '%s'", SETTINGS_ENTRIES_MAX,
                     settings->section->key);
  if (settings->entry_count == settings->entry_capacity) {
    size_t capacity = settings->entry_capacity == 0 ? 8 : settings->entry_capacity * 2;
    struct settings_entry *entries =
        realloc(settings->entries, capacity * sizeof settings->entries[0]);
    if (entries == NULL) return no_memory(error);
    settings->entries = entries;
    settings->entry_capacity = capacity;
  }
  struct settings_entry *made = &settings->entries[settings->entry_count++];
  *made = (struct settings_entry){.name = strdup(name), .where = strdup(where)};
  if (made->name == NULL || made->where == NULL) return no_memory(error);
  enum status status = settings_init(&made->settings, settings->section->entry, error);
  *entry = &made->settings;
  return status;
}

static int by_name(const void *left, const void *right) {
  const struct settings_entry *a = left;
  const struct settings_entry *b = right;
  return strcmp(a->name, b->name);
}

enum status settings_sort_entries(struct settings *settings, struct error *error) {
  if (settings->entry_count == 0) return STATUS_OK;
  qsort(settings->entries, settings->entry_count, sizeof settings->entries[0], by_name);
  for (size_t i = 1; i < settings->entry_count; i++) {
    const struct settings_entry *a = &settings->entries[i - 1];
    const struct settings_entry *b = &settings->entries[i];
    if (strcmp(a->name, b->name) == 0)
      return error_set(error, STATUS_INVALID,
                       "'%s' is configured twice under '%s', at %s and at %s; keep one of them",
                       a->name, settings->section->key, a->where, b->where);
  }
  return STATUS_OK;
}

enum status settings_set(struct settings *settings, const char *path, const char *value,
                         enum config_origin origin, struct error *error) {
  const char *dot = strchr(path, '.');
  size_t key_bytes = dot == NULL ? strlen(path) : (size_t)(dot - path);
  for (size_t i = 0; i < settings->section_count; i++) {
    struct settings *below = &settings->sections[i];
    const char *key = below->section->key;
    if (strlen(key) != key_bytes || memcmp(key, path, key_bytes) != 0) continue;
    if (dot != NULL) return settings_set(below, dot + 1, value, origin, error);
    if (below->section->short_form != NULL)
      return below->section->short_form(below->values, value, origin, error);
    return error_set(error, STATUS_INVALID, "'%s' is a section: name a setting in it", path);
  }
  return config_set(settings->values, path, value, origin, error);
}

enum status settings_environment(struct settings *settings, struct error *error) {
  const struct settings_section *section = settings->section;
  enum status status = config_environment(settings->values, error);
  const char *text =
      section->short_form_environment == NULL ? NULL : getenv(section->short_form_environment);
  if (status == STATUS_OK && text != NULL) {
    status = section->short_form(settings->values, text, CONFIG_ENVIRONMENT, error);
    if (status != STATUS_OK)
      error_at(error, "environment variable %s", section->short_form_environment);
  }
  for (size_t i = 0; i < settings->section_count && status == STATUS_OK; i++)
    status = settings_environment(&settings->sections[i], error);
  return status;
}
