/* Custom metadata (Schema.fbs, "KeyValue") in the encoding of ArrowSchema.metadata. Inside
 * the room only. */
#ifndef ARROWPORT_ARROW_IPC_PAIRS_H
#define ARROWPORT_ARROW_IPC_PAIRS_H

#include <stddef.h>
#include <stdint.h>

#include "arrow/flatbuf_read.h"
#include "base/status.h"

/* Strings of a flatbuffer may be shared. A message of a kilobyte that names one of them a
 * thousand times must not become a megabyte: copies are limited to so many times the
 * flatbuffer's own size. */
struct ipc_copies {
  int64_t bytes; /* copied so far */
  int64_t bytes_max;
};

struct ipc_copies ipc_copies_of(const struct fb_table *table);

/* STATUS_TOO_LARGE when `bytes` more are too many. */
enum status ipc_copies_count(struct ipc_copies *copies, size_t bytes,
                             struct error *error) WARN_UNUSED;

/* The pairs in a field of the table, in memory that is the caller's to free; `*metadata` is
 * NULL without any. */
enum status ipc_pairs_read(const struct fb_table *table, int field, struct ipc_copies *copies,
                           char **metadata, struct error *error) WARN_UNUSED;

#endif
