/* What there is: streams, tables. */
#include "server/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static enum status add_string(struct text *body, const char *string, struct error *error) {
  return text_add_json(body, string, strlen(string), error);
}

static enum status add_table_name(struct text *body, const struct table_name *name,
                                  struct error *error) {
  struct text printed = TEXT_EMPTY;
  enum status status = table_name_print(name, &printed, error);
  if (status == STATUS_OK)
    status = text_add_json(body, text_get(&printed), printed.size_bytes, error);
  text_release(&printed);
  return status;
}

/* ---- GET /streams ---------------------------------------------------------------- */

static enum status add_stream(struct text *body, const struct stream_config *stream,
                              struct error *error) {
  enum status status = text_add(body, "{\"name\":", error);
  if (status == STATUS_OK) status = add_string(body, stream->name, error);
  if (status == STATUS_OK) status = text_add(body, ",\"target_table\":", error);
  if (status == STATUS_OK) status = add_table_name(body, &stream->table, error);
  if (status == STATUS_OK) status = text_add(body, ",\"storage_backend\":", error);
  if (status == STATUS_OK) status = add_string(body, stream->backend, error);
  if (status == STATUS_OK) status = text_add(body, "}", error);
  return status;
}

/* Who may write to it or read its table knows of it. */
static bool may_see(const struct identity *who, const struct stream_config *stream) {
  return auth_allow_stream(who, 0, stream->name, &stream->table, NULL) == STATUS_OK;
}

void catalog_streams(struct call *call) {
  const struct server_config *config = call->config;
  struct text body = TEXT_EMPTY;
  struct error error;
  enum status status = text_add(&body, "{\"streams\":[", &error);
  bool first = true;
  for (size_t i = 0; i < config->stream_count && status == STATUS_OK; i++) {
    const struct stream_config *stream = &config->streams[i];
    if (!may_see(call->who, stream)) continue;
    if (!first) status = text_add(&body, ",", &error);
    if (status == STATUS_OK) status = add_stream(&body, stream, &error);
    first = false;
  }
  if (status == STATUS_OK) status = text_add(&body, "]}\n", &error);
  if (status == STATUS_OK)
    respond_json(call->exchange, &body);
  else
    respond_problem(call->exchange, status, &error);
  text_release(&body);
}

/* ---- GET /tables, /tables/{t} ------------------------------------------------------ */

static enum status add_rows(struct text *body, int64_t rows, struct error *error) {
  if (rows < 0) return text_add(body, ",\"rows\":null", error);
  return text_add_format(body, error, ",\"rows\":%lld", (long long)rows);
}

/* Those that `who` may see. */
static enum status add_tables(struct text *body, const struct identity *who,
                              const struct table_info *tables, int64_t count, bool *first,
                              struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    if (auth_allow_table(who, 0, &tables[i].name, NULL) != STATUS_OK) continue;
    status = text_add(body, *first ? "{\"name\":" : ",{\"name\":", error);
    *first = false;
    if (status == STATUS_OK) status = add_table_name(body, &tables[i].name, error);
    if (status == STATUS_OK) status = add_rows(body, tables[i].rows, error);
    if (status == STATUS_OK) status = text_add(body, "}", error);
  }
  return status;
}

/* The tables of one sink; a lake that only the next start will have is left out. */
static enum status add_backend(struct server *server, const struct identity *who,
                               const char *backend, struct text *body, bool *first,
                               struct error *error) {
  struct sink *sink = NULL;
  struct table_info *tables = NULL;
  int64_t count = 0;
  enum status status = storage_sink(server->storage, backend, &sink, error);
  if (status == STATUS_UNAVAILABLE && server_config_lake_path(backend) != NULL) return STATUS_OK;
  if (status == STATUS_OK) status = sink_list_tables(sink, &tables, &count, error);
  if (status == STATUS_OK) status = add_tables(body, who, tables, count, first, error);
  for (int64_t i = 0; i < count; i++) table_info_release(&tables[i]);
  free(tables);
  return status;
}

