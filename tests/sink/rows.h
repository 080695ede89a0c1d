/* Rows of a few columns, by the letter: what the parts of the sinks' suite send. */
#ifndef ARROWPORT_TESTS_SINK_ROWS_H
#define ARROWPORT_TESTS_SINK_ROWS_H

#include "base/buffer.h"
#include "sink/sink.h"

/* A column is sent when its letter is in `columns`, "nab", "na_":
 *   n  number, the key      a  text            b  number, from b
 *   i  column "b" again, as 32 bits            d  date in milliseconds, from b
 *   x  text, as a           _  column "_op", from op
 * NULL texts, and NUL for a number, are NULL. */
struct row {
  int64_t n;
  const char *a;
  int64_t b;
  const char *op;
};
enum { NUL = INT64_MIN };

/* Charged for every batch that is made here. */
extern struct budget rows_budget;

void rows_ok(enum status status, const struct error *error); /* fails the test unless STATUS_OK */
void rows_schema(const char *columns, struct ArrowSchema *schema);
struct ArrowArray rows_batch(const struct ArrowSchema *schema, const char *columns,
                             const struct row *rows, size_t count);

#endif
