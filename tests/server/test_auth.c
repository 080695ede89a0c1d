#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/auth.h"
#include "server/config.h"

#define TOKEN       "0123456789abcdef-of-ci"
#define OTHER_TOKEN "fedcba9876543210-of-ops"
/* Of "pleaseletmein" (RFC 7914, section 12). */
#define HASH                                                                                       \
  "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"                                                     \
  "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUk"                                   \
  "Kpr55h6F3A1lHkDfzwF7RVdYhw"

static enum status parse(const char *yaml, struct server_config **config, struct error *error) {
  *config = NULL;
  *error = (struct error){0};
  return server_config_parse(yaml, strlen(yaml), "f", config, error);
}

static struct server_config *parsed(const char *yaml) {
  struct server_config *config;
  struct error error;
  if (parse(yaml, &config, &error) != STATUS_OK) fail_msg("%s", error.text);
  if (auth_resolve(config->auth, &error) != STATUS_OK) fail_msg("%s", error.text);
  return config;
}

static struct table_name table(const char *text) {
  struct table_name name;
  assert_int_equal(table_name_parse(text, strlen(text), &name, NULL), STATUS_OK);
  return name;
}

static void without_the_section_nobody_is_known(void **state) {
  (void)state;
  struct server_config *config = parsed("auth:\n  tokens:\n  users:\n");
  assert_non_null(config->auth);
  assert_false(auth_configured(config->auth));
  assert_null(auth_token(config->auth, ""));
  assert_null(auth_password(config->auth, "", ""));
  assert_null(auth_password_known(config->auth, "", ""));
  server_config_free(config);
}