enum status catalog_tables_json(struct server *server, const struct server_config *config,
                                const struct identity *who, struct text *body,
                                struct error *error) {
  bool first = true;
  enum status status = text_add(body, "{\"tables\":[", error);
  if (status == STATUS_OK) status = add_backend(server, who, "duckdb", body, &first, error);
  for (size_t i = 0; i < config->lake_count && status == STATUS_OK; i++)
    status = add_backend(server, who, config->lakes[i].backend, body, &first, error);
  return status == STATUS_OK ? text_add(body, "]}\n", error) : status;
}

static enum status work_tables(struct job *job, struct error *error) {
  const struct request *request = &job->request;
  return catalog_tables_json(request->server, request->config, request->who, &job->body, error);
}

void catalog_tables(struct call *call) { job_start(call, NULL, work_tables); }

static enum status add_column(struct text *body, const struct table_column *column,
                              struct error *error) {
  enum status status = text_add(body, "{\"name\":", error);
  if (status == STATUS_OK) status = add_string(body, column->name, error);
  if (status == STATUS_OK) status = text_add(body, ",\"type\":", error);
  if (status == STATUS_OK) status = add_string(body, column->type, error);
  if (status == STATUS_OK)
    status = text_add_format(body, error, ",\"nullable\":%s}", column->nullable ? "true" : "false");
  return status;
}

static enum status add_columns(struct text *body, const struct table_info *info,
                               struct error *error) {
  enum status status = add_rows(body, info->rows, error);
  if (status == STATUS_OK) status = text_add(body, ",\"columns\":[", error);
  for (int64_t i = 0; i < info->column_count && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(body, ",", error);
    if (status == STATUS_OK) status = add_column(body, &info->columns[i], error);
  }
  return status == STATUS_OK ? text_add(body, "]}\n", error) : status;
}

/* A table of a lake in one of its versions. */
static enum status work_table_at(struct job *job, struct error *error) {
  struct engine *engine = NULL;
  struct engine_session *session = NULL;
  struct engine_table table = {.columns = NULL};
  enum status status = storage_engine(job->request.server->storage, &engine, error);
  if (status == STATUS_OK) status = engine_session_open(engine, &session, error);
  if (status == STATUS_OK)
    status = engine_table_info_at(session, &job->name, job->version, &table, error);
  if (status == STATUS_OK) status = text_add(&job->body, "{\"name\":", error);
  if (status == STATUS_OK) status = add_table_name(&job->body, &job->name, error);
  if (status == STATUS_OK)
    status = text_add_format(&job->body, error, ",\"version\":%lld", (long long)job->version);
  if (status == STATUS_OK) status = add_rows(&job->body, table.rows, error);
  if (status == STATUS_OK) status = text_add(&job->body, ",\"columns\":[", error);
  for (int64_t i = 0; i < table.column_count && status == STATUS_OK; i++) {
    const struct engine_column *column = &table.columns[i];
    struct table_column one = {column->name, column->type, column->nullable};
    if (i > 0) status = text_add(&job->body, ",", error);
    if (status == STATUS_OK) status = add_column(&job->body, &one, error);
  }
  if (status == STATUS_OK) status = text_add(&job->body, "]}\n", error);
  engine_table_release(&table);
  engine_session_close(session);
  return status;
}

enum status catalog_table_json(struct server *server, const struct server_config *config,
                               struct table_name *table, struct text *body, struct error *error) {
  struct sink *sink = NULL;
  enum status status = storage_sink_of(server->storage, config, table, &sink, error);
  if (status != STATUS_OK) return status;
  struct table_info info = {.columns = NULL};
  status = sink_table_info(sink, table, &info, error);
  if (status != STATUS_OK) return status;
  status = text_add(body, "{\"name\":", error);
  if (status == STATUS_OK) status = add_table_name(body, table, error);
  if (status == STATUS_OK) status = add_columns(body, &info, error);
  table_info_release(&info);
  return status;
}

static enum status work_table(struct job *job, struct error *error) {
  return catalog_table_json(job->request.server, job->request.config, &job->name, &job->body,
                            error);
}

