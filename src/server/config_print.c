/* The settings as people read them: what holds now and why, a file to start from, and
 * the reference. All of it is read from the tables. */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config.h"
#include "server/settings.h"

/* ---- what holds now ------------------------------------------------------------- */

/* One row of `config show`. */
struct row {
  const char *key; /* "streams.sensors.compression.level" */
  const struct config *values;
  const struct config_field *field;
};

/* Walks all fields in the order of the tables. */
typedef enum status (*visit)(void *context, const struct row *row, struct error *error);

static enum status walk(const struct settings *settings, struct text *prefix, visit visitor,
                        void *context, struct error *error);

static enum status walk_below(const struct settings *settings, struct text *prefix,
                              const char *name, visit visitor, void *context, struct error *error) {
  size_t before_bytes = prefix->size_bytes;
  enum status status = text_add_format(prefix, error, "%s.", name);
  if (status == STATUS_OK) status = walk(settings, prefix, visitor, context, error);
  prefix->size_bytes = before_bytes;
  if (prefix->data != NULL) prefix->data[before_bytes] = '\0';
  return status;
}

static enum status walk(const struct settings *settings, struct text *prefix, visit visitor,
                        void *context, struct error *error) {
  enum status status = STATUS_OK;
  const struct config_field *field = settings->section->fields;
  for (; field->name != NULL && status == STATUS_OK; field++) {
    struct text key = TEXT_EMPTY;
    status = text_add_format(&key, error, "%s%s", text_get(prefix), field->name);
    struct row row = {text_get(&key), settings->values, field};
    if (status == STATUS_OK) status = visitor(context, &row, error);
    text_release(&key);
  }
  for (size_t i = 0; i < settings->section_count && status == STATUS_OK; i++) {
    const struct settings *below = &settings->sections[i];
    status = walk_below(below, prefix, below->section->key, visitor, context, error);
  }
  for (size_t i = 0; i < settings->entry_count && status == STATUS_OK; i++) {
    const struct settings_entry *entry = &settings->entries[i];
    status = walk_below(&entry->settings, prefix, entry->name, visitor, context, error);
  }
  return status;
}

static enum status widen(void *context, const struct row *row, struct error *error) {
  size_t *widths = context;
  struct text value = TEXT_EMPTY;
  enum status status = config_print(row->values, row->field->name, &value, error);
  if (strlen(row->key) > widths[0]) widths[0] = strlen(row->key);
  if (value.size_bytes > widths[1]) widths[1] = value.size_bytes;
  text_release(&value);
  return status;
}

struct table {
  const struct server_config *config;
  struct text *out;
  size_t widths[2];
  bool first;
};

/* For people; a default that is made says of what. */
static const char *origin_of(const struct server_config *config, const struct row *row) {
  bool made = strcmp(row->key, "memory_limit") == 0 && config->memory_why[0] != '\0';
  return made ? config->memory_why
              : config_origin_name(config_origin(row->values, row->field->name));
}

static enum status add_line(void *context, const struct row *row, struct error *error) {
  struct table *table = context;
  struct text value = TEXT_EMPTY;
  enum status status = config_print(row->values, row->field->name, &value, error);
  if (status == STATUS_OK)
    status = text_add_format(table->out, error, "%-*s  %-*s  %s\n", (int)table->widths[0], row->key,
                             (int)table->widths[1], value.size_bytes == 0 ? "-" : text_get(&value),
                             origin_of(table->config, row));
  text_release(&value);
  return status;
}

static enum status add_json_text(struct text *out, const char *string, struct error *error) {
  return text_add_json(out, string, strlen(string), error);
}

