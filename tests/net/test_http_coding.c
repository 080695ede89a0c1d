#include "net/http_coding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buffer.h"

enum { TEXT_BYTES = 300 };

static struct budget budget = {.limit_bytes = INT64_MAX};

/* ---- making bodies ------------------------------------------------------------- */

static void add(struct buffer *to, const void *data, size_t bytes) {
  assert_int_equal(buffer_append(to, &budget, data, (int64_t)bytes, NULL), STATUS_OK);
}

/* Something that neither repeats itself nor looks random. */
static void text_of(uint8_t *text, size_t bytes) {
  uint32_t x = 12345;
  for (size_t i = 0; i < bytes; i++) {
    x = x * 1664525 + 1013904223;
    text[i] = (uint8_t)('a' + (x >> 24) % 7);
  }
}

static void add_gzip(struct buffer *to, const void *data, size_t bytes) {
  z_stream stream = {.next_in = (z_const Bytef *)data, .avail_in = (unsigned)bytes};
  assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  size_t room = deflateBound(&stream, (unsigned long)bytes);
  uint8_t *out = malloc(room);
  assert_non_null(out);
  stream.next_out = out;
  stream.avail_out = (unsigned)room;
  assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
  add(to, out, room - stream.avail_out);
  deflateEnd(&stream);
  free(out);
}

/* As a sender does that does not know the size beforehand; with a checksum. */
static void add_zstd(struct buffer *to, const void *data, size_t bytes, int window_log) {
  ZSTD_CCtx *context = ZSTD_createCCtx();
  assert_non_null(context);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  if (window_log > 0) ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  size_t room = ZSTD_compressBound(bytes) + 64;
  uint8_t *out = malloc(room);
  assert_non_null(out);
  ZSTD_outBuffer output = {.dst = out, .size = room};
  ZSTD_inBuffer none = {.src = "", .size = 0}, input = {.src = data, .size = bytes};
  /* A flush first, so that the size is not in the frame's head. */
  ZSTD_compressStream2(context, &output, &none, ZSTD_e_flush);
  assert_int_equal(ZSTD_compressStream2(context, &output, &input, ZSTD_e_end), 0);
  add(to, out, output.pos);
  ZSTD_freeCCtx(context);
  free(out);
}

/* As a sender does that knows it. */
static void add_zstd_sized(struct buffer *to, const void *data, size_t bytes) {
  size_t room = ZSTD_compressBound(bytes);
  uint8_t *out = malloc(room);
  assert_non_null(out);
  add(to, out, ZSTD_compress(out, room, data, bytes, 3));
  free(out);
}

/* ---- decoding ------------------------------------------------------------------- */

struct decoded {
  enum status status;
  struct error error;
  struct buffer bytes;
};

/* Pieces that end at `first`, then every `piece_bytes`; the output `room_bytes` at a time. */
static struct decoded decode(const char *name, const struct buffer *body, size_t first,
                             size_t piece_bytes, size_t room_bytes) {
  struct decoded decoded = {.status = STATUS_OK};
  struct http_coding *coding = NULL;
  uint8_t *room = malloc(room_bytes);
  assert_non_null(room);
  assert_int_equal(http_coding_new(name, &coding, NULL), STATUS_OK);
  size_t at = 0, end = first;
  while (at < (size_t)body->size_bytes && decoded.status == STATUS_OK) {
    if (end > (size_t)body->size_bytes) end = (size_t)body->size_bytes;
    size_t bytes = end - at;
    uint8_t *piece = malloc(bytes + 1); /* a copy, so that a read past its end is seen */
    assert_non_null(piece);
    memcpy(piece, body->data + at, bytes);
    size_t done = 0, used = 0, made = 1;
    while (decoded.status == STATUS_OK && (used > 0 || made > 0)) {
      decoded.status = http_coding_step(coding, piece + done, bytes - done, &used, room, room_bytes,
                                        &made, &decoded.error);
      assert_true(used <= bytes - done);
      assert_true(made <= room_bytes);
      done += used;
      if (made > 0) add(&decoded.bytes, room, made);
    }
    free(piece);
    if (decoded.status == STATUS_OK) assert_int_equal(done, bytes); /* nothing is left over */
    at = end;
    end += piece_bytes;
  }
  struct error later = {0};
  enum status finish = http_coding_finish(coding, &later);
  if (decoded.status == STATUS_OK) {
    decoded.status = finish;
    decoded.error = later;
  } else { /* a failure is final */
    size_t used = 1, made = 1;
    assert_int_equal(finish, decoded.status);
    assert_string_equal(later.text, decoded.error.text);
    assert_int_equal(
        http_coding_step(coding, (const uint8_t *)"x", 1, &used, room, room_bytes, &made, &later),
        decoded.status);
    assert_int_equal(used + made, 0);
  }
  http_coding_free(coding);
  free(room);
  return decoded;
}

