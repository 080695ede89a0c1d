/* From files, environment and flags to one plain struct.
 *
 * Order: defaults, file, environment, flags, then the streams file, whose path any of
 * them may have given. What a stream leaves open is then filled in from above it, as
 * a default, so that every reader of the settings sees effective values. */
#include "server/config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/engine.h"
#include "server/auth.h"
#include "server/settings.h"
#include "sink/sink.h"

static const char DEFAULT_PATH[] = "arrowport.yaml";

enum { CHUNK_ROWS_DEFAULT = 122880 }; /* a row group of DuckDB */

static enum status no_memory(struct error *error) {
  return error_set(error, STATUS_NOMEM, "no memory for the configuration");
}

/* ---- files ---------------------------------------------------------------------- */

/* `*found` false: there is no such file, and `optional` says that this is no error. */
static enum status read_file(struct settings *settings, const char *path, const char *only,
                             bool optional, bool *found, struct error *error) {
  char *data = NULL;
  size_t bytes = 0;
  *found = false;
  if (optional && access(path, F_OK) != 0 && errno == ENOENT) return STATUS_OK;
  enum status status = settings_file_read(path, &data, &bytes, error);
  if (status == STATUS_OK) status = settings_yaml(settings, data, bytes, path, only, error);
  *found = status == STATUS_OK;
  settings_file_free(data, bytes);
  return status;
}

/* ---- what a stream leaves open -------------------------------------------------- */

static enum status inherit(struct config *values, const char *name, const char *value,
                           struct error *error) {
  if (config_has(values, name) || value == NULL) return STATUS_OK;
  return config_set(values, name, value, CONFIG_DEFAULT, error);
}

static enum status inherit_compression(struct config *values, const struct config *above,
                                       struct error *error) {
  const char *level = config_string(above, "level");
  enum status status = inherit(values, "algorithm", config_string(above, "algorithm"), error);
  if (status == STATUS_OK) status = inherit(values, "level", level, error);
  return status;
}

/* Every field of a section that the entry's leaves open. */
static enum status inherit_all(struct config *values, const struct config *above,
                               struct error *error) {
  enum status status = STATUS_OK;
  for (const struct config_field *field = config_fields(values);
       field->name != NULL && status == STATUS_OK; field++)
    status = inherit(values, field->name, config_string(above, field->name), error);
  return status;
}

/* A name with dots becomes schema.table, as it does for a stream that nobody
 * configured. */
static enum status complete_entry(struct settings_entry *entry, struct settings *root,
                                  struct error *error) {
  struct config *values = entry->settings.values;
  enum status status = STATUS_OK;
  if (!config_has(values, "target_table")) {
    struct table_name name;
    status = table_name_parse(entry->name, strlen(entry->name), &name, error);
    if (status != STATUS_OK)
      error_at(error, "%s: stream '%s' needs a target_table, because its name cannot be one",
               entry->where, entry->name);
  }
  if (status == STATUS_OK) status = inherit(values, "target_table", entry->name, error);
  if (status == STATUS_OK)
    status =
        inherit(values, "storage_backend", config_string(root->values, "storage_backend"), error);
  static const char *const same[] = {"schema_policy", "transaction"};
  for (size_t i = 0; i < sizeof same / sizeof same[0] && status == STATUS_OK; i++)
    status = inherit(values, same[i], config_string(root->values, same[i]), error);
  if (status == STATUS_OK)
    status = inherit_all(settings_section(&entry->settings, "group_commit")->values,
                         settings_section(root, "group_commit")->values, error);
  if (status == STATUS_OK)
    status = inherit_compression(settings_section(&entry->settings, "compression")->values,
                                 settings_section(root, "compression")->values, error);
  return status;
}

/* ---- the plain struct ----------------------------------------------------------- */

static struct ipc_writer_options compression_of(const struct config *values) {
  const char *algorithm = config_string(values, "algorithm");
  if (strcmp(algorithm, "zstd") == 0)
    return (struct ipc_writer_options){.compression = IPC_COMPRESSION_ZSTD,
                                       .level = (int)config_integer(values, "level")};
  if (strcmp(algorithm, "lz4") == 0)
    return (struct ipc_writer_options){.compression = IPC_COMPRESSION_LZ4};
  return (struct ipc_writer_options){.compression = IPC_COMPRESSION_NONE};
}

static enum log_level log_level_of(const char *name) {
  static const char *const names[] = {"error", "warning", "info", "debug"};
  size_t i = 0;
  while (strcmp(names[i], name) != 0) i++; /* one of them: the table's choices */
  return (enum log_level)i;
}

