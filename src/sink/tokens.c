/* Tokens: claims, looks, the writer, forgetting.
 *
 * What is where: the table of a database (token_table.h) says which tokens have landed; the index
 * (token_index.h) holds a hash of each in memory; the map (token_map.h) holds those that are under
 * way, and the last ones with what they were answered.
 *
 *   (unknown) --claim--> held --settle(result)--> one of the last ones, hash in the index
 *       ^                  |                               |
 *       |                  +--settle(NULL)--> (unknown)    +--pushed out--> hash in the index
 *       |                                                                        |
 *       +--sweep------------------------------------------------------- forgotten+
 *
 * Invariants
 * 1. A token is held by one thread at a time, from its claim until it is settled. A claim that looks
 *    into the table holds it as well, so one look serves all who ask meanwhile.
 * 2. What landed is in the table (by the commit) before it is in the index (by settle), and it is
 *    held in between: there is no moment at which a look misses it.
 * 3. Each one that is held has its place in the index reserved: settle cannot fail.
 * 4. Forgetting removes from the table first, and from memory then. A crash in between, or a failure,
 *    leaves hashes that no row answers for, or nothing: never a token that memory does not know and
 *    that was promised to be remembered. One whose row is gone and whose hash is still known costs a
 *    look and is new; one that is forgotten and whose row is still there (it landed while it was
 *    counted) is remembered once more by the next start.
 * 5. Time is that of a clock that never goes back: it starts at the wall clock, or at the latest
 *    `landed` of the table where that is later, and goes on by the monotonic one. A wall clock that
 *    is set while the program runs changes nothing; one that was set back between two runs makes
 *    tokens live longer; one that is set forward makes the next start forget early.
 *
 * 6. When DuckDB has put the database out of use and the engine has opened it anew, everything is read
 *    again before the next claim: a commit that ended without saying how may have landed.
 *
 * Locks: `table_lock` before `lock`; none is held while DuckDB works but `table_lock` and
 * `sweep_lock`. Sessions are not kept: they would keep a dead database open. */
#include "sink/tokens.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/rand.h>

#include "arrow/build.h"
#include "base/clock.h"
#include "sink/token_index.h"
#include "sink/token_map.h"
#include "sink/token_table.h"

enum { RETRY_MS = 1000, COLUMNS = 8, PUT_BYTES_MAX = 1 << 30, SWEEP_AGAIN_US = 10000000 };

struct tokens {
  struct engine *engine;
  struct token_table table;
  bool read_only;
  int64_t (*monotonic_us)(void);
  int64_t start_us;
  pthread_mutex_t table_lock; /* one look at a time, and nobody else makes the tables */
  pthread_mutex_t sweep_lock;
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t settled;
  int64_t waiting;    /* threads that wait for it */
  int64_t generation; /* of the engine: what is here was read from that one */
  int64_t base_us;    /* it is base_us + monotonic - start_us: invariant 5 */
  enum token_table_state state;
  bool has_older;       /* the table holds tokens that were too old to be read */
  int64_t forgotten_us; /* what landed before is forgotten */
  int64_t sweep_us;     /* after a failure: not again before */
  struct token_index *index;
  struct token_map *map;
  int64_t held_count;
  int64_t retention_us, count_max;
};

/* `lock` is held. */
static int64_t now_us(const struct tokens *tokens) {
  return tokens->base_us + tokens->monotonic_us() - tokens->start_us;
}

/* ---- names and hashes ---------------------------------------------------------------------------- */

