#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/private.h"

/* What is asked, and of which server. */
struct ask {
  const char *listen; /* NULL: "127.0.0.1" */
  const char *host, *origin, *site;
  bool secure;
  enum status want;
};

static const char *const hosts[] = {"db.example.org", "fixed.example.org:8443", "fd00::5",
                                    "[fd00::6]:99"};
static const char *const origins[] = {"https://app.example.org", "http://dev.example.org:3000"};

static const struct server_config *config_of(const struct ask *ask) {
  static struct server_config config;
  config = (struct server_config){
      .host = ask->listen == NULL ? "127.0.0.1" : ask->listen,
      .allowed_hosts = hosts,
      .allowed_host_count = sizeof hosts / sizeof hosts[0],
      .allowed_origins = origins,
      .allowed_origin_count = sizeof origins / sizeof origins[0],
  };
  config.http.listen_fd = -1;
  return &config;
}

static struct http_request request_of(const struct ask *ask, struct http_header headers[3]) {
  size_t count = 0;
  headers[count++] = (struct http_header){"host", ask->host};
  if (ask->origin != NULL) headers[count++] = (struct http_header){"origin", ask->origin};
  if (ask->site != NULL) headers[count++] = (struct http_header){"sec-fetch-site", ask->site};
  return (struct http_request){.method = "GET",
                               .target = "/",
                               .path = "/",
                               .query = "",
                               .host = ask->host,
                               .headers = headers,
                               .header_count = count};
}

static void check(const struct ask *asks, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct http_header headers[3];
    struct http_request request = request_of(&asks[i], headers);
    struct http_peer peer = {.address = "127.0.0.1", .loopback = true, .secure = asks[i].secure};
    struct error error = {.status = STATUS_OK};
    enum status status = access_check(&request, &peer, config_of(&asks[i]), &error);
    if (status != asks[i].want)
      fail_msg("%zu: Host %s, Origin %s, %s: %s", i, asks[i].host, asks[i].origin, asks[i].site,
               error.text);
    if (status != STATUS_OK) assert_true(strlen(error.text) > 0);
  }
}
#define CHECK(asks) check(asks, sizeof(asks) / sizeof((asks)[0]))

static void names_that_are_not_ours_are_not_answered_to(void **state) {
  (void)state;
  static const struct ask asks[] = {
      {.host = "127.0.0.1:8888"},
      {.host = "127.0.0.1"},
      {.host = "localhost:8888"},
      {.host = "LocalHost"},
      {.host = "[::1]:8888"},
      {.host = "[0:0:0:0:0:0:0:1]"},
      {.host = "localhost:1"}, /* a tunnel's other end */
      {.host = "", .want = STATUS_DENIED},
      {.host = "evil.example", .want = STATUS_DENIED},
      {.host = "evil.example:8888", .want = STATUS_DENIED},
      {.host = "localhost.evil.example", .want = STATUS_DENIED},
      {.host = "127.0.0.1.evil.example", .want = STATUS_DENIED},
      {.host = "127.0.0.1:", .want = STATUS_DENIED},
      {.host = "127.0.0.1:8888x", .want = STATUS_DENIED},
      {.host = "127.0.0.1:888888", .want = STATUS_DENIED},
      {.host = "127.0.0.1:65536", .want = STATUS_DENIED},
      {.host = "localhost@evil.example", .want = STATUS_DENIED},
      {.host = "localhost.", .want = STATUS_DENIED},
      {.host = "::1", .want = STATUS_DENIED}, /* without brackets it is no Host */
      {.host = "[::1", .want = STATUS_DENIED},
      {.host = "[::1]x", .want = STATUS_DENIED},
      {.host = "[]", .want = STATUS_DENIED},
      {.host = "[localhost]", .want = STATUS_DENIED},
      {.host = "[evil.example]", .want = STATUS_DENIED},
  };
  CHECK(asks);
}

static void numeric_addresses_that_are_listened_on_are_ours(void **state) {
  (void)state;
  static const struct ask asks[] = {
      {.host = "192.0.2.7", .want = STATUS_DENIED},
      {.listen = "192.0.2.7", .host = "192.0.2.7:8888"},
      {.listen = "192.0.2.7", .host = "localhost"},
      {.listen = "192.0.2.7", .host = "192.0.2.8", .want = STATUS_DENIED},
      {.listen = "fd00::7", .host = "[fd00:0::7]:1"},
      {.listen = "0.0.0.0", .host = "192.0.2.7:8888"},
      {.listen = "0.0.0.0", .host = "[fd00::9]"},
      {.listen = "::", .host = "10.0.0.1"},
      {.listen = "0.0.0.0", .host = "0.0.0.0:8888", .want = STATUS_DENIED},
      {.listen = "::", .host = "[::]", .want = STATUS_DENIED},
      {.listen = "0.0.0.0", .host = "2130706433", .want = STATUS_DENIED}, /* 127.0.0.1, somewhere */
      {.listen = "0.0.0.0", .host = "0x7f.1", .want = STATUS_DENIED},
      {.listen = "0.0.0.0", .host = "evil.example", .want = STATUS_DENIED},
      {.listen = "0.0.0.0", .host = "10.0.0.1.evil.example", .want = STATUS_DENIED},
  };
  CHECK(asks);
}

