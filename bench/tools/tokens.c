/* What tokens cost, in a new database at PATH:
 *
 *   tokens PATH [COUNT]
 *
 * COUNT (400,000) tokens are claimed, recorded and settled, a hundred a commit, on one thread; then a
 * database of as many is opened, one that landed is looked for, and the older half is forgotten.
 * Prints one JSON object: microseconds of a put of a hundred within its transaction (the median, and
 * what a processor worked for it), of the commit, of a hundred claims and settles, and of a look; seconds of opening and of forgetting; bytes of memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "sink/tokens.h"

enum { GROUP = 100, NAME_BYTES = 48, HOUR = 3600, LOOKS = 50 };

static int64_t shift_us; /* of the clocks: a day goes by in seconds */

static int64_t wall_us(void) { return clock_wall_us() + shift_us; }
static int64_t monotonic_us(void) { return clock_now_us() + shift_us; }

static void ok(enum status status, const struct error *error) {
  if (status == STATUS_OK) return;
  fprintf(stderr, "%s: %s\n", status_name(status), error->text);
  exit(status_exit(status));
}

static const struct table_name table = {.table = "flights"};
static const struct tokens_options options = {.retention_s = 24 * HOUR,
                                              .count_max = 4000000,
                                              .wall_us = wall_us,
                                              .monotonic_us = monotonic_us};

static struct engine *open_engine(const char *path) {
  struct engine *engine;
  struct error error;
  ok(engine_open(&(struct engine_options){.path = path, .checkpoint_wal_bytes = 64 << 20}, &engine,
                 &error),
     &error);
  return engine;
}

struct times {
  int64_t claim_us, put_cpu_us, commit_us, settle_us;
  int64_t *put_us; /* of each group */
};

static int64_t cpu_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int compare(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

static void land_group(struct tokens *tokens, struct engine_session *session,
                       struct token_writer *writer, int64_t first, struct times *times) {
  static char names[GROUP][NAME_BYTES];
  struct token_record records[GROUP];
  struct error error;
  int64_t began_us = clock_now_us();
  for (int i = 0; i < GROUP; i++) {
    enum token_state state;
    struct load_result result;
    snprintf(names[i], sizeof names[i], "0192f0c1-7d11-7a61-9e0f-%012" PRId64, first + i);
    ok(tokens_claim(tokens, &table, names[i], 0, &state, &result, &error), &error);
    records[i] = (struct token_record){&table, names[i], 100, 1, -1, NULL};
  }
  int64_t claimed_us = clock_now_us();
  ok(engine_begin(session, &error), &error);
  int64_t begun_us = clock_now_us(), worked_us = cpu_us();
  ok(token_writer_put(writer, records, GROUP, &error), &error);
  int64_t put_us = clock_now_us();
  times->put_cpu_us += cpu_us() - worked_us;
  ok(engine_commit(session, &error), &error);
  int64_t committed_us = clock_now_us();
  for (int i = 0; i < GROUP; i++)
    tokens_settle(tokens, &table, names[i], &(struct load_result){.rows = 100, .version = -1});
  times->claim_us += claimed_us - began_us;
  times->put_us[first / GROUP] = put_us - begun_us;
  times->commit_us += committed_us - put_us;
  times->settle_us += clock_now_us() - committed_us;
}

static void land_all(const char *path, int64_t count, struct times *times) {
  struct engine *engine = open_engine(path);
  struct engine_session *session;
  struct tokens *tokens;
  struct token_writer *writer;
  struct error error;
  ok(tokens_open(engine, &options, &tokens, &error), &error);
  ok(engine_session_open(engine, &session, &error), &error);
  ok(token_writer_open(tokens, session, &writer, &error), &error);
  for (int64_t first = 0; first < count; first += GROUP) {
    land_group(tokens, session, writer, first, times);
    shift_us += (int64_t)23 * HOUR * 1000000 / (count / GROUP);
  }
  token_writer_close(writer);
  engine_session_close(session);
  tokens_close(tokens);
  engine_close(engine);
}

/* One in `count` / LOOKS of those that landed. */
static int64_t look_all(struct tokens *tokens, int64_t count) {
  int64_t began_us = clock_now_us();
  for (int64_t i = 0; i < LOOKS; i++) {
    char name[NAME_BYTES];
    enum token_state state;
    struct load_result result;
    struct error error;
    snprintf(name, sizeof name, "0192f0c1-7d11-7a61-9e0f-%012" PRId64, i * (count / LOOKS));
    ok(tokens_claim(tokens, &table, name, 0, &state, &result, &error), &error);
    if (state != TOKEN_LANDED) ok(error_set(&error, STATUS_INTERNAL, "%s is lost", name), &error);
    load_result_release(&result);
  }
  return (clock_now_us() - began_us) / LOOKS;
}

int main(int argc, char **argv) {
  int64_t count = argc > 2 ? strtoll(argv[2], NULL, 10) : 400000;
  if (argc < 2 || count < GROUP * LOOKS) {
    fprintf(stderr, "usage: tokens PATH [COUNT]\n");
    return 2;
  }
  struct times times = {.put_us = calloc((size_t)(count / GROUP) + 1, sizeof *times.put_us)};
  if (times.put_us == NULL) return 11;
  struct tokens *tokens;
  struct error error;
  land_all(argv[1], count, &times);
  struct engine *engine = open_engine(argv[1]);
  int64_t began_us = clock_now_us(), known, memory_bytes, forgotten;
  ok(tokens_open(engine, &options, &tokens, &error), &error);
  int64_t opened_us = clock_now_us() - began_us;
  tokens_look(tokens, &known, &memory_bytes);
  int64_t look_us = look_all(tokens, count);
  shift_us += (int64_t)12 * HOUR * 1000000;
  began_us = clock_now_us();
  ok(tokens_sweep(tokens, &forgotten, &error), &error);
  int64_t swept_us = clock_now_us() - began_us, left, left_bytes, groups = count / GROUP;
  tokens_look(tokens, &left, &left_bytes);
  qsort(times.put_us, (size_t)groups, sizeof *times.put_us, compare);
  printf("{\"tokens\": %" PRId64 ", \"put_100_us\": %" PRId64 ", \"put_100_cpu_us\": %" PRId64
         ", \"commit_us\": %" PRId64 ", \"claim_100_us\": %" PRId64 ", \"settle_100_us\": %" PRId64
         ", \"open_s\": %.3f"
         ", \"memory_bytes\": %" PRId64 ", \"look_us\": %" PRId64 ", \"sweep_s\": %.3f"
         ", \"swept\": %" PRId64 "}\n",
         known, times.put_us[groups / 2], times.put_cpu_us / groups, times.commit_us / groups,
         times.claim_us / groups, times.settle_us / groups, (double)opened_us / 1e6, memory_bytes,
         look_us, (double)swept_us / 1e6, known - left);
  tokens_close(tokens);
  engine_close(engine);
  free(times.put_us);
  return 0;
}
