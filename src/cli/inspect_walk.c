/* Goes through the messages: each is described, decoded (which checks all of it) and
 * reported before the next one is looked at, so that what comes before a defect is told. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arrow/schema.h"
#include "base/file.h"
#include "cli/inspect.h"

enum {
  FILE_HEAD_BYTES = 8,
  PREFIX_BYTES = 4, /* before format 0.15; now twice as many, of which the first are 0xFF */
  LONG_PREFIX_BYTES = 8
};

const char *inspect_kind_name(const struct ipc_description *description) {
  switch (description->kind) {
  case IPC_MESSAGE_SCHEMA: return "schema";
  case IPC_MESSAGE_DICTIONARY: return description->is_delta ? "delta" : "dictionary";
  case IPC_MESSAGE_BATCH: return "batch";
  case IPC_MESSAGE_UNKNOWN: break;
  }
  return "unknown";
}

const char *inspect_codec_name(enum ipc_compression compression) {
  return compression == IPC_COMPRESSION_ZSTD  ? "zstd"
         : compression == IPC_COMPRESSION_LZ4 ? "lz4"
                                              : "none";
}

static int32_t pair_number(const char *at) {
  int32_t number;
  memcpy(&number, at, sizeof number);
  return number;
}

struct inspect_pairs inspect_pairs(const char *metadata) {
  struct inspect_pairs pairs = {.at = metadata};
  if (metadata == NULL) return pairs;
  pairs.left = pair_number(metadata);
  pairs.at += sizeof(int32_t);
  return pairs;
}

bool inspect_pair_next(struct inspect_pairs *pairs) {
  if (pairs->left == 0) return false;
  pairs->left--;
  pairs->key_bytes = pair_number(pairs->at);
  pairs->key = pairs->at + sizeof(int32_t);
  pairs->value_bytes = pair_number(pairs->key + pairs->key_bytes);
  pairs->value = pairs->key + pairs->key_bytes + sizeof(int32_t);
  pairs->at = pairs->value + pairs->value_bytes;
  return true;
}

/* ---- defects --------------------------------------------------------------------------- */

/* Of the input, not of this program or its machine. */
static bool is_defect(enum status status) {
  return status == STATUS_INVALID || status == STATUS_UNSUPPORTED || status == STATUS_TOO_LARGE ||
         status == STATUS_BUDGET;
}

/* Keeps the first defect; passes on what is none. */
static enum status keep(struct inspect *inspect, enum status status, int64_t offset_bytes,
                        const struct error *why) {
  if (!is_defect(status)) return status;
  if (inspect->problem.status == STATUS_OK) {
    inspect->problem.status = status;
    inspect->problem.offset_bytes = offset_bytes;
    memcpy(inspect->problem.text, why->text, sizeof inspect->problem.text);
  }
  return STATUS_OK;
}

/* What else is often taken for Arrow, by its first bytes. */
static void guess(struct inspect *inspect, const uint8_t *data, int64_t bytes) {
  static const struct {
    const char *head;
    size_t bytes;
    const char *what;
  } others[] = {
      {"PAR1", 4, "a Parquet file"},
      {"PARE", 4, "an encrypted Parquet file"},
      {"FEA1", 4, "a Feather V1 file, which was a format of its own before Arrow's"},
      {"ORC", 3, "an ORC file"},
      {"Obj\x01", 4, "an Avro file"},
      {"\x1F\x8B", 2, "compressed as a whole by gzip; unpack it first"},
      {"\x28\xB5\x2F\xFD", 4, "compressed as a whole by zstd; unpack it first"},
      {"\x04\x22\x4D\x18", 4, "compressed as a whole by lz4; unpack it first"},
      {"BZh", 3, "compressed as a whole by bzip2; unpack it first"},
      {"\xFD"
       "7zXZ",
       5, "compressed as a whole by xz; unpack it first"},
      {"PK\x03\x04", 4, "a ZIP archive"},
      {"HTTP/", 5, "an HTTP answer with its head"},
  };
  if (inspect->totals.messages > 0 || inspect->hint[0] != '\0' || inspect->is_file) return;
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (bytes >= (int64_t)others[i].bytes && memcmp(data, others[i].head, others[i].bytes) == 0) {
      snprintf(inspect->hint, sizeof inspect->hint, "by its first bytes it is %s", others[i].what);
      return;
    }
  bool text = bytes >= PREFIX_BYTES;
  for (int64_t i = 0; i < PREFIX_BYTES && text; i++)
    text =
        (data[i] >= ' ' && data[i] < 0x7F) || data[i] == '\n' || data[i] == '\r' || data[i] == '\t';
  if (text)
    snprintf(inspect->hint, sizeof inspect->hint, "by its first bytes it is %s",
             data[0] == '{' || data[0] == '[' ? "JSON"
             : data[0] == '<'                 ? "XML or HTML"
                                              : "text, such as CSV");
}