static void a_token_is_its_owner(void **state) {
  (void)state;
  struct server_config *config = parsed("auth:\n  tokens:\n"
                                        "    ci: {token: " TOKEN ", scopes: [write]}\n"
                                        "    ops: {token: " OTHER_TOKEN ", scopes: [admin]}\n"
                                        "    reader: {token: 0000000000000000}\n");
  const struct auth *auth = config->auth;
  assert_true(auth_configured(auth) && auth_has_tokens(auth) && !auth_has_users(auth));
  const struct identity *ci = auth_token(auth, TOKEN);
  assert_non_null(ci);
  assert_string_equal(ci->name, "token:ci");
  assert_int_equal(ci->scopes, AUTH_WRITE);
  assert_int_equal(auth_token(auth, OTHER_TOKEN)->scopes, AUTH_READ | AUTH_WRITE | AUTH_ADMIN);
  assert_int_equal(auth_token(auth, "0000000000000000")->scopes, AUTH_READ); /* the default */
  static const char *const wrong[] = {"", "0123456789abcdef-of-c", TOKEN "x", "0123456789abcdef",
                                      "0123456789ABCDEF-of-ci"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_null(auth_token(auth, wrong[i]));
  server_config_free(config);
}

static void a_user_is_name_and_password(void **state) {
  (void)state;
  struct server_config *config =
      parsed("auth:\n  users:\n    anna: {password_hash: '" HASH "', scopes: [read, write]}\n");
  const struct auth *auth = config->auth;
  assert_true(auth_has_users(auth) && !auth_has_tokens(auth));
  assert_null(auth_password_known(auth, "anna", "pleaseletmein"));
  assert_null(auth_password(auth, "anna", "wrong"));
  assert_null(auth_password(auth, "bert", "pleaseletmein"));
  assert_null(auth_password(auth, "", ""));
  const struct identity *anna = auth_password(auth, "anna", "pleaseletmein");
  assert_non_null(anna);
  assert_string_equal(anna->name, "user:anna");
  assert_int_equal(anna->scopes, AUTH_READ | AUTH_WRITE);
  assert_ptr_equal(auth_password_known(auth, "anna", "pleaseletmein"), anna);
  assert_null(auth_password_known(auth, "anna", "wrong"));
  assert_true(auth_knows(auth, "anna"));
  assert_false(auth_knows(auth, "bert"));
  server_config_free(config);
}

static void what_is_wrong_with_an_entry_is_told_with_its_place(void **state) {
  (void)state;
  static const struct {
    const char *yaml, *want;
  } cases[] = {
      {"auth: {tokens: {ci: {}}}",
       "f:1:17: auth.tokens.ci: it has no secret: give one of token, token_env and token_file"},
      {"auth: {tokens: {ci: }}", "f:1:17: auth.tokens.ci: it has no secret"},
      {"auth: {users: {a: {scopes: [read]}}}", "f:1:16: auth.users.a: it has no secret: give one "
                                               "of password_hash"},
      {"auth:\n  tokens:\n    ci: {token: " TOKEN ", token_env: X}",
       "f:3:5: auth.tokens.ci: both token and token_env are given; keep one of them"},
      {"auth: {tokens: {ci: {token: hunter2}}}", "f:1:17: auth.tokens.ci: the token is shorter "
                                                 "than 16 characters and could be guessed; "
                                                 "`openssl rand -hex 32` makes a good one"},
      {"auth: {tokens: {ci: {token: hunter2 with spaces in it}}}", "visible ASCII"},
      {"auth: {tokens: {ci: {token: \"hunter2hunter2hunter2\xC3\xA4\"}}}", "visible ASCII"},
      {"auth: {tokens: {ci: {token: [hunter2hunter2hunter2]}}}", "'token' takes one value"},
      {"auth: {tokens: {ci: {token: &hunter2 x}}}", "anchors (&...) are not taken"},
      {"auth: {tokens: {ci: {token: *hunter2 }}}", "aliases (*...) are not taken"},
      {"auth: {tokens: {ci: {token: !hunter2 x}}}", "tags (...) are not taken"},
      {"auth: {tokens: {ci: {token_sha256: hunter2}}}", "f:1:36: 'token_sha256': this is no "
                                                        "SHA-256"},
      {"auth: {users: {a: {password_hash: hunter2}}}", "f:1:35: 'password_hash': this is no "
                                                       "password hash"},
      {"auth: {tokens: {ci: {token: " TOKEN ", scopes: [reed]}}}",
       "f:1:62: 'scopes': 'reed' is no scope; those there are: read, write, admin"},
      {"auth: {tokens: {ci: {token: " TOKEN ", scopes: []}}}",
       "auth.tokens.ci: 'scopes' is an empty list; leave the line out for the default"},
      {"auth: {tokens: {ci: {token: " TOKEN ", tables: []}}}",
       "auth.tokens.ci: 'tables' is an empty list; leave the line out for every one"},
      {"auth: {tokens: {ci: {token: " TOKEN ", streams: []}}}", "'streams' is an empty list"},
      {"auth: {tokens: {ci: {token: " TOKEN ", tables: [a..b]}}}", "'tables': 'a..b'"},
      {"auth: {tokens: {ci: {token: " TOKEN ", strems: [a]}}}",
       "unknown key 'strems'; did you mean 'streams'?"},
      {"auth: {tokens: {a:b: {token: " TOKEN "}}}", "f:1:17: auth.tokens.a:b: a name here has no "
                                                    "colon"},
      {"auth: {token: {ci: {token: " TOKEN "}}}", "unknown key 'token'; did you mean 'tokens'?"},
      {"auth: hunter2", "'auth' has settings of its own"},
      {"auth:\n  tokens:\n    a: {token: " TOKEN "}\n    b: {token: " TOKEN "}\n",
       "auth.tokens: 'a' (f:3:5) and 'b' (f:4:5) have the same token; give each its own"},
      {"auth:\n  tokens:\n    a: {token: " TOKEN "}\n    a: {token: " OTHER_TOKEN "}\n",
       "'a' is configured twice under 'tokens', at f:3:5 and at f:4:5"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct server_config *config;
    struct error error;
    if (parse(cases[i].yaml, &config, &error) == STATUS_OK) fail_msg("taken: %s", cases[i].yaml);
    if (strstr(error.text, cases[i].want) == NULL)
      fail_msg("%s\nsays: %s", cases[i].yaml, error.text);
    if (strstr(error.text, "hunter2") != NULL || strstr(error.text, TOKEN) != NULL)
      fail_msg("the secret is told: %s", error.text);
    assert_null(config);
  }
}

/* ---- secrets from elsewhere ------------------------------------------------------------- */

static char folder[64];

static int enter_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/arrowport-test-XXXXXX");
  return mkdtemp(folder) == NULL ? -1 : 0;
}

static int leave_folder(void **state) {
  (void)state;
  char path[128];
  snprintf(path, sizeof path, "%s/secret", folder);
  unlink(path);
  return rmdir(folder);
}

static void write_secret(const void *data, size_t bytes) {
  char path[128];
  snprintf(path, sizeof path, "%s/secret", folder);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, bytes, file), bytes);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(chmod(path, 0600), 0);
}

