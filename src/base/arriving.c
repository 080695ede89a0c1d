#include "base/arriving.h"

#include <assert.h>

int64_t arriving_wants(const struct buffer *buffer, int64_t first_bytes, int64_t total_bytes) {
  if (buffer->size_bytes < buffer->capacity_bytes) return 0;
  int64_t wanted = buffer->size_bytes == 0 ? first_bytes : 2 * buffer->size_bytes;
  return wanted > total_bytes ? total_bytes : wanted;
}

enum status arriving_room(struct buffer *buffer, struct budget *budget, int64_t first_bytes,
                          int64_t total_bytes, uint8_t **data, int64_t *bytes,
                          struct error *error) {
  assert(buffer->size_bytes < total_bytes);
  int64_t wanted = arriving_wants(buffer, first_bytes, total_bytes);
  if (wanted > 0) {
    enum status status = buffer_reserve(buffer, budget, wanted, error);
    if (status != STATUS_OK) return status;
  }
  int64_t left = total_bytes - buffer->size_bytes;
  int64_t free_bytes = buffer->capacity_bytes - buffer->size_bytes;
  *data = buffer->data + buffer->size_bytes;
  *bytes = left < free_bytes ? left : free_bytes;
  return STATUS_OK;
}
