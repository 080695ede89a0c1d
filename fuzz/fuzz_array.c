/* Arrays of the C data interface as another library may hand them in, right or wrong. The
 * bytes choose a schema and what the buffers say, and every buffer is a heap block of exactly
 * the size that the interface gives it, so that a sanitizer sees a step outside. What the full
 * check lets through can be used: walked, compared, sliced, printed, written and read back.
 *
 * Most of what is made is right as far as it can be, for what is wrong everywhere is refused
 * at once: each node's first byte says what of it is not. */
#include <stdlib.h>
#include <string.h>

#include "arrow/array.h"
#include "arrow/encode.h"
#include "arrow/layout.h"
#include "ipc_feed.h"

enum {
  DEPTH_MAX = 4,
  CHILDREN_MAX = 3,
  BUFFERS_MAX = 6,
  BLOCKS_MAX = 4096,
  DATA_BYTES_MAX = 4096,
  SLOTS_MAX = 64,
  PRINTED_ROWS = 8,
  PRINTED_WIDTH = 60,
};

struct input {
  const uint8_t *at;
  const uint8_t *end;
};

/* Everything that is made, until the array is released or the run is over. */
static void *blocks[BLOCKS_MAX];
static int block_count;
static int releases;

static uint8_t take(struct input *input) { return input->at < input->end ? *input->at++ : 0; }

/* Zeroed; NULL when there are too many. */
static void *block_new(int64_t bytes) {
  if (block_count == BLOCKS_MAX) return NULL;
  void *block = calloc(1, (size_t)bytes);
  if (block == NULL) abort();
  blocks[block_count++] = block;
  return block;
}

static void free_blocks(int from) {
  while (block_count > from) free(blocks[--block_count]);
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
static const char *const indices[] = {"c", "C", "s", "S", "i", "I", "l", "L"};
static const char *const run_ends[] = {"s", "i", "l"};

#define COUNT_OF(list) ((int)(sizeof(list) / sizeof((list)[0])))

static void release_schema(struct ArrowSchema *schema) { schema->release = NULL; }

static struct ArrowSchema *new_schema(const char *format, const char *name, int64_t children) {
  struct ArrowSchema *schema = block_new(sizeof *schema);
  if (schema == NULL) return NULL;
  *schema = (struct ArrowSchema){.format = format,
                                 .name = name,
                                 .flags = ARROW_FLAG_NULLABLE,
                                 .n_children = children,
                                 .release = release_schema};
  if (children > 0) schema->children = block_new(children * (int64_t)sizeof(struct ArrowSchema *));
  return children > 0 && schema->children == NULL ? NULL : schema;
}

static struct ArrowSchema *make_schema(struct input *input, int depth);

static struct ArrowSchema *make_children(struct ArrowSchema *schema, struct input *input,
                                         int depth) {
  for (int64_t i = 0; schema != NULL && i < schema->n_children; i++) {
    schema->children[i] = make_schema(input, depth - 1);
    if (schema->children[i] == NULL) return NULL;
    schema->children[i]->name = i == 0 ? "first" : "other";
  }
  return schema;
}

/* A map has entries of two fields, the first of which is never null. */
static struct ArrowSchema *make_map(struct input *input, int depth) {
  struct ArrowSchema *map = new_schema("+m", "map", 1);
  struct ArrowSchema *entries = make_children(new_schema("+s", "entries", 2), input, depth - 1);
  if (map == NULL || entries == NULL) return NULL;
  entries->flags = 0;
  entries->children[0]->flags = 0;
  map->children[0] = entries;
  return map;
}

static struct ArrowSchema *make_runs(struct input *input, int depth) {
  struct ArrowSchema *runs = new_schema("+r", "runs", 2);
  if (runs == NULL) return NULL;
  runs->children[RUN_ENDS] = new_schema(run_ends[take(input) % COUNT_OF(run_ends)], "run_ends", 0);
  runs->children[RUN_VALUES] = make_schema(input, depth - 1);
  if (runs->children[RUN_ENDS] == NULL || runs->children[RUN_VALUES] == NULL) return NULL;
  runs->children[RUN_ENDS]->flags = 0;
  return runs;
}

static struct ArrowSchema *make_schema(struct input *input, int depth) {
  enum { LEAVES = COUNT_OF(leaves), PARENTS = COUNT_OF(parents) };
  int kind = take(input) % (LEAVES + 1 + (depth > 0 ? PARENTS : 0));
  if (kind < LEAVES) return new_schema(leaves[kind], "leaf", 0);
  if (kind == LEAVES) {
    struct ArrowSchema *schema = new_schema(indices[take(input) % COUNT_OF(indices)], "words", 0);
    if (schema == NULL) return NULL;
    schema->dictionary = make_schema(input, depth > 0 ? depth - 1 : 0);
    return schema->dictionary == NULL ? NULL : schema;
  }
  const char *format = parents[kind - LEAVES - 1];
  if (format[1] == 'm') return make_map(input, depth);
  if (format[1] == 'r') return make_runs(input, depth);
  int64_t children = format[1] == 's' ? take(input) % CHILDREN_MAX : format[1] == 'u' ? 2 : 1;
  return make_children(new_schema(format, "parent", children), input, depth);
}

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
  struct input *input;
  enum wrong wrong;
  int depth;
};

