#include "server/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "sink/duckdb.h"
#include "sink/ducklake.h"

enum { BACKENDS_MAX = 32 }; /* besides lakes */

struct storage {
  const struct server_config *config;
  /* As it is configured now. */
  _Atomic int64_t checkpoint_wal_bytes, checkpoint_interval_ms, token_retention_s, tokens_max;
  _Atomic(struct engine *) engine; /* of the duckdb sink; NULL: it is not open */
  void (*urge)(void *context);
  void *urge_context;
  pthread_mutex_t lock; /* held while a sink opens, so that each opens once */
  struct open_sink {
    const char *backend;
    struct sink *sink;
  } * open;
  size_t open_count, open_max;
  _Atomic size_t
      ready_count; /* of them, that stay to the end: they may be looked at without a lock */
};

/* ---- what a start can check -------------------------------------------------------- */

/* Another process that has locked the database file as DuckDB does (fcntl, the whole
 * file); 0 when there is none. */
static pid_t lock_holder(int file) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(file, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  return lock.l_pid;
}

/* Creates the folders above `path`. */
static enum status make_folders(const char *path, struct error *error) {
  char *folder = strdup(path);
  if (folder == NULL) return error_set(error, STATUS_NOMEM, "no memory for a path");
  enum status status = STATUS_OK;
  for (char *slash = strchr(folder + 1, '/'); slash != NULL && status == STATUS_OK;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
      status = error_set(error, STATUS_IO, "the folder '%s' cannot be made: %s", folder,
                         strerror(errno));
    *slash = '/';
  }
  free(folder);
  return status;
}

/* A file that is there must be readable, a DuckDB database, and not in use. It need
 * not be writable: queries still work then, and what writes is refused. */
static enum status check_file(const char *path, const char *advice, struct error *error) {
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0 && (errno == EACCES || errno == EROFS || errno == EPERM))
    file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return make_folders(path, error);
  if (file < 0)
    return error_set(error, STATUS_IO, "the database '%s' cannot be opened: %s", path,
                     strerror(errno));
  enum status status = STATUS_OK;
  char head[12] = {0};
  ssize_t bytes = read(file, head, sizeof head);
  pid_t holder = lock_holder(file);
  if (bytes < 0)
    status =
        error_set(error, STATUS_IO, "the database '%s' cannot be read: %s", path, strerror(errno));
  else if (bytes > 0 && (bytes < (ssize_t)sizeof head || memcmp(head + 8, "DUCK", 4) != 0))
    status = error_set(error, STATUS_INVALID, "'%s' is not a DuckDB database; %s", path, advice);
  else if (holder > 0)
    status = error_set(error, STATUS_CONFLICT,
                       "the database '%s' is in use by process %ld; stop it, or %s", path,
                       (long)holder, advice);
  close(file); /* releases locks of this process on the file: none are held yet */
  return status;
}

enum status storage_new(const struct server_config *config, struct storage **storage,
                        struct error *error) {
  *storage = NULL;
  enum status status = server_config_startable(config, error);
  if (status == STATUS_OK && strcmp(config->db_path, ":memory:") != 0)
    status =
        check_file(config->db_path, "name another file with db_path, --db or ARROWPORT_DB", error);
  for (size_t i = 0; i < config->lake_count && status == STATUS_OK; i++)
    status = check_file(config->lakes[i].path, "name another file in storage_backend", error);
  if (status != STATUS_OK) return status;
  struct storage *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for the storage");
  made->config = config;
  made->open_max = BACKENDS_MAX + config->lake_count;
  made->open = calloc(made->open_max, sizeof *made->open);
  if (made->open == NULL) {
    free(made);
    return error_set(error, STATUS_NOMEM, "no memory for the storage");
  }
  storage_limit(made, config);
  pthread_mutex_init(&made->lock, NULL);
  *storage = made;
  return STATUS_OK;
}

void storage_free(struct storage *storage) {
  if (storage == NULL) return;
  /* Lakes before the database, whose engine is theirs. */
  for (size_t i = storage->open_count; i-- > 0;) sink_close(storage->open[i].sink);
  pthread_mutex_destroy(&storage->lock);
  free(storage->open);
  free(storage);
}

/* ---- the engine, from anywhere ------------------------------------------------------- */

void storage_on_held(struct storage *storage, void (*urge)(void *context), void *context) {
  storage->urge = urge;
  storage->urge_context = context;
}

/* The `i`th sink that is ready, when it remembers tokens; NULL otherwise. */
static struct sink *with_tokens(const struct storage *storage, size_t i) {
  struct sink *sink = storage->open[i].sink;
  return sink->type == &SINK_DUCKDB || sink->type == &SINK_DUCKLAKE ? sink : NULL;
}

