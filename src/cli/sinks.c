#include <string.h>

#include "cli/cli.h"
#include "sink/sink.h"

static const struct cli_option OPTIONS[] = {{"json", 0, NULL, NULL, "as JSON"},
                                            {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "Lists the storage backends that are built in, or all that one of them says about itself:\n"
    "what it can do and which settings it takes.\n"
    "\n"
    "Examples\n"
    "  arrowport sinks\n"
    "  arrowport sinks duckdb\n";

struct word {
  unsigned bit;
  const char *name;
};

static const struct word modes[] = {{SINK_APPEND, "append"},
                                    {SINK_OVERWRITE, "overwrite"},
                                    {SINK_UPSERT, "upsert"},
                                    {SINK_MERGE, "merge"}};
static const struct word traits[] = {{SINK_TRANSACTIONAL, "transactional"},
                                     {SINK_DURABLE, "durable"},
                                     {SINK_QUERYABLE, "queryable"}};
enum {
  MODE_COUNT = sizeof modes / sizeof modes[0],
  TRAIT_COUNT = sizeof traits / sizeof traits[0]
};

/* The names of the bits that are set, with `quote` around and `between` them. */
static enum status add_words(struct text *out, const struct word *words, size_t count,
                             unsigned bits, const char *quote, const char *between,
                             struct error *error) {
  enum status status = STATUS_OK;
  bool first = true;
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    if ((bits & words[i].bit) == 0) continue;
    status =
        text_add_format(out, error, "%s%s%s%s", first ? "" : between, quote, words[i].name, quote);
    first = false;
  }
  return status == STATUS_OK && first && quote[0] == '\0' ? text_add(out, "none", error) : status;
}

static enum status list_sinks(struct text *out, struct error *error) {
  struct grid *grid = NULL;
  size_t count;
  const struct sink_type *const *sinks = sink_all(&count);
  enum status status = grid_new(2, &grid, error);
  if (status == STATUS_OK) status = grid_add_text(grid, "backend", error);
  if (status == STATUS_OK) status = grid_add_text(grid, "what it is", error);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    status = grid_add_text(grid, sinks[i]->name, error);
    if (status == STATUS_OK) status = grid_add_text(grid, sinks[i]->summary, error);
  }
  if (status == STATUS_OK) status = grid_print(grid, 0, out, error);
  grid_free(grid);
  return status;
}

static enum status describe_sink(const struct sink_type *sink, struct text *out,
                                 struct error *error) {
  enum status status = text_add_format(out, error, "%s: %s\n\nModes:  ", sink->name, sink->summary);
  if (status == STATUS_OK) status = add_words(out, modes, MODE_COUNT, sink->modes, "", ", ", error);
  if (status == STATUS_OK) status = text_add(out, "\nTraits: ", error);
  if (status == STATUS_OK)
    status = add_words(out, traits, TRAIT_COUNT, sink->traits, "", ", ", error);
  if (status == STATUS_OK && sink->config[0].name == NULL)
    return text_add(out, "\n\nIt has no settings.\n", error);
  if (status == STATUS_OK) status = text_add(out, "\n\nSettings\n", error);
  if (status == STATUS_OK) status = config_help(sink->config, out, error);
  return status;
}

static enum status add_member(struct text *out, const char *name, const char *value,
                              struct error *error) {
  enum status status = text_add_format(out, error, "\"%s\":", name);
  if (status != STATUS_OK) return status;
  if (value == NULL) return text_add(out, "null", error);
  return text_add_json(out, value, strlen(value), error);
}

