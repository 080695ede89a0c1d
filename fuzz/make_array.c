/* Most of what is made is right as far as it can be, for what is wrong everywhere is refused
 * at once: each node's first byte says what of it is not. */
#include "make_array.h"

#include <stdlib.h>
#include <string.h>

#include "arrow/layout.h"

enum {
  DEPTH_MAX = 4,
  CHILDREN_MAX = 3,
  BUFFERS_MAX = 6,
  BLOCKS_MAX = 4096,
  DATA_BYTES_MAX = 4096,
  SLOTS_MAX = 64,
};

/* Everything that is made for a schema or a batch. */
struct blocks {
  void *all[BLOCKS_MAX];
  int count;
  int *releases;
};

static struct blocks *blocks_new(void) {
  struct blocks *blocks = calloc(1, sizeof *blocks);
  if (blocks == NULL) abort();
  return blocks;
}

static void blocks_free(struct blocks *blocks) {
  while (blocks != NULL && blocks->count > 0) free(blocks->all[--blocks->count]);
  free(blocks);
}

uint8_t maker_byte(struct maker *maker) {
  if (maker->at < maker->end) return *maker->at++;
  if (maker->more == 0) return 0;
  maker->more ^= maker->more << 13;
  maker->more ^= maker->more >> 7;
  maker->more ^= maker->more << 17;
  return (uint8_t)(maker->more >> 24);
}

/* Zeroed; NULL when there are too many. */
static void *block_new(struct maker *maker, int64_t bytes) {
  struct blocks *blocks = maker->batch != NULL ? maker->batch : maker->blocks;
  if (blocks->count == BLOCKS_MAX) return NULL;
  void *block = calloc(1, (size_t)bytes);
  if (block == NULL) abort();
  blocks->all[blocks->count++] = block;
  return block;
}

/* ---- types --------------------------------------------------------------------------------- */

static const char *const leaves[] = {
    "n",   "b",     "c",        "C",         "s",          "S",   "i",   "I",   "l",   "L",
    "e",   "f",     "g",        "z",         "Z",          "u",   "U",   "vz",  "vu",  "w:3",
    "w:0", "d:9,2", "d:9,2,32", "d:15,3,64", "d:40,3,256", "tdD", "tdm", "tts", "ttm", "ttu",
    "ttn", "tss:",  "tsu:UTC",  "tDn",       "tiM",        "tiD", "tin",
};
static const char *const parents[] = {
    "+l", "+L", "+vl", "+vL", "+w:2", "+w:0", "+s", "+m", "+ud:0,1", "+us:5,9", "+r",
};
/* What Parquet has; DuckDB keeps instants in microseconds. */
static const char *const mild_leaves[] = {
    "n",
    "b",
    "c",
    "C",
    "s",
    "S",
    "i",
    "I",
    "l",
    "L",
    "e",
    "f",
    "g",
    "z",
    "Z",
    "u",
    "U",
    "vz",
    "vu",
    "w:3",
    "w:16",
    "d:9,2",
    "d:9,2,32",
    "d:15,3,64",
    "d:30,0",
    "d:38,37",
    "d:5,5,256",
    "d:40,3,256",
    "d:76,1,256",
    "tdD",
    "tdm",
    "tts",
    "ttm",
    "ttu",
    "ttn",
    "tss:",
    "tsm:",
    "tsu:",
    "tsn:",
    "tss:UTC",
    "tsm:Europe/Berlin",
    "tsu:UTC",
    "tsn:UTC",
    "tDs",
    "tDm",
    "tDn",
};
static const char *const mild_parents[] = {
    "+l", "+L", "+vl", "+vL", "+w:2", "+w:1", "+w:0", "+s", "+s", "+m", "+r",
};
static const char *const indices[] = {"c", "C", "s", "S", "i", "I", "l", "L"};
static const char *const run_ends[] = {"s", "i", "l"};

#define COUNT_OF(list) ((int)(sizeof(list) / sizeof((list)[0])))

