/* The allocations of a run are numbered from 1 on. What is held lies in a table by address:
 * what is given back without having been taken in the run is not our business. */
#include "nomem/nomem.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>
#include <lz4frame.h>
#include <zstd.h>

enum { HELD_MAX = 1 << 18, LZ4F_NO_MEMORY = 9 /* LZ4F_ERROR_allocation_failed */ };

enum mode { COUNT, ONE, ALL_FROM, ONE_REPEATED, BUDGETED, MODES };

static const char *const mode_names[MODES] = {"none fails", "it alone fails", "all from it on fail",
                                              "it fails and the step is repeated",
                                              "the budget has little room"};

/* A buffer's charge is a multiple of 64 bytes; steps grow, or large batches would take hours. */
enum { ROOM_STEP_BYTES = 64, ROOM_STEPS = 16, ROOM_BYTES_MAX = 64 << 20 };

struct budget nomem_budget = {.limit_bytes = ROOM_BYTES_MAX};

static struct {
  pthread_mutex_t lock;
  bool is_running; /* an operation, which may pause */
  bool is_armed;
  enum mode mode;
  int64_t count;   /* allocations so far */
  int64_t fail_at; /* the first that fails */
  bool has_failed;
  bool is_repeatable;    /* nomem_again was asked */
  int64_t charged_bytes; /* before the run */
  bool is_forgiven;
  int64_t held_count;
  struct held {
    void *address; /* NULL: the place is free */
    int64_t number;
  } held[HELD_MAX];
} run = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- what is held -------------------------------------------------------------------------- */

static size_t home(const void *address) {
  return (size_t)((uintptr_t)address * 0x9E3779B97F4A7C15U >> 40) % HELD_MAX;
}

/* Where the address lies, or would lie. */
static size_t find(const void *address) {
  size_t at = home(address);
  while (run.held[at].address != NULL && run.held[at].address != address) at = (at + 1) % HELD_MAX;
  return at;
}

static void hold(void *address, int64_t number) {
  if (address == NULL || number == 0) return;
  pthread_mutex_lock(&run.lock);
  if (++run.held_count >= HELD_MAX) abort();
  run.held[find(address)] = (struct held){address, number};
  pthread_mutex_unlock(&run.lock);
}

/* Returns the number that it was taken with; 0: not in a run. Places behind it move up, so
 * that none is looked for in vain. */
static int64_t let_go(const void *address) {
  if (address == NULL) return 0;
  pthread_mutex_lock(&run.lock);
  size_t hole = find(address);
  int64_t number = run.held[hole].number;
  bool is_held = run.held[hole].address != NULL;
  for (size_t at = (hole + 1) % HELD_MAX; is_held && run.held[at].address != NULL;
       at = (at + 1) % HELD_MAX) {
    size_t away = (at + HELD_MAX - home(run.held[at].address)) % HELD_MAX;
    if (away < (at + HELD_MAX - hole) % HELD_MAX) continue;
    run.held[hole] = run.held[at];
    hole = at;
  }
  run.held[hole] = (struct held){NULL, 0};
  run.held_count -= is_held;
  pthread_mutex_unlock(&run.lock);
  return is_held ? number : 0;
}

/* ---- what is asked for ------------------------------------------------------------------------ */

/* Where a debugger stops to see who is refused. */
static bool refuse(void) {
  run.has_failed = true;
  errno = ENOMEM;
  return true;
}

/* Whether the next allocation fails; its number, or 0 outside a run. */
static bool is_refused(int64_t *number) {
  *number = 0;
  pthread_mutex_lock(&run.lock);
  bool fails = false;
  if (run.is_armed) {
    *number = ++run.count;
    fails =
        run.mode == ALL_FROM ? run.count >= run.fail_at : run.count == run.fail_at; /* 0: none */
    if (fails) refuse();
  }
  pthread_mutex_unlock(&run.lock);
  return fails;
}

/* The linker gives our objects these in place of those without the prefix. */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *data, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t bytes);
void __real_free(void *data);
ZSTD_CCtx *__real_ZSTD_createCCtx(void);
size_t __real_ZSTD_freeCCtx(ZSTD_CCtx *made);
ZSTD_DCtx *__real_ZSTD_createDCtx(void);
size_t __real_ZSTD_freeDCtx(ZSTD_DCtx *made);
size_t __real_LZ4F_createCompressionContext(LZ4F_cctx **made, unsigned version);
size_t __real_LZ4F_freeCompressionContext(LZ4F_cctx *made);
size_t __real_LZ4F_createDecompressionContext(LZ4F_dctx **made, unsigned version);
size_t __real_LZ4F_freeDecompressionContext(LZ4F_dctx *made);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *data, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);
void __wrap_free(void *data);
ZSTD_CCtx *__wrap_ZSTD_createCCtx(void);
size_t __wrap_ZSTD_freeCCtx(ZSTD_CCtx *made);
ZSTD_DCtx *__wrap_ZSTD_createDCtx(void);
size_t __wrap_ZSTD_freeDCtx(ZSTD_DCtx *made);
size_t __wrap_LZ4F_createCompressionContext(LZ4F_cctx **made, unsigned version);
size_t __wrap_LZ4F_freeCompressionContext(LZ4F_cctx *made);
size_t __wrap_LZ4F_createDecompressionContext(LZ4F_dctx **made, unsigned version);
size_t __wrap_LZ4F_freeDecompressionContext(LZ4F_dctx *made);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);