static void a_secret_comes_from_the_environment_or_a_file(void **state) {
  (void)state;
  char yaml[512];
  snprintf(yaml, sizeof yaml,
           "auth:\n  tokens:\n    e: {token_env: TEST_AUTH_TOKEN}\n    f: {token_file: "
           "'%s/secret'}\n  users:\n    u: {password_hash_env: TEST_AUTH_HASH}\n",
           folder);
  static const char *const files[] = {OTHER_TOKEN, OTHER_TOKEN "\n", OTHER_TOKEN "\r\n"};
  setenv("TEST_AUTH_TOKEN", TOKEN, 1);
  setenv("TEST_AUTH_HASH", HASH, 1);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    write_secret(files[i], strlen(files[i]));
    struct server_config *config;
    struct error error;
    assert_int_equal(parse(yaml, &config, &error), STATUS_OK);
    /* Until they are fetched they are nobody's, and nobody is let in without. */
    assert_true(auth_configured(config->auth));
    assert_null(auth_token(config->auth, TOKEN));
    assert_null(auth_token(config->auth, ""));
    assert_null(auth_password(config->auth, "u", ""));
    if (auth_resolve(config->auth, &error) != STATUS_OK) fail_msg("%s", error.text);
    assert_string_equal(auth_token(config->auth, TOKEN)->name, "token:e");
    assert_string_equal(auth_token(config->auth, OTHER_TOKEN)->name, "token:f");
    assert_non_null(auth_password(config->auth, "u", "pleaseletmein"));
    server_config_free(config);
  }
  unsetenv("TEST_AUTH_TOKEN");
  unsetenv("TEST_AUTH_HASH");
}

static void a_secret_that_is_not_there_is_named_by_its_place(void **state) {
  (void)state;
  static char large[(64 << 10) + 1];
  memset(large, 'x', sizeof large);
  static const struct {
    const char *source, *value;
    const void *file;
    size_t file_bytes;
    const char *want;
  } cases[] = {
      {"token_env", "TEST_AUTH_MISSING", NULL, 0,
       "f:1:17: auth.tokens.ci: the environment variable TEST_AUTH_MISSING: it is not set"},
      {"token_env", "TEST_AUTH_SHORT", NULL, 0,
       "the environment variable TEST_AUTH_SHORT: the token is shorter than 16"},
      {"token_file", "/nowhere/secret", NULL, 0, "the file '/nowhere/secret': "},
      {"token_file", "/tmp", NULL, 0, "the file '/tmp': it is no ordinary file"},
      {"token_file", "/dev/zero", NULL, 0, "the file '/dev/zero': it is no ordinary file"},
      {"token_file", NULL, "hunter2", 7, "secret': the token is shorter than 16"},
      {"token_file", NULL, "", 0, "secret': the token is shorter than 16"},
      {"token_file", NULL, "hunter2\0hunter2hunter2", 22, "secret': it has a NUL byte in it"},
      {"token_file", NULL, "hunter2hunter2hunter2\n\n", 23, "secret': a token is made of visible"},
      {"token_file", NULL, large, sizeof large, "secret': it has more than 65536 bytes"},
  };
  setenv("TEST_AUTH_SHORT", "hunter2", 1);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char path[128];
    char yaml[512];
    snprintf(path, sizeof path, "%s/secret", folder);
    if (cases[i].file != NULL) write_secret(cases[i].file, cases[i].file_bytes);
    snprintf(yaml, sizeof yaml, "auth: {tokens: {ci: {%s: '%s'}}}", cases[i].source,
             cases[i].value == NULL ? path : cases[i].value);
    struct server_config *config;
    struct error error;
    assert_int_equal(parse(yaml, &config, &error), STATUS_OK);
    assert_int_not_equal(auth_resolve(config->auth, &error), STATUS_OK);
    if (strstr(error.text, cases[i].want) == NULL) fail_msg("%s", error.text);
    if (strstr(error.text, "hunter2") != NULL) fail_msg("the secret is told: %s", error.text);
    server_config_free(config);
  }
  unsetenv("TEST_AUTH_SHORT");
}

