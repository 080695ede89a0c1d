/* `arrowport flight`: what a Flight server of anybody's has, gives, takes and does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/flight.h"
#include "flight/data.h"
#include "source/source.h"

enum { ROWS_SHOWN = 200, TEXT_BYTES_MAX = 60 };

static const struct cli_option OPTIONS[] = {
    {"sql", 0, "SQL", NULL, "info, get: of a Flight SQL statement, in place of a PATH"},
    {"cmd", 0, "TEXT", NULL, "info, get, put: of a command, in place of a PATH"},
    {"format", 'f', "table|json|ndjson|csv|arrow", NULL,
     "get: of the output (default: table on a terminal, csv otherwise)"},
    CLI_REMOTE_OPTIONS,
    CLI_FLIGHT_OPTIONS,
    {"json", 0, NULL, NULL, "ls, info, action, put: as JSON; get: the same as --format json"},
    {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "Talks to a Flight server of anybody's. The words of a PATH are its elements.\n"
    "\n"
    "ls [EXPRESSION]       what there is; EXPRESSION goes to the server as it is\n"
    "info PATH...          endpoints, schema and size of one; also --sql SQL, --cmd TEXT\n"
    "get PATH...           its rows; also --sql SQL, --cmd TEXT\n"
    "put PATH... FILE      a file's rows (Arrow, Parquet, CSV, NDJSON; - is standard input)\n"
    "action [NAME [BODY]]  does it, or without NAME lists those there are\n"
    "\n"
    "Examples\n"
    "  arrowport flight ls --url grpc://127.0.0.1:8888\n"
    "  arrowport flight get flights --format arrow > flights.arrows\n"
    "  arrowport flight get --sql 'SELECT 1' --url grpc+tls://db.example.org:31337 --user anna\n"
    "  arrowport flight put flights january.parquet\n"
    "  arrowport flight action HealthCheck\n";

/* What one call of the command has. */
struct doing {
  const struct cli *cli;
  const struct server_config *config;
  struct flight_client *client;
  struct budget budget;
  FlightDescriptor descriptor;
  struct buffer command;
  json_t *list; /* --json */
  struct grid *grid;
  struct text out;
};

/* ---- descriptors ------------------------------------------------------------------------------------ */

/* protobuf-c's structs hold bytes that could be written to; nobody does. */
static ProtobufCBinaryData binary(const char *text) {
  ProtobufCBinaryData binary = {.len = strlen(text)};
  memcpy(&binary.data, &text, sizeof binary.data);
  return binary;
}

static enum status pack_sql(const char *sql, struct buffer *packed, struct error *error) {
  Arrow__Flight__Protocol__Sql__CommandStatementQuery command =
      ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_QUERY__INIT;
  memcpy(&command.query, &sql, sizeof command.query);
  return flight_client_sql_pack(&command.base, packed, error);
}

/* The words [1, 1 + words), or --sql, or --cmd. */
static enum status find_descriptor(struct doing *doing, int words, struct error *error) {
  FlightDescriptor *descriptor = &doing->descriptor;
  FlightDescriptor fresh = ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__INIT;
  const char *sql = cli_value(doing->cli, "sql");
  const char *cmd = cli_value(doing->cli, "cmd");
  *descriptor = fresh;
  if ((sql != NULL) + (cmd != NULL) + (words > 0) != 1)
    return error_set(error, STATUS_INVALID, "give one of PATH, --sql and --cmd");
  descriptor->type = words > 0 ? ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__PATH
                               : ARROW__FLIGHT__PROTOCOL__FLIGHT_DESCRIPTOR__DESCRIPTOR_TYPE__CMD;
  if (words > 0) {
    const char **path = doing->cli->arguments + 1;
    descriptor->n_path = (size_t)words;
    memcpy(&descriptor->path, &path, sizeof descriptor->path);
  }
  if (cmd != NULL) descriptor->cmd = binary(cmd);
  if (sql == NULL) return STATUS_OK;
  enum status status = pack_sql(sql, &doing->command, error);
  descriptor->cmd = (ProtobufCBinaryData){(size_t)doing->command.size_bytes, doing->command.data};
  return status;
}

