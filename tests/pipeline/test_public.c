/* The public API, driven as another program would: with a C stream of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arrow/build.h"
#include "arrowport/arrowport.h"
#include "engine/engine.h"

/* ---- a stream of `batches` batches of 1,000 rows ------------------------------------- */

struct numbers {
  int batches;
  int fail_after; /* batches; -1: never */
  int given;
  int released;
  int64_t next;
};

static struct budget budget = {.limit_bytes = 64 << 20};

static void make_schema(struct ArrowSchema *schema) {
  assert_int_equal(arrow_schema_init(schema, "+s", "", false, 1, NULL), STATUS_OK);
  assert_int_equal(arrow_schema_init(schema->children[0], "l", "id", true, 0, NULL), STATUS_OK);
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
  (void)stream;
  make_schema(out);
  return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
  struct numbers *numbers = stream->private_data;
  out->release = NULL;
  if (numbers->given == numbers->fail_after) return 5; /* EIO */
  if (numbers->given == numbers->batches) return 0;
  numbers->given++;
  struct ArrowSchema schema = {.release = NULL};
  struct build *build = NULL;
  make_schema(&schema);
  assert_int_equal(build_new(&schema, &budget, &build, NULL), STATUS_OK);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(build_integer(build_child(build, 0), numbers->next++, NULL), STATUS_OK);
    assert_int_equal(build_slot(build, NULL), STATUS_OK);
  }
  assert_int_equal(build_finish(build, out, NULL), STATUS_OK);
  build_free(build);
  arrow_schema_release(&schema);
  return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream) {
  (void)stream;
  return "the cable is cut";
}

static void release(struct ArrowArrayStream *stream) {
  ((struct numbers *)stream->private_data)->released++;
  stream->release = NULL;
}

static struct ArrowArrayStream open_stream(struct numbers *numbers) {
  return (struct ArrowArrayStream){
      .get_schema = get_schema,
      .get_next = get_next,
      .get_last_error = get_last_error,
      .release = release,
      .private_data = numbers,
  };
}

/* ---- a database file --------------------------------------------------------------------- */

