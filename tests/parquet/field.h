/* Arrow schemas written down for tests, with what handmade ones lack: nullability and metadata.
 *
 *   static const struct field *const tags = FIELD("+l", "tags", {FIELD("u", "item")});
 *
 * Fields are nullable unless they say that they are not. */
#ifndef ARROWPORT_TESTS_PARQUET_FIELD_H
#define ARROWPORT_TESTS_PARQUET_FIELD_H

#include <stdbool.h>

#include "arrow/abi.h"

enum { FIELD_CHILDREN_MAX = 8 };

struct field {
  bool is_there; /* set by FIELD, so that the compiler does not ask for every other member */
  const char *format;
  const char *name;
  const struct field *children[FIELD_CHILDREN_MAX]; /* up to the first NULL */
  const struct field *dictionary;
  bool is_required;
  const char *key, *value; /* one pair of metadata; NULL: none */
};

#define FIELD(...)                                                                                 \
  &(const struct field) { .is_there = true, __VA_ARGS__ }

/* To be released; the running test fails when there is no memory. */
struct ArrowSchema field_schema(const struct field *field);
/* A record batch's schema with that one column. */
struct ArrowSchema field_batch_schema(const struct field *column);

#endif
