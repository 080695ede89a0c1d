/* Flight servers, seen from the command line: the client, queries, ingest. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/build.h"
#include "base/clock.h"
#include "cli/flight.h"
#include "source/source.h"

enum { HEADERS_MAX = 64, HEADER_BYTES_MAX = 4096, INGEST_TRIES = 5 };

/* ---- connecting -------------------------------------------------------------------------------------- */

/* http://HOST:PORT is grpc://HOST:PORT: one port for both. */
static enum status find_url(const char *given, struct text *url, struct error *error) {
  static const struct {
    const char *http, *grpc;
    int port;
  } same[] = {{"https://", "grpc+tls://", 443}, {"http://", "grpc://", 80}};
  for (size_t i = 0; i < 2; i++) {
    size_t bytes = strlen(same[i].http);
    if (strncmp(given, same[i].http, bytes) != 0) continue;
    const char *host = given + bytes;
    size_t host_bytes = strcspn(host, "/?#");
    const char *last = memrchr(host, ':', host_bytes);
    bool has_port = last != NULL && memchr(last, ']', (size_t)(host + host_bytes - last)) == NULL;
    enum status status = text_add_format(url, error, "%s%.*s", same[i].grpc, (int)host_bytes, host);
    if (status == STATUS_OK && !has_port) status = text_add_format(url, error, ":%d", same[i].port);
    return status;
  }
  return text_add(url, given, error);
}

/* NAME:VALUE */
static enum status read_header(const char *given, char text[HEADER_BYTES_MAX],
                               struct http_header *header, struct error *error) {
  const char *colon = strchr(given, ':');
  if (colon == NULL || colon == given || strlen(given) >= HEADER_BYTES_MAX)
    return error_set(error, STATUS_INVALID, "--header takes NAME:VALUE, of less than %d bytes",
                     HEADER_BYTES_MAX);
  size_t name_bytes = (size_t)(colon - given);
  for (size_t i = 0; i < name_bytes; i++) text[i] = (char)tolower((unsigned char)given[i]);
  text[name_bytes] = '\0';
  const char *value = colon + 1 + strspn(colon + 1, " ");
  memcpy(text + name_bytes + 1, value, strlen(value) + 1);
  *header = (struct http_header){text, text + name_bytes + 1};
  return STATUS_OK;
}

struct headers {
  struct http_header list[HEADERS_MAX];
  char text[HEADERS_MAX][HEADER_BYTES_MAX];
};