/* ---- what bytes are called ------------------------------------------------------------------------------ */

static bool is_text(const ProtobufCBinaryData *bytes) {
  for (size_t i = 0; i < bytes->len; i++)
    if (bytes->data[i] < 0x20 && strchr("\t\n\r", bytes->data[i]) == NULL) return false;
  return bytes->len == 0 || (utf8_valid_bytes(bytes->data, bytes->len) == bytes->len &&
                             memchr(bytes->data, 0, bytes->len) == NULL);
}

/* As text where it is some, else "<17 bytes>". */
static enum status add_bytes(struct text *out, const ProtobufCBinaryData *bytes, size_t bytes_max,
                             struct error *error) {
  if (!is_text(bytes)) return text_add_format(out, error, "<%zu bytes>", bytes->len);
  bool is_cut = bytes->len > bytes_max;
  enum status status = text_add_visible(out, (const char *)bytes->data,
                                        is_cut ? bytes_max : bytes->len, false, error);
  return status == STATUS_OK && is_cut ? text_add(out, "...", error) : status;
}

static enum status add_descriptor(struct text *out, const FlightDescriptor *descriptor,
                                  struct error *error) {
  if (descriptor == NULL) return text_add(out, "-", error);
  if (descriptor->cmd.len > 0) return add_bytes(out, &descriptor->cmd, TEXT_BYTES_MAX, error);
  enum status status = STATUS_OK;
  for (size_t i = 0; i < descriptor->n_path && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(out, " ", error);
    if (status == STATUS_OK)
      status =
          text_add_visible(out, descriptor->path[i], strlen(descriptor->path[i]), false, error);
  }
  return status;
}

/* A string, or {"base64": ...}. */
static json_t *json_of_bytes(const ProtobufCBinaryData *bytes) {
  if (is_text(bytes)) return json_stringn((const char *)bytes->data, bytes->len);
  struct text hex = TEXT_EMPTY;
  for (size_t i = 0; i < bytes->len; i++)
    if (text_add_format(&hex, NULL, "%02x", bytes->data[i]) != STATUS_OK) break;
  json_t *json = json_pack("{s:s}", "hex", text_get(&hex));
  text_release(&hex);
  return json;
}

/* ---- FlightInfo --------------------------------------------------------------------------------------------- */

static json_t *json_of_schema(const FlightInfo *info) {
  struct ArrowSchema schema = {.release = NULL};
  if (info->schema.len == 0 ||
      flight_schema_read(info->schema.data, info->schema.len, &schema, NULL) != STATUS_OK)
    return json_null();
  json_t *list = json_array();
  for (int64_t i = 0; i < schema.n_children; i++) {
    struct text type = TEXT_EMPTY;
    if (arrow_type_print(schema.children[i], &type, NULL) == STATUS_OK)
      json_array_append_new(list,
                            json_pack("{s:s, s:s, s:b}", "name", schema.children[i]->name, "type",
                                      text_get(&type), "nullable",
                                      (schema.children[i]->flags & ARROW_FLAG_NULLABLE) != 0));
    text_release(&type);
  }
  arrow_schema_release(&schema);
  return list;
}

static json_t *json_of_endpoint(const FlightEndpoint *endpoint) {
  static const ProtobufCBinaryData none = {0, NULL};
  json_t *locations = json_array();
  for (size_t i = 0; i < endpoint->n_location; i++)
    json_array_append_new(locations, json_string(endpoint->location[i]->uri));
  json_t *json =
      json_pack("{s:o, s:o}", "ticket",
                json_of_bytes(endpoint->ticket == NULL ? &none : &endpoint->ticket->ticket),
                "locations", locations);
  if (endpoint->expiration_time != NULL)
    json_object_set_new(json, "expires", json_integer(endpoint->expiration_time->seconds));
  if (endpoint->app_metadata.len > 0)
    json_object_set_new(json, "app_metadata", json_of_bytes(&endpoint->app_metadata));
  return json;
}

