/* The end of a row group: its chunks, that is their dictionary pages, data pages and Bloom filters, and what
 * footer and indexes will say of them.
 *
 *   prepare   dictionary pages and Bloom filters: all that has to be made yet, by all threads
 *   lay out   where each page will be; the indexes, as bytes, for the end of the file
 *   write     nothing but bytes that are there
 *
 * The first two may be refused memory and be repeated (private.h, invariant 2). */
#include "parquet/private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "arrowport_version.h"
#include "parquet/bloom.h"
#include "parquet/encode.h"

static const char magic[4] = {'P', 'A', 'R', '1'};

enum status parquet_write(struct parquet_writer *writer, const void *data, int64_t bytes,
                          struct error *error) {
  if (writer->failure.status == STATUS_OK && bytes > 0) {
    struct error why = {0};
    enum status status = writer->out.write(writer->out.context, data, bytes, &why);
    if (status == STATUS_OK) {
      writer->position_bytes += bytes;
      return STATUS_OK;
    }
    writer->failure = why;
    writer->failure.status = status;
  }
  if (writer->failure.status != STATUS_OK && error != NULL) *error = writer->failure;
  return writer->failure.status;
}

void parquet_column_clear(struct parquet_column *column) {
  struct parquet_page *pages = parquet_column_pages(column);
  for (int64_t i = 0; i < parquet_column_page_count(column); i++) parquet_page_release(&pages[i]);
  column->pages.size_bytes = 0;
  column->kept_bytes = 0;
  buffer_release(&column->dictionary_page);
  buffer_release(&column->bloom);
  column->is_chosen = column->is_codec_known = false;
  column->has_dictionary = column->is_dictionary_full = column->has_unused = false;
  if (column->dictionary != NULL) parquet_dictionary_clear(column->dictionary);
}

void parquet_column_release(struct parquet_column *column) {
  parquet_column_clear(column);
  buffer_release(&column->pages);
  parquet_dictionary_free(column->dictionary);
}

void parquet_group_release(struct parquet_group *group) {
  buffer_release(&group->chunks);
  buffer_release(&group->histograms);
  buffer_release(&group->column_indexes);
  buffer_release(&group->offset_indexes);
}

/* ---- preparing ------------------------------------------------------------------------------------- */

static bool uses_dictionary(const struct parquet_column *column) {
  const struct parquet_page *pages = parquet_column_pages(column);
  return parquet_column_page_count(column) > 0 && pages[0].encoding == PARQUET_RLE_DICTIONARY;
}

static enum status make_dictionary_page(struct parquet_writer *writer, int lane_index,
                                        struct parquet_column *column, struct error *error) {
  struct buffer *raw = &writer->lanes[lane_index].raw;
  raw->size_bytes = 0;
  enum status status = parquet_dictionary_write(column->dictionary, raw, writer->budget, error);
  if (status != STATUS_OK) return status;
  struct buffer *page = &column->dictionary_page;
  buffer_release(page);
  status = buffer_reserve(page, writer->budget, PARQUET_PAGE_HEADER_BYTES_MAX, error);
  if (status != STATUS_OK) return status;
  page->size_bytes = PARQUET_PAGE_HEADER_BYTES_MAX;
  struct parquet_compressor *compressor =
      column->codec == PARQUET_UNCOMPRESSED ? writer->no_compressor : writer->compressor;
  int64_t made_bytes = 0;
  status = parquet_compress(compressor, lane_index, raw->data, raw->size_bytes, page, &made_bytes,
                            error);
  if (status != STATUS_OK) return status;
  int64_t body_bytes = page->size_bytes - PARQUET_PAGE_HEADER_BYTES_MAX;
  if (raw->size_bytes > INT32_MAX || body_bytes > INT32_MAX)
    return error_set(error, STATUS_TOO_LARGE,
                     "the dictionary of column '%s' takes %lld bytes: more than the format can say",
                     column->leaf->name, (long long)raw->size_bytes);
  uint8_t *body = page->data + PARQUET_PAGE_HEADER_BYTES_MAX;
  struct parquet_page_header header = {
      .type = PARQUET_DICTIONARY_PAGE,
      .uncompressed_bytes = (int32_t)raw->size_bytes,
      .compressed_bytes = (int32_t)body_bytes,
      .has_crc = !writer->options.no_checksums,
      .value_count = (int32_t)parquet_dictionary_count(column->dictionary),
      .encoding = PARQUET_PLAIN,
  };
  if (header.has_crc) header.crc = parquet_crc32(0, body, body_bytes);
  int64_t header_bytes = parquet_page_header_write(&header, body);
  column->dictionary_start_bytes = PARQUET_PAGE_HEADER_BYTES_MAX - header_bytes;
  column->dictionary_uncompressed_bytes = header_bytes + raw->size_bytes;
  return STATUS_OK;
}

