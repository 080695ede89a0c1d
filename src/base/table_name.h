/* The name of a table: `table`, `schema.table` or `catalog.schema.table`.
 *
 * Grammar: parts are separated by dots. A part that begins with a double quote ends
 * at the next single one (two stand for one) and may hold dots; any other part ends
 * at a dot and a quote inside it is a character like others, so `x"; drop table y`
 * names just a table. The whole is 1 to 255 bytes of UTF-8 without control
 * characters; no part is empty. */
#ifndef ARROWPORT_BASE_TABLE_NAME_H
#define ARROWPORT_BASE_TABLE_NAME_H

#include <stdbool.h>

#include "base/status.h"
#include "base/text.h"

enum { TABLE_NAME_BYTES_MAX = 255 };

/* Parts are NUL-terminated, unquoted; "" where a part was not given. */
struct table_name {
  char catalog[TABLE_NAME_BYTES_MAX + 1];
  char schema[TABLE_NAME_BYTES_MAX + 1];
  char table[TABLE_NAME_BYTES_MAX + 1];
};

/* `bytes` of `string` (it may hold NUL bytes, which are refused). STATUS_INVALID
 * says at which byte and why. */
enum status table_name_parse(const char *string, size_t bytes, struct table_name *name,
                             struct error *error) WARN_UNUSED;

/* Appends the name with every part quoted for SQL. */
enum status table_name_sql(const struct table_name *name, struct text *out,
                           struct error *error) WARN_UNUSED;

/* Appends the name in the grammar above, quoting parts only where it is needed:
 * what people read, and what table_name_parse takes back. */
enum status table_name_print(const struct table_name *name, struct text *out,
                             struct error *error) WARN_UNUSED;

/* Whether both say the same table: upper and lower case are not told apart, and the schema main is
 * meant where none is named. */
bool table_name_same(const struct table_name *left, const struct table_name *right);

#endif
