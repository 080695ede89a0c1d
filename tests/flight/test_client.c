/* The client without a network: addresses, cookies, headers, cancelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flight/client_private.h"

static struct budget budget = {.limit_bytes = 1 << 20};

/* ---- addresses -------------------------------------------------------------------------------------- */

static void addresses_say_host_port_and_encryption(void **state) {
  (void)state;
  static const struct {
    const char *text, *host;
    int port;
    bool tls, insecure;
  } cases[] = {
      {"grpc://db.example.org:31337", "db.example.org", 31337, false, false},
      {"grpc+tcp://127.0.0.1", "127.0.0.1", 8888, false, false},
      {"GRPC+TLS://x:1/", "x", 1, true, false},
      {"grpc://[::1]:9", "::1", 9, false, false},
      {"grpc://[::1]", "::1", 8888, false, false},
      {"grpc://h?", "h", 8888, false, false},
      {"flightsql://h:7", "h", 7, true, false},
      {"flightsql://h:7?transport=TCP", "h", 7, false, false},
      {"flightsql://h:7/?useEncryption=false", "h", 7, false, false},
      {"flightsql://h?useEncryption=1&disableCertificateVerification=true", "h", 8888, true, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct flight_uri uri;
    struct error error;
    assert_int_equal(flight_uri_parse(cases[i].text, &uri, &error), STATUS_OK);
    assert_true(flight_uri_is(cases[i].text));
    assert_string_equal(uri.host, cases[i].host);
    assert_int_equal(uri.port, cases[i].port);
    assert_int_equal(uri.tls, cases[i].tls);
    assert_int_equal(uri.insecure, cases[i].insecure);
    assert_false(uri.reuse);
  }
}

static void addresses_that_are_none_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum status status;
    const char *said;
  } cases[] = {
      {"http://h", STATUS_UNSUPPORTED, "grpc+tls://"},
      {"grpc+unix:///x", STATUS_UNSUPPORTED, "grpc+unix"},
      {"", STATUS_UNSUPPORTED, ""},
      {"grpc://", STATUS_INVALID, "names no host"},
      {"grpc://:1", STATUS_INVALID, "names no host"},
      {"grpc://h:", STATUS_INVALID, "port"},
      {"grpc://h:0", STATUS_INVALID, "port '0'"},
      {"grpc://h:65536", STATUS_INVALID, "65535"},
      {"grpc://h:8x", STATUS_INVALID, "'8x'"},
      {"grpc://[::1", STATUS_INVALID, "no ]"},
      {"grpc://[::1]x", STATUS_INVALID, "'x'"},
      {"grpc://h/path", STATUS_INVALID, "'path'"},
      {"grpc://h?x=1", STATUS_INVALID, "follows the host"},
      {"flightsql://h?transport=unix", STATUS_INVALID, "transport=tls|tcp"},
      {"flightsql://h?token=x", STATUS_INVALID, "'token'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct flight_uri uri;
    struct error error;
    assert_int_equal(flight_uri_parse(cases[i].text, &uri, &error), cases[i].status);
    if (strstr(error.text, cases[i].said) == NULL)
      fail_msg("'%s': '%s' is not in '%s'", cases[i].text, cases[i].said, error.text);
  }
}

static void a_password_in_an_address_is_in_no_message(void **state) {
  (void)state;
  struct flight_uri uri;
  struct error error;
  assert_int_equal(flight_uri_parse("grpc://anna:secret@h", &uri, &error), STATUS_INVALID);
  assert_null(strstr(error.text, "secret"));
}

static void the_address_of_endpoints_that_reuse_is_known(void **state) {
  (void)state;
  struct flight_uri uri;
  assert_int_equal(flight_uri_parse("arrow-flight-reuse-connection://?", &uri, NULL), STATUS_OK);
  assert_true(uri.reuse);
  assert_false(flight_uri_is("arrow-flight-reuse-connection://?"));
}

/* ---- clients ------------------------------------------------------------------------------------------ */

static struct flight_client *open_with(const struct flight_client_options *options) {
  struct flight_client *client = NULL;
  struct error error;
  if (flight_client_open(options, &client, &error) != STATUS_OK) fail_msg("%s", error.text);
  return client;
}

