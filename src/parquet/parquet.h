/* Writing Parquet files (parquet-format): record batches in, bytes out, from the first byte to the last;
 * nothing is sought, nothing read.
 *
 * Batches are collected until there is enough for all threads to work on (a round), and encoded into pages,
 * which are kept until their row group is complete and then given to the caller's `write`, a column
 * behind the other. So memory holds the encoded pages of one row group and the batches of one
 * round, whatever the file's size: and little more than a footer's worth a row group that is done. */
#ifndef ARROWPORT_PARQUET_PARQUET_H
#define ARROWPORT_PARQUET_PARQUET_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "base/buffer.h"
#include "base/status.h"
#include "base/workers.h"
#include "parquet/format.h"

/* Where the bytes go. `write` takes `bytes` (>= 1) in the order of the file, or fails for good. Called
 * by the thread that calls the writer. */
struct parquet_out {
  enum status (*write)(void *context, const void *data, int64_t bytes, struct error *error);
  void *context;
};

/* What is said of single columns. `path` names a leaf or a group, whose leaves are all meant: the field
 * names with dots between ("a.b", "tags.list.element", "tags"). */
struct parquet_column_options {
  const char *path;
  bool has_encoding;
  enum parquet_encoding encoding;
  bool has_bloom;
};
struct parquet_sort_column {
  const char *path; /* one leaf */
  bool is_descending, nulls_first;
};
struct parquet_metadata_pair {
  const char *key, *value;
};

struct parquet_options {
  enum parquet_codec codec;
  int level;                    /* 0: the codec's default: ZSTD 1, GZIP 6 */
  int64_t row_group_rows;       /* a row group ends at so many rows at the latest */
  int64_t row_group_bytes;      /* or when its pages are of so many bytes, a round more at most */
  int64_t page_values;          /* a data page ends at so many values (a row's stay together) */
  int64_t page_bytes;           /* or so many bytes before encoding */
  int64_t dictionary_bytes_max; /* of one dictionary page, a page's worth more at most; 0: none */
  bool compatible;              /* only what old readers take: PLAIN, RLE_DICTIONARY, V1 pages */
  int page_version;             /* 1 or 2 */
  bool always_compress;         /* a column whose first page gains less than 5 % too */
  bool no_checksums;
  bool no_statistics;           /* in the footer; nor indexes */
  bool no_page_index;           /* column and offset index */
  bool no_arrow_schema;         /* the key ARROW:schema, which readers take exact types from */
  int32_t bound_bytes_max;      /* longer bounds of byte arrays are cut; at most 64 */
  double bloom_false_positives; /* of those columns that have a filter */
  int64_t bloom_bytes_max;
  const struct parquet_column_options *columns; /* all of these are read when the writer is made */
  int64_t column_count;
  const struct parquet_sort_column *sorting; /* the rows are in this order: it is believed */
  int64_t sorting_count;
  const struct parquet_metadata_pair
      *metadata; /* key-values of the file, beside the schema's own */
  int64_t metadata_count;
  struct workers *workers; /* help with encoding; NULL: the caller's thread alone */
  bool is_checked;         /* batches come from our own decoder, which has checked them */
};

#define PARQUET_OPTIONS_DEFAULT                                                                    \
  ((struct parquet_options){.codec = PARQUET_ZSTD,                                                 \
                            .row_group_rows = (int64_t)1 << 20,                                    \
                            .row_group_bytes = (int64_t)128 << 20,                                 \
                            .page_values = (int64_t)1 << 16,                                       \
                            .page_bytes = (int64_t)1 << 20,                                        \
                            .dictionary_bytes_max = (int64_t)2 << 20,                              \
                            .page_version = 1,                                                     \
                            .bound_bytes_max = 64,                                                 \
                            .bloom_false_positives = 0.01,                                         \
                            .bloom_bytes_max = (int64_t)1 << 20})

struct parquet_writer;

/* `options` NULL: the defaults. The schema, a struct, is copied; `out`, `workers` and `budget` must outlive
 * the writer. Nothing is written yet. STATUS_UNSUPPORTED and STATUS_INVALID name the field or the
 * option and what is wrong with it; STATUS_NOT_FOUND an option's column that is not there. */
enum status parquet_writer_new(const struct ArrowSchema *schema,
                               const struct parquet_options *options, const struct parquet_out *out,
                               struct budget *budget, struct parquet_writer **writer,
                               struct error *error) WARN_UNUSED;
/* Also of one that was not finished: what was written is no Parquet file then. NULL is allowed. */
void parquet_writer_free(struct parquet_writer *writer);

/* The next rows. Takes the batch over on STATUS_OK; on failure it stays the caller's. STATUS_INVALID: the
 * array breaks its own contract; STATUS_SCHEMA names column and row of a null or a value that cannot
 * be. After STATUS_BUDGET and STATUS_NOMEM the call may be repeated; what failed for good, and what `write`
 * said, fails every further call the same way. Blocks for the encoding, and for `write`. */
enum status parquet_writer_add(struct parquet_writer *writer, struct ArrowArray *batch,
                               struct error *error) WARN_UNUSED;

/* Ends the row group here, if it has rows. Errors as above. */
enum status parquet_writer_end_group(struct parquet_writer *writer,
                                     struct error *error) WARN_UNUSED;

/* What is left, indexes and footer. The file is whole after STATUS_OK; may be repeated as above. */
enum status parquet_writer_finish(struct parquet_writer *writer, struct error *error) WARN_UNUSED;

/* How far it is: all that `write` took and what is collected. */
struct parquet_progress {
  int64_t rows;       /* taken */
  int64_t row_groups; /* written */
  int64_t bytes;      /* written */
  int64_t kept_bytes; /* encoded, in memory */
};
void parquet_writer_progress(const struct parquet_writer *writer,
                             struct parquet_progress *progress);

/* After parquet_writer_finish: what the file holds, a leaf at a time, as table formats ask of data files.
 * Bounds are as in Statistics: PLAIN, of byte arrays cut. All of it is the writer's. */
struct parquet_summary {
  const char *name; /* path in full, dots between */
  int32_t field_id; /* INT32_MIN: none */
  enum parquet_type type;
  struct parquet_logical logical;
  int64_t compressed_bytes;
  int64_t value_count; /* nulls counted */
  int64_t null_count;
  int64_t nan_count; /* -1: not of floats */
  bool has_bounds;
  bool min_is_exact, max_is_exact;
  const uint8_t *min, *max;
  int32_t min_bytes, max_bytes;
};
int32_t parquet_writer_leaf_count(const struct parquet_writer *writer);
void parquet_writer_summary(const struct parquet_writer *writer, int32_t leaf,
                            struct parquet_summary *summary);

#endif