static void expect(const char *name, const struct buffer *body, size_t first, size_t piece_bytes,
                   size_t room_bytes, const void *want, size_t want_bytes) {
  struct decoded got = decode(name, body, first, piece_bytes, room_bytes);
  if (got.status != STATUS_OK)
    fail_msg("%s cut at %zu, %zu, room %zu: %s", name, first, piece_bytes, room_bytes,
             got.error.text);
  assert_int_equal(got.bytes.size_bytes, want_bytes);
  if (want_bytes > 0) assert_memory_equal(got.bytes.data, want, want_bytes);
  buffer_release(&got.bytes);
}

static void refuse(const char *name, const struct buffer *body, size_t piece_bytes,
                   enum status status, const char *text) {
  struct decoded got = decode(name, body, piece_bytes, piece_bytes, 4096);
  if (got.status != status || strstr(got.error.text, text) == NULL)
    fail_msg("%s in pieces of %zu: %s: %s, not %s: %s", name, piece_bytes, status_name(got.status),
             got.error.text, status_name(status), text);
  buffer_release(&got.bytes);
}

static void expect_however_cut(const char *name, const struct buffer *body, const void *want,
                               size_t want_bytes) {
  static const size_t rooms[] = {1, 7, 64, 100000};
  for (size_t r = 0; r < sizeof rooms / sizeof rooms[0]; r++)
    for (size_t first = 1; first <= (size_t)body->size_bytes; first++) {
      expect(name, body, first, (size_t)body->size_bytes, rooms[r], want, want_bytes);
      expect(name, body, first, first, rooms[r], want, want_bytes);
    }
}

/* ---- tests ---------------------------------------------------------------------- */

static void names_are_those_of_the_rfc(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum status status;
    bool decodes;
    const char *text;
  } cases[] = {
      {NULL, STATUS_OK, false, ""},
      {"", STATUS_OK, false, ""},
      {"identity", STATUS_OK, false, ""},
      {"Identity", STATUS_OK, false, ""},
      {"gzip", STATUS_OK, true, ""},
      {"GZip", STATUS_OK, true, ""},
      {"x-gzip", STATUS_OK, true, ""},
      {"zstd", STATUS_OK, true, ""},
      {"ZSTD", STATUS_OK, true, ""},
      {"br", STATUS_UNSUPPORTED, false, "not known here; there are: zstd, gzip"},
      {"deflate", STATUS_UNSUPPORTED, false, "there are: zstd, gzip"},
      {"gzip2", STATUS_UNSUPPORTED, false, "there are: zstd, gzip"},
      {"gzip, zstd", STATUS_UNSUPPORTED, false, "more than one coding"},
      {"gzip,gzip", STATUS_UNSUPPORTED, false, "more than one coding"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_coding *coding = (struct http_coding *)(void *)&coding;
    struct error error = {.text = ""};
    assert_int_equal(http_coding_new(cases[i].name, &coding, &error), cases[i].status);
    assert_true((coding != NULL) == cases[i].decodes);
    if (strstr(error.text, cases[i].text) == NULL) fail_msg("%s: %s", cases[i].name, error.text);
    http_coding_free(coding);
  }
}

static void whole_bodies_however_they_are_cut(void **state) {
  (void)state;
  uint8_t text[TEXT_BYTES];
  text_of(text, sizeof text);
  struct buffer body = BUFFER_EMPTY;
  add_gzip(&body, text, sizeof text);
  expect_however_cut("gzip", &body, text, sizeof text);
  buffer_release(&body);
  add_zstd(&body, text, sizeof text, 0);
  expect_however_cut("zstd", &body, text, sizeof text);
  buffer_release(&body);
  add_zstd_sized(&body, text, sizeof text);
  expect_however_cut("zstd", &body, text, sizeof text);
  buffer_release(&body);
}

