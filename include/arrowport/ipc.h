/* Arrow IPC for C programs: read and write the stream and the file format, all types,
 * compressed or not, in bounded memory.
 *
 * A reader gives record batches as the Arrow C data interface has them. Nothing that it
 * reads is believed: every length, offset, index and text is checked before a batch is
 * handed out. Batches outlive their reader, and are released on any thread.
 *
 * One handle is used by one thread at a time. Errors are as in arrowport.h; where the
 * functions below name none, ARROWPORT_NOMEM is meant. */
#ifndef ARROWPORT_IPC_H
#define ARROWPORT_IPC_H

#include "arrowport/arrowport.h"
#include "arrowport/c_data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- reading ------------------------------------------------------------------ */

struct arrowport_reader;

struct arrowport_reader_options {
  size_t struct_size;
  /* What the bytes in flight and unreleased batches may take together, mapped files not
   * counted; 0: 1 GiB. */
  int64_t memory_bytes_max;
  /* Limits of one message: its metadata (0: 16 MiB), its body as it comes (0: 2 GiB), its
   * body expanded (0: 2 GiB). */
  int64_t metadata_bytes_max;
  int64_t body_bytes_max;
  int64_t decoded_bytes_max;
  int threads; /* that expand large compressed bodies; 0: one for each core, 1: the caller's */
  bool eos_optional; /* a stream may end without its end-of-stream marker: nothing then tells
                      * a whole one from one that was cut between two batches */
};

/* Reads up to `bytes` (>= 1) into `data`, which is where a batch will point to; returns how
 * many there were, 0 at the end of the input, -1 when reading failed. */
typedef int64_t (*arrowport_read)(void *context, void *data, int64_t bytes);

/* Each opens a reader and reads the schema; `options` and `error` may be NULL.
 * ARROWPORT_INVALID says what is wrong and at which byte; ARROWPORT_TOO_LARGE which limit;
 * ARROWPORT_BUDGET; ARROWPORT_IO.
 *
 * A stream, from whatever `read` reads, blocking as it blocks: */
ARROWPORT_EXPORT enum arrowport_status
arrowport_reader_open(arrowport_read read, void *context,
                      const struct arrowport_reader_options *options,
                      struct arrowport_reader **reader, struct arrowport_error *error);
/* A stream or a file (told apart by its first bytes), mapped into memory where it can be:
 * batches then point into the mapping. "-" is standard input. ARROWPORT_NOT_FOUND. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_reader_open_path(const char *path, const struct arrowport_reader_options *options,
                           struct arrowport_reader **reader, struct arrowport_error *error);
/* A stream or a file in memory; batches point into it. `release` (NULL is allowed) is called
 * with `context`, once, when the reader and the last batch are gone, or the call has
 * failed. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_reader_open_memory(const void *data, int64_t bytes, void (*release)(void *context),
                             void *context, const struct arrowport_reader_options *options,
                             struct arrowport_reader **reader, struct arrowport_error *error);

/* A copy of the schema, the caller's. */
ARROWPORT_EXPORT enum arrowport_status arrowport_reader_schema(struct arrowport_reader *reader,
                                                               struct ArrowSchema *schema,
                                                               struct arrowport_error *error);

/* The next batch (a struct array), the caller's; `batch->release` is NULL after the last one.
 * A stream that was cut short is ARROWPORT_INVALID, not an end. After ARROWPORT_BUDGET the
 * call may be repeated; after another failure it fails again. */
ARROWPORT_EXPORT enum arrowport_status arrowport_reader_next(struct arrowport_reader *reader,
                                                             struct ArrowArray *batch,
                                                             struct arrowport_error *error);

/* The custom metadata that came with the last batch, encoded as ArrowSchema.metadata; NULL
 * without any. The reader's, until the next call. */
ARROWPORT_EXPORT const char *arrowport_reader_metadata(const struct arrowport_reader *reader);

/* Makes a C stream of the batches that are left; the reader belongs to it from then on and is
 * closed with it. */
ARROWPORT_EXPORT enum arrowport_status arrowport_reader_export(struct arrowport_reader *reader,
                                                               struct ArrowArrayStream *stream,
                                                               struct arrowport_error *error);

ARROWPORT_EXPORT void arrowport_reader_close(struct arrowport_reader *reader); /* NULL: allowed */

/* ---- writing ------------------------------------------------------------------ */

