/* Streams that are there whole, into their schema and batches.
 *
 * A schema message that is the same, byte by byte, as one before has the same schema: its decoder
 * goes on with the batches of the next stream, unless it knows dictionaries, which belong to their
 * stream. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/private.h"

enum { KNOWN_MAX = 8, KNOWN_BYTES_MAX = 64 << 10 };

struct known {
  uint8_t *schema; /* the message's flatbuffer */
  int64_t schema_bytes;
  struct ipc_decoder *decoder;
  bool used; /* since the last turn */
};

struct unpacker {
  struct known known[KNOWN_MAX];
  int count;
};

struct unpacker *unpacker_new(void) {
  return calloc(1, sizeof(struct unpacker));
}

static void forget(struct known *known) {
  free(known->schema);
  ipc_decoder_free(known->decoder);
}

void unpacker_free(struct unpacker *unpacker) {
  if (unpacker == NULL) return;
  for (int i = 0; i < unpacker->count; i++) forget(&unpacker->known[i]);
  free(unpacker);
}

void unpacker_turn(struct unpacker *unpacker) {
  for (int i = 0; i < unpacker->count; i++) unpacker->known[i].used = false;
}

/* NULL: no decoder that may be used again has that schema. */
static struct ipc_decoder *find(struct unpacker *unpacker, const struct buffer *schema) {
  for (int i = 0; i < unpacker->count; i++) {
    struct known *known = &unpacker->known[i];
    if (known->schema_bytes != schema->size_bytes ||
        memcmp(known->schema, schema->data, (size_t)schema->size_bytes) != 0)
      continue;
    known->used = true;
    return known->decoder;
  }
  return NULL;
}

/* A copy of the message's bytes, to know the next one by; NULL: it is not worth it, or no memory. */
static uint8_t *copy_schema(const struct ipc_message *message) {
  size_t bytes = (size_t)message->metadata.size_bytes;
  if (message->metadata.size_bytes > KNOWN_BYTES_MAX) return NULL;
  uint8_t *copy = malloc(bytes + 1);
  if (copy != NULL) memcpy(copy, message->metadata.data, bytes);
  return copy;
}

/* Keeps the decoder, and takes `schema`; false: there is no place for it. */
static bool keep(struct unpacker *unpacker, uint8_t *schema, int64_t schema_bytes,
                 struct ipc_decoder *decoder) {
  int at = 0;
  while (at < unpacker->count && unpacker->known[at].used) at++;
  if (schema == NULL || at == KNOWN_MAX || ipc_decoder_has_dictionaries(decoder)) return false;
  if (at == unpacker->count)
    unpacker->count++;
  else
    forget(&unpacker->known[at]);
  unpacker->known[at] = (struct known){
      .schema = schema, .schema_bytes = schema_bytes, .decoder = decoder, .used = true};
  return true;
}

/* A decoder that has read the schema: a kept one, or a new one, kept or the intake's. */
static enum status find_decoder(struct unpacker *unpacker, struct intake *intake,
                                struct ipc_message *message, struct ipc_decoder **decoder,
                                struct error *error) {
  struct ArrowArray batch = {.release = NULL};
  enum ipc_event event;
  *decoder = find(unpacker, &message->metadata);
  if (*decoder != NULL) {
    ipc_message_release(message);
    return STATUS_OK;
  }
  struct ipc_decoder *made = NULL;
  uint8_t *schema = copy_schema(message);
  int64_t schema_bytes = message->metadata.size_bytes;
  enum status status =
      ipc_decoder_new(&intake->options.limits, intake->options.budget, &made, error);
  if (status == STATUS_OK) ipc_decoder_use_workers(made, intake->options.workers);
  if (status == STATUS_OK) {
    status = ipc_decoder_decode(made, message, &event, &batch, error);
    if (status == STATUS_OK) *message = (struct ipc_message){.offset_bytes = 0};
  }
  if (status == STATUS_OK && event != IPC_EVENT_SCHEMA)
    status = error_set(error, STATUS_INVALID, "the stream does not begin with its schema");
  if (batch.release != NULL) arrow_array_release(&batch);
  bool kept = status == STATUS_OK && keep(unpacker, schema, schema_bytes, made);
  if (!kept) free(schema);
  if (status != STATUS_OK) {
    ipc_decoder_free(made);
    return status;
  }
  if (!kept) intake->decoder = made;
  *decoder = made;
  return STATUS_OK;
}

static enum status add_batch(struct parcel *parcel, int64_t *capacity, struct ArrowArray *batch,
                             struct error *error) {
  if (parcel->batch_count == *capacity) {
    int64_t grown = *capacity == 0 ? 2 : *capacity * 2;
    struct ArrowArray *batches = realloc(parcel->batches, (size_t)grown * sizeof *parcel->batches);
    if (batches == NULL) return error_set(error, STATUS_NOMEM, "no memory for a load's batches");
    parcel->batches = batches;
    *capacity = grown;
  }
  parcel->batches[parcel->batch_count++] = *batch;
  return STATUS_OK;
}

enum status unpack(struct unpacker *unpacker, struct intake *intake, struct parcel *parcel,
                   struct error *error) {
  bool cancelled;
  int64_t capacity = 0;
  struct ipc_decoder *decoder = NULL;
  struct queued_message *first = intake_take_all(intake, &cancelled);
  enum status status = STATUS_OK;
  if (cancelled)
    status = error_set(error, STATUS_CANCELLED, "the load was cancelled; nothing of it remains");
  else if (first == NULL)
    status = error_set(error, STATUS_INVALID, "the stream has no schema message");
  for (struct queued_message *at = first; at != NULL && status == STATUS_OK; at = at->next) {
    if (decoder == NULL) {
      status = find_decoder(unpacker, intake, &at->message, &decoder, error);
      continue;
    }
    struct ArrowArray batch = {.release = NULL};
    enum ipc_event event;
    status = ipc_decoder_decode(decoder, &at->message, &event, &batch, error);
    if (status != STATUS_OK) continue;
    at->message = (struct ipc_message){.offset_bytes = 0}; /* the decoder took it */
    if (event != IPC_EVENT_BATCH) continue;
    intake->figures.memory_bytes += arrow_array_bytes(ipc_decoder_schema(decoder), &batch);
    status = add_batch(parcel, &capacity, &batch, error);
    if (status != STATUS_OK) arrow_array_release(&batch);
  }
  queued_messages_free(first);
  if (status == STATUS_OK) parcel->schema = ipc_decoder_schema(decoder);
  return status;
}
