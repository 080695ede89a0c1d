/* The settings as a tree: sections of fields, sections below them, and sections whose
 * keys are names of the user's choosing (`streams:`). Private to this room: the rest
 * of the house sees struct server_config. */
#ifndef ARROWPORT_SERVER_SETTINGS_H
#define ARROWPORT_SERVER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"

enum {
  SETTINGS_FILE_BYTES_MAX = 1 << 20, /* a configuration is small; what is not is a mistake */
  SETTINGS_ENTRIES_MAX = 10000,      /* streams */
  SETTINGS_NAME_BYTES_MAX = 255,     /* of a stream's name */
};

/* What a section looks like. */
struct settings_section {
  const char *key; /* in its parent; NULL ends an array; the root's is "" */
  const char *doc;
  const struct config_field *fields;
  const struct settings_section *sections; /* NULL: none */
  const struct settings_section *entry;    /* of a section of named entries, otherwise NULL */
  /* Reads the section from one text ("zstd:3"); NULL: it has no short form. */
  enum status (*short_form)(struct config *values, const char *text, enum config_origin origin,
                            struct error *error);
  const char *short_form_environment; /* the variable that takes the short form */
  const char *example; /* of a section with names of the user's choosing, as comments */
};

/* What is in one. */
struct settings {
  const struct settings_section *section;
  struct config *values;
  struct settings *sections; /* as many as section->sections */
  size_t section_count;
  struct settings_entry *entries;
  size_t entry_count;
  size_t entry_capacity;
};

struct settings_entry {
  char *name;
  char *where; /* "arrowport.yaml:14:3" */
  struct settings settings;
};

/* All at their defaults. `settings` is safe to release whatever happens. */
enum status settings_init(struct settings *settings, const struct settings_section *section,
                          struct error *error) WARN_UNUSED;
void settings_release(struct settings *settings);

/* The section of that key, which must exist (asserted). */
struct settings *settings_section(struct settings *settings, const char *key);
/* A new entry at its defaults; it moves when the next one is added. Duplicates are
 * found by settings_sort_entries. */
enum status settings_entry_add(struct settings *settings, const char *name, const char *where,
                               struct settings **entry, struct error *error) WARN_UNUSED;
/* Sorts entries by name. STATUS_INVALID names two of one name and where they are. */
enum status settings_sort_entries(struct settings *settings, struct error *error) WARN_UNUSED;

/* Sets by path: "port", "http.idle_timeout_ms", or a section's short form. */
enum status settings_set(struct settings *settings, const char *path, const char *value,
                         enum config_origin origin, struct error *error) WARN_UNUSED;
/* Reads the environment for every field, and for short forms. */
enum status settings_environment(struct settings *settings, struct error *error) WARN_UNUSED;

/* The bytes of a configuration file (config_file.c), to be freed by settings_file_free whatever
 * happens; those of a file past the limit are one more than it. STATUS_NOT_FOUND, STATUS_DENIED,
 * STATUS_IO; STATUS_INVALID: no file; STATUS_TOO_LARGE; STATUS_TIMEOUT: a silent pipe. */
enum status settings_file_read(const char *path, char **data, size_t *bytes,
                               struct error *error) WARN_UNUSED;
void settings_file_free(char *data, size_t bytes); /* NULL is allowed; wipes it */

/* Reads YAML (config_yaml.c): bytes in, settings out, no I/O. `file` is its name in
 * messages; `only` NULL, or the one key that may stand at the top. */
enum status settings_yaml(struct settings *settings, const void *data, size_t bytes,
                          const char *file, const char *only, struct error *error) WARN_UNUSED;

/* The tables (config_tables.c). */
extern const struct settings_section SETTINGS_ROOT;
extern const struct settings_section SETTINGS_STREAM; /* one entry of `streams:` */

#endif
