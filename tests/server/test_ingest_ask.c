#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/ingest_ask.h"

/* What was read, in one line. */
static void print(const struct ingest_ask *ask, char *out, size_t bytes) {
  size_t at = (size_t)snprintf(out, bytes, "%s", sink_mode_name(ask->mode));
  for (size_t i = 0; i < ask->key_count; i++)
    at += (size_t)snprintf(out + at, bytes - at, " <%s>", ask->keys[i]);
  snprintf(out + at, bytes - at, "%s%s", ask->refuse_duplicates ? " unique" : "",
           ask->eos_optional ? " open" : "");
}

static void what_is_asked_is_read(void **state) {
  (void)state;
  static const struct {
    const char *query, *want;
  } cases[] = {
      {"", "append"},
      {"&&", "append"},
      {"mode=append", "append"},
      {"mode=overwrite&eos=optional", "overwrite open"},
      {"eos=required&mode=overwrite", "overwrite"},
      {"mode=upsert&key=id", "upsert <id>"},
      {"upsert_key=id&mode=upsert", "upsert <id>"},
      {"mode=merge&key_column=id", "merge <id>"},
      {"mode=merge&key=a&key=b", "merge <a> <b>"},
      {"mode=merge&key=a,b,c", "merge <a> <b> <c>"},
      {"mode=merge&key=a%2Cb", "merge <a> <b>"},
      {"mode=merge&key=a&upsert_key=b", "merge <a> <b>"},
      {"mode=upsert&key=%22a,b%22", "upsert <a,b>"},
      {"mode=upsert&key=%22a%22%22b%22,c", "upsert <a\"b> <c>"},
      {"mode=upsert&key=x,%22%22%22%22", "upsert <x> <\">"},
      {"mode=upsert&key=a+b%20c", "upsert <a b c>"},
      {"mode=upsert&key=a%22b", "upsert <a\"b>"},
      {"mode=upsert&key=id&on_duplicate=error", "upsert <id> unique"},
      {"mode=upsert&key=id&on_duplicate=last", "upsert <id>"},
      {"%6Dode=%6Derge&key=id", "merge <id>"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ingest_ask ask;
    struct error error = {0};
    char got[256];
    if (ingest_ask_read(&ask, cases[i].query, &error) != STATUS_OK)
      fail_msg("%s: %s", cases[i].query, error.text);
    print(&ask, got, sizeof got);
    assert_string_equal(got, cases[i].want);
    ingest_ask_release(&ask);
  }
}

static void what_means_nothing_is_refused_by_name(void **state) {
  (void)state;
  static const struct {
    const char *query, *word;
  } cases[] = {
      {"mod=overwrite", "did you mean mode?"},
      {"mode=upser&key=id", "did you mean upsert?"},
      {"mode=", "mode is ''"},
      {"mode", "mode is ''"},
      {"mode=UPSERT&key=id", "mode is 'UPSERT'"},
      {"x=1", "'x'"},
      {"mode=append&mode=append", "mode is given twice"},
      {"eos=optional&eos=required", "eos is given twice"},
      {"mode=upsert", "&key="},
      {"mode=merge", "&key="},
      {"key=id", "mode=append"},
      {"mode=overwrite&key=id", "mode=overwrite"},
      {"on_duplicate=error", "on_duplicate"},
      {"mode=upsert&key=", "without a name"},
      {"mode=upsert&key=a,", "without a name"},
      {"mode=upsert&key=,a", "without a name"},
      {"mode=upsert&key=%22%22", "without a name"},
      {"mode=upsert&key=%22a", "double quote"},
      {"mode=upsert&key=%22", "double quote"},
      {"mode=upsert&key=%22a%22b", "double quote"},
      {"mode=upsert&key=%22a%22%22", "double quote"},
      {"mode=upsert&key=id,ID", "twice"},
      {"mode=upsert&key=id&on_duplicate=first", "on_duplicate"},
      {"eos=never", "eos"},
      {"mode=%zz", "percent"},
      {"mo%00de=append", "percent"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ingest_ask ask;
    struct error error = {0};
    if (ingest_ask_read(&ask, cases[i].query, &error) != STATUS_INVALID)
      fail_msg("%s was taken", cases[i].query);
    if (strstr(error.text, cases[i].word) == NULL) fail_msg("%s: %s", cases[i].query, error.text);
    ingest_ask_release(&ask);
  }
}

static void more_columns_than_a_key_has_are_refused(void **state) {
  (void)state;
  char query[1024] = "mode=upsert&key=a0";
  size_t at = strlen(query);
  for (int i = 1; i <= INGEST_KEYS_MAX; i++)
    at += (size_t)snprintf(query + at, sizeof query - at, ",a%d", i);
  struct ingest_ask ask;
  struct error error = {0};
  assert_int_equal(ingest_ask_read(&ask, query, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "64"));
  ingest_ask_release(&ask);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_asked_is_read),
      cmocka_unit_test(what_means_nothing_is_refused_by_name),
      cmocka_unit_test(more_columns_than_a_key_has_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
