/* Every setting there is, once: name, type, default, limits, environment, sentence.
 * Names of the keys are those that configurations of this kind already use. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/table_name.h"
#include "engine/engine.h"
#include "flight/client.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/config_flight.h"
#include "server/settings.h"

/* ---- what a type cannot say ----------------------------------------------------- */

static enum status check_host(const char *value, struct error *error) {
  struct in6_addr address;
  if (strcmp(value, "localhost") == 0) return STATUS_OK;
  if (inet_pton(AF_INET, value, &address) == 1) return STATUS_OK;
  if (inet_pton(AF_INET6, value, &address) == 1) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "'%.100s' is not an address to listen on; write 0.0.0.0 (every one of IPv4), :: "
                   "(every one), 127.0.0.1 or that of a network interface",
                   value);
}

static enum status check_url(const char *value, struct error *error) {
  size_t scheme = strncmp(value, "https://", 8) == 0  ? 8
                  : strncmp(value, "http://", 7) == 0 ? 7
                                                      : 0;
  if (scheme > 0 && value[scheme] != '\0' && value[scheme] != '/') return STATUS_OK;
  struct flight_uri uri;
  if (flight_uri_is(value)) return flight_uri_parse(value, &uri, error);
  return error_set(error, STATUS_INVALID,
                   "'%.100s' is not the address of a server; write http://HOST:PORT, "
                   "https://HOST:PORT, or grpc://HOST:PORT for Flight",
                   value);
}

/* A host name or numeric address, perhaps with a port. */
static enum status check_host_name(const char *value, struct error *error) {
  size_t plain = strcspn(value, "/ \t@?#,\"'");
  if (value[0] != '\0' && value[plain] == '\0') return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "'%.100s' is not the name of a host; write db.example.org or "
                   "db.example.org:8888",
                   value);
}

static enum status check_origin(const char *value, struct error *error) {
  const char *host = strstr(value, "://");
  bool scheme = strncmp(value, "http://", 7) == 0 || strncmp(value, "https://", 8) == 0;
  if (scheme && host[3] != '\0' && strpbrk(host + 3, "/ ?#") == NULL) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "'%.100s' is not an origin; write https://app.example.org, without a path",
                   value);
}

static enum status check_table(const char *value, struct error *error) {
  struct table_name name;
  enum status status = table_name_parse(value, strlen(value), &name, error);
  if (status != STATUS_OK) error_at(error, "'%.100s'", value);
  return status;
}

static enum status check_word(const char *value, struct error *error) {
  size_t word = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_");
  if (word > 0 && value[word] == '\0') return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "'%.100s' is not a name made of lower-case letters, digits and _", value);
}

/* A sink's name, or a lake. */
static enum status check_backend(const char *value, struct error *error) {
  char name[TABLE_NAME_BYTES_MAX + 1];
  const char *path = server_config_lake_path(value);
  return path == NULL ? check_word(value, error) : engine_lake_name(path, name, error);
}

static enum status check_path(const char *value, struct error *error) {
  if (value[0] != '\0') return STATUS_OK;
  return error_set(error, STATUS_INVALID, "an empty text is no path");
}

/* `zstd`, `zstd:LEVEL`, `lz4`, `none`. */
static enum status compression_short_form(struct config *values, const char *text,
                                          enum config_origin origin, struct error *error) {
  if (strncmp(text, "zstd:", 5) == 0) {
    enum status status = config_set(values, "level", text + 5, origin, error);
    if (status != STATUS_OK) return status;
    return config_set(values, "algorithm", "zstd", origin, error);
  }
  enum status status = config_set(values, "algorithm", text, origin, error);
  if (status != STATUS_OK)
    return error_set(error, status,
                     "'%.100s' is not a compression; write zstd, zstd:LEVEL (1 to "
                     "22), lz4 or none",
                     text);
  return STATUS_OK;
}

/* ---- fields --------------------------------------------------------------------- */

