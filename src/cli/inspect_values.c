/* The rows as NDJSON, and nothing else on standard output. A batch is encoded some rows at
 * a time: its text may be many times as large as it is. */
#include <stdlib.h>

#include "arrow/encode.h"
#include "arrow/schema.h"
#include "cli/cli.h"
#include "cli/inspect.h"

enum { ROWS_AT_ONCE = 1024 };

struct values_report {
  struct inspect_report report;
  struct budget *budget;
  struct encoder *encoder;
  struct buffer out;
  int64_t rows; /* written */
};

static enum status values_message(struct inspect_report *base, const struct inspect *inspect,
                                  const struct inspect_message *message, struct error *error) {
  struct values_report *report = (struct values_report *)base;
  if (report->encoder != NULL || message->verdict != INSPECT_GOOD) return STATUS_OK;
  enum status status =
      encoder_new(ENCODE_NDJSON, &inspect->schema.schema, report->budget, &report->encoder, error);
  return status == STATUS_OK ? encoder_begin(report->encoder, &report->out, error) : status;
}

static enum status write_rows(struct values_report *report, const struct ArrowArray *rows,
                              struct error *error) {
  report->out.size_bytes = 0;
  enum status status = encoder_batch(report->encoder, rows, &report->out, error);
  if (status == STATUS_OK)
    status = cli_write(report->out.data, (size_t)report->out.size_bytes, error);
  if (status == STATUS_OK) report->rows += rows->length;
  return status;
}

static enum status values_batch(struct inspect_report *base, const struct inspect *inspect,
                                struct ArrowArray *batch, bool *enough, struct error *error) {
  struct values_report *report = (struct values_report *)base;
  struct arrow_shared *shared = NULL;
  int64_t wanted = inspect->options.rows_max - report->rows;
  if (wanted > batch->length) wanted = batch->length;
  enum status status = arrow_shared_new(batch, &shared, error);
  for (int64_t at = 0; at < wanted && status == STATUS_OK; at += ROWS_AT_ONCE) {
    struct ArrowArray rows = {.release = NULL};
    int64_t count = wanted - at < ROWS_AT_ONCE ? wanted - at : ROWS_AT_ONCE;
    status = arrow_shared_slice(shared, at, count, &rows, error);
    if (status == STATUS_OK) status = write_rows(report, &rows, error);
    if (rows.release != NULL) arrow_array_release(&rows);
  }
  arrow_shared_release(shared);
  *enough = report->rows == inspect->options.rows_max;
  return status;
}

static enum status values_end(struct inspect_report *base, const struct inspect *inspect,
                              struct error *error) {
  (void)base;
  (void)inspect;
  (void)error;
  return STATUS_OK;
}

static void values_free(struct inspect_report *base) {
  struct values_report *report = (struct values_report *)base;
  encoder_free(report->encoder);
  buffer_release(&report->out);
  free(report);
}

static const struct inspect_report_type type = {
    .message = values_message, .batch = values_batch, .end = values_end, .free = values_free};

enum status inspect_values_new(struct budget *budget, struct inspect_report **report,
                               struct error *error) {
  struct values_report *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a report");
  made->report.type = &type;
  made->budget = budget;
  *report = &made->report;
  return STATUS_OK;
}