static void apply_limits(struct storage *storage) {
  struct engine *engine = atomic_load(&storage->engine);
  if (engine != NULL)
    engine_checkpoint_limits(engine, atomic_load(&storage->checkpoint_wal_bytes),
                             atomic_load(&storage->checkpoint_interval_ms));
  for (size_t i = 0; i < atomic_load(&storage->ready_count); i++) {
    struct sink *sink = with_tokens(storage, i);
    if (sink != NULL)
      sink_duckdb_limit_tokens(sink, atomic_load(&storage->token_retention_s),
                               atomic_load(&storage->tokens_max));
  }
}

void storage_limit(struct storage *storage, const struct server_config *config) {
  atomic_store(&storage->checkpoint_wal_bytes, config->checkpoint_wal_bytes);
  atomic_store(&storage->checkpoint_interval_ms, config->checkpoint_interval_ms);
  atomic_store(&storage->token_retention_s, config->token_retention_s);
  atomic_store(&storage->tokens_max, config->tokens_max);
  apply_limits(storage);
}

int64_t storage_token_count(const struct storage *storage) {
  int64_t count = 0;
  for (size_t i = 0; i < atomic_load(&storage->ready_count); i++) {
    struct sink *sink = with_tokens(storage, i);
    if (sink != NULL) count += sink_duckdb_token_count(sink);
  }
  return count;
}

void storage_look(struct storage *storage, struct engine_figures *figures) {
  struct engine *engine = atomic_load(&storage->engine);
  *figures = (struct engine_figures){0};
  if (engine != NULL) engine_look(engine, figures);
}

static void engine_is_open(struct storage *storage, struct engine *engine) {
  if (storage->urge != NULL) engine_on_held(engine, storage->urge, storage->urge_context);
  atomic_store(&storage->engine, engine);
}

/* ---- opening ------------------------------------------------------------------------- */

static enum status set_number(struct config *config, const char *name, int64_t value,
                              struct error *error) {
  char text[32];
  snprintf(text, sizeof text, "%" PRId64, value);
  return config_set(config, name, text, CONFIG_FILE, error);
}

/* The settings of the embedded engine, as the server's configuration has them. */
static enum status set_duckdb(struct config *config, const struct server_config *server,
                              struct error *error) {
  enum status status = config_set(config, "path", server->db_path, CONFIG_FILE, error);
  if (status == STATUS_OK)
    status = set_number(config, "memory_limit",
                        server->memory_limit_bytes / 100 * server->query.memory_percent, error);
  if (status == STATUS_OK)
    status = set_number(config, "token_retention_h", server->token_retention_s / 3600, error);
  if (status == STATUS_OK) status = set_number(config, "tokens_max", server->tokens_max, error);
  for (size_t i = 0; i < server->extension_count && status == STATUS_OK; i++)
    status = config_add(config, "extensions", server->extensions[i], CONFIG_FILE, error);
  for (size_t i = 0; i < server->lake_count && status == STATUS_OK; i++)
    status = config_add(config, "lakes", server->lakes[i].path, CONFIG_FILE, error);
  if (status == STATUS_OK && server->threads > 0)
    status = set_number(config, "threads", server->threads, error);
  if (status == STATUS_OK)
    status = set_number(config, "checkpoint_wal_bytes", server->checkpoint_wal_bytes, error);
  if (status == STATUS_OK)
    status =
        set_number(config, "checkpoint_interval_s", server->checkpoint_interval_ms / 1000, error);
  bool there = access(server->db_path, F_OK) == 0;
  if (status == STATUS_OK && there && access(server->db_path, W_OK) != 0) {
    log_warning("server", "the database '%s' cannot be written: it is opened for reading only",
                server->db_path);
    status = config_set(config, "read_only", "true", CONFIG_FILE, error);
  }
  return status;
}

/* Puts it among those that are open. */
static void add_open(struct storage *storage, const char *backend, struct sink *sink) {
  storage->open[storage->open_count].backend = backend;
  storage->open[storage->open_count++].sink = sink;
}

/* The lakes that the database's engine has attached: all at once, before it is used. */
static enum status open_lakes(struct storage *storage, struct sink *duckdb, struct error *error) {
  const struct server_config *config = storage->config;
  enum status status = STATUS_OK;
  for (size_t i = 0; i < config->lake_count && status == STATUS_OK; i++) {
    struct sink *sink = NULL;
    status = sink_ducklake_on(duckdb, config->lakes[i].path, &sink, error);
    if (status == STATUS_OK) add_open(storage, config->lakes[i].backend, sink);
  }
  return status;
}

