/* A row of Arrow arrays as the parameters of a statement. */
#ifndef ARROWPORT_ENGINE_BIND_H
#define ARROWPORT_ENGINE_BIND_H

#include "engine/private.h"

struct binding;

/* Learns the types of `schema`, a struct (copied). STATUS_UNSUPPORTED names a field whose type cannot
 * be bound exactly. */
enum status binding_new(const struct duckdb_api *duckdb, const struct ArrowSchema *schema,
                        struct binding **binding, struct error *error) WARN_UNUSED;
void binding_free(struct binding *binding); /* NULL is allowed */
bool binding_is_of(const struct binding *binding, const struct ArrowSchema *schema);

/* The parameters of a statement: their names ("1" where they go by position), and the types that
 * DuckDB expects, INVALID where it cannot tell. */
struct parameter {
  char *name;
  duckdb_type type;
};

/* Makes the values of one row: values->values, which has room for so many, NULLs before. With `fit`
 * whole numbers get the expected type where they fit into it, which spares DuckDB from binding the
 * statement again. STATUS_INVALID: another number of them than there are fields; STATUS_SCHEMA for a
 * value that DuckDB's type does not hold. */
enum status binding_values(struct binding *binding, const struct ArrowArray *array, int64_t row,
                           const struct parameter *parameters, bool fit,
                           struct query_values *values, struct error *error) WARN_UNUSED;
/* Destroys them; the room stays. */
void values_clear(const struct duckdb_api *duckdb, struct query_values *values);

#endif
