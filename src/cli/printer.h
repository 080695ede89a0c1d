/* Record batches to standard output, in one of the forms that `query` offers. */
#ifndef ARROWPORT_CLI_PRINTER_H
#define ARROWPORT_CLI_PRINTER_H

#include "arrow/abi.h"
#include "arrow/ipc.h"
#include "base/buffer.h"
#include "base/status.h"

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_NDJSON, FORMAT_CSV, FORMAT_ARROW };

/* NULL: a table on a terminal, CSV otherwise. STATUS_INVALID lists those there are, and
 * for Arrow on a terminal. */
enum status format_parse(const char *name, enum format *format, struct error *error) WARN_UNUSED;
/* What a server is asked for; a table is made here, from Arrow. */
const char *format_media_type(enum format format);

struct printer_options {
  enum format format;
  int64_t rows_max;                      /* FORMAT_TABLE: as many are shown */
  struct ipc_writer_options compression; /* FORMAT_ARROW */
  struct budget *budget;
};

struct printer;
enum status printer_new(const struct ArrowSchema *schema, const struct printer_options *options,
                        struct printer **printer, struct error *error) WARN_UNUSED;
void printer_free(struct printer *printer); /* NULL is allowed */
enum status printer_batch(struct printer *printer, const struct ArrowArray *batch,
                          struct error *error) WARN_UNUSED;
enum status printer_end(struct printer *printer, struct error *error) WARN_UNUSED;

#endif
