/* An intake is driven here as the server drives it, from one thread that plays the
 * event loop, into a sink that records what happens to its load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "rig.h"

/* ---- a sink that counts ------------------------------------------------------------ */

struct ledger {
  struct sink sink;
  _Atomic int begun;
  int appended, flushed, committed, aborted;
  int64_t rows;
  enum status append_status; /* what append answers */
  pthread_mutex_t gate;      /* held: append waits */
};

static enum status ledger_begin(struct sink *sink, const struct load_spec *spec, struct load **load,
                                struct error *error) {
  (void)spec;
  (void)error;
  ((struct ledger *)sink)->begun++;
  *load = calloc(1, sizeof **load);
  assert_non_null(*load);
  (*load)->sink = sink;
  return STATUS_OK;
}

static enum status ledger_append(struct load *load, struct ArrowArray *batch, struct error *error) {
  struct ledger *ledger = (struct ledger *)load->sink;
  pthread_mutex_lock(&ledger->gate);
  pthread_mutex_unlock(&ledger->gate);
  if (ledger->append_status != STATUS_OK)
    return error_set(error, ledger->append_status, "the sink refuses");
  ledger->appended++;
  ledger->rows += batch->length;
  arrow_array_release(batch);
  return STATUS_OK;
}

static enum status ledger_flush(struct load *load, struct error *error) {
  (void)error;
  ((struct ledger *)load->sink)->flushed++;
  return STATUS_OK;
}

static enum status ledger_commit(struct load *load, struct load_result *result,
                                 struct error *error) {
  (void)error;
  struct ledger *ledger = (struct ledger *)load->sink;
  ledger->committed++;
  *result = (struct load_result){.rows = ledger->rows, .batches = ledger->appended, .version = -1};
  free(load);
  return STATUS_OK;
}

static void ledger_abort(struct load *load) {
  ((struct ledger *)load->sink)->aborted++;
  free(load);
}

static const struct sink_type LEDGER = {
    .name = "ledger",
    .summary = "counts",
    .modes = SINK_APPEND,
    .begin = ledger_begin,
    .append = ledger_append,
    .flush = ledger_flush,
    .commit = ledger_commit,
    .abort = ledger_abort,
};

/* ---- the rig --------------------------------------------------------------------------- */

struct rig {
  struct ledger ledger;
  struct workers *workers;
  struct intake *intake;
  pthread_mutex_t lock;
  pthread_cond_t told;
  int done, space;
};

static void on_done(void *context, bool more) {
  (void)more;
  struct rig *rig = context;
  pthread_mutex_lock(&rig->lock);
  rig->done++;
  pthread_cond_broadcast(&rig->told);
  pthread_mutex_unlock(&rig->lock);
}

static void on_space(void *context) {
  struct rig *rig = context;
  pthread_mutex_lock(&rig->lock);
  rig->space++;
  pthread_cond_broadcast(&rig->told);
  pthread_mutex_unlock(&rig->lock);
}

static void wait_for(struct rig *rig, const int *what) {
  pthread_mutex_lock(&rig->lock);
  while (*what == 0) pthread_cond_wait(&rig->told, &rig->lock);
  pthread_mutex_unlock(&rig->lock);
}

static void rig_open(struct rig *rig, int64_t queue_bytes_max) {
  memset(rig, 0, sizeof *rig);
  rig->ledger.sink.type = &LEDGER;
  pthread_mutex_init(&rig->ledger.gate, NULL);
  pthread_mutex_init(&rig->lock, NULL);
  pthread_cond_init(&rig->told, NULL);
  assert_int_equal(workers_new(2, &rig->workers, NULL), STATUS_OK);
  struct intake_options options = {
      .workers = rig->workers,
      .budget = &rig_budget,
      .limits = IPC_LIMITS_DEFAULT,
      .target = {.sink = &rig->ledger.sink, .mode = SINK_APPEND, .create_table = true},
      .queue_bytes_max = queue_bytes_max,
      .space = on_space,
      .done = on_done,
      .context = rig,
  };
  strcpy(options.target.table.table, "t");
  assert_int_equal(intake_new(&options, &rig->intake, NULL), STATUS_OK);
}

static enum status rig_close(struct rig *rig, struct load_result *result, struct error *error) {
  wait_for(rig, &rig->done);
  enum status status = intake_result(rig->intake, result, error);
  intake_free(rig->intake);
  workers_free(rig->workers);
  assert_int_equal(rig->done, 1);
  assert_int_equal(rig_budget.used_bytes, 0);
  return status;
}

/* ---- tests ------------------------------------------------------------------------------- */

