/* Messages into what they say: a schema, dictionaries, batches.
 *
 * A schema message makes a layout, the tree that every batch is read along. The arrays
 * point into the message's body, which the batch's tree holds; a dictionary's arrays are
 * shared by the batches that were decoded while it was in force.
 *
 * Nothing of a batch is handed out before all of it has been checked. */
#include "arrow/ipc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/ipc_batch.h"
#include "arrow/ipc_header.h"
#include "arrow/ipc_pairs.h"
#include "arrow/ipc_schema.h"

struct ipc_decoder {
  struct ipc_batch_context context;
  struct ArrowSchema schema;
  struct layout *layout; /* NULL until the schema has come */
  char *metadata;        /* of the last message; NULL without any */
};

enum status ipc_decoder_new(const struct ipc_limits *limits, struct budget *budget,
                            struct ipc_decoder **decoder, struct error *error) {
  *decoder = NULL;
  struct ipc_decoder *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a stream");
  made->context.limits = *limits;
  made->context.budget = budget;
  enum status status = ipc_expander_new(&made->context.expander, error);
  if (status == STATUS_OK)
    *decoder = made;
  else
    free(made);
  return status;
}

void ipc_decoder_use_workers(struct ipc_decoder *decoder, struct workers *workers) {
  decoder->context.workers = workers;
}

void ipc_decoder_free(struct ipc_decoder *decoder) {
  if (decoder == NULL) return;
  ipc_memo_release(&decoder->context.memo);
  ipc_checks_release(&decoder->context.checks);
  ipc_expander_free(decoder->context.expander);
  layout_free(decoder->layout);
  arrow_schema_release(&decoder->schema);
  free(decoder->metadata);
  free(decoder);
}

const struct ArrowSchema *ipc_decoder_schema(const struct ipc_decoder *decoder) {
  return decoder->layout == NULL ? NULL : &decoder->schema;
}

bool ipc_decoder_has_dictionaries(const struct ipc_decoder *decoder) {
  return decoder->context.memo.count > 0;
}

const char *ipc_decoder_metadata(const struct ipc_decoder *decoder) { return decoder->metadata; }

/* ---- messages -------------------------------------------------------------------------- */

static enum status take_schema(struct ipc_decoder *decoder, const struct ipc_header *header,
                               struct error *error) {
  if (decoder->layout != NULL)
    return error_set(error, STATUS_INVALID, "the stream has a second schema");
  struct ipc_batch_context *context = &decoder->context;
  struct ipc_dictionary_ids ids = {.ids = NULL};
  struct layout *layout = NULL;
  int64_t node_count = 0;
  enum status status =
      ipc_schema_read(header, &decoder->schema, &ids, &context->is_big_endian, error);
  if (status == STATUS_OK) status = layout_new(&decoder->schema, NULL, &layout, &node_count, error);
  if (status == STATUS_OK) status = ipc_memo_init(&context->memo, layout, node_count, &ids, error);
  free(ids.ids);
  if (status == STATUS_OK) {
    decoder->layout = layout;
  } else {
    layout_free(layout);
    arrow_schema_release(&decoder->schema);
  }
  return status;
}

/* The arrays of a batch or a dictionary, which share the message's body if they need it: the
 * message stays whole, for the caller to try again should anything after this fail. */
static enum status take_arrays(struct ipc_decoder *decoder, const struct layout *layout,
                               bool is_dictionary, const struct fb_table *table, int version,
                               const struct ipc_message *message, struct ArrowArray *out,
                               struct error *error) {
  struct array_tree *tree = NULL;
  bool referred = false;
  struct ipc_batch_message batch = {*table, version, &message->body};
  enum status status =
      ipc_batch_read(&decoder->context, layout, is_dictionary, &batch, &tree, &referred, error);
  if (status != STATUS_OK) return status;
  if (referred) array_tree_hold_buffer(tree, buffer_share(&message->body));
  array_tree_finish(tree, out);
  return STATUS_OK;
}

struct dictionary_header {
  int64_t id;
  int64_t is_delta;
  struct fb_table data;
  bool has_data;
};

