/* DuckLake: catalogs of tables whose rows are Parquet files in a folder, attached to the engine.
 *
 * The catalog is a DuckDB file, the extension `ducklake` reads and writes it. Every lake is
 * attached before the engine is locked, after which none can be; DuckDB then goes on opening the
 * catalog file, and files in the data folders, which are the only ones that are allowed.
 *
 * 1. A data folder holds neither a database nor the folder that we were started in: whatever is
 *    in it can be read by SQL.
 * 2. DuckDB writes data files without a sync and then commits their names to the catalog, with
 *    one. So whoever commits syncs the folder's file system first.
 * 3. Commits of one lake follow each other: the snapshot that is the last one after a COMMIT is
 *    its own, and none meets DuckLake's waiting for a conflict to pass. */
#include "engine/lake.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names -------------------------------------------------------------------------------- */

enum status engine_lake_name(const char *path, char name[TABLE_NAME_BYTES_MAX + 1],
                             struct error *error) {
  static const char *const taken[] = {"main",      "temp", "system", "memory", "information_schema",
                                      "pg_catalog"};
  const char *slash = strrchr(path, '/');
  const char *stem = slash == NULL ? path : slash + 1;
  const char *dot = strrchr(stem, '.');
  size_t bytes = dot != NULL && dot > stem ? (size_t)(dot - stem) : strlen(stem);
  struct table_name parsed;
  struct text quoted = TEXT_EMPTY;
  enum status status = STATUS_OK;
  if (bytes == 0 || bytes > TABLE_NAME_BYTES_MAX)
    status =
        error_set(error, STATUS_INVALID,
                  "'ducklake:%.300s' names no catalog file; write ducklake:./lake.ducklake", path);
  if (status == STATUS_OK) {
    memcpy(name, stem, bytes);
    name[bytes] = '\0';
    status = text_add_identifier(&quoted, name, error);
  }
  if (status == STATUS_OK)
    status = table_name_parse(text_get(&quoted), quoted.size_bytes, &parsed, error);
  if (status == STATUS_OK && strncmp(name, "__", 2) == 0)
    status = error_set(error, STATUS_INVALID, "a lake's name cannot begin with '__'");
  for (size_t i = 0; i < sizeof taken / sizeof taken[0] && status == STATUS_OK; i++)
    if (strcasecmp(name, taken[i]) == 0)
      status = error_set(error, STATUS_INVALID, "'%s' means something else to DuckDB", name);
  if (status != STATUS_OK && bytes > 0)
    error_at(error,
             "the lake 'ducklake:%.300s' is known to SQL by its file's name without the ending",
             path);
  text_release(&quoted);
  return status;
}

enum status engine_lake_check(const char *const *extensions, size_t count, struct error *error) {
  static const char file[] = "ducklake.duckdb_extension";
  for (size_t i = 0; i < count; i++) {
    const char *slash = strrchr(extensions[i], '/');
    if (slash != NULL && strcmp(slash + 1, file) == 0) return STATUS_OK;
  }
  const char *version = NULL;
  struct error ignored;
  if (engine_version(&version, &ignored) != STATUS_OK) version = "v1.5.5";
  return error_set(error, STATUS_NOT_FOUND,
                   "a lake needs DuckDB's extension ducklake, and duckdb_extensions does not name "
                   "its file. Get it with `pip download --no-deps duckdb-extension-ducklake==%s`, "
                   "unpack the .whl (it is a zip archive), and list the path of "
                   "duckdb_extension_ducklake/extensions/%s/%s in duckdb_extensions",
                   version + 1, version, file);
}

struct lake *lake_find(const struct engine *engine, const char *catalog) {
  for (size_t i = 0; i < engine->lake_count; i++)
    if (engine->lakes[i].name != NULL && strcasecmp(engine->lakes[i].name, catalog) == 0)
      return &engine->lakes[i];
  return NULL;
}

