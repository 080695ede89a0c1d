/* Storage that is a lake: `ducklake:PATH` names its catalog file. To SQL, and in the name of a
 * table, it is a catalog, called as the file is without its ending. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/engine.h"
#include "server/config.h"

static const char scheme[] = "ducklake:";

const char *server_config_lake_path(const char *backend) {
  return strncmp(backend, scheme, sizeof scheme - 1) == 0 ? backend + sizeof scheme - 1 : NULL;
}

static bool is_listed(const struct server_config *config, const char *backend) {
  for (size_t i = 0; i < config->lake_count; i++)
    if (config->lakes[i].backend != NULL && strcmp(config->lakes[i].backend, backend) == 0)
      return true;
  return false;
}

static enum status list_lake(struct server_config *config, const char *backend,
                             struct error *error) {
  const char *path = server_config_lake_path(backend);
  if (path == NULL || is_listed(config, backend)) return STATUS_OK;
  struct server_config_lake *lake = &config->lakes[config->lake_count];
  *lake = (struct server_config_lake){.backend = backend, .path = path};
  enum status status = engine_lake_name(path, lake->name, error);
  if (status == STATUS_OK) config->lake_count++;
  return status;
}

enum status server_config_fill_lakes(struct server_config *config, struct error *error) {
  config->lakes = calloc(config->stream_count + 1, sizeof *config->lakes);
  if (config->lakes == NULL) return error_set(error, STATUS_NOMEM, "no memory for lakes");
  enum status status = list_lake(config, config->storage_backend, error);
  for (size_t i = 0; i < config->stream_count && status == STATUS_OK; i++)
    status = list_lake(config, config->streams[i].backend, error);
  return status;
}

/* The lake whose catalog, or whose backend, that is. */
static const struct server_config_lake *find(const struct server_config *config,
                                             const char *catalog, const char *backend) {
  for (size_t i = 0; i < config->lake_count; i++)
    if (catalog != NULL ? strcasecmp(config->lakes[i].name, catalog) == 0
                        : strcmp(config->lakes[i].backend, backend) == 0)
      return &config->lakes[i];
  return NULL;
}

enum status server_config_place(const struct server_config *config, struct table_name *table,
                                const char **backend, struct error *error) {
  const struct server_config_lake *lake = find(config, NULL, *backend);
  if (lake == NULL && server_config_lake_path(*backend) != NULL)
    return error_set(error, STATUS_UNSUPPORTED,
                     "the storage '%.100s' is in no place of the server's configuration; a request "
                     "may name those that are",
                     *backend);
  const struct server_config_lake *named =
      table->catalog[0] == '\0' ? NULL : find(config, table->catalog, NULL);
  bool engine = lake != NULL || strcmp(*backend, "duckdb") == 0;
  if (engine && named != NULL) lake = named;
  if (lake == NULL || (table->catalog[0] != '\0' && named == NULL)) {
    if (lake != NULL) *backend = "duckdb"; /* another catalog: the database's, or none at all */
    return STATUS_OK;
  }
  *backend = lake->backend;
  memcpy(table->catalog, lake->name, sizeof table->catalog);
  if (table->schema[0] == '\0') memcpy(table->schema, "main", sizeof "main");
  return STATUS_OK;
}

enum status server_config_place_streams(struct server_config *config, struct stream_config *streams,
                                        struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < config->stream_count && status == STATUS_OK; i++) {
    if (find(config, NULL, streams[i].backend) == NULL) continue;
    status = server_config_place(config, &streams[i].table, &streams[i].backend, error);
    if (status != STATUS_OK) error_at(error, "%s: stream '%s'", streams[i].where, streams[i].name);
  }
  return status;
}

/* What a start can say of lakes without opening one. */
enum status server_config_check_lakes(const struct server_config *config, struct error *error) {
  char database[TABLE_NAME_BYTES_MAX + 1] = "";
  struct error ignored;
  if (config->lake_count == 0) return STATUS_OK;
  if (engine_lake_name(config->db_path, database, &ignored) != STATUS_OK) database[0] = '\0';
  for (size_t i = 0; i < config->lake_count; i++) {
    const struct server_config_lake *lake = &config->lakes[i];
    if (strcasecmp(lake->name, database) == 0)
      return error_set(error, STATUS_INVALID,
                       "storage_backend '%.200s': the database '%.200s' is called \"%s\" as well; "
                       "give one of the files another name",
                       lake->backend, config->db_path, lake->name);
    for (size_t j = 0; j < i; j++)
      if (strcasecmp(lake->name, config->lakes[j].name) == 0)
        return error_set(
            error, STATUS_INVALID,
            "storage_backend '%.200s' and '%.200s' are both called \"%s\"; give one of "
            "the files another name, or write the path in one way",
            config->lakes[j].backend, lake->backend, lake->name);
  }
  return engine_lake_check(config->extensions, config->extension_count, error);
}
