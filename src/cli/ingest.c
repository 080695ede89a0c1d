#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/upload.h"
#include "pipeline/pipeline.h"
#include "server/storage.h"
#include "source/source.h"

enum { PROGRESS_INTERVAL_MS = 200 };

static const struct cli_option OPTIONS[] = {
    {"url", 0, "URL", "url", "the server (default http://127.0.0.1:8888)"},
    {"compression", 0, "CODEC", "compression", "compress what is sent: zstd[:LEVEL], lz4 or none"},
    {"local", 0, NULL, NULL, "straight into the configured storage, without a server"},
    {"db", 0, "FILE", "db_path", "with --local: the DuckDB file"},
    {"json", 0, NULL, NULL, "print the answer as JSON, a line for each file"},
    {"quiet", 'q', NULL, NULL, "print nothing but errors"},
    {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "Lands Arrow data in the table of a stream. A FILE is an Arrow file or an Arrow stream,\n"
    "told apart by its first bytes; `-` is standard input. Each file is one request: its rows\n"
    "are all in the table when it is reported, or none of them is. A table that is not there\n"
    "yet is made from the data's schema.\n"
    "\n"
    "Examples\n"
    "  arrowport ingest flights january.arrow february.arrow\n"
    "  some-program | arrowport ingest events -\n"
    "  arrowport ingest flights flights.arrow --compression lz4\n";

/* ---- progress ----------------------------------------------------------------------- */

struct progress {
  const char *name;
  bool shown; /* to somebody at a terminal */
  int64_t begin_ms;
  int64_t next_ms;
};

static void progress_begin(struct progress *progress, const struct cli *cli, const char *name) {
  *progress = (struct progress){
      .name = strcmp(name, "-") == 0 ? "standard input" : name,
      .shown = isatty(STDERR_FILENO) != 0 && !cli_has(cli, "quiet") && !cli_has(cli, "json"),
      .begin_ms = clock_now_ms(),
  };
  progress->next_ms = progress->begin_ms + PROGRESS_INTERVAL_MS;
}

static void progress_step(struct progress *progress, int64_t rows, int64_t bytes) {
  int64_t now_ms = clock_now_ms();
  if (!progress->shown || now_ms < progress->next_ms) return;
  progress->next_ms = now_ms + PROGRESS_INTERVAL_MS;
  char number[CLI_NUMBER_BYTES];
  double seconds = (double)(now_ms - progress->begin_ms) / 1e3;
  fprintf(stderr, "\r\033[K%.60s: %s rows", progress->name, cli_number(rows, number));
  if (bytes > 0)
    fprintf(stderr, ", %.1f MB, %.0f MB/s", (double)bytes / 1e6, (double)bytes / 1e6 / seconds);
}

static void progress_end(const struct progress *progress) {
  if (progress->shown) fputs("\r\033[K", stderr);
}

/* ---- the answer ---------------------------------------------------------------------- */

struct landed {
  const char *table;
  int64_t rows;
  int64_t batches;
  double seconds;
};

static enum status report(const struct progress *progress, const struct landed *landed,
                          struct error *error) {
  char rows[CLI_NUMBER_BYTES];
  char batches[CLI_NUMBER_BYTES];
  struct text line = TEXT_EMPTY;
  enum status status =
      text_add_format(&line, error, "%s: %s row%s in %s batch%s landed in table %s (%.2f s)\n",
                      progress->name, cli_number(landed->rows, rows), landed->rows == 1 ? "" : "s",
                      cli_number(landed->batches, batches), landed->batches == 1 ? "" : "es",
                      landed->table, landed->seconds);
  if (status == STATUS_OK) status = cli_print(&line, error);
  text_release(&line);
  return status;
}

static enum status report_answer(const struct progress *progress, const struct text *answer,
                                 struct error *error) {
  json_t *parsed = json_loadb(text_get(answer), answer->size_bytes, 0, NULL);
  const char *table = json_string_value(json_object_get(parsed, "table"));
  struct landed landed = {
      .table = table,
      .rows = json_integer_value(json_object_get(parsed, "rows")),
      .batches = json_integer_value(json_object_get(parsed, "batches")),
      .seconds = (double)(clock_now_ms() - progress->begin_ms) / 1e3,
  };
  enum status status =
      table == NULL
          ? error_set(error, STATUS_INTERNAL, "the answer is none of an Arrowport server's: %.200s",
                      text_get(answer))
          : report(progress, &landed, error);
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
  progress_step(&sending->progress, upload_rows(sending->upload), upload_bytes(sending->upload));
  return status;
}

static enum status send_file(const struct cli *cli, struct remote *remote, const char *file,
                             const struct upload_options *options, struct error *error) {
  struct sending sending = {.upload = NULL};
  struct text path = TEXT_EMPTY;
  struct text answer = TEXT_EMPTY;
  progress_begin(&sending.progress, cli, file);
  enum status status = upload_open(file, options, &sending.upload, error);
  if (status == STATUS_OK) status = text_add(&path, "/ingest/", error);
  if (status == STATUS_OK) status = remote_encode(&path, cli->arguments[0], error);
  if (status != STATUS_OK) goto done;
  struct remote_request request = {
      .method = "POST",
      .path = text_get(&path),
      .content_type = "application/vnd.apache.arrow.stream",
      .accept = "application/json",
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
  text_release(&path);
  text_release(&answer);
  return status;
}

static enum status ingest_remote(const struct cli *cli, const struct server_config *config,
                                 struct error *error) {
  struct budget budget = {.limit_bytes = config->memory_limit_bytes};
  const struct stream_config *stream = server_config_stream(config, cli->arguments[0]);
  struct upload_options options = {
      .compression = stream != NULL && !cli_has(cli, "compression") ? stream->compression
                                                                    : config->compression,
      .rewrite = cli_has(cli, "compression"),
      .budget = &budget,
  };
  struct remote remote;
  enum status status = remote_open(config, &remote, error);
  if (status != STATUS_OK) return status;
  for (int i = 1; i < cli->argument_count && status == STATUS_OK; i++)
    status = send_file(cli, &remote, cli->arguments[i], &options, error);
  remote_close(&remote);
  return status;
}

/* ---- without a server ------------------------------------------------------------------- */

static bool on_batch(void *context, int64_t rows, int64_t batches) {
  (void)batches;
  progress_step(context, rows, 0);
  return true;
}

static enum status report_local(const struct cli *cli, const struct progress *progress,
                                const struct pipeline_target *target,
                                const struct load_result *result, struct error *error) {
  struct text table = TEXT_EMPTY;
  struct text line = TEXT_EMPTY;
  struct landed landed = {.rows = result->rows,
                          .batches = result->batches,
                          .seconds = (double)(clock_now_ms() - progress->begin_ms) / 1e3};
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
    status = report(progress, &landed, error);
  }
  text_release(&table);
  text_release(&line);
  return status;
}

static enum status load_file(const struct cli *cli, const char *file,
                             const struct pipeline_target *target, struct budget *budget,
                             struct error *error) {
  struct progress progress;
  struct source *source = NULL;
  struct load_result result = {.rows = 0};
  progress_begin(&progress, cli, file);
  struct pipeline_progress steps = {.report = on_batch, .context = &progress};
  enum status status = source_open_path(file, budget, &source, error);
  if (status == STATUS_OK) status = pipeline_run(source, target, &steps, &result, error);
  source_close(source);
  progress_end(&progress);
  if (status != STATUS_OK) return status;
  return report_local(cli, &progress, target, &result, error);
}

static enum status ingest_local(const struct cli *cli, const struct server_config *config,
                                struct error *error) {
  struct budget budget = {.limit_bytes = config->memory_limit_bytes / 2};
  struct storage *storage = NULL;
  const char *name = cli->arguments[0];
  const struct stream_config *stream = server_config_stream(config, name);
  struct pipeline_target target = {.mode = SINK_APPEND,
                                   .create_table = true,
                                   .chunk_rows =
                                       stream != NULL ? stream->chunk_rows : config->chunk_rows};
  enum status status = STATUS_OK;
  if (stream != NULL)
    target.table = stream->table;
  else
    status = table_name_parse(name, strlen(name), &target.table, error);
  if (status == STATUS_OK) status = storage_new(config, &storage, error);
  if (status == STATUS_OK)
    status = storage_sink(storage, stream != NULL ? stream->backend : config->storage_backend,
                          &target.sink, error);
  for (int i = 1; i < cli->argument_count && status == STATUS_OK; i++)
    status = load_file(cli, cli->arguments[i], &target, &budget, error);
  storage_free(storage);
  return status;
}

static enum status run(const struct cli *cli, struct error *error) {
  struct server_config *config = NULL;
  enum status status = cli_config(cli, &config, error);
  if (status != STATUS_OK) return status;
  status =
      cli_has(cli, "local") ? ingest_local(cli, config, error) : ingest_remote(cli, config, error);
  server_config_free(config);
  return status;
}

const struct cli_command COMMAND_INGEST = {.name = "ingest",
                                           .summary = "land Arrow files or streams in a table",
                                           .usage = "STREAM FILE...",
                                           .text = TEXT,
                                           .options = OPTIONS,
                                           .arguments_min = 2,
                                           .arguments_max = -1,
                                           .run = run};
