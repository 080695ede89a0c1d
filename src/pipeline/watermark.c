/* A load that commits on the way, whenever so much has come (a Flight stream may last for days). Each
 * commit is a load of its own, a part. Parts end where a batch does.
 *
 * With a token, part n is recorded as the token with the number n. So how far an earlier stream of the
 * token got is what its parts come to: they are looked up from 0 on, until one is not known. What they
 * hold is skipped (or was left out by the client: `resume`), and the next part is numbered on. Two
 * streams of one token at the same time: the second to commit a part is told that it is known; when
 * it was cut in the same place nothing is added twice, and otherwise the load fails.
 *
 *   schema: find_offset, begin --> batch: skip | append --reached--> commit_part --> begin ...
 *
 * 1. `offset` names what is durable, counted from the beginning of the token's first stream.
 * 2. A part is open only while rows of it have come, except the first one: that is begun with the
 *    schema, so that what does not fit is known at once, and a table is made where no row comes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/array.h"
#include "arrow/schema.h"
#include "pipeline/private.h"

/* Between token and number: a byte that no token from outside can hold. */
#define NUMBER_MARK "\x1f"

bool intake_is_watermarked(const struct intake *intake) {
  return intake->options.watermark.rows > 0;
}

const char *part_token(const char *token, int64_t number, char *text, size_t bytes) {
  if (token == NULL) return NULL;
  snprintf(text, bytes, "%s" NUMBER_MARK "%lld", token, (long long)number);
  return text;
}

static void tell_offset(struct intake *intake) {
  if (intake->options.offset != NULL)
    intake->options.offset(intake->options.context, &intake->offset);
}

/* ---- where earlier streams of the token have got to ------------------------------------------ */

enum status intake_find_offset(struct intake *intake) {
  const struct pipeline_target *target = &intake->options.target;
  struct intake_offset *offset = &intake->offset;
  if (target->token == NULL) {
    return intake->options.resume
               ? error_set(&intake->error, STATUS_INVALID,
                           "a stream resumes where the last one of its token has ended: name the "
                           "token")
               : STATUS_OK;
  }
  for (bool found = true; found;) {
    char text[PART_TOKEN_BYTES];
    struct load_result result = {.version = -1};
    const char *token = part_token(target->token, intake->part_number, text, sizeof text);
    enum status status =
        sink_lookup(target->sink, &target->table, token, &found, &result, &intake->error);
    if (status == STATUS_UNSUPPORTED && !intake->options.resume) return STATUS_OK;
    if (status != STATUS_OK) return status;
    if (found) {
      intake->part_number++;
      offset->rows += result.rows;
      offset->batches += result.batches;
      offset->version = result.version;
    }
    load_result_release(&result);
  }
  offset->resumed = offset->rows > 0 || intake->part_number > 0;
  intake->skip_rows = intake->options.resume ? 0 : offset->rows;
  if (intake->options.resume) {
    offset->received_rows = offset->rows;
    offset->received_batches = offset->batches;
  } else {
    offset->batches = 0; /* counted again as they come */
  }
  tell_offset(intake);
  return STATUS_OK;
}

/* ---- parts ------------------------------------------------------------------------------------- */

enum status intake_begin_part(struct intake *intake) {
  struct pipeline_target target = intake->options.target;
  char text[PART_TOKEN_BYTES];
  target.token = part_token(target.token, intake->part_number, text, sizeof text);
  struct load_spec spec = pipeline_load_spec(&target, ipc_decoder_schema(intake->decoder));
  enum status status = load_begin(target.sink, &spec, &intake->load, &intake->error);
  intake->skipping = status == STATUS_SCHEMA && target.policy == SCHEMA_SKIP;
  return intake->skipping ? STATUS_OK : status;
}

