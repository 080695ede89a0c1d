#include "cli/printer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arrow/encode.h"
#include "arrow/table.h"
#include "cli/cli.h"

static const struct {
  const char *name;
  const char *media_type;
} formats[] = {
    [FORMAT_TABLE] = {"table", "application/vnd.apache.arrow.stream"},
    [FORMAT_JSON] = {"json", "application/json"},
    [FORMAT_NDJSON] = {"ndjson", "application/x-ndjson"},
    [FORMAT_CSV] = {"csv", "text/csv"},
    [FORMAT_ARROW] = {"arrow", "application/vnd.apache.arrow.stream"},
};
enum { FORMAT_COUNT = sizeof formats / sizeof formats[0] };

enum status format_parse(const char *name, enum format *format, struct error *error) {
  bool terminal = isatty(STDOUT_FILENO) != 0;
  if (name == NULL) {
    *format = terminal ? FORMAT_TABLE : FORMAT_CSV;
    return STATUS_OK;
  }
  size_t i = 0;
  while (i < FORMAT_COUNT && strcmp(formats[i].name, name) != 0) i++;
  if (i == FORMAT_COUNT)
    return error_set(error, STATUS_INVALID,
                     "'%.100s' is not a format; table, json, ndjson, csv and arrow are", name);
  if (i == FORMAT_ARROW && terminal)
    return error_set(error, STATUS_INVALID,
                     "Arrow is not for a terminal; send it to a file or a program (> FILE.arrows)");
  *format = (enum format)i;
  return STATUS_OK;
}

const char *format_media_type(enum format format) { return formats[format].media_type; }

struct printer {
  bool has_columns; /* CREATE, INSERT and the like have none */
  struct table *table;
  struct encoder *encoder;
  struct ipc_writer *writer;
  struct buffer out;
};

void printer_free(struct printer *printer) {
  if (printer == NULL) return;
  table_free(printer->table);
  encoder_free(printer->encoder);
  ipc_writer_free(printer->writer);
  buffer_release(&printer->out);
  free(printer);
}

static enum status flush(struct printer *printer, struct error *error) {
  enum status status = cli_write(printer->out.data, (size_t)printer->out.size_bytes, error);
  printer->out.size_bytes = 0;
  return status;
}

static enum status start(struct printer *printer, const struct ArrowSchema *schema,
                         const struct printer_options *options, struct error *error) {
  printer->has_columns = schema->n_children > 0;
  if (options->format == FORMAT_TABLE) {
    const struct table_options table = {
        .rows_max = options->rows_max, .hint = "--rows shows more", .budget = options->budget};
    return table_new(schema, &table, &printer->table, error);
  }
  enum status status;
  if (options->format == FORMAT_ARROW) {
    status =
        ipc_writer_new(schema, &options->compression, options->budget, &printer->writer, error);
    if (status == STATUS_OK) status = ipc_writer_schema(printer->writer, &printer->out, error);
  } else {
    static const enum encode_format text_formats[] = {
        [FORMAT_JSON] = ENCODE_JSON, [FORMAT_NDJSON] = ENCODE_NDJSON, [FORMAT_CSV] = ENCODE_CSV};
    status = encoder_new(text_formats[options->format], schema, options->budget, &printer->encoder,
                         error);
    if (status == STATUS_OK) status = encoder_begin(printer->encoder, &printer->out, error);
  }
  return status == STATUS_OK ? flush(printer, error) : status;
}

enum status printer_new(const struct ArrowSchema *schema, const struct printer_options *options,
                        struct printer **printer, struct error *error) {
  struct printer *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a result");
  enum status status = start(made, schema, options, error);
  if (status == STATUS_OK)
    *printer = made;
  else
    printer_free(made);
  return status;
}

enum status printer_batch(struct printer *printer, const struct ArrowArray *batch,
                          struct error *error) {
  if (printer->table != NULL) return table_add(printer->table, batch, error);
  enum status status = printer->writer != NULL
                           ? ipc_writer_batch(printer->writer, batch, &printer->out, error)
                           : encoder_batch(printer->encoder, batch, &printer->out, error);
  return status == STATUS_OK ? flush(printer, error) : status;
}

enum status printer_end(struct printer *printer, struct error *error) {
  if (printer->table != NULL) {
    struct text text = TEXT_EMPTY;
    enum status status = printer->has_columns
                             ? table_print(printer->table, cli_terminal_width(), &text, error)
                             : text_add(&text, "done\n", error);
    if (status == STATUS_OK) status = cli_print(&text, error);
    text_release(&text);
    return status;
  }
  enum status status = printer->writer != NULL
                           ? ipc_writer_end(printer->writer, &printer->out, error)
                           : encoder_end(printer->encoder, &printer->out, error);
  return status == STATUS_OK ? flush(printer, error) : status;
}
