/* What a client asks of /query, read from its headers and body: bytes in, a
 * statement with parameters and a form of answer out. No I/O. */
#ifndef ARROWPORT_SERVER_QUERY_ASK_H
#define ARROWPORT_SERVER_QUERY_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "arrow/ipc.h"
#include "engine/engine.h"
#include "server/config.h"

enum query_output { QUERY_ARROW, QUERY_JSON, QUERY_NDJSON, QUERY_CSV, QUERY_PARQUET };

/* How Arrow bodies may be compressed, as `codecs` of the media type says. */
enum query_codec { QUERY_ZSTD = 1, QUERY_LZ4 = 2 };

struct query_ask {
  char *sql; /* NULL: nothing was asked yet */
  struct engine_value *parameters;
  size_t parameter_count;
  json_t *parsed; /* holds the parameters' text */
};

#define QUERY_ASK_EMPTY ((struct query_ask){.sql = NULL}) /* safe to release */

/* The best of what an Accept header (NULL: none) names, by its q values; false when
 * none can be made. JSON when it does not matter. `codecs`: the bits of enum query_codec that
 * `application/vnd.apache.arrow.stream; codecs="zstd, lz4"` names. */
bool query_ask_output(const char *accept, enum query_output *output, unsigned *codecs);
const char *query_output_type(enum query_output output); /* "text/csv" */

/* What holds for one answer: the configuration's limits, and what the request lowers. */
struct query_options {
  int64_t rows_max;   /* 0: no limit */
  bool rows_asked;    /* it is the request's, not the configuration's */
  int64_t timeout_ms; /* 0: none */
  struct ipc_writer_options compression;
};

/* Reads `rows_max`, `timeout_s` and `compression` of a query string. What is asked for only
 * lowers a limit. Without `compression`, Parquet is compressed as the configuration says, and
 * Arrow so far as `codecs` allows: a reader that does not say what it can may not expand
 * anything. STATUS_INVALID names the parameter. */
enum status query_options_read(const char *query_string, const struct server_config *config,
                               enum query_output output, unsigned codecs,
                               struct query_options *options, struct error *error) WARN_UNUSED;

/* "none", "lz4", "zstd:7". STATUS_INVALID. */
enum status query_compression_read(const char *text, struct ipc_writer_options *options,
                                   struct error *error) WARN_UNUSED;

/* A body of SQL. STATUS_INVALID when it is empty, not UTF-8, or holds NUL. On any
 * failure `ask` is left empty. */
enum status query_ask_sql(struct query_ask *ask, const void *sql, size_t bytes,
                          struct error *error) WARN_UNUSED;
/* A body {"sql": "...", "params": [...]}. STATUS_INVALID says what is wrong with it. */
enum status query_ask_json(struct query_ask *ask, const void *json, size_t bytes,
                           struct error *error) WARN_UNUSED;
void query_ask_release(struct query_ask *ask);

#endif