static void release_schema(struct ArrowSchema *schema) { schema->release = NULL; }

static struct ArrowSchema *new_schema(struct maker *maker, const char *format, const char *name,
                                      int64_t children) {
  struct ArrowSchema *schema = block_new(maker, sizeof *schema);
  if (schema == NULL) return NULL;
  *schema = (struct ArrowSchema){.format = format,
                                 .name = name,
                                 .flags = ARROW_FLAG_NULLABLE,
                                 .n_children = children,
                                 .release = release_schema};
  if (children > 0)
    schema->children = block_new(maker, children * (int64_t)sizeof(struct ArrowSchema *));
  return children > 0 && schema->children == NULL ? NULL : schema;
}

static struct ArrowSchema *make_schema(struct maker *maker, int depth);

static const char *const names[2][CHILDREN_MAX] = {{"first", "other", "other"}, {"a", "b", "c"}};

static struct ArrowSchema *make_children(struct ArrowSchema *schema, struct maker *maker,
                                         int depth) {
  for (int64_t i = 0; schema != NULL && i < schema->n_children; i++) {
    schema->children[i] = make_schema(maker, depth - 1);
    if (schema->children[i] == NULL) return NULL;
    schema->children[i]->name = names[maker->is_mild][i];
  }
  return schema;
}

/* Null neither itself nor by what its indices or runs stand for. */
static void require(struct ArrowSchema *schema) {
  schema->flags = 0;
  if (schema->dictionary != NULL) require(schema->dictionary);
  if (schema->dictionary == NULL && schema->format[0] == '+' && schema->format[1] == 'r')
    require(schema->children[RUN_VALUES]);
}

/* A map has entries of two fields, the first of which is never null. */
static struct ArrowSchema *make_map(struct maker *maker, int depth) {
  struct ArrowSchema *map = new_schema(maker, "+m", "map", 1);
  struct ArrowSchema *entries =
      make_children(new_schema(maker, "+s", "entries", 2), maker, depth - 1);
  if (map == NULL || entries == NULL) return NULL;
  entries->flags = 0;
  require(entries->children[0]);
  map->children[0] = entries;
  return map;
}

static struct ArrowSchema *make_runs(struct maker *maker, int depth) {
  struct ArrowSchema *runs = new_schema(maker, "+r", "runs", 2);
  if (runs == NULL) return NULL;
  runs->children[RUN_ENDS] =
      new_schema(maker, run_ends[maker_byte(maker) % COUNT_OF(run_ends)], "run_ends", 0);
  runs->children[RUN_VALUES] = make_schema(maker, depth - 1);
  if (runs->children[RUN_ENDS] == NULL || runs->children[RUN_VALUES] == NULL) return NULL;
  runs->children[RUN_ENDS]->flags = 0;
  runs->flags = runs->children[RUN_VALUES]->flags;
  return runs;
}

/* What the values of indices or runs may be, null or not, is what the field may be. */
static struct ArrowSchema *make_field(struct maker *maker, int depth) {
  int leaf_count = maker->is_mild ? COUNT_OF(mild_leaves) : COUNT_OF(leaves);
  int parent_count = maker->is_mild ? COUNT_OF(mild_parents) : COUNT_OF(parents);
  const char *const *leaf = maker->is_mild ? mild_leaves : leaves;
  const char *const *parent = maker->is_mild ? mild_parents : parents;
  int kind = maker_byte(maker) % (leaf_count + 1 + (depth > 0 ? parent_count : 0));
  if (kind < leaf_count) return new_schema(maker, leaf[kind], "leaf", 0);
  if (kind == leaf_count) {
    struct ArrowSchema *schema =
        new_schema(maker, indices[maker_byte(maker) % COUNT_OF(indices)], "words", 0);
    if (schema == NULL) return NULL;
    schema->dictionary = make_schema(maker, depth > 0 ? depth - 1 : 0);
    if (schema->dictionary == NULL) return NULL;
    schema->flags = schema->dictionary->flags;
    return schema;
  }
  const char *format = parent[kind - leaf_count - 1];
  if (format[1] == 'm') return make_map(maker, depth);
  if (format[1] == 'r') return make_runs(maker, depth);
  int64_t children = format[1] == 's' ? maker_byte(maker) % CHILDREN_MAX : format[1] == 'u' ? 2 : 1;
  if (format[1] == 's' && maker->is_mild) children++;
  return make_children(new_schema(maker, format, "parent", children), maker, depth);
}

