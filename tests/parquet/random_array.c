#include "parquet/random_array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/bitmap.h"
#include "arrow/layout.h"
#include "arrow/schema.h"
#include "parquet/random.h"

enum { BUFFERS = 4, CHILDREN = 3 };

int64_t random_to(struct random *random, int64_t most) {
  return (int64_t)(random_next(&random->state) % (uint64_t)(most + 1));
}

static void *room(int64_t bytes) {
  void *made = calloc(1, bytes > 0 ? (size_t)bytes : 1);
  assert_non_null(made);
  return made;
}

/* ---- schemas ------------------------------------------------------------------------------- */

static void begin(struct ArrowSchema *out, const char *format, bool nullable, int64_t children) {
  assert_int_equal(arrow_schema_init(out, format, "f", nullable, children, NULL), STATUS_OK);
}

static void make_field(struct random *random, int depth, bool nullable, struct ArrowSchema *out) {
  static const char *const leaves[] = {"i", "u", "b", "U", "n", "l", "vu", "w:3"};
  static const char *const lists[] = {"+l", "+L", "+vl", "+vL", "+w:2", "+w:0"};
  static const char *const codes[] = {"c", "C", "s", "S", "i", "I", "l", "L"};
  static const char *const ends[] = {"s", "i", "l"};
  int64_t kind = depth <= 0 ? 0 : random_to(random, 9);
  bool inner = random_to(random, 3) > 0;
  if (kind <= 1) {
    const char *format = leaves[random_to(random, 7)];
    begin(out, format, nullable || format[0] == 'n', 0);
  } else if (kind <= 3) {
    int64_t children = 1 + random_to(random, 1);
    begin(out, "+s", nullable, children);
    for (int64_t i = 0; i < children; i++)
      make_field(random, depth - 1, random_to(random, 3) > 0, out->children[i]);
  } else if (kind <= 6) {
    begin(out, lists[random_to(random, 5)], nullable, 1);
    make_field(random, depth - 1, inner, out->children[0]);
  } else if (kind == 7) {
    begin(out, "+m", nullable, 1);
    begin(out->children[0], "+s", false, 2);
    make_field(random, 0, false, out->children[0]->children[0]);
    make_field(random, depth - 1, inner, out->children[0]->children[1]);
  } else if (kind == 8) {
    begin(out, codes[random_to(random, 7)], nullable, 0);
    out->dictionary = room(sizeof *out->dictionary);
    make_field(random, depth - 1, nullable, out->dictionary);
  } else {
    begin(out, "+r", nullable, 2);
    begin(out->children[0], ends[random_to(random, 2)], false, 0);
    make_field(random, depth - 1, nullable, out->children[1]);
  }
}

/* Types that are null throughout cannot be where nothing may be. */
static void require_no_nulls(struct ArrowSchema *schema, bool nullable) {
  if (!nullable && strcmp(schema->format, "n") == 0) {
    arrow_schema_release(schema);
    begin(schema, "i", false, 0);
  }
  bool through = strcmp(schema->format, "+r") == 0;
  for (int64_t i = 0; i < schema->n_children; i++) {
    bool own = (schema->children[i]->flags & ARROW_FLAG_NULLABLE) != 0;
    if (strcmp(schema->format, "+m") == 0) {
      require_no_nulls(schema->children[0]->children[0], false);
      struct ArrowSchema *value = schema->children[0]->children[1];
      require_no_nulls(value, (value->flags & ARROW_FLAG_NULLABLE) != 0);
    } else {
      require_no_nulls(schema->children[i], through ? nullable : own);
    }
  }
  if (schema->dictionary != NULL) require_no_nulls(schema->dictionary, nullable);
}

struct ArrowSchema random_schema(struct random *random, int depth) {
  struct ArrowSchema schema;
  begin(&schema, "+s", false, 1);
  bool nullable = random_to(random, 3) > 0;
  make_field(random, depth, nullable, schema.children[0]);
  require_no_nulls(schema.children[0], (schema.children[0]->flags & ARROW_FLAG_NULLABLE) != 0);
  return schema;
}