void lake_enter(struct engine_session *session, const struct table_name *table) {
  session->lake = lake_find(session->engine, table->catalog);
}

bool engine_has_lake(const struct engine *engine, const char *catalog) {
  return lake_find(engine, catalog) != NULL;
}

/* ---- making and freeing ------------------------------------------------------------------- */

/* The absolute path of a file that need not be there, in a folder that must; malloc'd. */
static enum status absolute_path(const char *path, char **absolute, struct error *error) {
  char folder[PATH_MAX], real[PATH_MAX];
  const char *slash = strrchr(path, '/');
  size_t bytes = slash == NULL ? 0 : (size_t)(slash - path);
  *absolute = NULL;
  if (bytes >= sizeof folder) return error_set(error, STATUS_INVALID, "the path is too long");
  memcpy(folder, path, bytes);
  folder[bytes] = '\0';
  if (realpath(slash == NULL ? "." : bytes == 0 ? "/" : folder, real) == NULL)
    return error_set(error, STATUS_IO, "the folder of '%.300s' cannot be found: %s", path,
                     strerror(errno));
  struct text text = TEXT_EMPTY;
  enum status status = text_add_format(&text, error, "%s/%s", strcmp(real, "/") == 0 ? "" : real,
                                       slash == NULL ? path : slash + 1);
  if (status == STATUS_OK) *absolute = strdup(text_get(&text));
  if (status == STATUS_OK && *absolute == NULL)
    status = error_set(error, STATUS_NOMEM, "no memory for a lake's path");
  text_release(&text);
  return status;
}

enum status lakes_new(struct engine *engine, const struct engine_options *options,
                      struct error *error) {
  if (options->lake_count == 0) return STATUS_OK;
  enum status status = engine_lake_check(options->extensions, options->extension_count, error);
  if (status != STATUS_OK) return status;
  engine->lakes = calloc(options->lake_count, sizeof *engine->lakes);
  if (engine->lakes == NULL) return error_set(error, STATUS_NOMEM, "no memory for lakes");
  for (size_t i = 0; i < options->lake_count && status == STATUS_OK; i++) {
    struct lake *lake = &engine->lakes[i];
    char name[TABLE_NAME_BYTES_MAX + 1];
    status = engine_lake_name(options->lakes[i], name, error);
    if (status == STATUS_OK && lake_find(engine, name) != NULL)
      status = error_set(error, STATUS_INVALID,
                         "two lakes have the name \"%s\": '%.200s' and '%.200s'; their files need "
                         "names of their own",
                         name, lake_find(engine, name)->path, options->lakes[i]);
    if (status != STATUS_OK) break;
    pthread_mutex_init(&lake->commit, NULL);
    lake->folder_fd = -1;
    lake->name = strdup(name);
    engine->lake_count = i + 1;
    status = lake->name == NULL ? error_set(error, STATUS_NOMEM, "no memory for a lake")
                                : absolute_path(options->lakes[i], &lake->path, error);
  }
  return status;
}

void lakes_free(struct engine *engine) {
  for (size_t i = 0; i < engine->lake_count; i++) {
    struct lake *lake = &engine->lakes[i];
    free(lake->name);
    free(lake->path);
    free(lake->folder);
    free(lake->folder_mark);
    if (lake->folder_fd >= 0) close(lake->folder_fd);
    pthread_mutex_destroy(&lake->commit);
  }
  free(engine->lakes);
  engine->lakes = NULL;
  engine->lake_count = 0;
}

/* ---- attaching ---------------------------------------------------------------------------- */

/* Is `path` the folder, or in it? */
static bool lies_in(const char *path, const char *folder) {
  size_t bytes = strlen(folder) - 1; /* without the slash */
  return strncmp(path, folder, bytes) == 0 && (path[bytes] == '/' || path[bytes] == '\0');
}

