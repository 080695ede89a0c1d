/* The Arrow schema as text in the file's metadata, as Arrow's own libraries put it there. */
#include <stdlib.h>

#include "arrow/ipc.h"
#include "base/base64.h"
#include "parquet/schema.h"

enum status parquet_arrow_schema(const struct ArrowSchema *arrow, struct budget *budget,
                                 char **text, struct error *error) {
  struct ipc_writer *writer = NULL;
  struct buffer message = BUFFER_EMPTY;
  char *made = NULL;
  *text = NULL;
  enum status status = ipc_writer_new(arrow, NULL, budget, &writer, error);
  if (status == STATUS_OK) status = ipc_writer_schema(writer, &message, error);
  if (status != STATUS_OK) goto done;
  size_t room = base64_text_bytes((size_t)message.size_bytes);
  made = malloc(room + 1);
  if (made == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for the text of a schema");
    goto done;
  }
  base64_encode(message.data, (size_t)message.size_bytes, made);
  made[room] = '\0';
  *text = made;
done:
  buffer_release(&message);
  ipc_writer_free(writer);
  return status;
}
