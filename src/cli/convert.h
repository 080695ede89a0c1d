/* What the files of `convert` share: what is asked for, and where converted rows go. */
#ifndef ARROWPORT_CLI_CONVERT_H
#define ARROWPORT_CLI_CONVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/ipc.h"
#include "base/staged_file.h"
#include "cli/cli.h"
#include "parquet/parquet.h"
#include "source/source.h"

/* ---- what is asked for (convert_ask.c) -------------------------------------------------- */

enum convert_format { CONVERT_PARQUET, CONVERT_ARROW_FILE, CONVERT_ARROW_STREAM };

struct convert_asked {
  const char *in;
  const char *out;
  const char *from; /* NULL: found out */
  enum convert_format format;
  struct parquet_options parquet;  /* without workers */
  struct ipc_writer_options arrow; /* likewise */
  bool has_row_group_bytes;        /* it was said, rather than left to us */
  struct source_sort_key *sort;
  size_t sort_count;
  /* What `parquet` points to. */
  struct parquet_column_options *columns;
  struct parquet_sort_column *sorting;
  struct parquet_metadata_pair *metadata;
  char **texts; /* copies of options that were cut up */
  size_t text_count;
};

extern const struct cli_option CONVERT_OPTIONS[];

/* STATUS_INVALID names the option. To be released whatever happens. */
enum status convert_ask(const struct cli *cli, struct convert_asked *asked,
                        struct error *error) WARN_UNUSED;
void convert_asked_release(struct convert_asked *asked);

/* ---- where rows go (convert_out.c) ------------------------------------------------------- */

struct convert_out;

/* `staged`, `budget` and `workers` (NULL: the caller's thread alone) must outlive it. */
enum status convert_out_open(const struct convert_asked *asked, const struct ArrowSchema *schema,
                             struct staged_file *staged, struct budget *budget,
                             struct workers *workers, struct convert_out **out,
                             struct error *error) WARN_UNUSED;
/* Takes the batch over on STATUS_OK. STATUS_BUDGET may be repeated after convert_out_ease. */
enum status convert_out_add(struct convert_out *out, struct ArrowArray *batch,
                            struct error *error) WARN_UNUSED;
/* Lets go of memory: ends the row group. */
enum status convert_out_ease(struct convert_out *out, struct error *error) WARN_UNUSED;
enum status convert_out_finish(struct convert_out *out, struct error *error) WARN_UNUSED;
int64_t convert_out_parts(const struct convert_out *out); /* row groups, or batches */
void convert_out_free(struct convert_out *out);           /* NULL is allowed */

#endif
