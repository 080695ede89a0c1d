#include <string.h>

#include <jansson.h>

#include "cli/cli.h"

static const struct cli_option OPTIONS[] = {
    CLI_REMOTE_OPTIONS,
    {"local", 0, NULL, NULL, "those of the configuration, without a server"},
    {"json", 0, NULL, NULL, "as JSON"},
    {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "Lists the streams that are configured, with the table and the backend that each lands in.\n"
    "A stream that is not listed can be sent to all the same: its table is its name.\n";

/* One stream, in both forms of output. */
static enum status add_stream(struct grid *grid, const char *name, const char *table,
                              const char *backend, struct error *error) {
  enum status status = grid_add_text(grid, name, error);
  if (status == STATUS_OK) status = grid_add_text(grid, table, error);
  if (status == STATUS_OK) status = grid_add_text(grid, backend, error);
  return status;
}

static enum status add_answer(struct grid *grid, const struct text *answer, struct error *error) {
  json_t *parsed = json_loadb(text_get(answer), answer->size_bytes, 0, NULL);
  const json_t *streams = json_object_get(parsed, "streams");
  enum status status =
      json_is_array(streams)
          ? STATUS_OK
          : error_set(error, STATUS_INTERNAL, "the answer is none of an Arrowport server's");
  for (size_t i = 0; i < json_array_size(streams) && status == STATUS_OK; i++) {
    const json_t *stream = json_array_get(streams, i);
    status = add_stream(grid, json_string_value(json_object_get(stream, "name")),
                        json_string_value(json_object_get(stream, "target_table")),
                        json_string_value(json_object_get(stream, "storage_backend")), error);
  }
  json_decref(parsed);
  return status;
}

/* The same as a server's answer. */
static enum status local_json(const struct server_config *config, struct text *out,
                              struct error *error) {
  enum status status = text_add(out, "{\"streams\":[", error);
  for (size_t i = 0; i < config->stream_count && status == STATUS_OK; i++) {
    const struct stream_config *stream = &config->streams[i];
    struct text table = TEXT_EMPTY;
    status = table_name_print(&stream->table, &table, error);
    if (status == STATUS_OK) status = text_add(out, i == 0 ? "{\"name\":" : ",{\"name\":", error);
    if (status == STATUS_OK) status = text_add_json(out, stream->name, strlen(stream->name), error);
    if (status == STATUS_OK) status = text_add(out, ",\"target_table\":", error);
    if (status == STATUS_OK) status = text_add_json(out, text_get(&table), table.size_bytes, error);
    if (status == STATUS_OK) status = text_add(out, ",\"storage_backend\":", error);
    if (status == STATUS_OK)
      status = text_add_json(out, stream->backend, strlen(stream->backend), error);
    if (status == STATUS_OK) status = text_add(out, "}", error);
    text_release(&table);
  }
  return status == STATUS_OK ? text_add(out, "]}\n", error) : status;
}

static enum status fetch(const struct cli *cli, const struct server_config *config,
                         struct text *answer, struct error *error) {
  struct remote remote;
  struct remote_request request = {
      .method = "GET", .path = "/streams", .accept = "application/json"};
  enum status status = remote_open(cli, config, &remote, error);
  if (status != STATUS_OK) return status;
  status = remote_send(&remote, &request, answer, error);
  remote_close(&remote);
  return status;
}

static enum status print_grid(const struct text *answer, struct error *error) {
  struct grid *grid = NULL;
  struct text out = TEXT_EMPTY;
  enum status status = grid_new(3, &grid, error);
  if (status == STATUS_OK) status = add_stream(grid, "stream", "table", "backend", error);
  if (status == STATUS_OK) status = add_answer(grid, answer, error);
  if (status == STATUS_OK && grid_rows(grid) == 0)
    status = text_add(&out, "No stream is configured: the table of a stream is its name.\n", error);
  else if (status == STATUS_OK)
    status = grid_print(grid, cli_terminal_width(), &out, error);
  if (status == STATUS_OK) status = cli_print(&out, error);
  text_release(&out);
  grid_free(grid);
  return status;
}

static enum status run(const struct cli *cli, struct error *error) {
  struct server_config *config = NULL;
  struct text answer = TEXT_EMPTY;
  enum status status = cli_config(cli, &config, error);
  if (status == STATUS_OK)
    status = cli_has(cli, "local") ? local_json(config, &answer, error)
                                   : fetch(cli, config, &answer, error);
  if (status == STATUS_OK)
    status = cli_has(cli, "json") ? cli_print(&answer, error) : print_grid(&answer, error);
  text_release(&answer);
  server_config_free(config);
  return status;
}

const struct cli_command COMMAND_STREAMS = {.name = "streams",
                                            .summary = "list the configured streams",
                                            .usage = "",
                                            .text = TEXT,
                                            .options = OPTIONS,
                                            .arguments_max = 0,
                                            .run = run};
