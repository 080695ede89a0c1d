#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/cli.h"
#include "cli/flight.h"
#include "cli/holder.h"
#include "cli/printer.h"
#include "engine/engine.h"
#include "server/storage.h"

enum { SQL_BYTES_MAX = 16 << 20, PARAMETERS_MAX = 1000, PATH_BYTES = 64 };

static const struct cli_option OPTIONS[] = {
    {"format", 'f', "table|json|ndjson|csv|arrow", NULL,
     "of the output (default: table on a terminal, csv otherwise)"},
    {"param", 'p', "VALUE", NULL, "a value for ? or $1; again for the next one"},
    {"file", 0, "FILE", NULL, "read the SQL from a file"},
    {"rows", 0, "N", NULL, "rows that a table shows (default 200)"},
    {"update", 0, NULL, NULL, "grpc://: the SQL gives no rows; prints how many it has changed"},
    CLI_REMOTE_OPTIONS,
    CLI_FLIGHT_OPTIONS,
    {"local", 0, NULL, NULL, "straight from the configured storage, without a server"},
    {"db", 0, "FILE", "db_path", "with --local: the DuckDB file"},
    {"json", 0, NULL, NULL, "the same as --format json"},
    {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "Runs SQL (DuckDB's) and prints what comes back. SQL `-` is read from standard input.\n"
    "A VALUE that reads as JSON (42, 1.5, true, null, \"text\") is that; any other is text.\n"
    "A URL that begins with grpc://, grpc+tls:// or flightsql:// means Flight SQL, of any server:\n"
    "its own SQL, and --update for statements that give no rows.\n"
    "\n"
    "Examples\n"
    "  arrowport query 'SELECT origin, count(*) FROM flights GROUP BY ALL'\n"
    "  arrowport query 'SELECT * FROM flights WHERE origin = ?' -p JFK --format csv > jfk.csv\n"
    "  arrowport query 'FROM flights' --format arrow | arrowport ingest copy -\n"
    "  arrowport query 'SELECT 1' --url grpc+tls://db.example.org:31337 --user anna\n";

/* ---- the statement --------------------------------------------------------------------- */

static enum status read_sql(const char *path, struct text *sql, struct error *error) {
  bool standard = strcmp(path, "-") == 0;
  int file = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  char piece[8192];
  ssize_t got = -1;
  enum status status = STATUS_OK;
  while (status == STATUS_OK && file >= 0 && sql->size_bytes <= SQL_BYTES_MAX &&
         ((got = read(file, piece, sizeof piece)) > 0 || (got < 0 && errno == EINTR)))
    if (got > 0) status = text_add_bytes(sql, piece, (size_t)got, error);
  if (status == STATUS_OK && got < 0)
    status = error_set(error, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO,
                       "'%.200s' cannot be read: %s", path, strerror(errno));
  if (status == STATUS_OK && sql->size_bytes > SQL_BYTES_MAX)
    status = error_set(error, STATUS_TOO_LARGE, "the SQL has more than %d bytes", SQL_BYTES_MAX);
  if (file >= 0 && !standard) close(file);
  return status;
}

static enum status find_sql(const struct cli *cli, struct text *sql, struct error *error) {
  const char *file = cli_value(cli, "file");
  if ((file == NULL) == (cli->argument_count == 0))
    return error_set(error, STATUS_INVALID,
                     "give the SQL as one word (in quotes), as - or by --file, once");
  if (file == NULL && strcmp(cli->arguments[0], "-") == 0) file = "-";
  enum status status =
      file != NULL ? read_sql(file, sql, error) : text_add(sql, cli->arguments[0], error);
  if (status == STATUS_OK && strlen(text_get(sql)) != sql->size_bytes)
    status = error_set(error, STATUS_INVALID, "the SQL has a NUL byte in it");
  return status;
}

/* A parameter as JSON: what reads as a JSON scalar is that, anything else is text. */
static json_t *parameter_of(const char *value) {
  json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
  if (parsed != NULL && !json_is_object(parsed) && !json_is_array(parsed)) return parsed;
  json_decref(parsed);
  return json_string(value);
}

static enum status find_parameters(const struct cli *cli, json_t **parameters,
                                   struct error *error) {
  *parameters = json_array();
  const char *value;
  for (int i = 0; (value = cli_value_at(cli, "param", i)) != NULL; i++) {
    if (i == PARAMETERS_MAX)
      return error_set(error, STATUS_TOO_LARGE, "more than %d parameters", PARAMETERS_MAX);
    if (json_array_append_new(*parameters, parameter_of(value)) != 0)
      return error_set(error, STATUS_INVALID, "--param '%.100s' is not UTF-8", value);
  }
  return STATUS_OK;
}

/* ---- through a server -------------------------------------------------------------------- */

/* An Arrow answer, on its way into a table. */
struct receiving {
  struct ipc_framer *framer;
  struct ipc_decoder *decoder;
  struct printer *printer;
  const struct printer_options *options;
};

static enum status take_message(struct receiving *receiving, struct error *error) {
  struct ipc_message message;
  struct ArrowArray batch = {.release = NULL};
  enum ipc_event event;
  ipc_framer_take(receiving->framer, &message);
  enum status status = ipc_decoder_decode(receiving->decoder, &message, &event, &batch, error);
  if (status != STATUS_OK) {
    ipc_message_release(&message);
    return status;
  }
  if (event == IPC_EVENT_SCHEMA)
    return printer_new(ipc_decoder_schema(receiving->decoder), receiving->options,
                       &receiving->printer, error);
  if (event != IPC_EVENT_BATCH) return STATUS_OK;
  status = printer_batch(receiving->printer, &batch, error);
  arrow_array_release(&batch);
  return status;
}

static enum status take_arrow(void *context, const void *data, size_t bytes, struct error *error) {
  struct receiving *receiving = context;
  const uint8_t *at = data;
  while (bytes > 0) {
    uint8_t *window;
    int64_t room;
    enum ipc_frame frame;
    enum status status = ipc_framer_window(receiving->framer, &window, &room, error);
    if (status != STATUS_OK) return status;
    size_t piece = bytes < (size_t)room ? bytes : (size_t)room;
    memcpy(window, at, piece);
    at += piece;
    bytes -= piece;
    status = ipc_framer_filled(receiving->framer, (int64_t)piece, &frame, error);
    if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE) status = take_message(receiving, error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

static enum status take_bytes(void *context, const void *data, size_t bytes, struct error *error) {
  (void)context;
  return cli_write(data, bytes, error);
}

static enum status ask_table(struct remote *remote, const struct remote_request *request,
                             const struct printer_options *options, struct error *error) {
  struct receiving receiving = {.options = options};
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct remote_request asked = *request;
  asked.take = take_arrow;
  asked.context = &receiving;
  enum status status = ipc_framer_new(&limits, options->budget, &receiving.framer, error);
  if (status == STATUS_OK)
    status = ipc_decoder_new(&limits, options->budget, &receiving.decoder, error);
  if (status == STATUS_OK) status = remote_send(remote, &asked, NULL, error);
  if (status == STATUS_OK) status = ipc_framer_finish(receiving.framer, false, error);
  if (status == STATUS_OK) status = printer_end(receiving.printer, error);
  printer_free(receiving.printer);
  ipc_decoder_free(receiving.decoder);
  ipc_framer_free(receiving.framer);
  return status;
}

/* Rows that leave as Arrow are compressed as this user's configuration says. */
static void add_compression(char path[PATH_BYTES], const struct ipc_writer_options *compression) {
  const char *name = compression->compression == IPC_COMPRESSION_ZSTD  ? "zstd"
                     : compression->compression == IPC_COMPRESSION_LZ4 ? "lz4"
                                                                       : "none";
  size_t used = strlen(path);
  snprintf(path + used, PATH_BYTES - used, "?compression=%s", name);
  used = strlen(path);
  if (compression->compression == IPC_COMPRESSION_ZSTD && compression->level > 0)
    snprintf(path + used, PATH_BYTES - used, ":%d", compression->level);
}

static enum status query_remote(const struct cli *cli, const struct server_config *config,
                                const struct text *sql, json_t *parameters,
                                const struct printer_options *options, struct error *error) {
  struct remote remote = {.client = NULL};
  char path[PATH_BYTES] = "/query";
  if (options->format == FORMAT_ARROW) add_compression(path, &options->compression);
  struct remote_request request = {
      .method = "POST",
      .path = path,
      .content_type = "application/sql",
      .accept = format_media_type(options->format),
      .body = text_get(sql),
      .body_bytes = sql->size_bytes,
  };
  char *json = NULL;
  if (json_array_size(parameters) > 0) {
    json_t *asked = json_pack("{s:s, s:O}", "sql", text_get(sql), "params", parameters);
    json = asked == NULL ? NULL : json_dumps(asked, JSON_COMPACT);
    json_decref(asked);
    if (json == NULL) return error_set(error, STATUS_INVALID, "the SQL is not UTF-8");
    request.content_type = "application/json";
    request.body = json;
    request.body_bytes = strlen(json);
  }
  enum status status = remote_open(cli, config, &remote, error);
  if (status == STATUS_OK && options->format == FORMAT_TABLE) {
    status = ask_table(&remote, &request, options, error);
  } else if (status == STATUS_OK) {
    request.take = take_bytes;
    status = remote_send(&remote, &request, NULL, error);
  }
  remote_close(&remote);
  free(json);
  return status;
}

/* ---- without a server ----------------------------------------------------------------------- */

static struct engine_value value_of(const json_t *json) {
  switch (json_typeof(json)) {
  case JSON_TRUE: return (struct engine_value){.kind = ENGINE_BOOLEAN, .boolean = true};
  case JSON_FALSE: return (struct engine_value){.kind = ENGINE_BOOLEAN};
  case JSON_INTEGER:
    return (struct engine_value){.kind = ENGINE_INTEGER, .integer = json_integer_value(json)};
  case JSON_REAL:
    return (struct engine_value){.kind = ENGINE_DOUBLE, .number = json_real_value(json)};
  case JSON_STRING:
    return (struct engine_value){.kind = ENGINE_TEXT,
                                 .text = json_string_value(json),
                                 .text_bytes = json_string_length(json)};
  default: return (struct engine_value){.kind = ENGINE_NULL};
  }
}

static enum status print_result(struct engine_result *result, const struct printer_options *options,
                                struct error *error) {
  struct printer *printer = NULL;
  enum status status = printer_new(engine_result_schema(result), options, &printer, error);
  while (status == STATUS_OK) {
    struct ArrowArray batch = {.release = NULL};
    status = engine_result_next(result, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    status = printer_batch(printer, &batch, error);
    arrow_array_release(&batch);
  }
  if (status == STATUS_OK) status = printer_end(printer, error);
  printer_free(printer);
  return status;
}

static enum status query_local(const struct cli *cli, const struct server_config *config,
                               const struct text *sql, json_t *parameters,
                               const struct printer_options *options, struct error *error) {
  struct storage *storage = NULL;
  struct engine *engine = NULL;
  struct engine_session *session = NULL;
  struct engine_result *result = NULL;
  size_t count = json_array_size(parameters);
  struct engine_value *values = calloc(count + 1, sizeof values[0]);
  if (values == NULL) return error_set(error, STATUS_NOMEM, "no memory for parameters");
  for (size_t i = 0; i < count; i++) values[i] = value_of(json_array_get(parameters, i));
  struct engine_query query = {
      .sql = text_get(sql), .parameters = values, .parameter_count = count};
  enum status status = storage_new(config, &storage, error);
  if (status == STATUS_CONFLICT) {
    status = holder_find(cli, config, false, error);
    free(values);
    return status == STATUS_OK ? query_remote(cli, config, sql, parameters, options, error)
                               : status;
  }
  if (status == STATUS_OK) status = storage_engine(storage, &engine, error);
  if (status == STATUS_OK) status = engine_session_open(engine, &session, error);
  if (status == STATUS_OK) status = engine_query(session, &query, &result, error);
  if (status == STATUS_OK) status = print_result(result, options, error);
  engine_result_close(result);
  engine_session_close(session);
  storage_free(storage);
  free(values);
  return status;
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum status find_rows(const struct cli *cli, int64_t *rows, struct error *error) {
  static const struct config_field field[] = {
      {.name = "--rows", .type = CONFIG_INTEGER, .default_text = "200", .min = 1, .max = 1000000},
      CONFIG_FIELD_END};
  struct config *config = NULL;
  enum status status = config_new(field, &config, error);
  const char *given = cli_value(cli, "rows");
  if (status == STATUS_OK && given != NULL)
    status = config_set(config, "--rows", given, CONFIG_FLAG, error);
  if (status == STATUS_OK) *rows = config_integer(config, "--rows");
  config_free(config);
  return status;
}

static enum status run(const struct cli *cli, struct error *error) {
  struct server_config *config = NULL;
  struct text sql = TEXT_EMPTY;
  json_t *parameters = NULL;
  struct printer_options options = {.format = FORMAT_TABLE};
  const char *format = cli_has(cli, "json") ? "json" : cli_value(cli, "format");
  enum status status = format_parse(format, &options.format, error);
  if (status == STATUS_OK) status = find_rows(cli, &options.rows_max, error);
  if (status == STATUS_OK) status = find_sql(cli, &sql, error);
  if (status == STATUS_OK) status = find_parameters(cli, &parameters, error);
  if (status == STATUS_OK) status = cli_config(cli, &config, error);
  if (status != STATUS_OK) goto done;
  struct budget budget = {.limit_bytes = config->memory_limit_bytes};
  options.budget = &budget;
  options.compression = config->compression;
  bool is_update = cli_has(cli, "update");
  if (cli_has(cli, "local"))
    status = query_local(cli, config, &sql, parameters, &options, error);
  else if (flight_uri_is(config->url))
    status = cli_flight_query(cli, config, text_get(&sql), parameters, is_update, &options, error);
  else if (is_update)
    status = error_set(error, STATUS_INVALID, "--update goes with a URL of Flight SQL");
  else
    status = query_remote(cli, config, &sql, parameters, &options, error);
done:
  text_release(&sql);
  json_decref(parameters);
  server_config_free(config);
  return status;
}

const struct cli_command COMMAND_QUERY = {.name = "query",
                                          .summary = "run SQL and print what comes back",
                                          .usage = "SQL",
                                          .text = TEXT,
                                          .options = OPTIONS,
                                          .arguments_min = 0,
                                          .arguments_max = 1,
                                          .run = run};
