#include "arrow/ipc_memo.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/concat.h"

/* ---- the schema's dictionaries ------------------------------------------------------- */

static int by_id(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left;
  int64_t b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

struct ipc_dictionary *ipc_memo_find(const struct ipc_memo *memo, int64_t id) {
  if (memo->count == 0) return NULL;
  return bsearch(&id, memo->list, (size_t)memo->count, sizeof *memo->list,
                 by_id); /* a dictionary begins with its id */
}

/* A place for each id, found by halving: a schema may have as many as it has fields. */
static enum status make_places(struct ipc_memo *memo, const struct ipc_dictionary_ids *ids,
                               struct error *error) {
  if (ids->count == 0) return STATUS_OK;
  int64_t *sorted = malloc((size_t)ids->count * sizeof *sorted);
  memo->list = calloc((size_t)ids->count, sizeof *memo->list);
  if (sorted == NULL || memo->list == NULL) {
    free(sorted);
    return error_set(error, STATUS_NOMEM, "no memory for a schema");
  }
  memcpy(sorted, ids->ids, (size_t)ids->count * sizeof *sorted);
  qsort(sorted, (size_t)ids->count, sizeof *sorted, by_id);
  for (int64_t i = 0; i < ids->count; i++)
    if (i == 0 || sorted[i] != sorted[i - 1]) memo->list[memo->count++].id = sorted[i];
  free(sorted);
  return STATUS_OK;
}

static enum status assign_one(struct ipc_memo *memo, const struct layout *node, int64_t id,
                              struct error *error) {
  struct ipc_dictionary *dictionary = ipc_memo_find(memo, id);
  struct error where;
  assert(dictionary != NULL);
  memo->of_node[node->index] = (int32_t)(dictionary - memo->list);
  if (dictionary->values == NULL) dictionary->values = node->dictionary;
  if (arrow_schema_equal(dictionary->values->schema, node->dictionary->schema, &where))
    return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "field '%s' shares dictionary %" PRId64 " with a field of other values",
                   layout_name(node), id);
}

/* Gives each encoded node its dictionary, in the order of ipc_schema_read. */
static enum status assign(struct ipc_memo *memo, const struct layout *node, const int64_t **ids,
                          struct error *error) {
  enum status status = STATUS_OK;
  assert(memo->of_node != NULL);
  memo->of_node[node->index] = -1;
  if (node->dictionary != NULL) {
    status = assign_one(memo, node, *(*ids)++, error);
    if (status == STATUS_OK) status = assign(memo, node->dictionary, ids, error);
  }
  for (int64_t i = 0; i < node->child_count && status == STATUS_OK; i++)
    status = assign(memo, &node->children[i], ids, error);
  return status;
}

enum status ipc_memo_init(struct ipc_memo *memo, const struct layout *layout, int64_t node_count,
                          const struct ipc_dictionary_ids *ids, struct error *error) {
  *memo = (struct ipc_memo){.of_node = calloc((size_t)node_count, sizeof *memo->of_node)};
  enum status status = memo->of_node != NULL
                           ? make_places(memo, ids, error)
                           : error_set(error, STATUS_NOMEM, "no memory for a schema");
  const int64_t *next = ids->ids;
  if (status == STATUS_OK) status = assign(memo, layout, &next, error);
  if (status != STATUS_OK) ipc_memo_release(memo);
  return status;
}

static void forget_parts(struct ipc_dictionary *dictionary) {
  for (int64_t i = 0; i < dictionary->part_count; i++) arrow_shared_release(dictionary->parts[i]);
  dictionary->part_count = 0;
  dictionary->length = 0;
}

void ipc_memo_release(struct ipc_memo *memo) {
  for (int64_t i = 0; i < memo->count; i++) {
    forget_parts(&memo->list[i]);
    free(memo->list[i].parts);
  }
  free(memo->list);
  free(memo->of_node);
  *memo = (struct ipc_memo){0};
}

/* ---- values -------------------------------------------------------------------------- */

/* Room for one part more. */
static enum status make_room(struct ipc_dictionary *dictionary, struct error *error) {
  if (dictionary->part_count < dictionary->part_capacity) return STATUS_OK;
  int64_t capacity = dictionary->part_capacity == 0 ? 1 : 2 * dictionary->part_capacity;
  struct arrow_shared **grown = realloc(dictionary->parts, (size_t)capacity * sizeof(void *));
  if (grown == NULL) return error_set(error, STATUS_NOMEM, "no memory for a dictionary");
  dictionary->parts = grown;
  dictionary->part_capacity = capacity;
  return STATUS_OK;
}

enum status ipc_memo_replace(struct ipc_dictionary *dictionary, struct arrow_shared *values,
                             struct error *error) {
  enum status status = make_room(dictionary, error);
  if (status != STATUS_OK) return status;
  forget_parts(dictionary);
  dictionary->parts[dictionary->part_count++] = values;
  dictionary->length = arrow_shared_array(values)->length;
  return STATUS_OK;
}

enum status ipc_memo_extend(struct ipc_dictionary *dictionary, struct arrow_shared *values,
                            struct error *error) {
  int64_t more = arrow_shared_array(values)->length;
  if (dictionary->part_count == 0)
    return error_set(error, STATUS_INVALID, "it grows by a delta before it has come");
  if (more > INT32_MAX - dictionary->length)
    return error_set(error, STATUS_TOO_LARGE, "it grows past %" PRId32 " values", INT32_MAX);
  if (more == 0) { /* nothing to keep */
    arrow_shared_release(values);
    return STATUS_OK;
  }
  enum status status = make_room(dictionary, error);
  if (status != STATUS_OK) return status;
  dictionary->parts[dictionary->part_count++] = values;
  dictionary->length += more;
  return STATUS_OK;
}

enum status ipc_memo_values(struct ipc_dictionary *dictionary, struct budget *budget,
                            struct arrow_shared **values, struct error *error) {
  *values = NULL;
  if (dictionary->part_count > 1) {
    struct ArrowArray joined = {.release = NULL};
    struct arrow_shared *shared = NULL;
    enum status status = arrow_concat(dictionary->values, dictionary->parts, dictionary->part_count,
                                      budget, &joined, error);
    if (status == STATUS_OK) status = arrow_shared_new(&joined, &shared, error);
    if (status != STATUS_OK) {
      arrow_array_release(&joined);
      error_at(error, "dictionary %" PRId64, dictionary->id);
      return status;
    }
    forget_parts(dictionary);
    dictionary->parts[dictionary->part_count++] = shared; /* there was room for more */
    dictionary->length = arrow_shared_array(shared)->length;
  }
  if (dictionary->part_count == 1) *values = dictionary->parts[0];
  return STATUS_OK;
}
