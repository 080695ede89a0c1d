#include "pipeline/pipeline.h"

struct load_spec pipeline_load_spec(const struct pipeline_target *target,
                                    const struct ArrowSchema *schema) {
  return (struct load_spec){
      .table = target->table,
      .schema = schema,
      .mode = target->mode,
      .create_table = target->create_table,
      .chunk_rows = target->chunk_rows,
      .keys = target->keys,
      .key_count = target->key_count,
      .refuse_duplicates = target->refuse_duplicates,
      .policy = target->policy,
      .token = target->token,
  };
}

static enum status begin(struct source *source, const struct pipeline_target *target,
                         struct load **load, struct error *error) {
  struct load_spec spec = pipeline_load_spec(target, source_schema(source));
  return load_begin(target->sink, &spec, load, error);
}

/* Appends batches until the source ends. */
static enum status drain(struct source *source, struct load *load,
                         const struct pipeline_progress *progress, struct error *error) {
  int64_t rows = 0;
  for (int64_t batches = 1;; batches++) {
    struct ArrowArray batch = {.release = NULL};
    enum status status = source_next(source, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) return status;
    rows += batch.length;
    status = load_append(load, &batch, error);
    if (status != STATUS_OK) {
      arrow_array_release(&batch);
      return status;
    }
    if (progress != NULL && !progress->report(progress->context, rows, batches))
      return error_set(error, STATUS_CANCELLED,
                       "the load was cancelled after %lld rows; nothing "
                       "of it remains",
                       (long long)rows);
  }
}

enum status pipeline_run(struct source *source, const struct pipeline_target *target,
                         const struct pipeline_progress *progress, struct load_result *result,
                         struct error *error) {
  struct load *load = NULL;
  enum status status = begin(source, target, &load, error);
  if (status != STATUS_OK) return status;
  status = drain(source, load, progress, error);
  if (status == STATUS_OK) return load_commit(load, result, error);
  load_abort(load);
  return status;
}