static const struct config_field ROOT_FIELDS[] = {
    {.name = "host",
     .type = CONFIG_STRING,
     .default_text = "0.0.0.0",
     .environment = "ARROWPORT_HOST",
     .check = check_host,
     .doc = "Address to listen on. While no token or user is configured only clients on this "
            "machine are served (docs/security.md)."},
    {.name = "port",
     .type = CONFIG_INTEGER,
     .default_text = "8888",
     .max = 65535,
     .environment = "ARROWPORT_PORT",
     .doc = "Port to listen on; 0 takes any free one."},
    {.name = "url",
     .type = CONFIG_STRING,
     .environment = "ARROWPORT_URL",
     .check = check_url,
     .doc = "Where the command line looks for the server; this machine's address with `port` when "
            "unset."},
    {.name = "db_path",
     .type = CONFIG_PATH,
     .default_text = "data/arrowport.duckdb",
     .environment = "ARROWPORT_DB",
     .check = check_path,
     .doc = "The DuckDB file, created when there is none; ':memory:' keeps nothing."},
    {.name = "storage_backend",
     .type = CONFIG_STRING,
     .default_text = "duckdb",
     .environment = "ARROWPORT_STORAGE_BACKEND",
     .check = check_backend,
     .doc =
         "Where streams land that name no backend: `duckdb`, `ducklake:PATH` (docs/ducklake.md); "
         "`arrowport sinks` lists what is built in."},
    {.name = "streams_path",
     .type = CONFIG_PATH,
     .environment = "ARROWPORT_STREAMS_PATH",
     .check = check_path,
     .doc = "One more file, which holds only `streams:`."},
    {.name = "memory_limit",
     .type = CONFIG_BYTES,
     .default_text = "1GB",
     .min = (int64_t)64 << 20,
     .max = (int64_t)1 << 50,
     .environment = "ARROWPORT_MEMORY_LIMIT",
     .doc = "Memory for data on its way and for the SQL engine; requests wait rather than pass it. "
            "Where it is not set and the process may have less than twice as much (a container's "
            "limit, the machine), it is half of that."},
    {.name = "threads",
     .type = CONFIG_INTEGER,
     .default_text = "0",
     .max = 1024,
     .environment = "ARROWPORT_THREADS",
     .doc = "Threads that work; 0 takes as many as the machine has processors."},
    {.name = "query_timeout_s",
     .type = CONFIG_INTEGER,
     .unit = "seconds",
     .default_text = "300",
     .max = 604800,
     .environment = "ARROWPORT_QUERY_TIMEOUT_S",
     .doc = "A statement that runs longer is stopped; 0 lets it run."},
    {.name = "log_level",
     .type = CONFIG_CHOICE,
     .default_text = "info",
     .choices = "error|warning|info|debug",
     .environment = "ARROWPORT_LOG_LEVEL",
     .doc = "How much is logged, on standard error."},
    {.name = "log_format",
     .type = CONFIG_CHOICE,
     .default_text = "auto",
     .choices = "auto|text|json",
     .environment = "ARROWPORT_LOG_FORMAT",
     .doc = "How the log is written; auto is text on a terminal and JSON elsewhere."},
    {.name = "allowed_hosts",
     .type = CONFIG_LIST,
     .environment = "ARROWPORT_ALLOWED_HOSTS",
     .check = check_host_name,
     .doc = "Names that a request's Host may have besides this machine's loopback names and the "
            "addresses listened on; without a port, any port. '*' takes every name: DNS rebinding "
            "is then possible."},
    {.name = "allowed_origins",
     .type = CONFIG_LIST,
     .environment = "ARROWPORT_ALLOWED_ORIGINS",
     .check = check_origin,
     .doc = "Web pages that may ask besides this server's own: scheme://host[:port]."},
    {.name = "drain_timeout_s",
     .type = CONFIG_INTEGER,
     .unit = "seconds",
     .default_text = "30",
     .max = 3600,
     .environment = "ARROWPORT_DRAIN_TIMEOUT_S",
     .doc = "How long requests in flight may take to finish when the server is told to stop."},
    {.name = "schema_policy",
     .type = CONFIG_CHOICE,
     .default_text = "skip",
     .choices = "strict|skip|merge",
     .environment = "ARROWPORT_SCHEMA_POLICY",
     .doc = "What happens to a request whose schema is not its table's: strict refuses any "
            "difference; skip sets aside what is not contained in the table and answers 422 with "
            "the counts; merge adds columns and widens types where no value is lost."},
    {.name = "transaction",
     .type = CONFIG_CHOICE,
     .default_text = "request",
     .choices = "request|batch",
     .environment = "ARROWPORT_TRANSACTION",
     .doc =
         "What is committed at once: a whole request, or each record batch by itself; the answer "
         "then tells how many were."},
    {.name = "token_retention_h",
     .type = CONFIG_INTEGER,
     .unit = "hours",
     .default_text = "24",
     .min = 1,
     .max = 8760,
     .environment = "ARROWPORT_TOKEN_RETENTION_H",
     .doc = "How long an Idempotency-Key is remembered: a request that is repeated later lands "
            "again."},
    {.name = "tokens_max",
     .type = CONFIG_INTEGER,
     .default_text = "4000000",
     .min = 1000,
     .max = 1000000000,
     .environment = "ARROWPORT_TOKENS_MAX",
     .doc =
         "How many are remembered at most, at about 16 bytes of memory each; where it is not set, "
         "no more than fit into a sixteenth of `memory_limit`. The oldest are then forgotten "
         "before their time, which the log says."},
    {.name = "checkpoint_wal_bytes",
     .type = CONFIG_BYTES,
     .default_text = "16MiB",
     .min = 65536,
     .max = (int64_t)1 << 40,
     .environment = "ARROWPORT_CHECKPOINT_WAL_BYTES",
     .doc =
         "The database's write-ahead log is folded into its file when it is so long. Commits wait "
         "meanwhile; a long log makes them wait longer, and less often."},
    {.name = "checkpoint_interval_s",
     .type = CONFIG_INTEGER,
     .unit = "seconds",
     .default_text = "300",
     .max = 86400,
     .environment = "ARROWPORT_CHECKPOINT_INTERVAL_S",
     .doc = "And when its oldest change has waited so long, however short it is; 0: not for that."},
    {.name = "duckdb_extensions",
     .type = CONFIG_LIST,
     .environment = "ARROWPORT_DUCKDB_EXTENSIONS",
     .check = check_path,
     .doc = "DuckDB extensions, loaded at the start: a name for those inside DuckDB (parquet, "
            "json, icu, arrow, core_functions), the path of an extension file for others."},
    CONFIG_FIELD_END};

