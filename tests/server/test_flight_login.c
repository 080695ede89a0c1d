#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "server/flight.h"

#define HASH                                                                                       \
  "$scrypt$ln=10,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define OTHER_HASH                                                                                 \
  "$scrypt$ln=10,r=8,p=1$BBBBBBBBBBBBBBBBBBBBBA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static struct server_config *config_of(const char *users, int idle_s) {
  char yaml[1024];
  struct error error;
  struct server_config *config = NULL;
  snprintf(yaml, sizeof yaml, "flight: {session_idle_s: %d}\nauth:\n  users:\n%s", idle_s, users);
  if (server_config_parse(yaml, strlen(yaml), "test.yaml", &config, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  return config;
}

static const struct identity *who_of(const struct server_config *config, const char *name) {
  uint8_t secret[AUTH_SECRET_BYTES];
  return auth_identity(config->auth, name, secret);
}

static void a_token_stands_for_its_user(void **state) {
  (void)state;
  struct server_config *config = config_of("    anna: {password_hash: '" HASH "'}\n"
                                           "    bert: {password_hash: '" OTHER_HASH "'}\n",
                                           60);
  struct flight_logins *logins = NULL;
  char anna[FLIGHT_TOKEN_BYTES], bert[FLIGHT_TOKEN_BYTES];
  assert_int_equal(flight_logins_new(&logins, NULL), STATUS_OK);
  assert_null(flight_login_find(logins, config, "nothing"));
  assert_int_equal(flight_login_add(logins, config, who_of(config, "user:anna"), anna, NULL),
                   STATUS_OK);
  assert_int_equal(flight_login_add(logins, config, who_of(config, "user:bert"), bert, NULL),
                   STATUS_OK);
  assert_string_equal(flight_login_find(logins, config, anna)->name, "user:anna");
  assert_string_equal(flight_login_find(logins, config, bert)->name, "user:bert");
  anna[0] = anna[0] == 'a' ? 'b' : 'a';
  assert_null(flight_login_find(logins, config, anna));
  flight_logins_free(logins);
  server_config_free(config);
}

static void it_ends_with_the_user_and_with_the_password(void **state) {
  (void)state;
  struct server_config *before = config_of("    anna: {password_hash: '" HASH "'}\n"
                                           "    bert: {password_hash: '" HASH "'}\n",
                                           60);
  struct server_config *after = config_of("    bert: {password_hash: '" OTHER_HASH "'}\n", 60);
  struct flight_logins *logins = NULL;
  char anna[FLIGHT_TOKEN_BYTES], bert[FLIGHT_TOKEN_BYTES];
  assert_int_equal(flight_logins_new(&logins, NULL), STATUS_OK);
  assert_int_equal(flight_login_add(logins, before, who_of(before, "user:anna"), anna, NULL),
                   STATUS_OK);
  assert_int_equal(flight_login_add(logins, before, who_of(before, "user:bert"), bert, NULL),
                   STATUS_OK);
  assert_null(flight_login_find(logins, after, anna));
  assert_null(flight_login_find(logins, after, bert));
  /* It does not come back with them. */
  assert_null(flight_login_find(logins, before, anna));
  assert_null(flight_login_find(logins, before, bert));
  flight_logins_free(logins);
  server_config_free(before);
  server_config_free(after);
}

static void it_ends_when_it_is_not_used(void **state) {
  (void)state;
  struct server_config *config = config_of("    anna: {password_hash: '" HASH "'}\n", 1);
  struct flight_logins *logins = NULL;
  char used[FLIGHT_TOKEN_BYTES], idle[FLIGHT_TOKEN_BYTES];
  const struct identity *anna = who_of(config, "user:anna");
  assert_int_equal(flight_logins_new(&logins, NULL), STATUS_OK);
  assert_int_equal(flight_login_add(logins, config, anna, idle, NULL), STATUS_OK);
  assert_int_equal(flight_login_add(logins, config, anna, used, NULL), STATUS_OK);
  int64_t begin_ms = clock_now_ms();
  while (clock_now_ms() - begin_ms < 1300) {
    assert_non_null(flight_login_find(logins, config, used));
    clock_sleep_ms(50);
  }
  assert_null(flight_login_find(logins, config, idle));
  flight_logins_free(logins);
  server_config_free(config);
}

static void who_is_nobody_of_the_configuration_gets_one_that_is_nobodys(void **state) {
  (void)state;
  struct server_config *config = config_of("    anna: {password_hash: '" HASH "'}\n", 60);
  struct flight_logins *logins = NULL;
  char token[FLIGHT_TOKEN_BYTES];
  assert_int_equal(flight_logins_new(&logins, NULL), STATUS_OK);
  assert_int_equal(flight_login_add(logins, config, &IDENTITY_LOCAL, token, NULL), STATUS_OK);
  assert_int_equal(strlen(token), FLIGHT_TOKEN_BYTES - 1);
  assert_null(flight_login_find(logins, config, token));
  flight_logins_free(logins);
  server_config_free(config);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_token_stands_for_its_user),
      cmocka_unit_test(it_ends_with_the_user_and_with_the_password),
      cmocka_unit_test(it_ends_when_it_is_not_used),
      cmocka_unit_test(who_is_nobody_of_the_configuration_gets_one_that_is_nobodys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
