/* What a client asks of /query, read from its headers and body: bytes in, a
 * statement with parameters and a form of answer out. No I/O. */
#ifndef ARROWPORT_SERVER_QUERY_ASK_H
#define ARROWPORT_SERVER_QUERY_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "engine/engine.h"

enum query_output { QUERY_ARROW, QUERY_JSON, QUERY_NDJSON, QUERY_CSV };

struct query_ask {
  char *sql; /* NULL: nothing was asked yet */
  struct engine_value *parameters;
  size_t parameter_count;
  json_t *parsed; /* holds the parameters' text */
};

#define QUERY_ASK_EMPTY ((struct query_ask){.sql = NULL}) /* safe to release */

/* The best of what an Accept header (NULL: none) names, by its q values; false when
 * none can be made. JSON when it does not matter. */
bool query_ask_output(const char *accept, enum query_output *output);
const char *query_output_type(enum query_output output); /* "text/csv" */

/* A body of SQL. STATUS_INVALID when it is empty, not UTF-8, or holds NUL. On any
 * failure `ask` is left empty. */
enum status query_ask_sql(struct query_ask *ask, const void *sql, size_t bytes,
                          struct error *error) WARN_UNUSED;
/* A body {"sql": "...", "params": [...]}. STATUS_INVALID says what is wrong with it. */
enum status query_ask_json(struct query_ask *ask, const void *json, size_t bytes,
                           struct error *error) WARN_UNUSED;
void query_ask_release(struct query_ask *ask);

#endif
