#include "arrow/ipc_header.h"

#include <inttypes.h>

static enum status check(int64_t version, int64_t type, int64_t body_bytes, bool has_header,
                         struct error *error) {
  if (version < IPC_METADATA_V4 || version > IPC_METADATA_V5)
    return error_set(error, STATUS_UNSUPPORTED,
                     "metadata version V%" PRId64 " is not supported; V4 and V5 are", version + 1);
  if (type == IPC_HEADER_TENSOR || type == IPC_HEADER_SPARSE_TENSOR)
    return error_set(error, STATUS_UNSUPPORTED,
                     "the message is a tensor; record batches are taken");
  if (type < IPC_HEADER_SCHEMA || type > IPC_HEADER_BATCH || !has_header)
    return error_set(error, STATUS_INVALID, "the message is of no known kind (%" PRId64 ")", type);
  if (body_bytes < 0)
    return error_set(error, STATUS_INVALID, "the message's body has %" PRId64 " bytes", body_bytes);
  return STATUS_OK;
}

enum status ipc_header_read(const struct buffer *metadata, struct ipc_header *header,
                            struct error *error) {
  struct fb_table message;
  int64_t version = 0;
  int64_t type = 0;
  bool has_header = false;
  enum status status = fb_root(metadata->data, metadata->size_bytes, &message, error);
  if (status == STATUS_OK)
    status = fb_integer_field(&message, MESSAGE_VERSION, 2, 0, &version, error);
  if (status == STATUS_OK)
    status = fb_integer_field(&message, MESSAGE_HEADER_TYPE, 1, 0, &type, error);
  if (status == STATUS_OK)
    status = fb_integer_field(&message, MESSAGE_BODY_LENGTH, 8, 0, &header->body_bytes, error);
  if (status == STATUS_OK)
    status = fb_table_field(&message, MESSAGE_HEADER, &header->table, &has_header, error);
  if (status != STATUS_OK) return status;
  header->message = message;
  header->version = (int)version;
  header->type = (enum ipc_header_type)type;
  return check(version, type, header->body_bytes, has_header, error);
}