static void a_whole_stream_is_committed_once_with_all_its_rows(void **state) {
  (void)state;
  struct rig rig;
  struct buffer stream = BUFFER_EMPTY;
  rig_open(&rig, 1 << 20);
  rig_write(&(struct rig_stream){.batches = 50, .rows = 100}, &stream);
  rig_push(rig.intake, &stream);
  intake_end(rig.intake);
  buffer_release(&stream);
  struct load_result result;
  assert_int_equal(rig_close(&rig, &result, NULL), STATUS_OK);
  assert_int_equal(result.rows, 5000);
  assert_int_equal(result.batches, 50);
  assert_int_equal(rig.ledger.committed, 1);
  assert_int_equal(rig.ledger.aborted, 0);
}

static void a_cancelled_stream_is_aborted_and_never_committed(void **state) {
  (void)state;
  struct rig rig;
  struct buffer stream = BUFFER_EMPTY;
  rig_open(&rig, 1 << 20);
  rig_write(&(struct rig_stream){.batches = 5, .rows = 100}, &stream);
  pthread_mutex_lock(&rig.ledger.gate); /* the first append waits, so the load is open */
  rig_push(rig.intake, &stream);
  intake_cancel(rig.intake);
  intake_end(rig.intake);
  pthread_mutex_unlock(&rig.ledger.gate);
  buffer_release(&stream);
  struct load_result result;
  assert_int_equal(rig_close(&rig, &result, NULL), STATUS_CANCELLED);
  assert_int_equal(rig.ledger.committed, 0);
  assert_int_equal(rig.ledger.aborted, rig.ledger.begun);
}

static void a_failing_sink_ends_the_intake_at_once_and_late_messages_are_dropped(void **state) {
  (void)state;
  struct rig rig;
  struct buffer stream = BUFFER_EMPTY;
  rig_open(&rig, 1 << 20);
  rig.ledger.append_status = STATUS_SCHEMA;
  rig_write(&(struct rig_stream){.batches = 3, .rows = 100}, &stream);
  rig_push(rig.intake, &stream);
  wait_for(&rig, &rig.done);
  rig_push(rig.intake, &stream);
  intake_end(rig.intake);
  intake_cancel(rig.intake);
  intake_relieve(rig.intake);
  buffer_release(&stream);
  struct load_result result;
  struct error error = {.status = STATUS_OK};
  assert_int_equal(rig_close(&rig, &result, &error), STATUS_SCHEMA);
  assert_string_equal(error.text, "the sink refuses");
  assert_int_equal(rig.ledger.aborted, 1);
  assert_int_equal(rig.ledger.committed, 0);
}

static void a_full_intake_says_when_it_has_space_again(void **state) {
  (void)state;
  struct rig rig;
  struct buffer stream = BUFFER_EMPTY;
  rig_open(&rig, 4096);
  rig_write(&(struct rig_stream){.batches = 20, .rows = 100}, &stream);
  assert_false(intake_full(rig.intake));
  pthread_mutex_lock(&rig.ledger.gate);
  rig_push(rig.intake, &stream);
  assert_true(intake_full(rig.intake));
  assert_int_equal(rig.space, 0);
  pthread_mutex_unlock(&rig.ledger.gate);
  wait_for(&rig, &rig.space);
  assert_false(intake_full(rig.intake));
  intake_end(rig.intake);
  buffer_release(&stream);
  struct load_result result;
  assert_int_equal(rig_close(&rig, &result, NULL), STATUS_OK);
  assert_int_equal(result.rows, 2000);
  assert_int_equal(rig.space, 1);
}

static void relief_flushes_what_the_sink_has_collected(void **state) {
  (void)state;
  struct rig rig;
  struct buffer stream = BUFFER_EMPTY;
  rig_open(&rig, 1 << 20);
  rig_write(&(struct rig_stream){.batches = 2, .rows = 100}, &stream);
  pthread_mutex_lock(&rig.ledger.gate);
  rig_push(rig.intake, &stream);
  while (rig.ledger.begun == 0) sched_yield();
  intake_relieve(rig.intake);
  pthread_mutex_unlock(&rig.ledger.gate);
  intake_end(rig.intake);
  buffer_release(&stream);
  struct load_result result;
  assert_int_equal(rig_close(&rig, &result, NULL), STATUS_OK);
  assert_int_equal(result.rows, 200);
  assert_int_equal(rig.ledger.flushed, 1);
}

static void an_end_without_a_schema_is_refused(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, 4096);
  intake_end(rig.intake);
  struct load_result result;
  struct error error = {.status = STATUS_OK};
  assert_int_equal(rig_close(&rig, &result, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "no schema"));
  assert_int_equal(rig.ledger.begun, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_whole_stream_is_committed_once_with_all_its_rows),
      cmocka_unit_test(a_cancelled_stream_is_aborted_and_never_committed),
      cmocka_unit_test(a_failing_sink_ends_the_intake_at_once_and_late_messages_are_dropped),
      cmocka_unit_test(a_full_intake_says_when_it_has_space_again),
      cmocka_unit_test(relief_flushes_what_the_sink_has_collected),
      cmocka_unit_test(an_end_without_a_schema_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
