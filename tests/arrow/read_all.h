/* A whole stream or file read at once, for tests. */
#ifndef ARROWPORT_TESTS_ARROW_READ_ALL_H
#define ARROWPORT_TESTS_ARROW_READ_ALL_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"
#include "base/buffer.h"
#include "base/status.h"

struct read_all_options {
  int64_t step_bytes; /* at most so many bytes at a time; 0: as many as the window takes */
  bool eos_optional;
  struct ipc_limits limits; /* all 0: the default */
};

struct read_all {
  struct ArrowSchema schema;
  struct ArrowArray *batches;
  int64_t batch_count;
  int64_t rows;
};

/* What was read before a failure is in `all` too; it is to be released in any case. */
enum status read_all_stream(const void *data, int64_t bytes, const struct read_all_options *options,
                            struct budget *budget, struct read_all *all, struct error *error);
enum status read_all_file(const void *data, int64_t bytes, struct budget *budget,
                          struct read_all *all, struct error *error);
/* Either, as its first bytes say, where it lies: batches point into `data`. */
enum status read_all_memory(const struct buffer *data, struct budget *budget, struct read_all *all,
                            struct error *error);
void read_all_release(struct read_all *all);

/* A file of tests/data; fails the test when it cannot be read. */
struct buffer test_data(const char *name, struct budget *budget);

#endif
