/* Opening a database, locking it down, its sessions and their transactions.
 *
 * Lock-down. The file is opened first, then external access is turned off with
 * nothing allowed (DuckDB goes on writing the file that is open, its write-ahead log
 * and its spill folder), extensions can neither be installed nor loaded, and then the
 * configuration is locked, so that no later statement loosens any of it. Two settings
 * stay open to sessions of ours, preserve_insertion_order for inserts and explain_output
 * for tables.c: SQL from outside cannot reach them because engine_query refuses SET.
 * Extensions that the configuration names are loaded before the lock; what they add
 * (file systems on the network) is behind the same lock. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/insert.h"
#include "engine/kept.h"
#include "engine/lake.h"
#include "engine/private.h"
#include "engine/replay.h"

enum {
  WAL_BACKSTOP = 4
}; /* so many times as long as it should be, the log is DuckDB's to fold in */

/* Files that this process has open: DuckDB's lock keeps other processes out, but a
 * process is not locked out by itself, and two engines on one file would ruin it. */
enum { OPEN_FILES_MAX = 64 };
static struct open_file {
  const struct engine *engine; /* NULL: free */
  dev_t device;
  ino_t inode;
} open_files[OPEN_FILES_MAX];
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_open_here(const struct stat *file) {
  for (int i = 0; i < OPEN_FILES_MAX; i++)
    if (open_files[i].engine != NULL && open_files[i].device == file->st_dev &&
        open_files[i].inode == file->st_ino)
      return true;
  return false;
}

static void remember_open(const struct engine *engine, const char *path) {
  struct stat file;
  if (stat(path, &file) != 0) return;
  for (int i = 0; i < OPEN_FILES_MAX; i++)
    if (open_files[i].engine == NULL) {
      open_files[i] = (struct open_file){engine, file.st_dev, file.st_ino};
      return;
    }
  log_warning("engine", "more than %d database files are open: %s is not watched", OPEN_FILES_MAX,
              path);
}

static void forget_open(const struct engine *engine) {
  pthread_mutex_lock(&open_lock);
  for (int i = 0; i < OPEN_FILES_MAX; i++)
    if (open_files[i].engine == engine) open_files[i].engine = NULL;
  pthread_mutex_unlock(&open_lock);
}

enum status database_claim(const struct engine *engine, const char *path, struct error *error) {
  struct stat file;
  enum status status = STATUS_OK;
  pthread_mutex_lock(&open_lock);
  if (stat(path, &file) == 0) {
    for (int i = 0; i < OPEN_FILES_MAX && status == STATUS_OK; i++)
      if (open_files[i].engine != NULL && open_files[i].engine != engine &&
          open_files[i].device == file.st_dev && open_files[i].inode == file.st_ino)
        status = error_set(error, STATUS_CONFLICT, "this process has the file open already");
    if (status == STATUS_OK && !is_open_here(&file)) remember_open(engine, path);
  }
  pthread_mutex_unlock(&open_lock);
  return status;
}

static enum status set_option(const struct duckdb_api *duckdb, duckdb_config config,
                              const char *name, const char *value, struct error *error) {
  if (duckdb->set_config(config, name, value) == DuckDBSuccess) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "DuckDB does not take %s for its setting %s", value,
                   name);
}

/* DuckDB's allocator keeps what is freed for some ten seconds, and for ever in a thread that does
 * nothing any more: a few uploads of text left 700 MB behind within a limit of 158. Threads of its
 * own give it back, and so does every large task at its end.
 *
 * Small row groups that lie side by side are made one at a checkpoint. That takes several times the
 * memory of what is merged, and DuckDB's limit does not count it: 630 MB within a limit of 128,
 * where without it are 340. Where memory is scarce they stay as they are. */