/* Commits what has been appended since the last commit. */
static enum status commit_part(struct intake *intake) {
  const struct pipeline_target *target = &intake->options.target;
  struct intake_figures *figures = &intake->figures;
  struct load_result result = {.version = -1};
  char text[PART_TOKEN_BYTES];
  const char *token = part_token(target->token, intake->part_number, text, sizeof text);
  struct load *load = intake->load;
  intake->load = NULL; /* over, whatever the commit says */
  enum status status = load_commit(load, &result, &intake->error);
  status = settle_unknown(status, target, token, &result, &intake->error);
  if (status == STATUS_OK) {
    intake->part_number++;
    figures->commits += !result.repeated;
    figures->committed_rows += intake->part_rows;
    figures->committed_batches += intake->part_batches;
    intake->offset.rows += intake->part_rows;
    intake->offset.batches += intake->part_batches;
    intake->offset.version = intake->result.version = result.version;
    intake->part_rows = intake->part_batches = intake->part_bytes = 0;
    if (intake->result.changes == NULL) {
      intake->result.changes = result.changes;
      result.changes = NULL;
    }
    tell_offset(intake);
  }
  load_result_release(&result);
  return status;
}

/* Leaves out what an earlier stream of the token has landed; `*batch` is empty when that is all of it. */
static enum status skip(struct intake *intake, struct ArrowArray *batch) {
  int64_t rows = batch->length;
  if (intake->skip_rows == 0) return STATUS_OK;
  if (rows <= intake->skip_rows) {
    intake->skip_rows -= rows;
    intake->offset.batches++;
    arrow_array_release(batch);
    *batch = (struct ArrowArray){.release = NULL};
    return STATUS_OK;
  }
  struct ArrowArray rest = {.release = NULL};
  enum status status =
      arrow_array_slice(ipc_decoder_schema(intake->decoder), batch, intake->skip_rows,
                        rows - intake->skip_rows, &rest, &intake->error);
  if (status != STATUS_OK) return status;
  intake->skip_rows = 0;
  *batch = rest;
  return STATUS_OK;
}

enum status intake_land_part(struct intake *intake, struct ArrowArray *batch) {
  const struct intake_watermark *watermark = &intake->options.watermark;
  intake->offset.received_batches++;
  intake->offset.received_rows += batch->length;
  enum status status = skip(intake, batch);
  if (status != STATUS_OK || batch->release == NULL) return status;
  if (intake->load == NULL) status = intake_begin_part(intake);
  if (status != STATUS_OK) return status;
  int64_t rows = batch->length;
  if (intake->skipping) {
    intake->figures.skipped_rows += rows;
    intake->figures.skipped_batches++;
    arrow_array_release(batch);
    return STATUS_OK;
  }
  int64_t bytes = arrow_array_bytes(ipc_decoder_schema(intake->decoder), batch);
  status = load_append(intake->load, batch, &intake->error);
  if (status != STATUS_OK) return status;
  intake->part_rows += rows;
  intake->part_bytes += bytes;
  intake->part_batches++;
  intake->figures.memory_bytes += bytes;
  bool reached = intake->part_rows >= watermark->rows ||
                 (watermark->bytes > 0 && intake->part_bytes >= watermark->bytes);
  return reached ? commit_part(intake) : STATUS_OK;
}

enum status intake_commit_part(struct intake *intake) {
  return intake->load != NULL && intake->part_batches > 0 ? commit_part(intake) : STATUS_OK;
}

enum status intake_land_rest(struct intake *intake) {
  struct intake_figures *figures = &intake->figures;
  enum status status = STATUS_OK;
  bool first = figures->commits == 0 && !intake->offset.resumed;
  if (intake->skip_rows > 0)
    return error_set(&intake->error, STATUS_SCHEMA,
                     "an earlier stream of this token has landed %lld rows more than this one has: "
                     "it was another one",
                     (long long)intake->skip_rows);
  if (intake->load != NULL && (first || intake->part_batches > 0)) status = commit_part(intake);
  if (status != STATUS_OK) return status;
  if (intake->skipping) return intake_skipped(intake);
  intake->result.rows = intake->offset.rows;
  intake->result.batches = intake->offset.batches;
  intake->result.repeated = intake->offset.resumed && figures->commits == 0;
  return STATUS_OK;
}
