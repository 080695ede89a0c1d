/* Page headers: bytes that are known, and what another reader makes of them. */
#include "parquet/metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "parquet/thrift_read.h"

/* `room` is of PARQUET_PAGE_HEADER_BYTES_MAX bytes and some on both sides, which must stay. */
enum { AROUND_BYTES = 16, ROOM_BYTES = PARQUET_PAGE_HEADER_BYTES_MAX + 2 * AROUND_BYTES };

static const uint8_t *write_header(const struct parquet_page_header *header, uint8_t *room,
                                   int64_t *bytes) {
  memset(room, 0xA5, ROOM_BYTES);
  uint8_t *end = room + AROUND_BYTES + PARQUET_PAGE_HEADER_BYTES_MAX;
  *bytes = parquet_page_header_write(header, end);
  assert_in_range(*bytes, 1, PARQUET_PAGE_HEADER_BYTES_MAX);
  for (const uint8_t *byte = room; byte < end - *bytes; byte++) assert_int_equal(*byte, 0xA5);
  for (const uint8_t *byte = end; byte < room + ROOM_BYTES; byte++) assert_int_equal(*byte, 0xA5);
  return end - *bytes;
}

static void assert_bytes(const struct parquet_page_header *header, const uint8_t *wanted,
                         int64_t wanted_bytes) {
  uint8_t room[ROOM_BYTES];
  int64_t bytes;
  const uint8_t *written = write_header(header, room, &bytes);
  assert_int_equal(bytes, wanted_bytes);
  assert_memory_equal(written, wanted, (size_t)wanted_bytes);
}

static void a_data_page(void **state) {
  (void)state;
  static const struct parquet_page_header header = {.type = PARQUET_DATA_PAGE,
                                                    .uncompressed_bytes = 100,
                                                    .compressed_bytes = 50,
                                                    .value_count = 25,
                                                    .encoding = PARQUET_RLE_DICTIONARY,
                                                    .null_count = 3};
  static const uint8_t wanted[] = {0x15, 0,    0x15, 0xC8, 0x01, 0x15, 100, 0x2C, 0x15,
                                   50,   0x15, 16,   0x15, 6,    0x15, 6,   0,    0};
  assert_bytes(&header, wanted, sizeof wanted);
}

static void a_dictionary_page_with_a_checksum(void **state) {
  (void)state;
  static const struct parquet_page_header header = {.type = PARQUET_DICTIONARY_PAGE,
                                                    .uncompressed_bytes = 8,
                                                    .compressed_bytes = 8,
                                                    .has_crc = true,
                                                    .crc = 0xFFFFFFFF, /* an i32: -1 */
                                                    .value_count = 2,
                                                    .encoding = PARQUET_PLAIN};
  static const uint8_t wanted[] = {0x15, 4,    0x15, 16,   0x15, 16, 0x15, 1,
                                   0x3C, 0x15, 4,    0x15, 0,    0,  0};
  assert_bytes(&header, wanted, sizeof wanted);
}

static void a_data_page_of_the_second_version(void **state) {
  (void)state;
  static const struct parquet_page_header header = {.type = PARQUET_DATA_PAGE_V2,
                                                    .uncompressed_bytes = 10,
                                                    .compressed_bytes = 9,
                                                    .value_count = 8,
                                                    .encoding = PARQUET_DELTA_BINARY_PACKED,
                                                    .null_count = 1,
                                                    .row_count = 7,
                                                    .def_bytes = 2,
                                                    .rep_bytes = 3,
                                                    .is_compressed = false};
  static const uint8_t wanted[] = {0x15, 6,  0x15, 20, 0x15, 18, 0x5C, 0x15, 16,   0x15, 2,
                                   0x15, 14, 0x15, 10, 0x15, 4,  0x15, 6,    0x12, 0,    0};
  assert_bytes(&header, wanted, sizeof wanted);
}

static void the_largest_numbers_fit(void **state) {
  (void)state;
  static const enum parquet_page_type types[] = {PARQUET_DATA_PAGE, PARQUET_DICTIONARY_PAGE,
                                                 PARQUET_DATA_PAGE_V2};
  for (int i = 0; i < 3; i++)
    for (int sign = 0; sign < 2; sign++) {
      const int32_t most = sign == 0 ? INT32_MAX : INT32_MIN; /* none is negative, but no matter */
      struct parquet_page_header header = {.type = types[i],
                                           .uncompressed_bytes = most,
                                           .compressed_bytes = most,
                                           .has_crc = true,
                                           .crc = 0x7FFFFFFF,
                                           .value_count = most,
                                           .encoding = PARQUET_BYTE_STREAM_SPLIT,
                                           .null_count = most,
                                           .row_count = most,
                                           .def_bytes = most,
                                           .rep_bytes = most,
                                           .is_compressed = true};
      uint8_t room[ROOM_BYTES];
      int64_t bytes;
      const uint8_t *written = write_header(&header, room, &bytes);
      struct thrift_value *read = thrift_read(written, bytes, NULL);
      assert_int_equal(thrift_number(read, "1"), types[i]);
      assert_int_equal(thrift_number(read, "2"), most);
      assert_int_equal(thrift_number(read, "3"), most);
      assert_int_equal(thrift_number(read, "4"), 0x7FFFFFFF);
      assert_int_equal(thrift_has(read, "5"), i == 0);
      assert_int_equal(thrift_has(read, "7"), i == 1);
      assert_int_equal(thrift_has(read, "8"), i == 2);
      assert_int_equal(read->count, 5);
      if (i == 0) assert_int_equal(thrift_number(read, "5.4"), PARQUET_RLE);
      if (i == 1) assert_int_equal(thrift_find(read, "7")->count, 2);
      if (i == 2) assert_int_equal(thrift_number(read, "8.5"), most);
      if (i == 2) assert_int_equal(thrift_number(read, "8.7"), 1);
      thrift_read_free(read);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_data_page),
      cmocka_unit_test(a_dictionary_page_with_a_checksum),
      cmocka_unit_test(a_data_page_of_the_second_version),
      cmocka_unit_test(the_largest_numbers_fit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
