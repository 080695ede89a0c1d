#include "sink/null.h"

#include <stdlib.h>

struct null_load {
  struct load base;
  int64_t columns; /* of the schema */
  struct load_result result;
};

static enum status null_open(const struct config *config, struct sink **out, struct error *error) {
  (void)config;
  struct sink *sink = calloc(1, sizeof *sink);
  if (sink == NULL) return error_set(error, STATUS_NOMEM, "no memory for a sink");
  sink->type = &SINK_NULL;
  *out = sink;
  return STATUS_OK;
}

static void null_close(struct sink *sink) { free(sink); }

static enum status null_begin(struct sink *sink, const struct load_spec *spec, struct load **out,
                              struct error *error) {
  struct null_load *load = calloc(1, sizeof *load);
  if (load == NULL) return error_set(error, STATUS_NOMEM, "no memory for a load");
  load->base.sink = sink;
  load->columns = spec->schema->n_children;
  load->result.version = -1;
  *out = &load->base;
  return STATUS_OK;
}

static enum status null_append(struct load *base, struct ArrowArray *batch, struct error *error) {
  struct null_load *load = (struct null_load *)base;
  if (batch->n_children != load->columns)
    return error_set(error, STATUS_SCHEMA, "the batch has %lld columns, its schema %lld",
                     (long long)batch->n_children, (long long)load->columns);
  load->result.rows += batch->length;
  load->result.batches++;
  arrow_array_release(batch);
  return STATUS_OK;
}

static enum status null_commit(struct load *load, struct load_result *result, struct error *error) {
  (void)error;
  *result = ((struct null_load *)load)->result;
  free(load);
  return STATUS_OK;
}

static void null_abort(struct load *load) { free(load); }

static const struct config_field null_config[] = {CONFIG_FIELD_END};

const struct sink_type SINK_NULL = {
    .name = "null",
    .summary = "decodes and checks what comes, counts it and drops it",
    .modes = SINK_APPEND | SINK_OVERWRITE,
    .traits = SINK_TOKENS, /* what is dropped twice is not there twice */
    .config = null_config,
    .open = null_open,
    .close = null_close,
    .begin = null_begin,
    .append = null_append,
    .commit = null_commit,
    .abort = null_abort,
};