static enum status set_memory(const struct duckdb_api *duckdb, duckdb_config config,
                              int64_t memory_bytes, struct error *error) {
  enum { KEPT_BYTES_MIN = 1 << 20, KEPT_BYTES_MAX = 64 << 20, MERGING_BYTES_MIN = 400 << 20 };
  int64_t kept_bytes = memory_bytes / 128;
  if (kept_bytes < KEPT_BYTES_MIN) kept_bytes = KEPT_BYTES_MIN;
  if (kept_bytes > KEPT_BYTES_MAX) kept_bytes = KEPT_BYTES_MAX;
  char number[32];
  snprintf(number, sizeof number, "%lldB", (long long)kept_bytes);
  enum status status = set_option(duckdb, config, "allocator_flush_threshold", number, error);
  if (status == STATUS_OK)
    status =
        set_option(duckdb, config, "allocator_bulk_deallocation_flush_threshold", number, error);
  if (status == STATUS_OK)
    status = set_option(duckdb, config, "allocator_background_threads", "true", error);
  if (status == STATUS_OK && memory_bytes < MERGING_BYTES_MIN)
    status = set_option(duckdb, config, "max_vacuum_tasks", "0", error);
  return status;
}

/* What must be said before the database is opened. */
static enum status configure(const struct duckdb_api *duckdb, const struct engine_options *options,
                             duckdb_config config, struct error *error) {
  static const char *const fixed[][2] = {
      {"autoinstall_known_extensions", "false"},
      {"autoload_known_extensions", "false"},
      {"allow_community_extensions", "false"},
      {"allow_persistent_secrets", "false"},
      {"errors_as_json", "false"},
      /* Full row groups are written by the thread that filled them, not all together
       * at the end of a statement under a lock (insert.c). */
      {"write_buffer_row_group_count", "1"},
  };
  enum status status = STATUS_OK;
  for (size_t i = 0; i < sizeof fixed / sizeof fixed[0] && status == STATUS_OK; i++)
    status = set_option(duckdb, config, fixed[i][0], fixed[i][1], error);
  char number[32];
  if (status == STATUS_OK && options->memory_limit_bytes > 0) {
    snprintf(number, sizeof number, "%lldB", (long long)options->memory_limit_bytes);
    status = set_option(duckdb, config, "max_memory", number, error);
    if (status == STATUS_OK)
      status = set_memory(duckdb, config, options->memory_limit_bytes, error);
  }
  if (status == STATUS_OK && options->threads > 0) {
    snprintf(number, sizeof number, "%d", options->threads);
    status = set_option(duckdb, config, "threads", number, error);
  }
  if (status == STATUS_OK &&
      options->checkpoint_wal_bytes > 0) { /* ours come first: checkpoint.c */
    snprintf(number, sizeof number, "%lldB",
             (long long)options->checkpoint_wal_bytes * WAL_BACKSTOP);
    status = set_option(duckdb, config, "checkpoint_threshold", number, error);
  }
  if (status == STATUS_OK && options->read_only)
    status = set_option(duckdb, config, "access_mode", "READ_ONLY", error);
  return status;
}

/* Twice, where DuckDB cannot read the log in opening and replay.c can. */
static enum status open_file(struct engine *engine, const struct engine_options *options,
                             duckdb_config config, struct error *error) {
  const struct duckdb_api *duckdb = engine->duckdb;
  enum status status = STATUS_OK;
  for (int tries = 0; tries < 2; tries++) {
    char *message = NULL;
    if (duckdb->open_ext(options->path, &engine->database, config, &message) == DuckDBSuccess)
      return STATUS_OK;
    engine->database = NULL;
    bool again =
        tries == 0 && options->path != NULL && !options->read_only && replay_failed(message);
    status = failure_set(NULL, error, message);
    duckdb->free(message);
    if (!again) break;
    status = replay_elsewhere(duckdb, config, options, error);
    if (status != STATUS_OK) break;
  }
  return status;
}

static enum status open_database(struct engine *engine, const struct engine_options *options,
                                 struct error *error) {
  const struct duckdb_api *duckdb = engine->duckdb;
  duckdb_config config = NULL;
  struct stat file;
  enum status status = STATUS_OK;
  pthread_mutex_lock(&open_lock);
  if (options->path != NULL && stat(options->path, &file) == 0 && is_open_here(&file)) {
    status = error_set(error, STATUS_CONFLICT, "this process has the database file open already");
    goto done;
  }
  if (duckdb->create_config(&config) != DuckDBSuccess) {
    status = error_set(error, STATUS_NOMEM, "no memory for DuckDB's settings");
    goto done;
  }
  status = configure(duckdb, options, config, error);
  if (status != STATUS_OK) goto done;
  status = open_file(engine, options, config, error);
  if (status != STATUS_OK) goto done;
  if (options->path != NULL) remember_open(engine, options->path);

done:
  pthread_mutex_unlock(&open_lock);
  if (config != NULL) duckdb->destroy_config(&config);
  if (status != STATUS_OK && options->path != NULL) error_at(error, "%s", options->path);
  return status;
}

