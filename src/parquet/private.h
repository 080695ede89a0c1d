/* The writer's parts: what writer.c, round.c, page.c and chunk.c share. Inside the room only.
 *
 *   parquet_writer_add -> pending batches -> a round (round.c) -> pages (page.c) -> chunks (chunk.c) -> out
 *
 * Invariants:
 *  1. A round that fails for want of memory leaves its columns' pages as they were and may be run again
 *     with the same rows: what a dictionary has learned meanwhile is what it will be told again.
 *  2. All that needs memory to end a row group or the file is made before the first byte of it is
 *     written: after that only `write` can fail, and that is for good.
 *  3. The pages of a chunk have one codec, and once its dictionary has become too large, no page after
 *     that uses it. */
#ifndef ARROWPORT_PARQUET_PRIVATE_H
#define ARROWPORT_PARQUET_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "parquet/choose.h"
#include "parquet/codec.h"
#include "parquet/dictionary.h"
#include "parquet/metadata.h"
#include "parquet/parquet.h"
#include "parquet/schema.h"
#include "parquet/shred.h"
#include "parquet/statistics.h"
#include "parquet/values.h"

/* A data page, kept until its row group is written. */
struct parquet_page {
  struct buffer bytes; /* header and body, from `start_bytes` on */
  int64_t start_bytes;
  struct buffer raw;        /* made but not sealed: the body before compression */
  int64_t raw_levels_bytes; /* of it, in front: levels, which V2 does not compress */
  int32_t rep_bytes, def_bytes;
  enum parquet_encoding encoding;
  int32_t uncompressed_bytes; /* without header */
  int64_t rows, value_count;  /* nulls counted */
  int64_t byte_array_bytes;
  struct parquet_statistics statistics;
  struct buffer
      histograms;       /* max_def + 1 counts, then max_rep + 1; empty where they say nothing new */
  struct buffer hashes; /* for the Bloom filter */
};
void parquet_page_release(struct parquet_page *page);
static inline int64_t parquet_page_size(const struct parquet_page *page) {
  return page->bytes.size_bytes - page->start_bytes;
}

/* A column of the file, and of its current row group the chunk. */
struct parquet_column {
  const struct parquet_leaf *leaf;
  bool wants_encoding, wants_bloom;
  enum parquet_encoding wanted;
  int64_t open_us; /* what opening took in the last round: the slowest come first in the next */

  bool is_chosen;
  struct parquet_choice choice;
  bool has_dictionary; /* pages use it */
  bool is_dictionary_full;
  bool has_unused; /* the dictionary may hold values that are in no page */
  bool is_codec_known;
  enum parquet_codec codec;
  struct parquet_dictionary *dictionary; /* NULL until it is needed */
  struct buffer pages;                   /* of struct parquet_page */
  int64_t kept_bytes;

  /* made when the row group ends */
  struct buffer dictionary_page; /* header and body, from `dictionary_start_bytes` on */
  int64_t dictionary_start_bytes;
  int64_t dictionary_uncompressed_bytes;
  struct buffer bloom;

  /* of all row groups that are done */
  int64_t compressed_bytes, value_count;
  struct parquet_statistics statistics;
};
static inline int64_t parquet_column_page_count(const struct parquet_column *column) {
  return column->pages.size_bytes / (int64_t)sizeof(struct parquet_page);
}
static inline struct parquet_page *parquet_column_pages(const struct parquet_column *column) {
  return (struct parquet_page *)(void *)column->pages.data;
}

/* What a thread needs for itself while it makes pages. */
struct parquet_lane {
  struct parquet_shredder shredder;
  struct parquet_levels levels;
  struct parquet_values values;  /* of the page */
  struct parquet_values entries; /* of a dictionary */
  struct buffer indices;         /* uint32_t, of the page */
  struct buffer work;            /* of encodings */
  struct buffer raw;             /* a page's body before compression */
  struct buffer map;     /* uint32_t by entry of an Arrow dictionary: its number, or none yet */
  struct buffer unknown; /* int64_t: entries without a number */
  struct buffer seen;    /* a byte by entry */
  const struct ArrowArray *mapped;
};

/* Rows that wait. */
struct parquet_pending {
  struct ArrowArray batch;
  int64_t next_row; /* those before are in pages */
  int64_t bytes;    /* of the whole batch */
};

/* A row group that is written, for the footer. */
struct parquet_group {
  int64_t row_count;
  int64_t offset_bytes;
  struct buffer chunks;         /* of struct parquet_chunk_info, one a leaf */
  struct buffer histograms;     /* that the chunks point into */
  struct buffer column_indexes; /* of all chunks, one behind the other */
  struct buffer offset_indexes;
};