static void members_and_frames_in_a_row_are_one_body(void **state) {
  (void)state;
  static const uint8_t skippable[] = {0x53, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'};
  static const uint8_t skippable_empty[] = {0x5F, 0x2A, 0x4D, 0x18, 0, 0, 0, 0};
  uint8_t text[TEXT_BYTES];
  text_of(text, sizeof text);
  struct buffer body = BUFFER_EMPTY;
  add_gzip(&body, text, 100);
  add_gzip(&body, "", 0);
  add_gzip(&body, text + 100, sizeof text - 100);
  expect_however_cut("x-gzip", &body, text, sizeof text);
  buffer_release(&body);

  add(&body, skippable, sizeof skippable);
  add_zstd(&body, text, 100, 0);
  add(&body, skippable_empty, sizeof skippable_empty);
  add_zstd_sized(&body, "", 0);
  add_zstd_sized(&body, text + 100, sizeof text - 100);
  add(&body, skippable, sizeof skippable);
  expect_however_cut("zstd", &body, text, sizeof text);
  buffer_release(&body);
}

static void large_bodies_come_out_in_pieces(void **state) {
  (void)state;
  enum { LARGE = 9 << 20 };
  uint8_t *text = malloc(LARGE);
  assert_non_null(text);
  text_of(text, LARGE);
  struct buffer body = BUFFER_EMPTY;
  add_gzip(&body, text, LARGE);
  expect("gzip", &body, 4096, 65536, 16384, text, LARGE);
  buffer_release(&body);
  add_zstd(&body, text, LARGE, 23);
  expect("zstd", &body, 4096, 65536, 16384, text, LARGE);
  expect("zstd", &body, (size_t)body.size_bytes, 1, (size_t)1 << 24, text, LARGE);
  buffer_release(&body);
  free(text);
}

static void an_empty_body_is_whole(void **state) {
  (void)state;
  struct buffer body = BUFFER_EMPTY;
  expect("gzip", &body, 1, 1, 1, "", 0);
  expect("zstd", &body, 1, 1, 1, "", 0);
}

static void asking_without_input_changes_nothing(void **state) {
  (void)state;
  static const char *const names[] = {"gzip", "zstd"};
  for (size_t n = 0; n < 2; n++) {
    struct buffer body = BUFFER_EMPTY;
    uint8_t out[8];
    size_t used, made, done = 0;
    if (n == 0)
      add_gzip(&body, "abc", 3);
    else
      add_zstd(&body, "abc", 3, 0);
    struct http_coding *coding = NULL;
    assert_int_equal(http_coding_new(names[n], &coding, NULL), STATUS_OK);
    struct buffer got = BUFFER_EMPTY;
    for (size_t i = 0; i < (size_t)body.size_bytes; i++) {
      for (int often = 0; often < 100; often++) {
        assert_int_equal(http_coding_step(coding, NULL, 0, &used, out, sizeof out, &made, NULL),
                         STATUS_OK);
        assert_int_equal(used, 0);
        if (made > 0) add(&got, out, made);
        assert_int_equal(http_coding_step(coding, body.data + done, 1, &used, out, 0, &made, NULL),
                         STATUS_OK); /* no room, no step */
        assert_int_equal(used + made, 0);
      }
      do {
        assert_int_equal(http_coding_step(coding, body.data + done, (size_t)body.size_bytes > done,
                                          &used, out, sizeof out, &made, NULL),
                         STATUS_OK);
        if (made > 0) add(&got, out, made);
      } while (used == 0 && made > 0);
      done += used;
    }
    assert_int_equal(done, body.size_bytes);
    assert_int_equal(http_coding_finish(coding, NULL), STATUS_OK);
    assert_int_equal(got.size_bytes, 3);
    assert_memory_equal(got.data, "abc", 3);
    http_coding_free(coding);
    buffer_release(&got);
    buffer_release(&body);
  }
}

static void a_body_cut_off_anywhere_is_refused(void **state) {
  (void)state;
  uint8_t text[TEXT_BYTES];
  text_of(text, sizeof text);
  static const char *const names[] = {"gzip", "zstd"};
  for (size_t n = 0; n < 2; n++) {
    struct buffer body = BUFFER_EMPTY, two = BUFFER_EMPTY;
    if (n == 0)
      add_gzip(&body, text, sizeof text);
    else
      add_zstd(&body, text, sizeof text, 0);
    add(&two, body.data, (size_t)body.size_bytes);
    add(&two, body.data, (size_t)body.size_bytes);
    for (int64_t cut = 1; cut < two.size_bytes; cut++) {
      if (cut == body.size_bytes) continue;
      struct buffer part = buffer_slice(&two, 0, cut);
      refuse(names[n], &part, 1000, STATUS_INVALID, "cut off on the way");
      refuse(names[n], &part, 1, STATUS_INVALID, "cut off on the way");
      buffer_release(&part);
    }
    buffer_release(&two);
    buffer_release(&body);
  }
}

static void what_follows_the_last_frame_is_refused(void **state) {
  (void)state;
  static const char *const garbage[] = {"\0", "\0\0\0\0\0\0\0\0\0\0\0\0", "garbage that follows",
                                        "\n", "%\xB5/\xFD" /* zstd of 2015 */};
  static const size_t sizes[] = {1, 12, 20, 1, 4};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct buffer gzip = BUFFER_EMPTY, zstd = BUFFER_EMPTY;
    add_gzip(&gzip, "abc", 3);
    add(&gzip, garbage[i], sizes[i]);
    add_zstd(&zstd, "abc", 3, 0);
    add(&zstd, garbage[i], sizes[i]);
    for (size_t piece = 1; piece < 100; piece += 7) {
      refuse("gzip", &gzip, piece, STATUS_INVALID, "gzip data");
      refuse("zstd", &zstd, piece, STATUS_INVALID, "the body is not whole zstd data: a frame");
    }
    buffer_release(&gzip);
    buffer_release(&zstd);
  }
}