enum status control_run(struct engine *engine, const char *sql, struct error *error) {
  duckdb_result result;
  enum status status = STATUS_OK;
  if (engine->duckdb->query(engine->control, sql, &result) != DuckDBSuccess)
    status = failure_set(NULL, error, engine->duckdb->result_error(&result));
  engine->duckdb->destroy_result(&result);
  return status;
}

enum status control_text(struct engine *engine, const char *sql, struct text *out,
                         struct error *error) {
  const struct duckdb_api *duckdb = engine->duckdb;
  duckdb_result result;
  enum status status;
  if (duckdb->query(engine->control, sql, &result) != DuckDBSuccess) {
    status = failure_set(NULL, error, duckdb->result_error(&result));
    duckdb->destroy_result(&result);
    return status;
  }
  duckdb_data_chunk chunk = duckdb->fetch_chunk(result);
  if (chunk == NULL) {
    status = error_set(error, STATUS_INTERNAL, "DuckDB gave no answer to %s", sql);
  } else {
    duckdb_string_t *values = duckdb->vector_get_data(duckdb->data_chunk_get_vector(chunk, 0));
    uint32_t bytes = values[0].value.inlined.length;
    status = text_add_bytes(
        out, bytes <= 12 ? values[0].value.inlined.inlined : values[0].value.pointer.ptr, bytes,
        error);
    duckdb->destroy_data_chunk(&chunk);
  }
  duckdb->destroy_result(&result);
  return status;
}

/* ---- extensions --------------------------------------------------------------- */

bool engine_extension_built_in(const char *name) {
  static const char *const names[] = {"parquet", "json", "icu", "arrow", "core_functions"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcasecmp(names[i], name) == 0) return true;
  return false;
}

enum status engine_extension_check(const char *extension, struct error *error) {
  static const char suffix[] = ".duckdb_extension";
  if (engine_extension_built_in(extension)) return STATUS_OK;
  if (strchr(extension, '/') == NULL)
    return error_set(error, STATUS_NOT_FOUND,
                     "there is no extension '%.100s' inside DuckDB (parquet, json, icu, arrow and "
                     "core_functions are); give the path of its file, '/.../%.100s%s'",
                     extension, extension, suffix);
  size_t bytes = strlen(extension), tail = sizeof suffix - 1;
  if (bytes <= tail || strcmp(extension + bytes - tail, suffix) != 0)
    return error_set(error, STATUS_INVALID, "'%.300s' is no extension's file: its name ends in %s",
                     extension, suffix);
  struct stat file;
  if (stat(extension, &file) != 0)
    return error_set(error, errno == ENOENT || errno == ENOTDIR ? STATUS_NOT_FOUND : STATUS_DENIED,
                     "the extension '%.300s' cannot be read: %s", extension, strerror(errno));
  if (!S_ISREG(file.st_mode) || access(extension, R_OK) != 0)
    return error_set(error, STATUS_DENIED, "the extension '%.300s' is not a file that can be read",
                     extension);
  return STATUS_OK;
}

/* Before the lock, after which none can be. DuckDB checks that it was signed by its makers. */
static enum status load_extension(struct engine *engine, const char *extension,
                                  struct error *error) {
  if (engine_extension_built_in(extension)) return STATUS_OK;
  enum status status = engine_extension_check(extension, error);
  if (status != STATUS_OK) return status;
  struct text sql = TEXT_EMPTY;
  status = text_add(&sql, "LOAD ", error);
  if (status == STATUS_OK) status = text_add_literal(&sql, extension, error);
  if (status == STATUS_OK) {
    status = control_run(engine, text_get(&sql), error);
    if (status != STATUS_OK) error_at(error, "the extension '%.300s' was not loaded", extension);
  }
  text_release(&sql);
  return status;
}

