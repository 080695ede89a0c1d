/* The arrays of include/arrowport/ipc.h. */
#include "arrow/array.h"
#include "arrowport/ipc.h"
#include "source/private.h"
#include "source/public.h"

static enum status check_holds(const void *pointer, const char *what, bool is_released,
                               struct error *error) {
  enum status status = public_need(pointer, what, error);
  if (status == STATUS_OK && is_released)
    status = error_set(error, STATUS_INVALID, "%s holds nothing: it was released, or moved", what);
  return status;
}

/* Whether there are a schema that can be followed, and an array. */
static enum status check_given(const struct ArrowSchema *schema, const struct ArrowArray *array,
                               const char *name, struct error *error) {
  enum status status = public_need(schema, "schema", error);
  if (status == STATUS_OK) status = check_foreign_schema(schema, error);
  if (status == STATUS_OK)
    status = check_holds(array, name, array != NULL && array->release == NULL, error);
  return status;
}

enum arrowport_status arrowport_array_check(const struct ArrowSchema *schema,
                                            const struct ArrowArray *array, bool full,
                                            struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = check_given(schema, array, "array", &why);
  if (status == STATUS_OK)
    status = arrow_array_check(schema, array, full ? ARRAY_CHECK_FULL : ARRAY_CHECK_SHAPE, &why);
  return public_status(status, &why, error);
}

bool arrowport_array_equal(const struct ArrowSchema *schema, const struct ArrowArray *left,
                           const struct ArrowArray *right, struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  bool is_equal = check_given(schema, left, "left", &why) == STATUS_OK &&
                  check_given(schema, right, "right", &why) == STATUS_OK &&
                  arrow_array_equal(schema, left, right, &why);
  public_status(is_equal ? STATUS_OK : STATUS_INVALID, &why, error);
  return is_equal;
}

enum arrowport_status arrowport_array_slice(const struct ArrowSchema *schema,
                                            struct ArrowArray *array, int64_t offset, int64_t rows,
                                            struct ArrowArray *slice,
                                            struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = check_given(schema, array, "array", &why);
  if (status == STATUS_OK) status = public_need(slice, "slice", &why);
  if (status == STATUS_OK) status = arrow_array_check(schema, array, ARRAY_CHECK_SHAPE, &why);
  if (status == STATUS_OK) status = arrow_array_slice(schema, array, offset, rows, slice, &why);
  return public_status(status, &why, error);
}

enum arrowport_status arrowport_array_print(const struct ArrowSchema *schema,
                                            const struct ArrowArray *array, int64_t rows_max,
                                            size_t width, char **text,
                                            struct arrowport_error *error) {
  struct error why = {.status = STATUS_OK};
  struct text out = TEXT_EMPTY;
  enum status status = check_given(schema, array, "array", &why);
  if (status == STATUS_OK) status = public_need(text, "text", &why);
  if (status == STATUS_OK) status = text_add(&out, "", &why); /* there is something to free */
  if (status == STATUS_OK) status = arrow_array_print(schema, array, rows_max, width, &out, &why);
  if (text != NULL) *text = status == STATUS_OK ? out.data : NULL;
  if (status != STATUS_OK) text_release(&out);
  return public_status(status, &why, error);
}