void *__wrap_malloc(size_t bytes) {
  int64_t number;
  void *made = is_refused(&number) ? NULL : __real_malloc(bytes);
  hold(made, number);
  return made;
}

void *__wrap_calloc(size_t count, size_t bytes) {
  int64_t number;
  void *made = is_refused(&number) ? NULL : __real_calloc(count, bytes);
  hold(made, number);
  return made;
}

/* What was taken outside a run stays outside. */
void *__wrap_realloc(void *data, size_t bytes) {
  int64_t number;
  if (is_refused(&number)) return NULL;
  int64_t before = let_go(data);
  if (data != NULL && before == 0) number = 0;
  void *made = __real_realloc(data, bytes);
  if (made == NULL)
    hold(data, before);
  else
    hold(made, number);
  return made;
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
  int64_t number;
  void *made = is_refused(&number) ? NULL : __real_aligned_alloc(alignment, bytes);
  hold(made, number);
  return made;
}

char *__wrap_strdup(const char *text) {
  int64_t number;
  char *made = is_refused(&number) ? NULL : __real_strdup(text);
  hold(made, number);
  return made;
}

char *__wrap_strndup(const char *text, size_t bytes) {
  int64_t number;
  char *made = is_refused(&number) ? NULL : __real_strndup(text, bytes);
  hold(made, number);
  return made;
}

void __wrap_free(void *data) {
  let_go(data);
  __real_free(data);
}

ZSTD_CCtx *__wrap_ZSTD_createCCtx(void) {
  int64_t number;
  ZSTD_CCtx *made = is_refused(&number) ? NULL : __real_ZSTD_createCCtx();
  hold(made, number);
  return made;
}

size_t __wrap_ZSTD_freeCCtx(ZSTD_CCtx *made) {
  let_go(made);
  return __real_ZSTD_freeCCtx(made);
}

ZSTD_DCtx *__wrap_ZSTD_createDCtx(void) {
  int64_t number;
  ZSTD_DCtx *made = is_refused(&number) ? NULL : __real_ZSTD_createDCtx();
  hold(made, number);
  return made;
}

size_t __wrap_ZSTD_freeDCtx(ZSTD_DCtx *made) {
  let_go(made);
  return __real_ZSTD_freeDCtx(made);
}

size_t __wrap_LZ4F_createCompressionContext(LZ4F_cctx **made, unsigned version) {
  int64_t number;
  if (is_refused(&number)) return (size_t)-LZ4F_NO_MEMORY;
  size_t code = __real_LZ4F_createCompressionContext(made, version);
  if (!LZ4F_isError(code)) hold(*made, number);
  return code;
}

size_t __wrap_LZ4F_freeCompressionContext(LZ4F_cctx *made) {
  let_go(made);
  return __real_LZ4F_freeCompressionContext(made);
}

size_t __wrap_LZ4F_createDecompressionContext(LZ4F_dctx **made, unsigned version) {
  int64_t number;
  if (is_refused(&number)) return (size_t)-LZ4F_NO_MEMORY;
  size_t code = __real_LZ4F_createDecompressionContext(made, version);
  if (!LZ4F_isError(code)) hold(*made, number);
  return code;
}

