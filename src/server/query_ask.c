#include "server/query_ask.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "net/net.h"

enum { PARAMETERS_MAX = 10000, TIMEOUT_S_MAX = 604800 };

/* ---- Accept (RFC 9110 section 12.5.1) ------------------------------------------------ */

static const char *const media_types[] = {
    [QUERY_ARROW] = "application/vnd.apache.arrow.stream",
    [QUERY_JSON] = "application/json",
    [QUERY_NDJSON] = "application/x-ndjson",
    [QUERY_CSV] = "text/csv",
    [QUERY_PARQUET] = "application/vnd.apache.parquet",
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

/* Up to the comma that ends the media range; quoted text may hold commas. */
static size_t range_length(const char *accept) {
  bool quoted = false;
  size_t at = 0;
  for (; accept[at] != '\0' && (quoted || accept[at] != ','); at++) {
    if (accept[at] == '"') quoted = !quoted;
    if (quoted && accept[at] == '\\' && accept[at + 1] != '\0') at++;
  }
  return at;
}

static bool is_name_byte(char byte) {
  return isalnum((unsigned char)byte) || byte == '_' || byte == '-';
}

/* The codecs that `codecs=zstd` or `codecs="zstd, lz4"` among `parameters` names. */
static unsigned codecs_of(const char *parameters, size_t length) {
  static const char name[] = "codecs=";
  unsigned codecs = 0;
  size_t at = 0;
  while (at + sizeof name - 1 < length &&
         (is_name_byte(at == 0 ? ';' : parameters[at - 1]) ||
          strncasecmp(parameters + at, name, sizeof name - 1) != 0))
    at++;
  at += sizeof name - 1;
  bool quoted = at < length && parameters[at] == '"';
  if (quoted) at++;
  while (at < length && parameters[at] != '"' && (quoted || parameters[at] != ';')) {
    size_t end = at;
    while (end < length && is_name_byte(parameters[end])) end++;
    if (end - at == 4 && strncasecmp(parameters + at, "zstd", 4) == 0) codecs |= QUERY_ZSTD;
    if (end - at == 3 && strncasecmp(parameters + at, "lz4", 3) == 0) codecs |= QUERY_LZ4;
    at = end == at ? at + 1 : end;
  }
  return codecs;
}

bool query_ask_output(const char *accept, enum query_output *output, unsigned *codecs) {
  *output = QUERY_JSON;
  *codecs = 0;
  if (accept == NULL) return true;
  double best = 0;
  while (*accept != '\0') {
    size_t length = range_length(accept);
    size_t range = strcspn(accept, ",; \t");
    size_t rest = range < length ? range : length;
    enum query_output found;
    double quality = quality_of(accept + range, length - rest);
    if (quality > best && output_of(accept, range, &found)) {
      *output = found;
      *codecs = codecs_of(accept + rest, length - rest);
      best = quality;
    }
    accept += length;
    accept += strspn(accept, ", \t");
  }
  return best > 0;
}

/* ---- parameters ----------------------------------------------------------------------- */

/* A number of at least 1; `*number` stays when the parameter is absent. */
static enum status read_number(const char *query_string, const char *name, int64_t max,
                               int64_t *number, struct error *error) {
  char *text = NULL;
  enum status status = http_query_value(query_string, name, &text, error);
  if (status != STATUS_OK || text == NULL) return status;
  size_t digits = strspn(text, "0123456789");
  int64_t value = digits > 0 && digits <= 18 && text[digits] == '\0' ? strtoll(text, NULL, 10) : 0;
  if (value < 1)
    status =
        error_set(error, STATUS_INVALID, "%s=%.40s: give a whole number of at least 1", name, text);
  else
    *number = value < max ? value : max;
  free(text);
  return status;
}

static enum status bad_compression(const char *text, struct error *error) {
  return error_set(error, STATUS_INVALID,
                   "compression=%.40s: give zstd, zstd:LEVEL (1 to 22), lz4, lz4:LEVEL (1 to 12) "
                   "or none",
                   text);
}

enum status query_compression_read(const char *text, struct ipc_writer_options *options,
                                   struct error *error) {
  static const struct {
    const char *name;
    enum ipc_compression compression;
    int level_max;
  } methods[] = {{"none", IPC_COMPRESSION_NONE, 0},
                 {"lz4", IPC_COMPRESSION_LZ4, 12},
                 {"zstd", IPC_COMPRESSION_ZSTD, 22}};
  size_t length = strcspn(text, ":");
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
    if (strlen(methods[i].name) != length || strncmp(text, methods[i].name, length) != 0) continue;
    *options = (struct ipc_writer_options){.compression = methods[i].compression};
    if (text[length] == '\0') return STATUS_OK;
    const char *digits = text + length + 1;
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 2 || digits[count] != '\0') break;
    options->level = (int)strtol(digits, NULL, 10);
    if (options->level < 1 || options->level > methods[i].level_max) break;
    return STATUS_OK;
  }
  return bad_compression(text, error);
}

/* Of Arrow, when the request does not say: what the configuration says if the reader knows it,
 * else what it knows, at its default level. */
static struct ipc_writer_options known_compression(const struct ipc_writer_options *configured,
                                                   unsigned codecs) {
  if (configured->compression == IPC_COMPRESSION_ZSTD && (codecs & QUERY_ZSTD)) return *configured;
  if (configured->compression == IPC_COMPRESSION_LZ4 && (codecs & QUERY_LZ4)) return *configured;
  enum ipc_compression other = codecs & QUERY_ZSTD  ? IPC_COMPRESSION_ZSTD
                               : codecs & QUERY_LZ4 ? IPC_COMPRESSION_LZ4
                                                    : IPC_COMPRESSION_NONE;
  if (configured->compression == IPC_COMPRESSION_NONE) other = IPC_COMPRESSION_NONE;
  return (struct ipc_writer_options){.compression = other};
}

static enum status read_compression(const char *query_string, const struct server_config *config,
                                    enum query_output output, unsigned codecs,
                                    struct ipc_writer_options *options, struct error *error) {
  char *text = NULL;
  *options = output == QUERY_PARQUET ? config->compression
                                     : known_compression(&config->compression, codecs);
  enum status status = http_query_value(query_string, "compression", &text, error);
  if (status != STATUS_OK || text == NULL) return status;
  status = query_compression_read(text, options, error);
  if (status == STATUS_OK && output != QUERY_ARROW && output != QUERY_PARQUET &&
      options->compression != IPC_COMPRESSION_NONE)
    status = error_set(error, STATUS_INVALID,
                       "compression=%.40s: Arrow and Parquet answers are compressed, and this one "
                       "is %s; say so in Accept",
                       text, query_output_type(output));
  free(text);
  return status;
}

static int64_t lower_of(int64_t limit, int64_t asked) {
  return asked > 0 && (limit == 0 || asked < limit) ? asked : limit;
}

enum status query_options_read(const char *query_string, const struct server_config *config,
                               enum query_output output, unsigned codecs,
                               struct query_options *options, struct error *error) {
  int64_t rows_max = 0, timeout_s = 0;
  enum status status = read_number(query_string, "rows_max", INT64_MAX, &rows_max, error);
  if (status == STATUS_OK)
    status = read_number(query_string, "timeout_s", TIMEOUT_S_MAX, &timeout_s, error);
  if (status == STATUS_OK)
    status = read_compression(query_string, config, output, codecs, &options->compression, error);
  options->rows_max = lower_of(config->query.rows_max, rows_max);
  options->rows_asked = options->rows_max != config->query.rows_max;
  options->timeout_ms = lower_of(config->query_timeout_ms, timeout_s * 1000);
  return status;
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