static const struct config_field NO_FIELDS[] = {CONFIG_FIELD_END};

static const struct config_field COMPRESSION_FIELDS[] = {
    {.name = "algorithm",
     .type = CONFIG_CHOICE,
     .default_text = "zstd",
     .choices = "zstd|lz4|none",
     .doc = "zstd is smaller, lz4 is faster."},
    {.name = "level",
     .type = CONFIG_INTEGER,
     .default_text = "3",
     .min = 1,
     .max = 22,
     .doc = "How hard zstd tries; the others have no levels."},
    CONFIG_FIELD_END};

static const struct config_field STREAM_COMPRESSION_FIELDS[] = {
    {.name = "algorithm",
     .type = CONFIG_CHOICE,
     .choices = "zstd|lz4|none",
     .doc = "zstd is smaller, lz4 is faster; unset, the whole of `compression` above holds."},
    {.name = "level",
     .type = CONFIG_INTEGER,
     .min = 1,
     .max = 22,
     .doc = "How hard zstd tries; the others have no levels."},
    CONFIG_FIELD_END};

static const struct config_field DELTA_FIELDS[] = {
    {.name = "table_path",
     .type = CONFIG_PATH,
     .default_text = "./delta_tables",
     .check = check_path,
     .doc = "The folder that holds Delta tables."},
    {.name = "version_retention_hours",
     .type = CONFIG_INTEGER,
     .unit = "hours",
     .default_text = "168",
     .min = 0,
     .max = 876000,
     .doc = "How long old versions of a table are kept."},
    {.name = "checkpoint_interval",
     .type = CONFIG_INTEGER,
     .unit = "versions",
     .default_text = "10",
     .min = 1,
     .max = 1000000,
     .doc = "A checkpoint of the log is written after so many versions."},
    {.name = "enable_cdc",
     .type = CONFIG_BOOLEAN,
     .default_text = "false",
     .doc = "Whether changes are recorded as a change data feed."},
    CONFIG_FIELD_END};