static enum status make_bloom(struct parquet_writer *writer, struct parquet_lane *lane,
                              struct parquet_column *column, struct error *error) {
  struct buffer hashes = BUFFER_EMPTY;
  enum status status = STATUS_OK;
  if (uses_dictionary(column)) {
    status = parquet_dictionary_values(column->dictionary, writer->budget, &lane->entries, error);
    if (status == STATUS_OK)
      status = parquet_bloom_hash(column->leaf, &lane->entries, writer->budget, &hashes, error);
  }
  const struct parquet_page *pages = parquet_column_pages(column);
  for (int64_t i = 0; status == STATUS_OK && i < parquet_column_page_count(column); i++)
    status = buffer_append(&hashes, writer->budget, pages[i].hashes.data,
                           pages[i].hashes.size_bytes, error);
  if (status != STATUS_OK) goto done;
  buffer_release(&column->bloom);
  int64_t count = hashes.size_bytes / (int64_t)sizeof(uint64_t);
  int64_t bytes = parquet_bloom_bytes(count, writer->options.bloom_false_positives,
                                      writer->options.bloom_bytes_max);
  status = parquet_bloom_write(&hashes, bytes, writer->budget, &column->bloom, error);
done:
  buffer_release(&hashes);
  return status;
}

struct preparing {
  struct parquet_writer *writer;
  pthread_mutex_t lock;
  struct error failure;
};

static void prepare_column(void *context, int64_t index, int lane_index) {
  struct preparing *preparing = context;
  struct parquet_writer *writer = preparing->writer;
  struct parquet_column *column = &writer->columns[index];
  struct error error = {0};
  enum status status = STATUS_OK;
  if (uses_dictionary(column)) status = make_dictionary_page(writer, lane_index, column, &error);
  if (status == STATUS_OK && column->wants_bloom)
    status = make_bloom(writer, &writer->lanes[lane_index], column, &error);
  if (status == STATUS_OK) return;
  pthread_mutex_lock(&preparing->lock);
  preparing->failure = error;
  preparing->failure.status = status;
  pthread_mutex_unlock(&preparing->lock);
}

static enum status prepare(struct parquet_writer *writer, struct error *error) {
  struct preparing preparing = {.writer = writer, .lock = PTHREAD_MUTEX_INITIALIZER};
  workers_each(writer->options.workers, writer->schema->leaf_count, prepare_column, &preparing);
  pthread_mutex_destroy(&preparing.lock);
  if (preparing.failure.status != STATUS_OK && error != NULL) *error = preparing.failure;
  return preparing.failure.status;
}

/* ---- laying out ------------------------------------------------------------------------------------ */

/* Where the pages of all columns will be, and what they are. */
struct layout_work {
  struct buffer entries;        /* struct parquet_page_entry, of one column */
  struct buffer def_histograms; /* of its pages, as ColumnIndex has them */
  struct buffer rep_histograms;
};

static int64_t level_counts(const struct parquet_leaf *leaf) {
  return leaf->max_def + 1 + leaf->max_rep + 1;
}
static bool has_histograms(const struct parquet_leaf *leaf) {
  return leaf->max_rep > 0 || leaf->max_def > 1;
}