static json_t *json_of_info(const FlightInfo *info) {
  json_t *path = json_array();
  json_t *endpoints = json_array();
  json_t *json = json_object();
  const FlightDescriptor *descriptor = info->flight_descriptor;
  for (size_t i = 0; descriptor != NULL && i < descriptor->n_path; i++)
    json_array_append_new(path, json_string(descriptor->path[i]));
  for (size_t i = 0; i < info->n_endpoint; i++)
    json_array_append_new(endpoints, json_of_endpoint(info->endpoint[i]));
  json_object_set_new(json, "path", path);
  if (descriptor != NULL && descriptor->cmd.len > 0)
    json_object_set_new(json, "cmd", json_of_bytes(&descriptor->cmd));
  json_object_set_new(json, "rows", json_integer(info->total_records));
  json_object_set_new(json, "bytes", json_integer(info->total_bytes));
  json_object_set_new(json, "ordered", json_boolean(info->ordered));
  json_object_set_new(json, "endpoints", endpoints);
  json_object_set_new(json, "schema", json_of_schema(info));
  if (info->app_metadata.len > 0)
    json_object_set_new(json, "app_metadata", json_of_bytes(&info->app_metadata));
  return json;
}

static enum status print_json(const json_t *json, struct error *error) {
  char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
  struct text out = TEXT_EMPTY;
  enum status status = text == NULL ? error_set(error, STATUS_NOMEM, "no memory for the answer")
                                    : text_add_format(&out, error, "%s\n", text);
  if (status == STATUS_OK) status = cli_print(&out, error);
  text_release(&out);
  free(text);
  return status;
}

static enum status add_number(struct grid *grid, int64_t number, struct error *error) {
  char text[CLI_NUMBER_BYTES];
  return grid_add_text(grid, number < 0 ? "?" : cli_number(number, text), error);
}

/* Of a list, and of one: how it is called, rows, bytes, endpoints. */
static enum status add_row(struct doing *doing, const FlightInfo *info, struct error *error) {
  struct text name = TEXT_EMPTY;
  enum status status = add_descriptor(&name, info->flight_descriptor, error);
  if (status == STATUS_OK) status = grid_add_text(doing->grid, text_get(&name), error);
  if (status == STATUS_OK) status = add_number(doing->grid, info->total_records, error);
  if (status == STATUS_OK) status = add_number(doing->grid, info->total_bytes, error);
  if (status == STATUS_OK) status = add_number(doing->grid, (int64_t)info->n_endpoint, error);
  text_release(&name);
  return status;
}

static enum status open_grid(struct doing *doing, const char *const *heads, size_t count,
                             struct error *error) {
  enum status status = grid_new(count, &doing->grid, error);
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = grid_add_text(doing->grid, heads[i], error);
  return status;
}

static enum status print_grid(struct doing *doing, struct error *error) {
  enum status status = grid_print(doing->grid, cli_terminal_width(), &doing->out, error);
  if (status == STATUS_OK) status = cli_print(&doing->out, error);
  text_clear(&doing->out);
  grid_free(doing->grid);
  doing->grid = NULL;
  return status;
}

static enum status on_info(void *context, const FlightInfo *info, struct error *error) {
  struct doing *doing = context;
  if (doing->list == NULL) return add_row(doing, info, error);
  return json_array_append_new(doing->list, json_of_info(info)) == 0
             ? STATUS_OK
             : error_set(error, STATUS_NOMEM, "no memory for the list");
}

static const char *const info_heads[] = {"flight", "rows", "bytes", "endpoints"};