/* ---- one message ------------------------------------------------------------------------- */

static void count(struct inspect *inspect, const struct inspect_message *message) {
  const struct ipc_description *description = message->description;
  struct inspect_totals *totals = &inspect->totals;
  if (totals->messages++ == 0) totals->alignment_bytes = description->alignment_bytes;
  totals->metadata_bytes += description->metadata_bytes;
  totals->body_bytes += description->body_bytes;
  if (message->verdict == INSPECT_BROKEN) {
    totals->broken++;
    return;
  }
  totals->buffer_bytes += description->buffer_bytes;
  totals->expanded_bytes += description->expanded_bytes;
  if (description->alignment_bytes < totals->alignment_bytes)
    totals->alignment_bytes = description->alignment_bytes;
  if (description->compression != IPC_COMPRESSION_NONE) totals->compressed_messages++;
  if (description->kind == IPC_MESSAGE_DICTIONARY) {
    totals->dictionaries++;
    totals->deltas += description->is_delta;
    totals->replacements += message->replaces;
  } else if (description->kind == IPC_MESSAGE_BATCH) {
    totals->batches++;
    totals->rows += description->rows;
  }
}

/* A message that is not where it may be. `expected`: what the footer calls it, or unknown. */
static enum status check_order(struct inspect *inspect, const struct inspect_message *message,
                               enum ipc_message_kind expected, struct error *error) {
  static const char *const names[] = {[IPC_MESSAGE_SCHEMA] = "schema",
                                      [IPC_MESSAGE_DICTIONARY] = "dictionary",
                                      [IPC_MESSAGE_BATCH] = "record batch"};
  bool is_schema = message->description->kind == IPC_MESSAGE_SCHEMA;
  if (expected != IPC_MESSAGE_UNKNOWN && message->description->kind != expected)
    return error_set(error, STATUS_INVALID,
                     "the message at byte %" PRId64 " is no %s, as which the footer names it",
                     message->offset_bytes, names[expected]);
  if (is_schema && message->index > 0)
    return error_set(error, STATUS_INVALID,
                     "the message at byte %" PRId64 ": the stream has a second schema",
                     message->offset_bytes);
  if (!is_schema && message->index == 0)
    return error_set(error, STATUS_INVALID,
                     "the message at byte %" PRId64 ": the stream does not begin with a schema",
                     message->offset_bytes);
  if (message->replaces && inspect->is_file)
    return error_set(error, STATUS_INVALID,
                     "the message at byte %" PRId64 ": dictionary %" PRId64
                     " is replaced, which a file cannot do",
                     message->offset_bytes, message->description->dictionary_id);
  return STATUS_OK;
}

/* Decodes it, which checks all of it. */
static enum status check(struct inspect *inspect, struct ipc_message *message,
                         struct inspect_message *about, struct ArrowArray *batch,
                         struct error *error) {
  enum ipc_event event = IPC_EVENT_DICTIONARY;
  if (!inspect->checking) return STATUS_OK;
  enum status status = ipc_decoder_decode(inspect->decoder, message, &event, batch, error);
  if (status == STATUS_OK) about->verdict = INSPECT_GOOD;
  about->replaces = status == STATUS_OK && event == IPC_EVENT_REPLACEMENT;
  return status;
}

/* Passes it on to the report, with its values when they are wanted. */
static enum status report(struct inspect *inspect, const struct inspect_message *about,
                          struct ArrowArray *batch, struct error *error) {
  struct inspect_report *to = inspect->report;
  enum status status = to->type->message(to, inspect, about, error);
  if (status == STATUS_OK && batch->release != NULL && to->type->batch != NULL)
    status = to->type->batch(to, inspect, batch, &inspect->over, error);
  return status;
}

