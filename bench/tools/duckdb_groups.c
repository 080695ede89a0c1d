/* DuckDB alone: commits the rows of many small requests in groups, without a network, a queue or a
 * decoder: what the server's small posts are held against.
 *
 *   duckdb_groups DATABASE STREAM [OPTION=VALUE]...
 *     group=N    (100)    requests in a commit
 *     seconds=S  (5)      how long
 *     tokens=1            each request's token goes into a table with a primary key
 *     memory=BYTES        DuckDB's memory_limit (default: its own)
 *
 * STREAM is one request's body, decoded once. A group is one prepared INSERT ... SELECT from the
 * table function, which fills whole chunks from all of the group's batches: the fastest way there
 * is from C (docs/internals/engine.md), and the one the server goes. Tokens go in by the same
 * way. Prints one JSON object. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arrow/build.h"
#include "arrow/ipc.h"
#include "base/clock.h"
#include "engine/engine.h"

enum { GROUP_MAX = 100000, TOKEN_BYTES = 36 };

struct bench {
  int group;
  bool tokens;
  double seconds;
  struct engine_options options;
  struct budget budget;
  struct ArrowSchema schema, token_schema;
  struct arrow_shared *batch;
  int64_t batch_rows;
  struct engine_slice *slices;
  struct build *token_rows;
  struct engine *engine;
  struct engine_session *session;
  struct engine_insert *insert, *token_insert;
  uint64_t token_count; /* so far: no two are the same */
  uint64_t commits;
  int64_t *commit_us; /* how long each took */
  size_t commit_capacity;
};

/* ---- the request ------------------------------------------------------------------------------ */

static enum status read_stream(struct bench *bench, const char *path, struct buffer *stream,
                               struct error *error) {
  char data[1 << 16];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return error_set(error, STATUS_IO, "cannot read %s", path);
  enum status status = STATUS_OK;
  ssize_t bytes;
  while (status == STATUS_OK && (bytes = read(fd, data, sizeof data)) > 0)
    status = buffer_append(stream, &bench->budget, data, bytes, error);
  close(fd);
  return status;
}

static enum status take_message(struct bench *bench, struct ipc_decoder *decoder,
                                struct ipc_message *message, struct error *error) {
  struct ArrowArray batch = {.release = NULL};
  enum ipc_event event;
  enum status status = ipc_decoder_decode(decoder, message, &event, &batch, error);
  if (status != STATUS_OK) ipc_message_release(message);
  if (status != STATUS_OK || event != IPC_EVENT_BATCH) return status;
  if (bench->batch != NULL) return error_set(error, STATUS_INVALID, "a request is one batch here");
  bench->batch_rows = batch.length;
  return arrow_shared_new(&batch, &bench->batch, error);
}

static enum status decode(struct bench *bench, const char *path, struct error *error) {
  struct buffer stream = BUFFER_EMPTY;
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *decoder = NULL;
  enum ipc_frame frame = IPC_FRAME_PARTIAL;
  int64_t at = 0;
  enum status status = read_stream(bench, path, &stream, error);
  if (status == STATUS_OK) status = ipc_decoder_new(&limits, &bench->budget, &decoder, error);
  while (status == STATUS_OK && frame != IPC_FRAME_END) {
    struct ipc_message message;
    status = ipc_cut(&stream, &limits, false, &at, &message, &frame, error);
    if (status == STATUS_OK && frame == IPC_FRAME_MESSAGE)
      status = take_message(bench, decoder, &message, error);
  }
  if (status == STATUS_OK)
    status = arrow_schema_copy(ipc_decoder_schema(decoder), &bench->schema, error);
  ipc_decoder_free(decoder);
  buffer_release(&stream);
  if (status == STATUS_OK && bench->batch == NULL)
    status = error_set(error, STATUS_INVALID, "%s has no rows", path);
  return status;
}

/* ---- tables ------------------------------------------------------------------------------------ */

static enum status run_sql(struct bench *bench, const char *sql, struct error *error) {
  struct engine_result *result = NULL;
  enum status status =
      engine_query(bench->session, &(struct engine_query){.sql = sql}, &result, error);
  engine_result_close(result);
  return status;
}