/* ---- arrays -------------------------------------------------------------------------------- */

static void release(struct ArrowArray *array) {
  for (int64_t i = 0; i < BUFFERS; i++) free((void *)array->buffers[i]);
  for (int64_t i = 0; i < array->n_children; i++) {
    arrow_array_release(array->children[i]);
    free(array->children[i]);
  }
  if (array->dictionary != NULL) arrow_array_release(array->dictionary);
  free(array->dictionary);
  free(array->buffers);
  free(array->children);
  array->release = NULL;
}

static void fill(struct random *random, const struct ArrowSchema *schema, int64_t length,
                 bool nullable, struct ArrowArray *array);

static struct ArrowArray *child(struct random *random, const struct ArrowSchema *schema,
                                int64_t length, bool nullable) {
  struct ArrowArray *made = room(sizeof *made);
  fill(random, schema, length, nullable, made);
  return made;
}

static void put(void *numbers, int64_t bytes, int64_t index, int64_t number) {
  memcpy((uint8_t *)numbers + index * bytes, &number, (size_t)bytes);
}

/* Some arrays have hardly any nulls, some hardly anything else. */
static void fill_validity(struct random *random, int64_t total, struct ArrowArray *array) {
  int64_t one_in = 1 + random_to(random, 8);
  uint8_t *bits = room(bitmap_bytes(total));
  for (int64_t i = 0; i < total; i++)
    if (random_to(random, one_in) > 0 || random_to(random, 20) == 0) bitmap_set(bits, i);
  int64_t nulls = array->length - bitmap_count(bits, array->offset, array->length);
  array->buffers[0] = bits;
  array->null_count = random_to(random, 1) == 0 ? -1 : nulls;
}

static bool is_null(const struct ArrowArray *array, int64_t position) {
  return array->buffers[0] != NULL && array->null_count != 0 &&
         !bitmap_get(array->buffers[0], position);
}

static void fill_offsets(struct random *random, int64_t total, int64_t bytes, int64_t most,
                         struct ArrowArray *array, int64_t *end) {
  void *offsets = room((total + 1) * bytes);
  *end = random_to(random, 3);
  bool is_full = random_to(random, 3) == 0;
  for (int64_t i = 0; i <= total; i++) {
    put(offsets, bytes, i, *end);
    bool is_empty = is_null(array, i < total ? i : 0) && random_to(random, 1) == 0;
    if (!is_empty) *end += is_full + random_to(random, most);
  }
  array->buffers[1] = offsets;
}

static void fill_views(struct random *random, const struct ArrowSchema *schema, int64_t total,
                       int64_t bytes, struct ArrowArray *array) {
  int64_t items = 1 + random_to(random, total + 3);
  uint8_t *offsets = room(total * bytes), *sizes = room(total * bytes);
  bool is_ordered = random_to(random, 2) == 0;
  int64_t next = 0;
  for (int64_t i = 0; i < total; i++) {
    int64_t size = random_to(random, 3), offset;
    if (size > items) size = items;
    offset = random_to(random, items - size);
    if (is_ordered) {
      offset = next > items ? items : next;
      size = size > items - offset ? items - offset : size;
      next = offset + size;
    }
    if (is_null(array, i)) offset = size = INT32_MAX;
    put(offsets, bytes, i, offset);
    put(sizes, bytes, i, size);
  }
  array->buffers[1] = offsets;
  array->buffers[2] = sizes;
  array->children[0] = child(random, schema->children[0], items,
                             (schema->children[0]->flags & ARROW_FLAG_NULLABLE) != 0);
}

static void fill_codes(struct random *random, const struct ArrowSchema *schema, int64_t total,
                       int64_t bytes, bool nullable, struct ArrowArray *array) {
  int64_t values = 1 + random_to(random, 20);
  void *codes = room(total * bytes);
  for (int64_t i = 0; i < total; i++)
    put(codes, bytes, i, is_null(array, i) ? 100 : random_to(random, values - 1));
  array->buffers[1] = codes;
  array->dictionary = child(random, schema->dictionary, values, nullable);
}