/* Part of the format: FNV-1a, 64 bits, of the table's name, a zero byte and the token; mixed. */
static uint64_t hash_of(const char *table, const char *token) {
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  for (const char *at = table; *at != '\0'; at++)
    hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001B3);
  hash *= UINT64_C(0x100000001B3);
  for (const char *at = token; *at != '\0'; at++)
    hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001B3);
  hash = (hash ^ (hash >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
  hash = (hash ^ (hash >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
  return hash ^ (hash >> 32);
}

/* A table's name as the table of tokens has it: what table_name_print gives of the lower-case name
 * without catalog, and without the schema main. In room of its own, so that it cannot fail. */
struct key_space {
  char table[2 * (2 * TABLE_NAME_BYTES_MAX + 2) + 2];
};

static char *add_part(char *at, const char *part) {
  bool quote = strpbrk(part, ".\"") != NULL;
  if (quote) *at++ = '"';
  for (; *part != '\0'; part++) {
    if (*part == '"') *at++ = '"';
    *at++ = (char)(*part >= 'A' && *part <= 'Z' ? *part - 'A' + 'a' : *part);
  }
  if (quote) *at++ = '"';
  return at;
}

/* `key` points into `space` and to `token`. */
static enum status key_of(const struct table_name *table, const char *token,
                          struct key_space *space, struct token_key *key, struct error *error) {
  size_t bytes = token == NULL ? 0 : strnlen(token, TOKEN_BYTES_MAX + 1);
  if (bytes == 0 || bytes > TOKEN_BYTES_MAX)
    return error_set(error, STATUS_INVALID, "a token has 1 to %d bytes, and this one has %s",
                     (int)TOKEN_BYTES_MAX, bytes == 0 ? "none" : "more");
  if (utf8_valid_bytes((const uint8_t *)token, bytes) != bytes)
    return error_set(error, STATUS_INVALID, "a token is UTF-8, and this one is not");
  char *at = space->table;
  if (table->schema[0] != '\0' && strcasecmp(table->schema, "main") != 0) {
    at = add_part(at, table->schema);
    *at++ = '.';
  }
  at = add_part(at, table->table);
  *at = '\0';
  *key = (struct token_key){space->table, token, hash_of(space->table, token)};
  return STATUS_OK;
}

/* ---- opening ---------------------------------------------------------------------------------------- */

/* What is read of the table, before it takes its place. */
struct reading {
  int64_t generation;
  enum token_table_state state;
  struct token_index *index;
  int64_t now_us;
  bool has_older;
};

/* Reads what landed and is not too old. */
static enum status read_landed(const struct tokens *tokens, struct engine_session *session,
                               int64_t retention_us, int64_t count_max, struct reading *reading,
                               struct error *error) {
  struct token_table_extent extent;
  enum status status = token_table_extent(&tokens->table, session, &extent, error);
  if (status != STATUS_OK || extent.count == 0) return status;
  if (extent.last_us > reading->now_us) reading->now_us = extent.last_us;
  int64_t from_us = reading->now_us - retention_us;
  reading->has_older = extent.first_us < from_us;
  if (extent.last_us < from_us) return STATUS_OK;
  const struct token_table_span span = {
      .from_us = from_us > extent.first_us ? from_us : extent.first_us,
      .to_us = extent.last_us,
      .part_us = retention_us / TOKEN_INDEX_PARTS,
      .count_max = count_max,
  };
  return token_table_load(&tokens->table, session, &span, reading->index, error);
}

/* Takes the place of what was there; `lock` is held. */
static enum status take_over(struct tokens *tokens, struct reading *reading, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < tokens->held_count && status == STATUS_OK; i++)
    status = token_index_reserve(reading->index, error);
  if (status != STATUS_OK) return status;
  struct token_index *before = tokens->index;
  tokens->index = reading->index;
  reading->index = before;
  tokens->generation = reading->generation;
  tokens->state = reading->state;
  tokens->has_older = reading->has_older;
  int64_t ahead_us = reading->now_us - now_us(tokens);
  if (ahead_us > 0) tokens->base_us += ahead_us;
  token_index_limit(tokens->index, tokens->retention_us, tokens->count_max);
  token_map_forget(tokens->map, INT64_MAX);
  return STATUS_OK;
}

/* Reads everything, if that of the engine's present generation is not read yet. */
static enum status read_all(struct tokens *tokens, const char *catalog, struct error *error) {
  struct reading reading = {.generation = engine_generation(tokens->engine)};
  struct engine_session *session = NULL;
  uint64_t seed;
  pthread_mutex_lock(&tokens->table_lock);
  pthread_mutex_lock(&tokens->lock);
  bool is_read = tokens->generation == reading.generation;
  int64_t retention_us = tokens->retention_us, count_max = tokens->count_max;
  reading.now_us = now_us(tokens);
  pthread_mutex_unlock(&tokens->lock);
  enum status status = STATUS_OK;
  if (is_read) goto done;
  if (RAND_bytes((uint8_t *)&seed, sizeof seed) != 1)
    status = error_set(error, STATUS_INTERNAL, "the system gives no random numbers");
  if (status == STATUS_OK) status = engine_session_open(tokens->engine, &session, error);
  if (status == STATUS_OK && tokens->table.schema_sql.size_bytes == 0)
    status = token_table_init(&tokens->table, session, catalog, error);
  if (status == STATUS_OK)
    status =
        token_table_inspect(&tokens->table, session, !tokens->read_only, &reading.state, error);
  if (status == STATUS_OK)
    status = token_index_new(retention_us, count_max, seed, &reading.index, error);
  if (status == STATUS_OK && reading.state == TOKEN_TABLE_READY)
    status = read_landed(tokens, session, retention_us, count_max, &reading, error);
  if (status != STATUS_OK) goto done;
  pthread_mutex_lock(&tokens->lock);
  status = take_over(tokens, &reading, error);
  pthread_mutex_unlock(&tokens->lock);

done:
  pthread_mutex_unlock(&tokens->table_lock);
  token_index_free(reading.index);
  engine_session_close(session);
  return status;
}

enum status tokens_open(struct engine *engine, const struct tokens_options *options,
                        struct tokens **out, struct error *error) {
  *out = NULL;
  struct tokens *tokens = calloc(1, sizeof *tokens);
  if (tokens == NULL) return error_set(error, STATUS_NOMEM, "no memory to remember tokens");
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&tokens->settled, &attributes);
  pthread_condattr_destroy(&attributes);
  pthread_mutex_init(&tokens->lock, NULL);
  pthread_mutex_init(&tokens->table_lock, NULL);
  pthread_mutex_init(&tokens->sweep_lock, NULL);
  tokens->engine = engine;
  tokens->read_only = options->read_only;
  tokens->retention_us = options->retention_s * 1000000;
  tokens->count_max = options->count_max;
  tokens->monotonic_us = options->monotonic_us != NULL ? options->monotonic_us : clock_now_us;
  tokens->start_us = tokens->monotonic_us();
  tokens->base_us = options->wall_us != NULL ? options->wall_us() : clock_wall_us();
  enum status status = token_map_new(&tokens->map, error);
  if (status == STATUS_OK) status = read_all(tokens, options->catalog, error);
  if (status != STATUS_OK) {
    tokens_close(tokens);
    return status;
  }
  *out = tokens;
  return STATUS_OK;
}

void tokens_close(struct tokens *tokens) {
  if (tokens == NULL) return;
  token_map_free(tokens->map);
  token_index_free(tokens->index);
  token_table_release(&tokens->table);
  pthread_mutex_destroy(&tokens->sweep_lock);
  pthread_mutex_destroy(&tokens->table_lock);
  pthread_mutex_destroy(&tokens->lock);
  pthread_cond_destroy(&tokens->settled);
  free(tokens);
}

void tokens_limit(struct tokens *tokens, int64_t retention_s, int64_t count_max) {
  pthread_mutex_lock(&tokens->lock);
  tokens->retention_us = retention_s * 1000000;
  tokens->count_max = count_max;
  token_index_limit(tokens->index, tokens->retention_us, count_max);
  pthread_mutex_unlock(&tokens->lock);
}

void tokens_look(struct tokens *tokens, int64_t *count, int64_t *memory_bytes) {
  pthread_mutex_lock(&tokens->lock);
  token_index_look(tokens->index, count, memory_bytes);
  *memory_bytes += token_map_memory_bytes(tokens->map);
  pthread_mutex_unlock(&tokens->lock);
}

/* ---- the state of the table ------------------------------------------------------------------------ */

static enum token_table_state state_now(struct tokens *tokens) {
  pthread_mutex_lock(&tokens->lock);
  enum token_table_state state = tokens->state;
  pthread_mutex_unlock(&tokens->lock);
  return state;
}

/* Looks again at what is there; `table_lock` is held. */
static enum status look_again(struct tokens *tokens, struct engine_session *session,
                              enum token_table_state *state, struct error *error) {
  enum status status =
      token_table_inspect(&tokens->table, session, !tokens->read_only, state, error);
  if (status != STATUS_OK) return status;
  pthread_mutex_lock(&tokens->lock);
  tokens->state = *state;
  pthread_mutex_unlock(&tokens->lock);
  return STATUS_OK;
}

/* The table is there when it returns STATUS_OK; `made`: it was not. */
static enum status make_table(struct tokens *tokens, bool *made, struct error *error) {
  enum token_table_state state;
  *made = false;
  if (tokens->read_only)
    return error_set(error, STATUS_UNAVAILABLE, "the database is open for reading only");
  struct engine_session *session;
  enum status status = engine_session_open(tokens->engine, &session, error);
  if (status != STATUS_OK) return status;
  pthread_mutex_lock(&tokens->table_lock);
  status = look_again(tokens, session, &state, error);
  if (status == STATUS_OK && state == TOKEN_TABLE_FOREIGN)
    status = token_table_foreign(&tokens->table, error);
  if (status == STATUS_OK && state == TOKEN_TABLE_NONE) {
    status = token_table_make(&tokens->table, session, error);
    *made = status == STATUS_OK;
    if (status == STATUS_OK) status = look_again(tokens, session, &state, error);
  }
  pthread_mutex_unlock(&tokens->table_lock);
  engine_session_close(session);
  return status;
}

/* ---- claims -------------------------------------------------------------------------------------------- */

/* Nobody holds the entry of this key any more; `lock` is held. */
static void wake(struct tokens *tokens) {
  if (tokens->waiting > 0) pthread_cond_broadcast(&tokens->settled);
}

static void give_up(struct tokens *tokens, struct token_entry *entry) {
  token_map_drop(tokens->map, entry);
  token_index_unreserve(tokens->index);
  tokens->held_count--;
  wake(tokens);
}

/* The entry of the key once nobody holds it, or when the time is over; NULL: there is none. `lock`
 * is held. */
static struct token_entry *await(struct tokens *tokens, const struct token_key *key, int wait_ms) {
  struct token_entry *entry = token_map_find(tokens->map, key);
  if (entry == NULL || !entry->is_held || wait_ms <= 0) return entry;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += wait_ms / 1000;
  until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  int waited = 0;
  tokens->waiting++;
  while (entry != NULL && entry->is_held && waited != ETIMEDOUT) {
    waited = pthread_cond_timedwait(&tokens->settled, &tokens->lock, &until);
    entry = token_map_find(tokens->map, key);
  }
  tokens->waiting--;
  return entry;
}

/* Asks the table; without one nothing has landed. */
static enum status ask_table(struct tokens *tokens, const struct token_key *key, int64_t from_us,
                             int64_t to_us, bool *found, int64_t *landed_us,
                             struct load_result *result, struct error *error) {
  enum token_table_state state;
  struct engine_session *session;
  pthread_mutex_lock(&tokens->table_lock);
  enum status status = engine_session_open(tokens->engine, &session, error);
  if (status != STATUS_OK) goto done;
  status = token_table_find(&tokens->table, session, key, from_us, to_us, found, landed_us, result,
                            error);
  /* Somebody may have dropped or changed it by SQL. */
  if (status == STATUS_INVALID && look_again(tokens, session, &state, error) == STATUS_OK &&
      state == TOKEN_TABLE_NONE)
    status = STATUS_OK;
  engine_session_close(session);

done:
  pthread_mutex_unlock(&tokens->table_lock);
  return status;
}

/* The entry is held by us, and its hash is known. `lock` is held, but not while DuckDB works. */
static enum status look_up(struct tokens *tokens, struct token_entry *entry, int64_t from_us,
                           int64_t to_us, enum token_state *state, struct load_result *result,
                           struct error *error) {
  bool found = false;
  int64_t landed_us = 0;
  pthread_mutex_unlock(&tokens->lock);
  /* Only who holds it drops it: its key stays. */
  enum status status =
      ask_table(tokens, &entry->key, from_us, to_us, &found, &landed_us, result, error);
  pthread_mutex_lock(&tokens->lock);
  if (status != STATUS_OK) {
    give_up(tokens, entry);
    return status;
  }
  if (!found) return STATUS_OK;
  *state = TOKEN_LANDED;
  result->repeated = true;
  entry->landed_us = landed_us;
  if (landed_us < tokens->forgotten_us) { /* while we looked */
    give_up(tokens, entry);
    return STATUS_OK;
  }
  token_map_keep(tokens->map, entry, result);
  token_index_unreserve(tokens->index);
  tokens->held_count--;
  wake(tokens);
  return STATUS_OK;
}

/* One of the last ones. */
static enum status copy_result(const struct token_entry *entry, struct load_result *result,
                               struct error *error) {
  char *changes = NULL;
  if (entry->result.changes != NULL) {
    changes = strdup(entry->result.changes);
    if (changes == NULL) return error_set(error, STATUS_NOMEM, "no memory for a load's answer");
  }
  *result = entry->result;
  result->changes = changes;
  result->repeated = true;
  return STATUS_OK;
}

static enum status hold(struct tokens *tokens, const struct token_key *key,
                        struct token_entry **entry, struct error *error) {
  enum status status = token_index_reserve(tokens->index, error);
  if (status != STATUS_OK) return status;
  status = token_map_hold(tokens->map, key, entry, error);
  if (status != STATUS_OK)
    token_index_unreserve(tokens->index);
  else
    tokens->held_count++;
  return status;
}

/* `lock` is held. `*is_outdated`: nothing was done, what is known is not of the present database. */
static enum status claim(struct tokens *tokens, const struct token_key *key, int wait_ms,
                         enum token_state *state, struct load_result *result, bool *is_outdated,
                         struct error *error) {
  *is_outdated = false;
  if (tokens->state == TOKEN_TABLE_FOREIGN) return token_table_foreign(&tokens->table, error);
  struct token_entry *entry = await(tokens, key, wait_ms);
  if (entry != NULL && !entry->is_held) {
    *state = TOKEN_LANDED;
    return copy_result(entry, result, error);
  }
  if (entry != NULL && wait_ms <= 0) {
    *state = TOKEN_BUSY;
    return STATUS_OK;
  }
  if (entry != NULL) {
    enum status status =
        error_set(error, STATUS_CONFLICT,
                  "a load of the same token is still under way after %d ms: ask again", wait_ms);
    if (error != NULL) error->retry_after_ms = RETRY_MS;
    return status;
  }
  /* Asked now, after whoever held it before has let it go: his commit may be what the database died
   * of. */
  *is_outdated = engine_generation(tokens->engine) != tokens->generation;
  if (*is_outdated) return STATUS_OK;
  int64_t from_us, to_us;
  enum status status = hold(tokens, key, &entry, error);
  if (status == STATUS_OK && token_index_find(tokens->index, key->hash, &from_us, &to_us))
    status = look_up(tokens, entry, from_us, to_us, state, result, error);
  return status;
}

enum status tokens_claim(struct tokens *tokens, const struct table_name *table, const char *token,
                         int wait_ms, enum token_state *state, struct load_result *result,
                         struct error *error) {
  struct key_space space;
  struct token_key key;
  *state = TOKEN_NEW;
  *result = (struct load_result){.version = -1};
  enum status status = key_of(table, token, &space, &key, error);
  bool is_outdated = false;
  do {
    if (is_outdated) status = read_all(tokens, NULL, error);
    if (status != STATUS_OK) return status;
    pthread_mutex_lock(&tokens->lock);
    status = claim(tokens, &key, wait_ms, state, result, &is_outdated, error);
    pthread_mutex_unlock(&tokens->lock);
  } while (status == STATUS_OK && is_outdated);
  return status;
}

void tokens_settle(struct tokens *tokens, const struct table_name *table, const char *token,
                   const struct load_result *result) {
  struct key_space space;
  struct token_key key;
  struct error ignored;
  if (key_of(table, token, &space, &key, &ignored) != STATUS_OK) return; /* nor was it claimed */
  pthread_mutex_lock(&tokens->lock);
  struct token_entry *entry = token_map_find(tokens->map, &key);
  assert(entry != NULL && entry->is_held);
  if (entry != NULL && entry->is_held && result == NULL) {
    give_up(tokens, entry);
  } else if (entry != NULL && entry->is_held) {
    int64_t now = now_us(tokens);
    if (entry->landed_us == 0) entry->landed_us = now;
    token_index_add(tokens->index, key.hash, entry->landed_us, now);
    token_map_keep(tokens->map, entry, result);
    tokens->held_count--;
    wake(tokens);
  }
  pthread_mutex_unlock(&tokens->lock);
}

/* ---- the writer ------------------------------------------------------------------------------------ */

struct token_writer {
  struct tokens *tokens;
  struct engine_session *session;
  struct engine_insert *insert;
  struct ArrowSchema schema;
  struct budget budget; /* of the rows of one put */
  struct build *build;  /* NULL after a failure: made anew */
};

static enum status make_schema(struct ArrowSchema *schema, struct error *error) {
  static const char *const fields[COLUMNS][2] = {
      {"id", "L"},      {"table_name", "u"}, {"token", "u"},   {"rows", "l"},
      {"batches", "l"}, {"version", "l"},    {"changes", "u"}, {"landed", "tsu:"},
  };
  enum status status = arrow_schema_init(schema, "+s", "", false, COLUMNS, error);
  for (int64_t i = 0; i < COLUMNS && status == STATUS_OK; i++)
    status = arrow_schema_init(schema->children[i], fields[i][1], fields[i][0], true, 0, error);
  return status;
}

enum status token_writer_open(struct tokens *tokens, struct engine_session *session,
                              struct token_writer **out, struct error *error) {
  struct token_writer *writer = calloc(1, sizeof *writer);
  bool made = false;
  *out = NULL;
  if (writer == NULL) return error_set(error, STATUS_NOMEM, "no memory for a writer of tokens");
  writer->tokens = tokens;
  writer->session = session;
  writer->budget.limit_bytes = PUT_BYTES_MAX;
  enum status status = make_schema(&writer->schema, error);
  if (status == STATUS_OK && (state_now(tokens) != TOKEN_TABLE_READY || tokens->read_only))
    status = make_table(tokens, &made, error);
  if (status != STATUS_OK) goto done;
  const struct table_name *name = &tokens->table.name;
  status = engine_insert_open(session, name, &writer->schema, &writer->insert, error);
  if (status != STATUS_NOT_FOUND && status != STATUS_SCHEMA) goto done;
  /* Somebody may have dropped it by SQL since we looked. */
  enum status again = make_table(tokens, &made, error);
  if (again == STATUS_OK)
    status = engine_insert_open(session, name, &writer->schema, &writer->insert, error);
  else
    status = again;

done:
  if (status != STATUS_OK) {
    token_writer_close(writer);
    writer = NULL;
  }
  *out = writer;
  return status;
}

void token_writer_close(struct token_writer *writer) {
  if (writer == NULL) return;
  engine_insert_close(writer->insert);
  build_free(writer->build);
  arrow_schema_release(&writer->schema);
  free(writer);
}

static enum status add_text(struct build *column, const char *text, struct error *error) {
  return text == NULL ? build_null(column, error)
                      : build_bytes(column, text, (int64_t)strlen(text), error);
}

static enum status add_row(struct build *build, const struct token_record *record,
                           const struct token_key *key, int64_t landed_us, struct error *error) {
  const int64_t integers[] = {record->rows, record->batches, record->version};
  enum status status = build_bytes(build_child(build, 0), &key->hash, sizeof key->hash, error);
  if (status == STATUS_OK) status = add_text(build_child(build, 1), key->table, error);
  if (status == STATUS_OK) status = add_text(build_child(build, 2), key->token, error);
  for (int i = 0; i < 3 && status == STATUS_OK; i++)
    status = build_integer(build_child(build, 3 + i), integers[i], error);
  if (status == STATUS_OK) status = add_text(build_child(build, 6), record->changes, error);
  if (status == STATUS_OK) status = build_integer(build_child(build, 7), landed_us, error);
  return status == STATUS_OK ? build_slot(build, error) : status;
}

/* Notes when it landed, so that it is later looked for at that time. */
static enum status note_landed(struct tokens *tokens, const struct token_key *key,
                               int64_t landed_us, struct error *error) {
  pthread_mutex_lock(&tokens->lock);
  struct token_entry *entry = token_map_find(tokens->map, key);
  bool is_held = entry != NULL && entry->is_held;
  if (is_held) entry->landed_us = landed_us;
  pthread_mutex_unlock(&tokens->lock);
  if (is_held) return STATUS_OK;
  return error_set(error, STATUS_INTERNAL, "a token is recorded that nobody has claimed");
}

static enum status build_rows(struct token_writer *writer, const struct token_record *records,
                              int64_t count, struct ArrowArray *batch, struct error *error) {
  struct key_space space;
  struct token_key key = {.table = NULL};
  struct tokens *tokens = writer->tokens;
  pthread_mutex_lock(&tokens->lock);
  int64_t landed_us = now_us(tokens);
  pthread_mutex_unlock(&tokens->lock);
  enum status status = STATUS_OK;
  if (writer->build == NULL)
    status = build_new(&writer->schema, &writer->budget, &writer->build, error);
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    status = key_of(records[i].table, records[i].token, &space, &key, error);
    if (status == STATUS_OK) status = note_landed(tokens, &key, landed_us, error);
    if (status == STATUS_OK) status = add_row(writer->build, &records[i], &key, landed_us, error);
  }
  if (status == STATUS_OK) status = build_finish(writer->build, batch, error);
  if (status == STATUS_OK) return status;
  build_free(writer->build); /* with the rows that are in it */
  writer->build = NULL;
  return status;
}