static enum status open_tokens(struct bench *bench, struct error *error) {
  static const struct {
    const char *format, *name;
  } columns[] = {{"u", "token"}, {"l", "landed_us"}, {"l", "row_count"}};
  struct ArrowSchema *schema = &bench->token_schema;
  enum status status = arrow_schema_init(schema, "+s", "", false, 3, error);
  for (int i = 0; i < 3 && status == STATUS_OK; i++)
    status =
        arrow_schema_init(schema->children[i], columns[i].format, columns[i].name, true, 0, error);
  if (status == STATUS_OK)
    status = run_sql(bench,
                     "CREATE TABLE tokens "
                     "(token VARCHAR PRIMARY KEY, landed_us BIGINT, row_count BIGINT)",
                     error);
  if (status == STATUS_OK) status = build_new(schema, &bench->budget, &bench->token_rows, error);
  struct table_name name = {.table = "tokens"};
  if (status == STATUS_OK)
    status = engine_insert_open(bench->session, &name, schema, &bench->token_insert, error);
  return status;
}

static enum status open_database(struct bench *bench, struct error *error) {
  struct table_name name = {.table = "t"};
  bench->slices = calloc((size_t)bench->group, sizeof *bench->slices);
  if (bench->slices == NULL) return error_set(error, STATUS_NOMEM, "no memory for a group");
  for (int i = 0; i < bench->group; i++)
    bench->slices[i] = (struct engine_slice){bench->batch, 0, bench->batch_rows};
  enum status status = engine_open(&bench->options, &bench->engine, error);
  if (status == STATUS_OK) status = engine_session_open(bench->engine, &bench->session, error);
  if (status == STATUS_OK)
    status = engine_create_table(bench->session, &name, &bench->schema, error);
  if (status == STATUS_OK)
    status = engine_insert_open(bench->session, &name, &bench->schema, &bench->insert, error);
  if (status == STATUS_OK && bench->tokens) status = open_tokens(bench, error);
  return status;
}

/* ---- groups ------------------------------------------------------------------------------------ */

static enum status put_tokens(struct bench *bench, struct error *error) {
  enum status status = STATUS_OK;
  int64_t now_us = clock_now_us(), inserted = 0;
  for (int i = 0; i < bench->group && status == STATUS_OK; i++) {
    char token[TOKEN_BYTES + 1];
    unsigned long long number = bench->token_count++;
    int bytes = snprintf(token, sizeof token, "%020llu%04x", number, (unsigned)(number % 65521));
    status = build_bytes(build_child(bench->token_rows, 0), token, bytes, error);
    if (status == STATUS_OK)
      status = build_integer(build_child(bench->token_rows, 1), now_us, error);
    if (status == STATUS_OK)
      status = build_integer(build_child(bench->token_rows, 2), bench->batch_rows, error);
    if (status == STATUS_OK) status = build_slot(bench->token_rows, error);
  }
  struct ArrowArray rows = {.release = NULL};
  struct arrow_shared *shared = NULL;
  if (status == STATUS_OK) status = build_finish(bench->token_rows, &rows, error);
  if (status == STATUS_OK) status = arrow_shared_new(&rows, &shared, error);
  if (status != STATUS_OK) return status;
  struct engine_slice slice = {shared, 0, bench->group};
  status = engine_insert_rows(bench->token_insert, &slice, 1, &inserted, error);
  arrow_shared_release(shared);
  return status;
}

static enum status commit_group(struct bench *bench, struct error *error) {
  int64_t inserted = 0;
  enum status status = engine_begin(bench->session, error);
  if (status == STATUS_OK)
    status = engine_insert_rows(bench->insert, bench->slices, bench->group, &inserted, error);
  if (status == STATUS_OK && bench->tokens) status = put_tokens(bench, error);
  if (status == STATUS_OK) status = engine_commit(bench->session, error);
  if (status == STATUS_OK && inserted != bench->group * bench->batch_rows)
    status = error_set(error, STATUS_INTERNAL, "rows are missing");
  return status;
}

static enum status keep_time(struct bench *bench, int64_t took_us, struct error *error) {
  if (bench->commits == bench->commit_capacity) {
    size_t capacity = bench->commit_capacity == 0 ? 4096 : bench->commit_capacity * 2;
    int64_t *grown = realloc(bench->commit_us, capacity * sizeof *grown);
    if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for the times");
    bench->commit_us = grown;
    bench->commit_capacity = capacity;
  }
  bench->commit_us[bench->commits++] = took_us;
  return STATUS_OK;
}

