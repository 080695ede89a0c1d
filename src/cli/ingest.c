/* Files into a table: through a server, or straight into the storage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/cli.h"
#include "cli/flight.h"
#include "cli/holder.h"
#include "cli/ingest.h"
#include "cli/input.h"
#include "cli/progress.h"
#include "cli/upload.h"
#include "pipeline/pipeline.h"
#include "server/storage.h"
#include "source/source.h"

static const struct cli_option OPTIONS[] = {
    {"format", 'f', INPUT_FORMATS, NULL, "what the files are (default: found out)"},
    {"mode", 'm', "append|overwrite|upsert|merge", NULL, "what happens to rows that are there"},
    {"key", 'k', "A,B,...", NULL, "upsert and merge: the columns that say which row is meant"},
    {"idempotency-key", 0, "KEY", NULL, "lands once, however often it is sent with this key"},
    {"delimiter", 0, "TEXT", NULL, "CSV: what separates columns (default: found out)"},
    {"all-text", 0, NULL, NULL, "CSV: every column is text; otherwise types are found by looking"},
    {"compression", 0, "CODEC", "compression", "of what is sent: zstd[:LEVEL], lz4 or none"},
    {"commit", 0, "batch|stream", NULL,
     "grpc://: each batch, or all at the end (default: on the way, as the server likes)"},
    CLI_REMOTE_OPTIONS,
    CLI_FLIGHT_OPTIONS,
    {"local", 0, NULL, NULL, "straight into the configured storage, without a server"},
    {"db", 0, "FILE", "db_path", "with --local: the DuckDB file"},
    {"json", 0, NULL, NULL, "print the answer as JSON, a line for each file"},
    {"quiet", 'q', NULL, NULL, "print nothing but errors"},
    {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "Lands files in the table of a stream: Arrow streams, Arrow files, Parquet, CSV, NDJSON,\n"
    "told apart by their first bytes, then by their suffix (.csv, .tsv, .ndjson, .jsonl, .json;\n"
    ".gz and .zst after them). `-` is standard input. Each file is one request: its rows are\n"
    "all in the table when it is reported, or none of them is. A table that is not there yet\n"
    "is made from the data's schema. With --local, a server that holds the database file is\n"
    "gone through.\n"
    "\n"
    "A URL that begins with grpc://, grpc+tls:// or flightsql:// means Flight: the server commits\n"
    "on the way, and --commit stream makes each file all or nothing. With --idempotency-key a\n"
    "file goes on where it was when the server comes back.\n"
    "\n"
    "Examples\n"
    "  arrowport ingest flights january.arrow february.parquet march.csv.gz\n"
    "  some-program | arrowport ingest events - --format ndjson\n"
    "  arrowport ingest customers changes.parquet --mode upsert --key id\n"
    "  arrowport ingest sales 2026-03-01.parquet --idempotency-key sales-2026-03-01\n"
    "  arrowport ingest flights flights.arrow --local --db warehouse.duckdb\n"
    "  arrowport ingest flights flights.arrow --url grpc://db.example.org:8888\n";

/* ---- what is asked for ---------------------------------------------------------------- */

static enum status find_mode(struct ingest_asked *asked, struct error *error) {
  static const enum sink_mode modes[] = {SINK_APPEND, SINK_OVERWRITE, SINK_UPSERT, SINK_MERGE};
  asked->mode = SINK_APPEND;
  if (asked->mode_name == NULL) return STATUS_OK;
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    asked->mode = modes[i];
    if (strcmp(sink_mode_name(modes[i]), asked->mode_name) == 0) return STATUS_OK;
  }
  return error_set(error, STATUS_INVALID,
                   "--mode is '%.40s'; it must be append, overwrite, upsert or merge",
                   asked->mode_name);
}