static enum status set_spill_folder(struct engine *engine, const char *folder,
                                    struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(&sql, "SET temp_directory = ", error);
  if (status == STATUS_OK) status = text_add_literal(&sql, folder == NULL ? "" : folder, error);
  if (status == STATUS_OK) status = control_run(engine, text_get(&sql), error);
  text_release(&sql);
  return status;
}

static enum status lock_down(struct engine *engine, const struct engine_options *options,
                             struct error *error) {
  static const char *const statements[] = {
      "SET enable_external_access = false",
      "SET allowed_configs = ['preserve_insertion_order', 'explain_output']",
      "SET lock_configuration = true",
  };
  enum status status = STATUS_OK;
  /* A database in memory stays there, unless it was told where else: no spill folder appears where
   * we were started. */
  if (engine->in_memory) status = set_spill_folder(engine, options->spill_folder, error);
  if (options->local_files) return status;
  if (status == STATUS_OK && engine->lake_count > 0) {
    struct text sql = TEXT_EMPTY;
    status = lakes_allow_sql(engine, &sql, error);
    if (status == STATUS_OK) status = control_run(engine, text_get(&sql), error);
    text_release(&sql);
  }
  for (size_t i = 0; i < sizeof statements / sizeof statements[0] && status == STATUS_OK; i++)
    status = control_run(engine, statements[i], error);
  return status;
}

static enum status learn(struct engine *engine, const char *path, struct error *error) {
  struct text text = TEXT_EMPTY;
  enum status status = control_text(engine, "SELECT current_database()", &text, error);
  if (status != STATUS_OK) goto done;
  engine->name = strdup(text_get(&text));
  if (engine->name == NULL) {
    status = error_set(error, STATUS_NOMEM, "no memory for the database's name");
    goto done;
  }
  text_clear(&text);
  status = control_text(engine, "SELECT current_setting('threads')::VARCHAR", &text, error);
  if (status == STATUS_OK) engine->threads = (int)strtol(text_get(&text), NULL, 10);
  if (engine->threads < 1) engine->threads = 1;
  if (status != STATUS_OK || engine->in_memory) goto done;
  /* Given a CSV or Parquet file, DuckDB opens a database in memory that views it. */
  text_clear(&text);
  status = control_text(engine,
                        "SELECT coalesce(max(path), '') FROM duckdb_databases() "
                        "WHERE database_name = current_database()",
                        &text, error);
  if (status == STATUS_OK && text_get(&text)[0] == '\0')
    status = error_set(error, STATUS_INVALID, "%s: it is not a valid DuckDB database file", path);

done:
  text_release(&text);
  return status;
}

const char *engine_catalog(const struct engine *engine) { return engine->name; }

enum status database_open(struct engine *engine, struct error *error) {
  const struct engine_options *options = &engine->options;
  enum status status = open_database(engine, options, error);
  if (status != STATUS_OK) goto done;
  if (engine->duckdb->connect(engine->database, &engine->control) != DuckDBSuccess) {
    engine->control = NULL;
    status = error_set(error, STATUS_NOMEM, "DuckDB gave no connection to its database");
    goto done;
  }
  if (options->path != NULL && engine->path == NULL) engine->path = realpath(options->path, NULL);
  status = insert_register(engine, error);
  if (status == STATUS_OK) status = kept_register(engine, error);
  if (status == STATUS_OK && engine->name == NULL) status = learn(engine, options->path, error);
  for (size_t i = 0; i < options->extension_count && status == STATUS_OK; i++)
    status = load_extension(engine, options->extensions[i], error);
  if (status == STATUS_OK && engine->lakes == NULL) status = lakes_new(engine, options, error);
  if (status == STATUS_OK) status = lakes_attach(engine, options->read_only, error);
  if (status == STATUS_OK) status = lock_down(engine, options, error);

done:
  if (status != STATUS_OK) database_close(engine);
  return status;
}