/* Whatever is in the folder can be read by SQL. */
static enum status check_folder(const struct engine *engine, const char *folder,
                                struct error *error) {
  static const char advice[] = "keep the data of a lake in a folder that holds nothing else";
  char here[PATH_MAX];
  if (getcwd(here, sizeof here) != NULL && lies_in(here, folder))
    return error_set(error, STATUS_DENIED,
                     "its data folder '%.300s' holds the folder that the server runs in; %s",
                     folder, advice);
  if (engine->path != NULL && lies_in(engine->path, folder))
    return error_set(error, STATUS_DENIED, "its data folder '%.300s' holds the database; %s",
                     folder, advice);
  for (size_t i = 0; i < engine->lake_count; i++)
    if (engine->lakes[i].path != NULL && lies_in(engine->lakes[i].path, folder))
      return error_set(error, STATUS_DENIED,
                       "its data folder '%.300s' holds the catalog file of a lake; %s", folder,
                       advice);
  return STATUS_OK;
}

/* Opens the data folder, made when it is not there, and remembers what it is really called. */
static enum status open_folder(struct engine *engine, struct lake *lake, const char *told,
                               bool read_only, struct error *error) {
  char real[PATH_MAX];
  if (told[0] != '/' || strstr(told, "://") != NULL)
    return error_set(error, STATUS_UNSUPPORTED,
                     "it keeps its data at '%.300s'; only folders of this machine are supported",
                     told);
  if (!read_only && mkdir(told, 0777) != 0 && errno != EEXIST)
    return error_set(error, STATUS_IO, "its data folder '%.300s' cannot be made: %s", told,
                     strerror(errno));
  if (realpath(told, real) == NULL)
    return error_set(error, STATUS_IO, "its data folder '%.300s' cannot be found: %s", told,
                     strerror(errno));
  struct text text = TEXT_EMPTY;
  enum status status = text_add_format(&text, error, "%s/", real);
  if (status == STATUS_OK) status = check_folder(engine, text_get(&text), error);
  if (status == STATUS_OK) {
    free(lake->folder);
    free(lake->folder_mark);
    const char *slash = strrchr(real, '/');
    lake->folder = strdup(told);
    lake->folder_mark = strdup(text_get(&text) + (slash - real) + 1);
    if (lake->folder_fd >= 0) close(lake->folder_fd);
    lake->folder_fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lake->folder == NULL || lake->folder_mark == NULL)
      status = error_set(error, STATUS_NOMEM, "no memory for a lake's folder");
    else if (lake->folder_fd < 0)
      status = error_set(error, STATUS_IO, "its data folder '%.300s' cannot be opened: %s", told,
                         strerror(errno));
  }
  text_release(&text);
  return status;
}

static enum status attach(struct engine *engine, struct lake *lake, bool read_only,
                          struct error *error) {
  struct text sql = TEXT_EMPTY, source = TEXT_EMPTY, folder = TEXT_EMPTY;
  if (strcasecmp(lake->name, engine->name) == 0)
    return error_set(error, STATUS_INVALID,
                     "the database is called \"%s\" as well; give one of the files another name",
                     engine->name);
  enum status status = database_claim(engine, lake->path, error);
  if (status == STATUS_OK) status = text_add_format(&source, error, "ducklake:%s", lake->path);
  if (status == STATUS_OK) status = text_add(&sql, "ATTACH ", error);
  if (status == STATUS_OK) status = text_add_literal(&sql, text_get(&source), error);
  if (status == STATUS_OK) status = text_add(&sql, " AS ", error);
  if (status == STATUS_OK) status = text_add_identifier(&sql, lake->name, error);
  if (status == STATUS_OK && read_only) status = text_add(&sql, " (READ_ONLY)", error);
  if (status == STATUS_OK) status = control_run(engine, text_get(&sql), error);
  if (status == STATUS_OK) status = database_claim(engine, lake->path, error);
  if (status != STATUS_OK) goto done;
  text_clear(&sql);
  status = text_add(&sql, "SELECT coalesce(max(value), '') FROM ducklake_options(", error);
  if (status == STATUS_OK) status = text_add_literal(&sql, lake->name, error);
  if (status == STATUS_OK)
    status = text_add(&sql, ") WHERE option_name = 'data_path' AND scope = 'GLOBAL'", error);
  if (status == STATUS_OK) status = control_text(engine, text_get(&sql), &folder, error);
  if (status == STATUS_OK) status = open_folder(engine, lake, text_get(&folder), read_only, error);

done:
  text_release(&sql);
  text_release(&source);
  text_release(&folder);
  return status;
}

