/* What there is: streams, tables. */
#include "server/private.h"

#include <stdlib.h>
#include <string.h>

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
static enum status add_backend(struct job *job, const char *backend, bool *first,
                               struct error *error) {
  struct sink *sink = NULL;
  struct table_info *tables = NULL;
  int64_t count = 0;
  enum status status = storage_sink(job->request.server->storage, backend, &sink, error);
  if (status == STATUS_UNAVAILABLE && server_config_lake_path(backend) != NULL) return STATUS_OK;
  if (status == STATUS_OK) status = sink_list_tables(sink, &tables, &count, error);
  if (status == STATUS_OK)
    status = add_tables(&job->body, job->request.who, tables, count, first, error);
  for (int64_t i = 0; i < count; i++) table_info_release(&tables[i]);
  free(tables);
  return status;
}

static enum status work_tables(struct job *job, struct error *error) {
  const struct server_config *config = job->request.config;
  bool first = true;
  enum status status = text_add(&job->body, "{\"tables\":[", error);
  if (status == STATUS_OK) status = add_backend(job, "duckdb", &first, error);
  for (size_t i = 0; i < config->lake_count && status == STATUS_OK; i++)
    status = add_backend(job, config->lakes[i].backend, &first, error);
  return status == STATUS_OK ? text_add(&job->body, "]}\n", error) : status;
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

static enum status work_table(struct job *job, struct error *error) {
  struct sink *sink = NULL;
  const struct server *server = job->request.server;
  enum status status = storage_sink(server->storage, "duckdb", &sink, error);
  if (status != STATUS_OK) return status;
  struct table_info info = {.columns = NULL};
  status = sink_table_info(sink, &job->name, &info, error);
  if (status != STATUS_OK) return status;
  status = text_add(&job->body, "{\"name\":", error);
  if (status == STATUS_OK) status = add_table_name(&job->body, &job->name, error);
  if (status == STATUS_OK) status = add_rows(&job->body, info.rows, error);
  if (status == STATUS_OK) status = text_add(&job->body, ",\"columns\":[", error);
  for (int64_t i = 0; i < info.column_count && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(&job->body, ",", error);
    if (status == STATUS_OK) status = add_column(&job->body, &info.columns[i], error);
  }
  if (status == STATUS_OK) status = text_add(&job->body, "]}\n", error);
  table_info_release(&info);
  return status;
}

void catalog_table(struct call *call) {
  struct error error;
  struct table_name table;
  enum status status = table_name_parse(call->name, strlen(call->name), &table, &error);
  if (status == STATUS_OK) status = auth_allow_table(call->who, AUTH_READ, &table, &error);
  if (status == STATUS_DENIED) metrics_refused(call->server->metrics, METRICS_SCOPE);
  if (status == STATUS_OK)
    job_start(call, &table, work_table);
  else
    respond_problem(call->exchange, status, &error);
}
