/* Parquet files for C programs: record batches in, a file out, encoded by several threads, in memory that is
 * bounded by the row group.
 *
 * A writer writes into a file, which is there once it is whole, or hands its bytes on as they come; nothing
 * is sought. All Arrow types that Parquet holds exactly are written, the others refused by name
 * (docs/parquet.md).
 *
 * One writer is used by one thread at a time; functions of yours are called on the thread that called.
 * Errors are as in arrowport.h; where the functions below name none, ARROWPORT_NOMEM is meant. */
#ifndef ARROWPORT_PARQUET_H
#define ARROWPORT_PARQUET_H

#include "arrowport/arrowport.h"
#include "arrowport/c_data.h"

#ifdef __cplusplus
extern "C" {
#endif

struct arrowport_parquet_writer;

/* What is said of single columns. `path` is a column, or a field inside of one ("address.city"); of a
 * column with fields all of them are meant. */
struct arrowport_parquet_column_options {
  const char *path;
  const char *encoding; /* "plain", "dictionary", "delta", "delta_length", "delta_bytes", "split",
                         * "rle"; NULL: chosen by what the values are */
  bool bloom;           /* a Bloom filter */
};

struct arrowport_parquet_sort_column {
  const char *path;
  bool descending, nulls_first;
};

/* Everything is read when a writer is opened, and not needed any more. 0, NULL and false are the defaults. */
struct arrowport_parquet_writer_options {
  size_t struct_size;
  const char *compression;      /* "zstd" (also when NULL), "snappy", "lz4", "gzip", "none" */
  int level;                    /* ZSTD: 1 to 22, GZIP: 1 to 9; 0: 1 and 6 */
  int64_t row_group_rows;       /* a row group ends at so many rows at the latest; 0: 1,048,576 */
  int64_t row_group_bytes;      /* or at about so many bytes; 0: 128 MiB */
  int64_t page_values;          /* a data page ends at so many values; 0: 65,536 */
  int64_t page_bytes;           /* or at so many bytes before encoding; 0: 1 MiB */
  int64_t dictionary_bytes_max; /* of one dictionary, about; 0: 2 MiB, negative: no dictionaries */
  bool compatible;              /* only what old readers take */
  int page_version;             /* of data pages, 1 or 2; 0: 1 */
  bool always_compress; /* also columns that gain less than 5 % by it, which are left as they are */
  bool no_checksums;
  bool no_statistics; /* nor indexes */
  bool no_page_index;
  bool no_arrow_schema; /* leave out ARROW:schema, which readers take exact Arrow types from */
  int bound_bytes_max;  /* longer minima and maxima of texts are cut; 0: 64, which is the most */
  double bloom_false_positives; /* 0: 0.01 */
  int64_t bloom_bytes_max;      /* of one filter; 0: 1 MiB */
  const struct arrowport_parquet_column_options *columns;
  size_t column_count;
  /* The order that the rows are in, which is believed and said in the file. */
  const struct arrowport_parquet_sort_column *sorting;
  size_t sorting_count;
  const struct arrowport_setting *metadata; /* of the file, beside the schema's own */
  size_t metadata_count;
  int threads;              /* that encode; 0: one for each core, 1: the caller's */
  int64_t memory_bytes_max; /* of what is on its way, batches not counted; 0: 1 GiB */
  bool is_checked; /* the batches are known to be what their schema says (arrowport_array_check with
                    * `full`): values are not looked at again */
  bool keep_existing; /* a file that is there is left as it is: ARROWPORT_CONFLICT */
};

/* Writes all of `bytes` bytes; returns 0, or anything else when that failed, after which the writer is
 * of no use. */
typedef int (*arrowport_parquet_write)(void *context, const void *data, int64_t bytes);

/* The schema, a struct, is copied. `options` and `error` may be NULL. Nothing is written yet.
 * ARROWPORT_UNSUPPORTED names a field that Parquet cannot hold exactly, ARROWPORT_INVALID an option and
 * what is wrong with it, ARROWPORT_NOT_FOUND an option's column that is not there. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_parquet_writer_open(const struct ArrowSchema *schema, arrowport_parquet_write write,
                              void *context, const struct arrowport_parquet_writer_options *options,
                              struct arrowport_parquet_writer **writer,
                              struct arrowport_error *error);

/* The same into the file `path`. It is written under another name beside it and, when it is finished,
 * synced and renamed: a file that was there is replaced in one step, unless `keep_existing` is set, and
 * one that was not finished is removed. A pipe or a device is written straight. Also
 * ARROWPORT_NOT_FOUND: its folder is not there; ARROWPORT_DENIED; ARROWPORT_CONFLICT; ARROWPORT_IO. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_parquet_writer_open_path(const struct ArrowSchema *schema, const char *path,
                                   const struct arrowport_parquet_writer_options *options,
                                   struct arrowport_parquet_writer **writer,
                                   struct arrowport_error *error);

/* The next rows, a struct array of the schema. Taken on ARROWPORT_OK, and released when they have been
 * encoded; on failure it stays the caller's. ARROWPORT_INVALID: the batch is not what the schema
 * says; ARROWPORT_SCHEMA names column and row of a null or a value that cannot be; ARROWPORT_IO: writing
 * failed. After ARROWPORT_BUDGET and ARROWPORT_NOMEM the call may be repeated (end a row group before);
 * what failed while bytes were written fails every further call. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_parquet_writer_add(struct arrowport_parquet_writer *writer, struct ArrowArray *batch,
                             struct arrowport_error *error);

/* All rows of a stream whose schema is the writer's (names, types, nullability): ARROWPORT_SCHEMA says
 * where it differs, and nothing was taken. The stream is released, whatever comes of it; what had come
 * of it before a failure is in the writer. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_parquet_writer_add_stream(struct arrowport_parquet_writer *writer,
                                    struct ArrowArrayStream *stream, struct arrowport_error *error);

/* Ends the row group here, if it has rows. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_parquet_writer_end_row_group(struct arrowport_parquet_writer *writer,
                                       struct arrowport_error *error);

/* What is left, and the footer; a file is on disk and under its name. May be repeated after
 * ARROWPORT_BUDGET and ARROWPORT_NOMEM. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_parquet_writer_finish(struct arrowport_parquet_writer *writer,
                                struct arrowport_error *error);

/* Also of one that was not finished, whose bytes are no Parquet file then. NULL is allowed. */
ARROWPORT_EXPORT void arrowport_parquet_writer_close(struct arrowport_parquet_writer *writer);

/* ---- what was written ------------------------------------------------------------ */

struct arrowport_parquet_progress {
  size_t struct_size;
  int64_t rows;       /* taken */
  int64_t row_groups; /* written */
  int64_t bytes;      /* written */
  int64_t kept_bytes; /* encoded, in memory */
};

/* How far it is, at any time. ARROWPORT_INVALID without a struct_size. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_parquet_writer_progress(const struct arrowport_parquet_writer *writer,
                                  struct arrowport_parquet_progress *progress,
                                  struct arrowport_error *error);

/* One column of the finished file (a leaf of the schema), as table formats ask for it. All of it is the
 * writer's. */
struct arrowport_parquet_column {
  size_t struct_size;
  const char *path; /* as in the file: "tags.list.element" */
  int32_t field_id; /* INT32_MIN: none */
  const char *type; /* physical: "INT64", "BYTE_ARRAY" */
  int64_t compressed_bytes;
  int64_t values; /* nulls counted */
  int64_t nulls;
  int64_t nans; /* -1: the column has no floats */
  bool has_bounds;
  bool min_is_exact, max_is_exact; /* false: cut, and still a bound */
  const void *min, *max;           /* as the encoding PLAIN has them; texts without their length */
  int32_t min_bytes, max_bytes;
};

/* How many columns there are: leaves of the schema. */
ARROWPORT_EXPORT int32_t
arrowport_parquet_writer_column_count(const struct arrowport_parquet_writer *writer);
/* Column number `column` of a finished file. ARROWPORT_INVALID: it is not finished, or there is none of
 * that number. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_parquet_writer_column(const struct arrowport_parquet_writer *writer, int32_t column,
                                struct arrowport_parquet_column *about,
                                struct arrowport_error *error);

#ifdef __cplusplus
}
#endif

#endif
