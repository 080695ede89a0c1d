/* Reads an Arrow IPC stream and writes its rows as text:
 *
 *   ipc_encode json|ndjson|csv <stream >text
 *
 * Exits with the status table's code, after one line on standard error. */
#include <string.h>

#include "arrow/encode.h"
#include "stream_in.h"

struct encoding {
  struct budget budget;
  enum encode_format format;
  struct encoder *encoder;
  struct buffer out;
};

static enum status begin(void *context, const struct ArrowSchema *schema, struct error *error) {
  struct encoding *encoding = context;
  enum status status =
      encoder_new(encoding->format, schema, &encoding->budget, &encoding->encoder, error);
  return status == STATUS_OK ? encoder_begin(encoding->encoder, &encoding->out, error) : status;
}

static enum status write_batch(void *context, struct ArrowArray *batch, struct error *error) {
  struct encoding *encoding = context;
  enum status status = encoder_batch(encoding->encoder, batch, &encoding->out, error);
  return status == STATUS_OK ? stream_in_print(&encoding->out, error) : status;
}

static enum status read_format(int count, char **arguments, enum encode_format *format,
                               struct error *error) {
  static const char *const names[] = {
      [ENCODE_JSON] = "json", [ENCODE_NDJSON] = "ndjson", [ENCODE_CSV] = "csv"};
  for (int i = 0; count == 2 && i < 3; i++) {
    if (strcmp(arguments[1], names[i]) != 0) continue;
    *format = (enum encode_format)i;
    return STATUS_OK;
  }
  return error_set(error, STATUS_INVALID, "say json, ndjson or csv");
}

int main(int count, char **arguments) {
  struct encoding encoding = {.budget = {.limit_bytes = (int64_t)4 << 30}};
  struct stream_in in = {
      .budget = &encoding.budget, .schema = begin, .batch = write_batch, .context = &encoding};
  struct error error = {0};
  enum status status = read_format(count, arguments, &encoding.format, &error);
  if (status == STATUS_OK) status = stream_in_run(&in, &error);
  if (status == STATUS_OK) status = encoder_end(encoding.encoder, &encoding.out, &error);
  if (status == STATUS_OK) status = stream_in_print(&encoding.out, &error);
  encoder_free(encoding.encoder);
  buffer_release(&encoding.out);
  if (status == STATUS_OK && encoding.budget.used_bytes != 0)
    status = error_set(&error, STATUS_INTERNAL, "%lld bytes were not given back",
                       (long long)encoding.budget.used_bytes);
  if (status != STATUS_OK) fprintf(stderr, "%s: %s\n", status_name(status), error.text);
  return status_exit(status);
}
