/* Parquet's headers and footer in Thrift (parquet.thrift). Inside the room only. */
#ifndef ARROWPORT_PARQUET_METADATA_H
#define ARROWPORT_PARQUET_METADATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "parquet/schema.h"
#include "parquet/statistics.h"

/* PageHeader with the header of the page's type. */
struct parquet_page_header {
  enum parquet_page_type type;
  int32_t uncompressed_bytes; /* levels included */
  int32_t compressed_bytes;
  bool has_crc;
  uint32_t crc;
  int32_t value_count; /* nulls counted; of a dictionary page its entries */
  enum parquet_encoding encoding;
  /* DATA_PAGE_V2 */
  int32_t null_count, row_count;
  int32_t def_bytes, rep_bytes;
  bool is_compressed;
};
enum { PARQUET_PAGE_HEADER_BYTES_MAX = 128 };
/* Writes it so that it ends at `end`, before which there are PARQUET_PAGE_HEADER_BYTES_MAX bytes of
 * room; how many it took. Cannot fail: it allocates nothing. */
int64_t parquet_page_header_write(const struct parquet_page_header *header, uint8_t *end);

/* A data page as the indexes describe it. */
struct parquet_page_entry {
  int64_t offset_bytes; /* in the file, of its header */
  int32_t size_bytes;   /* header included */
  int64_t first_row;    /* in the row group */
  int64_t rows;
  int64_t byte_array_bytes; /* of its BYTE_ARRAY values, without lengths */
  struct parquet_statistics statistics;
};

/* Appends an OffsetIndex, a ColumnIndex. `def_histograms` (page_count * (max_def + 1) counts) and
 * `rep_histograms` may be NULL: they are left out, and also where they say nothing that the counts of
 * values and nulls do not (a max_def of 0 or 1, a max_rep of 0). parquet_column_index_allowed: the
 * rules say when there may be none (a page with values but without bounds: all NaN, or no order); it
 * must hold for parquet_column_index_write. A page whose value_count is 0 is a null page. After
 * STATUS_BUDGET and STATUS_NOMEM `out` is what it was. */
enum status parquet_offset_index_write(const struct parquet_leaf *leaf,
                                       const struct parquet_page_entry *pages, int64_t page_count,
                                       struct budget *budget, struct buffer *out,
                                       struct error *error) WARN_UNUSED;
bool parquet_column_index_allowed(const struct parquet_leaf *leaf,
                                  const struct parquet_page_entry *pages, int64_t page_count);
enum status parquet_column_index_write(const struct parquet_leaf *leaf,
                                       const struct parquet_page_entry *pages, int64_t page_count,
                                       const int64_t *def_histograms, const int64_t *rep_histograms,
                                       struct budget *budget, struct buffer *out,
                                       struct error *error) WARN_UNUSED;

/* A column chunk as the footer describes it: ColumnChunk and ColumnMetaData. */
struct parquet_chunk_info {
  enum parquet_codec codec;
  int64_t value_count;
  int64_t uncompressed_bytes, compressed_bytes; /* of all pages, headers included */
  int64_t data_page_offset_bytes;
  int64_t dictionary_page_offset_bytes; /* -1: none */
  int64_t bloom_offset_bytes;           /* -1: none */
  int32_t bloom_bytes;
  int64_t offset_index_offset_bytes, column_index_offset_bytes; /* -1: none */
  int32_t offset_index_bytes, column_index_bytes;
  enum parquet_page_type data_page_type;        /* PARQUET_DATA_PAGE, PARQUET_DATA_PAGE_V2 */
  int64_t pages_of_encoding[PARQUET_ENCODINGS]; /* data pages by encoding */
  bool has_statistics;
  struct parquet_statistics statistics;
  int64_t distinct_count;       /* -1: not known */
  int64_t byte_array_bytes;     /* of BYTE_ARRAY values; -1: none of SizeStatistics */
  const int64_t *def_histogram; /* max_def + 1 counts, NULL: none */
  const int64_t *rep_histogram; /* max_rep + 1 counts, NULL: none */
};

struct parquet_sorting {
  int32_t leaf;
  bool is_descending, nulls_first;
};

struct parquet_group_info {
  int64_t row_count;
  int64_t offset_bytes;                    /* of its first page */
  const struct parquet_chunk_info *chunks; /* one a leaf */
};

struct parquet_key_value {
  const char *key;
  const char *value; /* NULL: none */
};

struct parquet_footer {
  const struct parquet_schema *schema;
  const struct parquet_group_info *groups;
  int64_t group_count;
  int64_t row_count;
  const struct parquet_sorting *sorting;
  int64_t sorting_count;
  const struct parquet_key_value *key_values;
  int64_t key_value_count;
  const char *created_by;
};
/* Appends FileMetaData: version, schema, rows, row groups, key-values, created_by, TYPE_ORDER for every
 * column. Statistics: min_value and max_value with their exactness; the deprecated min and max too
 * where that is the order of the physical type, which is what old readers compare by. Not the length
 * and the magic behind it. More row groups than an i16 can number are written without `ordinal`.
 * STATUS_TOO_LARGE: a footer past 2^31 - 1 bytes. After any failure `out` is what it was. */
enum status parquet_footer_write(const struct parquet_footer *footer, struct budget *budget,
                                 struct buffer *out, struct error *error) WARN_UNUSED;

#endif
