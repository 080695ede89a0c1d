/* Files of every format that a version of ours has written (tests/data/formats). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "sink/tokens.h"

static char folder[64], path[96];
static struct engine *engine;

/* 2026-03-01 12:30: half an hour after the tokens of the files have landed. */
static int64_t wall_us(void) { return INT64_C(1772368200000000); }

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

static int setup(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/arrowport-formats-XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/data.duckdb", folder);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  char wal[128];
  engine_close(engine);
  engine = NULL;
  snprintf(wal, sizeof wal, "%s.wal", path);
  unlink(wal);
  unlink(path);
  return rmdir(folder);
}

static void open_file(const char *name, bool read_only) {
  static uint8_t block[1 << 16];
  char packed[256];
  struct error error = {0};
  if (access(path, F_OK) != 0) {
    snprintf(packed, sizeof packed, ARROWPORT_TEST_DATA "/formats/%s.duckdb.gz", name);
    gzFile from = gzopen(packed, "rb");
    if (from == NULL) fail_msg("%s is missing", packed);
    FILE *to = fopen(path, "wb");
    assert_non_null(to);
    int bytes;
    while ((bytes = gzread(from, block, sizeof block)) > 0)
      assert_int_equal(fwrite(block, 1, (size_t)bytes, to), bytes);
    assert_int_equal(bytes, 0);
    assert_int_equal(gzclose(from), Z_OK);
    assert_int_equal(fclose(to), 0);
  }
  ok(engine_open(&(struct engine_options){.path = path, .threads = 1, .read_only = read_only},
                 &engine, &error),
     &error);
}

static enum status open_tokens(bool read_only, struct tokens **tokens, struct error *error) {
  const struct tokens_options options = {
      .retention_s = 86400, .count_max = 1000, .read_only = read_only, .wall_us = wall_us};
  return tokens_open(engine, &options, tokens, error);
}

static void expect_landed(struct tokens *tokens, const char *table, const char *token, int64_t rows,
                          int64_t batches, int64_t version, const char *changes) {
  struct table_name name;
  enum token_state found;
  struct load_result result;
  struct error error = {0};
  ok(table_name_parse(table, strlen(table), &name, &error), &error);
  ok(tokens_claim(tokens, &name, token, 0, &found, &result, &error), &error);
  if (found != TOKEN_LANDED) fail_msg("%s of %s is not known", token, table);
  assert_int_equal(result.rows, rows);
  assert_int_equal(result.batches, batches);
  assert_int_equal(result.version, version);
  if (changes == NULL)
    assert_null(result.changes);
  else
    assert_string_equal(result.changes, changes);
  load_result_release(&result);
}

/* Lands the token in a transaction of its own. */
static void land(struct tokens *tokens, const char *token) {
  const struct table_name name = {.table = "flights"};
  const struct token_record record = {&name, token, 8, 1, -1, NULL};
  struct engine_session *session;
  struct token_writer *writer;
  enum token_state found;
  struct load_result result;
  struct error error = {0};
  ok(engine_session_open(engine, &session, &error), &error);
  ok(token_writer_open(tokens, session, &writer, &error), &error);
  ok(tokens_claim(tokens, &name, token, 0, &found, &result, &error), &error);
  assert_int_equal(found, TOKEN_NEW);
  ok(engine_begin(session, &error), &error);
  ok(token_writer_put(writer, &record, 1, &error), &error);
  ok(engine_commit(session, &error), &error);
  tokens_settle(tokens, &name, token, &(struct load_result){.rows = 8, .batches = 1});
  token_writer_close(writer);
  engine_session_close(session);
}

static void files_of_earlier_formats_are_read_and_written(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t tokens;
  } files[] = {{"no-tokens", 0}, {"tokens-v1", 4}};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    for (int again = 0; again < 3; again++) { /* as it is, what was written, only read */
      struct tokens *tokens;
      struct error error = {0};
      int64_t count, memory_bytes;
      open_file(files[i].name, again == 2);
      ok(open_tokens(again == 2, &tokens, &error), &error);
      tokens_look(tokens, &count, &memory_bytes);
      assert_int_equal(count, files[i].tokens + (again > 0));
      if (files[i].tokens > 0) {
        expect_landed(tokens, "Flights", "first", 60, 1, -1, NULL);
        expect_landed(tokens, "flights", "second", 40, 3, 7, "added column \"name\" VARCHAR");
        expect_landed(tokens, "OTHER.flights", "first", 5, 1, -1, NULL);
        expect_landed(tokens, "main.\"A.b\"",
                      "ünï\x1F"
                      "7",
                      6, 1, -1, NULL);
      }
      if (again == 0)
        land(tokens, "new");
      else
        expect_landed(tokens, "flights", "new", 8, 1, -1, NULL);
      tokens_close(tokens);
      engine_close(engine);
      engine = NULL;
    }
    assert_int_equal(unlink(path), 0);
  }
}

static void a_file_of_a_later_format_is_refused_by_name(void **state) {
  (void)state;
  for (int read_only = 0; read_only < 2; read_only++) {
    struct tokens *tokens;
    struct error error = {0};
    open_file("tokens-v2", read_only);
    assert_int_equal(open_tokens(read_only, &tokens, &error), STATUS_UNSUPPORTED);
    assert_null(tokens);
    assert_non_null(strstr(error.text, "format 2"));
    assert_non_null(strstr(error.text, "formats 1 to 1"));
    assert_non_null(strstr(error.text, "open it with"));
    engine_close(engine);
    engine = NULL;
  }
}

int main(void) {
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      EACH(files_of_earlier_formats_are_read_and_written),
      EACH(a_file_of_a_later_format_is_refused_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
