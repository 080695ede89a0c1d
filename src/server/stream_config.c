#include "server/stream_config.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A value as the text that settings are made from. */
static enum status print_value(const char *name, const json_t *value, char *number,
                               size_t number_bytes, const char **text, struct error *error) {
  switch (json_typeof(value)) {
  case JSON_STRING:
    *text = json_string_value(value);
    if (strlen(*text) == json_string_length(value)) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "\"%s\" holds a NUL character", name);
  case JSON_INTEGER:
    snprintf(number, number_bytes, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    *text = number;
    return STATUS_OK;
  default: break;
  }
  return error_set(error, STATUS_INVALID, "\"%s\" must be a text or a whole number", name);
}

/* The setting of that name; NULL: config_set says that there is none. */
static const struct config_field *field_of(const struct config *values, const char *name) {
  for (const struct config_field *field = config_fields(values); field->name != NULL; field++)
    if (strcmp(field->name, name) == 0) return field;
  return NULL;
}

static enum status add_items(struct config *values, const char *name, const json_t *items,
                             struct error *error) {
  enum status status = STATUS_OK;
  char number[32];
  const char *text = NULL;
  for (size_t i = 0; i < json_array_size(items) && status == STATUS_OK; i++) {
    const json_t *item = json_array_get(items, i);
    if (!json_is_string(item))
      return error_set(error, STATUS_INVALID, "\"%s\" must be an array of texts", name);
    status = print_value(name, item, number, sizeof number, &text, error);
    if (status == STATUS_OK) status = config_add(values, name, text, CONFIG_FILE, error);
  }
  return status;
}

static enum status set_value(struct config *values, const char *name, const json_t *value,
                             struct error *error) {
  char number[32];
  const char *text = NULL;
  const struct config_field *field = field_of(values, name);
  if (field != NULL && field->type == CONFIG_LIST) {
    if (json_is_array(value)) return add_items(values, name, value, error);
    return error_set(error, STATUS_INVALID, "\"%s\" must be an array of texts", name);
  }
  bool number_wanted =
      field != NULL && (field->type == CONFIG_INTEGER || field->type == CONFIG_BYTES);
  if (field != NULL && !number_wanted && !json_is_string(value))
    return error_set(error, STATUS_INVALID, "\"%s\" must be a text", name);
  enum status status = print_value(name, value, number, sizeof number, &text, error);
  return status == STATUS_OK ? config_set(values, name, text, CONFIG_FILE, error) : status;
}

/* How the schema of a Delta table may change: what clients say by default, and what decides
 * nothing here yet. */
static enum status check_schema_mode(const json_t *value, struct error *error) {
  static const char *const modes[] = {"merge", "overwrite", "strict"};
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
    if (json_is_string(value) && strcmp(json_string_value(value), modes[i]) == 0) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "\"schema_mode\" must be merge, overwrite or strict");
}

static enum status set_section(struct settings *settings, const char *key, const json_t *object,
                               struct error *error) {
  enum status status = STATUS_OK;
  const char *name;
  json_t *value;
  if (json_is_string(object)) /* the short form: "zstd:9" */
    return settings_set(settings, key, json_string_value(object), CONFIG_FILE, error);
  if (!json_is_object(object))
    return error_set(error, STATUS_INVALID, "\"%s\" must be an object", key);
  struct config *values = settings_section(settings, key)->values;
  json_object_foreach((json_t *)object, name, value) {
    if (json_is_null(value) || status != STATUS_OK) continue;
    if (strcmp(key, "delta_options") == 0 && strcmp(name, "schema_mode") == 0)
      status = check_schema_mode(value, error);
    else
      status = set_value(values, name, value, error);
  }
  if (status != STATUS_OK) error_at(error, "\"%s\"", key);
  return status;
}

static enum status take_token(const json_t *value, char **token, struct error *error) {
  if (!json_is_string(value))
    return error_set(error, STATUS_INVALID, "\"idempotency_key\" must be a text");
  if (strlen(json_string_value(value)) != json_string_length(value))
    return error_set(error, STATUS_INVALID, "\"idempotency_key\" holds a NUL character");
  *token = strdup(json_string_value(value));
  return *token != NULL ? STATUS_OK : error_set(error, STATUS_NOMEM, "no memory for a request");
}

static enum status set_member(struct settings *settings, const char *name, const json_t *value,
                              struct error *error) {
  static const char *const owners[] = {"schema_policy", "transaction", "group_commit"};
  if (json_is_null(value)) return STATUS_OK;
  for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++)
    if (strcmp(name, owners[i]) == 0)
      return error_set(error, STATUS_INVALID,
                       "\"%s\" is for the server's configuration to say, not for a request", name);
  if (strcmp(name, "compression") == 0 || strcmp(name, "delta_options") == 0)
    return set_section(settings, name, value, error);
  return set_value(settings->values, name, value, error);
}

static enum status read_object(struct settings *settings, const json_t *object, char **token,
                               struct error *error) {
  const char *name;
  json_t *value;
  enum status status = STATUS_OK;
  json_object_foreach((json_t *)object, name, value) {
    if (status != STATUS_OK) continue;
    if (strcmp(name, "idempotency_key") == 0 && !json_is_null(value))
      status = take_token(value, token, error);
    else if (strcmp(name, "idempotency_key") != 0)
      status = set_member(settings, name, value, error);
  }
  if (status == STATUS_OK && !config_has(settings->values, "target_table"))
    status = error_set(error, STATUS_INVALID, "\"target_table\" is missing: where do the rows go?");
  if (status != STATUS_OK) error_at(error, "\"config\"");
  return status;
}

enum status stream_config_read(struct settings *settings, const struct text *json, char **token,
                               struct error *error) {
  *token = NULL;
  enum status status = settings_init(settings, &SETTINGS_STREAM, error);
  if (status != STATUS_OK) return status;
  json_error_t why;
  json_t *object =
      json_loadb(json->data, json->size_bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
  status = object != NULL ? read_object(settings, object, token, error)
                          : error_set(error, STATUS_INVALID,
                                      "\"config\" is not JSON: %s (line %d, column %d of it)",
                                      why.text, why.line, why.column);
  json_decref(object);
  return status;
}
