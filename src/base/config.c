/* Values for a table of settings. Each value keeps the text it was given as (a path
 * expanded) beside what was made of it, and the origin that gave it; a value is
 * checked before it is stored, so what is stored is always valid. */
#include "base/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONFIG_FIELDS_MAX = 64, CONFIG_ITEMS_MAX = 1000, CONFIG_VALUE_BYTES_MAX = 64 * 1024 };

struct value {
  enum config_origin origin;
  char *text; /* NULL: unset, or a list */
  int64_t integer;
  bool boolean;
  const char **items; /* owned, and what they point to */
  size_t item_count;
};

struct config {
  const struct config_field *fields;
  size_t count;
  struct value values[];
};

/* ---- values ------------------------------------------------------------------- */

static void value_release(struct value *value) {
  free(value->text);
  for (size_t i = 0; i < value->item_count; i++) free((void *)value->items[i]);
  free(value->items);
  *value = (struct value){0};
}

/* What a message may repeat of a value: nothing of a secret, messages end in logs. */
static const char *shown(const struct config_field *field, const char *text) {
  return field->secret ? "(hidden)" : text;
}

static enum status out_of_range(const struct config_field *field, const char *text,
                                struct error *error) {
  return error_set(error, STATUS_INVALID, "'%s' must be from %lld to %lld%s%s, not '%.100s'",
                   field->name, (long long)field->min, (long long)field->max,
                   field->unit == NULL ? "" : " ", field->unit == NULL ? "" : field->unit,
                   shown(field, text));
}

static bool in_range(const struct config_field *field, int64_t number) {
  return (field->min == 0 && field->max == 0) || (number >= field->min && number <= field->max);
}

/* Reads decimal digits with an optional sign at the start of `text`; false when there
 * are none or the number does not fit. */
static bool scan_integer(const char *text, int64_t *number, const char **rest) {
  bool negative = *text == '-';
  if (negative) text++;
  if (*text < '0' || *text > '9') return false;
  int64_t value = 0; /* kept negative: INT64_MIN has no positive twin */
  for (; *text >= '0' && *text <= '9'; text++) {
    if (__builtin_mul_overflow(value, 10, &value)) return false;
    if (__builtin_sub_overflow(value, *text - '0', &value)) return false;
  }
  if (!negative && __builtin_sub_overflow((int64_t)0, value, &value)) return false;
  *number = value;
  *rest = text;
  return true;
}

static enum status parse_integer(const struct config_field *field, const char *text,
                                 struct value *value, struct error *error) {
  const char *rest;
  if (!scan_integer(text, &value->integer, &rest) || *rest != '\0')
    return error_set(error, STATUS_INVALID, "'%s' must be a whole number%s%s, not '%.100s'",
                     field->name, field->unit == NULL ? "" : " of ",
                     field->unit == NULL ? "" : field->unit, shown(field, text));
  if (!in_range(field, value->integer)) return out_of_range(field, text, error);
  return STATUS_OK;
}

/* Bytes that a unit stands for; 0: no such unit. */
static int64_t unit_bytes(const char *unit) {
  static const struct {
    const char *name;
    int64_t bytes;
  } units[] = {{"", 1},
               {"B", 1},
               {"KB", 1000},
               {"MB", 1000000},
               {"GB", 1000000000},
               {"TB", 1000000000000},
               {"KiB", (int64_t)1 << 10},
               {"MiB", (int64_t)1 << 20},
               {"GiB", (int64_t)1 << 30},
               {"TiB", (int64_t)1 << 40}};
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
    if (strcasecmp(unit, units[i].name) == 0) return units[i].bytes;
  return 0;
}

static enum status parse_bytes(const struct config_field *field, const char *text,
                               struct value *value, struct error *error) {
  const char *rest;
  if (*text == '-' || !scan_integer(text, &value->integer, &rest)) rest = "?";
  while (*rest == ' ') rest++;
  int64_t unit = unit_bytes(rest);
  if (unit == 0)
    return error_set(error, STATUS_INVALID,
                     "'%s' must be a number of bytes such as 1048576, 512MiB or 1GB, not '%.100s'",
                     field->name, shown(field, text));
  if (__builtin_mul_overflow(value->integer, unit, &value->integer))
    return error_set(error, STATUS_INVALID, "'%s' must be fewer bytes than 2^63, not '%.100s'",
                     field->name, shown(field, text));
  if (!in_range(field, value->integer)) return out_of_range(field, text, error);
  return STATUS_OK;
}

