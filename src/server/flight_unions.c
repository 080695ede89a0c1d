/* Parameters that come as unions, whose rows are of one type each: as some clients send values whose
 * type the statement does not say (flightsql-dbapi, drivers made after Arrow's SQLite example). The
 * member that the rows have takes the union's place. */
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "server/flight_handle.h"

static bool is_union(const struct ArrowSchema *schema) {
  return strncmp(schema->format, "+ud:", 4) == 0 || strncmp(schema->format, "+us:", 4) == 0;
}

/* The child that a type id stands for; -1: none. */
static int64_t child_of(const struct ArrowSchema *schema, int8_t code) {
  const char *at = schema->format + 4;
  for (int64_t i = 0; i < schema->n_children; i++) {
    char *end;
    if (strtol(at, &end, 10) == code) return i;
    at = *end == ',' ? end + 1 : end;
  }
  return -1;
}

static enum status refuse(int64_t column, const char *why, struct error *error) {
  return error_set(error, STATUS_UNSUPPORTED, "parameter %lld is a union %s", (long long)column + 1,
                   why);
}

/* The one type id of a column's rows, in all batches; -1: there are no rows. */
static enum status find_code(struct ArrowArray *batches, size_t count, int64_t column, int *code,
                             struct error *error) {
  *code = -1;
  for (size_t i = 0; i < count; i++) {
    const struct ArrowArray *array = batches[i].children[column];
    const int8_t *codes = array->buffers[0];
    for (int64_t row = 0; row < array->length; row++) {
      int8_t here = codes[array->offset + row];
      if (*code >= 0 && here != *code)
        return refuse(column, "with rows of several types: send them in calls of their own", error);
      *code = here;
    }
  }
  return STATUS_OK;
}

/* Puts the member in the union's place. */
static enum status unwrap(struct ArrowArray *array, int64_t column, int64_t child, bool dense,
                          struct error *error) {
  int64_t rows = array->length, first = array->offset;
  const int32_t *offsets = dense ? array->buffers[1] : NULL;
  if (dense && rows > 0) first = offsets[array->offset];
  for (int64_t row = 1; dense && row < rows; row++)
    if (offsets[array->offset + row] != first + row)
      return refuse(column, "whose values do not lie side by side", error);
  struct ArrowArray member = *array->children[child];
  if (first < 0 || rows > member.length || first > member.length - rows)
    return refuse(column, "that has more rows than values", error);
  array->children[child]->release = NULL; /* moved */
  array->release(array);
  member.offset += first;
  if (member.null_count > 0 && rows < member.length) member.null_count = -1;
  member.length = rows;
  *array = member;
  return STATUS_OK;
}

static enum status unwrap_column(const struct ArrowSchema *given, struct ArrowSchema *plain,
                                 struct ArrowArray *batches, size_t count, int64_t column,
                                 struct error *error) {
  const struct ArrowSchema *schema = given->children[column];
  int code;
  enum status status = find_code(batches, count, column, &code, error);
  if (status != STATUS_OK) return status;
  int64_t child = code < 0 ? 0 : child_of(schema, (int8_t)code);
  if (child < 0 || child >= schema->n_children)
    return refuse(column, "without the type that its rows have", error);
  struct ArrowSchema member;
  status = arrow_schema_copy(schema->children[child], &member, error);
  if (status != STATUS_OK) return status;
  arrow_schema_release(plain->children[column]);
  arrow_schema_move(&member, plain->children[column]);
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = unwrap(batches[i].children[column], column, child, schema->format[2] == 'd', error);
  return status;
}

enum status flight_parameters_plain(const struct ArrowSchema **schema, struct ArrowArray *batches,
                                    size_t count, struct ArrowSchema *plain, struct error *error) {
  *plain = (struct ArrowSchema){.release = NULL};
  bool any = false;
  for (int64_t i = 0; *schema != NULL && i < (*schema)->n_children; i++)
    any = any || is_union((*schema)->children[i]);
  if (!any) return STATUS_OK;
  enum status status = arrow_schema_copy(*schema, plain, error);
  for (int64_t i = 0; status == STATUS_OK && i < (*schema)->n_children; i++)
    if (is_union((*schema)->children[i]))
      status = unwrap_column(*schema, plain, batches, count, i, error);
  if (status == STATUS_OK) *schema = plain;
  return status;
}