static void broken_bytes_are_refused(void **state) {
  (void)state;
  uint8_t text[TEXT_BYTES];
  text_of(text, sizeof text);
  struct buffer body = BUFFER_EMPTY;
  add(&body, "this is no gzip", 15);
  refuse("gzip", &body, 100, STATUS_INVALID, "the body is not whole gzip data: incorrect header");
  refuse("zstd", &body, 100, STATUS_INVALID, "a frame would begin otherwise");
  buffer_release(&body);
  /* zlib's own format is not gzip. */
  uint8_t zlib[64];
  uLongf zlib_bytes = sizeof zlib;
  assert_int_equal(compress(zlib, &zlib_bytes, (const Bytef *)"abc", 3), Z_OK);
  add(&body, zlib, zlib_bytes);
  refuse("gzip", &body, 100, STATUS_INVALID, "incorrect header");
  buffer_release(&body);
  /* Checksums are looked at. */
  add_gzip(&body, text, sizeof text);
  body.data[body.size_bytes - 8] ^= 1;
  refuse("gzip", &body, 1, STATUS_INVALID, "incorrect data check");
  buffer_release(&body);
  add_zstd(&body, text, sizeof text, 0);
  body.data[body.size_bytes - 1] ^= 1;
  refuse("zstd", &body, 1, STATUS_INVALID, "checksum");
  buffer_release(&body);
}

static void a_window_past_the_limit_is_refused_however_it_is_cut(void **state) {
  (void)state;
  uint8_t text[TEXT_BYTES];
  text_of(text, sizeof text);
  struct buffer body = BUFFER_EMPTY;
  add_zstd(&body, text, sizeof text, 24);
  for (size_t piece = 1; piece < 400; piece += 3)
    refuse("zstd", &body, piece, STATUS_UNSUPPORTED, "a window of more than 8 MiB");
  buffer_release(&body);
  /* Head: window of 2 GiB, size 4; one raw block. In one piece libzstd alone takes it. */
  static const uint8_t known[] = {0x28, 0xB5, 0x2F, 0xFD, 0x80, 21 << 3, 4,   0,  0,
                                  0,    0x21, 0,    0,    'a',  'b',     'c', 'd'};
  add(&body, known, sizeof known);
  char room[16];
  assert_int_equal(ZSTD_decompress(room, sizeof room, known, sizeof known), 4);
  for (size_t piece = 1; piece <= sizeof known; piece++)
    refuse("zstd", &body, piece, STATUS_UNSUPPORTED, "a window of more than 8 MiB");
  buffer_release(&body);
}

