/* Settings described by tables. One row says everything about a setting: how it is
 * parsed and checked, its default, its environment variable, its help. The command
 * line, the YAML file, `arrowport sinks NAME`, and the reference documentation all
 * read the same rows. */
#ifndef ARROWPORT_BASE_CONFIG_H
#define ARROWPORT_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

enum config_type {
  CONFIG_STRING,
  CONFIG_PATH,    /* a string; `~` and relative paths mean what they mean to a shell */
  CONFIG_INTEGER, /* decimal, within min..max */
  CONFIG_BYTES,   /* an integer with an optional unit: KB, MB, GB, TB (powers of 1000), KiB, MiB,
                   * GiB, TiB (powers of 1024); within min..max */
  CONFIG_BOOLEAN, /* true|false|yes|no|on|off */
  CONFIG_CHOICE,  /* one of `choices` */
  CONFIG_LIST     /* strings; in text form separated by commas */
};

struct config_field {
  const char *name;
  enum config_type type;
  bool required;
  bool secret;              /* never printed */
  const char *unit;         /* "ms", "rows"; NULL: none */
  const char *default_text; /* NULL: no default, unset */
  int64_t min, max;         /* CONFIG_INTEGER, CONFIG_BYTES; both 0: not limited */
  const char *choices;      /* CONFIG_CHOICE: "zstd|lz4|none" */
  const char *environment;  /* NULL: none */
  const char *doc;          /* one sentence */
  /* What the type cannot say about a value (of a list: about each item); NULL: nothing.
   * STATUS_INVALID says what is wrong and what to write. */
  enum status (*check)(const char *value, struct error *error);
};

/* End of a table. */
#define CONFIG_FIELD_END ((struct config_field){.name = NULL})

/* Values for one table of fields, and where each came from. */
struct config;

/* Where a value came from; a later one in this list wins over an earlier one. */
enum config_origin { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

/* All fields at their defaults. `fields` must outlive the config. */
enum status config_new(const struct config_field *fields, struct config **config,
                       struct error *error) WARN_UNUSED;
void config_free(struct config *config); /* NULL is allowed */

/* Sets a field from text. STATUS_INVALID names field and reason; an unknown name is
 * an error that suggests the nearest one. A value of a weaker origin does not
 * replace one of a stronger origin, but is checked all the same. */
enum status config_set(struct config *config, const char *name, const char *value,
                       enum config_origin origin, struct error *error) WARN_UNUSED;
/* One item more for a CONFIG_LIST (the first replaces the default). */
enum status config_add(struct config *config, const char *name, const char *value,
                       enum config_origin origin, struct error *error) WARN_UNUSED;
/* Reads every field's environment variable. */
enum status config_environment(struct config *config, struct error *error) WARN_UNUSED;
/* STATUS_INVALID names the first required field that has no value. */
enum status config_check(const struct config *config, struct error *error) WARN_UNUSED;

/* Overwrites the text of a field that is set, so that a secret is in memory no longer than it is
 * needed; the field counts as set all the same. */
void config_wipe(struct config *config, const char *name);

bool config_has(const struct config *config, const char *name);
/* The value; asking for a field that the table lacks is a defect (asserted). */
const char *config_string(const struct config *config, const char *name); /* NULL: unset */
int64_t config_integer(const struct config *config, const char *name);    /* 0: unset */
bool config_boolean(const struct config *config, const char *name);
size_t config_list(const struct config *config, const char *name, const char *const **items);
enum config_origin config_origin(const struct config *config, const char *name);
const char *config_origin_name(enum config_origin origin); /* "environment" */
const char *config_type_name(enum config_type type);       /* "number" */

const struct config_field *config_fields(const struct config *config);

/* Appends a field's value as text that config_set takes back, a list's items joined by
 * commas; a secret that is set as "(hidden)"; nothing where the field is unset. */
enum status config_print(const struct config *config, const char *name, struct text *out,
                         struct error *error) WARN_UNUSED;

/* Appends help for a table: a line a field (name, type, unit, default, environment,
 * sentence). */
enum status config_help(const struct config_field *fields, struct text *out,
                        struct error *error) WARN_UNUSED;

#endif
