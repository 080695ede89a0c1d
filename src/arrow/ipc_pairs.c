#include "arrow/ipc_pairs.h"

#include "arrow/ipc_numbers.h"
#include "base/text.h"

enum { STRING_COPIES_MAX = 4 };

struct ipc_copies ipc_copies_of(const struct fb_table *table) {
  int64_t bytes_max = STRING_COPIES_MAX * table->size_bytes;
  if (bytes_max > INT32_MAX) bytes_max = INT32_MAX; /* their lengths have 32 bits */
  return (struct ipc_copies){.bytes_max = bytes_max};
}

enum status ipc_copies_count(struct ipc_copies *copies, size_t bytes, struct error *error) {
  copies->bytes += (int64_t)bytes;
  if (copies->bytes <= copies->bytes_max) return STATUS_OK;
  return error_set(error, STATUS_TOO_LARGE,
                   "its names and custom metadata, written out, are more than %d times as large "
                   "as the message",
                   STRING_COPIES_MAX);
}

static enum status add_sized(struct text *out, const struct fb_string *string,
                             struct error *error) {
  int32_t length = (int32_t)string->size_bytes; /* it was counted */
  enum status status = text_add_bytes(out, &length, sizeof length, error);
  return status == STATUS_OK ? text_add_bytes(out, string->data, (size_t)string->size_bytes, error)
                             : status;
}

static enum status add_pair(const struct fb_vector *pairs, int64_t index, struct ipc_copies *copies,
                            struct text *out, struct error *error) {
  struct fb_table pair;
  struct fb_string key = {"", 0};
  struct fb_string value = {"", 0};
  enum status status = fb_vector_table(pairs, index, &pair, error);
  if (status == STATUS_OK) status = fb_string_field(&pair, KEY_VALUE_KEY, &key, error);
  if (status == STATUS_OK) status = fb_string_field(&pair, KEY_VALUE_VALUE, &value, error);
  size_t bytes = 2 * sizeof(int32_t) + (size_t)(key.size_bytes + value.size_bytes);
  if (status == STATUS_OK) status = ipc_copies_count(copies, bytes, error);
  if (status == STATUS_OK) status = add_sized(out, &key, error);
  return status == STATUS_OK ? add_sized(out, &value, error) : status;
}

enum status ipc_pairs_read(const struct fb_table *table, int field, struct ipc_copies *copies,
                           char **metadata, struct error *error) {
  struct fb_vector pairs;
  struct text encoded = TEXT_EMPTY;
  *metadata = NULL;
  enum status status = fb_vector_field(table, field, 4, &pairs, error);
  if (status != STATUS_OK || pairs.count == 0) return status;
  int32_t count = (int32_t)pairs.count;
  status = text_add_bytes(&encoded, &count, sizeof count, error);
  for (int64_t i = 0; i < pairs.count && status == STATUS_OK; i++)
    status = add_pair(&pairs, i, copies, &encoded, error);
  if (status == STATUS_OK)
    *metadata = encoded.data;
  else
    text_release(&encoded);
  return status;
}
