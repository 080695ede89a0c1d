/* The Arrow IPC streaming format (Arrow "Serialization and interprocess
 * communication"), reading and writing, without I/O: bytes in, record batches out,
 * and back.
 *
 * Reading has two halves so that they can run on different threads:
 *
 *   bytes -> ipc_framer -> struct ipc_message -> ipc_decoder -> schema, batches
 *
 * The framer cuts the byte stream into messages and says where the next bytes
 * should go, so that a socket reads straight into the buffer that the arrays will
 * point into. The decoder checks a whole message and turns it into arrays, copying
 * nothing but what was compressed. A Flight server, which gets its messages ready
 * cut, uses the decoder alone.
 *
 * What a file or a peer says is not believed: each flatbuffer table is verified
 * while it is read, every length, offset, null count and child count is checked
 * against what arrived, and every limit below has a name. */
#ifndef ARROWPORT_ARROW_IPC_H
#define ARROWPORT_ARROW_IPC_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/schema.h"
#include "base/buffer.h"
#include "base/status.h"
#include "base/workers.h"

struct ipc_limits {
  int64_t
      metadata_bytes_max; /* of one message's flatbuffer: a 2 GB schema costs nothing to announce */
  int64_t body_bytes_max; /* of one message's body, as it arrives */
  int64_t decoded_bytes_max; /* of one message's body after decompression: zip bombs */
};

#define IPC_LIMITS_DEFAULT                                                                         \
  ((struct ipc_limits){.metadata_bytes_max = (int64_t)16 << 20,                                    \
                       .body_bytes_max = (int64_t)2 << 30,                                         \
                       .decoded_bytes_max = (int64_t)2 << 30})

/* One encapsulated message. Whoever holds it releases it. */
struct ipc_message {
  struct buffer metadata; /* the flatbuffer `Message`, unpadded or padded */
  struct buffer body;
  int64_t offset_bytes; /* where in the stream its prefix began, for error messages */
};

void ipc_message_release(struct ipc_message *message);
/* Whether it is a record batch, as far as its header can be read: it is checked by the decoder. */
bool ipc_message_is_batch(const struct ipc_message *message);

/* ---- framing ---------------------------------------------------------------- */

struct ipc_framer;

enum ipc_frame {
  IPC_FRAME_PARTIAL, /* more bytes are needed */
  IPC_FRAME_MESSAGE, /* a message is whole: take it before going on */
  IPC_FRAME_END      /* the end-of-stream marker was read; further bytes are an error */
};

/* `budget` is charged for what messages hold; it must outlive them. */
enum status ipc_framer_new(const struct ipc_limits *limits, struct budget *budget,
                           struct ipc_framer **framer, struct error *error) WARN_UNUSED;
void ipc_framer_free(struct ipc_framer *framer); /* NULL is allowed */

/* Where the next bytes of the stream are to be written: `*data` has room for
 * `*bytes` >= 1. The room grows with what has arrived, never with what a prefix
 * announced. STATUS_BUDGET when no memory may be taken now (call again later);
 * not to be called while a message waits to be taken. */
enum status ipc_framer_window(struct ipc_framer *framer, uint8_t **data, int64_t *bytes,
                              struct error *error) WARN_UNUSED;

/* What the next window would take from the budget; 0: there is room, or a few bytes suffice. */
int64_t ipc_framer_wants(const struct ipc_framer *framer);
/* Memory of the message that is arriving, charged to the budget. */
int64_t ipc_framer_held(const struct ipc_framer *framer);

/* `bytes` (at least 1, at most the window) have been written there.
 * STATUS_INVALID, STATUS_TOO_LARGE or STATUS_UNSUPPORTED say what is wrong and at
 * which byte; the framer is of no use then. */
enum status ipc_framer_filled(struct ipc_framer *framer, int64_t bytes, enum ipc_frame *frame,
                              struct error *error) WARN_UNUSED;

/* After IPC_FRAME_MESSAGE: moves the message out to the caller. */
void ipc_framer_take(struct ipc_framer *framer, struct ipc_message *message);

/* The bytes are over. STATUS_INVALID unless the stream is at its end: inside a
 * message always, and at a message boundary when the end-of-stream marker is
 * missing, unless `eos_optional`. An empty input is always refused. */
enum status ipc_framer_finish(const struct ipc_framer *framer, bool eos_optional,
                              struct error *error) WARN_UNUSED;