static enum status open_backend(struct storage *storage, const char *backend, struct sink **sink,
                                struct error *error) {
  const struct sink_type *type = sink_find(backend);
  if (server_config_lake_path(backend) != NULL)
    return error_set(error, STATUS_UNAVAILABLE,
                     "the storage '%s' is new in the configuration: it can be used when the server "
                     "was started again",
                     backend);
  if (type == NULL || type == &SINK_DUCKLAKE || storage->open_count == storage->open_max)
    return error_set(error, STATUS_UNSUPPORTED, "storage_backend '%s' is not built in", backend);
  struct config *config = NULL;
  enum status status = config_new(type->config, &config, error);
  if (status == STATUS_OK && type == &SINK_DUCKDB)
    status = set_duckdb(config, storage->config, error);
  if (status == STATUS_OK) status = sink_open(backend, config, sink, error);
  config_free(config);
  if (status != STATUS_OK) log_error("server", "storage '%s': %s", type->name, error->text);
  if (status != STATUS_OK) return status;
  if (type == &SINK_DUCKDB) engine_is_open(storage, sink_duckdb_engine(*sink));
  add_open(storage, type->name, *sink);
  if (type == &SINK_DUCKDB) status = open_lakes(storage, *sink, error);
  if (status == STATUS_OK) return STATUS_OK;
  log_error("server", "%s", error->text);
  while (storage->open_count > 0 && storage->open[storage->open_count - 1].sink != *sink)
    sink_close(storage->open[--storage->open_count].sink);
  sink_close(storage->open[--storage->open_count].sink);
  *sink = NULL;
  return status;
}

static struct sink *find_open(const struct storage *storage, const char *backend) {
  for (size_t i = 0; i < storage->open_count; i++)
    if (strcmp(storage->open[i].backend, backend) == 0) return storage->open[i].sink;
  return NULL;
}

enum status storage_sink(struct storage *storage, const char *backend, struct sink **sink,
                         struct error *error) {
  *sink = NULL;
  pthread_mutex_lock(&storage->lock);
  enum status status = STATUS_OK;
  *sink = find_open(storage, backend);
  if (*sink == NULL && server_config_lake_path(backend) != NULL) {
    struct sink *duckdb = find_open(storage, SINK_DUCKDB.name);
    if (duckdb == NULL) status = open_backend(storage, SINK_DUCKDB.name, &duckdb, error);
    *sink = find_open(storage, backend);
  }
  if (*sink == NULL && status == STATUS_OK) status = open_backend(storage, backend, sink, error);
  if (atomic_load(&storage->ready_count) != storage->open_count) {
    atomic_store(&storage->ready_count, storage->open_count);
    apply_limits(storage); /* they may have changed while it was opened */
  }
  pthread_mutex_unlock(&storage->lock);
  return status;
}

enum status storage_sink_of(struct storage *storage, const struct server_config *config,
                            struct table_name *table, struct sink **sink, struct error *error) {
  const char *backend = SINK_DUCKDB.name;
  *sink = NULL;
  if (server_config_lake_path(config->storage_backend) != NULL) backend = config->storage_backend;
  enum status status = server_config_place(config, table, &backend, error);
  return status == STATUS_OK ? storage_sink(storage, backend, sink, error) : status;
}

enum status storage_engine(struct storage *storage, struct engine **engine, struct error *error) {
  struct sink *sink = NULL;
  enum status status = storage_sink(storage, SINK_DUCKDB.name, &sink, error);
  *engine = status == STATUS_OK ? sink_duckdb_engine(sink) : NULL;
  return status;
}

enum status storage_join(struct storage *storage, struct turn *turn, struct error *error) {
  struct sink *sink = NULL;
  enum status status = storage_sink(storage, SINK_DUCKDB.name, &sink, error);
  return status == STATUS_OK ? sink_duckdb_join(sink, turn, error) : status;
}

enum status storage_turn(struct storage *storage, const struct table_name *table,
                         enum turn_kind kind, struct turn *turn, struct error *error) {
  struct sink *sink = NULL;
  enum status status = storage_sink(storage, SINK_DUCKDB.name, &sink, error);
  return status == STATUS_OK ? sink_duckdb_turn(sink, table, kind, turn, error) : status;
}

enum status storage_alone(struct storage *storage, struct turn *turn, struct error *error) {
  struct sink *sink = NULL;
  enum status status = storage_sink(storage, SINK_DUCKDB.name, &sink, error);
  return status == STATUS_OK ? sink_duckdb_alone(sink, turn, error) : status;
}