static void options_that_do_not_go_together_are_refused(void **state) {
  (void)state;
  static const struct http_header upper = {"Big", "x"}, own = {"grpc-timeout", "1S"},
                                  broken = {"a", "b\nc"};
  const struct {
    struct flight_client_options options;
    const char *said;
  } cases[] = {
      {{.url = "grpc://h", .token = "t", .user = "u", .password = "p"}, "not both"},
      {{.url = "grpc://h", .user = "u"}, "password"},
      {{.url = "grpc://h", .user = "a:b", .password = "p"}, "colon"},
      {{.url = "grpc://h", .token = "a\nb"}, "token"},
      {{.url = "grpc://h", .headers = &upper, .header_count = 1}, "'Big'"},
      {{.url = "grpc://h", .headers = &own, .header_count = 1}, "gRPC's own"},
      {{.url = "grpc://h", .headers = &broken, .header_count = 1}, "header a"},
      {{.url = "arrow-flight-reuse-connection://?"}, "endpoints"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct flight_client_options options = cases[i].options;
    struct flight_client *client = NULL;
    struct error error;
    options.budget = &budget;
    assert_int_equal(flight_client_open(&options, &client, &error), STATUS_INVALID);
    assert_null(client);
    if (strstr(error.text, cases[i].said) == NULL)
      fail_msg("case %zu: '%s' is not in '%s'", i, cases[i].said, error.text);
  }
}

static const char *header_of(const struct flight_client_headers *headers, const char *name) {
  for (size_t i = 0; i < headers->count; i++)
    if (strcmp(headers->list[i].name, name) == 0) return headers->list[i].value;
  return NULL;
}

static void cookies_are_kept_replaced_and_taken_back(void **state) {
  (void)state;
  struct flight_client_options options = {.url = "grpc://h", .budget = &budget};
  struct flight_client *client = open_with(&options);
  static const struct {
    const char *set, *sent;
  } steps[] = {
      {"a=1; Path=/; HttpOnly", "a=1"},
      {"b=2", "a=1; b=2"},
      {"a=3", "a=3; b=2"},
      {"no cookie", "a=3; b=2"},
      {"=x", "a=3; b=2"},
      {"a=; Max-Age=0", "b=2"},
      {"b=; expires=Thu, 01 Jan 1970 00:00:00 GMT", NULL},
  };
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    struct flight_client_headers headers;
    assert_int_equal(flight_client_cookie_set(client, steps[i].set, NULL), STATUS_OK);
    assert_int_equal(flight_client_headers_make(client, client->site, NULL, &headers, NULL),
                     STATUS_OK);
    const char *cookie = header_of(&headers, "cookie");
    if (steps[i].sent == NULL)
      assert_null(cookie);
    else
      assert_string_equal(cookie, steps[i].sent);
    flight_client_headers_release(&headers);
  }
  flight_client_close(client);
}

static void who_hears_what_depends_on_where_it_is(void **state) {
  (void)state;
  static const struct {
    const char *own, *other;
    bool share, trusted;
  } cases[] = {
      {"grpc://h:1", "grpc://h:1", false, true},     {"grpc://h:1", "grpc://H:2", false, true},
      {"grpc://h:1", "grpc+tls://h:1", false, true}, {"grpc+tls://h:1", "grpc://h:1", false, false},
      {"grpc://h:1", "grpc://g:1", false, false},    {"grpc://h:1", "grpc://g:1", true, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_header header = {"x-tenant", "7"};
    struct flight_client_options options = {.url = cases[i].own,
                                            .token = "secret",
                                            .headers = &header,
                                            .header_count = 1,
                                            .share_credentials = cases[i].share,
                                            .budget = &budget};
    struct flight_client *client = open_with(&options);
    struct flight_uri uri;
    struct flight_site *site = NULL;
    struct flight_client_headers headers;
    assert_int_equal(flight_uri_parse(cases[i].other, &uri, NULL), STATUS_OK);
    assert_int_equal(flight_client_site(client, &uri, &site, NULL), STATUS_OK);
    assert_int_equal(site->trusted, cases[i].trusted);
    assert_int_equal(flight_client_headers_make(client, site, NULL, &headers, NULL), STATUS_OK);
    assert_int_equal(headers.count, cases[i].trusted ? 2 : 0);
    if (cases[i].trusted)
      assert_string_equal(header_of(&headers, "authorization"), "Bearer secret");
    flight_client_headers_release(&headers);
    flight_client_close(client);
  }
}

static void a_calls_own_headers_come_in_place_of_the_clients(void **state) {
  (void)state;
  struct http_header own[] = {{"x-a", "1"}, {"x-b", "2"}};
  struct http_header of_call[] = {{"x-b", "3"}, {"authorization", "mine"}};
  struct flight_client_options options = {
      .url = "grpc://h", .token = "t", .headers = own, .header_count = 2, .budget = &budget};
  struct flight_call_options call = {.headers = of_call, .header_count = 2};
  struct flight_client *client = open_with(&options);
  struct flight_client_headers headers;
  assert_int_equal(flight_client_headers_make(client, client->site, &call, &headers, NULL),
                   STATUS_OK);
  assert_int_equal(headers.count, 3);
  assert_string_equal(header_of(&headers, "x-a"), "1");
  assert_string_equal(header_of(&headers, "x-b"), "3");
  assert_string_equal(header_of(&headers, "authorization"), "mine");
  flight_client_headers_release(&headers);
  flight_client_close(client);
}

static void users_are_coded_as_basic_has_it(void **state) {
  (void)state;
  char *header = NULL;
  assert_int_equal(flight_client_basic("Aladdin", "open sesame", &header, NULL), STATUS_OK);
  assert_string_equal(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); /* RFC 7617 section 2 */
  free(header);
  static const char *const coded[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}};
  for (size_t i = 0; i < 4; i++) {
    char *text = flight_client_base64(coded[i][0], strlen(coded[i][0]));
    assert_string_equal(text, coded[i][1]); /* RFC 4648 section 10 */
    free(text);
  }
}