/* The next message of a stream that is in memory as a whole, from `*position_bytes` on, which
 * is moved behind it; the message shares the bytes, nothing is copied. IPC_FRAME_END (and no
 * message) behind the end-of-stream marker, or, with `eos_optional`, at the end of the bytes.
 * Errors as ipc_framer_filled and ipc_framer_finish. */
enum status ipc_cut(const struct buffer *stream, const struct ipc_limits *limits, bool eos_optional,
                    int64_t *position_bytes, struct ipc_message *message, enum ipc_frame *frame,
                    struct error *error) WARN_UNUSED;

/* ---- decoding --------------------------------------------------------------- */

struct ipc_decoder;

enum ipc_event {
  IPC_EVENT_SCHEMA,      /* ipc_decoder_schema is known now */
  IPC_EVENT_DICTIONARY,  /* nothing for the caller */
  IPC_EVENT_REPLACEMENT, /* a dictionary that was known is another now: streams may, files not */
  IPC_EVENT_BATCH        /* `batch` holds a struct array of the schema */
};

enum status ipc_decoder_new(const struct ipc_limits *limits, struct budget *budget,
                            struct ipc_decoder **decoder, struct error *error) WARN_UNUSED;
void ipc_decoder_free(struct ipc_decoder *decoder); /* NULL is allowed; batches live on */

/* Large compressed bodies are expanded on these threads too, which must outlive the decoder;
 * NULL, as it is at first: on the caller's alone. */
void ipc_decoder_use_workers(struct ipc_decoder *decoder, struct workers *workers);

/* Decodes one message; `message` is released or absorbed on STATUS_OK, and the
 * caller's on failure. `batch` holds something only after IPC_EVENT_BATCH; its
 * buffers share the message's memory, and so charge its budget, until released
 * (on any thread). STATUS_INVALID (names field and reason), STATUS_UNSUPPORTED
 * (names the feature), STATUS_TOO_LARGE, STATUS_BUDGET (may be repeated), STATUS_NOMEM. */
enum status ipc_decoder_decode(struct ipc_decoder *decoder, struct ipc_message *message,
                               enum ipc_event *event, struct ArrowArray *batch,
                               struct error *error) WARN_UNUSED;

/* NULL until IPC_EVENT_SCHEMA; owned by the decoder. */
const struct ArrowSchema *ipc_decoder_schema(const struct ipc_decoder *decoder);

/* Whether its batches need dictionaries, which belong to one stream: a decoder without any may go on
 * with the batches of another stream that begins with the same schema message. */
bool ipc_decoder_has_dictionaries(const struct ipc_decoder *decoder);

/* The custom metadata of the message that was decoded last (Message.fbs, "custom_metadata"),
 * in the encoding of ArrowSchema.metadata; NULL when it has none. The decoder's, until the
 * next message. A schema's own is in the schema. */
const char *ipc_decoder_metadata(const struct ipc_decoder *decoder);

/* ---- writing ---------------------------------------------------------------- */

enum ipc_compression { IPC_COMPRESSION_NONE, IPC_COMPRESSION_LZ4, IPC_COMPRESSION_ZSTD };

enum ipc_format { IPC_FORMAT_STREAM, IPC_FORMAT_FILE };

struct ipc_writer_options {
  enum ipc_compression compression;
  int level; /* ZSTD: 1 to 22, LZ4: 1 to 12; 0 for the method's default */
  enum ipc_format format;
  /* A dictionary that has only grown is sent as what is new. In a file it always is, for a
   * file cannot replace a dictionary; some readers of streams do not know it. */
  bool dictionary_deltas;
  struct workers *workers; /* large bodies are compressed on these too; NULL: only here */
};

struct ipc_writer;

/* `options` NULL: no compression. The schema is copied. STATUS_UNSUPPORTED names
 * a type that cannot be written yet. */
enum status ipc_writer_new(const struct ArrowSchema *schema,
                           const struct ipc_writer_options *options, struct budget *budget,
                           struct ipc_writer **writer, struct error *error) WARN_UNUSED;
void ipc_writer_free(struct ipc_writer *writer); /* NULL is allowed */

