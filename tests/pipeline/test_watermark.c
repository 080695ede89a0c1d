/* Streams that commit on the way, into a real table, and streams of one token after each other: what is
 * in the table at the end is every row once, wherever the streams broke off. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "rig.h"
#include "sink/duckdb.h"

enum { OFFSETS_MAX = 64 };

static struct sink *sink;
static struct workers *workers;
static struct groups *groups;

/* One stream on its way. */
struct run {
  struct intake *intake;
  pthread_mutex_t lock;
  pthread_cond_t told;
  bool done;
  struct intake_offset offsets[OFFSETS_MAX];
  int offset_count;
};

static void on_done(void *context, bool more) {
  (void)more;
  struct run *run = context;
  pthread_mutex_lock(&run->lock);
  run->done = true;
  pthread_cond_broadcast(&run->told);
  pthread_mutex_unlock(&run->lock);
}

static void on_offset(void *context, const struct intake_offset *offset) {
  struct run *run = context;
  pthread_mutex_lock(&run->lock);
  assert_true(run->offset_count < OFFSETS_MAX);
  run->offsets[run->offset_count++] = *offset;
  pthread_cond_broadcast(&run->told);
  pthread_mutex_unlock(&run->lock);
}

static void on_space(void *context) { (void)context; }

struct asked {
  const char *token;
  int64_t rows, bytes; /* the watermark */
  bool resume, grouped;
  enum sink_mode mode;
  const char *key;
};

static void begin(struct run *run, const struct asked *asked) {
  struct error error = {0};
  memset(run, 0, sizeof *run);
  pthread_mutex_init(&run->lock, NULL);
  pthread_cond_init(&run->told, NULL);
  struct intake_options options = {
      .workers = workers,
      .budget = &rig_budget,
      .limits = IPC_LIMITS_DEFAULT,
      .target = {.sink = sink,
                 .mode = asked->mode != 0 ? asked->mode : SINK_APPEND,
                 .create_table = true,
                 .keys = &asked->key,
                 .key_count = asked->key != NULL,
                 .token = asked->token},
      .watermark = {.rows = asked->rows, .bytes = asked->bytes},
      .resume = asked->resume,
      .offset = on_offset,
      .groups = asked->grouped ? groups : NULL,
      .backend = "duckdb",
      .group_limits = {.rows_max = 100000, .bytes_max = 64 << 20, .time_ms = 100},
      .queue_bytes_max = 64 << 20,
      .space = on_space,
      .done = on_done,
      .context = run,
  };
  snprintf(options.target.table.table, sizeof options.target.table.table, "t");
  if (intake_new(&options, &run->intake, &error) != STATUS_OK) fail_msg("%s", error.text);
}

static enum status finish(struct run *run, struct load_result *result, struct error *error) {
  pthread_mutex_lock(&run->lock);
  while (!run->done) pthread_cond_wait(&run->told, &run->lock);
  pthread_mutex_unlock(&run->lock);
  enum status status = intake_result(run->intake, result, error);
  result->changes = NULL; /* the intake's */
  intake_free(run->intake);
  return status;
}

static void push(struct run *run, const struct rig_stream *stream, int messages) {
  struct buffer bytes = BUFFER_EMPTY;
  rig_write(stream, &bytes);
  rig_push_some(run->intake, &bytes, messages);
  buffer_release(&bytes);
}

/* A whole stream. */
static struct load_result land(const struct asked *asked, const struct rig_stream *stream,
                               struct run *run) {
  struct load_result result;
  struct error error = {0};
  begin(run, asked);
  push(run, stream, INT32_MAX);
  intake_end(run->intake);
  if (finish(run, &result, &error) != STATUS_OK) fail_msg("%s", error.text);
  return result;
}

static void wait_offsets(struct run *run, int count) {
  pthread_mutex_lock(&run->lock);
  while (run->offset_count < count) pthread_cond_wait(&run->told, &run->lock);
  pthread_mutex_unlock(&run->lock);
}

/* Its first `batches` batches, of which so many parts are committed; then the client is gone. */
static void break_off(const struct asked *asked, const struct rig_stream *stream, int batches,
                      int offsets) {
  struct run run;
  struct load_result result;
  struct error error = {0};
  begin(&run, asked);
  push(&run, stream, 1 + batches);
  wait_offsets(&run, offsets);
  intake_cancel(run.intake);
  assert_int_equal(finish(&run, &result, &error), STATUS_CANCELLED);
}

