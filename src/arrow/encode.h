/* Record batches as text, for people and for clients without Arrow: JSON, NDJSON,
 * CSV. Bytes out only; nothing here knows where they go.
 *
 * Values are exact. 64-bit integers are written with all their digits; decimals are
 * strings ("12.340", their scale kept); floats are the shortest text that reads back
 * to the same number, always with a point or an exponent; NaN and infinities, which JSON lacks, are the strings "NaN",
 * "Infinity", "-Infinity". Dates and times are ISO 8601 strings with as many
 * fraction digits as the unit has ("2026-03-01", "2026-03-01T12:00:00.000001", with
 * a zone: in UTC with "Z"; years past four digits with a sign: "+12026-03-01");
 * durations and intervals are ISO 8601 durations ("PT1H30M", "P1M2DT0.500S"); binary
 * is base64. Lists and list views are arrays, structs objects, maps arrays of {"key",
 * "value"}, a union's value an object of one field that has its member's name. What is
 * dictionary- or run-end encoded is written as the values that are meant.
 * Two columns of one name become "a" and "a_1": an object cannot hold both. Text that
 * is not UTF-8 has U+FFFD in place of each byte that is not. */
#ifndef ARROWPORT_ARROW_ENCODE_H
#define ARROWPORT_ARROW_ENCODE_H

#include "arrow/abi.h"
#include "base/buffer.h"
#include "base/status.h"

enum encode_format {
  ENCODE_JSON,   /* one array of one object a row */
  ENCODE_NDJSON, /* one object a line */
  ENCODE_CSV     /* RFC 4180: header line, CRLF, quotes where needed; NULL is empty, an
                  * empty string is "" in quotes; nested values are JSON. A NULL in
                  * the only column is an empty line, which some readers skip */
};

struct encoder;

/* `schema` is a struct; it is copied. STATUS_UNSUPPORTED names a column of decimals whose
 * scale is beyond reading. */
enum status encoder_new(enum encode_format format, const struct ArrowSchema *schema,
                        struct budget *budget, struct encoder **encoder,
                        struct error *error) WARN_UNUSED;
void encoder_free(struct encoder *encoder); /* NULL is allowed */

/* Each appends to `out`: what comes before the rows, rows, what comes after them. A
 * failure leaves `out` as it was; after STATUS_BUDGET the call may be repeated.
 * STATUS_INVALID when the batch is not of the schema. The batch stays the caller's. */
enum status encoder_begin(struct encoder *encoder, struct buffer *out,
                          struct error *error) WARN_UNUSED;
enum status encoder_batch(struct encoder *encoder, const struct ArrowArray *batch,
                          struct buffer *out, struct error *error) WARN_UNUSED;
enum status encoder_end(struct encoder *encoder, struct buffer *out,
                        struct error *error) WARN_UNUSED;

#endif