static void a_token_that_two_have_is_found_wherever_it_comes_from(void **state) {
  (void)state;
  setenv("TEST_AUTH_TOKEN", TOKEN, 1);
  struct server_config *config;
  struct error error;
  assert_int_equal(parse("auth:\n  tokens:\n    a: {token: " TOKEN "}\n    b: {token_env: "
                         "TEST_AUTH_TOKEN}\n",
                         &config, &error),
                   STATUS_OK);
  assert_int_equal(auth_resolve(config->auth, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "'a' (f:3:5) and 'b' (f:4:5) have the same token"));
  server_config_free(config);
  unsetenv("TEST_AUTH_TOKEN");
}

static void a_digest_stands_for_its_token(void **state) {
  (void)state;
  /* SHA-256 of "abc" is the vector of FIPS 180-2; the length of a token that is not here cannot
   * be checked. */
  struct server_config *config =
      parsed("auth: {tokens: {ci: {token_sha256: "
             "BA7816BF8F01CFEA414140DE5DAE2223B00361a396177a9cb410ff61f20015ad}}}");
  assert_non_null(auth_token(config->auth, "abc"));
  assert_null(auth_token(config->auth, "abd"));
  server_config_free(config);
}

/* ---- what may be done ---------------------------------------------------------------------- */