size_t __wrap_LZ4F_freeDecompressionContext(LZ4F_dctx *made) {
  let_go(made);
  return __real_LZ4F_freeDecompressionContext(made);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument) {
  int64_t number;
  return is_refused(&number) ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

/* ---- runs ------------------------------------------------------------------------------------- */

bool nomem_again_budget(enum status status) {
  run.is_repeatable = true;
  if (run.mode != BUDGETED || status != STATUS_BUDGET || nomem_budget.limit_bytes > ROOM_BYTES_MAX)
    return false;
  int64_t room_bytes = nomem_budget.limit_bytes - run.charged_bytes;
  nomem_budget.limit_bytes +=
      ROOM_STEP_BYTES + room_bytes / ROOM_STEPS / ROOM_STEP_BYTES * ROOM_STEP_BYTES;
  return true;
}

bool nomem_again(enum status status) {
  if (nomem_again_budget(status)) return true;
  if (run.mode != ONE_REPEATED || status != STATUS_NOMEM || !run.has_failed || run.is_forgiven)
    return false;
  run.is_forgiven = true;
  return true;
}

static void arm(bool is_armed) {
  pthread_mutex_lock(&run.lock);
  run.is_armed = is_armed;
  pthread_mutex_unlock(&run.lock);
}

void nomem_pause(void) { arm(false); }
void nomem_resume(void) { arm(run.is_running); }

static enum status run_once(enum mode mode, int64_t fail_at, nomem_operation operation,
                            void *context, struct error *error) {
  *error = (struct error){.status = STATUS_OK};
  run.mode = mode;
  run.fail_at = fail_at;
  run.count = 0;
  run.has_failed = false;
  run.is_forgiven = false;
  run.is_running = true;
  arm(true);
  enum status status = operation(context, error);
  arm(false);
  run.is_running = false;
  return status;
}

/* The number of one that is held. */
static int64_t first_held(void) {
  for (size_t i = 0; i < HELD_MAX; i++)
    if (run.held[i].address != NULL) return run.held[i].number;
  return 0;
}

static void expect_nothing_held(const char *what, int64_t fail_at) {
  if (run.held_count != 0)
    fail_msg("%s, allocation %" PRId64 ", %s: %" PRId64
             " are not given back, one is number %" PRId64,
             what, fail_at, mode_names[run.mode], run.held_count, first_held());
  if (nomem_budget.used_bytes != run.charged_bytes)
    fail_msg("%s, allocation %" PRId64 ", %s: %" PRId64 " bytes are still charged", what, fail_at,
             mode_names[run.mode], nomem_budget.used_bytes - run.charged_bytes);
}

/* Whether the operation could do without what failed, and with what status it ended. */
static bool expect_refusal(const char *what, int64_t fail_at, enum status status, bool may_succeed,
                           const struct error *error) {
  enum status wanted = run.is_forgiven ? STATUS_OK : STATUS_NOMEM;
  if (status == STATUS_OK && wanted == STATUS_NOMEM && may_succeed) return true;
  if (!run.has_failed)
    fail_msg("%s, allocation %" PRId64 ", %s: there was none of that number", what, fail_at,
             mode_names[run.mode]);
  if (status != wanted)
    fail_msg("%s, allocation %" PRId64 ", %s: %s (%s), not %s", what, fail_at, mode_names[run.mode],
             status_name(status), error->text, status_name(wanted));
  if (status != STATUS_OK && (error->status != status || error->text[0] == '\0'))
    fail_msg("%s, allocation %" PRId64 ", %s: the error says nothing", what, fail_at,
             mode_names[run.mode]);
  return false;
}

/* What cannot be repeated in itself is repeated from its beginning. */
static void run_budgeted(const char *what, nomem_operation operation, void *context) {
  struct error error;
  int64_t limit_bytes = nomem_budget.limit_bytes;
  enum status status;
  nomem_budget.limit_bytes = run.charged_bytes;
  do {
    status = run_once(BUDGETED, 0, operation, context, &error);
    expect_nothing_held(what, 0);
  } while (nomem_again_budget(status));
  nomem_budget.limit_bytes = limit_bytes;
  if (status != STATUS_OK)
    fail_msg("%s, %s: %s: %s", what, mode_names[BUDGETED], status_name(status), error.text);
}

int64_t nomem_run(const char *what, nomem_operation operation, void *context, int64_t spared_max) {
  return nomem_run_some(what, operation, context, spared_max, 1);
}

int64_t nomem_run_some(const char *what, nomem_operation operation, void *context,
                       int64_t spared_max, int64_t step) {
  struct error error;
  run.charged_bytes = nomem_budget.used_bytes;
  run.is_repeatable = false;
  run.held_count = 0; /* of a test that failed before */
  memset(run.held, 0, sizeof run.held);
  if (getenv("NOMEM_ALL") != NULL) step = 1;
  enum status status = run_once(COUNT, 0, operation, context, &error);
  if (status != STATUS_OK) fail_msg("%s: %s: %s", what, status_name(status), error.text);
  int64_t count = run.count;
  expect_nothing_held(what, 0);
  enum mode last = run.is_repeatable ? ONE_REPEATED : ALL_FROM;
  for (enum mode mode = ONE; mode <= last; mode++) {
    int64_t spared = 0;
    for (int64_t i = 1; i <= count; i += step) {
      status = run_once(mode, i, operation, context, &error);
      spared += expect_refusal(what, i, status, spared < spared_max, &error);
      expect_nothing_held(what, i);
    }
  }
  if (run.is_repeatable) run_budgeted(what, operation, context);
  return count;
}
