/* The server's configuration: what `arrowport.yaml`, the environment and the flags
 * say, checked, as one plain struct that nobody changes any more.
 *
 * A key's row in the field tables (config_tables.c) is its only description: it is
 * parsed, checked, defaulted, documented and printed from there. A stronger origin
 * wins: flag > environment > file > default. docs/configuration.md is generated. */
#ifndef ARROWPORT_SERVER_CONFIG_H
#define ARROWPORT_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arrow/ipc.h"
#include "base/config.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/table_name.h"
#include "base/text.h"
#include "net/net.h"
#include "server/config_flight.h"
#include "sink/sink.h"

/* How loads are committed. */
struct landing_config {
  enum schema_policy policy;
  bool each_batch; /* each record batch is a transaction; false: each request */
  /* What requests that share a commit come to at most. */
  int64_t group_rows_max, group_bytes_max;
  int64_t group_time_ms; /* so long may the commit take, as far as can be told beforehand */
};

/* One entry of `streams:`. */
struct stream_config {
  const char *name;        /* as a URL names it, decoded */
  struct table_name table; /* where its rows land; without target_table: the stream's name */
  const char *backend;     /* a sink's name, "duckdb"; whether it is built in is checked apart */
  int64_t chunk_rows;      /* rows that the sink is handed at a time */
  struct landing_config landing;
  struct ipc_writer_options compression;
  const struct config *delta_options; /* kept for the Delta backend; defaults where not given */
  const char *where;                  /* where it is configured: "arrowport.yaml:14:3" */
};

/* A lake that is storage. */
struct server_config_lake {
  const char *backend;                 /* "ducklake:./lake.ducklake", as it was written */
  const char *path;                    /* of the catalog file, in it */
  char name[TABLE_NAME_BYTES_MAX + 1]; /* the catalog that it is to SQL */
};

/* All text lives as long as the config. */
struct server_config {
  _Atomic int owners;
  const char *path;         /* of the file that was read; NULL: none */
  const char *streams_path; /* of the file that holds only streams; NULL: none */
  const char *host;         /* "0.0.0.0": a numeric address */
  int port;                 /* 0: any free one */
  const char *url;     /* where the command line looks for the server: "http://127.0.0.1:8888" */
  const char *db_path; /* of the DuckDB file; ":memory:": none */
  const char *storage_backend; /* of streams that name none, and of unknown streams */
  int64_t memory_limit_bytes;
  char memory_why[384];     /* where memory_limit comes from, where nobody set it; "": it was set */
  char memory_warning[512]; /* why it is more than the process can have; "": it is not */
  int threads;              /* 0: as many as the machine has */
  int64_t query_timeout_ms; /* 0: none */
  struct query_limits {
    int64_t rows_max, bytes_max; /* of one answer; 0: no limit */
    int memory_percent;          /* of memory_limit_bytes, for the SQL engine */
    int concurrent_max;          /* 0: half of the workers */
  } query;
  struct flight_limits flight;
  int64_t drain_timeout_ms;
  const char *const *allowed_hosts; /* besides loopback names and what is listened on */
  size_t allowed_host_count;
  const char *const *allowed_origins;
  size_t allowed_origin_count;
  struct tls_options tls; /* cert_path NULL: in the clear */
  struct auth *auth;      /* tokens and users (server/auth.h) */
  enum log_level log_level;
  enum log_format log_format;
  int64_t chunk_rows;              /* of unknown streams */
  struct landing_config landing;   /* likewise */
  int64_t token_retention_s;       /* so long is an Idempotency-Key remembered */
  int64_t tokens_max;              /* so many are at most; the oldest are forgotten */
  int64_t checkpoint_wal_bytes;    /* a checkpoint when the write-ahead log is so long */
  int64_t checkpoint_interval_ms;  /* and when it is so old; 0: not for that */
  struct http_server_options http; /* with host and port */
  struct ipc_writer_options compression;
  const struct config *delta_config; /* kept for the Delta backend */
  const char *const *extensions;     /* duckdb_extensions, as asked for */
  size_t extension_count;
  const struct stream_config *streams; /* sorted by name */
  size_t stream_count;
  struct server_config_lake *lakes; /* those that storage_backend names anywhere */
  size_t lake_count;

  struct settings *settings; /* private: the values with their origins */
};

struct server_config_flag {
  const char *key; /* "port", "http.idle_timeout_ms" */
  const char *value;
  const char *flag; /* "--port", for messages */
};

struct server_config_options {
  const char *path; /* NULL: ./arrowport.yaml where there is one */
  const struct server_config_flag *flags;
  size_t flag_count;
};