static enum status parse_boolean(const struct config_field *field, const char *text,
                                 struct value *value, struct error *error) {
  static const char *const names[] = {"false", "true", "no", "yes", "off", "on"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcasecmp(text, names[i]) == 0) {
      value->boolean = i % 2 == 1;
      return STATUS_OK;
    }
  return error_set(error, STATUS_INVALID, "'%s' must be true or false, not '%.100s'", field->name,
                   shown(field, text));
}

static enum status parse_choice(const struct config_field *field, const char *text,
                                struct error *error) {
  size_t bytes = strlen(text);
  const char *choice = field->choices;
  while (choice != NULL) {
    size_t choice_bytes = strcspn(choice, "|");
    if (choice_bytes == bytes && memcmp(choice, text, bytes) == 0) return STATUS_OK;
    choice = choice[choice_bytes] == '|' ? choice + choice_bytes + 1 : NULL;
  }
  return error_set(error, STATUS_INVALID, "'%s' must be one of %s, not '%.100s'", field->name,
                   field->choices, shown(field, text));
}

/* A leading `~/` is the home directory; everything else is left to the system. */
static enum status expand_path(const struct config_field *field, const char *text, char **path,
                               struct error *error) {
  struct text expanded = TEXT_EMPTY;
  enum status status = STATUS_OK;
  if (text[0] == '~') {
    const char *home = getenv("HOME");
    if ((text[1] != '/' && text[1] != '\0') || home == NULL)
      return error_set(error, STATUS_INVALID,
                       "the home directory in '%s' is not known: '%.100s'; write it out",
                       field->name, shown(field, text));
    status = text_add(&expanded, home, error);
    text++;
  }
  if (status == STATUS_OK) status = text_add(&expanded, text, error);
  if (status != STATUS_OK) {
    text_release(&expanded);
    return status;
  }
  *path = expanded.data;
  return STATUS_OK;
}

static enum status no_memory(struct error *error) {
  return error_set(error, STATUS_NOMEM, "no memory for a setting");
}

static enum status check_value(const struct config_field *field, const char *text,
                               struct error *error) {
  enum status status = field->check == NULL ? STATUS_OK : field->check(text, error);
  if (status != STATUS_OK) error_at(error, "'%s'", field->name);
  return status;
}

/* Takes one item more; `bytes` of `text`. */
static enum status add_item(const struct config_field *field, const char *text, size_t bytes,
                            struct value *value, struct error *error) {
  if (bytes == 0)
    return error_set(error, STATUS_INVALID, "'%s' has an empty item; leave it out", field->name);
  if (value->item_count == CONFIG_ITEMS_MAX)
    return error_set(error, STATUS_TOO_LARGE, "'%s' has more than %d items", field->name,
                     CONFIG_ITEMS_MAX);
  char *item = strndup(text, bytes);
  if (item == NULL) return no_memory(error);
  enum status status = check_value(field, item, error);
  if (status != STATUS_OK) {
    free(item);
    return status;
  }
  const char **items =
      realloc((void *)value->items, (value->item_count + 1) * sizeof value->items[0]);
  if (items == NULL) {
    free(item);
    return no_memory(error);
  }
  items[value->item_count++] = item;
  value->items = items;
  return STATUS_OK;
}

/* "a, b,c" */
static enum status parse_list(const struct config_field *field, const char *text,
                              struct value *value, struct error *error) {
  enum status status = STATUS_OK;
  text += strspn(text, " ");
  if (*text == '\0') return STATUS_OK; /* a list may be empty */
  for (; status == STATUS_OK; text++) {
    text += strspn(text, " ");
    size_t bytes = strcspn(text, ",");
    const char *end = text + bytes;
    while (bytes > 0 && text[bytes - 1] == ' ') bytes--;
    status = add_item(field, text, bytes, value, error);
    text = end;
    if (*text == '\0') break;
  }
  return status;
}

