/* Tokens when memory runs out: nothing is lost, nothing stays held, and it goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nomem/nomem.h"
#include "sink/tokens.h"

static const struct table_name FLIGHTS = {.table = "flights"};

struct world {
  struct engine *engine;
  int64_t number; /* each run has a token of its own */
  int64_t landed;
};

static const struct tokens_options options = {.retention_s = 3600, .count_max = 1000};

/* Lands one token, which is settled however it ends. */
static enum status land(struct world *world, struct tokens *tokens, struct engine_session *session,
                        const char *token, struct error *error) {
  static char changes[] = "added column \"gate\" VARCHAR";
  struct load_result landed = {.rows = 3, .batches = 1, .version = -1, .changes = changes};
  const struct token_record record = {&FLIGHTS, token, 3, 1, -1, changes};
  struct token_writer *writer = NULL;
  enum token_state state;
  struct load_result result;
  enum status status = token_writer_open(tokens, session, &writer, error);
  if (status != STATUS_OK) return status;
  status = tokens_claim(tokens, &FLIGHTS, token, 0, &state, &result, error);
  if (status == STATUS_OK) {
    assert_int_equal(state, TOKEN_NEW);
    status = engine_begin(session, error);
    if (status == STATUS_OK) {
      status = token_writer_put(writer, &record, 1, error);
      if (status == STATUS_OK)
        status = engine_commit(session, error);
      else
        engine_rollback(session);
    }
    world->landed += status == STATUS_OK;
    tokens_settle(tokens, &FLIGHTS, token, status == STATUS_OK ? &landed : NULL);
  }
  token_writer_close(writer);
  return status;
}

static enum status ask_again(struct tokens *tokens, const char *token, struct error *error) {
  enum token_state state;
  struct load_result result;
  enum status status = tokens_claim(tokens, &FLIGHTS, token, 0, &state, &result, error);
  if (status != STATUS_OK) return status;
  assert_int_equal(state, TOKEN_LANDED);
  assert_int_equal(result.rows, 3);
  assert_string_equal(result.changes, "added column \"gate\" VARCHAR");
  load_result_release(&result);
  return STATUS_OK;
}

/* One that landed before the start: the table is asked. */
static enum status look_up(void *context, struct error *error) {
  struct world *world = context;
  struct tokens *tokens = NULL;
  enum status status = tokens_open(world->engine, &options, &tokens, error);
  if (status == STATUS_OK) status = ask_again(tokens, "n0", error);
  tokens_close(tokens);
  return status;
}

/* Opens, lands one and asks for it. */
static enum status use_tokens(void *context, struct error *error) {
  struct world *world = context;
  struct tokens *tokens = NULL;
  struct engine_session *session = NULL;
  char token[32];
  int64_t forgotten;
  snprintf(token, sizeof token, "n%lld", (long long)world->number++);
  enum status status = tokens_open(world->engine, &options, &tokens, error);
  if (status == STATUS_OK) status = engine_session_open(world->engine, &session, error);
  if (status == STATUS_OK) status = land(world, tokens, session, token, error);
  if (status == STATUS_OK) status = ask_again(tokens, token, error);
  if (status == STATUS_OK) status = tokens_sweep(tokens, &forgotten, error);
  tokens_close(tokens);
  engine_session_close(session);
  return status;
}

static void tokens_are_kept_or_there_is_no_memory(void **state) {
  (void)state;
  struct world world = {0};
  struct error error = {0};
  struct engine_session *session;
  struct tokens *tokens;
  int64_t count, memory_bytes;
  assert_int_equal(engine_open(&(struct engine_options){.threads = 1}, &world.engine, &error),
                   STATUS_OK);
  assert_int_equal(use_tokens(&world, &error), STATUS_OK); /* the tables are there */
  /* What can be done without: a generation that is made later, an answer that the table has, too. */
  assert_true(nomem_run("landing tokens", use_tokens, &world, 12) > 30);
  assert_true(nomem_run("looking tokens up", look_up, &world, 12) > 30);
  assert_int_equal(engine_session_open(world.engine, &session, &error), STATUS_OK);
  engine_session_close(session);
  assert_int_equal(tokens_open(world.engine, &options, &tokens, &error), STATUS_OK);
  tokens_look(tokens, &count, &memory_bytes);
  assert_int_equal(count, world.landed);
  tokens_close(tokens);
  engine_close(world.engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(tokens_are_kept_or_there_is_no_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
