#include <lz4.h>
#include <setjmp.h>
#include <snappy-c.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <cmocka.h>

#include "base/workers.h"
#include "parquet/codec.h"

static const enum parquet_codec all_codecs[] = {PARQUET_UNCOMPRESSED, PARQUET_SNAPPY, PARQUET_GZIP,
                                                PARQUET_ZSTD, PARQUET_LZ4_RAW};
enum { CODECS = sizeof all_codecs / sizeof *all_codecs };

static struct budget budget = {.limit_bytes = 1 << 30};

static uint64_t seed = 1;
static uint8_t noise(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint8_t)(seed >> 56);
}

/* What a reader makes of it. False: nothing. */
static bool expand(enum parquet_codec codec, const uint8_t *from, size_t bytes, uint8_t *to,
                   size_t to_bytes) {
  size_t made = 0;
  switch (codec) {
  case PARQUET_UNCOMPRESSED:
    if (bytes == to_bytes && bytes > 0) memcpy(to, from, bytes);
    return bytes == to_bytes;
  case PARQUET_SNAPPY:
    made = to_bytes;
    return snappy_uncompress((const char *)from, bytes, (char *)to, &made) == SNAPPY_OK &&
           made == to_bytes;
  case PARQUET_GZIP: {
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)from,
                       .avail_in = (uInt)bytes,
                       .next_out = to,
                       .avail_out = (uInt)to_bytes};
    if (inflateInit2(&stream, 16 + 15) != Z_OK) return false; /* gzip only */
    int result = inflate(&stream, Z_FINISH);
    made = stream.total_out;
    size_t taken = stream.total_in;
    inflateEnd(&stream);
    return result == Z_STREAM_END && made == to_bytes && taken == bytes;
  }
  case PARQUET_ZSTD:
    return ZSTD_getFrameContentSize(from, bytes) == to_bytes &&
           ZSTD_decompress(to, to_bytes, from, bytes) == to_bytes;
  case PARQUET_LZ4_RAW:
    return LZ4_decompress_safe((const char *)from, (char *)to, (int)bytes, (int)to_bytes) ==
           (int)to_bytes;
  }
  return false;
}

