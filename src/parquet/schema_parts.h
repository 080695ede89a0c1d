/* The parts of a Parquet schema's making: schema.c walks over the fields, schema_types.c says what
 * a leaf becomes, schema_find.c finds leaves by name. Inside the room only, for these files. */
#ifndef ARROWPORT_PARQUET_SCHEMA_PARTS_H
#define ARROWPORT_PARQUET_SCHEMA_PARTS_H

#include "parquet/schema.h"

/* Names that Parquet puts between a field and its items. Names are told from fields that are called the
 * same by their address. */
extern const char parquet_name_list[];      /* "list" */
extern const char parquet_name_element[];   /* "element" */
extern const char parquet_name_key_value[]; /* "key_value" */
extern const char parquet_name_key[];       /* "key" */
extern const char parquet_name_value[];     /* "value" */

/* The value that `schema`'s metadata has for `key`: not terminated; NULL without one. */
const char *parquet_metadata_get(const struct ArrowSchema *schema, const char *key, int32_t *bytes);

/* PARQUET_NO_FIELD_ID without one. STATUS_INVALID. */
enum status parquet_field_id(const struct ArrowSchema *schema, int32_t *field_id,
                             struct error *error) WARN_UNUSED;

/* What a leaf of Arrow type `type` becomes: type, type_length, logical, order, conversion, arrow are
 * filled in. `outer` is the field, `inner` the node of the values, which differ below dictionaries
 * and runs: either may say that it is an extension. STATUS_UNSUPPORTED without the field's name. */
enum status parquet_describe_leaf(const struct arrow_type *type, const struct ArrowSchema *outer,
                                  const struct ArrowSchema *inner, struct parquet_leaf *leaf,
                                  struct error *error) WARN_UNUSED;

/* For parquet_schema_find. Of the schema's leaves, which are whole. STATUS_NOMEM. */
enum status parquet_names_new(const struct parquet_schema *schema, struct parquet_names **names,
                              struct error *error) WARN_UNUSED;
void parquet_names_free(struct parquet_names *names); /* NULL is allowed */

#endif
