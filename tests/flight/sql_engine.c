#include "sql_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct engine *sql_engine;
struct engine_session *sql_session;

int sql_engine_setup(void **state) {
  (void)state;
  struct error error = {0};
  if (engine_open(&(struct engine_options){.threads = 1}, &sql_engine, &error) == STATUS_OK &&
      engine_session_open(sql_engine, &sql_session, &error) == STATUS_OK)
    return 0;
  fprintf(stderr, "%s\n", error.text);
  return 1;
}

int sql_engine_teardown(void **state) {
  (void)state;
  engine_session_close(sql_session);
  engine_close(sql_engine);
  return 0;
}

static enum status query(const char *sql, bool own, char *text, size_t size, struct error *error) {
  struct engine_result *result = NULL;
  enum status status =
      engine_query(sql_session, &(struct engine_query){.sql = sql, .own = own}, &result, error);
  bool first = true;
  while (status == STATUS_OK) {
    struct ArrowArray batch = {.release = NULL};
    status = engine_result_next(result, &batch, error);
    if (status != STATUS_OK || batch.release == NULL) break;
    if (first && text != NULL && batch.length > 0) {
      const struct ArrowArray *column = batch.children[0];
      const uint8_t *valid = column->buffers[0];
      const int32_t *offsets = column->buffers[1];
      if (strcmp(engine_result_schema(result)->children[0]->format, "u") != 0) fail_msg("%s", sql);
      if (valid != NULL && (valid[0] & 1) == 0)
        snprintf(text, size, "NULL");
      else
        snprintf(text, size, "%.*s", (int)(offsets[1] - offsets[0]),
                 (const char *)column->buffers[2] + offsets[0]);
    }
    first = false;
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  return status;
}

enum status sql_try(const char *sql, struct error *error) {
  return query(sql, false, NULL, 0, error);
}

void sql_run(const char *sql) {
  struct error error = {0};
  if (sql_try(sql, &error) != STATUS_OK) fail_msg("%s: %s", sql, error.text);
}

static void first_text(const char *sql, bool own, char *text, size_t size) {
  struct error error = {0};
  text[0] = '\0';
  if (query(sql, own, text, size, &error) != STATUS_OK) fail_msg("%s: %s", sql, error.text);
}

void sql_text(const char *sql, char *text, size_t size) { first_text(sql, false, text, size); }

void sql_own_text(const char *sql, char *text, size_t size) { first_text(sql, true, text, size); }
