#include "server/flight_rows.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *const members[] = {
    "stream_name",  "stream", "table",           "mode",   "key",   "upsert_key", "key_column",
    "on_duplicate", "token",  "idempotency_key", "commit", "resume"};

static enum status nomem(struct error *error) {
  return error_set(error, STATUS_NOMEM, "no memory for a request");
}

/* A copy of a text without NUL; the caller's. */
static enum status take_text(const char *name, const json_t *value, char **text,
                             struct error *error) {
  if (!json_is_string(value))
    return error_set(error, STATUS_INVALID, "\"%s\" must be a text", name);
  if (strlen(json_string_value(value)) != json_string_length(value))
    return error_set(error, STATUS_INVALID, "\"%s\" holds a NUL character", name);
  free(*text);
  *text = strdup(json_string_value(value));
  return *text != NULL ? STATUS_OK : nomem(error);
}

static enum status take_commit(struct flight_rows *rows, const json_t *value, struct error *error) {
  static const char *const words[] = {[FLIGHT_COMMIT_WATERMARK] = "watermark",
                                      [FLIGHT_COMMIT_BATCH] = "batch",
                                      [FLIGHT_COMMIT_STREAM] = "stream"};
  for (size_t i = 0; i < sizeof words / sizeof words[0] && json_is_string(value); i++) {
    if (strcmp(words[i], json_string_value(value)) != 0) continue;
    rows->commit = (enum flight_commit)i;
    return STATUS_OK;
  }
  return error_set(error, STATUS_INVALID, "\"commit\" must be watermark, batch or stream");
}

static enum status take_keys(struct flight_rows *rows, const char *name, const json_t *value,
                             struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < json_array_size(value) && status == STATUS_OK; i++) {
    char *text = NULL;
    status = take_text(name, json_array_get(value, i), &text, error);
    if (status == STATUS_OK) status = ingest_ask_add_key(&rows->ask, text, strlen(text), error);
    free(text);
  }
  return status;
}

static enum status take_asked(struct flight_rows *rows, const char *name, const json_t *value,
                              struct error *error) {
  if (json_is_array(value)) return take_keys(rows, name, value, error);
  char *text = NULL;
  enum status status = take_text(name, value, &text, error);
  if (status == STATUS_OK) status = ingest_ask_set(&rows->ask, name, text, error);
  free(text);
  return status;
}

static bool is_one_of(const char *name, const char *const *names, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(name, names[i]) == 0) return true;
  return false;
}

static enum status take_member(struct flight_rows *rows, const char *name, const json_t *value,
                               struct error *error) {
  static const char *const streams[] = {"stream_name", "stream", "table"};
  static const char *const tokens[] = {"token", "idempotency_key"};
  static const char *const asked[] = {"mode", "key", "upsert_key", "key_column", "on_duplicate"};
  if (json_is_null(value)) return STATUS_OK;
  if (is_one_of(name, streams, sizeof streams / sizeof streams[0])) {
    if (rows->stream != NULL)
      return error_set(error, STATUS_INVALID, "the stream is named twice (\"%s\")", name);
    return take_text(name, value, &rows->stream, error);
  }
  if (is_one_of(name, tokens, sizeof tokens / sizeof tokens[0])) {
    if (rows->token != NULL)
      return error_set(error, STATUS_INVALID, "the token is given twice (\"%s\")", name);
    return take_text(name, value, &rows->token, error);
  }
  if (is_one_of(name, asked, sizeof asked / sizeof asked[0]))
    return take_asked(rows, name, value, error);
  if (strcmp(name, "sql") == 0) return take_text(name, value, &rows->sql, error);
  if (strcmp(name, "commit") == 0) return take_commit(rows, value, error);
  if (strcmp(name, "resume") == 0) {
    rows->resume = json_is_true(value);
    return json_is_boolean(value)
               ? STATUS_OK
               : error_set(error, STATUS_INVALID, "\"resume\" must be true or false");
  }
  const char *nearest = text_nearest(name, members, sizeof members / sizeof members[0]);
  return error_set(error, STATUS_INVALID, "\"%.60s\" is not known%s%s%s", name,
                   nearest != NULL ? " (did you mean \"" : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "\"?)" : "");
}

