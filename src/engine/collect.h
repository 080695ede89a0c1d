/* DuckDB's result chunks gathered into Arrow record batches. */
#ifndef ARROWPORT_ENGINE_COLLECT_H
#define ARROWPORT_ENGINE_COLLECT_H

#include "engine/private.h"

struct collector;

/* Follows the columns of `result`. `budget` (NULL: none) is charged for what the
 * batches hold. STATUS_UNSUPPORTED names a column whose type has no counterpart. */
enum status collector_new(const struct duckdb_api *duckdb, duckdb_result *result,
                          struct budget *budget, struct collector **collector,
                          struct error *error) WARN_UNUSED;
/* The field that a column of that type and name becomes. `schema` holds nothing before, nor after a
 * failure; STATUS_UNSUPPORTED as above. */
enum status collector_field(const struct duckdb_api *duckdb, duckdb_logical_type type,
                            const char *name, struct ArrowSchema *schema,
                            struct error *error) WARN_UNUSED;
void collector_free(struct collector *collector); /* NULL is allowed */

const struct ArrowSchema *collector_schema(const struct collector *collector);

/* Appends rows [from, from + rows) of a chunk. STATUS_TOO_LARGE (a batch holds no
 * more), STATUS_BUDGET and STATUS_NOMEM leave the collector as it was. STATUS_SCHEMA
 * names a column with a value that Arrow's type does not hold, and its row. */
enum status collector_append(struct collector *collector, duckdb_data_chunk chunk, int64_t from,
                             int64_t rows, struct error *error) WARN_UNUSED;
int64_t collector_rows(const struct collector *collector);
int64_t collector_bytes(const struct collector *collector);

/* Moves the rows gathered so far to `batch` and starts anew. On STATUS_NOMEM they
 * stay. */
enum status collector_finish(struct collector *collector, struct ArrowArray *batch,
                             struct error *error) WARN_UNUSED;

/* Appends the table of types as docs/types.md shows it. */
enum status collector_document(struct text *out, struct error *error) WARN_UNUSED;

#endif
