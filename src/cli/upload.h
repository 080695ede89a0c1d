/* What `ingest` sends: the bytes of an Arrow stream, made from a file as they are asked
 * for.
 *
 * A file that is a stream already goes out as it is, each message checked before its
 * bytes are all sent, so that a broken file is refused here with a place in it. Anything else,
 * or a stream that is to be compressed otherwise, is read and written anew. */
#ifndef ARROWPORT_CLI_UPLOAD_H
#define ARROWPORT_CLI_UPLOAD_H

#include "arrow/ipc.h"
#include "base/buffer.h"
#include "base/status.h"
#include "cli/input.h"

struct upload;

struct upload_options {
  struct ipc_writer_options compression;
  bool rewrite; /* also what is a stream already */
  struct input_options input;
};

/* The input must outlive the upload. */
enum status upload_open(struct input *input, const struct upload_options *options,
                        struct upload **upload, struct error *error) WARN_UNUSED;
void upload_close(struct upload *upload); /* NULL is allowed */

/* The next bytes (http_client.h, read_body). */
enum status upload_read(struct upload *upload, void *room, size_t room_bytes, size_t *bytes,
                        struct error *error) WARN_UNUSED;

int64_t upload_rows(const struct upload *upload);    /* so far */
int64_t upload_bytes(const struct upload *upload);   /* so far */
double upload_fraction(const struct upload *upload); /* of the input; negative: not known */

#endif