static enum status do_ls(struct doing *doing, struct error *error) {
  const struct cli *cli = doing->cli;
  const char *expression = cli->argument_count > 1 ? cli->arguments[1] : "";
  enum status status = STATUS_OK;
  if (cli->argument_count > 2)
    return error_set(error, STATUS_INVALID,
                     "'%.100s' is one word too many: arrowport flight ls "
                     "[EXPRESSION]",
                     cli->arguments[2]);
  if (cli_has(cli, "json"))
    doing->list = json_array();
  else
    status = open_grid(doing, info_heads, 4, error);
  for (size_t i = 1; doing->grid != NULL && status == STATUS_OK && i < 4; i++)
    grid_align_right(doing->grid, i);
  if (status == STATUS_OK)
    status = flight_client_list(doing->client, expression, strlen(expression), NULL, on_info, doing,
                                error);
  if (status != STATUS_OK) return status;
  return doing->list != NULL ? print_json(doing->list, error) : print_grid(doing, error);
}

/* ---- info ------------------------------------------------------------------------------------------------------ */

static enum status add_endpoints(struct doing *doing, const FlightInfo *info, struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < info->n_endpoint && status == STATUS_OK; i++) {
    const FlightEndpoint *endpoint = info->endpoint[i];
    char expires[40] = "";
    if (endpoint->expiration_time != NULL) {
      time_t seconds = (time_t)endpoint->expiration_time->seconds;
      struct tm parts;
      if (gmtime_r(&seconds, &parts) != NULL)
        strftime(expires, sizeof expires, ", expires %Y-%m-%dT%H:%M:%SZ", &parts);
    }
    status = text_add_format(&doing->out, error, "endpoint %zu: ", i);
    if (status == STATUS_OK && endpoint->n_location == 0)
      status = text_add(&doing->out, "this server", error);
    for (size_t j = 0; j < endpoint->n_location && status == STATUS_OK; j++) {
      if (j > 0) status = text_add(&doing->out, " ", error);
      const char *uri = endpoint->location[j]->uri;
      if (status == STATUS_OK)
        status = text_add_visible(&doing->out, uri, strlen(uri), false, error);
    }
    if (status == STATUS_OK) status = text_add_format(&doing->out, error, "%s\n", expires);
  }
  return status;
}

static enum status print_schema(struct doing *doing, const FlightInfo *info, struct error *error) {
  static const char *const heads[] = {"column", "type", "nullable"};
  struct ArrowSchema schema = {.release = NULL};
  if (info->schema.len == 0) return STATUS_OK;
  enum status status = flight_schema_read(info->schema.data, info->schema.len, &schema, error);
  if (status == STATUS_OK) status = open_grid(doing, heads, 3, error);
  for (int64_t i = 0; i < schema.n_children && status == STATUS_OK; i++) {
    struct text type = TEXT_EMPTY;
    bool nullable = (schema.children[i]->flags & ARROW_FLAG_NULLABLE) != 0;
    status = grid_add_text(doing->grid, schema.children[i]->name, error);
    if (status == STATUS_OK) status = arrow_type_print(schema.children[i], &type, error);
    if (status == STATUS_OK) status = grid_add_text(doing->grid, text_get(&type), error);
    if (status == STATUS_OK) status = grid_add_text(doing->grid, nullable ? "yes" : "no", error);
    text_release(&type);
  }
  if (status == STATUS_OK) status = print_grid(doing, error);
  arrow_schema_release(&schema);
  return status;
}

static enum status print_info(struct doing *doing, const FlightInfo *info, struct error *error) {
  char rows[CLI_NUMBER_BYTES];
  char bytes[CLI_NUMBER_BYTES];
  enum status status = add_descriptor(&doing->out, info->flight_descriptor, error);
  if (status == STATUS_OK)
    status = text_add_format(&doing->out, error, ": %s rows, %s bytes%s\n",
                             info->total_records < 0 ? "?" : cli_number(info->total_records, rows),
                             info->total_bytes < 0 ? "?" : cli_number(info->total_bytes, bytes),
                             info->ordered ? ", ordered" : "");
  if (status == STATUS_OK) status = add_endpoints(doing, info, error);
  if (status == STATUS_OK) status = cli_print(&doing->out, error);
  text_clear(&doing->out);
  return status == STATUS_OK ? print_schema(doing, info, error) : status;
}