/* What of it is broken, if anything is; STATUS_OK is a verdict too. */
static enum status judge(struct inspect *inspect, struct ipc_message *message,
                         enum ipc_message_kind expected, struct inspect_message *about,
                         struct ipc_description *description, struct ArrowArray *batch,
                         struct error *error) {
  struct error deeper = {.status = STATUS_OK};
  enum status shallow = ipc_describe(message, &inspect->limits, description, error);
  enum status status = check(inspect, message, about, batch, &deeper);
  /* Where both fail the decoder says more: it knows the field. */
  if (status != STATUS_OK) *error = deeper;
  if (status == STATUS_OK) status = shallow;
  return status == STATUS_OK ? check_order(inspect, about, expected, error) : status;
}

/* Takes the message, which ends at `end_bytes` of the input. */
static enum status take(struct inspect *inspect, struct ipc_message *message, int64_t end_bytes,
                        enum ipc_message_kind expected, struct error *error) {
  bool first = inspect->totals.messages == 0;
  struct ipc_description own = {.kind = IPC_MESSAGE_UNKNOWN};
  struct ipc_description *description = first ? &inspect->schema : &own;
  struct ArrowArray batch = {.release = NULL};
  struct error why = {.status = STATUS_OK};
  struct inspect_message about = {
      .index = inspect->totals.messages,
      .offset_bytes = message->offset_bytes,
      .body_offset_bytes = end_bytes - message->body.size_bytes,
      .description = description,
  };
  about.prefix_bytes = about.body_offset_bytes - about.offset_bytes - message->metadata.size_bytes;
  enum status status = judge(inspect, message, expected, &about, description, &batch, &why);
  if (is_defect(status)) {
    about.verdict = INSPECT_BROKEN;
    about.why = why.text;
    /* Without its schema or a dictionary the decoder cannot judge what follows. */
    if (description->kind != IPC_MESSAGE_BATCH) inspect->checking = false;
  }
  if (is_defect(status) && inspect->problem.status == STATUS_OK)
    inspect->place = (struct inspect_place){
        .index = about.index,
        .offset_bytes = about.offset_bytes,
        .metadata_offset_bytes = about.offset_bytes + about.prefix_bytes,
        .body_offset_bytes = about.body_offset_bytes,
        .end_bytes = end_bytes,
    };
  if (first) inspect->legacy = about.prefix_bytes == PREFIX_BYTES;
  status = keep(inspect, status, about.offset_bytes, &why);
  if (status == STATUS_OK) {
    count(inspect, &about);
    inspect->end_bytes = end_bytes;
    status = report(inspect, &about, &batch, error);
  } else if (error != NULL) {
    *error = why;
  }
  if (batch.release != NULL) arrow_array_release(&batch);
  ipc_message_release(message);
  ipc_description_release(&own);
  return status;
}

/* ---- a stream in memory -------------------------------------------------------------------- */

/* The length of the end-of-stream marker that lies there; 0: another thing does. */
static int64_t end_marker(const struct buffer *bytes, int64_t position) {
  static const uint8_t markers[2][LONG_PREFIX_BYTES] = {{0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0},
                                                        {0, 0, 0, 0}};
  int64_t left = bytes->size_bytes - position;
  if (left >= LONG_PREFIX_BYTES &&
      memcmp(bytes->data + position, markers[0], sizeof markers[0]) == 0)
    return LONG_PREFIX_BYTES;
  if (left >= PREFIX_BYTES && memcmp(bytes->data + position, markers[1], PREFIX_BYTES) == 0)
    return PREFIX_BYTES;
  return 0;
}

static void note_rest(struct inspect *inspect, const uint8_t *rest, int64_t rest_bytes) {
  static const uint8_t continuation[PREFIX_BYTES] = {0xFF, 0xFF, 0xFF, 0xFF};
  bool again = rest_bytes >= PREFIX_BYTES && memcmp(rest, continuation, PREFIX_BYTES) == 0;
  snprintf(inspect->hint, sizeof inspect->hint, "%" PRId64 " byte%s follow%s%s", rest_bytes,
           rest_bytes == 1 ? "" : "s", rest_bytes == 1 ? "s" : "",
           again ? ", and look like another stream: streams cannot be joined end to end" : "");
}