static struct ArrowSchema *make_schema(struct maker *maker, int depth) {
  struct ArrowSchema *schema = make_field(maker, depth);
  if (schema != NULL && maker->is_mild && schema->format[0] != 'n' && maker_byte(maker) % 4 == 0)
    require(schema);
  return schema;
}

struct ArrowSchema *maker_schema(struct maker *maker) {
  maker->blocks = blocks_new();
  int64_t fields = 1 + maker_byte(maker) % CHILDREN_MAX;
  return make_children(new_schema(maker, "+s", "", fields), maker, DEPTH_MAX);
}

void maker_end(struct maker *maker) { blocks_free(maker->blocks); }

/* ---- arrays -------------------------------------------------------------------------------- */

/* What of a node is not as it should be: one of these, at most. */
enum wrong {
  NOTHING,
  WRONG_BYTES, /* buffers hold what comes */
  WRONG_BUFFER_COUNT,
  WRONG_CHILD_COUNT,
  WRONG_LENGTH,
  WRONG_OFFSET,
  WRONG_NULL_COUNT,
  WRONG_NULL_BUFFER,
  WRONG_SLOTS, /* fewer than its parent needs */
  WRONG_DICTIONARY,
  WRONGS
};

struct node {
  const struct ArrowSchema *schema;
  struct arrow_type type;
  struct ArrowArray *array;
  struct maker *maker;
  enum wrong wrong;
  int depth;
};

static void release_child(struct ArrowArray *array) { array->release = NULL; }

static struct ArrowArray *make_array(const struct ArrowSchema *schema, struct maker *maker,
                                     int64_t slots, int depth);

static bool has_more(const struct maker *maker) {
  return maker->at < maker->end || maker->more != 0;
}

/* A block of `bytes`; NULL sometimes, when it is of none. */
static void *make_buffer(struct node *node, int64_t bytes) {
  if (bytes == 0 && (maker_byte(node->maker) & 1) == 0) return NULL;
  uint8_t *block = block_new(node->maker, bytes);
  for (int64_t i = 0; block != NULL && i < bytes && has_more(node->maker); i++)
    block[i] = maker_byte(node->maker);
  return block;
}

static int64_t slots_of(const struct node *node) {
  return node->array->offset + node->array->length;
}

static void put(void *values, int64_t bytes, int64_t index, int64_t value) {
  memcpy((uint8_t *)values + index * bytes, &value, (size_t)bytes); /* little-endian */
}

static void make_validity(struct node *node) {
  struct ArrowArray *array = node->array;
  uint8_t how = maker_byte(node->maker);
  array->null_count = 0;
  if ((how & 1) == 0) return;
  uint8_t *bits = make_buffer(node, (slots_of(node) + 7) / 8);
  array->buffers[0] = bits;
  bool may_be_null = (node->schema->flags & ARROW_FLAG_NULLABLE) != 0;
  bool is_rare = node->maker->is_mild && (how & 0x0C) != 0;
  for (int64_t i = 0; bits != NULL && i < (slots_of(node) + 7) / 8; i++)
    bits[i] = !may_be_null && how < 0xFE ? 0xFF
              : is_rare                  ? bits[i] | (uint8_t)(bits[i] << 4 | 0x17)
                                         : bits[i];
  for (int64_t i = array->offset; bits != NULL && i < slots_of(node); i++)
    array->null_count += (bits[i / 8] >> (i % 8) & 1) == 0;
  if ((how & 2) != 0) array->null_count = -1;
}

