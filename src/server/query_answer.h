/* What /query answers with: a result drawn and encoded, a buffer at a time, within limits. Runs
 * on a worker; no loop, no HTTP. */
#ifndef ARROWPORT_SERVER_QUERY_ANSWER_H
#define ARROWPORT_SERVER_QUERY_ANSWER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arrow/encode.h"
#include "arrow/ipc.h"
#include "engine/engine.h"
#include "server/query_ask.h"

struct query_answer {
  /* given */
  enum query_output output;
  struct query_options options;
  int64_t bytes_max;  /* 0: no limit */
  const char *folder; /* where a Parquet file may lie until it is sent; NULL: TMPDIR */
  int64_t parquet_memory_bytes;
  struct budget *budget;
  atomic_bool *parquet_busy;      /* one Parquet file is written at a time */
  bool (*stopped)(void *context); /* waiting for memory is of no use any more */
  void *context;
  /* its own */
  struct engine_result *result; /* set by the caller; closed by query_answer_close */
  struct ArrowArray batch;      /* drawn and not yet encoded */
  struct ipc_writer *writer;    /* QUERY_ARROW */
  struct encoder *encoder;      /* JSON, NDJSON, CSV */
  int file;                     /* QUERY_PARQUET: nobody else knows it; -1: none */
  int64_t file_bytes, file_read_bytes;
  int64_t drawn_rows, encoded_bytes;
  _Atomic int64_t rows; /* encoded */
};

void query_answer_init(struct query_answer *answer);
/* Begins to encode `result`, into `out` where the form has something before its first row. A
 * Parquet file is written whole here. STATUS_TOO_LARGE names the limit that was passed and its
 * setting. */
enum status query_answer_begin(struct query_answer *answer, struct buffer *out,
                               struct error *error) WARN_UNUSED;
/* Appends the next batch, or the end; waits for memory for a while when others hold it all. */
enum status query_answer_step(struct query_answer *answer, struct buffer *out, bool *ended,
                              struct error *error) WARN_UNUSED;
/* Closes the result, whose session may go then. */
void query_answer_close(struct query_answer *answer);
void query_answer_release(struct query_answer *answer); /* the rest; twice does nothing */

#endif
