/* A reader of the Thrift compact protocol for tests: it knows nothing of ours, and is strict: what is
 * not exactly as the protocol says fails the running test. */
#ifndef ARROWPORT_TESTS_PARQUET_THRIFT_READ_H
#define ARROWPORT_TESTS_PARQUET_THRIFT_READ_H

#include <stdbool.h>
#include <stdint.h>

enum read_kind { READ_BOOL, READ_INTEGER, READ_BINARY, READ_LIST, READ_STRUCT };

struct thrift_value {
  enum read_kind kind;
  int wire_type;       /* as it stands in the field's or the list's head (a bool: 1) */
  int item_type;       /* of a list: the wire type of its elements */
  int64_t number;      /* of a bool 0 or 1 */
  const uint8_t *data; /* of binary: in what was read */
  int64_t count;       /* bytes, elements, fields */
  int16_t *fields;     /* of a struct: ids, rising */
  struct thrift_value *items;
};

/* The struct that `data` begins with; `*used_bytes` (NULL: it must be all) of it. */
struct thrift_value *thrift_read(const uint8_t *data, int64_t bytes, int64_t *used_bytes);
void thrift_read_free(struct thrift_value *value);

/* What is at `path`: field ids and positions in lists, with dots between: "4.0.1.2". NULL: nothing. */
const struct thrift_value *thrift_find(const struct thrift_value *value, const char *path);
bool thrift_has(const struct thrift_value *value, const char *path);

/* As above, and what is there must be of the kind. */
int64_t thrift_number(const struct thrift_value *value, const char *path); /* bools too */
int64_t thrift_count(const struct thrift_value *value, const char *path);  /* of a list */
bool thrift_is_text(const struct thrift_value *value, const char *path, const char *text);
bool thrift_is_binary(const struct thrift_value *value, const char *path, const void *data,
                      int64_t bytes);

#endif
