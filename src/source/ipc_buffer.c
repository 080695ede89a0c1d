/* An Arrow file or stream that is in memory as a whole, usually mapped: its batches point
 * into it, and it lives until the last of them is released.
 *
 * Values are checked when a batch is read. Somebody who changes a mapped file while it is in
 * use changes what was checked; to touch what he cut off ends this process (SIGBUS), as
 * with every mapped file. So that this does not happen to who is only slow, a file's size
 * is looked at again before a message is read, though not more than once a millisecond. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "source/private.h"

enum { LOOK_EVERY_US = 1000 };

struct ipc_buffer_source {
  struct ipc_source ipc;
  struct buffer data;
  int file; /* the mapping's; -1: there is none */
  int64_t looked_us;
  int64_t position_bytes; /* in a stream */
  struct ipc_file blocks; /* of a file: schema, dictionaries, batches, in this order */
  int64_t block;          /* the next of them; 0 is the schema */
};

static void buffer_close(struct ipc_source *source) {
  struct ipc_buffer_source *made = (struct ipc_buffer_source *)source;
  ipc_file_release(&made->blocks);
  buffer_release(&made->data);
  if (made->file >= 0) close(made->file);
}

/* The mapping is as long as the file was when it was opened. */
static enum status check_size(struct ipc_buffer_source *made, struct error *error) {
  if (made->file < 0) return STATUS_OK;
  int64_t now_us = clock_now_us();
  if (made->looked_us != 0 && now_us - made->looked_us < LOOK_EVERY_US) return STATUS_OK;
  made->looked_us = now_us;
  struct stat stat;
  if (fstat(made->file, &stat) != 0)
    return error_set(error, STATUS_IO, "its size cannot be told: %s", strerror(errno));
  if (stat.st_size < made->data.size_bytes)
    return error_set(error, STATUS_IO,
                     "it was cut short while it was read: it had %" PRId64
                     " bytes and has %" PRId64,
                     made->data.size_bytes, (int64_t)stat.st_size);
  return STATUS_OK;
}

/* ---- streams ------------------------------------------------------------------------------- */

static enum status stream_next(struct ipc_source *source, struct ipc_message *message,
                               enum ipc_frame *frame, struct error *error) {
  struct ipc_buffer_source *made = (struct ipc_buffer_source *)source;
  enum status status = check_size(made, error);
  if (status == STATUS_OK)
    status = ipc_cut(&made->data, &source->options.limits, source->options.eos_optional,
                     &made->position_bytes, message, frame, error);
  return status;
}

static double stream_fraction(struct ipc_source *source) {
  const struct ipc_buffer_source *made = (const struct ipc_buffer_source *)source;
  return (double)made->position_bytes / (double)made->data.size_bytes;
}

static const struct ipc_origin stream_origin = {
    .next = stream_next, .close = buffer_close, .fraction = stream_fraction};

/* ---- files --------------------------------------------------------------------------------- */

static const struct ipc_file_block *block_at(const struct ipc_file *file, int64_t index) {
  if (index == 0) return &file->schema;
  index -= 1;
  if (index < file->dictionary_count) return &file->dictionaries[index];
  index -= file->dictionary_count;
  return index < file->batch_count ? &file->batches[index] : NULL;
}

static enum status file_next(struct ipc_source *source, struct ipc_message *message,
                             enum ipc_frame *frame, struct error *error) {
  struct ipc_buffer_source *made = (struct ipc_buffer_source *)source;
  const struct ipc_file_block *block = block_at(&made->blocks, made->block);
  *frame = IPC_FRAME_END;
  if (block == NULL) return STATUS_OK;
  enum status status = check_size(made, error);
  if (status == STATUS_OK) status = ipc_file_message(&made->data, block, message, error);
  if (status != STATUS_OK) return status;
  *frame = IPC_FRAME_MESSAGE;
  made->block++;
  return STATUS_OK;
}

/* A message is what its place in the footer asks for. Dictionaries come before all batches,
 * so one that replaces another would change rows that were written with the other. */
static enum status file_accept(struct ipc_source *source, enum ipc_event event,
                               struct error *error) {
  const struct ipc_buffer_source *made = (const struct ipc_buffer_source *)source;
  int64_t index = made->block - 1;
  int64_t offset = block_at(&made->blocks, index)->offset_bytes;
  if (event == IPC_EVENT_REPLACEMENT)
    return error_set(error, STATUS_INVALID,
                     "the message at byte %" PRId64
                     " replaces a dictionary, which an Arrow file cannot",
                     offset);
  enum ipc_event wanted = index == 0                               ? IPC_EVENT_SCHEMA
                          : index <= made->blocks.dictionary_count ? IPC_EVENT_DICTIONARY
                                                                   : IPC_EVENT_BATCH;
  if (event == wanted) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "the message at byte %" PRId64 " is not a %s", offset,
                   wanted == IPC_EVENT_SCHEMA       ? "schema"
                   : wanted == IPC_EVENT_DICTIONARY ? "dictionary"
                                                    : "record batch");
}

/* Messages, not bytes: in a file they may lie in any order. */
static double file_fraction(struct ipc_source *source) {
  const struct ipc_buffer_source *made = (const struct ipc_buffer_source *)source;
  return (double)made->block /
         (double)(1 + made->blocks.dictionary_count + made->blocks.batch_count);
}

static const struct ipc_origin file_origin = {
    .next = file_next, .accept = file_accept, .close = buffer_close, .fraction = file_fraction};

/* ---- opening ------------------------------------------------------------------------------- */

enum status ipc_buffer_open(struct buffer data, int file, const struct source_type *type,
                            const char *name, const struct source_options *options,
                            struct source **source, struct error *error) {
  *source = NULL;
  struct ipc_buffer_source *made = calloc(1, sizeof *made);
  if (made == NULL) {
    buffer_release(&data);
    if (file >= 0) close(file);
    return error_set(error, STATUS_NOMEM, "no memory for a source");
  }
  made->data = data;
  made->file = file;
  if (type == &SOURCE_IPC_STREAM)
    return ipc_source_start(&made->ipc, type, &stream_origin, name, options, source, error);
  enum status status =
      ipc_file_open(data.data, data.size_bytes, &options->limits, &made->blocks, error);
  if (status == STATUS_OK)
    return ipc_source_start(&made->ipc, type, &file_origin, name, options, source, error);
  if (name != NULL) error_at(error, "'%s'", name);
  buffer_close(&made->ipc);
  free(made);
  return status;
}

enum status source_open_buffer(struct buffer data, const struct source_options *options,
                               struct source **source, struct error *error) {
  bool is_file = ipc_file_magic(data.data, data.size_bytes);
  return ipc_buffer_open(data, -1, is_file ? &SOURCE_IPC_FILE : &SOURCE_IPC_STREAM, NULL, options,
                         source, error);
}