/* What is missing of a message that the bytes end in, where its metadata is whole. */
static void note_missing(struct inspect *inspect, const struct buffer *bytes, int64_t position) {
  static const uint8_t continuation[PREFIX_BYTES] = {0xFF, 0xFF, 0xFF, 0xFF};
  const uint8_t *at = bytes->data + position;
  int64_t left = bytes->size_bytes - position;
  if (left < LONG_PREFIX_BYTES || inspect->hint[0] != '\0') return;
  int64_t prefix = memcmp(at, continuation, PREFIX_BYTES) == 0 ? LONG_PREFIX_BYTES : PREFIX_BYTES;
  const uint8_t *p = at + prefix - PREFIX_BYTES;
  int64_t metadata_bytes =
      (int64_t)p[0] | (int64_t)p[1] << 8 | (int64_t)p[2] << 16 | (int64_t)p[3] << 24;
  if (metadata_bytes > left - prefix) return;
  struct ipc_message message = {.offset_bytes = position};
  struct ipc_description description;
  struct error why = {.status = STATUS_OK};
  message.metadata = buffer_slice(bytes, position + prefix, metadata_bytes);
  message.body =
      buffer_slice(bytes, position + prefix + metadata_bytes, left - prefix - metadata_bytes);
  if (ipc_describe(&message, &inspect->limits, &description, &why) == STATUS_INVALID &&
      description.kind != IPC_MESSAGE_UNKNOWN)
    snprintf(inspect->hint, sizeof inspect->hint, "%.*s", (int)sizeof inspect->hint - 1, why.text);
  ipc_description_release(&description);
  ipc_message_release(&message);
}

/* From `position` on. In a file whose footer is of no use (`salvage`) why it ended is no
 * problem of its own, for one is there already. */
static enum status walk_stream(struct inspect *inspect, const struct buffer *bytes,
                               int64_t position, bool salvage, struct error *error) {
  struct error why = {.status = STATUS_OK};
  enum status status = STATUS_OK;
  inspect->end_bytes = position;
  while (status == STATUS_OK && !inspect->over) {
    struct ipc_message message;
    enum ipc_frame frame = IPC_FRAME_END;
    int64_t marker = end_marker(bytes, position);
    int64_t rest = bytes->size_bytes - position - marker;
    inspect->has_end = marker > 0;
    if (inspect->has_end) inspect->end_bytes = position + marker;
    if (salvage && inspect->has_end) return STATUS_OK;
    bool optional = inspect->options.eos_optional;
    enum status cut = ipc_cut(bytes, &inspect->limits, optional, &position, &message, &frame, &why);
    if (cut == STATUS_OK && frame == IPC_FRAME_END) return STATUS_OK;
    if (cut == STATUS_OK) {
      status = take(inspect, &message, position, IPC_MESSAGE_UNKNOWN, error);
      continue;
    }
    if (marker > 0)
      note_rest(inspect, bytes->data + position + marker, rest);
    else
      note_missing(inspect, bytes, position);
    guess(inspect, bytes->data, bytes->size_bytes);
    if (!is_defect(cut)) return error_set(error, cut, "%s", why.text);
    if (salvage) {
      memcpy(inspect->salvage.stop, why.text, sizeof inspect->salvage.stop);
      return STATUS_OK;
    }
    return keep(inspect, cut, position + marker, &why);
  }
  return status;
}

/* ---- a file in memory ----------------------------------------------------------------------- */

/* The messages that the footer names, of one kind. `*lost`: one is not where it says. */
static enum status walk_blocks(struct inspect *inspect, const struct buffer *bytes,
                               const struct ipc_file_block *blocks, int64_t block_count,
                               enum ipc_message_kind kind, bool *lost, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < block_count && status == STATUS_OK && !inspect->over && !*lost; i++) {
    const struct ipc_file_block *block = &blocks[i];
    struct ipc_message message;
    struct error why = {.status = STATUS_OK};
    enum status cut = ipc_file_message(bytes, block, &message, &why);
    *lost = cut != STATUS_OK;
    if (*lost)
      status = keep(inspect, cut, block->offset_bytes, &why);
    else
      status = take(inspect, &message,
                    block->offset_bytes + block->metadata_bytes + block->body_bytes, kind, error);
  }
  return status;
}

/* The footer's schema must be the first message's: readers go by either. */
static enum status check_footer_schema(struct inspect *inspect) {
  const struct ipc_footer_description *footer = &inspect->footer;
  const struct ipc_description *first = &inspect->schema;
  struct error where = {.status = STATUS_OK};
  struct error why = {.status = STATUS_OK};
  if (footer->schema.release == NULL || first->schema.release == NULL) return STATUS_OK;
  if (footer->big_endian == first->big_endian &&
      arrow_schema_equal(&first->schema, &footer->schema, &where))
    return STATUS_OK;
  enum status status =
      error_set(&why, STATUS_INVALID,
                "the schema in the footer at byte %" PRId64
                " is not that of the first message, and readers go by either: %.400s",
                footer->offset_bytes, where.text[0] == '\0' ? "their byte order" : where.text);
  return keep(inspect, status, footer->offset_bytes, &why);
}

