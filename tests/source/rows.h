/* Batches of one column of int64 that count how often they are released, and the messages
 * that they make, for tests of who owns what. Every call fails the running test when it
 * cannot be done. */
#ifndef ARROWPORT_TESTS_SOURCE_ROWS_H
#define ARROWPORT_TESTS_SOURCE_ROWS_H

#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"

/* What all of it is charged to. */
extern struct budget rows_budget;

/* A struct with the field "id", int64. */
struct ArrowSchema rows_schema(void);

/* The numbers from `first` on; `released` (NULL is allowed) is raised by the release. */
struct ArrowArray rows_batch(int64_t first, int64_t rows, int *released);

/* A whole stream or file of `batches` batches of so many rows, from 0 on. */
struct buffer rows_written(int batches, int64_t rows, const struct ipc_writer_options *options);

/* Whether the batch holds the numbers from `first` on. */
void expect_rows(const struct ArrowArray *batch, int64_t first, int64_t rows);

/* Fails the test unless `text` contains `said`. */
void expect_said(const char *text, const char *said);

#endif