static enum status add_json_value(struct text *out, const struct row *row, struct error *error) {
  const struct config_field *field = row->field;
  if (!config_has(row->values, field->name)) return text_add(out, "null", error);
  if (!field->secret && (field->type == CONFIG_INTEGER || field->type == CONFIG_BYTES))
    return text_add_format(out, error, "%lld", (long long)config_integer(row->values, field->name));
  if (!field->secret && field->type == CONFIG_BOOLEAN)
    return text_add(out, config_boolean(row->values, field->name) ? "true" : "false", error);
  if (!field->secret && field->type == CONFIG_LIST) {
    const char *const *items;
    size_t count = config_list(row->values, field->name, &items);
    enum status status = text_add(out, "[", error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
      if (i > 0) status = text_add(out, ",", error);
      if (status == STATUS_OK) status = add_json_text(out, items[i], error);
    }
    return status == STATUS_OK ? text_add(out, "]", error) : status;
  }
  struct text value = TEXT_EMPTY;
  enum status status = config_print(row->values, field->name, &value, error);
  if (status == STATUS_OK) status = add_json_text(out, text_get(&value), error);
  text_release(&value);
  return status;
}

static enum status add_json_row(void *context, const struct row *row, struct error *error) {
  struct table *table = context;
  enum status status =
      text_add(table->out, table->first ? "\n    {\"key\": " : ",\n    {\"key\": ", error);
  table->first = false;
  if (status == STATUS_OK) status = add_json_text(table->out, row->key, error);
  if (status == STATUS_OK) status = text_add(table->out, ", \"value\": ", error);
  if (status == STATUS_OK) status = add_json_value(table->out, row, error);
  if (status == STATUS_OK)
    status = text_add_format(table->out, error, ", \"origin\": \"%s\"}",
                             config_origin_name(config_origin(row->values, row->field->name)));
  return status;
}

static enum status show_json(const struct server_config *config, struct text *prefix,
                             struct table *table, struct error *error) {
  enum status status = text_add(table->out, "{\n  \"file\": ", error);
  if (status == STATUS_OK)
    status = config->path == NULL ? text_add(table->out, "null", error)
                                  : add_json_text(table->out, config->path, error);
  if (status == STATUS_OK) status = text_add(table->out, ",\n  \"settings\": [", error);
  if (status == STATUS_OK) status = walk(config->settings, prefix, add_json_row, table, error);
  if (status == STATUS_OK) status = text_add(table->out, "\n  ]\n}\n", error);
  return status;
}

enum status server_config_show(const struct server_config *config, bool json, struct text *out,
                               struct error *error) {
  struct text prefix = TEXT_EMPTY;
  struct table table = {.config = config, .out = out, .first = true};
  enum status status = STATUS_OK;
  if (json) {
    status = show_json(config, &prefix, &table, error);
  } else {
    status = walk(config->settings, &prefix, widen, table.widths, error);
    if (status == STATUS_OK) status = walk(config->settings, &prefix, add_line, &table, error);
  }
  text_release(&prefix);
  return status;
}

/* ---- a file to start from -------------------------------------------------------- */

enum { COMMENT_COLUMNS = 80 };

/* A sentence as comment lines of at most COMMENT_COLUMNS. */
static enum status add_comment(struct text *out, const char *indent, const char *sentence,
                               struct error *error) {
  size_t column = 0;
  enum status status = STATUS_OK;
  while (*sentence != '\0' && status == STATUS_OK) {
    size_t word = strcspn(sentence, " ");
    if (column > 0 && column + 1 + word > COMMENT_COLUMNS) {
      status = text_add(out, "\n", error);
      column = 0;
    }
    if (status == STATUS_OK && column == 0) {
      status = text_add_format(out, error, "%s#", indent);
      column = strlen(indent) + 1;
    }
    if (status == STATUS_OK) status = text_add_format(out, error, " %.*s", (int)word, sentence);
    column += 1 + word;
    sentence += word;
    sentence += strspn(sentence, " ");
  }
  return status == STATUS_OK ? text_add(out, "\n", error) : status;
}