/* A short one, or now and then a text that is longer than a bound may be; none where it is enough. */
static int64_t mild_step(const struct node *node, uint8_t byte, int64_t end) {
  bool is_long = layout_is_bytes(node->type.kind) && byte % 16 == 0;
  int64_t step = is_long ? 30 + byte / 2 : byte % 5;
  return end + step > DATA_BYTES_MAX ? 0 : step;
}

/* Offsets that do not fall; returns how many bytes or items there are behind them. */
static int64_t make_offsets(struct node *node, int64_t width) {
  int64_t slots = slots_of(node);
  uint8_t *offsets =
      make_buffer(node, slots == 0 ? maker_byte(node->maker) % 2 * width : (slots + 1) * width);
  node->array->buffers[1] = offsets;
  if (offsets == NULL || (slots == 0 && node->wrong != WRONG_BYTES)) return 0;
  int64_t end = 0;
  for (int64_t i = 0; i <= slots && node->wrong != WRONG_BYTES; i++) {
    int64_t step = offsets[i * width] % 5;
    if (node->maker->is_mild) step = mild_step(node, offsets[i * width], end);
    put(offsets, width, i, end);
    end += step;
  }
  if (slots == 0) return 0;
  end = layout_offset(offsets, width, slots);
  if (end >= 0 && end <= DATA_BYTES_MAX) return end;
  put(offsets, width, slots, SLOTS_MAX);
  return SLOTS_MAX;
}

/* Bytes that are text, unless they are to be wrong. */
static void *make_data(struct node *node, int64_t bytes) {
  uint8_t *data = make_buffer(node, bytes);
  bool is_poor = node->maker->is_mild && bytes % 4 != 0; /* in letters: words come again */
  for (int64_t i = 0; data != NULL && i < bytes && node->wrong != WRONG_BYTES; i++)
    data[i] = is_poor ? 'a' + data[i] % 3 : data[i] & 0x7F;
  return data;
}

/* Views of up to two data buffers, and those buffers' lengths. */
static void make_views(struct node *node) {
  struct ArrowArray *array = node->array;
  int64_t data_count = maker_byte(node->maker) % 3;
  int64_t *sizes = block_new(node->maker, data_count * (int64_t)sizeof *sizes);
  uint8_t *views = make_buffer(node, slots_of(node) * VIEW_BYTES);
  if (sizes == NULL || (views == NULL && slots_of(node) > 0)) return;
  array->n_buffers = 3 + data_count;
  array->buffers[1] = views;
  array->buffers[2 + data_count] = sizes;
  for (int64_t i = 0; i < data_count; i++) {
    sizes[i] = maker_byte(node->maker) % 40;
    array->buffers[2 + i] = make_data(node, sizes[i]);
    if (array->buffers[2 + i] == NULL) sizes[i] = 0;
  }
  for (int64_t i = 0; i < slots_of(node) && node->wrong != WRONG_BYTES; i++) {
    uint8_t *view = views + i * VIEW_BYTES;
    int64_t data = data_count > 0 ? view[4] % data_count : 0;
    int32_t length = view[0] % (2 * VIEW_INLINE_BYTES);
    int32_t place[2] = {(int32_t)data, 0};
    if (length > VIEW_INLINE_BYTES && (data_count == 0 || sizes[data] < length))
      length = VIEW_INLINE_BYTES;
    if (length > VIEW_INLINE_BYTES) {
      place[1] = view[8] % (int32_t)(sizes[data] - length + 1);
      memcpy(view + 4, (const uint8_t *)array->buffers[2 + data] + place[1], 4);
      memcpy(view + 8, place, sizeof place);
    }
    memcpy(view, &length, sizeof length);
    for (int32_t byte = 4; byte < VIEW_BYTES; byte++)
      if (length <= VIEW_INLINE_BYTES) view[byte] &= byte < 4 + length ? 0x7F : 0;
  }
}