enum status lakes_attach(struct engine *engine, bool read_only, struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < engine->lake_count && status == STATUS_OK; i++) {
    status = attach(engine, &engine->lakes[i], read_only, error);
    if (status != STATUS_OK) error_at(error, "the lake '%.300s'", engine->lakes[i].path);
  }
  return status;
}

enum status lakes_allow_sql(const struct engine *engine, struct text *sql, struct error *error) {
  enum status status = text_add(sql, "SET allowed_directories = [", error);
  for (size_t i = 0; i < engine->lake_count && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(sql, ", ", error);
    if (status == STATUS_OK) status = text_add_literal(sql, engine->lakes[i].folder, error);
  }
  if (status == STATUS_OK) status = text_add(sql, "]", error);
  return status;
}

/* ---- committing --------------------------------------------------------------------------- */

static bool is_written(const struct engine_session *session, const struct lake *lake) {
  return session->any_lake || session->lake == lake;
}

/* The data files that the transaction has written, and the folders they are in. */
static enum status sync_files(const struct engine_session *session, struct error *error) {
  const struct engine *engine = session->engine;
  for (size_t i = 0; i < engine->lake_count; i++) {
    const struct lake *lake = &engine->lakes[i];
    if (is_written(session, lake) && syncfs(lake->folder_fd) != 0)
      return error_set(error, STATUS_IO,
                       "the data files of the lake \"%s\" could not be synced: %s", lake->name,
                       strerror(errno));
  }
  return STATUS_OK;
}

static enum status read_version(struct engine_session *session, const struct lake *lake,
                                struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status =
      text_add(&sql, "SELECT max(id) FROM ducklake_last_committed_snapshot(", error);
  if (status == STATUS_OK) status = text_add_literal(&sql, lake->name, error);
  if (status == STATUS_OK) status = text_add(&sql, ") AS snapshot(id)", error);
  if (status == STATUS_OK)
    status = session_numbers(session, text_get(&sql), &session->version, 1, error);
  text_release(&sql);
  return status;
}

enum status lake_commit(struct engine_session *session, struct error *error) {
  struct engine *engine = session->engine;
  session->version = -1;
  enum status status = sync_files(session, error);
  if (status != STATUS_OK) return status;
  for (size_t i = 0; i < engine->lake_count; i++)
    if (is_written(session, &engine->lakes[i])) pthread_mutex_lock(&engine->lakes[i].commit);
  status = session_run(session, "COMMIT", error);
  struct error ignored; /* the rows are there, whatever their snapshot is called */
  if (status == STATUS_OK && session->lake != NULL &&
      read_version(session, session->lake, &ignored) != STATUS_OK)
    session->version = -1;
  for (size_t i = engine->lake_count; i-- > 0;)
    if (is_written(session, &engine->lakes[i])) pthread_mutex_unlock(&engine->lakes[i].commit);
  return status;
}

int64_t engine_committed_version(const struct engine_session *session) { return session->version; }

/* ---- types -------------------------------------------------------------------------------- */