bool catalog_name(struct call *call, struct table_name *table) {
  struct error error;
  const char *backend = server_config_lake_path(call->config->storage_backend) != NULL
                            ? call->config->storage_backend
                            : "duckdb";
  enum status status = table_name_parse(call->name, strlen(call->name), table, &error);
  if (status == STATUS_OK) status = server_config_place(call->config, table, &backend, &error);
  if (status == STATUS_OK) status = auth_allow_table(call->who, AUTH_READ, table, &error);
  if (status == STATUS_DENIED) metrics_refused(call->server->metrics, METRICS_SCOPE);
  if (status != STATUS_OK) respond_problem(call->exchange, status, &error);
  return status == STATUS_OK;
}

#define NUMBER_MAX INT64_C(999999999999999999) /* openapi.yaml says so, too */

enum status catalog_number(struct call *call, const char *name, int64_t *number,
                           struct error *error) {
  char *text = NULL, *end = NULL;
  const char *query = http_exchange_request(call->exchange)->query;
  enum status status = http_query_value(query, name, &text, error);
  *number = -1;
  if (status == STATUS_OK && text != NULL) {
    errno = 0;
    *number = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0')
      status = error_set(error, STATUS_INVALID, "%s is '%.40s'; it must be a number, 0 or more",
                         name, text);
    else if (errno != 0 || *number > NUMBER_MAX)
      status = error_set(error, STATUS_INVALID, "%s is '%.40s'; it may be %lld at most", name, text,
                         (long long)NUMBER_MAX);
  }
  free(text);
  return status;
}

void catalog_table(struct call *call) {
  struct error error;
  struct table_name table;
  int64_t version;
  if (!catalog_name(call, &table)) return;
  if (catalog_number(call, "version", &version, &error) != STATUS_OK)
    respond_problem(call->exchange, error.status, &error);
  else
    job_start_at(call, &table, version, -1, version < 0 ? work_table : work_table_at);
}

/* ---- GET /tables/{t}/versions ---------------------------------------------------------- */

enum { VERSIONS_DEFAULT = 1000 };

static enum status add_version(struct text *body, const struct engine_version *version,
                               struct error *error) {
  enum status status =
      text_add_format(body, error, "{\"version\":%lld,\"time\":\"", (long long)version->version);
  time_t seconds = (time_t)(version->time_us / 1000000);
  struct tm when;
  char time[64];
  gmtime_r(&seconds, &when);
  strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &when);
  if (status == STATUS_OK)
    status = text_add_format(body, error, "%s.%06dZ\",\"changes\":[", time,
                             (int)(version->time_us % 1000000));
  const char *at = version->changes;
  while (*at != '\0' && status == STATUS_OK) {
    size_t bytes = strcspn(at, ",");
    if (at != version->changes) status = text_add(body, ",", error);
    if (status == STATUS_OK) status = text_add_json(body, at, bytes, error);
    at += bytes;
    at += *at == ',';
  }
  return status == STATUS_OK ? text_add(body, "]}", error) : status;
}

static enum status work_versions(struct job *job, struct error *error) {
  struct engine *engine = NULL;
  struct engine_session *session = NULL;
  struct engine_version *versions = NULL;
  int64_t count = 0;
  enum status status = storage_engine(job->request.server->storage, &engine, error);
  if (status == STATUS_OK) status = engine_session_open(engine, &session, error);
  if (status == STATUS_OK)
    status = engine_versions(session, &job->name, job->limit < 0 ? VERSIONS_DEFAULT : job->limit,
                             &versions, &count, error);
  if (status == STATUS_OK) status = text_add(&job->body, "{\"name\":", error);
  if (status == STATUS_OK) status = add_table_name(&job->body, &job->name, error);
  if (status == STATUS_OK) status = text_add(&job->body, ",\"versions\":[", error);
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(&job->body, ",", error);
    if (status == STATUS_OK) status = add_version(&job->body, &versions[i], error);
  }
  if (status == STATUS_OK) status = text_add(&job->body, "]}\n", error);
  engine_versions_release(versions, count);
  engine_session_close(session);
  return status;
}

void versions_start(struct call *call) {
  struct error error;
  struct table_name table;
  int64_t limit;
  if (!catalog_name(call, &table)) return;
  if (catalog_number(call, "limit", &limit, &error) != STATUS_OK)
    respond_problem(call->exchange, error.status, &error);
  else
    job_start_at(call, &table, -1, limit, work_versions);
}