/* --key a,b --key c */
static enum status find_keys(const struct cli *cli, struct ingest_asked *asked,
                             struct error *error) {
  struct text all = TEXT_EMPTY;
  const char *value;
  enum status status = STATUS_OK;
  for (int i = 0; status == STATUS_OK && (value = cli_value_at(cli, "key", i)) != NULL; i++)
    status = text_add_format(&all, error, "%s%s", i == 0 ? "" : ",", value);
  asked->key_text = all.data;
  for (char *at = all.data; at != NULL && status == STATUS_OK;) {
    char *comma = strchr(at, ',');
    if (comma != NULL) *comma = '\0';
    if (at[0] == '\0')
      status = error_set(error, STATUS_INVALID, "--key names no column; write --key id");
    else if (asked->key_count == INGEST_KEYS_MAX)
      status =
          error_set(error, STATUS_TOO_LARGE, "--key names more than %d columns", INGEST_KEYS_MAX);
    else
      asked->keys[asked->key_count++] = at;
    at = comma == NULL ? NULL : comma + 1;
  }
  bool needed = asked->mode == SINK_UPSERT || asked->mode == SINK_MERGE;
  if (status == STATUS_OK && needed && asked->key_count == 0)
    status = error_set(error, STATUS_INVALID, "--mode %s needs --key COLUMN", asked->mode_name);
  if (status == STATUS_OK && !needed && asked->key_count > 0)
    status = error_set(error, STATUS_INVALID, "--key goes with --mode upsert or merge");
  return status;
}

static enum status find_asked(const struct cli *cli, struct ingest_asked *asked,
                              struct error *error) {
  *asked = (struct ingest_asked){.format = cli_value(cli, "format"),
                                 .mode_name = cli_value(cli, "mode")};
  asked->token = cli_value(cli, "idempotency-key");
  asked->commit = cli_value(cli, "commit");
  if (asked->token != NULL && cli->argument_count > 2)
    return error_set(error, STATUS_INVALID,
                     "--idempotency-key goes with one file: each file is a request of its own");
  enum status status = find_mode(asked, error);
  return status == STATUS_OK ? find_keys(cli, asked, error) : status;
}

/* "/ingest/flights?mode=upsert&key=id" */
static enum status add_path(const char *stream, const struct ingest_asked *asked, struct text *path,
                            struct error *error) {
  enum status status = text_add(path, "/ingest/", error);
  if (status == STATUS_OK) status = remote_encode(path, stream, error);
  if (status == STATUS_OK && asked->mode_name != NULL)
    status = text_add_format(path, error, "?mode=%s", asked->mode_name);
  for (size_t i = 0; i < asked->key_count && status == STATUS_OK; i++) {
    status = text_add(path, "&key=", error);
    if (status == STATUS_OK) status = remote_encode(path, asked->keys[i], error);
  }
  return status;
}

struct input_options ingest_input(const struct cli *cli, const struct server_config *config,
                                  struct budget *budget) {
  return (struct input_options){.budget = budget,
                                .delimiter = cli_value(cli, "delimiter"),
                                .all_text = cli_has(cli, "all-text"),
                                .memory_limit_bytes = config->memory_limit_bytes / 4,
                                .threads = config->threads};
}

bool ingest_wants_progress(const struct cli *cli) {
  return !cli_has(cli, "quiet") && !cli_has(cli, "json");
}

/* ---- the answer ---------------------------------------------------------------------- */

enum status ingest_report(const struct progress *progress, const struct ingest_landed *landed,
                          struct error *error) {
  char rows[CLI_NUMBER_BYTES];
  char batches[CLI_NUMBER_BYTES];
  struct text line = TEXT_EMPTY;
  enum status status = text_add_format(
      &line, error, "%s: %s row%s in %s batch%s landed in table %s%s (%.2f s)\n", progress->name,
      cli_number(landed->rows, rows), landed->rows == 1 ? "" : "s",
      cli_number(landed->batches, batches), landed->batches == 1 ? "" : "es", landed->table,
      landed->repeated ? " before: nothing was added" : "", landed->seconds);
  if (status == STATUS_OK) status = cli_print(&line, error);
  text_release(&line);
  return status;
}

static enum status report_answer(const struct progress *progress, const struct text *answer,
                                 struct error *error) {
  json_t *parsed = json_loadb(text_get(answer), answer->size_bytes, 0, NULL);
  const char *table = json_string_value(json_object_get(parsed, "table"));
  struct ingest_landed landed = {
      .table = table,
      .rows = json_integer_value(json_object_get(parsed, "rows")),
      .batches = json_integer_value(json_object_get(parsed, "batches")),
      .seconds = progress_seconds(progress),
  };
  enum status status =
      table == NULL
          ? error_set(error, STATUS_INTERNAL, "the answer is none of an Arrowport server's: %.200s",
                      text_get(answer))
          : ingest_report(progress, &landed, error);
  json_decref(parsed);
  return status;
}