/* ---- cancelling, again ------------------------------------------------------------------------------------ */

static void count_up(void *context) { ++*(int *)context; }

static void what_is_cancelled_hears_of_it_now_and_later(void **state) {
  (void)state;
  struct flight_cancel *cancel = NULL;
  struct flight_cancel_entry first, second, late;
  int counts[3] = {0, 0, 0};
  assert_int_equal(flight_cancel_new(&cancel, NULL), STATUS_OK);
  flight_cancel_add(cancel, &first, count_up, &counts[0]);
  flight_cancel_add(cancel, &second, count_up, &counts[1]);
  flight_cancel_remove(&first);
  assert_false(flight_cancel_is(cancel));
  assert_true(flight_cancel_wait(cancel, 1));
  flight_cancel_now(cancel);
  flight_cancel_add(cancel, &late, count_up, &counts[2]);
  assert_true(flight_cancel_is(cancel));
  assert_false(flight_cancel_wait(cancel, 60000));
  assert_int_equal(counts[0], 0);
  assert_int_equal(counts[1], 1);
  assert_int_equal(counts[2], 1);
  flight_cancel_remove(&second);
  flight_cancel_remove(&late);
  flight_cancel_free(cancel);
  flight_cancel_now(NULL);
}

static void only_what_passes_is_tried_again_and_not_for_ever(void **state) {
  (void)state;
  struct flight_client_options options = {.url = "grpc://h", .retries = 1, .budget = &budget};
  struct flight_client *client = open_with(&options);
  struct flight_client_retry retry = flight_client_retry_of(client, NULL);
  assert_false(flight_client_retry_again(&retry, STATUS_INVALID));
  assert_false(flight_client_retry_again(&retry, STATUS_TIMEOUT));
  assert_true(flight_client_retry_again(&retry, STATUS_UNAVAILABLE));
  assert_false(flight_client_retry_again(&retry, STATUS_UNAVAILABLE));
  struct flight_call_options soon = {.timeout_ms = 10};
  retry = flight_client_retry_of(client, &soon); /* the wait is longer than the time there is */
  assert_false(flight_client_retry_again(&retry, STATUS_UNAVAILABLE));
  flight_client_close(client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_say_host_port_and_encryption),
      cmocka_unit_test(addresses_that_are_none_are_refused),
      cmocka_unit_test(a_password_in_an_address_is_in_no_message),
      cmocka_unit_test(the_address_of_endpoints_that_reuse_is_known),
      cmocka_unit_test(options_that_do_not_go_together_are_refused),
      cmocka_unit_test(cookies_are_kept_replaced_and_taken_back),
      cmocka_unit_test(who_hears_what_depends_on_where_it_is),
      cmocka_unit_test(a_calls_own_headers_come_in_place_of_the_clients),
      cmocka_unit_test(users_are_coded_as_basic_has_it),
      cmocka_unit_test(what_is_cancelled_hears_of_it_now_and_later),
      cmocka_unit_test(only_what_passes_is_tried_again_and_not_for_ever),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