static enum log_format log_format_of(const char *name) {
  if (strcmp(name, "text") == 0) return LOG_FORMAT_TEXT;
  return strcmp(name, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_AUTO;
}

static struct query_limits query_of(const struct config *values) {
  return (struct query_limits){
      .rows_max = config_integer(values, "rows_max"),
      .bytes_max = config_integer(values, "bytes_max"),
      .memory_percent = (int)config_integer(values, "memory_percent"),
      .concurrent_max = (int)config_integer(values, "concurrent_max"),
  };
}

static struct tls_options tls_of(const struct config *values) {
  return (struct tls_options){
      .cert_path = config_string(values, "cert"),
      .key_path = config_string(values, "key"),
      .client_ca_path = config_string(values, "client_ca"),
      .client_required = config_has(values, "client_ca") &&
                         strcmp(config_string(values, "client_certificates"), "required") == 0,
  };
}

static struct http_server_options http_of(const struct config *values) {
  return (struct http_server_options){
      .listen_fd = -1,
      .header_bytes_max = config_integer(values, "header_bytes_max"),
      .header_count_max = config_integer(values, "header_count_max"),
      .body_bytes_max = config_integer(values, "body_bytes_max"),
      .connections_max = config_integer(values, "connections_max"),
      .connections_per_address_max = config_integer(values, "connections_per_address_max"),
      .streams_max = config_integer(values, "streams_max"),
      .window_bytes_max = config_integer(values, "window_bytes_max"),
      .resets_per_s = config_integer(values, "resets_per_s"),
      .settings_per_s = config_integer(values, "settings_per_s"),
      .pings_per_s = config_integer(values, "pings_per_s"),
      .control_per_s = config_integer(values, "control_per_s"),
      .empty_frames_per_s = config_integer(values, "empty_frames_per_s"),
      .idle_timeout_ms = config_integer(values, "idle_timeout_ms"),
      .header_timeout_ms = config_integer(values, "header_timeout_ms"),
      .body_timeout_ms = config_integer(values, "body_timeout_ms"),
      .body_bytes_per_timeout = config_integer(values, "body_bytes_per_timeout"),
      .write_timeout_ms = config_integer(values, "write_timeout_ms"),
      .write_bytes_high = config_integer(values, "write_bytes_high"),
  };
}

static enum schema_policy policy_of(const char *name) {
  if (strcmp(name, "strict") == 0) return SCHEMA_STRICT;
  return strcmp(name, "merge") == 0 ? SCHEMA_MERGE : SCHEMA_SKIP;
}

static struct landing_config landing_of(const struct config *values, const struct config *group) {
  return (struct landing_config){
      .policy = policy_of(config_string(values, "schema_policy")),
      .each_batch = strcmp(config_string(values, "transaction"), "batch") == 0,
      .group_rows_max = config_integer(group, "rows_max"),
      .group_bytes_max = config_integer(group, "bytes_max"),
      .group_time_ms = config_integer(group, "time_ms"),
  };
}

static enum status stream_of(struct settings_entry *entry, struct stream_config *stream,
                             struct error *error) {
  struct config *values = entry->settings.values;
  const char *table = config_string(values, "target_table");
  *stream = (struct stream_config){
      .name = entry->name,
      .backend = config_string(values, "storage_backend"),
      .chunk_rows = config_integer(values, "chunk_size"),
      .landing = landing_of(values, settings_section(&entry->settings, "group_commit")->values),
      .compression = compression_of(settings_section(&entry->settings, "compression")->values),
      .delta_options = settings_section(&entry->settings, "delta_options")->values,
      .where = entry->where,
  };
  return table_name_parse(table, strlen(table), &stream->table, error);
}

static enum status fill_streams(struct server_config *config, struct error *error) {
  struct settings *root = config->settings;
  struct settings *streams = settings_section(root, "streams");
  enum status status = settings_sort_entries(streams, error);
  if (status != STATUS_OK || streams->entry_count == 0) return status;
  struct stream_config *made = calloc(streams->entry_count, sizeof made[0]);
  if (made == NULL) return no_memory(error);
  config->streams = made;
  config->stream_count = streams->entry_count;
  for (size_t i = 0; i < streams->entry_count && status == STATUS_OK; i++) {
    status = complete_entry(&streams->entries[i], root, error);
    if (status == STATUS_OK) status = stream_of(&streams->entries[i], &made[i], error);
  }
  return status;
}

/* Where a client on this machine finds the server. */
static enum status add_url(struct text *url, const struct server_config *config,
                           struct error *error) {
  const char *host = config->host;
  if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) host = "127.0.0.1";
  bool v6 = strchr(host, ':') != NULL;
  return text_add_format(url, error, v6 ? "%s://[%s]:%d" : "%s://%s:%d",
                         config->tls.cert_path != NULL ? "https" : "http", host, config->port);
}

