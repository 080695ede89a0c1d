/* Decodes an Arrow IPC stream in memory again and again with nanoarrow, for bench/codec:
 *
 *   codec_nanoarrow STREAM SECONDS
 *
 * Its reader checks each batch fully (NANOARROW_VALIDATION_LEVEL_FULL: offsets, type ids,
 * indices; it does not look at text) and copies bodies out of the stream. Not part of the
 * project's build: bench/codec compiles it with the source package of nanoarrow. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nanoarrow/nanoarrow.h>
#include <nanoarrow/nanoarrow_ipc.h>

enum { PASSES_MIN = 3 };

struct totals {
  long long rows;
  long long batches;
};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The bytes stay ours. */
static void keep(struct ArrowBufferAllocator *allocator, uint8_t *data, int64_t bytes) {
  (void)allocator;
  (void)data;
  (void)bytes;
}

static int fail(const char *what, struct ArrowArrayStream *stream, int code) {
  const char *why = stream->release == NULL ? NULL : stream->get_last_error(stream);
  fprintf(stderr, "%s: %s\n", what, why == NULL ? strerror(code) : why);
  return code;
}

static int decode(const uint8_t *data, int64_t bytes, struct totals *totals) {
  struct ArrowBuffer buffer;
  struct ArrowIpcInputStream input;
  struct ArrowArrayStream stream = {.release = NULL};
  struct ArrowSchema schema = {.release = NULL};
  *totals = (struct totals){0, 0};
  ArrowBufferInit(&buffer);
  buffer.allocator = ArrowBufferDeallocator(keep, NULL);
  buffer.data = (uint8_t *)data;
  buffer.size_bytes = bytes;
  buffer.capacity_bytes = bytes;
  int code = ArrowIpcInputStreamInitBuffer(&input, &buffer);
  if (code == NANOARROW_OK) code = ArrowIpcArrayStreamReaderInit(&stream, &input, NULL);
  if (code != NANOARROW_OK) return fail("reader", &stream, code);
  code = stream.get_schema(&stream, &schema);
  if (code != NANOARROW_OK) fail("schema", &stream, code);
  while (code == NANOARROW_OK) {
    struct ArrowArray batch = {.release = NULL};
    code = stream.get_next(&stream, &batch);
    if (code != NANOARROW_OK) fail("batch", &stream, code);
    if (batch.release == NULL) break;
    totals->rows += batch.length;
    totals->batches++;
    batch.release(&batch);
  }
  if (schema.release != NULL) schema.release(&schema);
  stream.release(&stream);
  return code;
}

static uint8_t *read_file(const char *path, long *bytes) {
  uint8_t *data = NULL;
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) return NULL;
  *bytes = ftell(file);
  rewind(file);
  if (*bytes > 0) data = aligned_alloc(64, ((size_t)*bytes + 63) / 64 * 64);
  if (data != NULL && fread(data, 1, (size_t)*bytes, file) != (size_t)*bytes) *bytes = 0;
  fclose(file);
  return data;
}

int main(int count, char **arguments) {
  struct totals totals = {0, 0};
  long bytes = 0;
  double best = 0;
  double total = 0;
  if (count != 3) return 2;
  /* As our side does: freed memory is kept for the next batch. */
  mallopt(M_MMAP_THRESHOLD, 32 << 20); /* as much as glibc takes */
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  uint8_t *data = read_file(arguments[1], &bytes);
  if (data == NULL || bytes == 0) return 1;
  for (int passes = 0; passes < PASSES_MIN || total < strtod(arguments[2], NULL); passes++) {
    double start = now();
    if (decode(data, bytes, &totals) != NANOARROW_OK) return 1;
    double seconds = now() - start;
    if (passes == 0 || seconds < best) best = seconds;
    total += seconds;
  }
  printf("{\"seconds\": %.6f, \"rows\": %lld, \"batches\": %lld, \"stream_bytes\": %ld}\n", best,
         totals.rows, totals.batches, bytes);
  free(data);
  return 0;
}
