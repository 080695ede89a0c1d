/* Keys that are whole numbers, each put into a set once.
 *
 * The set is a bitmap where the keys lie close together (at most RANGE_MAX values for a row: some
 * megabytes, near the processor), a hash table with open addressing otherwise. Who sends the rows
 * chooses the keys, so the hash is keyed by chance, and a search that takes too long is given up:
 * the answer is then KEYS_DOUBTFUL, which costs a query, never an hour. */
#include "engine/keys.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { RANGE_MAX = 64, STEPS_MAX = 256 };

struct column {
  const struct ArrowArray *array;
  const uint8_t *values;
  int64_t offset, rows;
};

struct set {
  int64_t min;
  uint64_t *bits;  /* of value - min; NULL: the table is used */
  uint64_t *table; /* of value - min + 1; 0: nothing */
  int shift;       /* from the hash to the place */
  uint64_t multiplier;
};

/* The width of a whole number; 0: it is none. */
static int width_of(const struct ArrowSchema *field) {
  struct arrow_type type;
  struct error ignored;
  if (field->dictionary != NULL || arrow_type_parse(field->format, &type, &ignored) != STATUS_OK)
    return 0;
  switch (type.kind) {
  case ARROW_INT8:
  case ARROW_UINT8: return 1;
  case ARROW_INT16:
  case ARROW_UINT16: return 2;
  case ARROW_INT32:
  case ARROW_UINT32:
  case ARROW_DATE32:
  case ARROW_TIME32: return 4;
  case ARROW_INT64:
  case ARROW_UINT64:
  case ARROW_DATE64:
  case ARROW_TIME64:
  case ARROW_TIMESTAMP: return 8;
  default: return 0;
  }
}

/* The bits of a value, widened: equal ones are equal, whatever the sign says. */
static inline int64_t value_at(const struct column *column, int width, int64_t row) {
  const uint8_t *at = column->values + (column->offset + row) * width;
  switch (width) {
  case 1: return *at;
  case 2: {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
  }
  case 4: {
    int32_t value;
    memcpy(&value, at, sizeof value);
    return value;
  }
  default: {
    int64_t value;
    memcpy(&value, at, sizeof value);
    return value;
  }
  }
}

static bool has_nulls(const struct column *column) {
  const uint8_t *valid = column->array->buffers[0];
  if (valid == NULL || column->array->null_count == 0) return false;
  for (int64_t i = column->offset; i < column->offset + column->rows; i++)
    if ((valid[i / 8] >> (i % 8) & 1) == 0) return true;
  return false;
}

static struct column column_of(const struct engine_slice *slice, int64_t field) {
  const struct ArrowArray *batch = arrow_shared_array(slice->batch);
  const struct ArrowArray *array = batch->children[field];
  return (struct column){.array = array,
                         .values = array->buffers[1],
                         .offset = array->offset + batch->offset + slice->offset_rows,
                         .rows = slice->rows};
}

/* ---- the set ------------------------------------------------------------------------------------ */

static bool set_init(struct set *set, int64_t min, int64_t max, int64_t rows) {
  uint64_t range = (uint64_t)max - (uint64_t)min;
  *set = (struct set){.min = min};
  if (range / RANGE_MAX < (uint64_t)rows) {
    set->bits = calloc(range / 64 + 1, sizeof *set->bits);
    return set->bits != NULL;
  }
  int bits = 4;
  while ((int64_t)1 << bits < 2 * rows) bits++;
  set->shift = 64 - bits;
  if (getrandom(&set->multiplier, sizeof set->multiplier, 0) != sizeof set->multiplier)
    return false;
  set->multiplier |= 1;
  set->table = calloc((size_t)1 << bits, sizeof *set->table);
  return set->table != NULL;
}

static void set_release(struct set *set) {
  free(set->bits);
  free(set->table);
}

/* False: it is there already, or nobody knows. */
static inline bool set_add(struct set *set, int64_t value) {
  uint64_t key = (uint64_t)value - (uint64_t)set->min;
  if (set->bits != NULL) {
    uint64_t bit = (uint64_t)1 << (key % 64);
    bool is_new = (set->bits[key / 64] & bit) == 0;
    set->bits[key / 64] |= bit;
    return is_new;
  }
  key++;
  if (key == 0) return false; /* the one value that has no place */
  uint64_t mask = ((uint64_t)1 << (64 - set->shift)) - 1;
  uint64_t at = (key * set->multiplier) >> set->shift;
  for (int step = 0; step < STEPS_MAX; step++, at = (at + 1) & mask) {
    if (set->table[at] == key) return false;
    if (set->table[at] != 0) continue;
    set->table[at] = key;
    return true;
  }
  return false;
}

/* ---- the look ------------------------------------------------------------------------------------ */

static void widen(const struct column *column, int width, int64_t *min, int64_t *max) {
  for (int64_t i = 0; i < column->rows; i++) {
    int64_t value = value_at(column, width, i);
    if (value < *min) *min = value;
    if (value > *max) *max = value;
  }
}

enum keys_verdict keys_look(const struct ArrowSchema *schema, int64_t field,
                            const struct engine_slice *slices, int64_t slice_count) {
  int width = width_of(schema->children[field]);
  int64_t rows = 0, min = INT64_MAX, max = INT64_MIN;
  if (width == 0) return KEYS_DOUBTFUL;
  for (int64_t i = 0; i < slice_count; i++) {
    struct column column = column_of(&slices[i], field);
    rows += column.rows;
    if (rows > KEYS_ROWS_MAX || has_nulls(&column)) return KEYS_DOUBTFUL;
    widen(&column, width, &min, &max);
  }
  if (rows == 0) return KEYS_DISTINCT;
  struct set set;
  bool distinct = set_init(&set, min, max, rows);
  for (int64_t i = 0; i < slice_count && distinct; i++) {
    struct column column = column_of(&slices[i], field);
    for (int64_t k = 0; k < column.rows && distinct; k++)
      distinct = set_add(&set, value_at(&column, width, k));
  }
  set_release(&set);
  return distinct ? KEYS_DISTINCT : KEYS_DOUBTFUL;
}