/* count(*), count(distinct id), min, max as one text. */
static void check_table(const char *expected) {
  struct engine_session *session = NULL;
  struct engine_result *result = NULL;
  struct ArrowArray batch = {.release = NULL};
  struct error error = {0};
  const struct engine_query query = {
      .sql = "SELECT concat_ws(' ', count(*), count(DISTINCT id), min(id), max(id)) FROM t",
      .own = true};
  if (engine_session_open(sink_duckdb_engine(sink), &session, &error) != STATUS_OK ||
      engine_query(session, &query, &result, &error) != STATUS_OK ||
      engine_result_next(result, &batch, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  const int32_t *ends = batch.children[0]->buffers[1];
  char found[128];
  snprintf(found, sizeof found, "%.*s", (int)(ends[1] - ends[0]),
           (const char *)batch.children[0]->buffers[2] + ends[0]);
  arrow_array_release(&batch);
  engine_result_close(result);
  engine_session_close(session);
  assert_string_equal(found, expected);
}

static int setup(void **state) {
  (void)state;
  struct config *config;
  struct error error = {0};
  rig_budget.used_bytes = 0;
  if (config_new(SINK_DUCKDB.config, &config, &error) != STATUS_OK ||
      sink_open("duckdb", config, &sink, &error) != STATUS_OK ||
      workers_new(2, &workers, &error) != STATUS_OK ||
      groups_new(workers, &groups, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  config_free(config);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  workers_free(workers);
  groups_free(groups);
  sink_close(sink);
  return rig_budget.used_bytes == 0 ? 0 : 1;
}

/* ---- tests ------------------------------------------------------------------------------------ */

static const struct rig_stream TEN = {.first = 0, .batches = 10, .rows = 100};

static void it_commits_whenever_so_many_rows_have_come(void **state) {
  (void)state;
  struct run run;
  struct load_result result = land(&(struct asked){.rows = 250}, &TEN, &run);
  assert_int_equal(result.rows, 1000);
  assert_int_equal(result.batches, 10);
  /* 300, 600, 900 and the rest: a part ends where a batch does. */
  static const int64_t rows[] = {300, 600, 900, 1000};
  assert_int_equal(run.offset_count, 4);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(run.offsets[i].rows, rows[i]);
    assert_int_equal(run.offsets[i].batches, rows[i] / 100);
    assert_true(run.offsets[i].received_rows >= rows[i]);
    assert_false(run.offsets[i].resumed);
  }
  check_table("1000 1000 0 999");
}

static void it_commits_whenever_so_many_bytes_have_come(void **state) {
  (void)state;
  struct run run;
  (void)land(&(struct asked){.rows = 1 << 30, .bytes = 1600}, &TEN, &run);
  assert_int_equal(run.offset_count, 5); /* of two batches of 800 bytes each */
  check_table("1000 1000 0 999");
}

static void what_has_come_is_committed_when_it_is_asked_for(void **state) {
  (void)state;
  struct run run;
  struct load_result result;
  struct error error = {0};
  begin(&run, &(struct asked){.rows = 1 << 30});
  push(&run, &TEN, 1 + 3);
  intake_commit(run.intake);
  wait_offsets(&run, 1);
  assert_true(run.offsets[0].rows >= 100);
  intake_cancel(run.intake);
  assert_int_equal(finish(&run, &result, &error), STATUS_CANCELLED);
}

static void a_stream_without_rows_makes_the_table(void **state) {
  (void)state;
  struct run run;
  struct rig_stream none = {.first = 0, .batches = 0, .rows = 0};
  struct load_result result = land(&(struct asked){.rows = 100}, &none, &run);
  assert_int_equal(result.rows, 0);
  check_table("0 0");
}

static void an_overwrite_is_committed_once(void **state) {
  (void)state;
  struct run run;
  (void)land(&(struct asked){.rows = 100}, &TEN, &run);
  struct rig_stream other = {.first = 5000, .batches = 5, .rows = 100};
  (void)land(&(struct asked){.rows = 100, .mode = SINK_OVERWRITE}, &other, &run);
  assert_int_equal(run.offset_count, 0);
  check_table("500 500 5000 5499");
}

static void an_upsert_may_commit_on_the_way(void **state) {
  (void)state;
  struct run run;
  struct asked upsert = {.rows = 300, .mode = SINK_UPSERT, .key = "id"};
  (void)land(&upsert, &TEN, &run);
  (void)land(&upsert, &TEN, &run);
  assert_int_equal(run.offset_count, 4);
  check_table("1000 1000 0 999");
}

static void the_whole_stream_sent_again_adds_what_is_missing(void **state) {
  (void)state;
  struct run run;
  /* Also cut into other batches than before. */
  const struct rig_stream again[] = {TEN, {.first = 0, .batches = 4, .rows = 250}};
  for (size_t i = 0; i < 2; i++) {
    char token[] = "a0", expected[64];
    token[1] = (char)('0' + i);
    struct asked asked = {.rows = 200, .token = token};
    break_off(&asked, &TEN, 5, 3); /* where it begins, and two parts */
    struct load_result result = land(&asked, &again[i], &run);
    assert_int_equal(result.rows, 1000);
    assert_true(run.offsets[0].resumed);
    assert_true(run.offsets[0].rows >= 400);
    assert_false(result.repeated);
    snprintf(expected, sizeof expected, "%zu 1000 0 999", 1000 * (i + 1));
    check_table(expected);
    result = land(&asked, &again[i], &run);
    assert_true(result.repeated);
    assert_int_equal(result.rows, 1000);
    check_table(expected);
  }
}

static void a_stream_resumes_where_the_last_one_has_ended(void **state) {
  (void)state;
  struct run run;
  struct asked asked = {.rows = 200, .token = "b"};
  break_off(&asked, &TEN, 5, 3);
  struct load_result result;
  struct error error = {0};
  asked.resume = true;
  begin(&run, &asked);
  struct rig_stream head = {.first = 0, .batches = 0, .rows = 0};
  push(&run, &head, 1); /* the schema: the answer says where to go on */
  wait_offsets(&run, 1);
  int64_t at = run.offsets[0].rows;
  assert_int_equal(run.offsets[0].batches, at / 100);
  struct buffer bytes = BUFFER_EMPTY;
  struct rig_stream rest = {.first = at, .batches = (int)(10 - at / 100), .rows = 100};
  rig_write(&rest, &bytes);
  rig_push_after(run.intake, &bytes, 1);
  buffer_release(&bytes);
  intake_end(run.intake);
  if (finish(&run, &result, &error) != STATUS_OK) fail_msg("%s", error.text);
  assert_int_equal(result.rows, 1000);
  assert_int_equal(result.batches, 10);
  check_table("1000 1000 0 999");
}

static void another_stream_of_the_token_is_told(void **state) {
  (void)state;
  struct run run;
  struct load_result result;
  struct error error = {0};
  struct asked asked = {.rows = 200, .token = "c"};
  (void)land(&asked, &TEN, &run);
  begin(&run, &asked);
  struct rig_stream shorter = {.first = 0, .batches = 3, .rows = 100};
  push(&run, &shorter, INT32_MAX);
  intake_end(run.intake);
  assert_int_equal(finish(&run, &result, &error), STATUS_SCHEMA);
  assert_non_null(strstr(error.text, "700 rows more"));
  check_table("1000 1000 0 999");
}

static void small_ones_share_commits_and_are_known_again(void **state) {
  (void)state;
  struct run run;
  struct asked asked = {.rows = 1 << 20, .token = "d", .grouped = true};
  struct load_result result = land(&asked, &TEN, &run);
  assert_int_equal(result.rows, 1000);
  assert_false(result.repeated);
  result = land(&asked, &TEN, &run);
  assert_true(result.repeated);
  assert_int_equal(result.rows, 1000);
  check_table("1000 1000 0 999");
  /* One that broke off with a part landed, and is small and whole the next time. */
  struct asked parts = {.rows = 200, .token = "e", .grouped = true};
  struct rig_stream stream = {.first = 1000, .batches = 10, .rows = 100};
  struct run broken;
  begin(&broken, &parts);
  intake_start(broken.intake);
  push(&broken, &stream, 1 + 5);
  wait_offsets(&broken, 2);
  intake_cancel(broken.intake);
  assert_int_equal(finish(&broken, &result, NULL), STATUS_CANCELLED);
  result = land(&parts, &stream, &run);
  assert_int_equal(result.rows, 1000);
  check_table("2000 2000 0 1999");
}

static void a_stream_that_fails_keeps_what_was_committed(void **state) {
  (void)state;
  struct run run;
  struct load_result result;
  struct error error = {0};
  struct intake_figures figures;
  begin(&run, &(struct asked){.rows = 200});
  push(&run, &TEN, 1 + 5);
  rig_push_garbage(run.intake);
  pthread_mutex_lock(&run.lock);
  while (!run.done) pthread_cond_wait(&run.told, &run.lock);
  pthread_mutex_unlock(&run.lock);
  intake_figures(run.intake, &figures);
  assert_true(figures.each_batch);
  assert_int_equal(figures.committed_rows, 400);
  assert_int_equal(figures.committed_batches, 4);
  assert_int_equal(finish(&run, &result, &error), STATUS_INVALID);
  check_table("400 400 0 399");
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
      TEST(it_commits_whenever_so_many_rows_have_come),
      TEST(it_commits_whenever_so_many_bytes_have_come),
      TEST(what_has_come_is_committed_when_it_is_asked_for),
      TEST(a_stream_without_rows_makes_the_table),
      TEST(an_overwrite_is_committed_once),
      TEST(an_upsert_may_commit_on_the_way),
      TEST(the_whole_stream_sent_again_adds_what_is_missing),
      TEST(a_stream_resumes_where_the_last_one_has_ended),
      TEST(another_stream_of_the_token_is_told),
      TEST(small_ones_share_commits_and_are_known_again),
      TEST(a_stream_that_fails_keeps_what_was_committed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