static void make_list(struct node *node) {
  int64_t items = make_offsets(node, layout_offset_bytes(node->type.kind));
  node->array->children[0] =
      make_array(node->schema->children[0], node->maker, items, node->depth - 1);
}

static void make_list_views(struct node *node) {
  int64_t width = layout_list_view_bytes(node->type.kind);
  int64_t slots = slots_of(node);
  int64_t items = maker_byte(node->maker) % SLOTS_MAX;
  uint8_t *offsets = make_buffer(node, slots * width);
  uint8_t *sizes = make_buffer(node, slots * width);
  node->array->buffers[1] = offsets;
  node->array->buffers[2] = sizes;
  for (int64_t i = 0; i < slots && node->wrong != WRONG_BYTES && offsets && sizes; i++) {
    int64_t from = offsets[i * width] % (items + 1);
    put(sizes, width, i, sizes[i * width] % (items - from + 1));
    put(offsets, width, i, from);
  }
  node->array->children[0] =
      make_array(node->schema->children[0], node->maker, items, node->depth - 1);
}

static void make_union(struct node *node) {
  static const int8_t codes[2][2] = {{0, 1}, {5, 9}}; /* dense, sparse */
  bool is_sparse = node->type.kind == ARROW_SPARSE_UNION;
  int64_t slots = slots_of(node);
  int64_t items = is_sparse ? slots : 1 + maker_byte(node->maker) % SLOTS_MAX;
  int64_t place = 0; /* in their child, values are in the order of the slots */
  int8_t *type_ids = make_buffer(node, slots);
  uint8_t *offsets = is_sparse ? NULL : make_buffer(node, slots * 4);
  node->array->null_count = 0;
  node->array->buffers[0] = type_ids;
  if (!is_sparse) node->array->buffers[1] = offsets;
  for (int64_t i = 0; i < slots && node->wrong != WRONG_BYTES; i++) {
    if (type_ids != NULL) type_ids[i] = codes[is_sparse][type_ids[i] & 1];
    if (offsets != NULL) put(offsets, 4, i, place += offsets[i * 4] % (items - place) & 3);
  }
  for (int64_t i = 0; i < node->array->n_children; i++)
    node->array->children[i] =
        make_array(node->schema->children[i], node->maker, items, node->depth - 1);
}

/* Runs of one to four slots, as many as there must be. */
static void make_run_end_encoded(struct node *node) {
  const struct ArrowSchema *schema = node->schema->children[RUN_ENDS];
  struct ArrowArray *ends = block_new(node->maker, sizeof *ends);
  int64_t width = schema->format[0] == 's' ? 2 : schema->format[0] == 'i' ? 4 : 8;
  int64_t count = slots_of(node);
  int64_t end = 0;
  node->array->null_count = 0;
  node->array->children[RUN_ENDS] = ends;
  if (ends == NULL) return;
  ends->n_buffers = 2;
  ends->release = release_child;
  ends->buffers = block_new(node->maker, 2 * (int64_t)sizeof(void *));
  uint8_t *values = make_buffer(node, count * width);
  if (ends->buffers == NULL || (values == NULL && count > 0)) return;
  ends->buffers[1] = values;
  for (int64_t i = 0; i < count && node->wrong != WRONG_BYTES; i++) {
    end += 1 + values[i * width] % 4;
    put(values, width, i, end);
  }
  ends->length = count;
  node->array->children[RUN_VALUES] =
      make_array(node->schema->children[RUN_VALUES], node->maker, count, node->depth - 1);
}

static void make_indices(struct node *node) {
  int64_t values = 1 + maker_byte(node->maker) % SLOTS_MAX;
  int64_t width = node->type.bit_width / 8;
  uint8_t *list = make_buffer(node, slots_of(node) * width);
  node->array->buffers[1] = list;
  node->array->dictionary =
      make_array(node->schema->dictionary, node->maker, values, node->depth - 1);
  for (int64_t i = 0; list != NULL && i < slots_of(node) && node->wrong != WRONG_BYTES; i++)
    put(list, width, i, list[i * width] % values);
}