void database_close(struct engine *engine) {
  if (engine->control != NULL) engine->duckdb->disconnect(&engine->control);
  if (engine->database != NULL) engine->duckdb->close(&engine->database);
  engine->control = NULL;
  engine->database = NULL;
  forget_open(engine);
}

enum status engine_open(const struct engine_options *options, struct engine **out,
                        struct error *error) {
  *out = NULL;
  const struct duckdb_api *duckdb;
  enum status status = library_load(&duckdb, error);
  if (status != STATUS_OK) return status;
  struct engine *engine = calloc(1, sizeof *engine);
  if (engine == NULL) return error_set(error, STATUS_NOMEM, "no memory for the engine");
  engine->duckdb = duckdb;
  pthread_mutex_init(&engine->lock, NULL);
  gate_init(&engine->gate);
  writers_init(&engine->writers);
  engine->in_memory = options->path == NULL;
  engine->local_files = options->local_files;
  status = options_copy(options, &engine->options, error);
  if (status == STATUS_OK && options->path != NULL) {
    const char *slash = strrchr(options->path, '/');
    engine->file_name = strdup(slash == NULL ? options->path : slash + 1);
    if (engine->file_name == NULL)
      status = error_set(error, STATUS_NOMEM, "no memory for the database's name");
  }
  if (status == STATUS_OK) status = database_open(engine, error);
  if (status == STATUS_OK) status = keeper_start(engine, error);
  if (status != STATUS_OK) {
    engine_close(engine);
    engine = NULL;
  }
  *out = engine;
  return status;
}

void engine_close(struct engine *engine) {
  if (engine == NULL) return;
  keeper_stop(engine);
  database_close(engine);
  gate_destroy(&engine->gate);
  writers_destroy(&engine->writers);
  options_release(&engine->options);
  free(engine->file_name);
  free(engine->path);
  lakes_free(engine);
  pthread_mutex_destroy(&engine->lock);
  free(engine->name);
  free(engine);
}

/* ---- sessions ----------------------------------------------------------------- */

enum status engine_session_open(struct engine *engine, struct engine_session **out,
                                struct error *error) {
  *out = NULL;
  const struct duckdb_api *duckdb = engine->duckdb;
  struct engine_session *session = calloc(1, sizeof *session);
  if (session == NULL) return error_set(error, STATUS_NOMEM, "no memory for a session");
  session->engine = engine;
  session->duckdb = duckdb;
  session->version = -1;
  enum status status = gate_enter(engine, error);
  if (status != STATUS_OK) {
    free(session);
    return status;
  }
  if (duckdb->connect(engine->database, &session->connection) != DuckDBSuccess) {
    gate_leave(engine);
    free(session);
    return error_set(error, STATUS_NOMEM, "DuckDB gave no connection to its database");
  }
  duckdb_client_context context = NULL;
  duckdb->connection_get_client_context(session->connection, &context);
  session->connection_id = duckdb->client_context_get_connection_id(context);
  duckdb->destroy_client_context(&context);
  *out = session;
  return STATUS_OK;
}

void engine_session_close(struct engine_session *session) {
  if (session == NULL) return;
  if (session->in_transaction) engine_rollback(session);
  writers_leave(session);
  session->duckdb->disconnect(&session->connection);
  keeper_notice(session->engine);
  gate_leave(session->engine);
  free(session);
}

void engine_interrupt(struct engine_session *session, enum status reason) {
  if (!atomic_load(&session->running)) return;
  int none = STATUS_OK;
  atomic_compare_exchange_strong(&session->interrupt, &none, (int)reason);
  session->duckdb->interrupt(session->connection);
}

void session_enter(struct engine_session *session) {
  atomic_store(&session->interrupt, STATUS_OK);
  atomic_store(&session->running, true);
}

void session_leave(struct engine_session *session) {
  atomic_store(&session->running, false);
  atomic_store(&session->interrupt, STATUS_OK);
}