static void scopes_say_what_may_be_done(void **state) {
  (void)state;
  static const struct {
    unsigned has, wants;
    enum status want;
  } cases[] = {
      {AUTH_READ, AUTH_READ, STATUS_OK},
      {AUTH_READ, AUTH_WRITE, STATUS_DENIED},
      {AUTH_WRITE, AUTH_READ, STATUS_DENIED},
      {AUTH_READ | AUTH_WRITE, AUTH_ADMIN, STATUS_DENIED},
      {AUTH_READ | AUTH_WRITE, AUTH_READ | AUTH_WRITE, STATUS_OK},
      {AUTH_READ, AUTH_READ | AUTH_WRITE, STATUS_DENIED},
      {0, 0, STATUS_OK},
      {0, AUTH_READ, STATUS_DENIED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct identity who = {.name = "token:x", .scopes = cases[i].has};
    struct error error = {0};
    assert_int_equal(auth_allow(&who, cases[i].wants, &error), cases[i].want);
    if (cases[i].want != STATUS_OK) assert_non_null(strstr(error.text, "token:x"));
  }
  assert_int_equal(auth_allow(&IDENTITY_LOCAL, AUTH_READ | AUTH_WRITE | AUTH_ADMIN, NULL),
                   STATUS_OK);
}

static void a_stream_needs_its_table_too(void **state) {
  (void)state;
  static const char *const streams[] = {"in_*", "x"};
  static const char *const tables[] = {"in_*", "s.y"};
  struct identity who = {.name = "token:x",
                         .scopes = AUTH_WRITE,
                         .streams = streams,
                         .stream_count = 2,
                         .tables = tables,
                         .table_count = 2};
  static const struct {
    const char *stream, *table;
    enum status want;
    const char *word;
  } cases[] = {
      {"in_a", "in_a", STATUS_OK, NULL},
      {"x", "s.y", STATUS_OK, NULL},
      {"x", "other", STATUS_DENIED, "table other"},
      {"IN_a", "in_a", STATUS_DENIED, "stream 'IN_a'"}, /* streams differ by case */
      {"other", "in_a", STATUS_DENIED, "stream 'other'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct table_name name = table(cases[i].table);
    struct error error = {0};
    assert_int_equal(auth_allow_stream(&who, AUTH_WRITE, cases[i].stream, &name, &error),
                     cases[i].want);
    if (cases[i].word != NULL && strstr(error.text, cases[i].word) == NULL)
      fail_msg("%s", error.text);
  }
  struct table_name name = table("in_a");
  assert_int_equal(auth_allow_stream(&who, AUTH_READ, "in_a", &name, NULL), STATUS_DENIED);
  assert_int_equal(auth_allow_table(&who, AUTH_WRITE, &name, NULL), STATUS_OK);
  assert_int_equal(auth_allow_table(&who, AUTH_READ, &name, NULL), STATUS_DENIED);
  assert_false(auth_sees_everything(&who));
  who.tables = NULL;
  who.table_count = 0;
  assert_true(auth_sees_everything(&who));
  assert_true(auth_sees_everything(&IDENTITY_LOCAL));
  static const char *const all[] = {"a", "*"};
  who.tables = all;
  who.table_count = 2;
  assert_true(auth_sees_everything(&who));
}

/* ---- nothing is told --------------------------------------------------------------------- */

static void the_settings_are_shown_without_secrets(void **state) {
  (void)state;
  struct server_config *config =
      parsed("auth:\n  tokens:\n    ci: {token: " TOKEN ", tables: ['a*', b]}\n    d: "
             "{token_sha256: "
             "BA7816BF8F01CFEA414140DE5DAE2223B00361a396177a9cb410ff61f20015ad}\n  users:\n    "
             "anna: {password_hash: '" HASH "'}\n");
  for (int json = 0; json < 2; json++) {
    struct text text = TEXT_EMPTY;
    assert_int_equal(server_config_show(config, json == 1, &text, NULL), STATUS_OK);
    assert_non_null(strstr(text_get(&text), "auth.tokens.ci.token"));
    assert_non_null(strstr(text_get(&text), "(hidden)"));
    assert_null(strstr(text_get(&text), TOKEN));
    assert_null(strcasestr(text_get(&text), "ba7816bf"));
    assert_null(strstr(text_get(&text), "U29kaXVt"));
    if (json == 1) {
      assert_non_null(strstr(text_get(&text), "{\"key\": \"auth.tokens.ci.token\", \"value\": "
                                              "\"(hidden)\", \"origin\": \"file\"}"));
      assert_non_null(strstr(text_get(&text), "\"auth.tokens.ci.tables\", \"value\": "
                                              "[\"a*\",\"b\"]"));
      assert_non_null(strstr(text_get(&text), "\"auth.tokens.ci.token_env\", \"value\": null"));
    }
    text_release(&text);
  }
  server_config_free(config);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_the_section_nobody_is_known),
      cmocka_unit_test(a_token_is_its_owner),
      cmocka_unit_test(a_user_is_name_and_password),
      cmocka_unit_test(what_is_wrong_with_an_entry_is_told_with_its_place),
      cmocka_unit_test_setup_teardown(a_secret_comes_from_the_environment_or_a_file, enter_folder,
                                      leave_folder),
      cmocka_unit_test_setup_teardown(a_secret_that_is_not_there_is_named_by_its_place,
                                      enter_folder, leave_folder),
      cmocka_unit_test(a_token_that_two_have_is_found_wherever_it_comes_from),
      cmocka_unit_test(a_digest_stands_for_its_token),
      cmocka_unit_test(scopes_say_what_may_be_done),
      cmocka_unit_test(a_stream_needs_its_table_too),
      cmocka_unit_test(the_settings_are_shown_without_secrets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