static const struct config_field DELTA_STREAM_FIELDS[] = {
    {.name = "partition_by", .type = CONFIG_LIST, .doc = "Columns whose values name folders."},
    {.name = "z_order_by",
     .type = CONFIG_LIST,
     .doc = "Columns that queries filter by: rows with near values are stored together."},
    {.name = "target_file_size",
     .type = CONFIG_BYTES,
     .default_text = "134217728",
     .min = 1 << 20,
     .max = (int64_t)1 << 40,
     .doc = "How large a data file is to become."},
    {.name = "compression",
     .type = CONFIG_CHOICE,
     .default_text = "snappy",
     .choices = "snappy|zstd|lz4|gzip|none",
     .doc = "Compression of data files."},
    CONFIG_FIELD_END};

static const struct config_field STREAM_FIELDS[] = {
    {.name = "target_table",
     .type = CONFIG_STRING,
     .check = check_table,
     .doc = "The table that rows land in (table, schema.table or catalog.schema.table; parts in "
            "double quotes may hold dots); unset, the stream's own name."},
    {.name = "storage_backend",
     .type = CONFIG_STRING,
     .check = check_backend,
     .doc = "Where the table is kept; unset, `storage_backend` above. The sink that drops what it "
            "checked is 'null', in quotes: YAML's bare null means no value."},
    {.name = "chunk_size",
     .type = CONFIG_INTEGER,
     .unit = "rows",
     .default_text = "122880",
     .min = 1,
     .max = 1 << 30,
     .doc = "Rows that are handed to the backend at a time; DuckDB likes multiples of 122880."},
    {.name = "schema_policy",
     .type = CONFIG_CHOICE,
     .choices = "strict|skip|merge",
     .doc = "What happens to a request whose schema is not the table's; unset, `schema_policy` "
            "above."},
    {.name = "transaction",
     .type = CONFIG_CHOICE,
     .choices = "request|batch",
     .doc = "What is committed at once; unset, `transaction` above."},
    CONFIG_FIELD_END};

static const struct config_field GROUP_FIELDS[] = {
    {.name = "rows_max",
     .type = CONFIG_INTEGER,
     .unit = "rows",
     .default_text = "122880",
     .min = 1,
     .max = 1 << 30,
     .environment = "ARROWPORT_GROUP_COMMIT_ROWS_MAX",
     .doc = "Rows of the requests that share a commit, together. 1: each commits by itself."},
    {.name = "bytes_max",
     .type = CONFIG_BYTES,
     .default_text = "16MiB",
     .min = 1,
     .max = 1 << 30,
     .environment = "ARROWPORT_GROUP_COMMIT_BYTES_MAX",
     .doc = "Their bytes. A request that is larger than a sixteenth of it commits by itself."},
    {.name = "time_ms",
     .type = CONFIG_INTEGER,
     .unit = "ms",
     .default_text = "50",
     .min = 1,
     .max = 60000,
     .environment = "ARROWPORT_GROUP_COMMIT_TIME_MS",
     .doc = "How long the commit may take, as the last ones tell: so long the next request may "
            "have to wait for its turn. Nothing waits for a group to fill."},
    CONFIG_FIELD_END};

static const struct config_field STREAM_GROUP_FIELDS[] = {
    {.name = "rows_max",
     .type = CONFIG_INTEGER,
     .unit = "rows",
     .min = 1,
     .max = 1 << 30,
     .doc = "Rows of the requests that share a commit, together; unset, `group_commit` above."},
    {.name = "bytes_max",
     .type = CONFIG_BYTES,
     .min = 1,
     .max = 1 << 30,
     .doc = "Their bytes; likewise."},
    {.name = "time_ms",
     .type = CONFIG_INTEGER,
     .unit = "ms",
     .min = 1,
     .max = 60000,
     .doc = "How long the commit may take; likewise."},
    CONFIG_FIELD_END};