/* ---- through a server ------------------------------------------------------------------ */

struct sending {
  struct upload *upload;
  struct progress progress;
};

static enum status on_read(void *context, void *room, size_t room_bytes, size_t *bytes,
                           struct error *error) {
  struct sending *sending = context;
  enum status status = upload_read(sending->upload, room, room_bytes, bytes, error);
  progress_step(&sending->progress, upload_rows(sending->upload), upload_bytes(sending->upload),
                upload_fraction(sending->upload));
  return status;
}

static enum status send_file(const struct cli *cli, struct remote *remote, const char *file,
                             const struct ingest_asked *asked, const struct upload_options *options,
                             struct error *error) {
  struct sending sending = {.upload = NULL};
  struct input input;
  struct text path = TEXT_EMPTY;
  struct text answer = TEXT_EMPTY;
  enum status status = input_open(file, asked->format, "--format", &input, error);
  progress_begin(&sending.progress, input.name, ingest_wants_progress(cli));
  if (status == STATUS_OK) status = upload_open(&input, options, &sending.upload, error);
  if (status == STATUS_OK) status = add_path(cli->arguments[0], asked, &path, error);
  if (status != STATUS_OK) goto done;
  struct remote_request request = {
      .method = "POST",
      .path = text_get(&path),
      .content_type = "application/vnd.apache.arrow.stream",
      .accept = "application/json",
      .idempotency_key = asked->token,
      .read_body = on_read,
      .context = &sending,
  };
  status = remote_send(remote, &request, &answer, error);
  progress_end(&sending.progress);
  if (status != STATUS_OK) goto done;
  if (cli_has(cli, "json"))
    status = cli_print(&answer, error);
  else if (!cli_has(cli, "quiet"))
    status = report_answer(&sending.progress, &answer, error);
done:
  upload_close(sending.upload);
  input_close(&input);
  text_release(&path);
  text_release(&answer);
  return status;
}

static enum status ingest_remote(const struct cli *cli, const struct server_config *config,
                                 const struct ingest_asked *asked, struct error *error) {
  struct budget budget = {.limit_bytes = config->memory_limit_bytes};
  const struct stream_config *stream = server_config_stream(config, cli->arguments[0]);
  struct upload_options options = {
      .compression = stream != NULL && !cli_has(cli, "compression") ? stream->compression
                                                                    : config->compression,
      .rewrite = cli_has(cli, "compression"),
      .input = ingest_input(cli, config, &budget),
  };
  struct remote remote;
  enum status status = remote_open(cli, config, &remote, error);
  if (status != STATUS_OK) return status;
  for (int i = 1; i < cli->argument_count && status == STATUS_OK; i++)
    status = send_file(cli, &remote, cli->arguments[i], asked, &options, error);
  remote_close(&remote);
  return status;
}

/* ---- without a server ------------------------------------------------------------------- */

struct loading {
  struct source *source;
  struct progress progress;
};

static bool on_batch(void *context, int64_t rows, int64_t batches) {
  struct loading *loading = context;
  (void)batches;
  progress_step(&loading->progress, rows, 0, source_fraction(loading->source));
  return true;
}

static enum status report_local(const struct cli *cli, const struct progress *progress,
                                const struct pipeline_target *target,
                                const struct load_result *result, struct error *error) {
  struct text table = TEXT_EMPTY;
  struct text line = TEXT_EMPTY;
  struct ingest_landed landed = {.rows = result->rows,
                                 .batches = result->batches,
                                 .seconds = progress_seconds(progress),
                                 .repeated = result->repeated};
  enum status status = table_name_print(&target->table, &table, error);
  landed.table = text_get(&table);
  if (status != STATUS_OK || cli_has(cli, "quiet")) {
    /* nothing to say */
  } else if (cli_has(cli, "json")) {
    status = text_add(&line, "{\"table\":", error);
    if (status == STATUS_OK)
      status = text_add_json(&line, text_get(&table), table.size_bytes, error);
    if (status == STATUS_OK)
      status = text_add_format(&line, error, ",\"rows\":%lld,\"batches\":%lld}\n",
                               (long long)landed.rows, (long long)landed.batches);
    if (status == STATUS_OK) status = cli_print(&line, error);
  } else {
    status = ingest_report(progress, &landed, error);
  }
  text_release(&table);
  text_release(&line);
  return status;
}

