/* What is kept for clients: who finds it, how much of it there may be, when it ends and is freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "server/flight_handle.h"

enum { LIMIT = 3, SESSIONS = 2, IDLE_MS = 300, PATIENCE_MS = 20000 };

/* A server that has nothing but what handles need. */
struct world {
  struct server server;
  struct flight flight;
  pthread_t loop;
};

/* A handle that says when it was freed. */
struct held {
  struct flight_handle handle;
  atomic_int *freed;
};

static atomic_int freed;

static void held_free(struct flight_handle *handle) {
  atomic_fetch_add(((struct held *)handle)->freed, 1);
  free(handle);
}

static void session_free(struct flight_handle *handle) {
  atomic_fetch_add(&freed, 1);
  free(handle);
}

static void *run_loop(void *loop) {
  net_loop_run(loop);
  return NULL;
}

static int world_new(void **state) {
  static const char yaml[] = "memory_limit: 128MB\n"
                             "flight: {handles_max: 3, sessions_max: 2}\n"
                             "auth:\n  tokens:\n"
                             "    one: {token: one-token-0123456789, scopes: [read]}\n"
                             "    two: {token: two-token-0123456789, scopes: [read]}\n";
  struct error error;
  struct world *world = calloc(1, sizeof *world);
  assert_non_null(world);
  struct server *server = &world->server;
  if (server_config_parse(yaml, sizeof yaml - 1, "test.yaml", &server->config, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  assert_int_equal(net_loop_new(&server->loop, &error), STATUS_OK);
  assert_int_equal(workers_new(2, &server->workers, &error), STATUS_OK);
  server->flight = &world->flight;
  world->flight.server = server;
  assert_int_equal(flight_sessions_new(server, &world->flight.sessions, &error), STATUS_OK);
  atomic_store(&freed, 0);
  *state = world;
  return 0;
}

static void loop_start(struct world *world) {
  assert_int_equal(pthread_create(&world->loop, NULL, run_loop, world->server.loop), 0);
}

static void loop_stop(struct world *world) {
  net_loop_stop(world->server.loop);
  assert_int_equal(pthread_join(world->loop, NULL), 0);
}

static int world_free(void **state) {
  struct world *world = *state;
  flight_sessions_close(world->flight.sessions);
  workers_free(world->server.workers);
  flight_sessions_free(world->flight.sessions);
  net_loop_free(world->server.loop);
  server_config_free(world->server.config);
  free(world);
  return 0;
}

static struct flight_ask ask_of(struct world *world, const char *name,
                                struct flight_session *session) {
  uint8_t secret[AUTH_SECRET_BYTES];
  char full[32];
  snprintf(full, sizeof full, "token:%s", name);
  struct flight_ask ask = {.server = &world->server,
                           .config = world->server.config,
                           .who = auth_identity(world->server.config->auth, full, secret),
                           .session = session};
  assert_non_null(ask.who);
  return ask;
}

/* Begins a handle, used by the caller; `*status`: what listing it said. */
static struct held *begin(struct flight_ask *ask, enum flight_handle_kind kind, int64_t bytes,
                          enum status *status, struct error *error) {
  struct held *held = calloc(1, sizeof *held);
  assert_non_null(held);
  held->freed = &freed;
  assert_int_equal(flight_hold_init(&held->handle, kind, ask, held_free, error), STATUS_OK);
  *status = flight_hold_list(ask, &held->handle, bytes, error);
  return held;
}

static struct held *begin_well(struct flight_ask *ask, enum flight_handle_kind kind) {
  enum status status;
  struct error error = {.status = STATUS_OK};
  struct held *held = begin(ask, kind, 0, &status, &error);
  if (status != STATUS_OK) fail_msg("%s", error.text);
  return held;
}

static struct flight_session *begin_session(struct flight_ask *ask, enum status *status,
                                            struct error *error) {
  struct flight_session *session = calloc(1, sizeof *session);
  assert_non_null(session);
  session->handle.seat = &session->seat;
  assert_int_equal(flight_hold_init(&session->handle, FLIGHT_SESSION, ask, session_free, error),
                   STATUS_OK);
  *status = flight_hold_list(ask, &session->handle, 0, error);
  return session;
}

static enum status find(struct flight_ask *ask, enum flight_handle_kind kind, const char *id) {
  struct flight_handle *handle = NULL;
  struct error error;
  enum status status = flight_hold_find(ask, kind, id, strlen(id), &handle, &error);
  assert_int_equal(status == STATUS_OK, handle != NULL);
  if (status != STATUS_OK) assert_non_null(strstr(error.text, "there is no such"));
  flight_hold_release(handle);
  return status;
}

static void wait_freed(int count) {
  int64_t until_ms = clock_now_ms() + PATIENCE_MS;
  while (atomic_load(&freed) < count && clock_now_ms() < until_ms) clock_sleep_ms(5);
  assert_int_equal(atomic_load(&freed), count);
}

/* ---- who finds it ------------------------------------------------------------------------------ */

static void only_its_owner_finds_it(void **state) {
  struct world *world = *state;
  enum status status;
  struct error error;
  struct flight_ask one = ask_of(world, "one", NULL), two = ask_of(world, "two", NULL);
  struct flight_session *session = begin_session(&one, &status, &error);
  assert_int_equal(status, STATUS_OK);
  struct flight_ask inside = ask_of(world, "one", session);
  struct held *loose = begin_well(&one, FLIGHT_STATEMENT);
  struct held *kept = begin_well(&inside, FLIGHT_TRANSACTION);
  struct held *split = begin_well(&inside, FLIGHT_SPLIT);
  const struct {
    struct flight_ask *ask;
    enum flight_handle_kind kind;
    const char *id;
    enum status status;
  } cases[] = {
      {&one, FLIGHT_STATEMENT, loose->handle.id, STATUS_OK},
      {&inside, FLIGHT_STATEMENT, loose->handle.id, STATUS_OK}, /* of no session */
      {&two, FLIGHT_STATEMENT, loose->handle.id, STATUS_NOT_FOUND},
      {&one, FLIGHT_TRANSACTION, loose->handle.id, STATUS_NOT_FOUND}, /* another kind */
      {&inside, FLIGHT_TRANSACTION, kept->handle.id, STATUS_OK},
      {&one, FLIGHT_TRANSACTION, kept->handle.id, STATUS_NOT_FOUND}, /* outside of its session */
      {&two, FLIGHT_TRANSACTION, kept->handle.id, STATUS_NOT_FOUND},
      {&one, FLIGHT_SPLIT, split->handle.id, STATUS_OK}, /* for parallel readers */
      {&two, FLIGHT_SPLIT, split->handle.id, STATUS_NOT_FOUND},
      {&one, FLIGHT_STATEMENT, "", STATUS_NOT_FOUND},
      {&one, FLIGHT_STATEMENT, "00000000000000000000000000000000", STATUS_NOT_FOUND},
      {&one, FLIGHT_STATEMENT, "0000000000000000000000000000000000", STATUS_NOT_FOUND},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (find(cases[i].ask, cases[i].kind, cases[i].id) != cases[i].status) fail_msg("case %zu", i);
  assert_ptr_equal(flight_session_by_id(world->flight.sessions, session->handle.id), session);
  flight_session_release(session);
  assert_null(flight_session_by_id(world->flight.sessions, loose->handle.id));
  flight_hold_release(&loose->handle);
  flight_hold_release(&kept->handle);
  flight_hold_release(&split->handle);
  flight_session_release(session);
}

static void what_is_dropped_is_found_no_more_and_freed_behind_its_users(void **state) {
  struct world *world = *state;
  char id[FLIGHT_ID_BYTES];
  struct flight_ask one = ask_of(world, "one", NULL);
  struct held *held = begin_well(&one, FLIGHT_STATEMENT);
  memcpy(id, held->handle.id, sizeof id);
  flight_hold_drop(&held->handle);
  flight_hold_drop(&held->handle); /* by two at once */
  assert_int_equal(find(&one, FLIGHT_STATEMENT, id), STATUS_NOT_FOUND);
  clock_sleep_ms(50);
  assert_int_equal(atomic_load(&freed), 0); /* the caller uses it */
  flight_hold_release(&held->handle);
  wait_freed(1);
}

static void a_session_takes_what_belongs_to_it_along(void **state) {
  struct world *world = *state;
  enum status status;
  struct error error;
  struct flight_ask one = ask_of(world, "one", NULL);
  struct flight_session *session = begin_session(&one, &status, &error);
  struct flight_ask inside = ask_of(world, "one", session);
  struct held *used = begin_well(&inside, FLIGHT_TRANSACTION);
  struct held *idle = begin_well(&inside, FLIGHT_STATEMENT);
  struct held *loose = begin_well(&one, FLIGHT_STATEMENT);
  flight_hold_release(&idle->handle);
  flight_hold_drop(&session->handle);
  assert_int_equal(find(&inside, FLIGHT_TRANSACTION, used->handle.id), STATUS_NOT_FOUND);
  assert_int_equal(find(&one, FLIGHT_STATEMENT, loose->handle.id), STATUS_OK);
  wait_freed(1); /* the idle one */
  /* Nothing can begin in it any more. */
  struct held *late = begin(&inside, FLIGHT_STATEMENT, 0, &status, &error);
  assert_int_equal(status, STATUS_NOT_FOUND);
  flight_hold_release(&late->handle);
  wait_freed(2);
  flight_session_release(session); /* `used` owns it still */
  clock_sleep_ms(50);
  assert_int_equal(atomic_load(&freed), 2);
  flight_hold_release(&used->handle);
  wait_freed(4);
  flight_hold_release(&loose->handle);
}

/* ---- how many ----------------------------------------------------------------------------------- */

static void there_are_so_many_of_an_identity_and_of_a_session(void **state) {
  struct world *world = *state;
  enum status status;
  struct error error;
  struct held *held[LIMIT], *more;
  struct flight_ask one = ask_of(world, "one", NULL), two = ask_of(world, "two", NULL);
  for (int i = 0; i < LIMIT; i++) held[i] = begin_well(&one, FLIGHT_STATEMENT);
  more = begin(&one, FLIGHT_TRANSACTION, 0, &status, &error);
  assert_int_equal(status, STATUS_BUDGET);
  assert_int_equal(error.retry_after_ms, 0); /* nobody waits for room */
  assert_non_null(strstr(error.text, "flight.handles_max"));
  flight_hold_release(&more->handle);
  more = begin_well(&two, FLIGHT_STATEMENT); /* others have their own */
  flight_hold_release(&more->handle);
  struct flight_session *session = begin_session(&one, &status, &error);
  assert_int_equal(status, STATUS_OK);
  struct flight_ask inside = ask_of(world, "one", session);
  more = begin_well(&inside, FLIGHT_STATEMENT); /* and a session its own */
  flight_hold_release(&more->handle);
  flight_hold_drop(&held[0]->handle);
  more = begin_well(&one, FLIGHT_STATEMENT); /* one has gone */
  flight_hold_release(&more->handle);
  for (int i = 0; i < LIMIT; i++) flight_hold_release(&held[i]->handle);
  flight_session_release(session);
}

static void there_are_so_many_sessions(void **state) {
  struct world *world = *state;
  enum status status;
  struct error error;
  struct flight_session *sessions[SESSIONS + 1];
  struct flight_ask one = ask_of(world, "one", NULL);
  for (int i = 0; i <= SESSIONS; i++) {
    sessions[i] = begin_session(&one, &status, &error);
    assert_int_equal(status, i < SESSIONS ? STATUS_OK : STATUS_BUDGET);
  }
  assert_non_null(strstr(error.text, "flight.sessions_max"));
  flight_hold_drop(&sessions[0]->handle);
  flight_session_release(sessions[SESSIONS]);
  sessions[SESSIONS] = begin_session(&one, &status, &error);
  assert_int_equal(status, STATUS_OK);
  for (int i = 0; i <= SESSIONS; i++) flight_session_release(sessions[i]);
}

static void memory_that_is_charged_comes_back(void **state) {
  struct world *world = *state;
  enum status status;
  struct error error;
  struct budget *budget = &world->flight.sessions->budget;
  struct flight_ask one = ask_of(world, "one", NULL);
  assert_int_equal(budget->limit_bytes, world->server.config->memory_limit_bytes / 16);
  struct held *big = begin(&one, FLIGHT_STATEMENT, 6 << 20, &status, &error);
  assert_int_equal(status, STATUS_OK);
  struct held *more = begin(&one, FLIGHT_STATEMENT, 6 << 20, &status, &error);
  assert_int_equal(status, STATUS_BUDGET);
  assert_int_equal(error.retry_after_ms, 0);
  flight_hold_release(&more->handle);
  wait_freed(1);
  assert_int_equal(flight_hold_charge(&big->handle, 9 << 20, &error), STATUS_BUDGET);
  assert_int_equal(flight_hold_charge(&big->handle, 1 << 20, &error), STATUS_OK);
  more = begin(&one, FLIGHT_STATEMENT, 6 << 20, &status, &error);
  assert_int_equal(status, STATUS_OK);
  flight_hold_drop(&big->handle);
  flight_hold_drop(&more->handle);
  flight_hold_release(&big->handle);
  flight_hold_release(&more->handle);
  wait_freed(3);
  assert_int_equal(atomic_load(&budget->used_bytes), 0);
}

/* ---- the sweep ------------------------------------------------------------------------------------ */

static void what_nobody_uses_ends_and_what_is_used_does_not(void **state) {
  struct world *world = *state;
  enum status status;
  struct error error;
  struct flight_limits *limits = &world->server.config->flight;
  limits->handle_idle_ms = limits->transaction_idle_ms = IDLE_MS;
  struct flight_ask one = ask_of(world, "one", NULL);
  struct flight_session *session = begin_session(&one, &status, &error);
  struct flight_ask inside = ask_of(world, "one", session);
  struct held *idle = begin_well(&inside, FLIGHT_STATEMENT);
  struct held *rolled_back = begin_well(&one, FLIGHT_TRANSACTION);
  struct held *used = begin_well(&one, FLIGHT_TRANSACTION);
  flight_hold_release(&idle->handle);
  flight_hold_release(&rolled_back->handle);
  flight_session_release(session);
  loop_start(world);
  wait_freed(2);
  assert_int_equal(find(&one, FLIGHT_TRANSACTION, used->handle.id), STATUS_OK);
  /* A session has a time of its own, and takes its handles along. */
  struct held *within = begin_well(&inside, FLIGHT_TRANSACTION);
  flight_hold_release(&within->handle);
  loop_stop(world);
  limits->transaction_idle_ms = limits->handle_idle_ms = 3600 * 1000;
  limits->session_idle_ms = 1;
  loop_start(world);
  wait_freed(4);
  assert_int_equal(find(&one, FLIGHT_TRANSACTION, used->handle.id), STATUS_OK);
  loop_stop(world);
  flight_hold_release(&used->handle);
}

static void a_server_that_stops_lists_nothing_more(void **state) {
  struct world *world = *state;
  enum status status;
  struct error error;
  struct flight_ask one = ask_of(world, "one", NULL);
  struct held *held = begin_well(&one, FLIGHT_TRANSACTION);
  flight_sessions_close(world->flight.sessions);
  assert_int_equal(find(&one, FLIGHT_TRANSACTION, held->handle.id), STATUS_NOT_FOUND);
  struct held *late = begin(&one, FLIGHT_TRANSACTION, 0, &status, &error);
  assert_int_equal(status, STATUS_UNAVAILABLE);
  flight_hold_release(&late->handle);
  flight_hold_release(&held->handle); /* freed with all of it: see world_free */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_new, world_free)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(only_its_owner_finds_it),
      TEST(what_is_dropped_is_found_no_more_and_freed_behind_its_users),
      TEST(a_session_takes_what_belongs_to_it_along),
      TEST(there_are_so_many_of_an_identity_and_of_a_session),
      TEST(there_are_so_many_sessions),
      TEST(memory_that_is_charged_comes_back),
      TEST(what_nobody_uses_ends_and_what_is_used_does_not),
      TEST(a_server_that_stops_lists_nothing_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