/* Makes a value of `text`. On a failure `value` holds nothing. */
static enum status value_parse(const struct config_field *field, const char *text,
                               struct value *value, struct error *error) {
  *value = (struct value){0};
  enum status status = STATUS_OK;
  if (strlen(text) > CONFIG_VALUE_BYTES_MAX)
    return error_set(error, STATUS_TOO_LARGE, "'%s' has %zu bytes; at most %d are allowed",
                     field->name, strlen(text), CONFIG_VALUE_BYTES_MAX);
  switch (field->type) {
  case CONFIG_STRING: break;
  case CONFIG_PATH: status = expand_path(field, text, &value->text, error); break;
  case CONFIG_INTEGER: status = parse_integer(field, text, value, error); break;
  case CONFIG_BYTES: status = parse_bytes(field, text, value, error); break;
  case CONFIG_BOOLEAN: status = parse_boolean(field, text, value, error); break;
  case CONFIG_CHOICE: status = parse_choice(field, text, error); break;
  case CONFIG_LIST: status = parse_list(field, text, value, error); break;
  }
  if (status == STATUS_OK && field->type != CONFIG_LIST) status = check_value(field, text, error);
  if (status == STATUS_OK && value->text == NULL && field->type != CONFIG_LIST) {
    value->text = strdup(text);
    if (value->text == NULL) status = no_memory(error);
  }
  if (status != STATUS_OK) value_release(value);
  return status;
}

/* ---- configs ------------------------------------------------------------------ */

enum status config_new(const struct config_field *fields, struct config **config,
                       struct error *error) {
  size_t count = 0;
  while (fields[count].name != NULL) count++;
  assert(count <= CONFIG_FIELDS_MAX);
  struct config *made = calloc(1, sizeof *made + count * sizeof made->values[0]);
  if (made == NULL) return no_memory(error);
  made->fields = fields;
  made->count = count;
  for (size_t i = 0; i < count; i++) {
    if (fields[i].default_text == NULL) continue;
    enum status status = value_parse(&fields[i], fields[i].default_text, &made->values[i], error);
    if (status != STATUS_OK) {
      error_at(error, "the default");
      config_free(made);
      return status;
    }
  }
  *config = made;
  return STATUS_OK;
}

void config_free(struct config *config) {
  if (config == NULL) return;
  for (size_t i = 0; i < config->count; i++) value_release(&config->values[i]);
  free(config);
}

/* Where the field of that name is; config->count: there is none. */
static size_t find(const struct config *config, const char *name) {
  size_t i = 0;
  while (i < config->count && strcmp(config->fields[i].name, name) != 0) i++;
  return i;
}

static enum status find_or_suggest(const struct config *config, const char *name, size_t *index,
                                   struct error *error) {
  *index = find(config, name);
  if (*index < config->count) return STATUS_OK;
  const char *names[CONFIG_FIELDS_MAX];
  for (size_t i = 0; i < config->count; i++) names[i] = config->fields[i].name;
  const char *nearest = text_nearest(name, names, config->count);
  if (nearest != NULL)
    return error_set(error, STATUS_INVALID, "there is no setting '%.100s'; did you mean '%s'?",
                     name, nearest);
  return error_set(error, STATUS_INVALID, "there is no setting '%.100s'", name);
}

enum status config_set(struct config *config, const char *name, const char *value,
                       enum config_origin origin, struct error *error) {
  size_t index;
  enum status status = find_or_suggest(config, name, &index, error);
  if (status != STATUS_OK) return status;
  struct value made;
  status = value_parse(&config->fields[index], value, &made, error);
  if (status != STATUS_OK) return status;
  made.origin = origin;
  struct value *slot = &config->values[index];
  if (origin < slot->origin) {
    value_release(&made);
    return STATUS_OK;
  }
  value_release(slot);
  *slot = made;
  return STATUS_OK;
}

enum status config_add(struct config *config, const char *name, const char *value,
                       enum config_origin origin, struct error *error) {
  size_t index;
  enum status status = find_or_suggest(config, name, &index, error);
  if (status != STATUS_OK) return status;
  const struct config_field *field = &config->fields[index];
  assert(field->type == CONFIG_LIST);
  struct value *slot = &config->values[index];
  if (origin == slot->origin && origin != CONFIG_DEFAULT)
    return add_item(field, value, strlen(value), slot, error);
  struct value made = {.origin = origin};
  status = add_item(field, value, strlen(value), &made, error);
  if (status != STATUS_OK || origin < slot->origin) {
    value_release(&made);
    return status;
  }
  value_release(slot);
  *slot = made;
  return STATUS_OK;
}