/* Each appends encapsulated messages to `out`, whose room grows once, by what the
 * message takes. The schema comes first, once (in a file behind its magic); a batch's
 * dictionaries are written before it when they are new or have changed. The end is the
 * end-of-stream marker, and in a file the footer, so all of a file's bytes come from these
 * calls, in order; what `out` held before a call may have been taken away. The batch stays
 * the caller's. STATUS_INVALID when it is not of the schema; STATUS_UNSUPPORTED when a file
 * would have to replace a dictionary. A failure leaves `out` as it was; after
 * STATUS_BUDGET the call may be repeated. */
enum status ipc_writer_schema(struct ipc_writer *writer, struct buffer *out,
                              struct error *error) WARN_UNUSED;
enum status ipc_writer_batch(struct ipc_writer *writer, const struct ArrowArray *batch,
                             struct buffer *out, struct error *error) WARN_UNUSED;
/* Custom metadata for the next batch's message, in the encoding of ArrowSchema.metadata; it is
 * copied. NULL: none. */
enum status ipc_writer_metadata(struct ipc_writer *writer, const char *metadata,
                                struct error *error) WARN_UNUSED;
enum status ipc_writer_end(struct ipc_writer *writer, struct buffer *out,
                           struct error *error) WARN_UNUSED;

/* What stands before a message's body where messages are not framed as in a stream. */
struct ipc_head {
  const void *metadata; /* the flatbuffer */
  int64_t metadata_bytes;
  int64_t body_bytes; /* with its padding; 0: a batch without columns */
  bool is_last;       /* of the batch; those before are dictionaries and rows cut off */
};

struct ipc_share_options {
  /* Counted before compression. A batch of more than is wanted is cut into several of its rows, where
   * that helps: the data buffers of views go with each of them. A row or a dictionary of more than
   * the most is STATUS_TOO_LARGE. */
  int64_t body_bytes_wanted;
  int64_t body_bytes_max;
  /* What `head` takes beyond the metadata at most. */
  int64_t head_bytes_max;
  /* Writes all that goes before the body, the metadata included, so that it ends at `end`; returns
   * how many bytes. */
  int64_t (*head)(void *context, const struct ipc_head *head, uint8_t *end);
  void *context;
};

/* As ipc_writer_batch, for a stream; but the bytes are given in pieces, one behind the other, and what
 * needs no change is the batch's own memory: small pieces, shifted bitmaps, offsets that began
 * elsewhere and compressed buffers alone are copied. `pieces` gets many a struct buffer appended, each
 * the caller's. Takes the batch over on STATUS_OK: it is released with the last piece that is of it,
 * on whichever thread. On failure it stays the caller's, as does what `pieces` held. */
enum status ipc_writer_share(struct ipc_writer *writer, struct ArrowArray *batch,
                             const struct ipc_share_options *options, struct buffer *pieces,
                             struct error *error) WARN_UNUSED;
/* Lets go of all pieces and of the list. */
void ipc_pieces_release(struct buffer *pieces);
static inline int64_t ipc_piece_count(const struct buffer *pieces) {
  return pieces->size_bytes / (int64_t)sizeof(struct buffer);
}

/* ---- the file format -------------------------------------------------------- */

/* Where the messages of an Arrow file lie ("IPC file format": magic, stream,
 * footer). `data` is the whole file, usually a mapping; nothing is copied. */
struct ipc_file_block {
  int64_t offset_bytes;
  int64_t metadata_bytes; /* with its prefix and padding */
  int64_t body_bytes;
};

struct ipc_file {
  struct ipc_file_block schema; /* of its message, behind the magic */
  struct ipc_file_block *dictionaries;
  int64_t dictionary_count;
  struct ipc_file_block *batches;
  int64_t batch_count;
  char *metadata; /* the footer's custom metadata, encoded as ArrowSchema.metadata; or NULL */
};

/* True when the bytes start with the file format's magic. */
bool ipc_file_magic(const uint8_t *data, int64_t bytes);

/* Reads and checks the footer. `file` is released by ipc_file_release. */
enum status ipc_file_open(const uint8_t *data, int64_t bytes, const struct ipc_limits *limits,
                          struct ipc_file *file, struct error *error) WARN_UNUSED;
void ipc_file_release(struct ipc_file *file);

/* The message of a block, sharing the bytes of the file. STATUS_INVALID when what lies there
 * is none of that length. A file's dictionaries are all decoded before its first batch, and
 * none of them may be a replacement. */
enum status ipc_file_message(const struct buffer *data, const struct ipc_file_block *block,
                             struct ipc_message *message, struct error *error) WARN_UNUSED;

#endif