/* ---- values ------------------------------------------------------------------------------- */

static __int128 power_of_ten(int digits) {
  __int128 power = 1;
  for (int i = 0; i < digits; i++) power *= 10;
  return power;
}

/* Values of the type are less than this; 0: any bits are one. */
static __int128 limit_of(const struct arrow_type *type) {
  static const int64_t a_day[] = {86400, 86400000, 86400000000, 86400000000000};
  static const int64_t centuries[] = {9000000000000, 9000000000000000, 9000000000000000000,
                                      9000000000000000000};
  switch (type->kind) {
  case ARROW_DECIMAL: return power_of_ten(type->precision < 38 ? type->precision : 38);
  case ARROW_DATE32:
  case ARROW_DATE64: return 100000000;
  case ARROW_TIME32:
  case ARROW_TIME64: return a_day[type->unit];
  case ARROW_TIMESTAMP: return centuries[type->unit];
  default: return 0;
  }
}

static void limit_value(const struct arrow_type *type, uint8_t *value, int64_t bytes) {
  __int128 limit = limit_of(type);
  __int128 number = bytes < 16 && (int8_t)value[bytes - 1] < 0 ? -1 : 0;
  memcpy(&number, value, (size_t)(bytes < 16 ? bytes : 16));
  number %= limit;
  if (number < 0 && (type->kind == ARROW_TIME32 || type->kind == ARROW_TIME64)) number = -number;
  if (type->kind == ARROW_DATE64) number *= 86400000;
  memset(value, number < 0 ? 0xFF : 0, (size_t)bytes);
  memcpy(value, &number, (size_t)(bytes < 16 ? bytes : 16));
}

/* Values as they are in columns that somebody fills: a few, or rising, or small. */
static void make_mild(struct node *node, uint8_t *values) {
  int64_t bytes = layout_value_bytes(&node->type);
  int64_t slots = slots_of(node);
  uint8_t how = maker_byte(node->maker);
  int64_t distinct = 1 + how / 8;
  bool has_limit = limit_of(&node->type) != 0 && (node->type.kind != ARROW_DECIMAL || how != 0xFF);
  if (values == NULL || bytes == 0) return;
  for (int64_t i = 0; i < slots; i++) {
    uint8_t *value = values + i * bytes;
    if (how % 8 < 2 && i >= distinct) memcpy(value, value - distinct * bytes, (size_t)bytes);
    if (how % 8 == 2 && bytes <= 8) put(values, bytes, i, i * distinct + value[0] % 4);
    if (how % 8 == 3) memset(value + 1, 0, (size_t)(bytes - 1));
    if (has_limit) limit_value(&node->type, value, bytes);
  }
}

static void make_content(struct node *node) {
  struct ArrowArray *array = node->array;
  enum arrow_kind kind = node->type.kind;
  if (layout_has_validity(kind)) make_validity(node);
  if (kind == ARROW_NULL) array->null_count = array->length;
  if (node->schema->dictionary != NULL) {
    make_indices(node);
  } else if (layout_is_bytes(kind)) {
    int64_t bytes = make_offsets(node, layout_offset_bytes(kind));
    array->buffers[2] = make_data(node, bytes);
  } else if (layout_is_view(kind)) {
    make_views(node);
  } else if (layout_is_list(kind)) {
    make_list(node);
  } else if (layout_is_list_view(kind)) {
    make_list_views(node);
  } else if (layout_is_union(kind)) {
    make_union(node);
  } else if (kind == ARROW_RUN_END_ENCODED) {
    make_run_end_encoded(node);
  } else if (kind == ARROW_BOOL) {
    array->buffers[1] = make_buffer(node, (slots_of(node) + 7) / 8);
  } else if (layout_is_fixed(&node->type)) {
    array->buffers[1] = make_buffer(node, slots_of(node) * layout_value_bytes(&node->type));
    if (node->maker->is_mild) make_mild(node, (uint8_t *)(uintptr_t)array->buffers[1]);
  } else {
    int64_t slots = slots_of(node);
    if (kind == ARROW_FIXED_SIZE_LIST) slots *= node->type.fixed_size;
    for (int64_t i = 0; i < array->n_children; i++)
      array->children[i] =
          make_array(node->schema->children[i], node->maker, slots, node->depth - 1);
  }
}