/* The names and defaults are those of struct http_server_options (net/net.h). */
static const struct config_field HTTP_FIELDS[] = {
    {.name = "header_bytes_max",
     .type = CONFIG_BYTES,
     .default_text = "65536",
     .min = 1024,
     .max = 16 << 20,
     .environment = "ARROWPORT_HTTP_HEADER_BYTES_MAX",
     .doc = "All header lines of a request together (floods of headers, HPACK bombs)."},
    {.name = "header_count_max",
     .type = CONFIG_INTEGER,
     .default_text = "100",
     .min = 8,
     .max = 10000,
     .environment = "ARROWPORT_HTTP_HEADER_COUNT_MAX",
     .doc = "Header lines of a request (many tiny ones)."},
    {.name = "body_bytes_max",
     .type = CONFIG_BYTES,
     .default_text = "0",
     .max = (int64_t)1 << 60,
     .environment = "ARROWPORT_HTTP_BODY_BYTES_MAX",
     .doc = "A request's body, decompressed (endless bodies, compression bombs); 0: no limit."},
    {.name = "connections_max",
     .type = CONFIG_INTEGER,
     .default_text = "20000",
     .min = 1,
     .max = 1000000,
     .environment = "ARROWPORT_HTTP_CONNECTIONS_MAX",
     .doc = "Connections at a time; more are answered 503 (floods of connections)."},
    {.name = "connections_per_address_max",
     .type = CONFIG_INTEGER,
     .default_text = "0",
     .max = 1000000,
     .environment = "ARROWPORT_HTTP_CONNECTIONS_PER_ADDRESS_MAX",
     .doc =
         "Connections at a time from one address (one client that takes them all); 0: no limit."},
    {.name = "streams_max",
     .type = CONFIG_INTEGER,
     .default_text = "100",
     .min = 1,
     .max = 10000,
     .environment = "ARROWPORT_HTTP_STREAMS_MAX",
     .doc = "HTTP/2: requests at a time on one connection."},
    {.name = "window_bytes_max",
     .type = CONFIG_BYTES,
     .default_text = "16MiB",
     .min = 65536,
     .max = (int64_t)1 << 30,
     .environment = "ARROWPORT_HTTP_WINDOW_BYTES_MAX",
     .doc = "HTTP/2: bytes of bodies on their way on one connection."},
    {.name = "resets_per_s",
     .type = CONFIG_INTEGER,
     .unit = "1/s",
     .default_text = "100",
     .min = 1,
     .max = 1000000,
     .environment = "ARROWPORT_HTTP_RESETS_PER_S",
     .doc = "HTTP/2: requests that are opened and reset again (rapid reset)."},
    {.name = "settings_per_s",
     .type = CONFIG_INTEGER,
     .unit = "1/s",
     .default_text = "20",
     .min = 1,
     .max = 1000000,
     .environment = "ARROWPORT_HTTP_SETTINGS_PER_S",
     .doc = "HTTP/2: SETTINGS frames, each of which wants an answer (settings flood)."},
    {.name = "pings_per_s",
     .type = CONFIG_INTEGER,
     .unit = "1/s",
     .default_text = "20",
     .min = 1,
     .max = 1000000,
     .environment = "ARROWPORT_HTTP_PINGS_PER_S",
     .doc = "HTTP/2: PING frames, likewise (ping flood)."},
    {.name = "control_per_s",
     .type = CONFIG_INTEGER,
     .unit = "1/s",
     .default_text = "10000",
     .min = 1,
     .max = 10000000,
     .environment = "ARROWPORT_HTTP_CONTROL_PER_S",
     .doc = "HTTP/2: PRIORITY, WINDOW_UPDATE and unknown frames (floods that cost time)."},
    {.name = "empty_frames_per_s",
     .type = CONFIG_INTEGER,
     .unit = "1/s",
     .default_text = "100",
     .min = 1,
     .max = 1000000,
     .environment = "ARROWPORT_HTTP_EMPTY_FRAMES_PER_S",
     .doc = "HTTP/2: DATA frames without data (floods that cost time)."},
    {.name = "idle_timeout_ms",
     .type = CONFIG_INTEGER,
     .unit = "ms",
     .default_text = "60000",
     .min = 1,
     .max = 86400000,
     .environment = "ARROWPORT_HTTP_IDLE_TIMEOUT_MS",
     .doc = "How long a connection may stay open between two requests (idle connections)."},
    {.name = "header_timeout_ms",
     .type = CONFIG_INTEGER,
     .unit = "ms",
     .default_text = "10000",
     .min = 1,
     .max = 86400000,
     .environment = "ARROWPORT_HTTP_HEADER_TIMEOUT_MS",
     .doc = "From the first byte of a TLS handshake or a request to its last header line (slow "
            "loris)."},
    {.name = "body_timeout_ms",
     .type = CONFIG_INTEGER,
     .unit = "ms",
     .default_text = "60000",
     .min = 1,
     .max = 86400000,
     .environment = "ARROWPORT_HTTP_BODY_TIMEOUT_MS",
     .doc = "So long may body_bytes_per_timeout bytes of a body take, while the server is ready to "
            "read (slow bodies)."},
    {.name = "body_bytes_per_timeout",
     .type = CONFIG_BYTES,
     .default_text = "1024",
     .min = 1,
     .max = 1 << 30,
     .environment = "ARROWPORT_HTTP_BODY_BYTES_PER_TIMEOUT",
     .doc = "Bytes of a body that must come in body_timeout_ms, unless it ends (slow bodies)."},
    {.name = "write_timeout_ms",
     .type = CONFIG_INTEGER,
     .unit = "ms",
     .default_text = "60000",
     .min = 1,
     .max = 86400000,
     .environment = "ARROWPORT_HTTP_WRITE_TIMEOUT_MS",
     .doc = "How long a client may leave its answer unread (slow readers)."},
    {.name = "write_bytes_high",
     .type = CONFIG_BYTES,
     .default_text = "4MiB",
     .min = 65536,
     .max = (int64_t)1 << 30,
     .environment = "ARROWPORT_HTTP_WRITE_BYTES_HIGH",
     .doc =
         "Bytes of an answer that are held ready for one connection (answers that nobody reads)."},
    CONFIG_FIELD_END};

