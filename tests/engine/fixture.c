#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct engine *fixture_engine;
struct engine_session *fixture_session;
struct budget fixture_budget = {.limit_bytes = (int64_t)1 << 31};

int fixture_setup(void **state) {
  (void)state;
  struct error error = {0};
  fixture_budget.used_bytes = 0; /* whatever a failed test before left */
  if (engine_open(&(struct engine_options){.threads = 2}, &fixture_engine, &error) != STATUS_OK ||
      engine_session_open(fixture_engine, &fixture_session, &error) != STATUS_OK) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  return 0;
}

int fixture_teardown(void **state) {
  (void)state;
  engine_session_close(fixture_session);
  engine_close(fixture_engine);
  return fixture_budget.used_bytes == 0 ? 0 : 1;
}

struct table_name table_named(const char *table) {
  struct table_name name = {0};
  snprintf(name.table, sizeof name.table, "%s", table);
  return name;
}

enum status run_status(const char *sql, struct error *error) {
  struct engine_result *result = NULL;
  enum status status =
      engine_query(fixture_session, &(struct engine_query){.sql = sql}, &result, error);
  while (status == STATUS_OK) {
    struct ArrowArray batch;
    status = engine_result_next(result, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  return status;
}

void run(const char *sql) {
  struct error error = {0};
  if (run_status(sql, &error) != STATUS_OK) fail_msg("%s: %s", sql, error.text);
}

/* The only batch of a statement's answer, which must have one row. */
static struct ArrowArray only_row(const char *sql) {
  struct error error = {0};
  struct engine_result *result = NULL;
  struct ArrowArray batch = {0}, end = {0};
  if (engine_query(fixture_session, &(struct engine_query){.sql = sql}, &result, &error) !=
          STATUS_OK ||
      engine_result_next(result, &batch, &error) != STATUS_OK)
    fail_msg("%s: %s", sql, error.text);
  if (batch.release == NULL || batch.length != 1) fail_msg("%s: not one row", sql);
  assert_int_equal(engine_result_next(result, &end, &error), STATUS_OK);
  assert_null(end.release);
  engine_result_close(result);
  return batch;
}

void expect_integer(const char *sql, int64_t want) {
  struct ArrowArray batch = only_row(sql);
  int64_t got = ((const int64_t *)batch.children[0]->buffers[1])[0];
  arrow_array_release(&batch);
  if (got != want) fail_msg("%s: %lld, not %lld", sql, (long long)got, (long long)want);
}

void expect_text(const char *sql, const char *want) {
  struct ArrowArray batch = only_row(sql);
  const struct ArrowArray *column = batch.children[0];
  char got[4096] = "NULL";
  const int32_t *offsets = column->buffers[1];
  if (column->null_count == 0)
    snprintf(got, sizeof got, "%.*s", (int)offsets[1], (const char *)column->buffers[2]);
  arrow_array_release(&batch);
  if (strcmp(got, want) != 0) fail_msg("%s:\n     %s\nnot  %s", sql, got, want);
}

struct ArrowSchema schema_of(const struct field *fields, int64_t count) {
  struct ArrowSchema schema;
  struct error error = {0};
  assert_int_equal(arrow_schema_init(&schema, "+s", "", false, count, &error), STATUS_OK);
  for (int64_t i = 0; i < count; i++)
    assert_int_equal(
        arrow_schema_init(schema.children[i], fields[i].format, fields[i].name, true, 0, &error),
        STATUS_OK);
  return schema;
}

enum status land(const char *table, const struct ArrowSchema *schema, struct ArrowArray *batch,
                 struct error *error) {
  struct table_name name = table_named(table);
  struct engine_insert *insert = NULL;
  struct arrow_shared *shared = NULL;
  int64_t rows = batch->length, inserted = 0;
  enum status status = arrow_shared_new(batch, &shared, error);
  assert_int_equal(status, STATUS_OK);
  status = engine_insert_open(fixture_session, &name, schema, &insert, error);
  if (status == STATUS_NOT_FOUND) {
    status = engine_create_table(fixture_session, &name, schema, error);
    if (status == STATUS_OK)
      status = engine_insert_open(fixture_session, &name, schema, &insert, error);
  }
  if (status == STATUS_OK)
    status =
        engine_insert_rows(insert, &(struct engine_slice){shared, 0, rows}, 1, &inserted, error);
  if (status == STATUS_OK) assert_int_equal(inserted, rows);
  engine_insert_close(insert);
  arrow_shared_release(shared);
  return status;
}
