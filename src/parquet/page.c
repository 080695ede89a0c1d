/* A data page: some rows of one column, from the record batches to bytes.
 *
 *   read     levels and dense values, out of as many batches as the rows lie in
 *   make     the body: levels, then the values in the chunk's encoding, or the dictionary's numbers
 *   seal     compressed, with its header
 *
 * Making a page by a dictionary changes the dictionary, so a chunk's are made in order; all else of a page
 * depends on nothing but its rows. */
#include "parquet/private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "base/vector.h"
#include "parquet/bloom.h"
#include "parquet/encode.h"

enum { LENGTH_BYTES = 4 }; /* in front of levels, V1 */
enum { INDEX_WIDTH_BYTES = 1 };

void parquet_page_release(struct parquet_page *page) {
  buffer_release(&page->bytes);
  buffer_release(&page->raw);
  buffer_release(&page->histograms);
  buffer_release(&page->hashes);
}

/* ---- reading --------------------------------------------------------------------------------------- */

/* Rows of one batch after another. */
struct cursor {
  const struct parquet_writer *writer;
  int64_t part, row, left, row_base;
  int64_t rows; /* of the piece that next_piece found */
};

static struct cursor cursor_of(const struct parquet_writer *writer,
                               const struct parquet_rows *rows) {
  return (struct cursor){.writer = writer,
                         .part = rows->part,
                         .row = rows->row,
                         .left = rows->rows,
                         .row_base = rows->row_base};
}

/* The next batch with rows of these; NULL: there are no more. */
static const struct ArrowArray *next_piece(struct cursor *cursor) {
  cursor->row_base += cursor->rows;
  cursor->row += cursor->rows;
  cursor->rows = 0;
  if (cursor->left == 0) return NULL;
  const struct parquet_pending *pending = &cursor->writer->pending[cursor->part];
  while (cursor->row == pending->batch.length) {
    pending = &cursor->writer->pending[++cursor->part];
    cursor->row = 0;
    assert(cursor->part < cursor->writer->pending_count);
  }
  int64_t there = pending->batch.length - cursor->row;
  cursor->rows = there < cursor->left ? there : cursor->left;
  cursor->left -= cursor->rows;
  return &pending->batch;
}

/* Which row a value is of: only asked when it is wrong. */
struct whereabouts {
  const struct parquet_leaf *leaf;
  const struct parquet_levels *levels;
  int64_t first_level, row_base;
};

static int64_t row_of(const void *context, int64_t value) {
  const struct whereabouts *at = context;
  const struct parquet_levels *levels = at->levels;
  int64_t row = at->row_base - 1;
  for (int64_t i = at->first_level; i < levels->count; i++) {
    if (at->leaf->max_rep == 0 || levels->rep.data[i] == 0) row++;
    bool is_present = !levels->has_def || levels->def.data[i] == at->leaf->max_def;
    if (is_present && value-- == 0) break;
  }
  return row;
}