static char folder[64];
static char path[96];

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/arrowport-public-XXXXXX");
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(path, sizeof path, "%s/t.duckdb", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

/* The one number that a statement answers; -1 when it fails. */
static int64_t ask(const char *sql) {
  struct engine *engine = NULL;
  struct engine_session *session = NULL;
  struct engine_result *result = NULL;
  struct ArrowArray batch = {.release = NULL};
  int64_t answer = -1;
  assert_int_equal(engine_open(&(struct engine_options){.path = path}, &engine, NULL), STATUS_OK);
  assert_int_equal(engine_session_open(engine, &session, NULL), STATUS_OK);
  if (engine_query(session, &(struct engine_query){.sql = sql}, &result, NULL) == STATUS_OK) {
    assert_int_equal(engine_result_next(result, &batch, NULL), STATUS_OK);
    answer = ((const int64_t *)batch.children[0]->buffers[1])[0];
    arrow_array_release(&batch);
  }
  engine_result_close(result);
  engine_session_close(session);
  engine_close(engine);
  return answer;
}

static enum arrowport_status load(struct numbers *numbers, const char *sink, const char *table,
                                  const char *setting, struct arrowport_load_result *result,
                                  struct arrowport_error *error) {
  struct ArrowArrayStream stream = open_stream(numbers);
  const struct arrowport_setting settings[] = {{setting, path}};
  const struct arrowport_load_options options = {
      .struct_size = sizeof options,
      .sink = sink,
      .table = table,
      .settings = settings,
      .setting_count = setting == NULL ? 0 : 1,
  };
  enum arrowport_status status = arrowport_load(&stream, &options, result, error);
  assert_null(stream.release);
  assert_int_equal(numbers->released, 1);
  assert_int_equal(budget.used_bytes, 0);
  return status;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_stream_lands_whole_and_is_released_once(void **state) {
  (void)state;
  struct numbers numbers = {.batches = 5, .fail_after = -1};
  struct arrowport_load_result result;
  struct arrowport_error error;
  assert_int_equal(load(&numbers, "duckdb", "landed", "path", &result, &error), ARROWPORT_OK);
  assert_string_equal(error.text, "");
  assert_int_equal(result.rows, 5000);
  assert_int_equal(result.batches, 5);
  assert_int_equal(ask("SELECT count(*) FROM landed"), 5000);
  assert_int_equal(ask("SELECT sum(id)::BIGINT FROM landed"), 12497500);
}

static void a_stream_that_fails_leaves_nothing_and_says_why(void **state) {
  (void)state;
  struct numbers numbers = {.batches = 5, .fail_after = 3};
  struct arrowport_error error;
  assert_int_equal(load(&numbers, "duckdb", "broken", "path", NULL, &error), ARROWPORT_IO);
  assert_non_null(strstr(error.text, "the cable is cut"));
  assert_int_equal(ask("SELECT count(*) FROM broken"), -1);
}

static void what_cannot_be_asked_for_is_refused_by_name(void **state) {
  (void)state;
  static const struct {
    const char *sink, *table, *setting, *why;
    enum arrowport_status want;
  } cases[] = {
      {"duckdbb", "t", NULL, "duckdbb", ARROWPORT_NOT_FOUND},
      {"duckdb", "a..b", NULL, "empty", ARROWPORT_INVALID},
      {"duckdb", "t", "pth", "pth", ARROWPORT_INVALID},
      {NULL, "t", NULL, "sink", ARROWPORT_INVALID},
      {"null", NULL, NULL, "table", ARROWPORT_INVALID},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct numbers numbers = {.batches = 1, .fail_after = -1};
    struct arrowport_error error;
    assert_int_equal(load(&numbers, cases[i].sink, cases[i].table, cases[i].setting, NULL, &error),
                     cases[i].want);
    if (strstr(error.text, cases[i].why) == NULL) fail_msg("%s", error.text);
    assert_int_equal(numbers.given, 0);
  }
}

static void every_status_has_its_name(void **state) {
  (void)state;
  assert_string_equal(arrowport_status_name(ARROWPORT_OK), "OK");
  assert_string_equal(arrowport_status_name(ARROWPORT_INTERNAL), "INTERNAL");
  assert_string_equal(arrowport_status_name((enum arrowport_status)99), "?");
  assert_true(strlen(arrowport_version()) > 0);
}

/* Modes, keys and idempotency keys, in one table of rows 0 to 1,999. */
static void a_load_says_how_it_is_to_land(void **state) {
  (void)state;
  const char *const keys[] = {"id"};
  const struct arrowport_setting settings[] = {{"path", path}};
  bool repeated = true;
  struct arrowport_load_options options = {
      .struct_size = sizeof options,
      .sink = "duckdb",
      .table = "said",
      .settings = settings,
      .setting_count = 1,
      .mode = "upsert",
      .keys = keys,
      .key_count = 1,
      .idempotency_key = "first",
      .repeated = &repeated,
  };
  for (int i = 0; i < 3; i++) {
    struct numbers numbers = {.batches = 2, .fail_after = -1};
    struct ArrowArrayStream stream = open_stream(&numbers);
    struct arrowport_error error;
    if (i == 2) options.idempotency_key = NULL;
    assert_int_equal(arrowport_load(&stream, &options, NULL, &error), ARROWPORT_OK);
    assert_int_equal(repeated, i == 1);
    assert_int_equal(ask("SELECT count(*) FROM said"), 2000);
  }
  static const struct {
    const char *mode, *policy, *wrong;
  } cases[] = {{"insert", NULL, "insert"}, {NULL, "loose", "loose"}};
  for (size_t i = 0; i < 2; i++) {
    struct numbers numbers = {.batches = 2, .fail_after = -1};
    struct ArrowArrayStream stream = open_stream(&numbers);
    struct arrowport_error error;
    options.mode = cases[i].mode;
    options.schema_policy = cases[i].policy;
    assert_int_equal(arrowport_load(&stream, &options, NULL, &error), ARROWPORT_INVALID);
    assert_non_null(strstr(error.text, cases[i].wrong));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stream_lands_whole_and_is_released_once),
      cmocka_unit_test(a_load_says_how_it_is_to_land),
      cmocka_unit_test(a_stream_that_fails_leaves_nothing_and_says_why),
      cmocka_unit_test(what_cannot_be_asked_for_is_refused_by_name),
      cmocka_unit_test(every_status_has_its_name),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
