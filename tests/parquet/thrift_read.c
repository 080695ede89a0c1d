#include "parquet/thrift_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { DEPTH_MAX = 32 };

struct reader {
  const uint8_t *at, *end;
};

static uint8_t next_byte(struct reader *reader) {
  if (reader->at >= reader->end) fail_msg("the thrift ends within a value");
  return *reader->at++;
}

static uint64_t next_varint(struct reader *reader) {
  uint64_t number = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    uint8_t byte = next_byte(reader);
    if (shift == 63 && byte > 1) break;
    number |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) {
      if (byte == 0 && shift > 0) fail_msg("a varint is longer than it needs to be");
      return number;
    }
  }
  fail_msg("a varint of more than 64 bits");
  return 0;
}

static int64_t next_zigzag(struct reader *reader, int64_t least, int64_t most) {
  uint64_t number = next_varint(reader);
  int64_t value = (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
  if (value < least || value > most) fail_msg("%lld is too large for its type", (long long)value);
  return value;
}

static void *grown(void *items, int64_t count, size_t item_bytes) {
  void *more = realloc(items, (size_t)count * item_bytes);
  if (more == NULL) abort();
  return more;
}

static void next_value(struct reader *reader, int type, int depth, struct thrift_value *value);

static void next_struct(struct reader *reader, int depth, struct thrift_value *value) {
  int64_t last = 0;
  value->kind = READ_STRUCT;
  for (;;) {
    uint8_t head = next_byte(reader);
    if (head == 0) return;
    int type = head & 0x0F;
    int64_t field = head >> 4 != 0 ? last + (head >> 4) : next_zigzag(reader, 1, INT16_MAX);
    if (head >> 4 == 0 && field - last <= 15) fail_msg("field %d: a long id", (int)field);
    if (field <= last) fail_msg("field %d comes behind %d", (int)field, (int)last);
    last = field;
    int64_t number = value->count++;
    value->fields = grown(value->fields, value->count, sizeof *value->fields);
    value->items = grown(value->items, value->count, sizeof *value->items);
    value->fields[number] = (int16_t)field;
    value->items[number] = (struct thrift_value){.wire_type = type};
    if (type == 1 || type == 2) { /* the value of a field that is a bool is its type */
      value->items[number].kind = READ_BOOL;
      value->items[number].wire_type = 1;
      value->items[number].number = type == 1;
    } else {
      next_value(reader, type, depth, &value->items[number]);
    }
  }
}

static void next_list(struct reader *reader, int depth, struct thrift_value *value) {
  uint8_t head = next_byte(reader);
  uint64_t count = head >> 4;
  value->kind = READ_LIST;
  value->item_type = head & 0x0F;
  if (count == 15) {
    count = next_varint(reader);
    if (count < 15) fail_msg("a short list with a long head");
  }
  if (count > INT32_MAX || count > (uint64_t)(reader->end - reader->at))
    fail_msg("a list of more elements than there are bytes");
  value->count = (int64_t)count;
  if (count == 0) return;
  value->items = grown(NULL, value->count, sizeof *value->items);
  memset(value->items, 0, (size_t)count * sizeof *value->items);
  for (uint64_t i = 0; i < count; i++) {
    value->items[i].wire_type = value->item_type;
    next_value(reader, value->item_type, depth, &value->items[i]);
  }
}

/* Behind a field's head, or a list's element. */
static void next_value(struct reader *reader, int type, int depth, struct thrift_value *value) {
  if (depth > DEPTH_MAX) fail_msg("thrift that is too deep");
  value->kind = READ_INTEGER;
  switch (type) {
  case 1: /* a bool in a list */
  case 2: {
    uint8_t byte = next_byte(reader);
    if (byte != 1 && byte != 2) fail_msg("a bool is %d", byte);
    value->kind = READ_BOOL;
    value->number = byte == 1;
    break;
  }
  case 3: value->number = (int8_t)next_byte(reader); break;
  case 4: value->number = next_zigzag(reader, INT16_MIN, INT16_MAX); break;
  case 5: value->number = next_zigzag(reader, INT32_MIN, INT32_MAX); break;
  case 6: value->number = next_zigzag(reader, INT64_MIN, INT64_MAX); break;
  case 8: {
    uint64_t bytes = next_varint(reader);
    if (bytes > (uint64_t)(reader->end - reader->at)) fail_msg("binary past the end");
    value->kind = READ_BINARY;
    value->data = reader->at;
    value->count = (int64_t)bytes;
    reader->at += bytes;
    break;
  }
  case 9: next_list(reader, depth + 1, value); break;
  case 12: next_struct(reader, depth + 1, value); break;
  default: fail_msg("thrift of type %d, which Parquet has not", type);
  }
}

struct thrift_value *thrift_read(const uint8_t *data, int64_t bytes, int64_t *used_bytes) {
  struct reader reader = {data, data + bytes};
  struct thrift_value *value = grown(NULL, 1, sizeof *value);
  *value = (struct thrift_value){.wire_type = 12};
  next_struct(&reader, 0, value);
  if (used_bytes != NULL) *used_bytes = reader.at - data;
  if (used_bytes == NULL && reader.at != reader.end)
    fail_msg("%lld bytes behind the thrift", (long long)(reader.end - reader.at));
  return value;
}

static void release(struct thrift_value *value) {
  if (value->kind == READ_LIST || value->kind == READ_STRUCT)
    for (int64_t i = 0; i < value->count; i++) release(&value->items[i]);
  free(value->items);
  free(value->fields);
}

void thrift_read_free(struct thrift_value *value) {
  if (value == NULL) return;
  release(value);
  free(value);
}

static const struct thrift_value *item(const struct thrift_value *value, long number) {
  if (value->kind == READ_LIST)
    return number >= 0 && number < value->count ? &value->items[number] : NULL;
  if (value->kind != READ_STRUCT) return NULL;
  for (int64_t i = 0; i < value->count; i++)
    if (value->fields[i] == number) return &value->items[i];
  return NULL;
}

const struct thrift_value *thrift_find(const struct thrift_value *value, const char *path) {
  while (*path != '\0' && value != NULL) {
    char *end;
    value = item(value, strtol(path, &end, 10));
    if (end == path) fail_msg("no path: %s", path);
    path = *end == '.' ? end + 1 : end;
  }
  return value;
}

bool thrift_has(const struct thrift_value *value, const char *path) {
  return thrift_find(value, path) != NULL;
}

int64_t thrift_number(const struct thrift_value *value, const char *path) {
  const struct thrift_value *found = thrift_find(value, path);
  if (found == NULL) fail_msg("nothing at %s", path);
  if (found->kind != READ_INTEGER && found->kind != READ_BOOL) fail_msg("%s: no number", path);
  return found->number;
}

int64_t thrift_count(const struct thrift_value *value, const char *path) {
  const struct thrift_value *found = thrift_find(value, path);
  if (found == NULL) fail_msg("nothing at %s", path);
  if (found->kind != READ_LIST) fail_msg("%s: no list", path);
  return found->count;
}

bool thrift_is_binary(const struct thrift_value *value, const char *path, const void *data,
                      int64_t bytes) {
  const struct thrift_value *found = thrift_find(value, path);
  if (found == NULL) fail_msg("nothing at %s", path);
  if (found->kind != READ_BINARY) fail_msg("%s: no binary", path);
  return found->count == bytes && (bytes == 0 || memcmp(found->data, data, (size_t)bytes) == 0);
}

bool thrift_is_text(const struct thrift_value *value, const char *path, const char *text) {
  return thrift_is_binary(value, path, text, (int64_t)strlen(text));
}