/* A default as YAML: in quotes unless it plainly is what it says. */
static enum status add_yaml_value(struct text *out, const char *value, struct error *error) {
  bool plain = isalnum((unsigned char)value[0]) || value[0] == '.';
  for (const char *at = value; *at != '\0'; at++)
    plain = plain && (isalnum((unsigned char)*at) || strchr("._/-", *at) != NULL);
  if (plain) return text_add(out, value, error);
  return text_add_literal(out, value, error);
}

static enum status add_default(struct text *out, const char *indent,
                               const struct config_field *field, struct error *error) {
  enum status status = add_comment(out, indent, field->doc, error);
  if (status == STATUS_OK && field->choices != NULL)
    status = text_add_format(out, error, "%s# %s\n", indent, field->choices);
  if (status != STATUS_OK) return status;
  if (field->default_text == NULL)
    return text_add_format(out, error, "%s# %s:\n", indent, field->name);
  status = text_add_format(out, error, "%s%s: ", indent, field->name);
  if (status == STATUS_OK) status = add_yaml_value(out, field->default_text, error);
  return status == STATUS_OK ? text_add(out, "\n", error) : status;
}

enum status server_config_defaults(struct text *out, struct error *error) {
  enum status status =
      text_add(out,
               "# arrowport.yaml: every setting at its default. Keep the lines that you change.\n"
               "# A flag wins over the environment, that over this file.\n",
               error);
  const struct config_field *field = SETTINGS_ROOT.fields;
  for (; field->name != NULL && status == STATUS_OK; field++) {
    status = text_add(out, "\n", error);
    if (status == STATUS_OK) status = add_default(out, "", field, error);
  }
  const struct settings_section *section = SETTINGS_ROOT.sections;
  for (; section->key != NULL && status == STATUS_OK; section++) {
    status = text_add(out, "\n", error);
    if (status == STATUS_OK) status = add_comment(out, "", section->doc, error);
    if (status == STATUS_OK && section->example != NULL) {
      status = text_add(out, section->example, error);
      continue;
    }
    if (status == STATUS_OK) status = text_add_format(out, error, "%s:\n", section->key);
    for (field = section->fields; field->name != NULL && status == STATUS_OK; field++)
      status = add_default(out, "  ", field, error);
  }
  return status;
}

/* ---- all settings ------------------------------------------------------------------ */

static void collect(const struct settings_section *section, const char *prefix,
                    struct server_setting *settings, size_t *count) {
  for (const struct config_field *field = section->fields; field->name != NULL; field++) {
    assert(*count < SERVER_SETTINGS_MAX);
    struct server_setting *made = &settings[(*count)++];
    *made = (struct server_setting){
        .field = field, .environment = field->environment, .doc = field->doc};
    int bytes = snprintf(made->key, sizeof made->key, "%s%s", prefix, field->name);
    assert(bytes < (int)sizeof made->key);
  }
  const struct settings_section *below = section->sections;
  for (; below != NULL && below->key != NULL; below++) {
    char key[SERVER_SETTING_KEY_BYTES];
    int bytes = snprintf(key, sizeof key, "%s%s.", prefix, below->key);
    assert(bytes < (int)sizeof key);
    if (below->short_form != NULL) {
      assert(*count < SERVER_SETTINGS_MAX);
      struct server_setting *made = &settings[(*count)++];
      *made =
          (struct server_setting){.environment = below->short_form_environment, .doc = below->doc};
      memcpy(made->key, key, (size_t)bytes - 1);
    }
    if (below->entry == NULL) collect(below, key, settings, count);
  }
}

size_t server_config_settings(struct server_setting settings[SERVER_SETTINGS_MAX]) {
  size_t count = 0;
  collect(&SETTINGS_ROOT, "", settings, &count);
  return count;
}

/* ---- the reference ---------------------------------------------------------------- */

