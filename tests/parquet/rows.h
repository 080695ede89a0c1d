/* Record batches for tests of the writer: all ways in which a column can lie, values that can be told. */
#ifndef ARROWPORT_TESTS_PARQUET_ROWS_H
#define ARROWPORT_TESTS_PARQUET_ROWS_H

#include <stdint.h>

#include "arrow/abi.h"
#include "base/buffer.h"

/* id int64 (required), word utf8, amount float64, tags list<utf8>, kind dictionary<int8, utf8>,
 * place struct<x: int32, y: float32>, flag bool. */
void rows_schema(struct ArrowSchema *schema);
/* Rows [first, first + count); every seventh has nulls. Fails the test without memory. */
void rows_batch(int64_t first, int64_t count, struct budget *budget, struct ArrowArray *batch);

#endif