static enum status read_dictionary_header(const struct fb_table *table,
                                          struct dictionary_header *header, struct error *error) {
  enum status status = fb_integer_field(table, DICTIONARY_BATCH_ID, 8, 0, &header->id, error);
  if (status == STATUS_OK)
    status = fb_integer_field(table, DICTIONARY_BATCH_IS_DELTA, 1, 0, &header->is_delta, error);
  if (status == STATUS_OK)
    status = fb_table_field(table, DICTIONARY_BATCH_DATA, &header->data, &header->has_data, error);
  return status;
}

static enum status take_dictionary_batch(struct ipc_decoder *decoder,
                                         const struct ipc_header *header,
                                         const struct ipc_message *message, enum ipc_event *event,
                                         struct error *error) {
  struct dictionary_header batch;
  enum status status = read_dictionary_header(&header->table, &batch, error);
  if (status != STATUS_OK) return status;
  struct ipc_dictionary *dictionary = ipc_memo_find(&decoder->context.memo, batch.id);
  if (dictionary == NULL || !batch.has_data)
    return error_set(error, STATUS_INVALID, "no field of the schema has the dictionary %" PRId64,
                     batch.id);
  struct ArrowArray values = {.release = NULL};
  struct arrow_shared *shared = NULL;
  bool is_known = dictionary->part_count > 0;
  status = take_arrays(decoder, dictionary->values, true, &batch.data, header->version, message,
                       &values, error);
  if (status == STATUS_OK) status = arrow_shared_new(&values, &shared, error);
  if (status == STATUS_OK && batch.is_delta != 0)
    status = ipc_memo_extend(dictionary, shared, error);
  else if (status == STATUS_OK)
    status = ipc_memo_replace(dictionary, shared, error);
  if (status == STATUS_OK) {
    *event = is_known && batch.is_delta == 0 ? IPC_EVENT_REPLACEMENT : IPC_EVENT_DICTIONARY;
    return STATUS_OK;
  }
  if (shared != NULL) arrow_shared_release(shared);
  arrow_array_release(&values);
  error_at(error, "dictionary %" PRId64, batch.id);
  return status;
}

/* The message's own custom metadata. */
static enum status take_metadata(struct ipc_decoder *decoder, const struct ipc_header *header,
                                 struct error *error) {
  struct ipc_copies copies = ipc_copies_of(&header->message);
  free(decoder->metadata);
  return ipc_pairs_read(&header->message, MESSAGE_METADATA, &copies, &decoder->metadata, error);
}

enum status ipc_decoder_decode(struct ipc_decoder *decoder, struct ipc_message *message,
                               enum ipc_event *event, struct ArrowArray *batch,
                               struct error *error) {
  batch->release = NULL;
  *event = IPC_EVENT_DICTIONARY;
  struct ipc_header header;
  enum status status = ipc_header_read(&message->metadata, &header, error);
  if (status == STATUS_OK && header.body_bytes > message->body.size_bytes)
    status = error_set(error, STATUS_INVALID, "its body has %" PRId64 " bytes and says %" PRId64,
                       message->body.size_bytes, header.body_bytes);
  if (status == STATUS_OK && header.type != IPC_HEADER_SCHEMA && decoder->layout == NULL)
    status = error_set(error, STATUS_INVALID, "the stream does not begin with a schema");
  if (status == STATUS_OK) status = take_metadata(decoder, &header, error);
  if (status == STATUS_OK && header.type == IPC_HEADER_SCHEMA) {
    *event = IPC_EVENT_SCHEMA;
    status = take_schema(decoder, &header, error);
  } else if (status == STATUS_OK && header.type == IPC_HEADER_DICTIONARY) {
    status = take_dictionary_batch(decoder, &header, message, event, error);
  } else if (status == STATUS_OK) {
    *event = IPC_EVENT_BATCH;
    status = take_arrays(decoder, decoder->layout, false, &header.table, header.version, message,
                         batch, error);
  }
  if (status == STATUS_OK)
    ipc_message_release(message);
  else
    error_at(error, "the message at byte %" PRId64, message->offset_bytes);
  return status;
}

bool ipc_message_is_batch(const struct ipc_message *message) {
  struct ipc_header header;
  return ipc_header_read(&message->metadata, &header, NULL) == STATUS_OK &&
         header.type == IPC_HEADER_BATCH;
}