struct arrowport_writer;

enum arrowport_ipc_format { ARROWPORT_IPC_STREAM = 0, ARROWPORT_IPC_FILE = 1 };

enum arrowport_compression {
  ARROWPORT_UNCOMPRESSED = 0,
  ARROWPORT_LZ4 = 1, /* LZ4 frames */
  ARROWPORT_ZSTD = 2
};

struct arrowport_writer_options {
  size_t struct_size;
  enum arrowport_ipc_format format;
  enum arrowport_compression compression;
  int level;                /* ZSTD: 1 to 22, LZ4: 1 to 12; 0: the method's default */
  bool dictionary_deltas;   /* streams: send what is new of a dictionary that has grown, not all of
                           * it. Files always do, and cannot hold one that changes otherwise */
  int threads;              /* that compress large bodies; 0: one for each core, 1: the caller's */
  int64_t memory_bytes_max; /* of what is on its way to `write`; 0: 1 GiB */
};

/* Writes all of `bytes` bytes; returns 0, or anything else when that failed, after which the
 * writer is of no use. */
typedef int (*arrowport_write)(void *context, const void *data, int64_t bytes);

/* The schema (a struct) is copied and written. `options` and `error` may be NULL.
 * ARROWPORT_INVALID: the schema or the level is none; ARROWPORT_IO: `write` failed. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_writer_open(const struct ArrowSchema *schema, arrowport_write write, void *context,
                      const struct arrowport_writer_options *options,
                      struct arrowport_writer **writer, struct arrowport_error *error);

/* Writes a batch, a struct array of the schema, and before it the dictionaries that are new.
 * The batch stays the caller's. ARROWPORT_INVALID when it is not of the schema (nothing was
 * written); ARROWPORT_UNSUPPORTED when a file would have to replace a dictionary;
 * ARROWPORT_BUDGET: nothing was written, and the call may be repeated; ARROWPORT_IO. */
ARROWPORT_EXPORT enum arrowport_status arrowport_writer_write(struct arrowport_writer *writer,
                                                              const struct ArrowArray *batch,
                                                              struct arrowport_error *error);

/* Custom metadata for the next batch, encoded as ArrowSchema.metadata; copied. */
ARROWPORT_EXPORT enum arrowport_status arrowport_writer_metadata(struct arrowport_writer *writer,
                                                                 const char *metadata,
                                                                 struct arrowport_error *error);

/* Writes the end. What is closed without it is a stream cut short, or no file. */
ARROWPORT_EXPORT enum arrowport_status arrowport_writer_finish(struct arrowport_writer *writer,
                                                               struct arrowport_error *error);

ARROWPORT_EXPORT void arrowport_writer_close(struct arrowport_writer *writer); /* NULL: allowed */

/* ---- arrays ------------------------------------------------------------------- */

/* Whether `array` is what `schema` says. Shapes and lengths, and with `full` every offset,
 * null count, view, dictionary index, union type id, run end and text. ARROWPORT_INVALID
 * names the field and the reason. The interface does not tell how long buffers are. */
ARROWPORT_EXPORT enum arrowport_status arrowport_array_check(const struct ArrowSchema *schema,
                                                             const struct ArrowArray *array,
                                                             bool full,
                                                             struct arrowport_error *error);

/* Whether two arrays of the schema, checked ones, hold the same values, however they are laid
 * out; floats are compared bit by bit. `error` says where they differ. */
ARROWPORT_EXPORT bool arrowport_array_equal(const struct ArrowSchema *schema,
                                            const struct ArrowArray *left,
                                            const struct ArrowArray *right,
                                            struct arrowport_error *error);

/* Rows [offset, offset + rows) without copying. Takes `array` on ARROWPORT_OK. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_array_slice(const struct ArrowSchema *schema, struct ArrowArray *array, int64_t offset,
                      int64_t rows, struct ArrowArray *slice, struct arrowport_error *error);

/* A small table for people in `*text`, NUL-terminated, to be freed with free(): at most
 * `rows_max` rows, lines of at most `width` characters. */
ARROWPORT_EXPORT enum arrowport_status
arrowport_array_print(const struct ArrowSchema *schema, const struct ArrowArray *array,
                      int64_t rows_max, size_t width, char **text, struct arrowport_error *error);

#ifdef __cplusplus
}
#endif

#endif
