#include "server/query_ask.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { PARAMETERS_MAX = 10000 };

/* ---- Accept (RFC 9110 section 12.5.1) ------------------------------------------------ */

static const char *const media_types[] = {
    [QUERY_ARROW] = "application/vnd.apache.arrow.stream",
    [QUERY_JSON] = "application/json",
    [QUERY_NDJSON] = "application/x-ndjson",
    [QUERY_CSV] = "text/csv",
};
enum { OUTPUT_COUNT = sizeof media_types / sizeof media_types[0] };

const char *query_output_type(enum query_output output) { return media_types[output]; }

static bool range_is(const char *range, size_t length, const char *type) {
  return strlen(type) == length && strncasecmp(range, type, length) == 0;
}

/* The form that a media range stands for; false when it is none of ours. */
static bool output_of(const char *range, size_t length, enum query_output *output) {
  for (size_t i = 0; i < OUTPUT_COUNT; i++) {
    if (!range_is(range, length, media_types[i])) continue;
    *output = (enum query_output)i;
    return true;
  }
  bool text = range_is(range, length, "text/*");
  *output = text ? QUERY_CSV : QUERY_JSON;
  return text || range_is(range, length, "*/*") || range_is(range, length, "application/*");
}

/* The q parameter among `parameters` (from the first ';' on); 1 when there is none. */
static double quality_of(const char *parameters, size_t length) {
  for (size_t i = 0; i + 2 < length; i++) {
    bool begins = parameters[i] == ';' || parameters[i] == ' ' || parameters[i] == '\t';
    bool q = parameters[i + 1] == 'q' || parameters[i + 1] == 'Q';
    if (begins && q && parameters[i + 2] == '=') return strtod(parameters + i + 3, NULL);
  }
  return 1;
}

bool query_ask_output(const char *accept, enum query_output *output) {
  *output = QUERY_JSON;
  if (accept == NULL) return true;
  double best = 0;
  while (*accept != '\0') {
    size_t length = strcspn(accept, ",");
    size_t range = strcspn(accept, ",; \t");
    enum query_output found;
    double quality = quality_of(accept + range, length - (range < length ? range : length));
    if (quality > best && output_of(accept, range, &found)) {
      *output = found;
      best = quality;
    }
    accept += length;
    accept += strspn(accept, ", \t");
  }
  return best > 0;
}

/* ---- bodies ---------------------------------------------------------------------------- */

enum status query_ask_sql(struct query_ask *ask, const void *sql, size_t bytes,
                          struct error *error) {
  *ask = QUERY_ASK_EMPTY;
  if (bytes == 0)
    return error_set(error, STATUS_INVALID, "the body is empty; send an SQL statement");
  size_t valid = utf8_valid_bytes(sql, bytes);
  if (valid < bytes)
    return error_set(error, STATUS_INVALID, "the SQL is not UTF-8 at byte %zu", valid);
  if (memchr(sql, '\0', bytes) != NULL)
    return error_set(error, STATUS_INVALID, "the SQL holds a NUL character");
  ask->sql = strndup(sql, bytes);
  if (ask->sql == NULL) return error_set(error, STATUS_NOMEM, "no memory for a statement");
  return STATUS_OK;
}

static enum status take_parameter(const json_t *value, size_t index, struct engine_value *to,
                                  struct error *error) {
  switch (json_typeof(value)) {
  case JSON_NULL: to->kind = ENGINE_NULL; return STATUS_OK;
  case JSON_TRUE:
  case JSON_FALSE:
    to->kind = ENGINE_BOOLEAN;
    to->boolean = json_is_true(value);
    return STATUS_OK;
  case JSON_INTEGER:
    to->kind = ENGINE_INTEGER;
    to->integer = json_integer_value(value);
    return STATUS_OK;
  case JSON_REAL:
    to->kind = ENGINE_DOUBLE;
    to->number = json_real_value(value);
    return STATUS_OK;
  case JSON_STRING:
    to->kind = ENGINE_TEXT;
    to->text = json_string_value(value);
    to->text_bytes = json_string_length(value);
    return STATUS_OK;
  case JSON_ARRAY:
  case JSON_OBJECT: break;
  }
  return error_set(error, STATUS_INVALID,
                   "params[%zu] is an array or object; give null, a boolean, a number or a string",
                   index);
}

static enum status take_parameters(struct query_ask *ask, const json_t *parameters,
                                   struct error *error) {
  if (parameters == NULL) return STATUS_OK;
  if (!json_is_array(parameters))
    return error_set(error, STATUS_INVALID, "params must be an array, a value for each ? in sql");
  size_t count = json_array_size(parameters);
  if (count > PARAMETERS_MAX)
    return error_set(error, STATUS_TOO_LARGE, "params has %zu values; at most %d are taken", count,
                     (int)PARAMETERS_MAX);
  if (count == 0) return STATUS_OK;
  ask->parameters = calloc(count, sizeof *ask->parameters);
  if (ask->parameters == NULL) return error_set(error, STATUS_NOMEM, "no memory for params");
  ask->parameter_count = count;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = take_parameter(json_array_get(parameters, i), i, &ask->parameters[i], error);
  return status;
}

static enum status take_object(struct query_ask *ask, struct error *error) {
  if (!json_is_object(ask->parsed))
    return error_set(error, STATUS_INVALID,
                     "the body must be an object: {\"sql\": \"...\", \"params\": [...]}");
  const char *key;
  json_t *value;
  json_object_foreach(ask->parsed, key, value) {
    if (strcmp(key, "sql") != 0 && strcmp(key, "params") != 0)
      return error_set(error, STATUS_INVALID, "'%.60s' is not known; sql and params are", key);
  }
  const json_t *sql = json_object_get(ask->parsed, "sql");
  if (!json_is_string(sql))
    return error_set(error, STATUS_INVALID, "the body has no \"sql\" that is a string");
  struct query_ask text = QUERY_ASK_EMPTY;
  enum status status = query_ask_sql(&text, json_string_value(sql), json_string_length(sql), error);
  if (status != STATUS_OK) return status;
  ask->sql = text.sql;
  return take_parameters(ask, json_object_get(ask->parsed, "params"), error);
}

enum status query_ask_json(struct query_ask *ask, const void *json, size_t bytes,
                           struct error *error) {
  *ask = QUERY_ASK_EMPTY;
  json_error_t why;
  ask->parsed = json_loadb(json, bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
  enum status status =
      ask->parsed != NULL
          ? take_object(ask, error)
          : error_set(error, STATUS_INVALID, "the body is not JSON: %s (line %d, column %d)",
                      why.text, why.line, why.column);
  if (status != STATUS_OK) query_ask_release(ask);
  return status;
}

void query_ask_release(struct query_ask *ask) {
  free(ask->sql);
  free(ask->parameters);
  json_decref(ask->parsed);
  *ask = QUERY_ASK_EMPTY;
}