/* Sums up the pages' counts; and each page's, for the column index. */
static enum status gather_histograms(struct parquet_writer *writer,
                                     const struct parquet_column *column, int64_t *totals,
                                     struct layout_work *work, struct error *error) {
  const struct parquet_leaf *leaf = column->leaf;
  int64_t def_bytes = (leaf->max_def + 1) * (int64_t)sizeof(int64_t);
  int64_t rep_bytes = (leaf->max_rep + 1) * (int64_t)sizeof(int64_t);
  const struct parquet_page *pages = parquet_column_pages(column);
  for (int64_t i = 0; i < parquet_column_page_count(column); i++) {
    const uint8_t *data = pages[i].histograms.data;
    const int64_t *counts = (const int64_t *)(const void *)data;
    for (int64_t level = 0; level < level_counts(leaf); level++) totals[level] += counts[level];
    enum status status =
        buffer_append(&work->def_histograms, writer->budget, data, def_bytes, error);
    if (status == STATUS_OK)
      status =
          buffer_append(&work->rep_histograms, writer->budget, data + def_bytes, rep_bytes, error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

/* The chunk from `*position_bytes` on, which is moved behind it; its pages in work->entries. */
static enum status lay_out_pages(struct parquet_writer *writer, const struct parquet_column *column,
                                 int64_t *position_bytes, struct parquet_chunk_info *info,
                                 struct layout_work *work, struct error *error) {
  int64_t page_count = parquet_column_page_count(column);
  work->entries.size_bytes = 0;
  enum status status =
      buffer_reserve(&work->entries, writer->budget,
                     page_count * (int64_t)sizeof(struct parquet_page_entry), error);
  if (status != STATUS_OK) return status;
  struct parquet_page_entry *entries = (struct parquet_page_entry *)(void *)work->entries.data;
  int64_t start_bytes = *position_bytes;
  if (uses_dictionary(column)) {
    info->dictionary_page_offset_bytes = start_bytes;
    *position_bytes += column->dictionary_page.size_bytes - column->dictionary_start_bytes;
    info->uncompressed_bytes += column->dictionary_uncompressed_bytes;
  }
  info->data_page_offset_bytes = *position_bytes;
  parquet_statistics_start(column->leaf, &info->statistics);
  const struct parquet_page *pages = parquet_column_pages(column);
  int64_t row = 0;
  for (int64_t i = 0; i < page_count; i++) {
    const struct parquet_page *page = &pages[i];
    int64_t size_bytes = parquet_page_size(page);
    entries[i] = (struct parquet_page_entry){.offset_bytes = *position_bytes,
                                             .size_bytes = (int32_t)size_bytes,
                                             .first_row = row,
                                             .rows = page->rows,
                                             .byte_array_bytes = page->byte_array_bytes,
                                             .statistics = page->statistics};
    row += page->rows;
    *position_bytes += size_bytes;
    info->value_count += page->value_count;
    info->uncompressed_bytes +=
        PARQUET_PAGE_HEADER_BYTES_MAX - page->start_bytes + page->uncompressed_bytes;
    info->pages_of_encoding[page->encoding]++;
    info->byte_array_bytes += page->byte_array_bytes;
    parquet_statistics_merge(column->leaf, &info->statistics, &page->statistics);
  }
  info->compressed_bytes = *position_bytes - start_bytes;
  return STATUS_OK;
}

/* How many distinct values the chunk has; -1: not known. Of floats bits are told apart, not values. */
static int64_t distinct_count(const struct parquet_column *column) {
  bool is_float =
      column->leaf->order == PARQUET_ORDER_FLOAT || column->leaf->order == PARQUET_ORDER_HALF;
  if (!uses_dictionary(column) || column->is_dictionary_full || column->has_unused || is_float)
    return -1;
  return parquet_dictionary_count(column->dictionary);
}

static enum status add_indexes(struct parquet_writer *writer, const struct parquet_column *column,
                               const struct layout_work *work, struct parquet_group *group,
                               struct parquet_chunk_info *info, struct error *error) {
  const struct parquet_leaf *leaf = column->leaf;
  const struct parquet_page_entry *entries =
      (const struct parquet_page_entry *)(const void *)work->entries.data;
  int64_t page_count = parquet_column_page_count(column);
  int64_t before_bytes = group->offset_indexes.size_bytes;
  enum status status = parquet_offset_index_write(leaf, entries, page_count, writer->budget,
                                                  &group->offset_indexes, error);
  if (status != STATUS_OK) return status;
  info->offset_index_bytes = (int32_t)(group->offset_indexes.size_bytes - before_bytes);
  if (!parquet_column_index_allowed(leaf, entries, page_count)) return STATUS_OK;
  before_bytes = group->column_indexes.size_bytes;
  const void *def = has_histograms(leaf) ? work->def_histograms.data : NULL;
  const void *rep = has_histograms(leaf) ? work->rep_histograms.data : NULL;
  status = parquet_column_index_write(leaf, entries, page_count, def, rep, writer->budget,
                                      &group->column_indexes, error);
  info->column_index_bytes = (int32_t)(group->column_indexes.size_bytes - before_bytes);
  return status;
}

static enum status lay_out_chunk(struct parquet_writer *writer, const struct parquet_column *column,
                                 int64_t *position_bytes, int64_t *histogram,
                                 struct layout_work *work, struct parquet_group *group,
                                 struct parquet_chunk_info *info, struct error *error) {
  const struct parquet_leaf *leaf = column->leaf;
  *info = (struct parquet_chunk_info){
      .codec = column->codec,
      .data_page_type =
          writer->options.page_version == 2 ? PARQUET_DATA_PAGE_V2 : PARQUET_DATA_PAGE,
      .dictionary_page_offset_bytes = -1,
      .bloom_offset_bytes = -1,
      .offset_index_offset_bytes = -1,
      .column_index_offset_bytes = -1,
      .has_statistics = !writer->options.no_statistics,
      .distinct_count = distinct_count(column),
  };
  enum status status = lay_out_pages(writer, column, position_bytes, info, work, error);
  if (status != STATUS_OK) return status;
  work->def_histograms.size_bytes = work->rep_histograms.size_bytes = 0;
  if (histogram != NULL) {
    memset(histogram, 0, (size_t)level_counts(leaf) * sizeof *histogram);
    status = gather_histograms(writer, column, histogram, work, error);
    if (status != STATUS_OK) return status;
    info->def_histogram = histogram;
    info->rep_histogram = histogram + leaf->max_def + 1;
  }
  if (leaf->type != PARQUET_BYTE_ARRAY) info->byte_array_bytes = -1;
  bool has_index = !writer->options.no_statistics && !writer->options.no_page_index;
  return has_index ? add_indexes(writer, column, work, group, info, error) : STATUS_OK;
}

static enum status lay_out(struct parquet_writer *writer, int64_t position_bytes,
                           struct parquet_group *group, struct error *error) {
  int32_t count = writer->schema->leaf_count;
  struct layout_work work = {0};
  int64_t histogram_bytes = 0, done = 0;
  for (int32_t i = 0; i < count; i++)
    if (has_histograms(writer->columns[i].leaf))
      histogram_bytes += level_counts(writer->columns[i].leaf) * (int64_t)sizeof(int64_t);
  int64_t chunk_bytes = count * (int64_t)sizeof(struct parquet_chunk_info);
  enum status status = buffer_reserve(&group->chunks, writer->budget, chunk_bytes, error);
  if (status == STATUS_OK)
    status = buffer_reserve(&group->histograms, writer->budget, histogram_bytes, error);
  struct parquet_chunk_info *infos = (struct parquet_chunk_info *)(void *)group->chunks.data;
  int64_t *histograms = (int64_t *)(void *)group->histograms.data;
  for (int32_t i = 0; status == STATUS_OK && i < count; i++) {
    const struct parquet_column *column = &writer->columns[i];
    int64_t *histogram = has_histograms(column->leaf) ? histograms + done : NULL;
    if (histogram != NULL) done += level_counts(column->leaf);
    status =
        lay_out_chunk(writer, column, &position_bytes, histogram, &work, group, &infos[i], error);
  }
  for (int32_t i = 0; status == STATUS_OK && i < count; i++) {
    const struct parquet_column *column = &writer->columns[i];
    if (column->bloom.size_bytes == 0) continue;
    infos[i].bloom_offset_bytes = position_bytes;
    infos[i].bloom_bytes = (int32_t)column->bloom.size_bytes;
    position_bytes += column->bloom.size_bytes;
  }
  group->chunks.size_bytes = chunk_bytes;
  group->histograms.size_bytes = histogram_bytes;
  buffer_release(&work.entries);
  buffer_release(&work.def_histograms);
  buffer_release(&work.rep_histograms);
  return status;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static enum status write_chunk(struct parquet_writer *writer, struct parquet_column *column,
                               struct error *error) {
  enum status status = STATUS_OK;
  if (uses_dictionary(column))
    status =
        parquet_write(writer, column->dictionary_page.data + column->dictionary_start_bytes,
                      column->dictionary_page.size_bytes - column->dictionary_start_bytes, error);
  struct parquet_page *pages = parquet_column_pages(column);
  for (int64_t i = 0; status == STATUS_OK && i < parquet_column_page_count(column); i++) {
    status = parquet_write(writer, pages[i].bytes.data + pages[i].start_bytes,
                           parquet_page_size(&pages[i]), error);
    buffer_release(&pages[i].bytes); /* gone, or gone for good */
  }
  return status;
}

/* What the whole file has of a column. */
static void sum_up(struct parquet_writer *writer, const struct parquet_group *group) {
  const struct parquet_chunk_info *infos =
      (const struct parquet_chunk_info *)(const void *)group->chunks.data;
  for (int32_t i = 0; i < writer->schema->leaf_count; i++) {
    struct parquet_column *column = &writer->columns[i];
    column->compressed_bytes += infos[i].compressed_bytes;
    column->value_count += infos[i].value_count;
    parquet_statistics_merge(column->leaf, &column->statistics, &infos[i].statistics);
  }
}

enum status parquet_group_write(struct parquet_writer *writer, struct error *error) {
  struct parquet_group group = {.row_count = writer->group_rows};
  int64_t start_bytes =
      writer->position_bytes == 0 ? (int64_t)sizeof magic : writer->position_bytes;
  group.offset_bytes = start_bytes;
  enum status status = prepare(writer, error);
  if (status == STATUS_OK) status = lay_out(writer, start_bytes, &group, error);
  int64_t groups_bytes = (parquet_group_count(writer) + 1) * (int64_t)sizeof group;
  if (status == STATUS_OK && groups_bytes > writer->groups.capacity_bytes)
    status = buffer_reserve(&writer->groups, writer->budget, 2 * groups_bytes, error);
  if (status != STATUS_OK) goto done;

  if (writer->position_bytes == 0) status = parquet_write(writer, magic, sizeof magic, error);
  int32_t count = writer->schema->leaf_count;
  for (int32_t i = 0; status == STATUS_OK && i < count; i++)
    status = write_chunk(writer, &writer->columns[i], error);
  for (int32_t i = 0; status == STATUS_OK && i < count; i++)
    status = parquet_write(writer, writer->columns[i].bloom.data,
                           writer->columns[i].bloom.size_bytes, error);
  if (status != STATUS_OK) goto done;
  sum_up(writer, &group);
  for (int32_t i = 0; i < count; i++) parquet_column_clear(&writer->columns[i]);
  writer->rows_done += writer->group_rows;
  writer->group_rows = writer->kept_bytes = writer->dictionary_bytes = 0;
  status = buffer_append(&writer->groups, writer->budget, &group, sizeof group, error);
  assert(status == STATUS_OK); /* there is room */
  group = (struct parquet_group){0};
done:
  parquet_group_release(&group);
  return status;
}

/* ---- the end of the file --------------------------------------------------------------------------- */

static enum status write_indexes(struct parquet_writer *writer, struct error *error) {
  enum status status = STATUS_OK;
  struct parquet_group *groups = parquet_groups(writer);
  for (int64_t i = 0; status == STATUS_OK && i < parquet_group_count(writer); i++)
    status = parquet_write(writer, groups[i].column_indexes.data,
                           groups[i].column_indexes.size_bytes, error);
  for (int64_t i = 0; status == STATUS_OK && i < parquet_group_count(writer); i++)
    status = parquet_write(writer, groups[i].offset_indexes.data,
                           groups[i].offset_indexes.size_bytes, error);
  return status;
}

/* Where the indexes will be: behind the last row group, those of columns first. */
static void place_indexes(struct parquet_writer *writer, int64_t position_bytes) {
  struct parquet_group *groups = parquet_groups(writer);
  for (int pass = 0; pass < 2; pass++)
    for (int64_t i = 0; i < parquet_group_count(writer); i++) {
      struct parquet_chunk_info *infos = (struct parquet_chunk_info *)(void *)groups[i].chunks.data;
      for (int32_t k = 0; k < writer->schema->leaf_count; k++) {
        int64_t bytes = pass == 0 ? infos[k].column_index_bytes : infos[k].offset_index_bytes;
        int64_t *offset_bytes =
            pass == 0 ? &infos[k].column_index_offset_bytes : &infos[k].offset_index_offset_bytes;
        if (bytes > 0) *offset_bytes = position_bytes;
        position_bytes += bytes;
      }
    }
}

static enum status make_footer(struct parquet_writer *writer, struct buffer *out,
                               struct error *error) {
  int64_t group_count = parquet_group_count(writer);
  struct parquet_group *groups = parquet_groups(writer);
  struct buffer list = BUFFER_EMPTY;
  enum status status = buffer_reserve(
      &list, writer->budget, (group_count + 1) * (int64_t)sizeof(struct parquet_group_info), error);
  if (status != STATUS_OK) goto done;
  struct parquet_group_info *infos = (struct parquet_group_info *)(void *)list.data;
  for (int64_t i = 0; i < group_count; i++)
    infos[i] = (struct parquet_group_info){.row_count = groups[i].row_count,
                                           .offset_bytes = groups[i].offset_bytes,
                                           .chunks = (const void *)groups[i].chunks.data};
  struct parquet_footer footer = {.schema = writer->schema,
                                  .groups = infos,
                                  .group_count = group_count,
                                  .row_count = writer->rows_done,
                                  .sorting = writer->sorting,
                                  .sorting_count = writer->options.sorting_count,
                                  .key_values = writer->key_values,
                                  .key_value_count = writer->key_value_count,
                                  .created_by = "arrowport version " ARROWPORT_VERSION};
  status = parquet_footer_write(&footer, writer->budget, out, error);
  if (status != STATUS_OK) goto done;
  uint32_t bytes = (uint32_t)out->size_bytes;
  status = buffer_append(out, writer->budget, &bytes, sizeof bytes, error);
  if (status == STATUS_OK) status = buffer_append(out, writer->budget, magic, sizeof magic, error);
done:
  buffer_release(&list);
  return status;
}

enum status parquet_end_write(struct parquet_writer *writer, struct error *error) {
  struct buffer footer = BUFFER_EMPTY;
  place_indexes(writer, writer->position_bytes);
  enum status status = make_footer(writer, &footer, error);
  if (status == STATUS_OK && writer->position_bytes == 0)
    status = parquet_write(writer, magic, sizeof magic, error);
  if (status == STATUS_OK) status = write_indexes(writer, error);
  if (status == STATUS_OK) status = parquet_write(writer, footer.data, footer.size_bytes, error);
  buffer_release(&footer);
  return status;
}
