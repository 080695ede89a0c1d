/* Finds and loads libduckdb.so.
 *
 * Loaded on first use and never unloaded: its threads and destructors live as long as
 * the process. RTLD_LOCAL keeps its symbols apart from another DuckDB in the process
 * (Python's). Only version 1.5 is taken: the functions that move rows are not frozen
 * between DuckDB's minor versions. */
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "engine/private.h"

#define LIBRARY_FILE    "libduckdb.so"
#define LIBRARY_VERSION "v1.5."

static struct duckdb_api api;
static bool loaded;
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;

/* Tries one place; `looked` keeps what was tried, for the message. */
static enum status try_path(const char *path, void **handle, struct text *looked,
                            struct error *error) {
  enum status status =
      text_add_format(looked, error, "%s%s", looked->size_bytes == 0 ? "" : ", ", path);
  if (status != STATUS_OK) return status;
  bool is_path = strchr(path, '/') != NULL;
  if (is_path && access(path, F_OK) != 0) return STATUS_OK; /* the next place */
  *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  if (*handle == NULL && is_path)
    return error_set(error, STATUS_NOT_FOUND, "%s is there but cannot be loaded: %s", path,
                     dlerror());
  return STATUS_OK;
}

static enum status try_in(const char *directory, const char *below, void **handle,
                          struct text *looked, struct error *error) {
  struct text path = TEXT_EMPTY;
  enum status status = text_add_format(&path, error, "%s/%s" LIBRARY_FILE, directory, below);
  if (status == STATUS_OK) status = try_path(path.data, handle, looked, error);
  text_release(&path);
  return status;
}

static enum status try_beside_program(void **handle, struct text *looked, struct error *error) {
  char program[PATH_MAX];
  ssize_t bytes = readlink("/proc/self/exe", program, sizeof program - 1);
  if (bytes <= 0) return STATUS_OK;
  program[bytes] = '\0';
  char *slash = strrchr(program, '/');
  if (slash == NULL) return STATUS_OK;
  *slash = '\0';
  enum status status = try_in(program, "", handle, looked, error);
  if (status == STATUS_OK && *handle == NULL)
    status = try_in(program, "../lib/", handle, looked, error);
  return status;
}

static enum status find(void **handle, struct error *error) {
  struct text looked = TEXT_EMPTY;
  const char *root = getenv("DUCKDB_ROOT");
  enum status status = STATUS_OK;
  *handle = NULL;
  if (root != NULL && root[0] != '\0') { /* said explicitly: there or nowhere */
    status = try_in(root, "", handle, &looked, error);
    if (status == STATUS_OK && *handle == NULL)
      status = try_in(root, "lib/", handle, &looked, error);
    goto done;
  }
  status = try_beside_program(handle, &looked, error);
  if (status == STATUS_OK && *handle == NULL)
    status = try_path(LIBRARY_FILE, handle, &looked, error);

done:
  if (status == STATUS_OK && *handle == NULL)
    status = error_set(error, STATUS_NOT_FOUND,
                       LIBRARY_FILE " (DuckDB " LIBRARY_VERSION "x) was not found; looked for %s. "
                                    "Set DUCKDB_ROOT to the folder that holds it",
                       looked.data);
  text_release(&looked);
  return status;
}

static enum status resolve(void *handle, struct duckdb_api *found, struct error *error) {
  /* The version comes first: an older library may lack functions of the list. */
  const char *(*version)(void);
  *(void **)&version = dlsym(handle, "duckdb_library_version");
  if (version == NULL)
    return error_set(error, STATUS_NOT_FOUND, LIBRARY_FILE " that was found is not DuckDB's");
  if (strncmp(version(), LIBRARY_VERSION, strlen(LIBRARY_VERSION)) != 0)
    return error_set(error, STATUS_NOT_FOUND,
                     LIBRARY_FILE " that was found is DuckDB %s, but " LIBRARY_VERSION
                                  "x is needed. Set DUCKDB_ROOT to the folder of the right one",
                     version());
#define X(result, name, arguments)                                                                 \
  *(void **)&found->name = dlsym(handle, "duckdb_" #name);                                         \
  if (found->name == NULL)                                                                         \
    return error_set(error, STATUS_NOT_FOUND,                                                      \
                     LIBRARY_FILE " (DuckDB %s) lacks the function duckdb_" #name, version());
  DUCKDB_FUNCTIONS(X)
#undef X
  if (found->vector_size() != CHUNK_ROWS)
    return error_set(error, STATUS_UNSUPPORTED,
                     LIBRARY_FILE " was built with vectors of %llu rows; %d are needed",
                     (unsigned long long)found->vector_size(), CHUNK_ROWS);
  return STATUS_OK;
}

enum status library_load(const struct duckdb_api **duckdb, struct error *error) {
  enum status status = STATUS_OK;
  void *handle = NULL;
  pthread_mutex_lock(&load_lock);
  if (loaded) goto done;
  status = find(&handle, error);
  if (status != STATUS_OK || handle == NULL) goto done;
  struct duckdb_api found;
  status = resolve(handle, &found, error);
  if (status != STATUS_OK) {
    dlclose(handle);
    goto done;
  }
  api = found;
  loaded = true;

done:
  pthread_mutex_unlock(&load_lock);
  *duckdb = status == STATUS_OK ? &api : NULL;
  return status;
}

enum status engine_version(const char **version, struct error *error) {
  const struct duckdb_api *duckdb;
  enum status status = library_load(&duckdb, error);
  *version = status == STATUS_OK ? duckdb->library_version() : NULL;
  return status;
}