/* How far the stream part of a file can be cut into messages, whatever its footer says. */
static enum status count_whole(struct inspect *inspect, const struct buffer *bytes,
                               int64_t *messages, struct error *error) {
  struct inspect_salvage *found = &inspect->salvage;
  int64_t position = FILE_HEAD_BYTES;
  struct error why = {.status = STATUS_OK};
  enum status status = STATUS_OK;
  *messages = 0;
  while (status == STATUS_OK &&
         (inspect->footer.offset_bytes == 0 || position < inspect->footer.offset_bytes)) {
    struct ipc_message message;
    struct ipc_description description;
    enum ipc_frame frame = IPC_FRAME_END;
    found->end_bytes = position;
    inspect->has_end = end_marker(bytes, position) > 0;
    if (inspect->has_end) break;
    status = ipc_cut(bytes, &inspect->limits, true, &position, &message, &frame, &why);
    if (status != STATUS_OK || frame != IPC_FRAME_MESSAGE) break;
    status = ipc_describe(&message, &inspect->limits, &description, &why);
    found->batches += description.kind == IPC_MESSAGE_BATCH && status == STATUS_OK;
    (*messages)++;
    ipc_description_release(&description);
    ipc_message_release(&message);
  }
  if (is_defect(status)) {
    memcpy(found->stop, why.text, sizeof found->stop);
    return STATUS_OK;
  }
  return status == STATUS_OK ? status : error_set(error, status, "%s", why.text);
}

/* What the footer does not lead to: all of it when it leads astray, else messages that it
 * does not name. */
static enum status check_unnamed(struct inspect *inspect, const struct buffer *bytes, bool lost,
                                 struct error *error) {
  int64_t messages = 0;
  int64_t named = 1 + inspect->file.dictionary_count + inspect->file.batch_count;
  enum status status = count_whole(inspect, bytes, &messages, error);
  inspect->salvage.done = lost;
  if (status == STATUS_OK && !lost && messages > named)
    snprintf(inspect->note, sizeof inspect->note,
             "%" PRId64 " messages lie before the footer, which names %" PRId64
             " of them; readers do not see the others",
             messages, named);
  return status;
}

static enum status walk_by_footer(struct inspect *inspect, const struct buffer *bytes,
                                  struct error *error) {
  const struct ipc_file *file = &inspect->file;
  bool lost = false;
  enum status status =
      walk_blocks(inspect, bytes, &file->schema, 1, IPC_MESSAGE_SCHEMA, &lost, error);
  if (status == STATUS_OK)
    status = walk_blocks(inspect, bytes, file->dictionaries, file->dictionary_count,
                         IPC_MESSAGE_DICTIONARY, &lost, error);
  if (status == STATUS_OK)
    status = walk_blocks(inspect, bytes, file->batches, file->batch_count, IPC_MESSAGE_BATCH, &lost,
                         error);
  if (status == STATUS_OK && !inspect->over) status = check_footer_schema(inspect);
  if (status == STATUS_OK && !inspect->over) status = check_unnamed(inspect, bytes, lost, error);
  return status;
}

static enum status walk_file(struct inspect *inspect, const struct buffer *bytes,
                             struct error *error) {
  struct error described_why = {.status = STATUS_OK};
  struct error why = {.status = STATUS_OK};
  enum status described = ipc_describe_footer(bytes, &inspect->footer, &described_why);
  enum status opened =
      ipc_file_open(bytes->data, bytes->size_bytes, &inspect->limits, &inspect->file, &why);
  enum status status = opened == STATUS_OK ? described : opened;
  if (status != STATUS_OK && !is_defect(status))
    return error_set(error, status, "%s", opened == STATUS_OK ? described_why.text : why.text);
  int64_t footer_at =
      inspect->footer.offset_bytes > 0 ? inspect->footer.offset_bytes : bytes->size_bytes;
  if (opened == STATUS_OK) {
    status = walk_by_footer(inspect, bytes, error);
    return status == STATUS_OK ? keep(inspect, described, footer_at, &described_why) : status;
  }
  status = keep(inspect, opened, footer_at, &why);
  inspect->salvage.done = bytes->size_bytes >= FILE_HEAD_BYTES;
  if (status != STATUS_OK || !inspect->salvage.done) return status;
  status = walk_stream(inspect, bytes, FILE_HEAD_BYTES, true, error);
  inspect->salvage.batches = inspect->totals.batches;
  inspect->salvage.end_bytes = inspect->end_bytes;
  return status;
}

