/* Files as the bench's programs want them: whole, in a buffer. */
#ifndef ARROWPORT_BENCH_FILE_H
#define ARROWPORT_BENCH_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/status.h"

static inline enum status file_read_whole(const char *path, struct budget *budget,
                                          struct buffer *out, struct error *error) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return error_set(error, STATUS_NOT_FOUND, "%s cannot be opened", path);
  enum status status = STATUS_IO;
  if (fseek(file, 0, SEEK_END) == 0) {
    long bytes = ftell(file);
    rewind(file);
    status = buffer_reserve(out, budget, bytes, error);
    if (status == STATUS_OK) out->size_bytes = (int64_t)fread(out->data, 1, (size_t)bytes, file);
    if (status == STATUS_OK && out->size_bytes != bytes) status = STATUS_IO;
  }
  if (status == STATUS_IO) error_set(error, status, "%s cannot be read", path);
  fclose(file);
  return status;
}

#endif
