/* Small record batches and the messages that the writer makes of them, for tests that
 * then damage them. Every call fails the running test when it cannot be done. */
#ifndef ARROWPORT_TESTS_ARROW_MESSAGES_H
#define ARROWPORT_TESTS_ARROW_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/build.h"
#include "arrow/ipc.h"

/* What all of them is charged to. */
extern struct budget messages_budget;

/* A schema of one column "speed"; with a dictionary of utf8 behind int8. */
struct ArrowSchema one_column(const char *format);
struct ArrowSchema one_dictionary(void);

struct build *new_build(const struct ArrowSchema *schema);
void end_row(struct build *build);
struct ArrowArray finish_batch(struct build *build); /* frees the builder */

/* Batches of one column. NULL is null. */
struct ArrowArray texts(const struct ArrowSchema *schema, const char *const *words, int count);
/* From 0 on; every tenth is null. */
struct ArrowArray numbers(const struct ArrowSchema *schema, int64_t rows);
struct ArrowArray looked_up(const struct ArrowSchema *schema, const char *const *values,
                            int value_count, const int *indices, int count);

enum { MESSAGES_MAX = 8 };

struct messages {
  struct ipc_message list[MESSAGES_MAX];
  int count;
};

/* The schema, then what the batches, which are released, become. */
struct messages write_messages(const struct ArrowSchema *schema, struct ArrowArray *batches,
                               int count, enum ipc_compression compression);
void release_messages(struct messages *messages);

/* Where `pattern` lies in the buffer, at a multiple of 4; it must be there once. */
uint8_t *find_in(const struct buffer *buffer, const void *pattern, size_t bytes);

#endif
