/* PageHeader. One is written for every page, on whichever thread makes it, so nothing is allocated: it
 * is made in a piece of the stack and moved to where it must end. */
#include <assert.h>
#include <string.h>

#include "parquet/metadata.h"
#include "parquet/thrift.h"

enum {
  PAGE_TYPE = 1,
  PAGE_UNCOMPRESSED_BYTES = 2,
  PAGE_COMPRESSED_BYTES = 3,
  PAGE_CRC = 4,
  PAGE_DATA = 5,
  PAGE_DICTIONARY = 7,
  PAGE_DATA_V2 = 8,
};

static void data_page(struct thrift *thrift, const struct parquet_page_header *header) {
  thrift_struct(thrift, PAGE_DATA);
  thrift_i32(thrift, 1, header->value_count);
  thrift_i32(thrift, 2, (int32_t)header->encoding);
  thrift_i32(thrift, 3, PARQUET_RLE); /* definition levels */
  thrift_i32(thrift, 4, PARQUET_RLE); /* repetition levels */
  thrift_struct_end(thrift);
}

static void dictionary_page(struct thrift *thrift, const struct parquet_page_header *header) {
  thrift_struct(thrift, PAGE_DICTIONARY);
  thrift_i32(thrift, 1, header->value_count);
  thrift_i32(thrift, 2, (int32_t)header->encoding);
  thrift_struct_end(thrift);
}

static void data_page_v2(struct thrift *thrift, const struct parquet_page_header *header) {
  thrift_struct(thrift, PAGE_DATA_V2);
  thrift_i32(thrift, 1, header->value_count);
  thrift_i32(thrift, 2, header->null_count);
  thrift_i32(thrift, 3, header->row_count);
  thrift_i32(thrift, 4, (int32_t)header->encoding);
  thrift_i32(thrift, 5, header->def_bytes);
  thrift_i32(thrift, 6, header->rep_bytes);
  thrift_bool(thrift, 7, header->is_compressed); /* left out it would mean true */
  thrift_struct_end(thrift);
}

int64_t parquet_page_header_write(const struct parquet_page_header *header, uint8_t *end) {
  _Alignas(BUFFER_ALIGNMENT_BYTES) uint8_t room[PARQUET_PAGE_HEADER_BYTES_MAX];
  struct buffer out = {.data = room, .capacity_bytes = sizeof room};
  struct thrift thrift;
  thrift_start(&thrift, &out, NULL);
  thrift_i32(&thrift, PAGE_TYPE, (int32_t)header->type);
  thrift_i32(&thrift, PAGE_UNCOMPRESSED_BYTES, header->uncompressed_bytes);
  thrift_i32(&thrift, PAGE_COMPRESSED_BYTES, header->compressed_bytes);
  if (header->has_crc) thrift_i32(&thrift, PAGE_CRC, (int32_t)header->crc);
  switch (header->type) {
  case PARQUET_DATA_PAGE: data_page(&thrift, header); break;
  case PARQUET_DICTIONARY_PAGE: dictionary_page(&thrift, header); break;
  case PARQUET_DATA_PAGE_V2: data_page_v2(&thrift, header); break;
  }
  /* With the largest numbers it is 80 bytes, and no piece asks for more room than there is. */
  enum status status = thrift_end(&thrift, NULL);
  assert(status == STATUS_OK);
  (void)status;
  memcpy(end - out.size_bytes, out.data, (size_t)out.size_bytes);
  return out.size_bytes;
}
