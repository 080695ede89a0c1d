/* Writers of converted rows: Parquet, and Arrow streams and files. */
#include <stdlib.h>

#include "cli/convert.h"

struct convert_out {
  struct staged_file *staged;
  struct parquet_writer *parquet; /* one of the two */
  struct ipc_writer *arrow;
  struct buffer bytes; /* of the Arrow messages that are on their way */
  int64_t batches;
};

static enum status write_bytes(void *context, const void *data, int64_t bytes,
                               struct error *error) {
  return staged_write(context, data, bytes, error);
}

static enum status flush(struct convert_out *out, struct error *error) {
  int64_t bytes = out->bytes.size_bytes;
  out->bytes.size_bytes = 0;
  return bytes == 0 ? STATUS_OK : staged_write(out->staged, out->bytes.data, bytes, error);
}

static enum status open_parquet(struct convert_out *out, const struct convert_asked *asked,
                                const struct ArrowSchema *schema, struct budget *budget,
                                struct workers *workers, struct error *error) {
  /* Row groups that fit the memory there is, unless somebody knows better. */
  struct parquet_options options = asked->parquet;
  const struct parquet_out to = {.write = write_bytes, .context = out->staged};
  if (!asked->has_row_group_bytes && options.row_group_bytes > budget->limit_bytes / 4)
    options.row_group_bytes = budget->limit_bytes / 4;
  options.workers = workers;
  options.is_checked = true;
  return parquet_writer_new(schema, &options, &to, budget, &out->parquet, error);
}

static enum status open_arrow(struct convert_out *out, const struct convert_asked *asked,
                              const struct ArrowSchema *schema, struct budget *budget,
                              struct workers *workers, struct error *error) {
  struct ipc_writer_options options = asked->arrow;
  options.workers = workers;
  enum status status = ipc_writer_new(schema, &options, budget, &out->arrow, error);
  if (status == STATUS_OK) status = ipc_writer_schema(out->arrow, &out->bytes, error);
  return status == STATUS_OK ? flush(out, error) : status;
}

enum status convert_out_open(const struct convert_asked *asked, const struct ArrowSchema *schema,
                             struct staged_file *staged, struct budget *budget,
                             struct workers *workers, struct convert_out **out,
                             struct error *error) {
  struct convert_out *made = calloc(1, sizeof *made);
  *out = NULL;
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory to write a file");
  made->staged = staged;
  enum status status = asked->format == CONVERT_PARQUET
                           ? open_parquet(made, asked, schema, budget, workers, error)
                           : open_arrow(made, asked, schema, budget, workers, error);
  if (status == STATUS_OK)
    *out = made;
  else
    convert_out_free(made);
  return status;
}

enum status convert_out_add(struct convert_out *out, struct ArrowArray *batch,
                            struct error *error) {
  enum status status = out->parquet != NULL
                           ? parquet_writer_add(out->parquet, batch, error)
                           : ipc_writer_batch(out->arrow, batch, &out->bytes, error);
  if (status != STATUS_OK || out->parquet != NULL) return status;
  status = flush(out, error);
  if (status != STATUS_OK) return status;
  out->batches++;
  arrow_array_release(batch);
  return STATUS_OK;
}

enum status convert_out_ease(struct convert_out *out, struct error *error) {
  if (out->parquet != NULL) return parquet_writer_end_group(out->parquet, error);
  buffer_release(&out->bytes);
  return STATUS_OK;
}

enum status convert_out_finish(struct convert_out *out, struct error *error) {
  if (out->parquet != NULL) return parquet_writer_finish(out->parquet, error);
  enum status status = ipc_writer_end(out->arrow, &out->bytes, error);
  return status == STATUS_OK ? flush(out, error) : status;
}

int64_t convert_out_parts(const struct convert_out *out) {
  struct parquet_progress progress;
  if (out->parquet == NULL) return out->batches;
  parquet_writer_progress(out->parquet, &progress);
  return progress.row_groups;
}

void convert_out_free(struct convert_out *out) {
  if (out == NULL) return;
  parquet_writer_free(out->parquet);
  ipc_writer_free(out->arrow);
  buffer_release(&out->bytes);
  free(out);
}
