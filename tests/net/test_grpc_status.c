/* gRPC's fields: media types, encodings, time-outs, statuses and their texts. */
#include "net/grpc_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_timeouts(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t ms; /* -1: refused */
  } cases[] = {{"1H", 3600000},
               {"2M", 120000},
               {"3S", 3000},
               {"4m", 4},
               {"5u", 1},
               {"1000u", 1},
               {"1001u", 2},
               {"6n", 1},
               {"1000000n", 1},
               {"1000001n", 2},
               {"0n", 0},
               {"0H", 0},
               {"00000001S", 1000},
               {"99999999H", INT64_C(359999996400000)},
               {"", -1},
               {"1", -1},
               {"m", -1},
               {"123456789m", -1},
               {"1 m", -1},
               {" 1m", -1},
               {"1m ", -1},
               {"+1m", -1},
               {"0x1m", -1},
               {"1h", -1},
               {"1s", -1},
               {"1ms", -1}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t ms = 7;
    struct error error;
    enum status status = grpc_timeout_parse(cases[i].text, &ms, &error);
    assert_int_equal(status, cases[i].ms < 0 ? STATUS_INVALID : STATUS_OK);
    assert_int_equal(ms, cases[i].ms);
  }
  int64_t ms = 7;
  assert_int_equal(grpc_timeout_parse(NULL, &ms, NULL), STATUS_OK);
  assert_int_equal(ms, -1);
}

static void test_encodings(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum status status;
    enum grpc_encoding encoding;
  } cases[] = {{NULL, STATUS_OK, GRPC_IDENTITY},
               {"identity", STATUS_OK, GRPC_IDENTITY},
               {"gzip", STATUS_OK, GRPC_GZIP},
               {"deflate", STATUS_OK, GRPC_DEFLATE},
               {"", STATUS_UNSUPPORTED, GRPC_IDENTITY},
               {"gzip,deflate", STATUS_UNSUPPORTED, GRPC_IDENTITY},
               {"zstd", STATUS_UNSUPPORTED, GRPC_IDENTITY}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    enum grpc_encoding encoding;
    struct error error;
    assert_int_equal(grpc_encoding_parse(cases[i].text, &encoding, &error), cases[i].status);
    assert_int_equal(encoding, cases[i].encoding);
  }
}

static void test_messages(void **state) {
  (void)state;
  static const struct {
    const char *text, *sent;
  } cases[] = {{"plain", "plain"},
               {"a b~!\"", "a b~!\""},
               {"100%", "100%25"},
               {"%41", "%2541"},
               {"line\r\nline\t", "line%0D%0Aline%09"},
               {"caf\xc3\xa9 \xf0\x9f\x90\xa6", "caf%C3%A9 %F0%9F%90%A6"},
               {"\x7f\x1f", "%7F%1F"},
               {"", ""}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct grpc_end end;
    struct error error;
    error_set(&error, STATUS_INVALID, "%s", cases[i].text);
    grpc_end_init(&end, STATUS_INVALID, &error);
    assert_int_equal(end.count, 4);
    assert_string_equal(end.fields[3].name, "grpc-message");
    assert_string_equal(end.fields[3].value, cases[i].sent);
    grpc_end_release(&end);
  }
}

/* Every status has its number; what can be tried again says when. */
static void test_ends(void **state) {
  (void)state;
  static const struct {
    enum status status;
    const char *number, *pushback;
  } cases[] = {{STATUS_OK, "0", NULL},
               {STATUS_INVALID, "3", NULL},
               {STATUS_UNAUTHENTICATED, "16", NULL},
               {STATUS_DENIED, "7", NULL},
               {STATUS_BUDGET, "8", "1000"},
               {STATUS_UNAVAILABLE, "14", "1000"},
               {STATUS_UNSUPPORTED, "12", NULL},
               {STATUS_TIMEOUT, "4", NULL},
               {STATUS_CANCELLED, "1", NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct grpc_end end;
    struct error error;
    error_set(&error, cases[i].status, "x");
    grpc_end_init(&end, cases[i].status, &error);
    assert_int_equal(end.head_count, 2);
    assert_string_equal(end.fields[0].value, GRPC_MEDIA_TYPE);
    assert_string_equal(end.fields[2].name, "grpc-status");
    assert_string_equal(end.fields[2].value, cases[i].number);
    assert_int_equal(end.count, cases[i].status == STATUS_OK ? 3 : cases[i].pushback ? 5 : 4);
    if (cases[i].pushback != NULL) assert_string_equal(end.fields[4].value, cases[i].pushback);
    grpc_end_release(&end);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_timeouts),
                                     cmocka_unit_test(test_encodings),
                                     cmocka_unit_test(test_messages), cmocka_unit_test(test_ends)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