static enum status do_info(struct doing *doing, struct error *error) {
  FlightInfo *info = NULL;
  enum status status = find_descriptor(doing, doing->cli->argument_count - 1, error);
  if (status == STATUS_OK)
    status = flight_client_info(doing->client, &doing->descriptor, NULL, &info, error);
  if (status == STATUS_OK && cli_has(doing->cli, "json")) {
    doing->list = json_of_info(info);
    status = print_json(doing->list, error);
  } else if (status == STATUS_OK) {
    status = print_info(doing, info, error);
  }
  if (info != NULL) FLIGHT(flight_info__free_unpacked)(info, NULL);
  return status;
}

/* ---- get, put -------------------------------------------------------------------------------------------------- */

static enum status do_get(struct doing *doing, struct error *error) {
  FlightInfo *info = NULL;
  struct flight_reader *reader = NULL;
  struct printer_options options = {
      .rows_max = ROWS_SHOWN, .compression = doing->config->compression, .budget = &doing->budget};
  const char *format = cli_has(doing->cli, "json") ? "json" : cli_value(doing->cli, "format");
  enum status status = format_parse(format, &options.format, error);
  if (status == STATUS_OK) status = find_descriptor(doing, doing->cli->argument_count - 1, error);
  if (status == STATUS_OK)
    status = flight_client_info(doing->client, &doing->descriptor, NULL, &info, error);
  if (status == STATUS_OK) status = flight_reader_open(doing->client, info, NULL, &reader, error);
  if (status == STATUS_OK) status = cli_flight_print(reader, &options, error);
  if (info != NULL) FLIGHT(flight_info__free_unpacked)(info, NULL);
  return status;
}

static enum status on_result(void *context, const void *data, size_t bytes, struct error *error) {
  (void)context;
  struct text line = TEXT_EMPTY;
  ProtobufCBinaryData result = {.len = bytes};
  memcpy(&result.data, &data, sizeof result.data);
  enum status status = add_bytes(&line, &result, SIZE_MAX, error);
  if (status == STATUS_OK) status = text_add(&line, "\n", error);
  if (status == STATUS_OK) status = cli_print(&line, error);
  text_release(&line);
  return status;
}

