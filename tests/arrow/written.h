/* What the writer makes of batches that are made by hand, and what a reader makes of that
 * again. Every call fails the running test when it cannot be done. */
#ifndef ARROWPORT_TESTS_ARROW_WRITTEN_H
#define ARROWPORT_TESTS_ARROW_WRITTEN_H

#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/ipc.h"

/* What all of it is charged to. */
extern struct budget written_budget;

/* Arrays that hold nothing: their memory is the test's. */
#define HAND_LIST(type, ...) ((type[]){__VA_ARGS__})
#define HAND_BUFFERS(...)                                                                          \
  .n_buffers = sizeof HAND_LIST(const void *, __VA_ARGS__) / sizeof(void *),                       \
  .buffers = HAND_LIST(const void *, __VA_ARGS__)
#define HAND_CHILDREN(...)                                                                         \
  .n_children = sizeof HAND_LIST(struct ArrowArray *, __VA_ARGS__) / sizeof(void *),               \
  .children = HAND_LIST(struct ArrowArray *, __VA_ARGS__)
#define HAND_FIELDS(...)                                                                           \
  .n_children = sizeof HAND_LIST(struct ArrowSchema *, __VA_ARGS__) / sizeof(void *),              \
  .children = HAND_LIST(struct ArrowSchema *, __VA_ARGS__)

/* A whole stream or file of the batches; the caller's to release. */
struct buffer written(const struct ArrowSchema *schema, const struct ArrowArray *const *batches,
                      int count, const struct ipc_writer_options *options);

/* The messages of a stream or file: 's'chema, 'd'ictionary, '+' for more of one, record
 * 'b'atch, '.' at the end-of-stream marker. Fails unless each body begins and ends at a
 * multiple of 64 bytes. */
const char *written_messages(const struct buffer *bytes);

/* Writes and reads the batches, as streams and files with each compression; they must be
 * valid and equal to what is read. */
void expect_same(const struct ArrowSchema *schema, const struct ArrowArray *const *batches,
                 int count);

/* The same of every slice of a column: cut by its parent's offset, and by its own. */
void expect_same_slices(struct ArrowSchema *column, const struct ArrowArray *array);

/* That the writer refuses the column with STATUS_INVALID, and names it; nothing is written. */
void expect_refused(struct ArrowSchema *column, struct ArrowArray *array, const char *text);

#endif
