/* A load that commits each of its record batches: a load of its own for each, whose token, where the
 * request has one, is the request's with the batch's number. A repeated request then adds only what
 * is missing. */
#include "arrow/schema.h"
#include "pipeline/private.h"

/* `*refused`: its schema does not fit; no value was looked at. */
static enum status load_one(struct intake *intake, const char *token, struct ArrowArray *batches,
                            int64_t count, struct load_result *result, bool *refused) {
  struct pipeline_target target = intake->options.target;
  target.token = token;
  struct load_spec spec = pipeline_load_spec(&target, ipc_decoder_schema(intake->decoder));
  if (target.mode == SINK_APPEND) {
    struct parcel parcel = {.schema = spec.schema,
                            .batches = batches,
                            .batch_count = count,
                            .token = token,
                            .error = &intake->error};
    sink_land(target.sink, &spec, &parcel, 1);
    *result = parcel.result;
    *refused = parcel.schema_refused;
    return parcel.status;
  }
  struct load *load = NULL;
  enum status status = load_begin(target.sink, &spec, &load, &intake->error);
  *refused = status == STATUS_SCHEMA;
  for (int64_t i = 0; i < count && status == STATUS_OK; i++)
    status = load_append(load, &batches[i], &intake->error);
  if (status == STATUS_OK) return load_commit(load, result, &intake->error);
  load_abort(load);
  return status;
}

static enum status commit(struct intake *intake, struct ArrowArray *batches, int64_t count) {
  int64_t rows = count > 0 ? batches->length : 0;
  bool refused = false;
  struct intake_figures *figures = &intake->figures;
  char text[PART_TOKEN_BYTES];
  const char *token =
      part_token(intake->options.target.token, figures->committed_batches, text, sizeof text);
  struct load_result result = {.version = -1};
  enum status status = load_one(intake, token, batches, count, &result, &refused);
  status = settle_unknown(status, &intake->options.target, token, &result, &intake->error);
  if (status == STATUS_OK) {
    figures->commits += !result.repeated;
    figures->committed_rows += result.rows;
    figures->committed_batches += count;
    intake->result.version = result.version;
    if (intake->result.changes == NULL) {
      intake->result.changes = result.changes;
      result.changes = NULL;
    }
  }
  load_result_release(&result);
  for (int64_t i = 0; i < count; i++)
    if (batches[i].release != NULL) arrow_array_release(&batches[i]);
  if (!refused || intake->options.target.policy != SCHEMA_SKIP) return status;
  intake->skipping = true; /* as is what follows; the error stays for the end */
  figures->skipped_rows += rows;
  figures->skipped_batches += count;
  return STATUS_OK;
}

enum status intake_land_batch(struct intake *intake, struct ArrowArray *batch) {
  return commit(intake, batch, 1);
}

enum status intake_land_end(struct intake *intake) {
  struct intake_figures *figures = &intake->figures;
  enum status status = STATUS_OK;
  if (figures->committed_batches == 0) status = commit(intake, NULL, 0);
  if (intake->skipping) return intake_skipped(intake);
  intake->result.rows = figures->committed_rows;
  intake->result.batches = figures->committed_batches;
  intake->result.repeated = status == STATUS_OK && figures->commits == 0;
  return status;
}