/* Reads file, streams file, environment and flags. STATUS_INVALID says which file,
 * line and column (or variable, or flag) is wrong and what to write instead;
 * STATUS_NOT_FOUND and STATUS_DENIED for a file that was named and cannot be read.
 * Blocks for the files. The config is freed by server_config_free. */
enum status server_config_load(const struct server_config_options *options,
                               struct server_config **config, struct error *error) WARN_UNUSED;
/* What the process usually takes beside memory_limit: the program and its libraries (DuckDB's are
 * the most), the stacks of threads, what its allocators keep (docs/internals/memory.md). */
#define SERVER_MEMORY_BESIDE_BYTES ((int64_t)192 << 20)
/* Where nobody has set memory_limit, it becomes half of what the process may have if that is less
 * than the default. Fills in memory_why and memory_warning. server_config_load does so. */
enum status server_config_bound(struct server_config *config, const struct memory_bound *bound,
                                struct error *error) WARN_UNUSED;

/* Another owner of the same configuration: a request keeps the one that it began with. */
struct server_config *server_config_share(struct server_config *config);
void server_config_free(struct server_config *config); /* one owner less; NULL is allowed */

/* As server_config_load, for the bytes of a file and nothing else: no environment,
 * no I/O. `file` is its name in messages. */
enum status server_config_parse(const void *yaml, size_t bytes, const char *file,
                                struct server_config **config, struct error *error) WARN_UNUSED;

/* What a start must check and a mere reader of the configuration need not: every
 * backend that is named is built in (STATUS_UNSUPPORTED names the stream and those
 * there are), every extension is inside DuckDB or a file that can be read, and secrets are
 * where the section `auth` says: they are fetched from there, into config->auth. */
enum status server_config_startable(const struct server_config *config,
                                    struct error *error) WARN_UNUSED;

/* STATUS_UNSUPPORTED when no backend of that name is built in, with those that are. */
enum status server_config_backend(const char *backend, struct error *error) WARN_UNUSED;

/* The path in "ducklake:PATH"; NULL: the backend is no lake. */
const char *server_config_lake_path(const char *backend);
/* Where a table is that goes to `*backend`, or is named as one there: a lake's gets its full name,
 * and a name that says a lake's catalog gets that lake for `*backend`. STATUS_UNSUPPORTED for a lake
 * that the configuration does not name. */
enum status server_config_place(const struct server_config *config, struct table_name *table,
                                const char **backend, struct error *error) WARN_UNUSED;
/* Parts of reading a configuration, and of server_config_startable. */
enum status server_config_fill_lakes(struct server_config *config, struct error *error) WARN_UNUSED;
enum status server_config_place_streams(struct server_config *config, struct stream_config *streams,
                                        struct error *error) WARN_UNUSED;
enum status server_config_check_lakes(const struct server_config *config,
                                      struct error *error) WARN_UNUSED;

/* The same, and that the files of `tls` are there, can be read and go together: what
 * `arrowport config check` says. Blocks for the files; secrets get into no message. */
enum status server_config_files(const struct server_config *config,
                                struct error *error) WARN_UNUSED;
/* What is allowed but risky, a sentence each that begins with the setting. */
enum { SERVER_WARNINGS_MAX = 8 };
size_t server_config_warnings(const struct server_config *config,
                              const char *warnings[SERVER_WARNINGS_MAX]);

/* The stream of that name, or NULL: its table is then its name, in storage_backend. */
const struct stream_config *server_config_stream(const struct server_config *config,
                                                 const char *name);

/* A setting that has one place: all but those of named entries (streams, tokens). */
enum { SERVER_SETTINGS_MAX = 256, SERVER_SETTING_KEY_BYTES = 64 };
struct server_setting {
  char key[SERVER_SETTING_KEY_BYTES]; /* "http.idle_timeout_ms" */
  const struct config_field *field;   /* NULL: a whole section in its short form, "compression" */
  const char *environment;            /* NULL: none */
  const char *doc;
};
/* All of them in the order of the tables; returns how many. */
size_t server_config_settings(struct server_setting settings[SERVER_SETTINGS_MAX]);

/* Every effective value with its origin, secrets hidden: for people, or as JSON. */
enum status server_config_show(const struct server_config *config, bool json, struct text *out,
                               struct error *error) WARN_UNUSED;
/* A commented YAML file that says all defaults. */
enum status server_config_defaults(struct text *out, struct error *error) WARN_UNUSED;
/* The reference as Markdown: docs/configuration.md between its two markers. */
enum status server_config_reference(struct text *out, struct error *error) WARN_UNUSED;

#endif