static const struct config_field TLS_FIELDS[] = {
    {.name = "cert",
     .type = CONFIG_PATH,
     .environment = "ARROWPORT_TLS_CERT",
     .check = check_path,
     .doc = "PEM file: the server's certificate, then those that lead to its root. With it, the "
            "port speaks TLS only. Read anew when it changes."},
    {.name = "key",
     .type = CONFIG_PATH,
     .environment = "ARROWPORT_TLS_KEY",
     .check = check_path,
     .doc = "PEM file: its private key."},
    {.name = "client_ca",
     .type = CONFIG_PATH,
     .environment = "ARROWPORT_TLS_CLIENT_CA",
     .check = check_path,
     .doc = "PEM file: who signs the certificates of clients; unset, none are asked for."},
    {.name = "client_certificates",
     .type = CONFIG_CHOICE,
     .default_text = "required",
     .choices = "required|optional",
     .environment = "ARROWPORT_TLS_CLIENT_CERTIFICATES",
     .doc = "With client_ca: whether a client without a certificate is refused."},
    CONFIG_FIELD_END};

static const struct config_field QUERY_FIELDS[] = {
    {.name = "rows_max",
     .type = CONFIG_INTEGER,
     .default_text = "0",
     .max = (int64_t)1 << 60,
     .environment = "ARROWPORT_QUERY_ROWS_MAX",
     .doc = "Rows of one answer; a statement that gives more fails. 0: no limit."},
    {.name = "bytes_max",
     .type = CONFIG_BYTES,
     .default_text = "0",
     .max = (int64_t)1 << 60,
     .environment = "ARROWPORT_QUERY_BYTES_MAX",
     .doc = "Bytes of one answer as it is sent; a statement that gives more fails. 0: no limit."},
    {.name = "memory_percent",
     .type = CONFIG_INTEGER,
     .unit = "%",
     .default_text = "50",
     .min = 10,
     .max = 70,
     .environment = "ARROWPORT_QUERY_MEMORY_PERCENT",
     .doc = "The share of memory_limit that the SQL engine may use for statements; what does not "
            "fit is put on disk or fails."},
    {.name = "concurrent_max",
     .type = CONFIG_INTEGER,
     .default_text = "0",
     .max = 10000,
     .environment = "ARROWPORT_QUERY_CONCURRENT_MAX",
     .doc = "Statements that run at a time; more wait. 0: half of the workers."},
    CONFIG_FIELD_END};