static int by_size(const void *one, const void *two) {
  int64_t a = *(const int64_t *)one, b = *(const int64_t *)two;
  return (a > b) - (a < b);
}

static double ms_at(const struct bench *bench, double percent) {
  size_t at = (size_t)((double)bench->commits * percent / 100);
  return (double)bench->commit_us[at < bench->commits ? at : bench->commits - 1] / 1e3;
}

static double cpu_seconds(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static enum status run(struct bench *bench, struct error *error) {
  double cpu = cpu_seconds();
  int64_t start_us = clock_now_us(), now_us = start_us;
  enum status status = STATUS_OK;
  while (status == STATUS_OK && (double)(now_us - start_us) < bench->seconds * 1e6) {
    int64_t began_us = now_us;
    status = commit_group(bench, error);
    now_us = clock_now_us();
    if (status == STATUS_OK) status = keep_time(bench, now_us - began_us, error);
  }
  if (status != STATUS_OK) return status;
  double seconds = (double)(now_us - start_us) / 1e6;
  qsort(bench->commit_us, bench->commits, sizeof *bench->commit_us, by_size);
  uint64_t requests = bench->commits * (uint64_t)bench->group;
  printf("{\"seconds\": %.3f, \"requests\": %llu, \"requests_per_s\": %.0f, \"rows\": %llu, "
         "\"commits\": %llu, \"commit_p50_ms\": %.3f, \"commit_p99_ms\": %.3f, "
         "\"commit_max_ms\": %.3f, \"cpu_seconds\": %.3f}\n",
         seconds, (unsigned long long)requests, (double)requests / seconds,
         (unsigned long long)(requests * (uint64_t)bench->batch_rows),
         (unsigned long long)bench->commits, ms_at(bench, 50), ms_at(bench, 99), ms_at(bench, 100),
         cpu_seconds() - cpu);
  return STATUS_OK;
}

static bool take_option(struct bench *bench, const char *text) {
  const char *value = strchr(text, '=');
  if (value == NULL) return false;
  size_t bytes = (size_t)(value++ - text);
  if (bytes == 5 && memcmp(text, "group", bytes) == 0)
    bench->group = (int)strtol(value, NULL, 10);
  else if (bytes == 7 && memcmp(text, "seconds", bytes) == 0)
    bench->seconds = strtod(value, NULL);
  else if (bytes == 6 && memcmp(text, "tokens", bytes) == 0)
    bench->tokens = value[0] == '1';
  else if (bytes == 6 && memcmp(text, "memory", bytes) == 0)
    bench->options.memory_limit_bytes = strtoll(value, NULL, 10);
  else
    return false;
  return bench->group > 0 && bench->group <= GROUP_MAX && bench->seconds > 0;
}

static void bench_release(struct bench *bench) {
  engine_insert_close(bench->token_insert);
  engine_insert_close(bench->insert);
  engine_session_close(bench->session);
  engine_close(bench->engine);
  build_free(bench->token_rows);
  if (bench->batch != NULL) arrow_shared_release(bench->batch);
  arrow_schema_release(&bench->schema);
  arrow_schema_release(&bench->token_schema);
  free(bench->slices);
  free(bench->commit_us);
}

int main(int argc, char **argv) {
  struct bench bench = {.group = 100, .seconds = 5};
  bool asked = argc >= 3;
  for (int i = 3; i < argc && asked; i++) asked = take_option(&bench, argv[i]);
  if (!asked) {
    fprintf(stderr, "usage: duckdb_groups DATABASE STREAM [group=N] [seconds=S] [tokens=1] "
                    "[memory=BYTES]\n");
    return 2;
  }
  bench.budget.limit_bytes = INT64_C(1) << 30;
  bench.options.path = argv[1];
  struct error error;
  enum status status = decode(&bench, argv[2], &error);
  if (status == STATUS_OK) status = open_database(&bench, &error);
  if (status == STATUS_OK) status = commit_group(&bench, &error); /* what is made on first use */
  if (status == STATUS_OK) status = run(&bench, &error);
  if (status != STATUS_OK) fprintf(stderr, "duckdb_groups: %s\n", error.text);
  bench_release(&bench);
  return status == STATUS_OK ? 0 : 1;
}
