/* What the fuzz targets of the IPC codec share: any bytes given to the reader, and what a
 * consumer does with all that it lets through. Whatever breaks a promise aborts. */
#ifndef ARROWPORT_FUZZ_IPC_FEED_H
#define ARROWPORT_FUZZ_IPC_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of what is read. An input of a few kilobytes expands to no more. */
extern struct budget feed_budget;
extern const struct ipc_limits feed_limits;

/* Aborts, with the sentence on standard error, when `holds` is not true. */
void feed_expect(bool holds, const char *promise);
/* Aborts when a status is none that bytes can cause, or comes without a text. */
void feed_expect_refusal(enum status status, const struct error *error);
/* Aborts unless everything that was charged has been given back. */
void feed_expect_nothing_held(const struct budget *budget);

/* The bytes in a block of their own that ends with the last of them, `shift` bytes (0 to 7)
 * past a multiple of 8. */
struct buffer feed_copy(const uint8_t *data, int64_t bytes, int shift);

/* Two threads for decoders and writers; NULL unless `wanted`. */
struct workers *feed_workers(bool wanted);

/* Reads every name, type and metadata of the schema. */
void feed_check_schema(const struct ArrowSchema *schema);
/* Reads every value of a batch, checks it as one that somebody else has made, and returns a
 * sum of its values. */
uint64_t feed_check_batch(const struct ArrowSchema *schema, const struct ArrowArray *batch);
/* To be freed; NULL when it is NULL. */
char *feed_copy_metadata(const char *metadata);
/* Aborts unless both are encoded alike; either may be NULL. */
void feed_expect_same_metadata(const char *left, const char *right);
void feed_expect_same_schema(const struct ArrowSchema *left, const struct ArrowSchema *right);
void feed_expect_same_batch(const struct ArrowSchema *schema, const struct ArrowArray *left,
                            const struct ArrowArray *right);

/* A message given to a decoder. */
struct feed_event {
  enum status status;
  enum ipc_event event;
  struct ArrowArray batch; /* the caller's; checked */
  uint64_t sum;            /* of its values */
};

/* Takes the message, whatever comes of it. */
struct feed_event feed_decode(struct ipc_decoder *decoder, struct ipc_message *message);
/* A decoder that uses feed_workers if `threads`. */
struct ipc_decoder *feed_decoder(const struct ipc_limits *limits, struct budget *budget,
                                 bool threads);

/* Messages of a stream or a file in memory, in the order in which they are to be decoded. */
struct feed {
  const struct buffer *data;
  const struct ipc_limits *limits;
  bool eos_optional;
  bool is_file;
  bool is_over;
  int64_t next; /* the byte in a stream, the message in a file */
  struct ipc_file file;
};

/* A stream, whatever it begins with. */
struct feed feed_stream(const struct buffer *data, const struct ipc_limits *limits,
                        bool eos_optional);
/* A stream or a file, by its first bytes. False when a file cannot be opened. */
bool feed_open(struct feed *feed, const struct buffer *data, const struct ipc_limits *limits,
               bool eos_optional);
/* STATUS_OK, and a message unless `is_over` now. */
enum status feed_next(struct feed *feed, struct ipc_message *message);
void feed_close(struct feed *feed);

#endif