/* What goes with what. */
static enum status check(const struct flight_rows *rows, struct error *error) {
  if (rows->sql != NULL) {
    bool alone = rows->stream == NULL && rows->token == NULL && rows->ask.seen == 0 &&
                 rows->ask.key_count == 0 && !rows->resume &&
                 rows->commit == FLIGHT_COMMIT_WATERMARK;
    return alone ? STATUS_OK
                 : error_set(error, STATUS_INVALID,
                             "\"sql\" says what becomes of the rows: nothing else goes with it");
  }
  if (rows->stream == NULL)
    return error_set(error, STATUS_INVALID, "\"stream_name\" is missing: where do the rows go?");
  bool whole = rows->ask.mode == SINK_OVERWRITE || rows->ask.refuse_duplicates;
  if (whole && rows->commit == FLIGHT_COMMIT_BATCH)
    return error_set(error, STATUS_INVALID,
                     "%s has no meaning where each batch is committed by itself: leave \"commit\" "
                     "out",
                     rows->ask.mode == SINK_OVERWRITE ? "mode overwrite" : "on_duplicate error");
  if ((rows->ask.mode == SINK_UPSERT || rows->ask.mode == SINK_MERGE) && rows->ask.key_count == 0)
    return error_set(error, STATUS_INVALID,
                     "mode %s needs the columns that say which row is meant: add \"key\"",
                     sink_mode_name(rows->ask.mode));
  if (rows->resume && rows->token == NULL)
    return error_set(error, STATUS_INVALID,
                     "\"resume\" goes on where the last stream of a token has ended: name the "
                     "\"token\"");
  if (rows->resume && (whole || rows->commit == FLIGHT_COMMIT_STREAM))
    return error_set(error, STATUS_INVALID,
                     "\"resume\" has no meaning for a stream that is committed once, at its end: "
                     "nothing of one that broke off remains");
  return ingest_ask_check(&rows->ask, error);
}

static enum status read_json(struct flight_rows *rows, const ProtobufCBinaryData *command,
                             struct error *error) {
  json_error_t why;
  json_t *object = json_loadb((const char *)command->data, command->len,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
  if (object == NULL)
    return error_set(error, STATUS_INVALID,
                     "the descriptor's command is not JSON: %s (line %d, "
                     "column %d)",
                     why.text, why.line, why.column);
  enum status status = STATUS_OK;
  const char *name;
  json_t *value;
  if (!json_is_object(object))
    status = error_set(error, STATUS_INVALID, "the descriptor's command must be a JSON object");
  json_object_foreach(object, name, value) {
    if (status == STATUS_OK) status = take_member(rows, name, value, error);
  }
  if (status == STATUS_OK) status = check(rows, error);
  json_decref(object);
  return status;
}

bool flight_rows_is_json(const ProtobufCBinaryData *command) {
  size_t at = 0;
  while (at < command->len && strchr(" \t\r\n", command->data[at]) != NULL &&
         command->data[at] != 0)
    at++;
  return at < command->len && command->data[at] == '{';
}

/* ["events"], or a table's full name in its parts: ["catalog", "schema", "table"]. */
static enum status read_path(struct flight_rows *rows, const FlightDescriptor *descriptor,
                             struct error *error) {
  struct text name = TEXT_EMPTY;
  enum status status = STATUS_OK;
  if (descriptor->n_path == 0 || descriptor->n_path > 3)
    return error_set(
        error, STATUS_INVALID,
        "the descriptor's path has %zu parts; it is [\"stream\"], or a table's name in "
        "two or three",
        descriptor->n_path);
  for (size_t i = 0; i < descriptor->n_path && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(&name, ".", error);
    if (status == STATUS_OK) status = text_add(&name, descriptor->path[i], error);
  }
  if (status == STATUS_OK) {
    rows->stream = strdup(text_get(&name));
    if (rows->stream == NULL) status = nomem(error);
  }
  text_release(&name);
  return status;
}

enum status flight_rows_read(struct flight_rows *rows, const FlightDescriptor *descriptor,
                             struct error *error) {
  *rows = (struct flight_rows){.ask = {.mode = SINK_APPEND}};
  if (descriptor->type == ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__PATH)
    return read_path(rows, descriptor, error);
  if (flight_rows_is_json(&descriptor->cmd)) return read_json(rows, &descriptor->cmd, error);
  return error_set(error, STATUS_INVALID,
                   "the descriptor names no stream: give a path ([\"stream\"]) or a command "
                   "({\"stream_name\": \"...\"})");
}

void flight_rows_release(struct flight_rows *rows) {
  free(rows->stream);
  free(rows->token);
  free(rows->sql);
  ingest_ask_release(&rows->ask);
  rows->stream = rows->token = rows->sql = NULL;
}
