/* An Arrow IPC file ("Feather V2"), mapped into memory: its batches point into the
 * mapping, which lives until the last of them is released.
 *
 * Values are checked when a batch is read. Somebody who changes the file while it is
 * in use changes what was checked; who truncates it ends this process (SIGBUS), as
 * with every mapped file. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arrow/ipc.h"
#include "source/private.h"

enum { MAGIC_AND_PADDING_BYTES = 8 };

struct ipc_file_source {
  struct source source;
  char *name;
  struct buffer mapping;
  struct ipc_file file;
  struct ipc_decoder *decoder;
  int64_t next_batch;
};

static const struct config_field fields[] = {
    {.name = "path", .type = CONFIG_PATH, .required = true, .doc = "The Arrow IPC file."},
    {.name = NULL},
};

static void file_close(struct source *source) {
  struct ipc_file_source *made = (struct ipc_file_source *)source;
  ipc_decoder_free(made->decoder);
  ipc_file_release(&made->file);
  buffer_release(&made->mapping);
  free(made->name);
  free(made);
}

static const struct ArrowSchema *file_schema(struct source *source) {
  return ipc_decoder_schema(((struct ipc_file_source *)source)->decoder);
}

/* ---- the mapping ----------------------------------------------------------------------- */

struct mapping {
  void *data;
  size_t bytes;
};

static void unmap(void *context) {
  struct mapping *mapping = context;
  munmap(mapping->data, mapping->bytes);
  free(mapping);
}

static enum status map(int file, struct buffer *out, struct error *error) {
  struct stat stat;
  if (fstat(file, &stat) != 0 || stat.st_size <= 0)
    return error_set(error, STATUS_IO, "its size cannot be told: %s", strerror(errno));
  size_t bytes = (size_t)stat.st_size;
  void *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0);
  if (data == MAP_FAILED)
    return error_set(error, STATUS_IO, "it cannot be mapped: %s", strerror(errno));
  struct mapping *mapping = malloc(sizeof *mapping);
  enum status status = STATUS_NOMEM;
  if (mapping != NULL) {
    *mapping = (struct mapping){data, bytes};
    status = buffer_wrap(out, data, stat.st_size, unmap, mapping, error);
    if (status == STATUS_OK) return STATUS_OK; /* which the buffer holds now */
  } else {
    error_set(error, status, "no memory for a source");
  }
  free(mapping);
  munmap(data, bytes);
  return status;
}

/* ---- messages ---------------------------------------------------------------------------- */

/* The bytes before a message's flatbuffer: 8, or 4 before format 0.15. */
static int64_t prefix_bytes(const uint8_t *at) {
  static const uint8_t continuation[4] = {0xFF, 0xFF, 0xFF, 0xFF};
  return memcmp(at, continuation, sizeof continuation) == 0 ? 8 : 4;
}

/* Dictionaries come before all batches, so one that replaces another would change rows
 * that were written with the other. */
static enum status decode(struct ipc_file_source *made, int64_t offset, int64_t metadata_bytes,
                          int64_t body_bytes, struct ArrowArray *batch, struct error *error) {
  int64_t prefix = prefix_bytes(made->mapping.data + offset);
  struct ipc_message message = {
      .metadata = buffer_slice(&made->mapping, offset + prefix, metadata_bytes - prefix),
      .body = buffer_slice(&made->mapping, offset + metadata_bytes, body_bytes),
      .offset_bytes = offset,
  };
  enum ipc_event event;
  enum status status = ipc_decoder_decode(made->decoder, &message, &event, batch, error);
  if (status != STATUS_OK) ipc_message_release(&message);
  if (status == STATUS_OK && event == IPC_EVENT_REPLACEMENT)
    status = error_set(error, STATUS_INVALID,
                       "the message at byte %" PRId64
                       " replaces a dictionary, which an Arrow file cannot",
                       offset);
  return status;
}

