/* Small loads that share commits when memory runs out: each is told, once, how it ended, and nothing
 * is left of any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "nomem/nomem.h"
#include "rig.h"
#include "sink/null.h"

enum { MEMBERS = 5, MESSAGES_MAX = 4, SPARED_MAX = 1 << 20 };

struct member {
  struct intake *intake;
  struct ipc_message messages[MESSAGES_MAX];
  int message_count, pushed;
  int done; /* how often it was told */
};

struct world {
  struct sink sink;
  bool each_batch, large;
  struct member members[MEMBERS];
  pthread_mutex_t lock;
  pthread_cond_t changed;
};

static void on_done(void *context, bool more) {
  (void)more;
  struct world *world = ((void **)context)[0];
  struct member *member = ((void **)context)[1];
  pthread_mutex_lock(&world->lock);
  member->done++;
  pthread_cond_broadcast(&world->changed);
  pthread_mutex_unlock(&world->lock);
}

static void on_space(void *context) { (void)context; }

/* One batch of three rows; the schemas are of three kinds. */
static void make_messages(struct member *member, int number) {
  static const enum rig_columns columns[] = {RIG_PLAIN, RIG_PLAIN, RIG_WORDS, RIG_OTHER, RIG_PLAIN};
  struct buffer bytes = BUFFER_EMPTY;
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct error error = {0};
  int64_t at = 0;
  rig_write(
      &(struct rig_stream){.first = number, .batches = 1, .rows = 3, .columns = columns[number]},
      &bytes);
  for (;;) {
    enum ipc_frame frame;
    struct ipc_message message;
    assert_int_equal(ipc_cut(&bytes, &limits, false, &at, &message, &frame, &error), STATUS_OK);
    if (frame == IPC_FRAME_END) break;
    assert_true(member->message_count < MESSAGES_MAX);
    member->messages[member->message_count++] = message;
  }
  buffer_release(&bytes);
}

static enum status make_member(struct world *world, struct workers *workers, struct groups *groups,
                               struct member *member, void **context, struct error *error) {
  struct intake_options options = {
      .workers = workers,
      .budget = &rig_budget,
      .limits = IPC_LIMITS_DEFAULT,
      .target = {.sink = &world->sink,
                 .table = {.table = "t"},
                 .mode = SINK_APPEND,
                 .create_table = true,
                 .token = "token"},
      .each_batch = world->each_batch,
      .groups = groups,
      .backend = "null",
      .group_limits = {.rows_max = 1000, .bytes_max = world->large ? 64 : 1 << 20, .time_ms = 1000},
      .queue_bytes_max = 1 << 20,
      .space = on_space,
      .done = on_done,
      .context = context,
  };
  return intake_new(&options, &member->intake, error);
}

/* Sends what the members have, and waits until each was told. */
static void send_all(struct world *world) {
  for (int i = 0; i < MEMBERS; i++) {
    struct member *member = &world->members[i];
    if (member->intake == NULL) continue;
    while (member->pushed < member->message_count)
      intake_push(member->intake, &member->messages[member->pushed++]);
    intake_end(member->intake);
  }
  pthread_mutex_lock(&world->lock);
  for (int i = 0; i < MEMBERS; i++)
    while (world->members[i].intake != NULL && world->members[i].done == 0)
      pthread_cond_wait(&world->changed, &world->lock);
  pthread_mutex_unlock(&world->lock);
}

static void check(const struct member *member, enum status *all, struct error *error) {
  struct load_result result;
  struct error own = {0};
  assert_int_equal(member->done, 1);
  enum status status = intake_result(member->intake, &result, &own);
  if (status == STATUS_OK) assert_int_equal(result.rows, 3);
  if (status != STATUS_OK && status != STATUS_NOMEM)
    fail_msg("%s: %s", status_name(status), own.text);
  if (status == STATUS_NOMEM) {
    *all = status;
    *error = own;
  }
}

static enum status send_members(void *context, struct error *error) {
  struct world *world = context;
  void *contexts[MEMBERS][2];
  struct workers *workers = NULL;
  struct groups *groups = NULL;
  nomem_pause();
  memset(world->members, 0, sizeof world->members);
  for (int i = 0; i < MEMBERS; i++) make_messages(&world->members[i], i);
  nomem_resume();
  enum status status = workers_new(2, &workers, error);
  if (status == STATUS_OK) status = groups_new(workers, &groups, error);
  for (int i = 0; i < MEMBERS && status == STATUS_OK; i++) {
    contexts[i][0] = world;
    contexts[i][1] = &world->members[i];
    status = make_member(world, workers, groups, &world->members[i], contexts[i], error);
  }
  bool made = status == STATUS_OK;
  if (made) send_all(world);
  nomem_pause();
  workers_free(workers);
  groups_free(groups);
  for (int i = 0; i < MEMBERS; i++) {
    struct member *member = &world->members[i];
    if (made) check(member, &status, error);
    while (member->pushed < member->message_count)
      ipc_message_release(&member->messages[member->pushed++]);
    intake_free(member->intake);
  }
  assert_int_equal(rig_budget.used_bytes, 0);
  nomem_resume();
  return status;
}

static void run_each(const char *what, struct world *world) {
  struct error error = {0};
  world->sink.type = &SINK_NULL;
  pthread_mutex_init(&world->lock, NULL);
  pthread_cond_init(&world->changed, NULL);
  rig_budget.used_bytes = 0;
  assert_int_equal(send_members(world, &error), STATUS_OK);
  assert_true(nomem_run(what, send_members, world, SPARED_MAX) > 50);
}

static void members_of_a_group_are_told(void **state) {
  (void)state;
  run_each("a group", &(struct world){.each_batch = false});
}

static void loads_by_themselves_are_told(void **state) {
  (void)state;
  run_each("large loads", &(struct world){.large = true});
}

static void loads_batch_by_batch_are_told(void **state) {
  (void)state;
  run_each("loads batch by batch", &(struct world){.each_batch = true});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(members_of_a_group_are_told),
      cmocka_unit_test(loads_by_themselves_are_told),
      cmocka_unit_test(loads_batch_by_batch_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