static const char *why_not(duckdb_type type) {
  switch (type) {
  case DUCKDB_TYPE_TIME_NS: return "DuckLake cannot write TIME_NS; send time64[us]";
  case DUCKDB_TYPE_INTERVAL:
    return "DuckLake cuts microseconds off an INTERVAL and holds no negative one; send a number";
  case DUCKDB_TYPE_ARRAY: return "DuckLake has no lists of fixed size; send a list";
  case DUCKDB_TYPE_HUGEINT:
  case DUCKDB_TYPE_UHUGEINT: return "DuckLake keeps it as DOUBLE, which changes large values";
  default: return NULL;
  }
}

enum status lake_check(const struct landing *landing, const char *column, struct error *error) {
  const char *why = why_not(landing->duck);
  if (why == NULL && column != NULL && strstr(column, "HUGEINT") != NULL)
    why = why_not(DUCKDB_TYPE_HUGEINT); /* UHUGEINT, too */
  if (why != NULL)
    return error_set(error, STATUS_UNSUPPORTED, "the column \"%s\" cannot land in a lake: %s",
                     landing->path != NULL ? landing->path : landing->name, why);
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < landing->child_count && status == STATUS_OK; i++)
    status = lake_check(&landing->children[i], NULL, error);
  return status;
}

/* ---- SQL from outside --------------------------------------------------------------------- */

/* The tables that a lake is made of, files that others may have put there, files that loads are
 * writing. */
static const char *const never[] = {"__ducklake_metadata", "add_data_files",
                                    "delete_orphaned_files", "ducklake_commit"};

/* They change a lake, also where they stand in a SELECT, also in a transaction that only reads. */
static const char *const maintenance[] = {
    "expire_snapshots",   "cleanup_old_files", "merge_adjacent_files", "rewrite_data_files",
    "flush_inlined_data", "set_option",        "set_commit_message",
};

static bool may_maintain(const struct engine_query *query) {
  return !query->read_only && !query->data_only && query->may_read == NULL &&
         query->may_write == NULL;
}

/* Files are not named in SQL. */
static enum status check_files(const struct lake *lake, const char *sql, struct error *error) {
  const char *file = strrchr(lake->path, '/') + 1;
  bool named = strchr(file, '.') != NULL && strcasestr(sql, file) != NULL;
  if (!named && strcasestr(sql, lake->folder_mark) == NULL) return STATUS_OK;
  return error_set(error, STATUS_DENIED,
                   "the files of the lake \"%s\" cannot be read by SQL, and their names may not "
                   "stand in a statement (a value that holds one can be given as a parameter)",
                   lake->name);
}

enum status lake_guard(const struct engine_session *session, const struct engine_query *query,
                       bool *changes, struct error *error) {
  const struct engine *engine = session->engine;
  *changes = false;
  if (engine->lake_count == 0) return STATUS_OK;
  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
    if (strcasestr(query->sql, never[i]) != NULL)
      return error_set(error, STATUS_DENIED,
                       "%s is not available here, wherever it stands in a statement", never[i]);
  for (size_t i = 0; i < sizeof maintenance / sizeof maintenance[0]; i++) {
    if (strcasestr(query->sql, maintenance[i]) == NULL) continue;
    *changes = true;
    if (!may_maintain(query))
      return error_set(error, STATUS_DENIED,
                       "%s changes a lake: it needs the scope admin for every table, and a "
                       "statement that may write",
                       maintenance[i]);
  }
  /* DuckDB puts the whole database out of use when it writes such a column to Parquet. */
  if (strcasestr(query->sql, "time_ns") != NULL && !query->read_only)
    for (size_t i = 0; i < engine->lake_count; i++)
      if (session->at_home == &engine->lakes[i] ||
          strcasestr(query->sql, engine->lakes[i].name) != NULL)
        return error_set(error, STATUS_DENIED,
                         "a lake cannot hold TIME_NS: a statement that may write cannot name both");
  for (size_t i = 0; i < engine->lake_count; i++) {
    enum status status = check_files(&engine->lakes[i], query->sql, error);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}