static enum status check_tls(const struct tls_options *tls, struct error *error) {
  if ((tls->cert_path == NULL) == (tls->key_path == NULL)) {
    if (tls->client_ca_path == NULL || tls->cert_path != NULL) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "tls.client_ca needs tls.cert and tls.key");
  }
  return error_set(error, STATUS_INVALID, "tls.%s is set and tls.%s is not: TLS needs both",
                   tls->cert_path != NULL ? "cert" : "key",
                   tls->cert_path != NULL ? "key" : "cert");
}

static enum status fill(struct server_config *config, struct error *error) {
  struct settings *root = config->settings;
  struct config *values = root->values;
  config->streams_path = config_string(values, "streams_path");
  config->host = config_string(values, "host");
  if (strcmp(config->host, "localhost") == 0) config->host = "127.0.0.1";
  config->port = (int)config_integer(values, "port");
  config->db_path = config_string(values, "db_path");
  config->storage_backend = config_string(values, "storage_backend");
  config->memory_limit_bytes = config_integer(values, "memory_limit");
  config->threads = (int)config_integer(values, "threads");
  config->query_timeout_ms = config_integer(values, "query_timeout_s") * 1000;
  config->drain_timeout_ms = config_integer(values, "drain_timeout_s") * 1000;
  config->allowed_host_count = config_list(values, "allowed_hosts", &config->allowed_hosts);
  config->allowed_origin_count = config_list(values, "allowed_origins", &config->allowed_origins);
  config->query = query_of(settings_section(root, "query")->values);
  config->flight = flight_limits_of(settings_section(root, "flight")->values);
  config->log_level = log_level_of(config_string(values, "log_level"));
  config->log_format = log_format_of(config_string(values, "log_format"));
  config->tls = tls_of(settings_section(root, "tls")->values);
  config->extension_count = config_list(values, "duckdb_extensions", &config->extensions);
  config->http = http_of(settings_section(root, "http")->values);
  config->http.host = config->host;
  config->http.port = config->port;
  config->compression = compression_of(settings_section(root, "compression")->values);
  config->delta_config = settings_section(root, "delta_config")->values;
  config->chunk_rows = CHUNK_ROWS_DEFAULT;
  config->landing = landing_of(values, settings_section(root, "group_commit")->values);
  config->token_retention_s = config_integer(values, "token_retention_h") * 3600;
  config->tokens_max = config_integer(values, "tokens_max");
  config->checkpoint_wal_bytes = config_integer(values, "checkpoint_wal_bytes");
  config->checkpoint_interval_ms = config_integer(values, "checkpoint_interval_s") * 1000;

  struct text url = TEXT_EMPTY;
  enum status status = check_tls(&config->tls, error);
  if (status == STATUS_OK && !config_has(values, "url")) {
    status = add_url(&url, config, error);
    if (status == STATUS_OK)
      status = config_set(values, "url", text_get(&url), CONFIG_DEFAULT, error);
  }
  config->url = config_string(values, "url");
  text_release(&url);
  if (status == STATUS_OK) status = fill_streams(config, error);
  if (status == STATUS_OK) status = server_config_fill_lakes(config, error);
  if (status == STATUS_OK)
    status = server_config_place_streams(config, (struct stream_config *)(uintptr_t)config->streams,
                                         error);
  if (status == STATUS_OK) status = auth_new(settings_section(root, "auth"), &config->auth, error);
  return status;
}

/* ---- the whole ------------------------------------------------------------------ */

static enum status new_config(struct server_config **config, struct error *error) {
  *config = calloc(1, sizeof **config);
  if (*config == NULL) return no_memory(error);
  atomic_init(&(*config)->owners, 1);
  (*config)->settings = calloc(1, sizeof *(*config)->settings);
  if ((*config)->settings == NULL) return no_memory(error);
  return settings_init((*config)->settings, &SETTINGS_ROOT, error);
}

struct server_config *server_config_share(struct server_config *config) {
  atomic_fetch_add(&config->owners, 1);
  return config;
}

void server_config_free(struct server_config *config) {
  if (config == NULL || atomic_fetch_sub(&config->owners, 1) > 1) return;
  auth_free(config->auth);
  if (config->settings != NULL) settings_release(config->settings);
  free(config->settings);
  free((void *)config->streams);
  free(config->lakes);
  free((void *)config->path);
  free(config);
}