enum status parquet_page_read(struct parquet_writer *writer, struct parquet_lane *lane,
                              const struct parquet_column *column, const struct parquet_rows *rows,
                              struct error *error) {
  const struct parquet_leaf *leaf = column->leaf;
  parquet_levels_clear(&lane->levels);
  parquet_values_clear(&lane->values);
  struct cursor cursor = cursor_of(writer, rows);
  const struct ArrowArray *batch;
  while ((batch = next_piece(&cursor)) != NULL) {
    struct whereabouts at = {leaf, &lane->levels, lane->levels.count, cursor.row_base};
    struct parquet_slots slots;
    enum status status = parquet_shred(leaf, batch, cursor.row, cursor.rows, cursor.row_base,
                                       &lane->shredder, &lane->levels, &slots, error);
    if (status != STATUS_OK) return status;
    struct parquet_where where = {row_of, &at};
    bool is_whole = cursor.rows == rows->rows;
    status =
        parquet_values_add(leaf, &slots, is_whole, &where, writer->budget, &lane->values, error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

/* ---- levels ---------------------------------------------------------------------------------------- */

static int64_t levels_room(const struct parquet_leaf *leaf, const struct parquet_levels *levels) {
  return encode_rle_room(levels->count, encode_bit_width(leaf->max_rep)) +
         encode_rle_room(levels->count, encode_bit_width(leaf->max_def)) +
         (int64_t)2 * LENGTH_BYTES + ENCODE_SLACK_BYTES;
}

static void store_length(uint8_t *at, int64_t bytes) {
  uint32_t length = (uint32_t)bytes;
  memcpy(at, &length, sizeof length);
}

/* Repetition levels, definition levels: in V1 with their lengths. */
static uint8_t *put_levels(const struct parquet_writer *writer, const struct parquet_leaf *leaf,
                           const struct parquet_levels *levels, struct parquet_page *page,
                           uint8_t *out) {
  int64_t prefix_bytes = writer->options.page_version == 1 ? LENGTH_BYTES : 0;
  if (leaf->max_rep > 0) {
    uint8_t *start = out + prefix_bytes;
    out = encode_rle_8(levels->rep.data, levels->count, encode_bit_width(leaf->max_rep), start);
    page->rep_bytes = (int32_t)(out - start);
    if (prefix_bytes > 0) store_length(start - prefix_bytes, out - start);
  }
  if (leaf->max_def > 0) {
    uint8_t *start = out + prefix_bytes;
    int width = encode_bit_width(leaf->max_def);
    out = levels->has_def ? encode_rle_8(levels->def.data, levels->count, width, start)
                          : encode_rle_same(leaf->max_def, levels->count, width, start);
    page->def_bytes = (int32_t)(out - start);
    if (prefix_bytes > 0) store_length(start - prefix_bytes, out - start);
  }
  return out;
}

/* How often each level is there, four at a time so that one count need not wait for the next. */
static void count_levels(const uint8_t *levels, int64_t count, int64_t *counts,
                         int64_t level_count) {
  uint32_t many[4][256];
  for (int k = 0; k < 4; k++) memset(many[k], 0, (size_t)level_count * sizeof **many);
  int64_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (int k = 0; k < 4; k++) many[k][levels[i + k]]++;
  for (; i < count; i++) many[0][levels[i]]++;
  for (int64_t level = 0; level < level_count; level++)
    for (int k = 0; k < 4; k++) counts[level] += many[k][level];
}

/* For SizeStatistics: not of columns whose nulls are all that there is to count. */
static enum status put_histograms(struct parquet_writer *writer, const struct parquet_leaf *leaf,
                                  const struct parquet_levels *levels, struct parquet_page *page,
                                  struct error *error) {
  if (leaf->max_rep == 0 && leaf->max_def <= 1) return STATUS_OK;
  int64_t def_count = leaf->max_def + 1, rep_count = leaf->max_rep + 1;
  int64_t bytes = (def_count + rep_count) * (int64_t)sizeof(int64_t);
  enum status status = buffer_reserve(&page->histograms, writer->budget, bytes, error);
  if (status != STATUS_OK) return status;
  int64_t *counts = (int64_t *)(void *)page->histograms.data;
  memset(counts, 0, (size_t)bytes);
  page->histograms.size_bytes = bytes;
  if (levels->has_def)
    count_levels(levels->def.data, levels->count, counts, def_count);
  else
    counts[leaf->max_def] = levels->count;
  if (leaf->max_rep > 0)
    count_levels(levels->rep.data, levels->count, counts + def_count, rep_count);
  else
    counts[def_count] = levels->count;
  return STATUS_OK;
}

/* What is known of a page once its body is made. */
static enum status describe(struct parquet_writer *writer, const struct parquet_leaf *leaf,
                            const struct parquet_levels *levels, int64_t body_bytes,
                            struct parquet_page *page, struct error *error) {
  if (levels->count > INT32_MAX || body_bytes > INT32_MAX)
    return error_set(error, STATUS_TOO_LARGE,
                     "a page of column '%s' would be of %lld values and %lld bytes: a row's values "
                     "cannot be more than a page takes, 2 GiB",
                     leaf->name, (long long)levels->count, (long long)body_bytes);
  page->rows = levels->rows;
  page->value_count = levels->count;
  page->uncompressed_bytes = (int32_t)body_bytes;
  page->statistics.null_count = levels->count - levels->present_count;
  return put_histograms(writer, leaf, levels, page, error);
}

/* ---- values ---------------------------------------------------------------------------------------- */

/* `raw` empty, with room for the levels and `more_bytes`. */
static enum status start_body(struct parquet_writer *writer, const struct parquet_leaf *leaf,
                              const struct parquet_levels *levels, int64_t more_bytes,
                              struct buffer *raw, struct error *error) {
  raw->size_bytes = 0;
  return buffer_reserve(raw, writer->budget, levels_room(leaf, levels) + more_bytes, error);
}

enum status parquet_page_make(struct parquet_writer *writer, struct parquet_lane *lane,
                              const struct parquet_column *column, const struct parquet_rows *rows,
                              struct parquet_page *page, struct error *error) {
  const struct parquet_leaf *leaf = column->leaf;
  const struct parquet_values *values = &lane->values;
  page->encoding = column->choice.encoding == PARQUET_RLE_DICTIONARY ? column->choice.fallback
                                                                     : column->choice.encoding;
  enum status status = parquet_page_read(writer, lane, column, rows, error);
  if (status != STATUS_OK) return status;
  int64_t work_bytes = 0;
  int64_t room_bytes = encode_values_room(leaf, values, page->encoding, &work_bytes);
  status = start_body(writer, leaf, &lane->levels, room_bytes, &lane->raw, error);
  if (status != STATUS_OK) return status;
  status = buffer_reserve(&lane->work, writer->budget, work_bytes, error);
  if (status != STATUS_OK) return status;

  uint8_t *end = put_levels(writer, leaf, &lane->levels, page, lane->raw.data);
  page->raw_levels_bytes = end - lane->raw.data;
  end = encode_values(leaf, values, page->encoding, lane->work.data, end);
  lane->raw.size_bytes = end - lane->raw.data;
  parquet_statistics_of(leaf, values, writer->options.bound_bytes_max, &page->statistics);
  page->byte_array_bytes = leaf->type == PARQUET_BYTE_ARRAY ? values->data_bytes : 0;
  status = describe(writer, leaf, &lane->levels, lane->raw.size_bytes, page, error);
  if (status == STATUS_OK && column->wants_bloom)
    status = parquet_bloom_hash(leaf, values, writer->budget, &page->hashes, error);
  return status;
}

/* ---- by the dictionary ----------------------------------------------------------------------------- */

static enum status reserve_indices(struct parquet_writer *writer, struct parquet_lane *lane,
                                   int64_t count, struct error *error) {
  return buffer_reserve(&lane->indices, writer->budget, count * (int64_t)sizeof(uint32_t), error);
}

static uint32_t *indices_of(const struct parquet_lane *lane) {
  return (uint32_t *)(void *)lane->indices.data;
}

/* Bounds and bytes of those entries of the dictionary that `indices` name. */
static enum status describe_used(struct parquet_writer *writer, struct parquet_lane *lane,
                                 const struct parquet_column *column, int64_t count,
                                 struct parquet_page *page, struct error *error) {
  const struct parquet_leaf *leaf = column->leaf;
  int64_t entry_count = parquet_dictionary_count(column->dictionary);
  int64_t width = parquet_values_width(leaf);
  enum status status =
      parquet_dictionary_values(column->dictionary, writer->budget, &lane->entries, error);
  if (status != STATUS_OK) return status;
  status = buffer_reserve(&lane->seen, writer->budget, entry_count + 1, error);
  if (status == STATUS_OK)
    status = buffer_reserve(&lane->work, writer->budget, entry_count * width + 1, error);
  if (status != STATUS_OK) return status;
  const uint32_t *indices = indices_of(lane);
  uint8_t *seen = lane->seen.data;
  memset(seen, 0, (size_t)entry_count);
  int64_t data_bytes = 0;
  if (leaf->type == PARQUET_BYTE_ARRAY) {
    const struct parquet_bytes *entries = lane->entries.data;
    for (int64_t i = 0; i < count; i++) {
      seen[indices[i]] = 1;
      data_bytes += entries[indices[i]].size_bytes;
    }
  } else {
    for (int64_t i = 0; i < count; i++) seen[indices[i]] = 1;
  }
  struct parquet_values used = {.data = lane->work.data};
  for (int64_t entry = 0; entry < entry_count; entry++) {
    if (!seen[entry]) continue;
    memcpy(lane->work.data + used.count * width,
           (const uint8_t *)lane->entries.data + entry * width, (size_t)width);
    used.count++;
  }
  parquet_statistics_of(leaf, &used, writer->options.bound_bytes_max, &page->statistics);
  page->statistics.value_count = count;
  page->byte_array_bytes = data_bytes;
  return STATUS_OK;
}

/* Whether an Arrow dictionary's entries are numbered once, and not its slots' values one by one. Of
 * floats the NaNs are counted, slot by slot. */
bool parquet_page_is_translated(const struct parquet_leaf *leaf) {
  return leaf->is_coded && leaf->order != PARQUET_ORDER_HALF &&
         (leaf->type == PARQUET_BYTE_ARRAY || leaf->type == PARQUET_FIXED);
}

static bool is_same_array(const struct ArrowArray *left, const struct ArrowArray *right) {
  if (left == right) return true;
  if (left == NULL || right == NULL || left->length != right->length ||
      left->offset != right->offset || left->n_buffers != right->n_buffers)
    return false;
  for (int64_t i = 0; i < left->n_buffers; i++)
    if (left->buffers[i] != right->buffers[i]) return false;
  return true;
}

enum { MAP_NONE = -1, MAP_ASKED = -2 };

/* The map of `array`, an Arrow dictionary: kept while the same one comes. `*is_new` says that it was not. */
static enum status start_map(struct parquet_writer *writer, struct parquet_lane *lane,
                             const struct ArrowArray *array, bool *is_new, struct error *error) {
  *is_new = !is_same_array(lane->mapped, array);
  if (!*is_new) return STATUS_OK;
  lane->mapped = NULL;
  int64_t bytes = array->length * (int64_t)sizeof(int32_t);
  enum status status = buffer_reserve(&lane->map, writer->budget, bytes + 1, error);
  if (status != STATUS_OK) return status;
  memset(lane->map.data, 0xff, (size_t)bytes); /* MAP_NONE */
  lane->mapped = array;
  return STATUS_OK;
}

/* Gives numbers to those entries among `slots` that have none. */
static enum status number_entries(struct parquet_writer *writer, struct parquet_lane *lane,
                                  struct parquet_column *column, const struct parquet_slots *slots,
                                  const struct parquet_where *where, struct error *error) {
  int64_t offset = slots->array->offset;
  int32_t *map = (int32_t *)(void *)lane->map.data;
  enum status status = buffer_reserve(&lane->unknown, writer->budget,
                                      slots->count * (int64_t)sizeof(int64_t), error);
  if (status != STATUS_OK) return status;
  int64_t *unknown = (int64_t *)(void *)lane->unknown.data;
  struct parquet_slots asked = {.array = slots->array, .slots = unknown};
  for (int64_t i = 0; i < slots->count; i++) {
    int64_t entry = slots->slots[i] - offset;
    if (map[entry] != MAP_NONE) continue;
    map[entry] = MAP_ASKED;
    unknown[asked.count++] = slots->slots[i];
  }
  if (asked.count == 0) return STATUS_OK;
  parquet_values_clear(&lane->values);
  status =
      parquet_values_add(column->leaf, &asked, true, where, writer->budget, &lane->values, error);
  if (status != STATUS_OK) return status;
  struct buffer numbers = BUFFER_EMPTY;
  status = buffer_reserve(&numbers, writer->budget, asked.count * (int64_t)sizeof(uint32_t), error);
  uint32_t *number = (uint32_t *)(void *)numbers.data;
  if (status == STATUS_OK)
    status = parquet_dictionary_add(column->dictionary, &lane->values, number, error);
  for (int64_t i = 0; status == STATUS_OK && i < asked.count; i++)
    map[unknown[i] - offset] = (int32_t)number[i];
  buffer_release(&numbers);
  return status;
}

/* Whether all entries get their number at once, so that the chunk's dictionary is the Arrow array's, in its
 * order, which means something where it is an ordered one: when it is the first, and not too large. */
static bool is_kept_whole(const struct parquet_writer *writer, const struct parquet_column *column,
                          const struct ArrowArray *array) {
  const struct parquet_leaf *leaf = column->leaf;
  return leaf->steps[leaf->step_count - 2].kind == PARQUET_STEP_DICTIONARY &&
         parquet_dictionary_count(column->dictionary) == 0 &&
         array->length <= writer->options.page_values;
}

/* Gives all entries of an Arrow dictionary a number. */
static enum status number_all(struct parquet_writer *writer, struct parquet_lane *lane,
                              struct parquet_column *column, const struct ArrowArray *array,
                              const struct parquet_where *where, struct error *error) {
  struct buffer positions = BUFFER_EMPTY;
  struct parquet_slots all = {.array = array};
  enum status status =
      buffer_reserve(&positions, writer->budget, array->length * (int64_t)sizeof(int64_t), error);
  if (status != STATUS_OK) return status;
  int64_t *position = (int64_t *)(void *)positions.data;
  const uint8_t *validity = array->null_count == 0 ? NULL : array->buffers[0];
  for (int64_t i = array->offset; i < array->offset + array->length; i++)
    if (validity == NULL || bitmap_get(validity, i)) position[all.count++] = i;
  all.slots = position;
  column->has_unused = true;
  status = number_entries(writer, lane, column, &all, where, error);
  buffer_release(&positions);
  return status;
}

/* The page's numbers by way of the Arrow dictionaries of its batches. */
static enum status translate(struct parquet_writer *writer, struct parquet_lane *lane,
                             struct parquet_column *column, const struct parquet_rows *rows,
                             struct error *error) {
  parquet_levels_clear(&lane->levels);
  struct cursor cursor = cursor_of(writer, rows);
  const struct ArrowArray *batch;
  int64_t done = 0;
  enum status status = STATUS_OK;
  lane->mapped = NULL; /* another column's, or of batches that are gone */
  while (status == STATUS_OK && (batch = next_piece(&cursor)) != NULL) {
    struct whereabouts at = {column->leaf, &lane->levels, lane->levels.count, cursor.row_base};
    struct parquet_where where = {row_of, &at};
    struct parquet_slots slots;
    status = parquet_shred(column->leaf, batch, cursor.row, cursor.rows, cursor.row_base,
                           &lane->shredder, &lane->levels, &slots, error);
    if (status != STATUS_OK || slots.count == 0) continue;
    assert(slots.slots != NULL);
    bool is_new;
    status = start_map(writer, lane, slots.array, &is_new, error);
    if (status == STATUS_OK && is_new && is_kept_whole(writer, column, slots.array))
      status = number_all(writer, lane, column, slots.array, &where, error);
    if (status == STATUS_OK) status = number_entries(writer, lane, column, &slots, &where, error);
    if (status == STATUS_OK) {
      lane->indices.size_bytes = done * (int64_t)sizeof(uint32_t);
      status = reserve_indices(writer, lane, done + slots.count, error);
    }
    if (status != STATUS_OK) continue;
    const int32_t *map = (const int32_t *)(const void *)lane->map.data;
    uint32_t *indices = indices_of(lane) + done;
    int64_t offset = slots.array->offset;
    for (int64_t i = 0; i < slots.count; i++) indices[i] = (uint32_t)map[slots.slots[i] - offset];
    done += slots.count;
  }
  lane->mapped = NULL;
  return status;
}

/* Numbers of the page's values, and what they say of themselves. */
static enum status number_values(struct parquet_writer *writer, struct parquet_lane *lane,
                                 struct parquet_column *column, const struct parquet_rows *rows,
                                 struct parquet_page *page, struct error *error) {
  const struct parquet_leaf *leaf = column->leaf;
  enum status status;
  if (parquet_page_is_translated(leaf)) {
    status = translate(writer, lane, column, rows, error);
    if (status != STATUS_OK) return status;
    return describe_used(writer, lane, column, lane->levels.present_count, page, error);
  }
  status = parquet_page_read(writer, lane, column, rows, error);
  if (status == STATUS_OK) status = reserve_indices(writer, lane, lane->values.count + 1, error);
  if (status == STATUS_OK)
    status = parquet_dictionary_add(column->dictionary, &lane->values, indices_of(lane), error);
  if (status != STATUS_OK) return status;
  bool is_small = parquet_dictionary_count(column->dictionary) < lane->values.count / 4;
  if (leaf->type == PARQUET_BYTE_ARRAY && is_small)
    return describe_used(writer, lane, column, lane->values.count, page, error);
  parquet_statistics_of(leaf, &lane->values, writer->options.bound_bytes_max, &page->statistics);
  page->byte_array_bytes = leaf->type == PARQUET_BYTE_ARRAY ? lane->values.data_bytes : 0;
  return STATUS_OK;
}

/* As wide as this page's numbers are: the dictionary may know more, of later pages in a round that is run again. */
VECTOR_LOOP static uint32_t largest(const uint32_t *numbers, int64_t count) {
  uint32_t most = 0;
  for (int64_t i = 0; i < count; i++) most = numbers[i] > most ? numbers[i] : most;
  return most;
}

enum status parquet_page_make_indices(struct parquet_writer *writer, struct parquet_lane *lane,
                                      struct parquet_column *column,
                                      const struct parquet_rows *rows, struct parquet_page *page,
                                      struct error *error) {
  const struct parquet_leaf *leaf = column->leaf;
  page->encoding = PARQUET_RLE_DICTIONARY;
  enum status status = number_values(writer, lane, column, rows, page, error);
  if (status != STATUS_OK) return status;
  int64_t count = lane->levels.present_count;
  int width = encode_bit_width(largest(indices_of(lane), count));
  int64_t room_bytes = INDEX_WIDTH_BYTES + encode_rle_room(count, width) + ENCODE_SLACK_BYTES;
  status = start_body(writer, leaf, &lane->levels, room_bytes, &lane->raw, error);
  if (status != STATUS_OK) return status;
  uint8_t *end = put_levels(writer, leaf, &lane->levels, page, lane->raw.data);
  page->raw_levels_bytes = end - lane->raw.data;
  *end++ = (uint8_t)width;
  end = encode_rle_32(indices_of(lane), count, width, end);
  lane->raw.size_bytes = end - lane->raw.data;
  status = describe(writer, leaf, &lane->levels, lane->raw.size_bytes, page, error);
  if (status == STATUS_OK)
    status = buffer_append(&page->raw, writer->budget, lane->raw.data, lane->raw.size_bytes, error);
  return status;
}

/* ---- sealing --------------------------------------------------------------------------------------- */

/* Appends the body's values to the page's bytes, with the chunk's codec. A V2 page that does not become
 * smaller is not compressed; V1 cannot say so of a page. */
static enum status put_body(struct parquet_writer *writer, int lane_index,
                            const struct parquet_column *column, const uint8_t *values,
                            int64_t bytes, struct parquet_page *page, bool *is_compressed,
                            struct error *error) {
  bool is_v2 = writer->options.page_version == 2;
  *is_compressed = column->codec != PARQUET_UNCOMPRESSED && !(is_v2 && bytes == 0);
  int64_t made_bytes = 0, before_bytes = page->bytes.size_bytes;
  if (*is_compressed) {
    enum status status = parquet_compress(writer->compressor, lane_index, values, bytes,
                                          &page->bytes, &made_bytes, error);
    if (status != STATUS_OK || !is_v2 || made_bytes < bytes) return status;
    *is_compressed = false;
    page->bytes.size_bytes = before_bytes;
  }
  return parquet_compress(writer->no_compressor, lane_index, values, bytes, &page->bytes,
                          &made_bytes, error);
}

enum status parquet_page_seal(struct parquet_writer *writer, int lane_index,
                              const struct parquet_column *column, const struct buffer *raw,
                              struct parquet_page *page, struct error *error) {
  bool is_v2 = writer->options.page_version == 2;
  int64_t plain_bytes = is_v2 ? page->raw_levels_bytes : 0;
  bool is_compressed;
  enum status status =
      buffer_reserve(&page->bytes, writer->budget, PARQUET_PAGE_HEADER_BYTES_MAX, error);
  if (status != STATUS_OK) return status;
  page->bytes.size_bytes = PARQUET_PAGE_HEADER_BYTES_MAX;
  if (plain_bytes > 0) {
    status = buffer_append(&page->bytes, writer->budget, raw->data, plain_bytes, error);
    if (status != STATUS_OK) return status;
  }
  status = put_body(writer, lane_index, column, raw->data + plain_bytes,
                    raw->size_bytes - plain_bytes, page, &is_compressed, error);
  if (status != STATUS_OK) return status;
  const uint8_t *body = page->bytes.data + PARQUET_PAGE_HEADER_BYTES_MAX;
  int64_t body_bytes = page->bytes.size_bytes - PARQUET_PAGE_HEADER_BYTES_MAX;
  if (body_bytes > INT32_MAX)
    return error_set(error, STATUS_TOO_LARGE,
                     "a page of column '%s' takes %lld bytes: more than the format can say",
                     column->leaf->name, (long long)body_bytes);
  struct parquet_page_header header = {
      .type = is_v2 ? PARQUET_DATA_PAGE_V2 : PARQUET_DATA_PAGE,
      .uncompressed_bytes = page->uncompressed_bytes,
      .compressed_bytes = (int32_t)body_bytes,
      .has_crc = !writer->options.no_checksums,
      .value_count = (int32_t)page->value_count,
      .encoding = page->encoding,
      .null_count = (int32_t)page->statistics.null_count,
      .row_count = (int32_t)page->rows,
      .def_bytes = page->def_bytes,
      .rep_bytes = page->rep_bytes,
      .is_compressed = is_compressed,
  };
  if (header.has_crc) header.crc = parquet_crc32(0, body, body_bytes);
  int64_t header_bytes =
      parquet_page_header_write(&header, page->bytes.data + PARQUET_PAGE_HEADER_BYTES_MAX);
  page->start_bytes = PARQUET_PAGE_HEADER_BYTES_MAX - header_bytes;
  return STATUS_OK;
}