static enum status find_headers(const struct cli *cli, struct headers *headers, size_t *count,
                                struct error *error) {
  const char *given;
  enum status status = STATUS_OK;
  for (*count = 0; (given = cli_value_at(cli, "header", (int)*count)) != NULL; (*count)++) {
    if (*count == HEADERS_MAX)
      return error_set(error, STATUS_TOO_LARGE, "more than %d headers", HEADERS_MAX);
    status = read_header(given, headers->text[*count], &headers->list[*count], error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

static enum status find_timeout(const struct cli *cli, int64_t *timeout_ms, struct error *error) {
  const char *given = cli_value(cli, "timeout");
  char *end;
  if (given == NULL) return STATUS_OK;
  double seconds = strtod(given, &end);
  if (end == given || *end != '\0' || !(seconds > 0) || seconds > 1e7)
    return error_set(error, STATUS_INVALID, "--timeout '%.40s' is no number of seconds", given);
  *timeout_ms = (int64_t)(seconds * 1000) + 1;
  return STATUS_OK;
}

static void warn(const struct http_client_access *access, const char *url) {
  struct flight_uri uri;
  bool told = access->token != NULL || access->user != NULL;
  if (told && flight_uri_parse(url, &uri, NULL) == STATUS_OK && !uri.tls && !remote_is_near(url))
    fprintf(stderr, "arrowport: warning: the %s goes to %.200s unencrypted; use grpc+tls://\n",
            access->user != NULL ? "password" : "token", url);
}

enum status cli_flight_connect(const struct cli *cli, const struct server_config *config,
                               struct budget *budget, struct flight_client **client,
                               struct error *error) {
  char secret[REMOTE_SECRET_BYTES];
  struct http_client_access access = {.token = NULL};
  struct text url = TEXT_EMPTY;
  struct headers *headers = calloc(1, sizeof *headers);
  struct flight_client_options options = {.budget = budget,
                                          .ca_path = cli_value(cli, "ca-cert"),
                                          .cert_path = cli_value(cli, "client-cert"),
                                          .key_path = cli_value(cli, "client-key"),
                                          .insecure = cli_has(cli, "insecure")};
  *client = NULL;
  if (headers == NULL) return error_set(error, STATUS_NOMEM, "no memory for headers");
  enum status status = find_url(config->url, &url, error);
  if (status == STATUS_OK) status = find_headers(cli, headers, &options.header_count, error);
  if (status == STATUS_OK) status = find_timeout(cli, &options.timeout_ms, error);
  if (status == STATUS_OK) status = remote_secret(cli, &access, secret, error);
  if (status == STATUS_OK) {
    options.url = text_get(&url);
    options.token = access.token;
    options.user = access.user;
    options.password = access.password;
    options.headers = headers->list;
    status = flight_client_open(&options, client, error);
  }
  explicit_bzero(secret, sizeof secret);
  if (status == STATUS_OK) warn(&access, text_get(&url));
  text_release(&url);
  free(headers);
  return status;
}

/* ---- results ------------------------------------------------------------------------------------------- */

enum status cli_flight_print(struct flight_reader *reader, const struct printer_options *options,
                             struct error *error) {
  struct printer *printer = NULL;
  bool got = true;
  enum status status = printer_new(flight_reader_schema(reader), options, &printer, error);
  while (status == STATUS_OK && got) {
    struct flight_chunk chunk;
    status = flight_reader_next(reader, &chunk, &got, error);
    if (status == STATUS_OK && got && chunk.batch.release != NULL)
      status = printer_batch(printer, &chunk.batch, error);
    flight_chunk_release(&chunk);
  }
  if (status == STATUS_OK) status = printer_end(printer, error);
  printer_free(printer);
  flight_reader_close(reader);
  return status;
}

/* ---- parameters ------------------------------------------------------------------------------------------ */

static const char *format_of(const json_t *value) {
  switch (json_typeof(value)) {
  case JSON_TRUE:
  case JSON_FALSE: return "b";
  case JSON_INTEGER: return "l";
  case JSON_REAL: return "g";
  case JSON_STRING: return "u";
  default: return "n";
  }
}

static enum status build_value(struct build *build, const json_t *value, struct error *error) {
  switch (json_typeof(value)) {
  case JSON_TRUE: return build_integer(build, 1, error);
  case JSON_FALSE: return build_integer(build, 0, error);
  case JSON_INTEGER: return build_integer(build, json_integer_value(value), error);
  case JSON_REAL: return build_double(build, json_real_value(value), error);
  case JSON_STRING:
    return build_bytes(build, json_string_value(value), (int64_t)json_string_length(value), error);
  default: return build_null(build, error);
  }
}

/* One row of the parameters; columns are called 1, 2, ... */
static enum status bind_parameters(struct flight_client_prepared *statement,
                                   const json_t *parameters, struct budget *budget,
                                   struct error *error) {
  struct ArrowSchema schema = {.release = NULL};
  struct ArrowArray batch = {.release = NULL};
  struct build *build = NULL;
  size_t count = json_array_size(parameters);
  char name[24];
  enum status status = arrow_schema_init(&schema, "+s", "", false, (int64_t)count, error);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    snprintf(name, sizeof name, "%zu", i + 1);
    status = arrow_schema_init(schema.children[i], format_of(json_array_get(parameters, i)), name,
                               true, 0, error);
  }
  if (status == STATUS_OK) status = build_new(&schema, budget, &build, error);
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = build_value(build_child(build, (int64_t)i), json_array_get(parameters, i), error);
  if (status == STATUS_OK) status = build_slot(build, error);
  if (status == STATUS_OK) status = build_finish(build, &batch, error);
  if (status == STATUS_OK) status = flight_client_prepared_bind(statement, &schema, &batch, error);
  arrow_array_release(&batch);
  build_free(build);
  arrow_schema_release(&schema);
  return status;
}

/* ---- query -------------------------------------------------------------------------------------------------- */

static enum status print_count(int64_t rows, struct error *error) {
  char number[CLI_NUMBER_BYTES];
  struct text line = TEXT_EMPTY;
  enum status status = rows < 0 ? text_add(&line, "done\n", error)
                                : text_add_format(&line, error, "%s row%s changed\n",
                                                  cli_number(rows, number), rows == 1 ? "" : "s");
  if (status == STATUS_OK) status = cli_print(&line, error);
  text_release(&line);
  return status;
}

enum status cli_flight_query(const struct cli *cli, const struct server_config *config,
                             const char *sql, const json_t *parameters, bool update,
                             const struct printer_options *options, struct error *error) {
  struct flight_client *client = NULL;
  struct flight_client_prepared *statement = NULL;
  struct flight_reader *reader = NULL;
  int64_t rows = -1;
  bool is_prepared = json_array_size(parameters) > 0;
  enum status status = cli_flight_connect(cli, config, options->budget, &client, error);
  if (status == STATUS_OK && is_prepared) {
    status = flight_client_prepared_open(client, sql, NULL, NULL, &statement, error);
    if (status == STATUS_OK)
      status = bind_parameters(statement, parameters, options->budget, error);
  }
  if (status == STATUS_OK && update)
    status = is_prepared ? flight_client_prepared_update(statement, NULL, &rows, error)
                         : flight_client_sql_update(client, sql, NULL, NULL, &rows, error);
  else if (status == STATUS_OK)
    status = is_prepared ? flight_client_prepared_query(statement, NULL, &reader, error)
                         : flight_client_sql_query(client, sql, NULL, NULL, &reader, error);
  if (status == STATUS_OK)
    status = update ? print_count(rows, error) : cli_flight_print(reader, options, error);
  flight_client_prepared_close(statement);
  flight_client_close(client);
  return status;
}

/* ---- ingest --------------------------------------------------------------------------------------------------- */

struct putting {
  const struct cli *cli;
  struct flight_client *client;
  const struct ingest_asked *asked;
  const struct input_options *input;
  const struct ipc_writer_options *compression;
  struct progress progress;
  struct text answer; /* the last acknowledgement */
  int64_t rows, batches;
};

static enum status on_result(void *context, const void *data, size_t bytes, struct error *error) {
  struct putting *putting = context;
  text_clear(&putting->answer);
  return text_add_bytes(&putting->answer, data, bytes, error);
}

/* {"stream_name": "flights", "mode": "upsert", "key": ["id"], "token": "...", "commit": "stream"} */
static enum status make_command(const struct putting *putting, char **command,
                                struct error *error) {
  const struct ingest_asked *asked = putting->asked;
  json_t *json = json_pack("{s:s}", "stream_name", putting->cli->arguments[0]);
  json_t *keys = json_array();
  int failed = json == NULL || keys == NULL;
  for (size_t i = 0; i < asked->key_count; i++)
    failed |= json_array_append_new(keys, json_string(asked->keys[i]));
  if (asked->mode_name != NULL)
    failed |= json_object_set_new(json, "mode", json_string(asked->mode_name));
  if (asked->key_count > 0) failed |= json_object_set(json, "key", keys);
  if (asked->token != NULL) failed |= json_object_set_new(json, "token", json_string(asked->token));
  if (asked->commit != NULL)
    failed |= json_object_set_new(json, "commit", json_string(asked->commit));
  *command = failed ? NULL : json_dumps(json, JSON_COMPACT);
  json_decref(keys);
  json_decref(json);
  if (*command != NULL) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "the stream's name, a key or the token is not UTF-8");
}

static enum status put_rows(struct putting *putting, struct source *source, const char *command,
                            struct error *error) {
  FlightDescriptor descriptor = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__INIT;
  struct flight_upload_options options = {
      .compression = putting->compression, .result = on_result, .context = putting};
  struct flight_upload *put = NULL;
  descriptor.type = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__CMD;
  descriptor.cmd.len = strlen(command);
  memcpy(&descriptor.cmd.data, &command, sizeof descriptor.cmd.data);
  putting->rows = putting->batches = 0;
  enum status status = flight_upload_open(putting->client, &descriptor, source_schema(source),
                                          &options, &put, error);
  while (status == STATUS_OK) {
    struct ArrowArray batch = {.release = NULL};
    status = source_next(source, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    putting->rows += batch.length;
    putting->batches++;
    status = flight_upload_batch(put, &batch, NULL, error);
    progress_step(&putting->progress, putting->rows, 0, source_fraction(source));
  }
  if (status == STATUS_OK) status = flight_upload_finish(put, error);
  flight_upload_free(put);
  return status;
}

static enum status put_once(struct putting *putting, const char *file, const char *command,
                            bool *may_repeat, struct error *error) {
  struct source *source = NULL;
  struct input input;
  enum status status = input_open(file, putting->asked->format, "--format", &input, error);
  *may_repeat = status == STATUS_OK && input.is_regular && strcmp(file, "-") != 0;
  progress_begin(&putting->progress, input.name, ingest_wants_progress(putting->cli));
  if (status == STATUS_OK) status = input_source(&input, putting->input, &source, error);
  if (status == STATUS_OK) status = put_rows(putting, source, command, error);
  source_close(source);
  input_close(&input);
  progress_end(&putting->progress);
  return status;
}

static enum status report_put(struct putting *putting, struct error *error) {
  json_t *ack = json_loadb(text_get(&putting->answer), putting->answer.size_bytes, 0, NULL);
  const json_t *committed = json_object_get(ack, "committed");
  const json_t *rows = json_object_get(committed, "rows");
  const json_t *batches = json_object_get(committed, "batches");
  const char *table = json_string_value(json_object_get(ack, "table"));
  struct ingest_landed landed = {
      .table = table != NULL ? table : putting->cli->arguments[0],
      .rows = rows != NULL ? json_integer_value(rows) : putting->rows,
      .batches = batches != NULL ? json_integer_value(batches) : putting->batches,
      .seconds = progress_seconds(&putting->progress),
      .repeated = json_is_true(json_object_get(ack, "repeated")),
  };
  enum status status = STATUS_OK;
  if (cli_has(putting->cli, "json")) {
    status = text_add(&putting->answer, "\n", error);
    if (status == STATUS_OK) status = cli_print(&putting->answer, error);
  } else if (!cli_has(putting->cli, "quiet")) {
    status = ingest_report(&putting->progress, &landed, error);
  }
  json_decref(ack);
  return status;
}

/* With a token the server knows what has landed of an earlier try, and passes over it. */
static enum status put_file(struct putting *putting, const char *file, struct error *error) {
  char *command = NULL;
  bool may_repeat = false;
  int wait_ms = 250;
  enum status status = make_command(putting, &command, error);
  for (int i = 1; status == STATUS_OK; i++) {
    text_clear(&putting->answer);
    status = put_once(putting, file, command, &may_repeat, error);
    if (status != STATUS_UNAVAILABLE || putting->asked->token == NULL || !may_repeat ||
        i == INGEST_TRIES)
      break;
    if (!cli_has(putting->cli, "quiet"))
      fprintf(stderr, "arrowport: %s; trying again\n", error->text);
    clock_sleep_ms(wait_ms);
    wait_ms *= 2;
    status = STATUS_OK;
  }
  free(command);
  return status == STATUS_OK ? report_put(putting, error) : status;
}

enum status cli_flight_ingest(const struct cli *cli, const struct server_config *config,
                              const struct ingest_asked *asked, struct error *error) {
  struct budget budget = {.limit_bytes = config->memory_limit_bytes};
  struct input_options input = ingest_input(cli, config, &budget);
  struct putting putting = {
      .cli = cli, .asked = asked, .input = &input, .compression = &config->compression};
  enum status status = cli_flight_connect(cli, config, &budget, &putting.client, error);
  for (int i = 1; i < cli->argument_count && status == STATUS_OK; i++)
    status = put_file(&putting, cli->arguments[i], error);
  flight_client_close(putting.client);
  text_release(&putting.answer);
  return status;
}