/* Text in a Markdown table: a bar would end the cell. */
static enum status add_cell(struct text *out, const char *string, struct error *error) {
  enum status status = STATUS_OK;
  while (*string != '\0' && status == STATUS_OK) {
    size_t plain = strcspn(string, "|");
    status = text_add_bytes(out, string, plain, error);
    string += plain;
    if (*string == '|' && status == STATUS_OK) {
      status = text_add(out, "\\|", error);
      string++;
    }
  }
  return status;
}

/* "number of ms, 1 to 86400000" */
static enum status add_kind(struct text *out, const struct config_field *field,
                            struct error *error) {
  if (field->type == CONFIG_CHOICE) {
    enum status status = text_add(out, "`", error);
    if (status == STATUS_OK) status = add_cell(out, field->choices, error);
    return status == STATUS_OK ? text_add(out, "`", error) : status;
  }
  enum status status = add_cell(out, config_type_name(field->type), error);
  if (status == STATUS_OK && field->unit != NULL)
    status = text_add_format(out, error, " of %s", field->unit);
  if (status == STATUS_OK && (field->min != 0 || field->max != 0))
    status =
        text_add_format(out, error, ", %lld to %lld", (long long)field->min, (long long)field->max);
  return status;
}

static enum status add_reference_row(struct text *out, const struct config_field *field,
                                     struct error *error) {
  enum status status = text_add_format(out, error, "| `%s` | ", field->name);
  if (status == STATUS_OK) status = add_kind(out, field, error);
  if (status == STATUS_OK && field->default_text == NULL) status = text_add(out, " | |", error);
  if (status == STATUS_OK && field->default_text != NULL)
    status = text_add_format(out, error, " | `%s` |", field->default_text);
  if (status == STATUS_OK && field->environment != NULL)
    status = text_add_format(out, error, " `%s`", field->environment);
  if (status == STATUS_OK) status = text_add(out, " | ", error);
  if (status == STATUS_OK) status = add_cell(out, field->doc, error);
  return status == STATUS_OK ? text_add(out, " |\n", error) : status;
}

static enum status add_reference_below(struct text *out, const struct settings_section *section,
                                       const char *parent, struct error *error);

static enum status add_reference(struct text *out, const struct settings_section *section,
                                 const char *path, struct error *error) {
  enum status status = path[0] == '\0' ? text_add(out, "\n### At the top\n", error)
                                       : text_add_format(out, error, "\n### `%s`\n", path);
  if (status == STATUS_OK && section->doc[0] != '\0')
    status = text_add_format(out, error, "%s\n", section->doc);
  if (status == STATUS_OK && section->short_form_environment != NULL)
    status = text_add_format(out, error, "`%s` takes the short form.\n",
                             section->short_form_environment);
  const struct config_field *field = section->fields;
  if (status == STATUS_OK && field->name != NULL)
    status = text_add(out,
                      "\n| key | value | default | environment | meaning |\n"
                      "|---|---|---|---|---|\n",
                      error);
  for (; field->name != NULL && status == STATUS_OK; field++)
    status = add_reference_row(out, field, error);

  /* An entry is a section of its own; fixed sections end with a row without key. */
  if (status == STATUS_OK && section->entry != NULL)
    status = add_reference_below(out, section->entry, path, error);
  const struct settings_section *below = section->sections;
  for (; below != NULL && below->key != NULL && status == STATUS_OK; below++)
    status = add_reference_below(out, below, path, error);
  return status;
}

static enum status add_reference_below(struct text *out, const struct settings_section *section,
                                       const char *parent, struct error *error) {
  struct text path = TEXT_EMPTY;
  enum status status =
      text_add_format(&path, error, "%s%s%s", parent, parent[0] == '\0' ? "" : ".", section->key);
  if (status == STATUS_OK) status = add_reference(out, section, text_get(&path), error);
  text_release(&path);
  return status;
}

enum status server_config_reference(struct text *out, struct error *error) {
  return add_reference(out, &SETTINGS_ROOT, "", error);
}
