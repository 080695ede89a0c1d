/* An Arrow schema as Parquet's: the tree of SchemaElements, and for each of its leaves, which are the
 * columns of the file, the way to it through the arrays of a record batch. Inside the room only.
 * Source: parquet-format LogicalTypes.md ("Nested Types": three-level lists, maps), README.md
 * ("Nested Encoding"). */
#ifndef ARROWPORT_PARQUET_SCHEMA_H
#define ARROWPORT_PARQUET_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/schema.h"
#include "base/buffer.h"
#include "base/status.h"
#include "parquet/format.h"

enum { PARQUET_NO_FIELD_ID = INT32_MIN };

struct parquet_element {
  const char *name; /* the schema's own, or a constant ("list", "element", "key_value") */
  enum parquet_repetition repetition; /* not of the root, which is the first element */
  int32_t child_count;                /* of a group */
  int32_t field_id;                   /* PARQUET_NO_FIELD_ID: none */
  bool is_leaf;
  enum parquet_type type; /* of a leaf */
  int32_t type_length;    /* bytes of PARQUET_FIXED */
  struct parquet_logical logical;
};

/* How a value of the leaf's Arrow array becomes the leaf's physical value. */
enum parquet_conversion {
  PARQUET_AS_IT_IS,      /* same width, same bits */
  PARQUET_WIDEN,         /* int8, int16, uint8, uint16 to INT32, by their own sign */
  PARQUET_TIMES_1000,    /* seconds as milliseconds; past what fits: an error */
  PARQUET_DAYS,          /* date64 as days; not a whole day: an error */
  PARQUET_DECIMAL_INT,   /* decimal of any width as INT32 or INT64; past the precision: an error */
  PARQUET_DECIMAL_BYTES, /* decimal of any width, big-endian in type_length bytes; likewise */
  PARQUET_BITS,          /* bool */
  PARQUET_OFFSETS,       /* binary, utf8 and large forms */
  PARQUET_VIEWS,         /* binary and utf8 views */
  PARQUET_NOTHING        /* the null type: there are no values */
};

/* How two values of a column compare (parquet.thrift, ColumnOrder). */
enum parquet_order {
  PARQUET_ORDER_NONE, /* undefined: no bounds */
  PARQUET_ORDER_SIGNED,
  PARQUET_ORDER_UNSIGNED,  /* unsigned integers */
  PARQUET_ORDER_FLOAT,     /* FLOAT, DOUBLE */
  PARQUET_ORDER_HALF,      /* FLOAT16 in two bytes */
  PARQUET_ORDER_BYTES,     /* byte by byte, unsigned; the shorter of two that begin alike is less */
  PARQUET_ORDER_BIG_ENDIAN /* two's complement, most significant byte first: decimals */
};

/* One Arrow node on the way from a record batch's column to a leaf's values. */
enum parquet_step_kind {
  PARQUET_STEP_STRUCT, /* go on with child `child` */
  PARQUET_STEP_LIST,   /* by offsets: list, map */
  PARQUET_STEP_LARGE_LIST,
  PARQUET_STEP_LIST_VIEW, /* by offsets and sizes */
  PARQUET_STEP_LARGE_LIST_VIEW,
  PARQUET_STEP_FIXED_LIST,
  PARQUET_STEP_DICTIONARY, /* slots are indices into the dictionary */
  PARQUET_STEP_RUNS,       /* run-end encoded: slots are found by run ends */
  PARQUET_STEP_LEAF
};

struct parquet_step {
  enum parquet_step_kind kind;
  const struct ArrowSchema *schema; /* of the node */
  struct arrow_type type; /* likewise (of the indices, where it is a dictionary; bit_width of
                          PARQUET_STEP_RUNS is that of the run ends) */
  bool
      is_nullable; /* the field is OPTIONAL; of a node below a dictionary or runs as theirs, with the
                          same null_def: what is null there is the null of the slot */
  uint8_t null_def;    /* definition level of a null slot here, when is_nullable */
  uint8_t present_def; /* of a slot that is there (a list's: with an item; empty is one less) */
  uint8_t rep;         /* of lists: repetition level of items but the first */
  int32_t child;       /* of PARQUET_STEP_STRUCT */
};

/* A column of the file. */
struct parquet_leaf {
  int32_t element;   /* its SchemaElement */
  int32_t top_level; /* the record batch's column that it is in */
  const char **path; /* names from below the root down, as path_in_schema has them */
  int32_t path_count;
  int32_t shared_names; /* of these, so many at the beginning are groups of the leaf before too */
  char *name;           /* the path with dots between, for messages and options: "a.list.element" */
  uint8_t max_def, max_rep;
  enum parquet_type type;
  int32_t type_length;
  struct parquet_logical logical;
  enum parquet_order order;
  enum parquet_conversion conversion;
  struct arrow_type arrow; /* of the values */
  int32_t field_id;
  bool is_coded; /* the last step but the leaf is a dictionary or runs: a slot is an entry of it */
  struct parquet_step *steps;
  int32_t step_count;
};

struct parquet_names; /* schema_find.c */

struct parquet_schema {
  struct parquet_element *elements;
  int32_t element_count;
  struct parquet_leaf *leaves;
  int32_t leaf_count;
  struct parquet_names *names; /* the leaves by name */
  void *pools[3];              /* what the leaves' pointers point into: steps, paths, names */
};

/* `arrow`, a struct, must outlive the result. STATUS_UNSUPPORTED names a field whose type Parquet cannot
 * hold exactly (unions, intervals, scales below 0 or past the precision, fixed-size binary of no
 * bytes), and what to do; STATUS_INVALID one that is broken, or a field id that is no number;
 * STATUS_TOO_LARGE more fields or deeper nesting than ARROW_FIELDS_MAX, ARROW_DEPTH_MAX (which keep levels
 * far below 255), or names of more than PARQUET_NAME_BYTES_MAX in all; STATUS_NOMEM. Field ids come from
 * the fields' metadata, key "PARQUET:field_id"; a negative one is none. No fields at all is allowed; a
 * struct without fields is not, as Parquet has no group without children: STATUS_UNSUPPORTED. Linear
 * in what the result takes. */
enum { PARQUET_NAME_BYTES_MAX = 256 << 20 };
enum status parquet_schema_new(const struct ArrowSchema *arrow, struct parquet_schema **schema,
                               struct error *error) WARN_UNUSED;
void parquet_schema_free(struct parquet_schema *schema); /* NULL is allowed */

/* The leaves that `path` names: one by its name in full (dots, with or without what Parquet puts
 * between: "list", "element", "key_value"), or all below a group. [*first, *first + *count). Where
 * several have that name, the full name counts before the short one, and then the first.
 * STATUS_NOT_FOUND names the nearest. Takes time for the path's length, not for the columns'
 * number. */
enum status parquet_schema_find(const struct parquet_schema *schema, const char *path,
                                int32_t *first, int32_t *count, struct error *error) WARN_UNUSED;

/* The value of the key ARROW:schema: the schema as an encapsulated IPC message in base64, what
 * readers take exact Arrow types from; NUL-terminated. The caller frees it. Run-end encoded fields are
 * said to be of their values' type: no reader makes runs again, and some fail on them. */
enum status parquet_arrow_schema(const struct ArrowSchema *arrow, struct budget *budget,
                                 char **text, struct error *error) WARN_UNUSED;

#endif