struct parquet_writer {
  struct ArrowSchema arrow;
  struct parquet_options options;
  struct parquet_out out;
  struct budget *budget;
  struct parquet_schema *schema;
  struct parquet_column *columns; /* one a leaf */
  struct parquet_compressor *compressor;
  struct parquet_compressor *no_compressor;
  struct parquet_sorting *sorting;
  struct parquet_key_value *key_values; /* own copies */
  int64_t key_value_count;
  struct parquet_lane lanes[WORKERS_LANES_MAX];

  struct parquet_pending *pending;
  int64_t pending_count, pending_capacity;
  int64_t pending_rows, pending_bytes;
  struct ArrowArray
      *adding;        /* gets the last pending batch back when its rows are in pages; or NULL */
  int64_t group_rows; /* in pages of the current group */
  int64_t kept_bytes; /* of its pages and dictionaries */
  int64_t dictionary_bytes; /* of that, of dictionaries */

  struct buffer groups;   /* of struct parquet_group */
  int64_t rows_done;      /* in groups that are written */
  int64_t position_bytes; /* written */
  bool is_finished;
  struct error failure; /* for good; status OK: none */
};

static inline int64_t parquet_group_count(const struct parquet_writer *writer) {
  return writer->groups.size_bytes / (int64_t)sizeof(struct parquet_group);
}
static inline struct parquet_group *parquet_groups(const struct parquet_writer *writer) {
  return (struct parquet_group *)(void *)writer->groups.data;
}

/* ---- page.c ---------------------------------------------------------------------------------------- */

/* Consecutive rows of the pending batches: those of one page. */
struct parquet_rows {
  int64_t part; /* the first pending batch */
  int64_t row;  /* in it */
  int64_t rows;
  int64_t row_base; /* of the first row in the file */
};

/* The page's values, dense, in lane->values, and its levels in lane->levels. */
enum status parquet_page_read(struct parquet_writer *writer, struct parquet_lane *lane,
                              const struct parquet_column *column, const struct parquet_rows *rows,
                              struct error *error) WARN_UNUSED;

/* Whether an Arrow dictionary's entries are numbered once, and not its slots' values one by one. */
bool parquet_page_is_translated(const struct parquet_leaf *leaf);

/* Its body before compression: by the chunk's dictionary, into `page->raw`; or in another encoding, into
 * lane->raw. */
enum status parquet_page_make_indices(struct parquet_writer *writer, struct parquet_lane *lane,
                                      struct parquet_column *column,
                                      const struct parquet_rows *rows, struct parquet_page *page,
                                      struct error *error) WARN_UNUSED;
enum status parquet_page_make(struct parquet_writer *writer, struct parquet_lane *lane,
                              const struct parquet_column *column, const struct parquet_rows *rows,
                              struct parquet_page *page, struct error *error) WARN_UNUSED;

/* Compresses `raw` with the chunk's codec and puts the header before it: page->bytes. */
enum status parquet_page_seal(struct parquet_writer *writer, int lane_index,
                              const struct parquet_column *column, const struct buffer *raw,
                              struct parquet_page *page, struct error *error) WARN_UNUSED;

/* ---- round.c --------------------------------------------------------------------------------------- */

/* Makes pages of the first `rows` pending rows, which all belong into the current group. */
enum status parquet_round_run(struct parquet_writer *writer, int64_t rows, bool is_last,
                              struct error *error) WARN_UNUSED;

/* ---- chunk.c --------------------------------------------------------------------------------------- */

/* Writes the pages that there are as a row group, and forgets them. */
enum status parquet_group_write(struct parquet_writer *writer, struct error *error) WARN_UNUSED;
/* Indexes and footer: the end of the file. */
enum status parquet_end_write(struct parquet_writer *writer, struct error *error) WARN_UNUSED;
/* Forgets what the chunk has, for the next row group. */
void parquet_column_clear(struct parquet_column *column);
void parquet_column_release(struct parquet_column *column);
void parquet_group_release(struct parquet_group *group);

/* `bytes` of `data` to the caller's `write`; a failure is kept, and is for good. */
enum status parquet_write(struct parquet_writer *writer, const void *data, int64_t bytes,
                          struct error *error) WARN_UNUSED;

/* ---- options.c ------------------------------------------------------------------------------------- */

/* Reads the caller's options into the writer, whose schema and columns are there. */
enum status parquet_options_read(struct parquet_writer *writer,
                                 const struct parquet_options *options,
                                 struct error *error) WARN_UNUSED;
void parquet_options_release(struct parquet_writer *writer);

#endif
