#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/private.h"

/* DuckDB's own words, as it was seen to say them or as its sources have them. */
static void messages_become_statuses_and_lose_their_insides(void **state) {
  (void)state;
  static const struct {
    const char *message;
    enum status want;
    const char *text;
  } cases[] = {
      {"Parser Error: syntax error at or near \"x\"\n\nLINE 1: x\n        ^\n", STATUS_INVALID,
       "Parser Error: syntax error at or near \"x\"\n\nLINE 1: x\n        ^"},
      {"Constraint Error: NOT NULL constraint failed: t.a", STATUS_SCHEMA,
       "Constraint Error: NOT NULL constraint failed: t.a"},
      {"TransactionContext Error: Failed to commit: PRIMARY KEY or UNIQUE constraint violation: "
       "duplicate key \"1\"",
       STATUS_SCHEMA, "duplicate key"},
      {"TransactionContext Error: Conflict on update!", STATUS_CONFLICT, "Conflict on update!"},
      {"TransactionContext Error: Catalog write-write conflict on create with \"t\"",
       STATUS_CONFLICT, "write-write conflict"},
      {"TransactionContext Error: Cannot write to database \"d\" - transaction is launched in "
       "read-only mode",
       STATUS_DENIED, "read-only mode"},
      {"Invalid Input Error: Cannot execute statement of type \"INSERT\" on database \"d\" which "
       "is "
       "attached in read-only mode!",
       STATUS_UNAVAILABLE, "attached in read-only mode!"},
      {"Out of Memory Error: failed to allocate data of size 16 MiB (60 MiB/61 MiB used)\nPossible "
       "solutions:\n* Reducing the number of threads (SET threads=X)",
       STATUS_BUDGET,
       "Out of Memory Error: failed to allocate data of size 16 MiB (60 MiB/61 MiB used)"},
      {"IO Error: Could not write file \"d\": No space left on device", STATUS_IO, "No space left"},
      {"IO Error: Could not set lock on file \"d\": Conflicting lock is held in a (PID 7) by user "
       "b. "
       "See also https://duckdb.org/docs/connect/concurrency",
       STATUS_CONFLICT, "(PID 7) by user b."},
      {"INTERNAL Error: Attempted to access index 1 within vector of size 1\n\nStack "
       "Trace:\n/lib/x(+0x1)\n",
       STATUS_INTERNAL, "INTERNAL Error: Attempted to access index 1 within vector of size 1"},
      {"FATAL Error: Failed: database has been invalidated because of a previous fatal error. The "
       "database must be restarted prior to being used again.\nOriginal error: \"x\"",
       STATUS_UNAVAILABLE, "the database is out of use until it is opened again: FATAL Error"},
      {"Permission Error: Cannot access file \"x\"", STATUS_DENIED, "Cannot access file"},
      {"Invalid Input Error: Cannot change configuration option \"threads\" - the configuration "
       "has "
       "been locked",
       STATUS_DENIED, "has been locked"},
      {"Not implemented Error: no such thing yet", STATUS_UNSUPPORTED, "no such thing yet"},
      {"INTERRUPT Error: Interrupted!", STATUS_INVALID, "failed on one of DuckDB's threads"},
      {"Something Error: never seen", STATUS_INVALID, "Something Error: never seen"},
      {NULL, STATUS_INTERNAL, "DuckDB gave no message"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error = {0};
    enum status status = failure_set(NULL, &error, cases[i].message);
    if (status != cases[i].want || error.status != status ||
        strstr(error.text, cases[i].text) == NULL)
      fail_msg("%s: %s %s", cases[i].message, status_name(status), error.text);
    static const char *const inside[] = {"Stack Trace", "Possible solutions", "https://", "/lib/"};
    for (size_t k = 0; k < sizeof inside / sizeof inside[0]; k++)
      assert_null(strstr(error.text, inside[k]));
  }
}

static void paths_and_suggestions_are_taken_out(void **state) {
  (void)state;
  static const struct {
    const char *text, *sql;
    bool names;
    const char *want;
  } cases[] = {
      {"Cannot access directory \"/root/.duckdb/x y\" - disabled", "FROM x", false,
       "Cannot access directory \"(a path)\" - disabled"},
      {"Cannot access file \"/etc/passwd\" - disabled", "FROM '/etc/passwd'", false,
       "Cannot access file \"/etc/passwd\" - disabled"},
      {"/var/lib/x.duckdb: no space", "SELECT 1", false, "(a path) no space"},
      {"Could not write file /a/b.wal: full", "SELECT 1", false,
       "Could not write file (a path) full"},
      {"a/b, 1 / 2, /x, GET /tables", "", false, "a/b, 1 / 2, /x, GET /tables"},
      {"No table x\nDid you mean \"y\"?\n\nLINE 1: x", "", true, "No table x\n\nLINE 1: x"},
      {"No table x\nDid you mean \"y\"?", "", true, "No table x"},
      {"No table x\nDid you mean \"y\"?", "", false, "No table x\nDid you mean \"y\"?"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct error error;
    error_set(&error, STATUS_IO, "%s", cases[i].text);
    failure_conceal(&error, cases[i].sql, cases[i].names);
    assert_string_equal(error.text, cases[i].want);
  }
  /* Text that fills the error stays within it. */
  struct error full;
  memset(&full, 0, sizeof full);
  for (size_t i = 0; i + 4 < sizeof full.text; i += 5) memcpy(full.text + i, " /a/b", 5);
  full.text[sizeof full.text - 1] = '\0';
  failure_conceal(&full, "", true);
  assert_null(strstr(full.text, "/a/b"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(messages_become_statuses_and_lose_their_insides),
      cmocka_unit_test(paths_and_suggestions_are_taken_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