/* The statement failed for a reason that may be the table: dropped, or changed, by SQL. The
 * transaction is lost either way. */
static enum status explain(struct token_writer *writer, enum status status, struct error *error) {
  struct tokens *tokens = writer->tokens;
  struct error found = {0};
  bool made = false;
  if (status == STATUS_CONFLICT || status == STATUS_IO || status == STATUS_NOMEM ||
      status == STATUS_BUDGET || status == STATUS_CANCELLED || status == STATUS_TIMEOUT ||
      status == STATUS_UNAVAILABLE)
    return status;
  enum status looked = make_table(tokens, &made, &found);
  if (looked != STATUS_OK) {
    if (error != NULL) *error = found;
    return looked;
  }
  if (!made) return status;
  return error_set(error, STATUS_CONFLICT,
                   "somebody has dropped the table of tokens meanwhile; it is there again");
}

enum status token_writer_put(struct token_writer *writer, const struct token_record *records,
                             int64_t count, struct error *error) {
  struct ArrowArray batch = {0};
  struct arrow_shared *shared = NULL;
  int64_t inserted = 0;
  enum status status = build_rows(writer, records, count, &batch, error);
  if (status == STATUS_OK) status = arrow_shared_new(&batch, &shared, error);
  if (status != STATUS_OK) {
    arrow_array_release(&batch);
    return status;
  }
  const struct engine_slice slice = {shared, 0, count};
  status = engine_insert_rows(writer->insert, &slice, 1, &inserted, error);
  if (status != STATUS_OK)
    status = explain(writer, status, error);
  else if (inserted != count)
    status = error_set(error, STATUS_INTERNAL, "DuckDB recorded %lld of %lld tokens",
                       (long long)inserted, (long long)count);
  arrow_shared_release(shared);
  return status;
}