/* Nothing that grows: what is said to be there and is not cannot be seen. */
static void break_node(struct node *node) {
  struct ArrowArray *array = node->array;
  uint8_t which = maker_byte(node->maker);
  switch (node->wrong) {
  case WRONG_BUFFER_COUNT: /* views may have any number of three or more */
    array->n_buffers = layout_is_view(node->type.kind) ? 2 : array->n_buffers + (which & 2) - 1;
    break;
  case WRONG_CHILD_COUNT: array->n_children += (which & 2) - 1; break;
  case WRONG_LENGTH: array->length = -1; break;
  case WRONG_OFFSET: array->offset = -1; break;
  case WRONG_NULL_COUNT: array->null_count = (which & 1) != 0 ? -2 : array->length + 1; break;
  case WRONG_NULL_BUFFER:
    if (array->n_buffers > 0) array->buffers[which % array->n_buffers] = NULL;
    break;
  case WRONG_DICTIONARY: array->dictionary = array->dictionary == NULL ? array : NULL; break;
  default: break;
  }
}

/* At least `slots` slots, unless that is what is wrong. NULL when there are too many nodes. */
static struct ArrowArray *make_array(const struct ArrowSchema *schema, struct maker *maker,
                                     int64_t slots, int depth) {
  uint8_t how = maker_byte(maker);
  struct node node = {.schema = schema, .maker = maker, .depth = depth};
  if ((how & 0xF0) == 0xF0 && !maker->is_right) node.wrong = (enum wrong)(how % WRONGS);
  if (arrow_type_parse(schema->format, &node.type, NULL) != STATUS_OK) abort();
  node.array = block_new(maker, sizeof *node.array);
  if (node.array == NULL) return NULL;
  node.array->release = release_child;
  node.array->offset = how % 4;
  node.array->length = slots + (how / 4) % 3;
  if (node.wrong == WRONG_SLOTS && slots > 0) node.array->length = slots - 1;
  node.array->n_buffers = layout_buffer_count(node.type.kind);
  node.array->n_children = schema->n_children;
  node.array->buffers = block_new(maker, BUFFERS_MAX * (int64_t)sizeof(void *));
  node.array->children = block_new(maker, CHILDREN_MAX * (int64_t)sizeof(struct ArrowArray *));
  if (node.array->buffers == NULL || node.array->children == NULL) return NULL;
  make_content(&node);
  break_node(&node);
  return node.array;
}

static void release_batch(struct ArrowArray *array) {
  struct blocks *blocks = array->private_data;
  ++*blocks->releases;
  blocks_free(blocks);
  array->release = NULL;
}

bool maker_batch(struct maker *maker, const struct ArrowSchema *schema, int64_t rows, int *releases,
                 struct ArrowArray *batch) {
  maker->batch = blocks_new();
  maker->batch->releases = releases;
  struct ArrowArray *made = make_array(schema, maker, rows, DEPTH_MAX);
  bool is_whole = made != NULL && maker->batch->count < BLOCKS_MAX;
  if (is_whole) {
    *batch = *made;
    batch->release = release_batch;
    batch->private_data = maker->batch;
    /* Rows of a record batch are never null. */
    if (batch->n_buffers > 0) batch->buffers[0] = NULL;
    if (batch->null_count > 0) batch->null_count = 0;
  } else {
    blocks_free(maker->batch);
  }
  maker->batch = NULL;
  return is_whole;
}