/* The schema message, which follows the magic. */
static enum status decode_schema(struct ipc_file_source *made, struct error *error) {
  const uint8_t *at = made->mapping.data + MAGIC_AND_PADDING_BYTES;
  int64_t prefix = prefix_bytes(at);
  const uint8_t *p = at + prefix - 4;
  int64_t bytes = (int64_t)p[0] | (int64_t)p[1] << 8 | (int64_t)p[2] << 16 | (int64_t)p[3] << 24;
  if (bytes > made->mapping.size_bytes - MAGIC_AND_PADDING_BYTES - prefix)
    return error_set(error, STATUS_INVALID,
                     "the schema at byte %d says it has %" PRId64 " bytes; the file ends before",
                     MAGIC_AND_PADDING_BYTES, bytes);
  struct ArrowArray none = {.release = NULL};
  enum status status = decode(made, MAGIC_AND_PADDING_BYTES, prefix + bytes, 0, &none, error);
  arrow_array_release(&none);
  if (status == STATUS_OK && ipc_decoder_schema(made->decoder) == NULL)
    status = error_set(error, STATUS_INVALID, "its first message is not a schema");
  return status;
}

static enum status decode_dictionaries(struct ipc_file_source *made, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < made->file.dictionary_count && status == STATUS_OK; i++) {
    const struct ipc_file_block *block = &made->file.dictionaries[i];
    struct ArrowArray none = {.release = NULL};
    status =
        decode(made, block->offset_bytes, block->metadata_bytes, block->body_bytes, &none, error);
    arrow_array_release(&none);
  }
  return status;
}

static enum status file_next(struct source *source, struct ArrowArray *batch, struct error *error) {
  struct ipc_file_source *made = (struct ipc_file_source *)source;
  if (made->next_batch == made->file.batch_count) return STATUS_OK;
  const struct ipc_file_block *block = &made->file.batches[made->next_batch++];
  enum status status =
      decode(made, block->offset_bytes, block->metadata_bytes, block->body_bytes, batch, error);
  if (status == STATUS_OK && batch->release == NULL)
    status =
        error_set(error, STATUS_INVALID, "the message at byte %" PRId64 " is not a record batch",
                  block->offset_bytes);
  if (status != STATUS_OK) error_at(error, "'%s'", made->name);
  return status;
}

static enum status start(struct ipc_file_source *made, int file, struct budget *budget,
                         struct error *error) {
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  enum status status = map(file, &made->mapping, error);
  if (status == STATUS_OK)
    status =
        ipc_file_open(made->mapping.data, made->mapping.size_bytes, &limits, &made->file, error);
  if (status == STATUS_OK) status = ipc_decoder_new(&limits, budget, &made->decoder, error);
  if (status == STATUS_OK) status = decode_schema(made, error);
  if (status == STATUS_OK) status = decode_dictionaries(made, error);
  if (status != STATUS_OK) error_at(error, "'%s'", made->name);
  return status;
}

enum status source_ipc_file_open(int file, const char *name, struct budget *budget,
                                 struct source **source, struct error *error) {
  struct ipc_file_source *made = calloc(1, sizeof *made);
  if (made == NULL) {
    close(file);
    return error_set(error, STATUS_NOMEM, "no memory for a source");
  }
  made->source.type = &SOURCE_IPC_FILE;
  made->name = strdup(name);
  enum status status = made->name != NULL
                           ? start(made, file, budget, error)
                           : error_set(error, STATUS_NOMEM, "no memory for a source");
  close(file); /* the mapping stays */
  if (status == STATUS_OK)
    *source = &made->source;
  else
    file_close(&made->source);
  return status;
}

static enum status file_open(const struct config *config, struct budget *budget,
                             struct source **source, struct error *error) {
  const char *path = config_string(config, "path");
  int file = -1;
  enum status status = source_open_file(path, &file, error);
  return status == STATUS_OK ? source_ipc_file_open(file, path, budget, source, error) : status;
}

const struct source_type SOURCE_IPC_FILE = {
    .name = "ipc_file",
    .summary = "an Arrow IPC file (Feather V2), mapped into memory",
    .config = fields,
    .open = file_open,
    .close = file_close,
    .schema = file_schema,
    .next = file_next,
};
