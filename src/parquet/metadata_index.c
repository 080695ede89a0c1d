/* OffsetIndex and ColumnIndex: where the pages of a column chunk are, and what is in them. */
#include <assert.h>

#include "parquet/metadata.h"
#include "parquet/metadata_parts.h"

/* ---- OffsetIndex ------------------------------------------------------------------------- */

static void page_location(struct thrift *thrift, const struct parquet_page_entry *page) {
  thrift_item_struct(thrift);
  thrift_i64(thrift, 1, page->offset_bytes);
  thrift_i32(thrift, 2, page->size_bytes);
  thrift_i64(thrift, 3, page->first_row);
  thrift_struct_end(thrift);
}

enum status parquet_offset_index_write(const struct parquet_leaf *leaf,
                                       const struct parquet_page_entry *pages, int64_t page_count,
                                       struct budget *budget, struct buffer *out,
                                       struct error *error) {
  struct thrift thrift;
  thrift_start(&thrift, out, budget);
  thrift_list(&thrift, 1, THRIFT_STRUCT, page_count);
  for (int64_t i = 0; i < page_count; i++) page_location(&thrift, &pages[i]);
  if (leaf->type == PARQUET_BYTE_ARRAY) {
    thrift_list(&thrift, 2, THRIFT_I64, page_count);
    for (int64_t i = 0; i < page_count; i++) thrift_item_i64(&thrift, pages[i].byte_array_bytes);
  }
  return thrift_end(&thrift, error);
}

/* ---- ColumnIndex ------------------------------------------------------------------------- */

static bool is_null_page(const struct parquet_page_entry *page) {
  return page->statistics.value_count == 0;
}

bool parquet_column_index_allowed(const struct parquet_leaf *leaf,
                                  const struct parquet_page_entry *pages, int64_t page_count) {
  if (leaf->order == PARQUET_ORDER_NONE || page_count == 0) return false;
  for (int64_t i = 0; i < page_count; i++)
    if (!is_null_page(&pages[i]) && !pages[i].statistics.has_bounds) return false;
  return true;
}

/* What readers may search by halving. Pages of nulls are passed over, as the specification's readers
 * do; where nothing contradicts it (equal bounds, one page, none) the order is ascending. */
static enum parquet_boundary_order boundary_order(const struct parquet_leaf *leaf,
                                                  const struct parquet_page_entry *pages,
                                                  int64_t page_count) {
  bool rises = true, falls = true;
  const struct parquet_statistics *last = NULL;
  for (int64_t i = 0; i < page_count && (rises || falls); i++) {
    if (is_null_page(&pages[i])) continue;
    const struct parquet_statistics *next = &pages[i].statistics;
    if (last != NULL) {
      int min = parquet_bound_compare(leaf, &last->min, &next->min);
      int max = parquet_bound_compare(leaf, &last->max, &next->max);
      rises = rises && min <= 0 && max <= 0;
      falls = falls && min >= 0 && max >= 0;
    }
    last = next;
  }
  if (rises) return PARQUET_ASCENDING;
  return falls ? PARQUET_DESCENDING : PARQUET_UNORDERED;
}

/* A page of nulls has an entry too, of no bytes. */
static void index_bounds(struct thrift *thrift, int16_t field,
                         const struct parquet_page_entry *pages, int64_t page_count, bool is_max) {
  thrift_list(thrift, field, THRIFT_BINARY, page_count);
  for (int64_t i = 0; i < page_count; i++) {
    const struct parquet_statistics *statistics = &pages[i].statistics;
    const struct parquet_bound *bound = is_max ? &statistics->max : &statistics->min;
    bool is_null = is_null_page(&pages[i]);
    assert(is_null || statistics->has_bounds);
    thrift_item_binary(thrift, bound->data, is_null ? 0 : bound->size_bytes);
  }
}

enum status parquet_column_index_write(const struct parquet_leaf *leaf,
                                       const struct parquet_page_entry *pages, int64_t page_count,
                                       const int64_t *def_histograms, const int64_t *rep_histograms,
                                       struct budget *budget, struct buffer *out,
                                       struct error *error) {
  struct thrift thrift;
  thrift_start(&thrift, out, budget);
  thrift_list(&thrift, 1, THRIFT_BOOL, page_count);
  for (int64_t i = 0; i < page_count; i++) thrift_item_bool(&thrift, is_null_page(&pages[i]));
  index_bounds(&thrift, 2, pages, page_count, false);
  index_bounds(&thrift, 3, pages, page_count, true);
  thrift_i32(&thrift, 4, (int32_t)boundary_order(leaf, pages, page_count));
  thrift_list(&thrift, 5, THRIFT_I64, page_count);
  for (int64_t i = 0; i < page_count; i++) thrift_item_i64(&thrift, pages[i].statistics.null_count);
  if (parquet_tells_repetition(leaf))
    parquet_put_counts(&thrift, 6, rep_histograms, page_count * (leaf->max_rep + 1));
  if (parquet_tells_definition(leaf))
    parquet_put_counts(&thrift, 7, def_histograms, page_count * (leaf->max_def + 1));
  if (parquet_has_nans(leaf)) {
    thrift_list(&thrift, 8, THRIFT_I64, page_count);
    for (int64_t i = 0; i < page_count; i++)
      thrift_item_i64(&thrift, pages[i].statistics.nan_count);
  }
  return thrift_end(&thrift, error);
}