/* The `idle`th time in a row that there was nothing to do: a little longer each time. */
static void wait_for_tasks(int idle) {
  enum { WAIT_NS_MIN = 10000, DOUBLINGS = 5 };
  if (idle <= 1) {
    sched_yield();
    return;
  }
  int doublings = idle - 2 < DOUBLINGS ? idle - 2 : DOUBLINGS;
  struct timespec wait = {.tv_nsec = WAIT_NS_MIN << doublings};
  nanosleep(&wait, NULL);
}

enum status session_finish(const struct engine_session *session, duckdb_pending_result pending,
                           duckdb_result *result, struct engine_session *interrupted,
                           struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  int idle = 0;
  duckdb_pending_state state;
  while ((state = duckdb->pending_execute_task(pending)) != DUCKDB_PENDING_RESULT_READY) {
    if (state == DUCKDB_PENDING_ERROR)
      return failure_set(interrupted, error, duckdb->pending_error(pending));
    idle = state == DUCKDB_PENDING_NO_TASKS_AVAILABLE ? idle + 1 : 0;
    if (idle > 0) wait_for_tasks(idle);
  }
  if (duckdb->execute_pending(pending, result) == DuckDBSuccess) return STATUS_OK;
  return failure_set(interrupted, error, duckdb->result_error(result));
}

enum status session_run(struct engine_session *session, const char *sql, struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  duckdb_prepared_statement statement = NULL;
  duckdb_pending_result pending = NULL;
  duckdb_result result = {0};
  enum status status = STATUS_OK;
  if (duckdb->prepare(session->connection, sql, &statement) != DuckDBSuccess)
    status = failure_set(NULL, error, duckdb->prepare_error(statement));
  else if (duckdb->pending_prepared(statement, &pending) != DuckDBSuccess)
    status = failure_set(NULL, error, duckdb->pending_error(pending));
  else
    status = session_finish(session, pending, &result, NULL, error);
  duckdb->destroy_result(&result);
  duckdb->destroy_pending(&pending);
  duckdb->destroy_prepare(&statement);
  return status;
}

enum status session_numbers(struct engine_session *session, const char *sql, int64_t *numbers,
                            size_t count, struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  duckdb_result result = {0};
  enum status status = STATUS_OK;
  if (duckdb->query(session->connection, sql, &result) != DuckDBSuccess)
    status = failure_set(NULL, error, duckdb->result_error(&result));
  duckdb_data_chunk chunk = status == STATUS_OK ? duckdb->fetch_chunk(result) : NULL;
  if (status == STATUS_OK && (chunk == NULL || duckdb->data_chunk_get_size(chunk) != 1))
    status = error_set(error, STATUS_INTERNAL, "DuckDB gave no row where it must");
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    duckdb_vector vector = duckdb->data_chunk_get_vector(chunk, (idx_t)i);
    const uint64_t *valid = duckdb->vector_get_validity(vector);
    numbers[i] =
        valid == NULL || (valid[0] & 1) != 0 ? *(int64_t *)duckdb->vector_get_data(vector) : -1;
  }
  if (chunk != NULL) duckdb->destroy_data_chunk(&chunk);
  duckdb->destroy_result(&result);
  return status;
}

enum status session_execute(struct engine_session *session, duckdb_prepared_statement statement,
                            duckdb_result *result, struct error *error) {
  const struct duckdb_api *duckdb = session->duckdb;
  memset(result, 0, sizeof *result);
  duckdb_pending_result pending = NULL;
  enum status status = STATUS_OK;
  if (duckdb->pending_prepared(statement, &pending) != DuckDBSuccess)
    status = failure_set(session, error, duckdb->pending_error(pending));
  /* DuckDB forgets an interrupt that came before this point; ours is remembered. */
  else if (atomic_load(&session->interrupt) != STATUS_OK)
    status = failure_set(session, error, NULL);
  else
    status = session_finish(session, pending, result, session, error);
  duckdb->destroy_pending(&pending);
  return status;
}

/* ---- transactions ------------------------------------------------------------- */

static enum status begin(struct engine_session *session, const char *sql, struct error *error) {
  if (session->in_transaction)
    return error_set(error, STATUS_INTERNAL, "the session is inside a transaction already");
  enum status status = session_run(session, sql, error);
  session->in_transaction = status == STATUS_OK;
  session->ended_by_sql = session->any_lake = false;
  if (status != STATUS_OK) writers_leave(session);
  return status;
}

