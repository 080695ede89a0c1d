/* Small loads that share commits, into a sink that can be held up: what queues meanwhile is the next
 * round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rig.h"

enum { SENDERS_MAX = 256 };

static const struct group_limits no_limits = {
    .rows_max = 1 << 30, .bytes_max = 1 << 28, .time_ms = 60000};

/* One who sends a load. */
struct sender {
  struct intake *intake;
  bool done;
  int order; /* in which they were told */
  bool more; /* others are told at once behind it */
};

static struct rig_sink rig;
static struct workers *workers;
static struct groups *groups;
static struct sender senders[SENDERS_MAX];
static int sender_count, told;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

static int setup(void **state) {
  (void)state;
  struct error error = {0};
  rig_budget.used_bytes = 0;
  rig_sink_init(&rig);
  memset(senders, 0, sizeof senders);
  sender_count = told = 0;
  ok(workers_new(4, &workers, &error), &error);
  ok(groups_new(workers, &groups, &error), &error);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  workers_free(workers);
  groups_free(groups);
  for (int i = 0; i < sender_count; i++) intake_free(senders[i].intake);
  return rig_budget.used_bytes == 0 ? 0 : 1;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void on_done(void *context, bool more) {
  struct sender *sender = context;
  pthread_mutex_lock(&lock);
  sender->done = true;
  sender->more = more;
  sender->order = told++;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static void on_space(void *context) { (void)context; }

static enum status find_sink(void *context, struct sink **sink, struct error *error) {
  (void)context;
  (void)error;
  *sink = &rig.sink;
  return STATUS_OK;
}

/* How an intake differs from the others. */
struct way {
  const char *table, *backend, *token; /* NULL: "t", "rig", none */
  enum schema_policy policy;
  const struct group_limits *limits; /* NULL: none */
  bool each_batch;
};
static const struct way usual = {.table = NULL};

static struct sender *open_sender(const struct way *way) {
  struct error error = {0};
  assert_true(sender_count < SENDERS_MAX);
  struct sender *sender = &senders[sender_count];
  struct intake_options options = {
      .workers = workers,
      .budget = &rig_budget,
      .limits = IPC_LIMITS_DEFAULT,
      .target = {.mode = SINK_APPEND,
                 .create_table = true,
                 .policy = way->policy,
                 .token = way->token},
      .each_batch = way->each_batch,
      .groups = groups,
      .backend = way->backend != NULL ? way->backend : "rig",
      .group_limits = way->limits != NULL ? *way->limits : no_limits,
      .open_sink = find_sink,
      .queue_bytes_max = 1 << 20,
      .space = on_space,
      .done = on_done,
      .context = sender,
  };
  snprintf(options.target.table.table, sizeof options.target.table.table, "%s",
           way->table != NULL ? way->table : "t");
  ok(intake_new(&options, &sender->intake, &error), &error);
  sender_count++;
  return sender;
}

static void push(struct sender *sender, const struct rig_stream *stream) {
  struct buffer bytes = BUFFER_EMPTY;
  rig_write(stream, &bytes);
  rig_push(sender->intake, &bytes);
  buffer_release(&bytes);
}

static struct sender *send_stream(const struct way *way, const struct rig_stream *stream) {
  struct sender *sender = open_sender(way);
  push(sender, stream);
  intake_end(sender->intake);
  return sender;
}

/* A load of `rows` rows from that id on. */
static struct sender *send_rows(int64_t first, int64_t rows) {
  return send_stream(&usual, &(struct rig_stream){.first = first, .batches = 1, .rows = rows});
}

static void wait_done(const struct sender *sender) {
  pthread_mutex_lock(&lock);
  while (!sender->done) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

static void wait_all(void) {
  for (int i = 0; i < sender_count; i++) wait_done(&senders[i]);
}

static struct load_result expect(const struct sender *sender, enum status wanted,
                                 const char *words) {
  struct load_result result;
  struct error error = {0};
  wait_done(sender);
  enum status status = intake_result(sender->intake, &result, &error);
  if (status != wanted)
    fail_msg("sender %d: %s (%s), not %s", (int)(sender - senders), status_name(status), error.text,
             status_name(wanted));
  if (words != NULL && strstr(error.text, words) == NULL)
    fail_msg("\"%s\" is not in: %s", words, error.text);
  if (status != STATUS_OK) assert_int_equal(error.status, status);
  return result;
}

static void expect_rows(const struct sender *sender, int64_t rows) {
  assert_int_equal(expect(sender, STATUS_OK, NULL).rows, rows);
}

static struct intake_figures figures_of(const struct sender *sender) {
  struct intake_figures figures;
  wait_done(sender);
  intake_figures(sender->intake, &figures);
  return figures;
}

/* The sink takes no more until the gate is opened, and has taken a first load. */
static struct sender *block(void) {
  rig.shut = true;
  struct sender *first = send_rows(1000000, 1);
  rig_sink_wait_lands(&rig, 1);
  return first;
}

static void unblock(void) {
  rig_sink_open_gate(&rig);
  wait_all();
}

/* Loads in the rounds after the first: those that block() and the test made. */
static void expect_rounds(const int64_t *parcels, int count) {
  for (int i = 0; i < count; i++)
    if (rig.rounds[i].parcels != parcels[i])
      fail_msg("round %d has %lld loads, not %lld", i, (long long)rig.rounds[i].parcels,
               (long long)parcels[i]);
  assert_int_equal(rig.lands, count);
}

/* ---- rounds ------------------------------------------------------------------------------------ */

static void one_load_is_landed_at_once(void **state) {
  (void)state;
  for (int64_t i = 0; i < 3; i++) {
    expect_rows(send_rows(i * 10, 10), 10);
    assert_false(senders[i].more);
  }
  expect_rounds((const int64_t[]){1, 1, 1}, 3);
  int64_t commits, loads;
  groups_look(groups, &commits, &loads);
  assert_int_equal(commits, 3);
  assert_int_equal(loads, 3);
}

static void what_queues_meanwhile_is_the_next_round_in_its_order(void **state) {
  (void)state;
  block();
  for (int64_t i = 0; i < 50; i++) send_rows(i * 4, 1 + i % 4);
  unblock();
  expect_rounds((const int64_t[]){1, 50}, 2);
  int64_t at = 1;
  for (int64_t i = 0; i < 50; i++) {
    expect_rows(&senders[1 + i], 1 + i % 4);
    assert_int_equal(senders[1 + i].order, 1 + i);
    assert_int_equal(senders[1 + i].more, i < 49);
    for (int64_t row = 0; row < 1 + i % 4; row++) assert_int_equal(rig.ids[at++], i * 4 + row);
  }
  assert_int_equal(rig.id_count, at);
  assert_string_equal(figures_of(&senders[5]).backend, "rig");
  assert_true(figures_of(&senders[5]).memory_bytes > 0);
  int64_t commits, loads;
  groups_look(groups, &commits, &loads);
  assert_int_equal(commits, 2);
  assert_int_equal(loads, 51);
}

static void a_round_ends_at_its_rows(void **state) {
  (void)state;
  static const struct group_limits limits = {
      .rows_max = 10, .bytes_max = 1 << 28, .time_ms = 60000};
  const struct way way = {.limits = &limits};
  block();
  for (int64_t i = 0; i < 9; i++)
    send_stream(&way, &(struct rig_stream){.first = i * 3, .batches = 1, .rows = 3});
  send_stream(&way,
              &(struct rig_stream){.first = 100, .batches = 2, .rows = 50}); /* more than it */
  send_stream(&way, &(struct rig_stream){.first = 200, .batches = 1, .rows = 3});
  unblock();
  /* The load that reaches the limit is the round's last. */
  expect_rounds((const int64_t[]){1, 4, 4, 2, 1}, 5);
  for (int64_t i = 0; i < 27; i++) assert_int_equal(rig.ids[1 + i], i);
}

static void a_round_ends_at_its_bytes(void **state) {
  (void)state;
  struct rig_stream stream = {.first = 0, .batches = 1, .rows = 100};
  struct sender *first = open_sender(&usual);
  rig.shut = true;
  push(first, &stream);
  int64_t bytes = intake_queued_bytes(first->intake);
  intake_end(first->intake);
  rig_sink_wait_lands(&rig, 1);
  const struct group_limits limits = {
      .rows_max = 1 << 30, .bytes_max = 16 * bytes + bytes / 2, .time_ms = 60000};
  for (int i = 0; i < 20; i++) send_stream(&(struct way){.limits = &limits}, &stream);
  unblock();
  expect_rounds((const int64_t[]){1, 16, 4}, 3);
}

static void a_slow_sink_gets_smaller_rounds(void **state) {
  (void)state;
  static const struct group_limits limits[] = {
      {.rows_max = 1 << 30, .bytes_max = 1 << 28, .time_ms = 1},
      {.rows_max = 1 << 30, .bytes_max = 1 << 28, .time_ms = 600000}};
  /* 10 rows a millisecond at most: a thousand rows are the least that a round may have. */
  rig.land_ms = 120;
  struct sender *slow = send_rows(0, 600);
  wait_done(slow);
  for (int turn = 0; turn < 2; turn++) {
    int from = rig.lands;
    rig.shut = true;
    for (int64_t i = 0; i < 7; i++)
      send_stream(&(struct way){.limits = &limits[turn]},
                  &(struct rig_stream){.first = i, .batches = 1, .rows = 600});
    rig_sink_wait_lands(&rig, from + 1);
    unblock();
    /* The first round has what had queued when it began. */
    for (int i = from; i < rig.lands && turn == 0; i++) assert_true(rig.rounds[i].parcels <= 2);
    assert_true(turn == 0 ? rig.lands >= from + 4 : rig.lands <= from + 2);
  }
}

/* ---- one that fails takes no other along -------------------------------------------------------- */

static void members_that_fail_take_no_other_along(void **state) {
  (void)state;
  struct rig_stream stream = {.first = 1, .batches = 2, .rows = 3};
  struct buffer bytes = BUFFER_EMPTY;
  rig_write(&stream, &bytes);
  block();
  struct sender *good = send_stream(&usual, &stream);
  struct sender *cancelled = send_stream(&usual, &stream);
  intake_cancel(cancelled->intake);
  struct sender *nothing = open_sender(&usual);
  intake_end(nothing->intake);
  struct sender *garbage = open_sender(&usual);
  rig_push_garbage(garbage->intake);
  intake_end(garbage->intake);
  struct sender *broken = open_sender(&usual); /* its schema is one that is known */
  rig_push_some(broken->intake, &bytes, 2);
  rig_push_garbage(broken->intake);
  intake_end(broken->intake);
  struct sender *twice = open_sender(&usual);
  rig_push(twice->intake, &bytes);
  rig_push_some(twice->intake, &bytes, 1);
  intake_end(twice->intake);
  struct sender *empty = send_stream(&usual, &(struct rig_stream){.first = 1});
  struct sender *last = send_rows(100, 3);
  buffer_release(&bytes);
  unblock();
  expect_rows(good, 6);
  expect(cancelled, STATUS_CANCELLED, "cancelled");
  expect(nothing, STATUS_INVALID, "no schema message");
  expect(garbage, STATUS_INVALID, "");
  expect(broken, STATUS_INVALID, "");
  expect(twice, STATUS_INVALID, "schema");
  expect_rows(empty, 0);
  expect_rows(last, 3);
  expect_rounds((const int64_t[]){1, 3}, 2);
  static const int64_t ids[] = {1, 2, 3, 4, 5, 6, 100, 101, 102};
  assert_int_equal(rig.id_count, 1 + 9);
  assert_memory_equal(rig.ids + 1, ids, sizeof ids);
  assert_null(figures_of(cancelled).backend);
}

static void a_batch_before_the_schema_is_refused(void **state) {
  (void)state;
  struct buffer bytes = BUFFER_EMPTY;
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_message message;
  enum ipc_frame frame;
  struct error error = {0};
  int64_t at = 0;
  rig_write(&(struct rig_stream){.first = 1, .batches = 1, .rows = 3}, &bytes);
  ok(ipc_cut(&bytes, &limits, false, &at, &message, &frame, &error), &error);
  ipc_message_release(&message);
  ok(ipc_cut(&bytes, &limits, false, &at, &message, &frame, &error), &error);
  struct sender *sender = open_sender(&usual);
  intake_push(sender->intake, &message);
  intake_end(sender->intake);
  buffer_release(&bytes);
  expect(sender, STATUS_INVALID, "schema");
  expect_rows(send_rows(5, 2), 2);
}

/* Decoders go from stream to stream, and know nothing of the one before. */
static void streams_of_several_schemas_keep_their_values(void **state) {
  (void)state;
  static const enum rig_columns columns[] = {RIG_PLAIN, RIG_WORDS, RIG_OTHER};
  int64_t at = 1;
  block();
  for (int64_t i = 0; i < 120; i++)
    send_stream(&usual, &(struct rig_stream){.first = i * 10,
                                             .batches = 1 + (int)(i % 3),
                                             .rows = 2,
                                             .columns = columns[(i / 2) % 3]});
  unblock();
  for (int64_t i = 0; i < 120; i++) {
    expect_rows(&senders[1 + i], 2 * (1 + i % 3));
    for (int64_t row = 0; row < 2 * (1 + i % 3); row++)
      assert_int_equal(rig.ids[at++], i * 10 + row);
  }
  assert_int_equal(rig.id_count, at);
  assert_false(rig.words_wrong);
}

static void what_does_not_fit_is_counted(void **state) {
  (void)state;
  static const struct {
    enum schema_policy policy;
    enum status verdict;
    bool refused;
    bool counted;
  } cases[] = {
      {SCHEMA_SKIP, STATUS_SCHEMA, true, true},
      {SCHEMA_SKIP, STATUS_SCHEMA, false, false}, /* a value */
      {SCHEMA_STRICT, STATUS_SCHEMA, true, false},
      {SCHEMA_SKIP, STATUS_IO, false, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    rig.guilty = 50;
    rig.verdict = cases[i].verdict;
    rig.schema_refused = cases[i].refused;
    const struct way way = {.policy = cases[i].policy};
    struct sender *sender =
        send_stream(&way, &(struct rig_stream){.first = 50, .batches = 3, .rows = 4});
    expect(sender, cases[i].verdict, "the sink refuses");
    struct intake_figures figures = figures_of(sender);
    assert_int_equal(figures.skipped, cases[i].counted);
    assert_int_equal(figures.skipped_rows, cases[i].counted ? 12 : 0);
    assert_int_equal(figures.skipped_batches, cases[i].counted ? 3 : 0);
    expect_rows(send_stream(&way, &(struct rig_stream){.first = 60, .batches = 3, .rows = 4}), 12);
  }
}

static void an_outcome_that_is_not_known_is_looked_up(void **state) {
  (void)state;
  static const struct {
    const char *token;
    enum status lookup;
    bool found;
    enum status wanted;
    int lookups;
  } cases[] = {
      {"token", STATUS_OK, true, STATUS_OK, 1},
      {"token", STATUS_OK, false, STATUS_UNAVAILABLE, 1},
      {"token", STATUS_UNAVAILABLE, false, STATUS_UNKNOWN, 1},
      {NULL, STATUS_OK, true, STATUS_UNKNOWN, 0},
  };
  rig.guilty = 50;
  rig.verdict = STATUS_UNKNOWN;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    rig.lookups = 0;
    rig.lookup_status = cases[i].lookup;
    rig.lookup_found = cases[i].found;
    struct sender *sender = send_stream(&(struct way){.token = cases[i].token},
                                        &(struct rig_stream){.first = 50, .batches = 1, .rows = 7});
    struct load_result result = expect(sender, cases[i].wanted, NULL);
    if (cases[i].wanted == STATUS_OK) assert_int_equal(result.rows, 7);
    assert_false(result.repeated);
    assert_int_equal(rig.lookups, cases[i].lookups);
    struct error error = {0};
    assert_int_equal(intake_result(sender->intake, &result, &error), cases[i].wanted);
    if (cases[i].wanted == STATUS_UNAVAILABLE) assert_true(error.retry_after_ms > 0);
  }
}

/* ---- places -------------------------------------------------------------------------------------- */

static void places_do_not_mix(void **state) {
  (void)state;
  static const struct way ways[] = {
      {.table = "flights"},
      {.table = "flights", .policy = SCHEMA_MERGE},
      {.table = "flights", .policy = SCHEMA_STRICT},
      {.table = "flights", .backend = "other"},
      {.table = "flights2"},
      {.table = "FLIGHTS"}, /* the first one */
  };
  /* No more lands at a time than there are workers: each place has its second round when the
   * first of another is through. */
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < 6; i++)
      send_stream(&ways[i], &(struct rig_stream){.first = i, .batches = 1, .rows = 1});
  wait_all();
  int64_t parcels = 0;
  int64_t flights[3] = {0};
  for (int i = 0; i < rig.lands; i++) {
    parcels += rig.rounds[i].parcels;
    bool second = strcmp(rig.rounds[i].table.table, "flights2") == 0;
    if (!second) flights[rig.rounds[i].policy] += rig.rounds[i].parcels;
    if (second) assert_true(rig.rounds[i].parcels <= 3);
  }
  assert_int_equal(parcels, 18);
  assert_int_equal(flights[SCHEMA_MERGE], 3);
  assert_int_equal(flights[SCHEMA_STRICT], 3);
  assert_int_equal(flights[SCHEMA_SKIP], 9);
}

static void places_do_not_wait_for_each_other(void **state) {
  (void)state;
  rig.shut = true;
  send_stream(&(struct way){.table = "a"}, &(struct rig_stream){.batches = 1, .rows = 1});
  send_stream(&(struct way){.table = "b"}, &(struct rig_stream){.batches = 1, .rows = 1});
  send_stream(&(struct way){.table = "b", .policy = SCHEMA_MERGE},
              &(struct rig_stream){.batches = 1, .rows = 1});
  rig_sink_wait_lands(&rig, 3); /* all three are at it */
  unblock();
  expect_rounds((const int64_t[]){1, 1, 1}, 3);
}

static void many_places_come_and_go(void **state) {
  (void)state;
  char table[16];
  for (int turn = 0; turn < 4; turn++) {
    for (int i = 0; i < 150; i++) {
      snprintf(table, sizeof table, "t%d", (i * (turn + 1)) % 150);
      struct sender *sender =
          send_stream(&(struct way){.table = table}, &(struct rig_stream){.batches = 1, .rows = 2});
      if (i % 3 == 0) wait_done(sender);
    }
    wait_all();
    for (int i = 0; i < sender_count; i++) {
      expect_rows(&senders[i], 2);
      intake_free(senders[i].intake);
    }
    memset(senders, 0, sizeof senders);
    sender_count = 0;
  }
  assert_int_equal(rig.id_count, 4 * 150 * 2);
}

/* ---- held ------------------------------------------------------------------------------------------ */

static void what_is_not_small_or_slow_goes_by_itself(void **state) {
  (void)state;
  static const struct group_limits limits = {
      .rows_max = 1 << 30, .bytes_max = 1 << 16, .time_ms = 60000}; /* 4 KiB are small */
  struct sender *large = send_stream(&(struct way){.limits = &limits},
                                     &(struct rig_stream){.first = 1, .batches = 2, .rows = 1000});
  expect_rows(large, 2000);
  assert_int_equal(rig.begun, 1);
  struct rig_stream stream = {.first = 1, .batches = 2, .rows = 5};
  struct buffer bytes = BUFFER_EMPTY;
  rig_write(&stream, &bytes);
  struct sender *slow = open_sender(&usual);
  rig_push_some(slow->intake, &bytes, 2);
  assert_false(intake_full(slow->intake));
  assert_int_equal(rig.begun, 1); /* it is held */
  intake_start(slow->intake);
  pthread_mutex_lock(&rig.lock);
  while (rig.begun == 1) pthread_cond_wait(&rig.changed, &rig.lock);
  pthread_mutex_unlock(&rig.lock);
  intake_end(slow->intake);
  expect_rows(slow, 5);
  struct sender *relieved = open_sender(&usual);
  rig_push_some(relieved->intake, &bytes, 3);
  intake_relieve(relieved->intake);
  intake_end(relieved->intake);
  expect_rows(relieved, 10);
  assert_int_equal(rig.begun, 3);
  assert_int_equal(rig.lands, 0);
  struct sender *cancelled = open_sender(&usual);
  rig_push_some(cancelled->intake, &bytes, 2);
  intake_cancel(cancelled->intake);
  expect(cancelled, STATUS_CANCELLED, "cancelled");
  intake_end(cancelled->intake); /* too late for anything */
  struct sender *late = open_sender(&usual);
  rig_push(late->intake, &bytes);
  intake_end(late->intake);
  expect_rows(late, 10);
  intake_start(late->intake);
  intake_cancel(late->intake);
  buffer_release(&bytes);
  assert_int_equal(rig.begun, 3);
  assert_int_equal(rig.aborted, 0);
  assert_int_equal(rig.lands, 1);
}

/* ---- batch by batch ---------------------------------------------------------------------------------- */

static void each_batch_commits_by_itself(void **state) {
  (void)state;
  const struct way way = {.each_batch = true, .token = "key"};
  struct sender *sender =
      send_stream(&way, &(struct rig_stream){.first = 1, .batches = 3, .rows = 4});
  struct load_result result = expect(sender, STATUS_OK, NULL);
  assert_int_equal(result.rows, 12);
  assert_int_equal(result.batches, 3);
  assert_false(result.repeated);
  struct intake_figures figures = figures_of(sender);
  assert_true(figures.each_batch);
  assert_int_equal(figures.commits, 3);
  assert_int_equal(figures.committed_rows, 12);
  assert_int_equal(figures.committed_batches, 3);
  expect_rounds((const int64_t[]){1, 1, 1}, 3);
  static const char *const tokens[] = {"key\x1f"
                                       "0",
                                       "key\x1f"
                                       "1",
                                       "key\x1f"
                                       "2"};
  assert_int_equal(rig.token_count, 3);
  for (int i = 0; i < 3; i++) assert_string_equal(rig.tokens[i], tokens[i]);
  /* The same again adds nothing. */
  sender = send_stream(&way, &(struct rig_stream){.first = 1, .batches = 3, .rows = 4});
  result = expect(sender, STATUS_OK, NULL);
  assert_true(result.repeated);
  assert_int_equal(result.rows, 12);
  assert_int_equal(figures_of(sender).commits, 0);
  assert_int_equal(rig.id_count, 12);
}

static void a_batch_that_fails_ends_it_and_the_repeated_request_adds_the_rest(void **state) {
  (void)state;
  const struct way way = {.each_batch = true, .token = "key"};
  const struct rig_stream stream = {.first = 1, .batches = 5, .rows = 4};
  rig.guilty = 9; /* the third */
  rig.verdict = STATUS_IO;
  struct sender *sender = send_stream(&way, &stream);
  expect(sender, STATUS_IO, "the sink refuses");
  struct intake_figures figures = figures_of(sender);
  assert_int_equal(figures.commits, 2);
  assert_int_equal(figures.committed_rows, 8);
  assert_int_equal(figures.committed_batches, 2);
  rig.guilty = 0;
  sender = send_stream(&way, &stream);
  struct load_result result = expect(sender, STATUS_OK, NULL);
  assert_false(result.repeated);
  assert_int_equal(result.rows, 20);
  assert_int_equal(result.batches, 5);
  assert_int_equal(figures_of(sender).commits, 3);
  assert_int_equal(rig.id_count, 20);
  for (int64_t i = 0; i < 20; i++) assert_int_equal(rig.ids[i], i + 1);
}

static void without_batches_the_table_is_made_all_the_same(void **state) {
  (void)state;
  struct sender *sender =
      send_stream(&(struct way){.each_batch = true}, &(struct rig_stream){.batches = 0});
  expect_rows(sender, 0);
  expect_rounds((const int64_t[]){1}, 1);
  sender = open_sender(&(struct way){.each_batch = true});
  intake_end(sender->intake);
  expect(sender, STATUS_INVALID, "no schema message");
}

static void a_batch_that_did_land_goes_on_with_the_next(void **state) {
  (void)state;
  rig.guilty = 8;
  rig.verdict = STATUS_UNKNOWN;
  rig.lookup_found = true; /* with 7 rows, as the batches have */
  struct sender *sender = send_stream(&(struct way){.each_batch = true, .token = "key"},
                                      &(struct rig_stream){.first = 1, .batches = 3, .rows = 7});
  assert_int_equal(expect(sender, STATUS_OK, NULL).rows, 21);
  assert_int_equal(figures_of(sender).commits, 3);
  rig.lookup_found = false;
  sender = send_stream(&(struct way){.each_batch = true, .token = "other"},
                       &(struct rig_stream){.first = 1, .batches = 3, .rows = 7});
  expect(sender, STATUS_UNAVAILABLE, NULL);
  assert_int_equal(figures_of(sender).committed_batches, 1);
}

/* The stream is read to its end: the counts say what was lost. */
static void batches_that_do_not_fit_are_counted(void **state) {
  (void)state;
  rig.guilty = 9;
  rig.verdict = STATUS_SCHEMA;
  rig.schema_refused = true;
  struct sender *sender = send_stream(&(struct way){.each_batch = true},
                                      &(struct rig_stream){.first = 1, .batches = 5, .rows = 4});
  expect(sender, STATUS_SCHEMA, "the sink refuses");
  struct intake_figures figures = figures_of(sender);
  assert_true(figures.skipped);
  assert_int_equal(figures.committed_batches, 2);
  assert_int_equal(figures.skipped_batches, 3);
  assert_int_equal(figures.skipped_rows, 12);
}

int main(void) {
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      EACH(one_load_is_landed_at_once),
      EACH(what_queues_meanwhile_is_the_next_round_in_its_order),
      EACH(a_round_ends_at_its_rows),
      EACH(a_round_ends_at_its_bytes),
      EACH(a_slow_sink_gets_smaller_rounds),
      EACH(members_that_fail_take_no_other_along),
      EACH(a_batch_before_the_schema_is_refused),
      EACH(streams_of_several_schemas_keep_their_values),
      EACH(what_does_not_fit_is_counted),
      EACH(an_outcome_that_is_not_known_is_looked_up),
      EACH(places_do_not_mix),
      EACH(places_do_not_wait_for_each_other),
      EACH(many_places_come_and_go),
      EACH(what_is_not_small_or_slow_goes_by_itself),
      EACH(each_batch_commits_by_itself),
      EACH(a_batch_that_fails_ends_it_and_the_repeated_request_adds_the_rest),
      EACH(without_batches_the_table_is_made_all_the_same),
      EACH(a_batch_that_did_land_goes_on_with_the_next),
      EACH(batches_that_do_not_fit_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