static void listed_hosts_are_ours(void **state) {
  (void)state;
  static const struct ask asks[] = {
      {.host = "db.example.org"},
      {.host = "DB.Example.ORG:1234"},
      {.host = "x.db.example.org", .want = STATUS_DENIED},
      {.host = "db.example.org.evil.example", .want = STATUS_DENIED},
      {.host = "fixed.example.org:8443"},
      {.host = "fixed.example.org", .want = STATUS_DENIED},
      {.host = "fixed.example.org:8444", .want = STATUS_DENIED},
      {.host = "[fd00::5]:7"},
      {.host = "[fd00::6]:99"},
      {.host = "[fd00::6]:98", .want = STATUS_DENIED},
  };
  CHECK(asks);
  static const char *const any[] = {"*"};
  struct ask ask = {.host = "whatever.example:1"};
  struct http_header headers[3];
  struct http_request request = request_of(&ask, headers);
  struct http_peer peer = {.address = "127.0.0.1"};
  struct server_config config = *config_of(&ask);
  config.allowed_hosts = any;
  config.allowed_host_count = 1;
  assert_int_equal(access_check(&request, &peer, &config, NULL), STATUS_OK);
}

static void pages_of_other_origins_are_refused(void **state) {
  (void)state;
  static const char here[] = "127.0.0.1:8888";
  static const struct ask asks[] = {
      {.host = here, .origin = "http://127.0.0.1:8888"},
      {.host = "localhost:8888", .origin = "http://LOCALHOST:8888"},
      {.host = "localhost", .origin = "http://localhost:80"},
      {.host = "localhost", .origin = "https://localhost", .secure = true},
      {.host = "localhost:443", .origin = "https://localhost", .secure = true},
      {.host = "localhost:9", .origin = "http://localhost:9"}, /* through a tunnel */
      {.host = "[::1]:8888", .origin = "http://[::1]:8888"},
      {.host = "db.example.org:8888", .origin = "http://db.example.org:8888"},
      /* Another name of this machine may be another program's. */
      {.host = here, .origin = "http://localhost:8888", .want = STATUS_DENIED},
      {.host = here, .origin = "http://localhost:3000", .want = STATUS_DENIED},
      {.host = here, .origin = "http://127.0.0.1", .want = STATUS_DENIED},
      {.host = here, .origin = "https://127.0.0.1:8888", .want = STATUS_DENIED},
      {.host = here, .origin = "http://127.0.0.1:8888", .secure = true, .want = STATUS_DENIED},
      {.host = here, .origin = "http://evil.example", .want = STATUS_DENIED},
      {.host = here, .origin = "http://127.0.0.1:8888.evil.example", .want = STATUS_DENIED},
      {.host = here, .origin = "http://127.0.0.1:8888/", .want = STATUS_DENIED},
      {.host = here, .origin = "http://x@127.0.0.1:8888", .want = STATUS_DENIED},
      {.host = here, .origin = "null", .want = STATUS_DENIED},
      {.host = here, .origin = "", .want = STATUS_DENIED},
      {.host = here, .origin = "file://", .want = STATUS_DENIED},
      {.host = here, .site = "same-origin"},
      {.host = here, .site = "none"},
      {.host = here, .site = "cross-site", .want = STATUS_DENIED},
      {.host = here, .site = "same-site", .want = STATUS_DENIED},
      {.host = here, .origin = "http://127.0.0.1:8888", .site = "same-origin"},
  };
  CHECK(asks);
}

static void listed_origins_may_ask(void **state) {
  (void)state;
  static const char here[] = "127.0.0.1:8888";
  static const struct ask asks[] = {
      {.host = here, .origin = "https://app.example.org", .site = "cross-site"},
      {.host = here, .origin = "https://APP.example.org:443"},
      {.host = here, .origin = "http://dev.example.org:3000", .site = "same-site"},
      {.host = here, .origin = "http://app.example.org", .want = STATUS_DENIED},
      {.host = here, .origin = "https://app.example.org:444", .want = STATUS_DENIED},
      {.host = here, .origin = "https://x.app.example.org", .want = STATUS_DENIED},
      {.host = here, .origin = "http://dev.example.org", .want = STATUS_DENIED},
      {.host = "evil.example", .origin = "https://app.example.org", .want = STATUS_DENIED},
  };
  CHECK(asks);
  for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
    struct http_header headers[3];
    struct http_request request = request_of(&asks[i], headers);
    bool listed = access_origin(&request, config_of(&asks[i])) != NULL;
    if (strcmp(asks[i].host, here) == 0) assert_int_equal(listed, asks[i].want == STATUS_OK);
  }
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
      cmocka_unit_test(names_that_are_not_ours_are_not_answered_to),
      cmocka_unit_test(numeric_addresses_that_are_listened_on_are_ours),
      cmocka_unit_test(listed_hosts_are_ours),
      cmocka_unit_test(pages_of_other_origins_are_refused),
      cmocka_unit_test(listed_origins_may_ask),
      cmocka_unit_test(media_types_are_compared_without_parameters_or_case),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
