/* Arrays written down buffer by buffer, right or wrong, for tests of what takes arrays from
 * anywhere. Each buffer is a heap block of exactly its size, so that a sanitizer sees a
 * step outside.
 *
 *   static const struct handmade lists = {"+l", "a", .length = 2,
 *     .buffers = {NONE, I32(0, 1, 3)}, .children = {&(struct handmade){"i", "item", ...}}}; */
#ifndef ARROWPORT_TESTS_ARROW_HANDMADE_H
#define ARROWPORT_TESTS_ARROW_HANDMADE_H

#include <stdint.h>

#include "arrow/abi.h"

enum { HANDMADE_BUFFERS_MAX = 5, HANDMADE_CHILDREN_MAX = 4 };

struct handmade_buffer {
  const void *data; /* NULL: the buffer is NULL */
  int64_t bytes;
};

struct handmade {
  const char *format;
  const char *name;
  int64_t length;
  int64_t offset;
  int64_t null_count;
  int64_t n_buffers; /* 0: as many as the format has; -1: none */
  struct handmade_buffer buffers[HANDMADE_BUFFERS_MAX];
  const struct handmade *children[HANDMADE_CHILDREN_MAX]; /* up to the first NULL */
  const struct handmade *dictionary;
};

#define NONE                                                                                       \
  { NULL, 0 }
#define CHARS(string)                                                                              \
  { string, sizeof(string) - 1 }
#define VALUES(type, ...)                                                                          \
  {                                                                                                \
    (const type[]){__VA_ARGS__}, sizeof(const type[]) { __VA_ARGS__ }                              \
  }
#define U8(...)  VALUES(uint8_t, __VA_ARGS__) /* bitmaps too */
#define I8(...)  VALUES(int8_t, __VA_ARGS__)
#define I16(...) VALUES(int16_t, __VA_ARGS__)
#define I32(...) VALUES(int32_t, __VA_ARGS__)
#define I64(...) VALUES(int64_t, __VA_ARGS__)

/* Both are to be released; the running test fails when there is no memory. */
struct ArrowSchema handmade_schema(const struct handmade *node);
struct ArrowArray handmade_array(const struct handmade *node);

#endif