static void release_child(struct ArrowArray *array) { array->release = NULL; }

static struct ArrowArray *make_array(const struct ArrowSchema *schema, struct input *input,
                                     int64_t slots, int depth);

/* A block of `bytes`; NULL sometimes, when it is of none. */
static void *make_buffer(struct node *node, int64_t bytes) {
  if (bytes == 0 && (take(node->input) & 1) == 0) return NULL;
  uint8_t *block = block_new(bytes);
  for (int64_t i = 0; block != NULL && i < bytes && node->input->at < node->input->end; i++)
    block[i] = take(node->input);
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
  uint8_t how = take(node->input);
  array->null_count = 0;
  if ((how & 1) == 0) return;
  uint8_t *bits = make_buffer(node, (slots_of(node) + 7) / 8);
  array->buffers[0] = bits;
  if ((node->schema->flags & ARROW_FLAG_NULLABLE) == 0 && bits != NULL)
    memset(bits, 0xFF, (size_t)((slots_of(node) + 7) / 8));
  for (int64_t i = array->offset; bits != NULL && i < slots_of(node); i++)
    array->null_count += (bits[i / 8] >> (i % 8) & 1) == 0;
  if ((how & 2) != 0) array->null_count = -1;
}

/* Offsets that do not fall; returns how many bytes or items there are behind them. */
static int64_t make_offsets(struct node *node, int64_t width) {
  int64_t slots = slots_of(node);
  uint8_t *offsets =
      make_buffer(node, slots == 0 ? take(node->input) % 2 * width : (slots + 1) * width);
  node->array->buffers[1] = offsets;
  if (offsets == NULL || (slots == 0 && node->wrong != WRONG_BYTES)) return 0;
  int64_t end = 0;
  for (int64_t i = 0; i <= slots && node->wrong != WRONG_BYTES; i++) {
    int64_t step = offsets[i * width] % 5;
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
  for (int64_t i = 0; data != NULL && i < bytes && node->wrong != WRONG_BYTES; i++) data[i] &= 0x7F;
  return data;
}

/* Views of up to two data buffers, and those buffers' lengths. */
static void make_views(struct node *node) {
  struct ArrowArray *array = node->array;
  int64_t data_count = take(node->input) % 3;
  int64_t *sizes = block_new(data_count * (int64_t)sizeof *sizes);
  uint8_t *views = make_buffer(node, slots_of(node) * VIEW_BYTES);
  if (sizes == NULL || (views == NULL && slots_of(node) > 0)) return;
  array->n_buffers = 3 + data_count;
  array->buffers[1] = views;
  array->buffers[2 + data_count] = sizes;
  for (int64_t i = 0; i < data_count; i++) {
    sizes[i] = take(node->input) % 40;
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
      make_array(node->schema->children[0], node->input, items, node->depth - 1);
}

static void make_list_views(struct node *node) {
  int64_t width = layout_list_view_bytes(node->type.kind);
  int64_t slots = slots_of(node);
  int64_t items = take(node->input) % SLOTS_MAX;
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
      make_array(node->schema->children[0], node->input, items, node->depth - 1);
}

static void make_union(struct node *node) {
  static const int8_t codes[2][2] = {{0, 1}, {5, 9}}; /* dense, sparse */
  bool is_sparse = node->type.kind == ARROW_SPARSE_UNION;
  int64_t slots = slots_of(node);
  int64_t items = is_sparse ? slots : 1 + take(node->input) % SLOTS_MAX;
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
        make_array(node->schema->children[i], node->input, items, node->depth - 1);
}

/* Runs of one to four slots, as many as there must be. */
static void make_run_end_encoded(struct node *node) {
  const struct ArrowSchema *schema = node->schema->children[RUN_ENDS];
  struct ArrowArray *ends = block_new(sizeof *ends);
  int64_t width = schema->format[0] == 's' ? 2 : schema->format[0] == 'i' ? 4 : 8;
  int64_t count = slots_of(node);
  int64_t end = 0;
  node->array->null_count = 0;
  node->array->children[RUN_ENDS] = ends;
  if (ends == NULL) return;
  ends->n_buffers = 2;
  ends->release = release_child;
  ends->buffers = block_new(2 * (int64_t)sizeof(void *));
  uint8_t *values = make_buffer(node, count * width);
  if (ends->buffers == NULL || (values == NULL && count > 0)) return;
  ends->buffers[1] = values;
  for (int64_t i = 0; i < count && node->wrong != WRONG_BYTES; i++) {
    end += 1 + values[i * width] % 4;
    put(values, width, i, end);
  }
  ends->length = count;
  node->array->children[RUN_VALUES] =
      make_array(node->schema->children[RUN_VALUES], node->input, count, node->depth - 1);
}

static void make_indices(struct node *node) {
  int64_t values = 1 + take(node->input) % SLOTS_MAX;
  int64_t width = node->type.bit_width / 8;
  uint8_t *list = make_buffer(node, slots_of(node) * width);
  node->array->buffers[1] = list;
  node->array->dictionary =
      make_array(node->schema->dictionary, node->input, values, node->depth - 1);
  for (int64_t i = 0; list != NULL && i < slots_of(node) && node->wrong != WRONG_BYTES; i++)
    put(list, width, i, list[i * width] % values);
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
  } else {
    int64_t slots = slots_of(node);
    if (kind == ARROW_FIXED_SIZE_LIST) slots *= node->type.fixed_size;
    for (int64_t i = 0; i < array->n_children; i++)
      array->children[i] =
          make_array(node->schema->children[i], node->input, slots, node->depth - 1);
  }
}

/* Nothing that grows: what is said to be there and is not cannot be seen. */
static void break_node(struct node *node) {
  struct ArrowArray *array = node->array;
  uint8_t which = take(node->input);
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
static struct ArrowArray *make_array(const struct ArrowSchema *schema, struct input *input,
                                     int64_t slots, int depth) {
  uint8_t how = take(input);
  struct node node = {.schema = schema, .input = input, .depth = depth};
  if ((how & 0xF0) == 0xF0) node.wrong = (enum wrong)(how % WRONGS);
  if (arrow_type_parse(schema->format, &node.type, NULL) != STATUS_OK) abort();
  node.array = block_new(sizeof *node.array);
  if (node.array == NULL) return NULL;
  node.array->release = release_child;
  node.array->offset = how % 4;
  node.array->length = slots + (how / 4) % 3;
  if (node.wrong == WRONG_SLOTS && slots > 0) node.array->length = slots - 1;
  node.array->n_buffers = layout_buffer_count(node.type.kind);
  node.array->n_children = schema->n_children;
  node.array->buffers = block_new(BUFFERS_MAX * (int64_t)sizeof(void *));
  node.array->children = block_new(CHILDREN_MAX * (int64_t)sizeof(struct ArrowArray *));
  if (node.array->buffers == NULL || node.array->children == NULL) return NULL;
  make_content(&node);
  break_node(&node);
  return node.array;
}

/* ---- use ----------------------------------------------------------------------------------- */

static void release_root(struct ArrowArray *array) {
  releases++;
  free_blocks((int)(intptr_t)array->private_data);
  array->release = NULL;
}

static void write_and_read(const struct ArrowSchema *schema, const struct ArrowArray *array) {
  struct ipc_writer *writer = NULL;
  struct buffer out = BUFFER_EMPTY;
  struct error error = {.status = STATUS_OK};
  enum status status = ipc_writer_new(schema, NULL, &feed_budget, &writer, &error);
  /* A dictionary of dictionaries is none that the format can say. */
  if (status == STATUS_UNSUPPORTED) return;
  if (status == STATUS_OK) status = ipc_writer_schema(writer, &out, &error);
  if (status == STATUS_OK) status = ipc_writer_batch(writer, array, &out, &error);
  if (status == STATUS_OK) status = ipc_writer_end(writer, &out, &error);
  feed_expect(status == STATUS_OK, error.text);
  struct ipc_decoder *decoder = feed_decoder(&feed_limits, &feed_budget, false);
  struct feed feed = feed_stream(&out, &feed_limits, false);
  for (;;) {
    struct ipc_message message = {.offset_bytes = 0};
    feed_expect(feed_next(&feed, &message) == STATUS_OK, "what was written can be cut");
    if (feed.is_over) break;
    struct feed_event decoded = feed_decode(decoder, &message);
    feed_expect(decoded.status == STATUS_OK, "what was written can be read");
    if (decoded.event == IPC_EVENT_BATCH) feed_expect_same_batch(schema, array, &decoded.batch);
    arrow_array_release(&decoded.batch);
  }
  ipc_decoder_free(decoder);
  ipc_writer_free(writer);
  buffer_release(&out);
}

static void encode_all(const struct ArrowSchema *schema, const struct ArrowArray *array) {
  static const enum encode_format formats[] = {ENCODE_JSON, ENCODE_NDJSON, ENCODE_CSV};
  for (int i = 0; i < COUNT_OF(formats); i++) {
    struct encoder *encoder = NULL;
    struct buffer out = BUFFER_EMPTY;
    struct error error = {.status = STATUS_OK};
    enum status status = encoder_new(formats[i], schema, &feed_budget, &encoder, &error);
    if (status == STATUS_OK) status = encoder_begin(encoder, &out, &error);
    if (status == STATUS_OK) status = encoder_batch(encoder, array, &out, &error);
    if (status == STATUS_OK) status = encoder_end(encoder, &out, &error);
    feed_expect(status == STATUS_OK || status == STATUS_BUDGET, error.text);
    encoder_free(encoder);
    buffer_release(&out);
  }
}

/* Takes the array, which has passed the full check. */
static void use(const struct ArrowSchema *schema, struct ArrowArray *array, struct input *input) {
  struct error error = {.status = STATUS_OK};
  struct text text = TEXT_EMPTY;
  struct ArrowArray slice = {.release = NULL};
  feed_check_batch(schema, array);
  feed_expect_same_batch(schema, array, array);
  feed_expect(arrow_array_bytes(schema, array) >= 0, "an array has bytes");
  enum status status = arrow_array_print(schema, array, PRINTED_ROWS, PRINTED_WIDTH, &text, &error);
  feed_expect(status == STATUS_OK, error.text);
  text_release(&text);
  encode_all(schema, array);
  write_and_read(schema, array);
  int64_t offset = take(input) % (array->length + 1);
  status = arrow_array_slice(schema, array, offset, array->length - offset, &slice, &error);
  feed_expect(status == STATUS_OK, error.text);
  feed_expect(array->release == NULL && releases == 0, "a slice takes the array");
  feed_check_batch(schema, &slice);
  write_and_read(schema, &slice);
  arrow_array_release(&slice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input input = {data, data + size};
  struct error error = {.status = STATUS_OK};
  struct ArrowSchema *schema =
      make_children(new_schema("+s", "", 1 + take(&input) % CHILDREN_MAX), &input, DEPTH_MAX);
  int schema_blocks = block_count;
  releases = 0;
  int64_t rows = take(&input) % SLOTS_MAX;
  struct ArrowArray *made = schema == NULL ? NULL : make_array(schema, &input, rows, DEPTH_MAX);
  if (made != NULL && block_count < BLOCKS_MAX) {
    struct ArrowArray array = *made;
    array.release = release_root;
    array.private_data = (void *)(intptr_t)schema_blocks; /* NOLINT: a number */
    /* Rows of a record batch are never null. */
    if (array.n_buffers > 0) array.buffers[0] = NULL;
    if (array.null_count > 0) array.null_count = 0;
    enum status shape = arrow_array_check(schema, &array, ARRAY_CHECK_SHAPE, &error);
    feed_expect_refusal(shape, &error);
    enum status full = arrow_array_check(schema, &array, ARRAY_CHECK_FULL, &error);
    feed_expect_refusal(full, &error);
    feed_expect(full != STATUS_OK || shape == STATUS_OK, "what is right has its shape");
    if (full == STATUS_OK) use(schema, &array, &input);
    arrow_array_release(&array);
    feed_expect(releases == 1, "an array is released once");
  }
  free_blocks(0);
  feed_expect_nothing_held(&feed_budget);
  return 0;
}
