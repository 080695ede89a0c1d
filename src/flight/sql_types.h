/* The database's types as CommandGetXdbcTypeInfo describes them, and as the metadata of a table's
 * columns does. I/O-free. Types that a result cannot hold (docs/types.md), and those that are made of
 * others (lists, structs, maps, enums), are not among them. */
#ifndef ARROWPORT_FLIGHT_SQL_TYPES_H
#define ARROWPORT_FLIGHT_SQL_TYPES_H

#include "flight/sql_schemas.h"

/* Adds the types' rows, ordered by data_type and type_name; `data_type` NULL: all, otherwise those of
 * that XdbcDataType. */
enum status sql_types_add(struct sql_rows *rows, const int32_t *data_type,
                          struct error *error) WARN_UNUSED;

/* Fills in precision, scale and case_sensitive of a column from its `type`. */
void sql_types_describe(struct sql_column *column);

#endif
