/* Types, schemas and arrays of the C data interface: what they mean, how two
 * compare, and how one array gets several owners. */
#ifndef ARROWPORT_ARROW_SCHEMA_H
#define ARROWPORT_ARROW_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "base/status.h"
#include "base/text.h"

enum {
  ARROW_DEPTH_MAX = 64,      /* nesting deeper than this is refused: recursion follows it */
  ARROW_FIELDS_MAX = 100000, /* fields of one schema, nested ones counted */
};

enum arrow_kind {
  ARROW_NULL,
  ARROW_BOOL,
  ARROW_INT8,
  ARROW_UINT8,
  ARROW_INT16,
  ARROW_UINT16,
  ARROW_INT32,
  ARROW_UINT32,
  ARROW_INT64,
  ARROW_UINT64,
  ARROW_FLOAT16,
  ARROW_FLOAT32,
  ARROW_FLOAT64,
  ARROW_BINARY,
  ARROW_LARGE_BINARY,
  ARROW_UTF8,
  ARROW_LARGE_UTF8,
  ARROW_BINARY_VIEW,
  ARROW_UTF8_VIEW,
  ARROW_FIXED_SIZE_BINARY,
  ARROW_DECIMAL,
  ARROW_DATE32,
  ARROW_DATE64,
  ARROW_TIME32,
  ARROW_TIME64,
  ARROW_TIMESTAMP,
  ARROW_DURATION,
  ARROW_INTERVAL_MONTHS,
  ARROW_INTERVAL_DAY_TIME,
  ARROW_INTERVAL_MONTH_DAY_NANO,
  ARROW_LIST,
  ARROW_LARGE_LIST,
  ARROW_LIST_VIEW,
  ARROW_LARGE_LIST_VIEW,
  ARROW_FIXED_SIZE_LIST,
  ARROW_STRUCT,
  ARROW_MAP,
  ARROW_DENSE_UNION,
  ARROW_SPARSE_UNION,
  ARROW_RUN_END_ENCODED,
};

enum arrow_unit { ARROW_SECOND, ARROW_MILLISECOND, ARROW_MICROSECOND, ARROW_NANOSECOND };

/* What a format string says. For a dictionary-encoded field the schema's format is
 * that of the indices and `schema->dictionary` describes the values. */
struct arrow_type {
  enum arrow_kind kind;
  enum arrow_unit unit; /* time, timestamp, duration */
  int32_t precision;    /* decimal: digits in all */
  int32_t scale;        /* decimal: digits after the point, may be negative */
  int32_t bit_width;    /* fixed-width kinds, decimals: 32, 64, 128 or 256; 0 otherwise */
  int32_t fixed_size;   /* fixed-size binary: bytes; fixed-size list: items */
  const char *timezone; /* timestamp: points into the format, "" without a zone */
};

/* Reads a format string. STATUS_INVALID names what is wrong with it. */
enum status arrow_type_parse(const char *format, struct arrow_type *type,
                             struct error *error) WARN_UNUSED;

/* Writes the type as people write it: "timestamp[us, UTC]", "list<item: int32>",
 * "dictionary<values=utf8, indices=int8>". STATUS_NOMEM only. */
enum status arrow_type_print(const struct ArrowSchema *schema, struct text *out,
                             struct error *error) WARN_UNUSED;

/* A deep copy into `out`, which holds nothing before and after a failure. */
enum status arrow_schema_copy(const struct ArrowSchema *schema, struct ArrowSchema *out,
                              struct error *error) WARN_UNUSED;

/* An empty struct schema with room for `fields` children, then its children one by
 * one: how schemas are made by hand. `format` and `name` are copied. Children that
 * have children of their own are made by the same calls on `out->children[i]`. */
enum status arrow_schema_init(struct ArrowSchema *out, const char *format, const char *name,
                              bool nullable, int64_t children, struct error *error) WARN_UNUSED;

/* Another format and name for one of the fields that the two above have made; NULL: as it is. Both are
 * copied. STATUS_NOMEM leaves it as it was. */
enum status arrow_schema_set(struct ArrowSchema *field, const char *format, const char *name,
                             struct error *error) WARN_UNUSED;

/* Same names, types, nullability and nesting; metadata is not compared. When they
 * differ and `where` is given, it says in a sentence where and how. */
bool arrow_schema_equal(const struct ArrowSchema *left, const struct ArrowSchema *right,
                        struct error *where);

/* One array that several owners hold; the last one's release lets go of it. */
struct arrow_shared;

/* Takes what `array` holds on STATUS_OK; the caller keeps it on STATUS_NOMEM. */
enum status arrow_shared_new(struct ArrowArray *array, struct arrow_shared **shared,
                             struct error *error) WARN_UNUSED;
const struct ArrowArray *arrow_shared_array(const struct arrow_shared *shared);

/* Rows [offset, offset + rows) of a struct array (a record batch) as an array of
 * its own with offset 0 and sliced children, without copying values. It holds the
 * shared array until it is released, on whichever thread. */
enum status arrow_shared_slice(struct arrow_shared *shared, int64_t offset, int64_t rows,
                               struct ArrowArray *out, struct error *error) WARN_UNUSED;
void arrow_shared_release(struct arrow_shared *shared);

/* Bytes that the array's values take: buffers as far as its rows use them; the children of
 * list views, dense unions and runs, whose slots lie anywhere, as a whole. */
int64_t arrow_array_bytes(const struct ArrowSchema *schema, const struct ArrowArray *array);

#endif