enum status engine_begin(struct engine_session *session, struct error *error) {
  if (!session->in_transaction) {
    writers_enter(session);
    session->clients = false;
  }
  return begin(session, "BEGIN TRANSACTION", error);
}

enum status engine_begin_client(struct engine_session *session, bool read_only,
                                struct error *error) {
  if (!session->in_transaction) session->clients = true;
  return begin(session, read_only ? "BEGIN TRANSACTION READ ONLY" : "BEGIN TRANSACTION", error);
}

bool engine_transaction_open(struct engine_session *session) {
  if (!session->in_transaction || session->ended_by_sql) return false;
  if (session->open != NULL) return true; /* a statement would end the answer that is drawn */
  struct error ignored;
  return session_run(session, "SELECT 1", &ignored) == STATUS_OK;
}

/* ---- which schema ------------------------------------------------------------- */

enum status engine_session_use(struct engine_session *session, const char *catalog,
                               const char *schema, struct error *error) {
  struct engine *engine = session->engine;
  if (catalog == NULL || catalog[0] == '\0') catalog = engine->name;
  if (schema == NULL || schema[0] == '\0') schema = "main";
  bool here = strcasecmp(catalog, engine->name) == 0;
  struct lake *lake = here ? NULL : lake_find(engine, catalog);
  if (!here && lake == NULL)
    return error_set(error, STATUS_NOT_FOUND, "there is no catalog \"%.200s\"", catalog);
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(&sql, "USE ", error);
  if (status == STATUS_OK) status = text_add_identifier(&sql, catalog, error);
  if (status == STATUS_OK) status = text_add(&sql, ".", error);
  if (status == STATUS_OK) status = text_add_identifier(&sql, schema, error);
  if (status == STATUS_OK) {
    status = session_run(session, text_get(&sql), error);
    if (status == STATUS_INVALID && error != NULL && strstr(error->text, "SET schema") != NULL)
      status = error_set(error, STATUS_NOT_FOUND, "there is no schema \"%.200s\" in \"%.200s\"",
                         schema, catalog);
  }
  if (status == STATUS_OK) {
    session->elsewhere = !here || strcasecmp(schema, "main") != 0;
    session->at_home = lake;
  }
  text_release(&sql);
  return status;
}

/* ---- ends of transactions ----------------------------------------------------- */

enum status session_commit(struct engine_session *session, struct error *error) {
  bool lakes = session->lake != NULL || session->any_lake;
  struct error why = {.status = STATUS_OK};
  enum status status = lakes ? lake_commit(session, &why) : session_run(session, "COMMIT", &why);
  if (status == STATUS_OK) {
    keeper_notice(session->engine);
    return STATUS_OK;
  }
  /* A failed COMMIT has rolled back by itself, unless it was refused beforehand. */
  struct error ignored;
  if (session_run(session, "ROLLBACK", &ignored) != STATUS_OK)
    log_debug("engine", "rolling back after a failed commit: %s", ignored.text);
  status = failure_of_commit(status, &why);
  if (error != NULL) *error = why;
  return status;
}

enum status engine_commit(struct engine_session *session, struct error *error) {
  if (!session->in_transaction)
    return error_set(error, STATUS_INTERNAL, "the session is not inside a transaction");
  /* DuckDB answers COMMIT with success where a failure has ended the transaction, and rolls back. Our
   * own transactions are not committed after a failure. */
  if (session->clients && !engine_transaction_open(session)) {
    engine_rollback(session);
    return error_set(error, STATUS_INVALID,
                     "a statement that failed has ended the transaction: nothing of it was "
                     "committed");
  }
  session->in_transaction = false;
  enum status status = session_commit(session, error);
  writers_leave(session);
  return status;
}

void engine_rollback(struct engine_session *session) {
  if (!session->in_transaction) return;
  session->in_transaction = false;
  struct error error;
  if (!session->ended_by_sql && session_run(session, "ROLLBACK", &error) != STATUS_OK)
    log_warning("engine", "rolling back: %s", error.text);
  writers_leave(session);
}