static void fill_runs(struct random *random, const struct ArrowSchema *schema, int64_t total,
                      bool nullable, struct ArrowArray *array) {
  struct ArrowArray *ends = room(sizeof *ends);
  fill(random, schema->children[0], total + 2, false, ends);
  struct arrow_type type;
  assert_int_equal(arrow_type_parse(schema->children[0]->format, &type, NULL), STATUS_OK);
  int64_t runs = 0, most = random_to(random, 1) == 0 ? 2 : 20;
  for (int64_t end = 0; end < total; runs++) {
    end += 1 + random_to(random, most);
    put((void *)ends->buffers[1], type.bit_width / 8, ends->offset + runs, end);
  }
  ends->length = runs;
  array->children[0] = ends;
  array->children[1] = child(random, schema->children[1], runs, nullable);
  array->n_buffers = 0;
  array->null_count = 0;
}

static void fill_nested(struct random *random, const struct ArrowSchema *schema,
                        const struct arrow_type *type, int64_t total, bool nullable,
                        struct ArrowArray *array) {
  int64_t end = total;
  if (type->kind == ARROW_RUN_END_ENCODED) {
    fill_runs(random, schema, total, nullable, array);
    return;
  }
  if (layout_is_list_view(type->kind)) {
    fill_views(random, schema, total, layout_list_view_bytes(type->kind), array);
    return;
  }
  if (layout_is_list(type->kind))
    fill_offsets(random, total, layout_offset_bytes(type->kind), 3, array, &end);
  if (type->kind == ARROW_FIXED_SIZE_LIST) end = total * type->fixed_size;
  for (int64_t i = 0; i < schema->n_children; i++)
    array->children[i] = child(random, schema->children[i], end,
                               (schema->children[i]->flags & ARROW_FLAG_NULLABLE) != 0);
}

static void fill_leaf(struct random *random, const struct arrow_type *type, int64_t total,
                      struct ArrowArray *array) {
  int64_t end = 0;
  if (layout_is_view(type->kind)) {
    uint8_t *views = room(16 * total);
    for (int64_t i = 0; i < total; i++)
      put(views, 4, 4 * i, is_null(array, i) ? INT32_MAX : random_to(random, 12));
    array->buffers[1] = views;
  } else if (layout_is_bytes(type->kind)) {
    fill_offsets(random, total, layout_offset_bytes(type->kind), 5, array, &end);
    array->buffers[2] = room(end);
  } else {
    array->buffers[1] = room(8 * total);
  }
}

/* `length` slots and some before and behind them. */
static void fill(struct random *random, const struct ArrowSchema *schema, int64_t length,
                 bool nullable, struct ArrowArray *array) {
  struct arrow_type type;
  assert_int_equal(arrow_type_parse(schema->format, &type, NULL), STATUS_OK);
  *array = (struct ArrowArray){.length = length,
                               .offset = random_to(random, 1) * random_to(random, 70),
                               .n_buffers = layout_buffer_count(type.kind),
                               .n_children = schema->n_children,
                               .release = release};
  array->buffers = room(BUFFERS * (int64_t)sizeof array->buffers[0]);
  array->children = room(CHILDREN * (int64_t)sizeof array->children[0]);
  int64_t total = array->offset + length;
  bool has_validity = layout_has_validity(type.kind);
  if (type.kind == ARROW_NULL) array->null_count = length;
  if (has_validity && nullable && random_to(random, 3) > 0)
    fill_validity(random, total, array);
  else if (has_validity && random_to(random, 3) == 0)
    array->null_count = -1; /* without a bitmap */
  if (schema->dictionary != NULL)
    fill_codes(random, schema, total, type.bit_width / 8, nullable, array);
  else if (schema->n_children > 0)
    fill_nested(random, schema, &type, total, nullable, array);
  else if (type.kind != ARROW_NULL)
    fill_leaf(random, &type, total, array);
}

struct ArrowArray random_batch(struct random *random, const struct ArrowSchema *schema,
                               int64_t rows) {
  struct ArrowArray batch;
  fill(random, schema, rows, false, &batch);
  return batch;
}