static enum status put_source(struct doing *doing, struct source *source, const char *name,
                              struct error *error) {
  struct flight_upload_options options = {.compression = &doing->config->compression,
                                          .result = on_result};
  struct flight_upload *put = NULL;
  struct progress progress;
  int64_t rows = 0;
  progress_begin(&progress, name, !cli_has(doing->cli, "json"));
  enum status status = flight_upload_open(doing->client, &doing->descriptor, source_schema(source),
                                          &options, &put, error);
  while (status == STATUS_OK) {
    struct ArrowArray batch = {.release = NULL};
    status = source_next(source, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    rows += batch.length;
    status = flight_upload_batch(put, &batch, NULL, error);
    progress_step(&progress, rows, 0, source_fraction(source));
  }
  if (status == STATUS_OK) status = flight_upload_finish(put, error);
  progress_end(&progress);
  flight_upload_free(put);
  return status;
}

static enum status do_put(struct doing *doing, struct error *error) {
  int words = doing->cli->argument_count - 2;
  struct input_options options = ingest_input(doing->cli, doing->config, &doing->budget);
  struct source *source = NULL;
  struct input input;
  if (words < 0)
    return error_set(error, STATUS_INVALID, "something is missing: arrowport flight put PATH FILE");
  const char *file = doing->cli->arguments[words + 1];
  enum status status = find_descriptor(doing, words, error);
  if (status != STATUS_OK) return status;
  status = input_open(file, NULL, "--format", &input, error);
  if (status == STATUS_OK) status = input_source(&input, &options, &source, error);
  if (status == STATUS_OK) status = put_source(doing, source, file, error);
  source_close(source);
  input_close(&input);
  return status;
}

/* ---- action ------------------------------------------------------------------------------------------------------- */

static enum status on_type(void *context, const FlightActionType *type, struct error *error) {
  struct doing *doing = context;
  if (doing->list != NULL)
    return json_array_append_new(doing->list, json_pack("{s:s, s:s}", "type", type->type,
                                                        "description", type->description)) == 0
               ? STATUS_OK
               : error_set(error, STATUS_INVALID, "an action's name is not UTF-8");
  enum status status = grid_add_text(doing->grid, type->type, error);
  return status == STATUS_OK ? grid_add_text(doing->grid, type->description, error) : status;
}

static enum status on_body(void *context, const void *data, size_t bytes, struct error *error) {
  struct doing *doing = context;
  ProtobufCBinaryData body = {.len = bytes};
  memcpy(&body.data, &data, sizeof body.data);
  if (doing->list == NULL) return on_result(context, data, bytes, error);
  return json_array_append_new(doing->list, json_of_bytes(&body)) == 0
             ? STATUS_OK
             : error_set(error, STATUS_NOMEM, "no memory for the answer");
}

static enum status do_action(struct doing *doing, struct error *error) {
  static const char *const heads[] = {"action", "description"};
  const struct cli *cli = doing->cli;
  bool is_listing = cli->argument_count == 1;
  const char *body = cli->argument_count > 2 ? cli->arguments[2] : "";
  enum status status = STATUS_OK;
  if (cli->argument_count > 3)
    return error_set(error, STATUS_INVALID,
                     "'%.100s' is one word too many: arrowport flight "
                     "action [NAME [BODY]]",
                     cli->arguments[3]);
  if (cli_has(cli, "json"))
    doing->list = json_array();
  else if (is_listing)
    status = open_grid(doing, heads, 2, error);
  if (status == STATUS_OK)
    status = is_listing ? flight_client_actions(doing->client, NULL, on_type, doing, error)
                        : flight_client_action(doing->client, cli->arguments[1], body, strlen(body),
                                               NULL, on_body, doing, error);
  if (status != STATUS_OK) return status;
  if (doing->list != NULL) return print_json(doing->list, error);
  return is_listing ? print_grid(doing, error) : STATUS_OK;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  enum status (*run)(struct doing *doing, struct error *error);
} verbs[] = {
    {"ls", do_ls}, {"info", do_info}, {"get", do_get}, {"put", do_put}, {"action", do_action}};
enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

static enum status run(const struct cli *cli, struct error *error) {
  struct server_config *config = NULL;
  struct doing doing = {.cli = cli};
  const char *names[VERB_COUNT];
  size_t at = 0;
  for (size_t i = 0; i < VERB_COUNT; i++) names[i] = verbs[i].name;
  while (at < VERB_COUNT && strcmp(verbs[at].name, cli->arguments[0]) != 0) at++;
  if (at == VERB_COUNT) {
    const char *nearest = text_nearest(cli->arguments[0], names, VERB_COUNT);
    return error_set(error, STATUS_INVALID, "'%.40s' is none of ls, info, get, put, action%s%s%s",
                     cli->arguments[0], nearest == NULL ? "" : "; did you mean ",
                     nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?");
  }
  enum status status = cli_config(cli, &config, error);
  if (status == STATUS_OK) {
    doing.config = config;
    doing.budget.limit_bytes = config->memory_limit_bytes;
    status = cli_flight_connect(cli, config, &doing.budget, &doing.client, error);
  }
  if (status == STATUS_OK) status = verbs[at].run(&doing, error);
  flight_client_close(doing.client);
  json_decref(doing.list);
  grid_free(doing.grid);
  text_release(&doing.out);
  buffer_release(&doing.command);
  server_config_free(config);
  return status;
}

const struct cli_command COMMAND_FLIGHT = {.name = "flight",
                                           .summary = "talk to a Flight server: ls, get, put, ...",
                                           .usage = "ls|info|get|put|action [ARGUMENT...]",
                                           .text = TEXT,
                                           .options = OPTIONS,
                                           .arguments_min = 1,
                                           .arguments_max = -1,
                                           .run = run};