/* ---- sections ------------------------------------------------------------------- */

#define SECTIONS_END ((struct settings_section){.key = NULL})

static const struct settings_section STREAM_SECTIONS[] = {
    {.key = "compression",
     .doc = "Of this stream. In short: `compression: lz4`, `compression: zstd:9`.",
     .fields = STREAM_COMPRESSION_FIELDS,
     .short_form = compression_short_form},
    {.key = "group_commit",
     .doc = "Bounds of the requests of this stream that share a commit.",
     .fields = STREAM_GROUP_FIELDS},
    {.key = "delta_options", .doc = "For the Delta backend.", .fields = DELTA_STREAM_FIELDS},
    SECTIONS_END};

const struct settings_section SETTINGS_STREAM = {.key = "NAME",
                                                 .doc =
                                                     "One stream: what `POST /ingest/NAME` does.",
                                                 .fields = STREAM_FIELDS,
                                                 .sections = STREAM_SECTIONS};

static const char STREAMS_EXAMPLE[] =
    "# streams:\n"
    "#   sensors:                    # POST /ingest/sensors\n"
    "#     target_table: sensor_readings\n"
    "#     compression: lz4\n"
    "#   rehearsal:\n"
    "#     storage_backend: 'null'   # decoded, checked and dropped\n";

static const struct settings_section ROOT_SECTIONS[] = {
    {.key = "compression",
     .doc =
         "How Arrow data is compressed that `arrowport ingest` sends and `/query` answers with. In "
         "short: `compression: lz4`, `compression: zstd:9`.",
     .fields = COMPRESSION_FIELDS,
     .short_form = compression_short_form,
     .short_form_environment = "ARROWPORT_COMPRESSION"},
    {.key = "group_commit",
     .doc = "Small requests that arrive while a commit is under way share the next one.",
     .fields = GROUP_FIELDS},
    {.key = "delta_config", .doc = "For the Delta backend.", .fields = DELTA_FIELDS},
    {.key = "http",
     .doc = "Limits of the HTTP server; each stops a client that takes too much.",
     .fields = HTTP_FIELDS},
    {.key = "query", .doc = "Limits of `/query`.", .fields = QUERY_FIELDS},
    {.key = "flight",
     .doc = "Limits of Flight and Flight SQL, and when a DoPut commits.",
     .fields = SETTINGS_FLIGHT_FIELDS},
    {.key = "tls", .doc = "HTTPS, and certificates of clients.", .fields = TLS_FIELDS},
    {.key = "auth",
     .doc =
         "Who may ask (docs/security.md). Without a token or a user only clients on this machine "
         "are served.",
     .fields = NO_FIELDS,
     .sections = SETTINGS_AUTH_SECTIONS,
     .example = SETTINGS_AUTH_EXAMPLE},
    {.key = "streams",
     .doc = "Streams by name. A stream that is not named here lands in the table of its name.",
     .fields = NO_FIELDS,
     .entry = &SETTINGS_STREAM,
     .example = STREAMS_EXAMPLE},
    SECTIONS_END};

const struct settings_section SETTINGS_ROOT = {
    .key = "", .doc = "", .fields = ROOT_FIELDS, .sections = ROOT_SECTIONS};
