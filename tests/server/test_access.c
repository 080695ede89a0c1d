#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/private.h"

enum { PORT = 8888 };

/* The verdict on a request with this Host, and one header more when `name` is given. */
static enum status verdict(const char *host, const char *name, const char *value) {
  struct http_header headers[2] = {{"host", host}, {name, value}};
  struct http_request request = {
      .method = "GET",
      .target = "/",
      .path = "/",
      .query = "",
      .host = host,
      .headers = headers,
      .header_count = name == NULL ? 1 : 2,
  };
  struct error error = {.status = STATUS_OK};
  struct http_peer peer = {.address = "127.0.0.1", .loopback = true};
  struct server_config config = {.host = "127.0.0.1"};
  enum status status = access_check(&request, &peer, &config, PORT, &error);
  if (status != STATUS_OK) assert_true(strlen(error.text) > 0);
  return status;
}

static void only_loopback_names_are_answered_to(void **state) {
  (void)state;
  static const struct {
    const char *host;
    enum status want;
  } cases[] = {
      {"127.0.0.1:8888", STATUS_OK},
      {"127.0.0.1", STATUS_OK},
      {"localhost:8888", STATUS_OK},
      {"LocalHost", STATUS_OK},
      {"[::1]:8888", STATUS_OK},
      {"localhost:1", STATUS_OK}, /* a tunnel's other end */
      {"evil.example", STATUS_DENIED},
      {"evil.example:8888", STATUS_DENIED},
      {"localhost.evil.example", STATUS_DENIED},
      {"127.0.0.1.evil.example", STATUS_DENIED},
      {"127.0.0.1:", STATUS_DENIED},
      {"127.0.0.1:8888x", STATUS_DENIED},
      {"127.0.0.1:888888", STATUS_DENIED},
      {"localhost@evil.example", STATUS_DENIED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(verdict(cases[i].host, NULL, NULL), cases[i].want);
}

static void pages_of_other_origins_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *name, *value;
    enum status want;
  } cases[] = {
      {"origin", "http://127.0.0.1:8888", STATUS_OK},
      {"origin", "http://localhost:8888", STATUS_OK},
      {"origin", "http://localhost:3000", STATUS_DENIED},
      {"origin", "http://localhost", STATUS_DENIED},
      {"origin", "https://localhost:8888", STATUS_DENIED},
      {"origin", "http://evil.example", STATUS_DENIED},
      {"origin", "http://localhost:8888.evil.example", STATUS_DENIED},
      {"origin", "null", STATUS_DENIED},
      {"origin", "", STATUS_DENIED},
      {"sec-fetch-site", "same-origin", STATUS_OK},
      {"sec-fetch-site", "none", STATUS_OK},
      {"sec-fetch-site", "cross-site", STATUS_DENIED},
      {"sec-fetch-site", "same-site", STATUS_DENIED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(verdict("127.0.0.1:8888", cases[i].name, cases[i].value), cases[i].want);
}

static void media_types_are_compared_without_parameters_or_case(void **state) {
  (void)state;
  assert_true(media_type_is("application/sql", "application/sql"));
  assert_true(media_type_is("Application/SQL; charset=utf-8", "application/sql"));
  assert_true(media_type_is("application/sql ;x=y", "application/sql"));
  assert_false(media_type_is("application/sqlx", "application/sql"));
  assert_false(media_type_is("text/plain; a=application/sql", "application/sql"));
  assert_false(media_type_is(NULL, "application/sql"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_loopback_names_are_answered_to),
      cmocka_unit_test(pages_of_other_origins_are_refused),
      cmocka_unit_test(media_types_are_compared_without_parameters_or_case),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