/* libzstd, given a broken head in pieces, takes the last piece for a format of its first years. */
static void a_format_of_the_first_years_is_refused_wherever_it_begins(void **state) {
  (void)state;
  static const uint8_t behind_a_byte[] = {0x28, 0x25, 0xB5, 0x2F, 0xFD, 0, 0xFF, 0, 0};
  static const uint8_t in_a_head[] = {0x28, 0xB5, 0x2F, 0xFD, 0x03, 0xFF,
                                      0x25, 0xB5, 0x2F, 0xFD, 0};
  static const uint8_t reserved[] = {0x28, 0xB5, 0x2F, 0xFD, 0x28, 0, 0x25, 0xB5, 0x2F, 0xFD, 0};
  struct buffer body = BUFFER_EMPTY;
  for (size_t piece = 1; piece < 12; piece++) {
    add(&body, behind_a_byte, sizeof behind_a_byte);
    refuse("zstd", &body, piece, STATUS_INVALID, "a frame would begin otherwise");
    buffer_release(&body);
    add(&body, in_a_head, sizeof in_a_head);
    refuse("zstd", &body, piece, STATUS_UNSUPPORTED, "made with a dictionary");
    buffer_release(&body);
    add(&body, reserved, sizeof reserved);
    refuse("zstd", &body, piece, STATUS_INVALID, "a reserved bit is set");
    buffer_release(&body);
  }
}

static void a_dictionary_is_refused(void **state) {
  (void)state;
  static const uint8_t data[] = {0x28, 0xB5, 0x2F, 0xFD, 0x21, 7,   4,
                                 0x21, 0,    0,    'a',  'b',  'c', 'd'};
  struct buffer body = BUFFER_EMPTY;
  add(&body, data, sizeof data);
  refuse("zstd", &body, 100, STATUS_UNSUPPORTED, "made with a dictionary");
  buffer_release(&body);
}

/* A thousandfold expansion is handed out as far as there is room, and no further. */
static void a_bomb_gives_no_more_than_there_is_room(void **state) {
  (void)state;
  enum { LARGE = 64 << 20 };
  uint8_t *zeros = calloc(1, LARGE);
  assert_non_null(zeros);
  static const char *const names[] = {"gzip", "zstd"};
  for (size_t n = 0; n < 2; n++) {
    struct buffer body = BUFFER_EMPTY;
    struct http_coding *coding = NULL;
    uint8_t out[100];
    size_t used, made;
    if (n == 0)
      add_gzip(&body, zeros, LARGE);
    else
      add_zstd(&body, zeros, LARGE, 0);
    assert_true(body.size_bytes < LARGE / 500);
    assert_int_equal(http_coding_new(names[n], &coding, NULL), STATUS_OK);
    assert_int_equal(http_coding_step(coding, body.data, (size_t)body.size_bytes, &used, out,
                                      sizeof out, &made, NULL),
                     STATUS_OK);
    assert_int_equal(made, sizeof out);
    assert_true(used < (size_t)body.size_bytes);
    http_coding_free(coding);
    buffer_release(&body);
  }
  free(zeros);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_are_those_of_the_rfc),
      cmocka_unit_test(whole_bodies_however_they_are_cut),
      cmocka_unit_test(members_and_frames_in_a_row_are_one_body),
      cmocka_unit_test(large_bodies_come_out_in_pieces),
      cmocka_unit_test(an_empty_body_is_whole),
      cmocka_unit_test(asking_without_input_changes_nothing),
      cmocka_unit_test(a_body_cut_off_anywhere_is_refused),
      cmocka_unit_test(what_follows_the_last_frame_is_refused),
      cmocka_unit_test(broken_bytes_are_refused),
      cmocka_unit_test(a_window_past_the_limit_is_refused_however_it_is_cut),
      cmocka_unit_test(a_format_of_the_first_years_is_refused_wherever_it_begins),
      cmocka_unit_test(a_dictionary_is_refused),
      cmocka_unit_test(a_bomb_gives_no_more_than_there_is_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
