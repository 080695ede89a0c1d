/* The writer's parts, for the files that lay messages into one buffer (ipc_writer.c) and that share
 * the arrays' own (ipc_writer_share.c). Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_WRITER_H
#define ARROWPORT_ARROW_IPC_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "arrow/flatbuf_write.h"
#include "arrow/ipc.h"
#include "arrow/ipc_dictionaries.h"
#include "arrow/ipc_plan.h"
#include "arrow/ipc_writer_body.h"
#include "arrow/layout.h"

enum { DICTIONARY_BLOCKS, BATCH_BLOCKS, BLOCK_LISTS };

struct ipc_writer {
  struct ArrowSchema schema;
  struct layout *layout;
  struct budget *budget;
  enum ipc_format format;
  enum ipc_compression compression;
  bool has_schema;                       /* written */
  int64_t position_bytes;                /* written in all, wherever it has gone */
  struct ipc_dictionaries *dictionaries; /* NULL when the schema has none */
  struct buffer metadata;                /* custom, of the next batch; empty without any */
  struct buffer blocks[BLOCK_LISTS];     /* of struct ipc_file_block; of files */
  struct flatbuf flatbuf;
  struct ipc_plan plan;
  struct ipc_body_maker body;
};

#endif