enum status config_environment(struct config *config, struct error *error) {
  for (size_t i = 0; i < config->count; i++) {
    const struct config_field *field = &config->fields[i];
    const char *text = field->environment == NULL ? NULL : getenv(field->environment);
    if (text == NULL) continue;
    enum status status = config_set(config, field->name, text, CONFIG_ENVIRONMENT, error);
    if (status != STATUS_OK) {
      error_at(error, "environment variable %s", field->environment);
      return status;
    }
  }
  return STATUS_OK;
}

enum status config_check(const struct config *config, struct error *error) {
  for (size_t i = 0; i < config->count; i++) {
    const struct config_field *field = &config->fields[i];
    if (!field->required || config_has(config, field->name)) continue;
    if (field->environment == NULL)
      return error_set(error, STATUS_INVALID, "'%s' is required: %s", field->name, field->doc);
    return error_set(error, STATUS_INVALID, "'%s' is required (or %s in the environment): %s",
                     field->name, field->environment, field->doc);
  }
  return STATUS_OK;
}

/* ---- reading ------------------------------------------------------------------ */

static const struct value *get(const struct config *config, const char *name) {
  size_t index = find(config, name);
  assert(index < config->count);
  return &config->values[index];
}

bool config_has(const struct config *config, const char *name) {
  const struct value *value = get(config, name);
  return value->text != NULL || value->item_count > 0 || value->origin != CONFIG_DEFAULT;
}

void config_wipe(struct config *config, const char *name) {
  size_t index = find(config, name);
  assert(index < config->count);
  char *text = config->values[index].text;
  if (text != NULL) explicit_bzero(text, strlen(text));
}

const char *config_string(const struct config *config, const char *name) {
  return get(config, name)->text;
}

int64_t config_integer(const struct config *config, const char *name) {
  return get(config, name)->integer;
}

bool config_boolean(const struct config *config, const char *name) {
  return get(config, name)->boolean;
}

size_t config_list(const struct config *config, const char *name, const char *const **items) {
  const struct value *value = get(config, name);
  *items = value->items;
  return value->item_count;
}

enum config_origin config_origin(const struct config *config, const char *name) {
  return get(config, name)->origin;
}

const char *config_origin_name(enum config_origin origin) {
  static const char *const names[] = {"default", "file", "environment", "flag"};
  return names[origin];
}

const struct config_field *config_fields(const struct config *config) { return config->fields; }

enum status config_print(const struct config *config, const char *name, struct text *out,
                         struct error *error) {
  size_t index = find(config, name);
  assert(index < config->count);
  const struct value *value = &config->values[index];
  if (config->fields[index].secret)
    return config_has(config, name) ? text_add(out, "(hidden)", error) : STATUS_OK;
  if (value->text != NULL) return text_add(out, value->text, error);
  enum status status = STATUS_OK;
  for (size_t i = 0; i < value->item_count && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(out, ",", error);
    if (status == STATUS_OK) status = text_add(out, value->items[i], error);
  }
  return status;
}

/* ---- help --------------------------------------------------------------------- */

const char *config_type_name(enum config_type type) {
  static const char *const names[] = {"text",       "path",   "number", "bytes",
                                      "true|false", "choice", "list"};
  return names[type];
}

static enum status help_line(const struct config_field *field, int width, struct text *out,
                             struct error *error) {
  enum status status = text_add_format(
      out, error, "  %-*s  %s", width, field->name,
      field->type == CONFIG_CHOICE ? field->choices : config_type_name(field->type));
  if (status == STATUS_OK && field->unit != NULL)
    status = text_add_format(out, error, ", %s", field->unit);
  if (status == STATUS_OK && field->required) status = text_add(out, "; required", error);
  if (status == STATUS_OK && field->default_text != NULL)
    status = text_add_format(out, error, "; default %s", field->default_text);
  if (status == STATUS_OK && field->environment != NULL)
    status = text_add_format(out, error, "; %s", field->environment);
  if (status == STATUS_OK)
    status = text_add_format(out, error, "\n  %-*s  %s\n", width, "", field->doc);
  return status;
}

enum status config_help(const struct config_field *fields, struct text *out, struct error *error) {
  size_t width = 0;
  for (const struct config_field *field = fields; field->name != NULL; field++)
    if (strlen(field->name) > width) width = strlen(field->name);
  enum status status = STATUS_OK;
  for (const struct config_field *field = fields; field->name != NULL && status == STATUS_OK;
       field++)
    status = help_line(field, (int)width, out, error);
  return status;
}
