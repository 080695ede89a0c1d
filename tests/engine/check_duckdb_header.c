/* Compares src/engine/duckdb_api.h with the official duckdb.h: it passes when it
 * compiles, and is built when DUCKDB_HEADER_DIR says where the official header is.
 *
 * Both headers declare the same names, so the official one stands in for our type
 * section here, and the signatures of our list are checked against its functions.
 * Values and layouts are checked against one table, which test_library.c applies to
 * our own declarations. */
#include <duckdb.h>

#define ARROWPORT_DUCKDB_OFFICIAL_TYPES
#include "engine/duckdb_api.h"

#define X(result, name, arguments)                                                                 \
  _Static_assert(__builtin_types_compatible_p(__typeof__(duckdb_##name), result arguments),        \
                 "duckdb_" #name " is declared otherwise");
DUCKDB_FUNCTIONS(X)
#undef X

#include "duckdb_numbers.h"
