/* What catalog.c, evolve.c, insert.c and the tests need of types.c beyond private.h. */
#ifndef ARROWPORT_ENGINE_TYPES_H
#define ARROWPORT_ENGINE_TYPES_H

#include "engine/private.h"

/* A name that two children of `schema` have, upper and lower case taken as equal, or
 * NULL. */
const char *types_name_twice(const struct ArrowSchema *schema);

/* STATUS_SCHEMA when a table cannot have the children of `schema` as its columns for their names:
 * none, empty ones, two of one name. */
enum status types_check_names(const struct ArrowSchema *schema, struct error *error) WARN_UNUSED;

/* STATUS_UNSUPPORTED when no column can be created for the landing, though its values
 * could land in one that exists. */
enum status types_check_column(const struct landing *landing, const struct ArrowSchema *field,
                               struct error *error) WARN_UNUSED;

/* Decimal digits that every value of an integer type fits in; 0: not an integer up to 64 bits. */
int types_integer_digits(duckdb_type type);
/* Bits of an integer type's magnitude, and its sign; 0: not an integer. */
int types_integer_bits(duckdb_type type, bool *is_signed);

/* Appends the table of types as docs/types.md shows it. */
enum status types_document(struct text *out, struct error *error) WARN_UNUSED;

#endif
