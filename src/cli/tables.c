
#include <jansson.h>

#include "cli/cli.h"

static const struct cli_option OPTIONS[] = {
    CLI_REMOTE_OPTIONS, {"json", 0, NULL, NULL, "as JSON"}, {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "Lists the server's tables with their rows (which may be an estimate), or the columns of\n"
    "one table.\n"
    "\n"
    "Examples\n"
    "  arrowport tables\n"
    "  arrowport tables flights\n";

static enum status add_table(struct grid *grid, const json_t *table, struct error *error) {
  char number[CLI_NUMBER_BYTES];
  const json_t *rows = json_object_get(table, "rows");
  enum status status =
      grid_add_text(grid, json_string_value(json_object_get(table, "name")), error);
  if (status != STATUS_OK) return status;
  return grid_add_text(
      grid, json_is_integer(rows) ? cli_number(json_integer_value(rows), number) : "?", error);
}

static enum status add_column(struct grid *grid, const json_t *column, struct error *error) {
  enum status status =
      grid_add_text(grid, json_string_value(json_object_get(column, "name")), error);
  if (status == STATUS_OK)
    status = grid_add_text(grid, json_string_value(json_object_get(column, "type")), error);
  if (status == STATUS_OK)
    status = grid_add_text(grid, json_is_true(json_object_get(column, "nullable")) ? "yes" : "no",
                           error);
  return status;
}

static enum status add_heads(struct grid *grid, bool one, struct error *error) {
  static const char *const heads[2][3] = {{"table", "rows", NULL}, {"column", "type", "nullable"}};
  enum status status = STATUS_OK;
  for (size_t i = 0; i < 3 && heads[one][i] != NULL && status == STATUS_OK; i++)
    status = grid_add_text(grid, heads[one][i], error);
  if (!one) grid_align_right(grid, 1);
  return status;
}

/* `one`: the answer is about one table. */
static enum status print_grid(const struct text *answer, bool one, struct error *error) {
  struct grid *grid = NULL;
  struct text out = TEXT_EMPTY;
  json_t *parsed = json_loadb(text_get(answer), answer->size_bytes, 0, NULL);
  const json_t *list = json_object_get(parsed, one ? "columns" : "tables");
  enum status status =
      json_is_array(list)
          ? STATUS_OK
          : error_set(error, STATUS_INTERNAL, "the answer is none of an Arrowport server's");
  if (status == STATUS_OK) status = grid_new(one ? 3 : 2, &grid, error);
  if (status == STATUS_OK) status = add_heads(grid, one, error);
  for (size_t i = 0; i < json_array_size(list) && status == STATUS_OK; i++)
    status = one ? add_column(grid, json_array_get(list, i), error)
                 : add_table(grid, json_array_get(list, i), error);
  if (status == STATUS_OK && !one && grid_rows(grid) == 0)
    status = text_add(&out, "There is no table yet; `arrowport ingest` makes one.\n", error);
  else if (status == STATUS_OK)
    status = grid_print(grid, cli_terminal_width(), &out, error);
  if (status == STATUS_OK) status = cli_print(&out, error);
  text_release(&out);
  grid_free(grid);
  json_decref(parsed);
  return status;
}

static enum status fetch(const struct cli *cli, const struct server_config *config,
                         const char *name, struct text *answer, struct error *error) {
  struct remote remote = {.client = NULL};
  struct text path = TEXT_EMPTY;
  enum status status = text_add(&path, name == NULL ? "/tables" : "/tables/", error);
  if (status == STATUS_OK && name != NULL) status = remote_encode(&path, name, error);
  if (status == STATUS_OK) status = remote_open(cli, config, &remote, error);
  struct remote_request request = {
      .method = "GET", .path = text_get(&path), .accept = "application/json"};
  if (status == STATUS_OK) status = remote_send(&remote, &request, answer, error);
  remote_close(&remote);
  text_release(&path);
  return status;
}

static enum status run(const struct cli *cli, struct error *error) {
  struct server_config *config = NULL;
  struct text answer = TEXT_EMPTY;
  const char *name = cli->argument_count > 0 ? cli->arguments[0] : NULL;
  enum status status = cli_config(cli, &config, error);
  if (status == STATUS_OK && name != NULL && name[0] == '\0')
    status = error_set(error, STATUS_INVALID, "a table name is empty");
  if (status == STATUS_OK) status = fetch(cli, config, name, &answer, error);
  if (status == STATUS_OK)
    status =
        cli_has(cli, "json") ? cli_print(&answer, error) : print_grid(&answer, name != NULL, error);
  text_release(&answer);
  server_config_free(config);
  return status;
}

const struct cli_command COMMAND_TABLES = {.name = "tables",
                                           .summary = "list tables, or the columns of one",
                                           .usage = "[NAME]",
                                           .text = TEXT,
                                           .options = OPTIONS,
                                           .arguments_max = 1,
                                           .run = run};