static enum status read_origins(struct server_config *config,
                                const struct server_config_options *options, struct error *error) {
  const char *path = options->path == NULL ? DEFAULT_PATH : options->path;
  bool found;
  enum status status =
      read_file(config->settings, path, NULL, options->path == NULL, &found, error);
  if (status != STATUS_OK) return status;
  if (found) {
    config->path = strdup(path);
    if (config->path == NULL) return no_memory(error);
  }
  status = settings_environment(config->settings, error);
  for (size_t i = 0; i < options->flag_count && status == STATUS_OK; i++) {
    const struct server_config_flag *flag = &options->flags[i];
    status = settings_set(config->settings, flag->key, flag->value, CONFIG_FLAG, error);
    if (status != STATUS_OK) error_at(error, "%s", flag->flag);
  }
  const char *streams_path = config_string(config->settings->values, "streams_path");
  if (status == STATUS_OK && streams_path != NULL) {
    status = read_file(config->settings, streams_path, "streams", false, &found, error);
    if (status == STATUS_NOT_FOUND || status == STATUS_DENIED || status == STATUS_IO)
      error_at(error, "streams_path");
  }
  return status;
}

enum status server_config_load(const struct server_config_options *options,
                               struct server_config **config, struct error *error) {
  struct server_config *made = NULL;
  enum status status = new_config(&made, error);
  if (status == STATUS_OK) status = read_origins(made, options, error);
  if (status == STATUS_OK) status = fill(made, error);
  struct memory_bound bound;
  memory_bound_read("", &bound);
  if (status == STATUS_OK) status = server_config_bound(made, &bound, error);
  if (status == STATUS_OK)
    *config = made;
  else
    server_config_free(made);
  return status;
}

enum status server_config_parse(const void *yaml, size_t bytes, const char *file,
                                struct server_config **config, struct error *error) {
  struct server_config *made = NULL;
  enum status status = new_config(&made, error);
  if (status == STATUS_OK) status = settings_yaml(made->settings, yaml, bytes, file, NULL, error);
  if (status == STATUS_OK) status = fill(made, error);
  if (status == STATUS_OK)
    *config = made;
  else
    server_config_free(made);
  return status;
}

static int stream_by_name(const void *name, const void *stream) {
  return strcmp(name, ((const struct stream_config *)stream)->name);
}

const struct stream_config *server_config_stream(const struct server_config *config,
                                                 const char *name) {
  if (config->stream_count == 0) return NULL;
  return bsearch(name, config->streams, config->stream_count, sizeof config->streams[0],
                 stream_by_name);
}

/* ---- can a server start with it? ------------------------------------------------- */

/* STATUS_UNSUPPORTED unless a sink of that name is built in. */
enum status server_config_backend(const char *backend, struct error *error) {
  bool lake = server_config_lake_path(backend) != NULL;
  if (lake || (sink_find(backend) != NULL && strcmp(backend, "ducklake") != 0)) return STATUS_OK;
  if (strcmp(backend, "ducklake") == 0)
    return error_set(error, STATUS_UNSUPPORTED,
                     "storage_backend 'ducklake' says no catalog file; write "
                     "ducklake:./lake.ducklake");
  struct text known = TEXT_EMPTY;
  size_t count;
  const struct sink_type *const *sinks = sink_all(&count);
  enum status status = STATUS_OK;
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = text_add_format(&known, error, "%s%s", i == 0 ? "" : ", ", sinks[i]->name);
  if (status == STATUS_OK)
    status = error_set(error, STATUS_UNSUPPORTED,
                       "storage_backend '%.100s' is not built in; built in are %s", backend,
                       text_get(&known));
  text_release(&known);
  return status;
}

enum status server_config_startable(const struct server_config *config, struct error *error) {
  enum status status = server_config_backend(config->storage_backend, error);
  for (size_t i = 0; i < config->stream_count && status == STATUS_OK; i++) {
    status = server_config_backend(config->streams[i].backend, error);
    if (status != STATUS_OK)
      error_at(error, "%s: stream '%s'", config->streams[i].where, config->streams[i].name);
  }
  if (status == STATUS_OK) status = auth_resolve(config->auth, error);
  if (status != STATUS_OK) return status;
  for (size_t i = 0; i < config->extension_count && status == STATUS_OK; i++) {
    status = engine_extension_check(config->extensions[i], error);
    if (status != STATUS_OK) error_at(error, "duckdb_extensions");
  }
  if (status == STATUS_OK) status = server_config_check_lakes(config, error);
  return status;
}