/* ---- forgetting ------------------------------------------------------------------------------------- */

/* Removes from the table what landed before. */
static enum status forget_rows(struct tokens *tokens, int64_t before_us, struct error *error) {
  struct engine_session *session = NULL;
  enum token_table_state state = TOKEN_TABLE_READY;
  enum status status = engine_session_open(tokens->engine, &session, error);
  if (status != STATUS_OK) return status;
  status = token_table_forget(&tokens->table, session, before_us, error);
  /* Somebody may have dropped it by SQL: then they are forgotten. */
  if (status == STATUS_INVALID &&
      token_table_inspect(&tokens->table, session, false, &state, error) == STATUS_OK &&
      state == TOKEN_TABLE_NONE)
    status = STATUS_OK;
  engine_session_close(session);
  return status;
}

/* `sweep_lock` is held. */
static enum status sweep(struct tokens *tokens, int64_t *forgotten, struct error *error) {
  struct token_index_plan plan;
  pthread_mutex_lock(&tokens->lock);
  token_index_plan(tokens->index, now_us(tokens), &plan);
  int64_t now = now_us(tokens);
  bool is_due = now >= tokens->sweep_us && (plan.generations > 0 || tokens->has_older);
  int64_t generation = tokens->generation;
  bool has_rows = tokens->state == TOKEN_TABLE_READY && !tokens->read_only;
  int64_t before_us = token_map_first_held_us(tokens->map, plan.before_us);
  pthread_mutex_unlock(&tokens->lock);
  if (!is_due) return STATUS_OK;
  enum status status = has_rows ? forget_rows(tokens, before_us, error) : STATUS_OK;
  pthread_mutex_lock(&tokens->lock);
  if (status != STATUS_OK) {
    tokens->sweep_us = now + SWEEP_AGAIN_US;
  } else if (tokens->generation == generation) { /* not read anew meanwhile */
    token_index_forget(tokens->index, &plan);
    token_map_forget(tokens->map, before_us);
    tokens->forgotten_us = before_us;
    tokens->has_older = false;
    *forgotten = plan.early;
  }
  pthread_mutex_unlock(&tokens->lock);
  return status;
}

enum status tokens_sweep(struct tokens *tokens, int64_t *forgotten, struct error *error) {
  *forgotten = 0;
  if (pthread_mutex_trylock(&tokens->sweep_lock) != 0) return STATUS_OK; /* somebody does it */
  enum status status = sweep(tokens, forgotten, error);
  pthread_mutex_unlock(&tokens->sweep_lock);
  return status;
}
