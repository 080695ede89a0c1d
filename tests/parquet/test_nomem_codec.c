/* Compression when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nomem/nomem.h"
#include "parquet/codec.h"

static uint8_t data[20000];

/* Two pages on two lanes; a page that failed may be given again. */
static enum status compress(void *context, struct error *error) {
  const enum parquet_codec *codec = context;
  struct parquet_compressor *compressor = NULL;
  struct buffer out = BUFFER_EMPTY;
  enum status status;
  do status = parquet_compressor_new(*codec, 0, &nomem_budget, &compressor, error);
  while (nomem_again(status));
  for (int lane = 0; lane < 2 && status == STATUS_OK; lane++) {
    int64_t before_bytes = out.size_bytes, bytes = 0;
    do {
      status = parquet_compress(compressor, lane, data, sizeof data, &out, &bytes, error);
      assert_int_equal(out.size_bytes, before_bytes + (status == STATUS_OK ? bytes : 0));
    } while (nomem_again(status));
  }
  buffer_release(&out);
  parquet_compressor_free(compressor);
  return status;
}

static void nothing_is_left_of_compression(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * i >> 7);
  static enum parquet_codec codecs[] = {PARQUET_UNCOMPRESSED, PARQUET_SNAPPY, PARQUET_GZIP,
                                        PARQUET_ZSTD, PARQUET_LZ4_RAW};
  for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
    /* Growing by doubling is tried first, and done without. */
    int64_t allocations = nomem_run(parquet_codec_name(codecs[i]), compress, &codecs[i], 2);
    assert_true(allocations >= 3);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_left_of_compression)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