/* A stream that ended well must have begun. */
static enum status check_begun(struct inspect *inspect) {
  struct error why = {.status = STATUS_OK};
  if (inspect->totals.messages > 0) return STATUS_OK;
  return keep(inspect, error_set(&why, STATUS_INVALID, "the stream has no schema"), 0, &why);
}

enum status inspect_mapped(struct inspect *inspect, const struct buffer *bytes,
                           struct error *error) {
  inspect->size_bytes = bytes->size_bytes;
  inspect->is_file = ipc_file_magic(bytes->data, bytes->size_bytes);
  enum status status = inspect->is_file ? walk_file(inspect, bytes, error)
                                        : walk_stream(inspect, bytes, 0, false, error);
  return status == STATUS_OK ? check_begun(inspect) : status;
}

/* ---- a stream as it comes --------------------------------------------------------------------- */

struct piping {
  struct inspect *inspect;
  struct ipc_framer *framer;
  int64_t position_bytes;
  int64_t message_bytes; /* where the message that comes began */
};

/* `bytes` more have been written to the framer's window. `*stop`: nothing more is wanted. */
static enum status pipe_filled(struct piping *piping, int64_t bytes, bool *stop,
                               struct error *error) {
  struct inspect *inspect = piping->inspect;
  struct ipc_message message;
  enum ipc_frame frame;
  struct error why = {.status = STATUS_OK};
  piping->position_bytes += bytes;
  inspect->size_bytes = piping->position_bytes;
  enum status status = ipc_framer_filled(piping->framer, bytes, &frame, &why);
  if (status != STATUS_OK) {
    *stop = true;
    if (!is_defect(status)) return error_set(error, status, "%s", why.text);
    return keep(inspect, status, piping->message_bytes, &why);
  }
  inspect->has_end = inspect->has_end || frame == IPC_FRAME_END;
  if (frame == IPC_FRAME_END) {
    piping->message_bytes = piping->position_bytes;
    inspect->end_bytes = piping->position_bytes;
  }
  if (frame != IPC_FRAME_MESSAGE) return STATUS_OK;
  ipc_framer_take(piping->framer, &message);
  status = take(inspect, &message, piping->position_bytes, IPC_MESSAGE_UNKNOWN, error);
  piping->message_bytes = piping->position_bytes;
  *stop = inspect->over;
  return status;
}

/* Reads, or takes from what was read before. */
static enum status pipe_some(struct piping *piping, int file, const uint8_t **head,
                             size_t *head_bytes, bool *stop, struct error *error) {
  uint8_t *data = NULL;
  int64_t room = 0;
  size_t got = 0;
  enum status status = ipc_framer_window(piping->framer, &data, &room, error);
  if (is_defect(status)) {
    *stop = true;
    return keep(piping->inspect, status, piping->message_bytes, error);
  }
  if (status != STATUS_OK) return status;
  if (*head_bytes > 0) {
    got = (int64_t)*head_bytes < room ? *head_bytes : (size_t)room;
    memcpy(data, *head, got);
    *head += got;
    *head_bytes -= got;
  } else {
    status = file_read(file, data, (size_t)room, &got, error);
  }
  if (status != STATUS_OK) return status;
  if (got > 0) return pipe_filled(piping, (int64_t)got, stop, error);
  *stop = true;
  struct error why = {.status = STATUS_OK};
  status = ipc_framer_finish(piping->framer, piping->inspect->options.eos_optional, &why);
  return keep(piping->inspect, status, piping->message_bytes, &why);
}

enum status inspect_piped(struct inspect *inspect, int file, const uint8_t *head, size_t head_bytes,
                          struct error *error) {
  struct piping piping = {.inspect = inspect};
  uint8_t first[FILE_HEAD_BYTES] = {0};
  size_t first_bytes = head_bytes < sizeof first ? head_bytes : sizeof first;
  memcpy(first, head, first_bytes);
  enum status status = ipc_framer_new(&inspect->limits, &inspect->budget, &piping.framer, error);
  bool stop = false;
  while (status == STATUS_OK && !stop)
    status = pipe_some(&piping, file, &head, &head_bytes, &stop, error);
  if (status == STATUS_OK) status = check_begun(inspect);
  if (inspect->problem.status != STATUS_OK) guess(inspect, first, (int64_t)first_bytes);
  ipc_framer_free(piping.framer);
  return status;
}