static enum status add_field_json(struct text *out, const struct config_field *field,
                                  struct error *error) {
  enum status status = text_add(out, "{", error);
  if (status == STATUS_OK) status = add_member(out, "name", field->name, error);
  if (status == STATUS_OK) status = text_add(out, ",", error);
  if (status == STATUS_OK) status = add_member(out, "default", field->default_text, error);
  if (status == STATUS_OK) status = text_add(out, ",", error);
  if (status == STATUS_OK) status = add_member(out, "unit", field->unit, error);
  if (status == STATUS_OK) status = text_add(out, ",", error);
  if (status == STATUS_OK) status = add_member(out, "choices", field->choices, error);
  if (status == STATUS_OK) status = text_add(out, ",", error);
  if (status == STATUS_OK) status = add_member(out, "environment", field->environment, error);
  if (status == STATUS_OK) status = text_add(out, ",", error);
  if (status == STATUS_OK) status = add_member(out, "doc", field->doc, error);
  if (status == STATUS_OK)
    status = text_add_format(out, error, ",\"required\":%s,\"secret\":%s}",
                             field->required ? "true" : "false", field->secret ? "true" : "false");
  return status;
}

static enum status add_sink_json(struct text *out, const struct sink_type *sink,
                                 struct error *error) {
  enum status status = text_add(out, "{", error);
  if (status == STATUS_OK) status = add_member(out, "name", sink->name, error);
  if (status == STATUS_OK) status = text_add(out, ",", error);
  if (status == STATUS_OK) status = add_member(out, "summary", sink->summary, error);
  if (status == STATUS_OK) status = text_add(out, ",\"modes\":[", error);
  if (status == STATUS_OK)
    status = add_words(out, modes, MODE_COUNT, sink->modes, "\"", ",", error);
  if (status == STATUS_OK) status = text_add(out, "],\"traits\":[", error);
  if (status == STATUS_OK)
    status = add_words(out, traits, TRAIT_COUNT, sink->traits, "\"", ",", error);
  if (status == STATUS_OK) status = text_add(out, "],\"settings\":[", error);
  for (const struct config_field *field = sink->config; field->name != NULL && status == STATUS_OK;
       field++) {
    if (field != sink->config) status = text_add(out, ",", error);
    if (status == STATUS_OK) status = add_field_json(out, field, error);
  }
  return status == STATUS_OK ? text_add(out, "]}", error) : status;
}

static enum status list_json(struct text *out, struct error *error) {
  size_t count;
  const struct sink_type *const *sinks = sink_all(&count);
  enum status status = text_add(out, "{\"sinks\":[", error);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(out, ",", error);
    if (status == STATUS_OK) status = add_sink_json(out, sinks[i], error);
  }
  return status == STATUS_OK ? text_add(out, "]}\n", error) : status;
}

static enum status find_sink(const char *name, const struct sink_type **sink, struct error *error) {
  *sink = sink_find(name);
  if (*sink != NULL) return STATUS_OK;
  return error_set(error, STATUS_NOT_FOUND,
                   "no storage backend '%.100s' is built in; `arrowport sinks` lists those that "
                   "are",
                   name);
}

static enum status run(const struct cli *cli, struct error *error) {
  struct text out = TEXT_EMPTY;
  const struct sink_type *sink = NULL;
  bool json = cli_has(cli, "json");
  enum status status = STATUS_OK;
  if (cli->argument_count > 0) status = find_sink(cli->arguments[0], &sink, error);
  if (status == STATUS_OK && sink == NULL)
    status = json ? list_json(&out, error) : list_sinks(&out, error);
  else if (status == STATUS_OK && json)
    status = add_sink_json(&out, sink, error);
  else if (status == STATUS_OK)
    status = describe_sink(sink, &out, error);
  if (status == STATUS_OK && sink != NULL && json) status = text_add(&out, "\n", error);
  if (status == STATUS_OK) status = cli_print(&out, error);
  text_release(&out);
  return status;
}

const struct cli_command COMMAND_SINKS = {.name = "sinks",
                                          .summary = "list storage backends, or describe one",
                                          .usage = "[NAME]",
                                          .text = TEXT,
                                          .options = OPTIONS,
                                          .arguments_max = 1,
                                          .run = run};
