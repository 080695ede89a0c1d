/* The Schema message (Schema.fbs) as an ArrowSchema. Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_SCHEMA_H
#define ARROWPORT_ARROW_IPC_SCHEMA_H

#include <stdbool.h>

#include "arrow/abi.h"
#include "arrow/ipc_header.h"
#include "base/status.h"

/* The ids of a schema's dictionaries, in the order in which its dictionary-encoded
 * fields come when each field is followed by its children, and a dictionary's values
 * by theirs. */
struct ipc_dictionary_ids {
  int64_t *ids;
  int64_t count;
  int64_t capacity;
};

/* `schema` (holds nothing before) is the caller's to release on STATUS_OK; `ids->ids`
 * is to be freed in any case. `*is_big_endian`: the order of the bodies that follow. */
enum status ipc_schema_read(const struct ipc_header *header, struct ArrowSchema *schema,
                            struct ipc_dictionary_ids *ids, bool *is_big_endian,
                            struct error *error) WARN_UNUSED;

#endif
