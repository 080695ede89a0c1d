/* The frame around the messages of an Arrow file ("IPC file format", File.fbs), as reader
 * and writer know it. Inside the room only. */
#ifndef ARROWPORT_ARROW_IPC_FILE_H
#define ARROWPORT_ARROW_IPC_FILE_H

#define IPC_FILE_MAGIC "ARROW1\0" /* with padding to 8 bytes, of which the last is C's own */

enum {
  IPC_FILE_MAGIC_BYTES = 6,
  IPC_FILE_HEAD_BYTES = 8, /* the magic, padded */
  IPC_FILE_TAIL_BYTES = 4 + IPC_FILE_MAGIC_BYTES,
  IPC_FILE_BLOCK_BYTES = 24 /* struct Block: offset, metadata's length and padding, body's */
};

/* Fields of the table Footer. */
enum { FOOTER_VERSION, FOOTER_SCHEMA, FOOTER_DICTIONARIES, FOOTER_BATCHES, FOOTER_METADATA };

#endif