static struct parquet_compressor *compressor_of(enum parquet_codec codec, int level) {
  struct parquet_compressor *compressor = NULL;
  struct error error = {0};
  if (parquet_compressor_new(codec, level, &budget, &compressor, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  return compressor;
}

/* Compresses on `lane` behind what is there, and reads it back. */
static int64_t check(struct parquet_compressor *compressor, enum parquet_codec codec, int lane,
                     const uint8_t *data, int64_t bytes) {
  struct error error = {0};
  struct buffer out = BUFFER_EMPTY;
  int64_t made_bytes = -1;
  assert_int_equal(buffer_append(&out, &budget, "header", 6, &error), STATUS_OK);
  if (parquet_compress(compressor, lane, data, bytes, &out, &made_bytes, &error) != STATUS_OK)
    fail_msg("%s: %s", parquet_codec_name(codec), error.text);
  assert_int_equal(out.size_bytes, 6 + made_bytes);
  assert_memory_equal(out.data, "header", 6);
  uint8_t *again = malloc((size_t)bytes + 1);
  assert_non_null(again);
  if (!expand(codec, out.data + 6, (size_t)made_bytes, again, (size_t)bytes))
    fail_msg("%s of %lld bytes is not read", parquet_codec_name(codec), (long long)bytes);
  if (bytes > 0) assert_memory_equal(again, data, (size_t)bytes);
  free(again);
  buffer_release(&out);
  return made_bytes;
}

static void readers_get_the_bytes_back(void **state) {
  (void)state;
  static const int64_t sizes[] = {0, 1, 7, 63, 64, 65, 4096, 100000, 3000001, 9 << 20, 1000};
  uint8_t *even = malloc(9 << 20), *random = malloc(9 << 20);
  assert_true(even != NULL && random != NULL);
  for (int i = 0; i < 9 << 20; i++) even[i] = (uint8_t)(i / 3 % 32), random[i] = noise();
  for (int i = 0; i < CODECS; i++) {
    struct parquet_compressor *compressor = compressor_of(all_codecs[i], 0);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) { /* one context for all of them */
      int lane = s % 2 == 0 ? 0 : WORKERS_LANES_MAX - 1;
      int64_t made = check(compressor, all_codecs[i], lane, even, sizes[s]);
      if (sizes[s] >= 4096 && all_codecs[i] != PARQUET_UNCOMPRESSED)
        assert_true(made < sizes[s] / 3);
      check(compressor, all_codecs[i], lane, random, sizes[s]);
    }
    check(compressor, all_codecs[i], 1, NULL, 0);
    parquet_compressor_free(compressor);
    assert_int_equal(budget.used_bytes, 0);
  }
  free(even);
  free(random);
}

static void levels_are_those_of_the_codec(void **state) {
  (void)state;
  static const struct {
    enum parquet_codec codec;
    int level;
    enum status status;
    const char *text;
  } cases[] = {
      {PARQUET_ZSTD, 1, STATUS_OK, ""},
      {PARQUET_ZSTD, 22, STATUS_OK, ""},
      {PARQUET_ZSTD, 23, STATUS_INVALID,
       "23 is not a level of zstd compression: 1 to 22, or 0 for the default"},
      {PARQUET_ZSTD, -1, STATUS_INVALID,
       "-1 is not a level of zstd compression: 1 to 22, or 0 for the default"},
      {PARQUET_GZIP, 9, STATUS_OK, ""},
      {PARQUET_GZIP, 10, STATUS_INVALID,
       "10 is not a level of gzip compression: 1 to 9, or 0 for the default"},
      {PARQUET_SNAPPY, 1, STATUS_INVALID,
       "compression snappy has no levels: leave the level 1 out"},
      {PARQUET_LZ4_RAW, 3, STATUS_INVALID, "compression lz4 has no levels: leave the level 3 out"},
      {PARQUET_UNCOMPRESSED, 2, STATUS_INVALID,
       "compression none has no levels: leave the level 2 out"},
      {(enum parquet_codec)4, 0, STATUS_UNSUPPORTED, "4 is no codec that pages are written with"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct parquet_compressor *compressor = NULL;
    struct error error = {.text = ""};
    assert_int_equal(
        parquet_compressor_new(cases[i].codec, cases[i].level, &budget, &compressor, &error),
        cases[i].status);
    assert_string_equal(error.text, cases[i].text);
    assert_true((compressor != NULL) == (cases[i].status == STATUS_OK));
    parquet_compressor_free(compressor);
  }
}

static void a_higher_level_makes_less_of_it(void **state) {
  (void)state;
  enum { BYTES = 200000 };
  uint8_t *data = malloc(BYTES);
  assert_non_null(data);
  for (int i = 0; i < BYTES; i++)
    data[i] = (uint8_t)(noise() % 16 == 0 ? noise() : "abcdefg"[i % 7]);
  static const struct {
    enum parquet_codec codec;
    int high;
  } cases[] = {{PARQUET_ZSTD, 19}, {PARQUET_GZIP, 9}};
  for (int i = 0; i < 2; i++) {
    struct parquet_compressor *low = compressor_of(cases[i].codec, 1);
    struct parquet_compressor *high = compressor_of(cases[i].codec, cases[i].high);
    assert_true(check(high, cases[i].codec, 0, data, BYTES) <
                check(low, cases[i].codec, 0, data, BYTES));
    parquet_compressor_free(low);
    parquet_compressor_free(high);
  }
  free(data);
}

/* Frames are the same whichever context made them, and whatever it made before. */
static void lanes_make_the_same(void **state) {
  (void)state;
  static uint8_t data[30000];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(noise() & 7);
  for (int i = 0; i < CODECS; i++) {
    struct parquet_compressor *compressor = compressor_of(all_codecs[i], 0);
    struct buffer first = BUFFER_EMPTY, second = BUFFER_EMPTY;
    struct error error = {0};
    int64_t bytes = 0;
    check(compressor, all_codecs[i], 3, data, 20000);
    assert_int_equal(parquet_compress(compressor, 3, data, sizeof data, &first, &bytes, &error),
                     STATUS_OK);
    assert_int_equal(parquet_compress(compressor, 4, data, sizeof data, &second, &bytes, &error),
                     STATUS_OK);
    assert_int_equal(first.size_bytes, second.size_bytes);
    assert_memory_equal(first.data, second.data, (size_t)first.size_bytes);
    buffer_release(&first);
    buffer_release(&second);
    parquet_compressor_free(compressor);
  }
}

static void a_small_budget_refuses_and_leaves_the_output(void **state) {
  (void)state;
  static uint8_t data[50000];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(noise() & 31);
  for (int i = 0; i < CODECS; i++) {
    struct budget small = {.limit_bytes = 64};
    struct buffer out = BUFFER_EMPTY;
    struct error error = {.text = ""};
    struct parquet_compressor *compressor = NULL;
    assert_int_equal(parquet_compressor_new(all_codecs[i], 0, &small, &compressor, &error),
                     STATUS_OK);
    assert_int_equal(buffer_append(&out, &small, "abc", 3, &error), STATUS_OK);
    int refusals = 0;
    enum status status = STATUS_BUDGET;
    for (; status == STATUS_BUDGET; small.limit_bytes += 5000) {
      int64_t bytes = 0;
      status = parquet_compress(compressor, 2, data, sizeof data, &out, &bytes, &error);
      if (status != STATUS_BUDGET) break;
      refusals++;
      assert_int_equal(out.size_bytes, 3);
      assert_true(error.text[0] != '\0');
    }
    assert_int_equal(status, STATUS_OK);
    assert_true(refusals > 1);
    assert_memory_equal(out.data, "abc", 3);
    uint8_t *again = malloc(sizeof data);
    assert_non_null(again);
    assert_true(
        expand(all_codecs[i], out.data + 3, (size_t)out.size_bytes - 3, again, sizeof data));
    assert_memory_equal(again, data, sizeof data);
    free(again);
    buffer_release(&out);
    parquet_compressor_free(compressor);
    assert_int_equal(small.used_bytes, 0);
  }
}

/* What is kept until a row group ends takes no more than it holds. */
static void output_takes_no_more_than_it_needs(void **state) {
  (void)state;
  static uint8_t data[100000];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(noise() & 3);
  for (int i = 0; i < CODECS; i++) {
    struct parquet_compressor *compressor = compressor_of(all_codecs[i], 0);
    struct buffer out = BUFFER_EMPTY;
    struct error error = {0};
    int64_t bytes = 0;
    assert_int_equal(parquet_compress(compressor, 0, data, sizeof data, &out, &bytes, &error),
                     STATUS_OK);
    assert_true(out.capacity_bytes < bytes + BUFFER_ALIGNMENT_BYTES);
    buffer_release(&out);
    parquet_compressor_free(compressor);
  }
}

/* Nothing is read: the length alone is too much. */
static void pages_past_two_gigabytes_are_refused(void **state) {
  (void)state;
  for (int i = 0; i < CODECS; i++) {
    struct parquet_compressor *compressor = compressor_of(all_codecs[i], 0);
    struct buffer out = BUFFER_EMPTY;
    struct error error = {.text = ""};
    int64_t bytes = 0;
    assert_int_equal(
        parquet_compress(compressor, 0, "x", (int64_t)INT32_MAX + 1, &out, &bytes, &error),
        STATUS_TOO_LARGE);
    assert_non_null(strstr(error.text, "a page of 2147483648 bytes"));
    assert_int_equal(out.size_bytes, 0);
    parquet_compressor_free(compressor);
  }
  parquet_compressor_free(NULL);
}

static void codecs_have_names(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool is_known;
    enum parquet_codec codec;
    const char *told;
  } cases[] = {
      {"none", true, PARQUET_UNCOMPRESSED, "none"},
      {"uncompressed", true, PARQUET_UNCOMPRESSED, "none"},
      {"snappy", true, PARQUET_SNAPPY, "snappy"},
      {"gzip", true, PARQUET_GZIP, "gzip"},
      {"zstd", true, PARQUET_ZSTD, "zstd"},
      {"ZSTD", true, PARQUET_ZSTD, "zstd"},
      {"lz4", true, PARQUET_LZ4_RAW, "lz4"},
      {"lz4_raw", true, PARQUET_LZ4_RAW, "lz4"},
      {"brotli", false, PARQUET_UNCOMPRESSED, ""},
      {"", false, PARQUET_UNCOMPRESSED, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    enum parquet_codec codec = PARQUET_UNCOMPRESSED;
    assert_int_equal(parquet_codec_parse(cases[i].name, &codec), cases[i].is_known);
    if (!cases[i].is_known) continue;
    assert_int_equal(codec, cases[i].codec);
    assert_string_equal(parquet_codec_name(codec), cases[i].told);
  }
  assert_string_equal(parquet_codec_name((enum parquet_codec)3), "?");
}

static void checksums_are_those_of_zlib(void **state) {
  (void)state;
  static uint8_t data[1 << 16];
  for (size_t i = 0; i < sizeof data; i++) data[i] = noise();
  for (int64_t bytes = 0; bytes < 700; bytes++) /* every length around each loop's step */
    for (int64_t at = 0; at < 3; at++)
      assert_int_equal(parquet_crc32(0, data + at, bytes),
                       bytes == 0 ? 0 : crc32(0, data + at, (uInt)bytes));
  uint32_t whole = parquet_crc32(0, data, sizeof data);
  assert_int_equal(whole, crc32(0, data, sizeof data));
  for (int i = 0; i < 200; i++) { /* in three pieces */
    int64_t first = noise() * 131, second = noise() * 17;
    uint32_t crc = parquet_crc32(0, data, first);
    crc = parquet_crc32(crc, data + first, second);
    crc = parquet_crc32(crc, data + first + second, (int64_t)sizeof data - first - second);
    assert_int_equal(crc, whole);
  }
  assert_int_equal(parquet_crc32(0, "123456789", 9), 0xCBF43926);
  assert_int_equal(parquet_crc32(7, NULL, 0), 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(readers_get_the_bytes_back),
      cmocka_unit_test(levels_are_those_of_the_codec),
      cmocka_unit_test(a_higher_level_makes_less_of_it),
      cmocka_unit_test(lanes_make_the_same),
      cmocka_unit_test(a_small_budget_refuses_and_leaves_the_output),
      cmocka_unit_test(output_takes_no_more_than_it_needs),
      cmocka_unit_test(pages_past_two_gigabytes_are_refused),
      cmocka_unit_test(codecs_have_names),
      cmocka_unit_test(checksums_are_those_of_zlib),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