static enum status load_file(const struct cli *cli, const char *file,
                             const struct ingest_asked *asked, const struct pipeline_target *target,
                             const struct input_options *options, struct error *error) {
  struct loading loading = {.source = NULL};
  struct input input;
  struct load_result result = {.rows = 0};
  struct pipeline_progress steps = {.report = on_batch, .context = &loading};
  enum status status = input_open(file, asked->format, "--format", &input, error);
  progress_begin(&loading.progress, input.name, ingest_wants_progress(cli));
  if (status == STATUS_OK) status = input_source(&input, options, &loading.source, error);
  if (status == STATUS_OK) status = pipeline_run(loading.source, target, &steps, &result, error);
  source_close(loading.source);
  input_close(&input);
  progress_end(&loading.progress);
  if (status != STATUS_OK) return status;
  status = report_local(cli, &loading.progress, target, &result, error);
  load_result_release(&result);
  return status;
}

static enum status ingest_local(const struct cli *cli, const struct server_config *config,
                                const struct ingest_asked *asked, struct error *error) {
  struct budget budget = {.limit_bytes = config->memory_limit_bytes / 4};
  struct input_options options = ingest_input(cli, config, &budget);
  struct storage *storage = NULL;
  const char *name = cli->arguments[0];
  const struct stream_config *stream = server_config_stream(config, name);
  struct pipeline_target target = {
      .mode = asked->mode,
      .keys = asked->keys,
      .key_count = asked->key_count,
      .create_table = true,
      .policy = stream != NULL ? stream->landing.policy : config->landing.policy,
      .token = asked->token,
      .chunk_rows = stream != NULL ? stream->chunk_rows : config->chunk_rows};
  const char *backend = stream != NULL ? stream->backend : config->storage_backend;
  enum status status = STATUS_OK;
  if (stream != NULL)
    target.table = stream->table;
  else
    status = table_name_parse(name, strlen(name), &target.table, error);
  if (status == STATUS_OK) status = server_config_place(config, &target.table, &backend, error);
  if (status == STATUS_OK) status = storage_new(config, &storage, error);
  if (status == STATUS_CONFLICT) {
    status = holder_find(cli, config, cli_has(cli, "quiet"), error);
    return status == STATUS_OK ? ingest_remote(cli, config, asked, error) : status;
  }
  if (status == STATUS_OK) status = storage_sink(storage, backend, &target.sink, error);
  for (int i = 1; i < cli->argument_count && status == STATUS_OK; i++)
    status = load_file(cli, cli->arguments[i], asked, &target, &options, error);
  storage_free(storage);
  return status;
}

static enum status run(const struct cli *cli, struct error *error) {
  struct server_config *config = NULL;
  struct ingest_asked asked = {.format = NULL};
  enum status status = find_asked(cli, &asked, error);
  if (status == STATUS_OK) status = cli_config(cli, &config, error);
  if (status == STATUS_OK && asked.commit != NULL &&
      (cli_has(cli, "local") || !flight_uri_is(config->url)))
    status =
        error_set(error, STATUS_INVALID, "--commit goes with a URL of Flight: grpc://HOST:PORT");
  if (status == STATUS_OK)
    status = cli_has(cli, "local")        ? ingest_local(cli, config, &asked, error)
             : flight_uri_is(config->url) ? cli_flight_ingest(cli, config, &asked, error)
                                          : ingest_remote(cli, config, &asked, error);
  server_config_free(config);
  free(asked.key_text);
  return status;
}

const struct cli_command COMMAND_INGEST = {
    .name = "ingest",
    .summary = "land Arrow, Parquet, CSV or NDJSON files in a table",
    .usage = "STREAM FILE...",
    .text = TEXT,
    .options = OPTIONS,
    .arguments_min = 2,
    .arguments_max = -1,
    .run = run};
