#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/config.h"

/* The example of the reference, which must be readable as it stands. */
static const char EXAMPLE[] = "db_path: ./warehouse.duckdb\n"
                              "storage_backend: duckdb  # NEW: or 'delta'\n"
                              "delta_config:  # NEW: Delta Lake configuration\n"
                              "  table_path: ./delta_tables\n"
                              "  version_retention_hours: 168  # 7 days\n"
                              "  checkpoint_interval: 10\n"
                              "  enable_cdc: false\n"
                              "compression:\n"
                              "  algorithm: zstd  # or lz4\n"
                              "  level: 3\n"
                              "streams:\n"
                              "  lineitem:\n"
                              "    target_table: lineitem\n"
                              "    storage_backend: delta  # NEW: Override per stream\n"
                              "    chunk_size: 122880  # Aligned with DuckDB row group size\n"
                              "  sensors:\n"
                              "    target_table: sensor_readings\n"
                              "    compression:\n"
                              "      algorithm: lz4  # Override per stream\n"
                              "duckdb_extensions: [httpfs, parquet, arrow]\n";

static const char DELTA_EXAMPLE[] = "streams:\n"
                                    "  events:\n"
                                    "    storage_backend: delta\n"
                                    "    target_table: events\n"
                                    "    delta_options:\n"
                                    "      partition_by: [\"date\"]\n"
                                    "      z_order_by: [\"user_id\"]\n"
                                    "      target_file_size: 134217728  # 128MB\n"
                                    "      compression: snappy\n";

static struct server_config *parsed(const char *yaml) {
  struct server_config *config = NULL;
  struct error error = {0};
  if (server_config_parse(yaml, strlen(yaml), "a.yaml", &config, &error) != STATUS_OK)
    fail_msg("%s", error.text);
  return config;
}

static void an_empty_file_is_all_defaults(void **state) {
  (void)state;
  static const char *const cases[] = {"",
                                      "\n",
                                      "# nothing\n",
                                      "---\n",
                                      "--- ~\n",
                                      "streams:\n",
                                      "streams: {}\n",
                                      "http:\n",
                                      "\xEF\xBB\xBF",
                                      "\xEF\xBB\xBF# x\n"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct server_config *config = parsed(cases[i]);
    assert_string_equal(config->host, "0.0.0.0");
    assert_int_equal(config->port, 8888);
    assert_string_equal(config->url, "http://127.0.0.1:8888");
    assert_string_equal(config->db_path, "data/arrowport.duckdb");
    assert_string_equal(config->storage_backend, "duckdb");
    assert_int_equal(config->memory_limit_bytes, 1000000000);
    assert_int_equal(config->threads, 0);
    assert_int_equal(config->query_timeout_ms, 300000);
    assert_int_equal(config->log_level, LOG_INFO);
    assert_int_equal(config->chunk_rows, 122880);
    assert_int_equal(config->compression.compression, IPC_COMPRESSION_ZSTD);
    assert_int_equal(config->compression.level, 3);
    assert_int_equal(config->stream_count, 0);
    assert_null(server_config_stream(config, "x"));
    server_config_free(config);
  }
}

static void http_limits_default_to_those_of_the_network(void **state) {
  (void)state;
  struct server_config *config = parsed("port: 1\nhost: localhost\n");
  const struct http_server_options *want = &HTTP_SERVER_DEFAULTS;
  assert_string_equal(config->http.host, "127.0.0.1");
  assert_int_equal(config->http.port, 1);
  assert_int_equal(config->http.header_bytes_max, want->header_bytes_max);
  assert_int_equal(config->http.header_count_max, want->header_count_max);
  assert_int_equal(config->http.connections_max, want->connections_max);
  assert_int_equal(config->http.idle_timeout_ms, want->idle_timeout_ms);
  assert_int_equal(config->http.header_timeout_ms, want->header_timeout_ms);
  assert_int_equal(config->http.body_timeout_ms, want->body_timeout_ms);
  assert_int_equal(config->http.write_timeout_ms, want->write_timeout_ms);
  assert_int_equal(config->http.write_bytes_high, want->write_bytes_high);
  server_config_free(config);
}

static void the_example_is_read_as_it_stands(void **state) {
  (void)state;
  struct server_config *config = parsed(EXAMPLE);
  assert_string_equal(config->db_path, "./warehouse.duckdb");
  assert_int_equal(config->stream_count, 2);
  const struct stream_config *lineitem = server_config_stream(config, "lineitem");
  assert_non_null(lineitem);
  assert_string_equal(lineitem->table.table, "lineitem");
  assert_string_equal(lineitem->backend, "delta");
  assert_int_equal(lineitem->chunk_rows, 122880);
  assert_int_equal(lineitem->compression.compression, IPC_COMPRESSION_ZSTD);
  assert_int_equal(lineitem->compression.level, 3);
  assert_string_equal(lineitem->where, "a.yaml:12:3");
  const struct stream_config *sensors = server_config_stream(config, "sensors");
  assert_string_equal(sensors->table.table, "sensor_readings");
  assert_string_equal(sensors->backend, "duckdb");
  assert_int_equal(sensors->compression.compression, IPC_COMPRESSION_LZ4);
  assert_int_equal(config_integer(config->delta_config, "version_retention_hours"), 168);
  assert_int_equal(config_integer(config->delta_config, "checkpoint_interval"), 10);
  assert_false(config_boolean(config->delta_config, "enable_cdc"));
  assert_int_equal(config->extension_count, 3);
  assert_string_equal(config->extensions[0], "httpfs");
  server_config_free(config);
}

static void half_a_file_is_refused_with_a_place_or_read(void **state) {
  (void)state;
  static const char *const files[] = {EXAMPLE, DELTA_EXAMPLE};
  for (size_t i = 0; i < 2; i++) {
    for (size_t bytes = 0; bytes < strlen(files[i]); bytes++) {
      char *half = malloc(bytes + 1); /* exactly as long: reading on is found by sanitizers */
      assert_non_null(half);
      memcpy(half, files[i], bytes);
      struct server_config *config = NULL;
      struct error error = {.status = STATUS_OK};
      enum status status = server_config_parse(half, bytes, "half.yaml", &config, &error);
      assert_true(status == STATUS_OK || status == STATUS_INVALID);
      assert_int_equal(status == STATUS_OK, config != NULL);
      if (status != STATUS_OK) assert_non_null(strstr(error.text, "half.yaml:"));
      server_config_free(config);
      free(half);
    }
  }
}

static void every_setting_is_listed_once(void **state) {
  (void)state;
  struct server_setting *settings = calloc(SERVER_SETTINGS_MAX, sizeof settings[0]);
  assert_non_null(settings);
  size_t count = server_config_settings(settings);
  bool has_short_form = false;
  assert_true(count > 40);
  for (size_t i = 0; i < count; i++) {
    assert_true(settings[i].doc != NULL && settings[i].doc[0] != '\0');
    assert_null(strstr(settings[i].key, "streams.")); /* entries have no place of their own */
    has_short_form = has_short_form || settings[i].field == NULL;
    for (size_t j = 0; j < i; j++) assert_string_not_equal(settings[i].key, settings[j].key);
  }
  assert_true(has_short_form);
  free(settings);
}

static void delta_options_are_kept(void **state) {
  (void)state;
  struct server_config *config = parsed(DELTA_EXAMPLE);
  const struct config *options = server_config_stream(config, "events")->delta_options;
  const char *const *items;
  assert_int_equal(config_list(options, "partition_by", &items), 1);
  assert_string_equal(items[0], "date");
  assert_int_equal(config_list(options, "z_order_by", &items), 1);
  assert_int_equal(config_integer(options, "target_file_size"), 128 << 20);
  assert_string_equal(config_string(options, "compression"), "snappy");
  server_config_free(config);
}

static void a_backend_that_is_not_built_in_is_refused_at_start_by_name(void **state) {
  (void)state;
  struct error error = {0};
  struct server_config *config = parsed(EXAMPLE);
  assert_int_equal(server_config_startable(config, &error), STATUS_UNSUPPORTED);
  assert_string_equal(error.text, "a.yaml:12:3: stream 'lineitem': storage_backend 'delta' is not "
                                  "built in; built in are duckdb, ducklake, null");
  server_config_free(config);
  config = parsed("storage_backend: postgres\n");
  assert_int_equal(server_config_startable(config, &error), STATUS_UNSUPPORTED);
  assert_non_null(strstr(error.text, "storage_backend 'postgres' is not built in"));
  server_config_free(config);
  config = parsed("streams: {x: {storage_backend: 'null'}}\nduckdb_extensions: [parquet]\n");
  assert_int_equal(server_config_startable(config, &error), STATUS_OK);
  server_config_free(config);
}

static void a_stream_takes_what_it_leaves_open_from_above(void **state) {
  (void)state;
  struct server_config *config = parsed("streams:\n"
                                        "  b.c:\n"
                                        "  \"x y\": {chunk_size: 5}\n"
                                        "  own: {compression: zstd:9, storage_backend: duckdb}\n"
                                        "  half: {compression: {level: 7}}\n"
                                        "  fast: {compression: lz4}\n"
                                        "  plain: {compression: {algorithm: none}}\n"
                                        "storage_backend: 'null'\n"
                                        "compression: zstd:5\n");
  assert_int_equal(config->stream_count, 6);
  for (size_t i = 1; i < config->stream_count; i++)
    assert_true(strcmp(config->streams[i - 1].name, config->streams[i].name) < 0);
  const struct stream_config *stream = server_config_stream(config, "b.c");
  assert_string_equal(stream->table.schema, "b");
  assert_string_equal(stream->table.table, "c");
  assert_string_equal(stream->backend, "null");
  assert_int_equal(stream->compression.level, 5);
  stream = server_config_stream(config, "x y");
  assert_string_equal(stream->table.table, "x y");
  assert_int_equal(stream->chunk_rows, 5);
  stream = server_config_stream(config, "own");
  assert_string_equal(stream->backend, "duckdb");
  assert_int_equal(stream->compression.level, 9);
  assert_int_equal(server_config_stream(config, "half")->compression.level, 7);
  stream = server_config_stream(config, "fast");
  assert_int_equal(stream->compression.compression, IPC_COMPRESSION_LZ4);
  assert_int_equal(stream->compression.level, 0);
  stream = server_config_stream(config, "plain");
  assert_int_equal(stream->compression.compression, IPC_COMPRESSION_NONE);
  assert_null(server_config_stream(config, "B.c"));
  server_config_free(config);
}

/* Every refusal says where, what, and what to do. */
static void what_is_wrong_is_told_with_its_place(void **state) {
  (void)state;
  static const struct {
    const char *yaml, *want;
  } cases[] = {
      {"prt: 1\n", "a.yaml:1:1: unknown key 'prt'; did you mean 'port'?"},
      {"port: 1\n\nstorage_backed: duckdb\n",
       "a.yaml:3:1: unknown key 'storage_backed'; did you mean 'storage_backend'?"},
      {"compression:\n  quality: 1\n",
       "a.yaml:2:3: unknown key 'quality'; those here are algorithm, level"},
      {"streams:\n  x:\n    table: y\n",
       "a.yaml:3:5: unknown key 'table'; those here are target_table, storage_backend, "
       "chunk_size, schema_policy, transaction, compression, group_commit, delta_options"},
      {"port: http\n", "a.yaml:1:7: 'port' must be a whole number, not 'http'"},
      {"port: 65536\n", "a.yaml:1:7: 'port' must be from 0 to 65535, not '65536'"},
      {"port: 1\nport: 2\n", "a.yaml:2:1: 'port' is given twice; keep one of them"},
      {"http: {}\nhttp: {}\n", "a.yaml:2:1: 'http' is given twice"},
      {"streams: {x: {}, x: {}}\n", "'x' is configured twice under 'streams', at a.yaml:1:11 and "
                                    "at a.yaml:1:18"},
      {"port: [1]\n", "a.yaml:1:7: 'port' takes one value, not a list"},
      {"port:\n  a: 1\n", "a.yaml:2:3: 'port' takes one value, not settings indented below it"},
      {"duckdb_extensions: {a: b}\n", "'duckdb_extensions' takes a list of values ([a, b]), not"},
      {"duckdb_extensions: [[a]]\n", "'duckdb_extensions' is a list of plain values"},
      {"duckdb_extensions: [a, ~]\n", "'duckdb_extensions' has no value"},
      {"port:\n", "'port' has no value; give one, or leave the line out for the default"},
      {"http: 5\n", "a.yaml:1:7: 'http' has settings of its own: write them below it, indented"},
      {"http: [5]\n", "'http' has settings of its own"},
      {"streams: [a]\n", "'streams' has settings of its own"},
      {"streams: {a: b}\n", "'a' has settings of its own"},
      {"storage_backend: null\n",
       "a.yaml:1:18: 'storage_backend' is null, which means no value; leave the line out for the "
       "default, or write 'null' in quotes if that is a name"},
      {"compression: fast\n",
       "a.yaml:1:14: 'fast' is not a compression; write zstd, zstd:LEVEL (1 to 22), lz4 or none"},
      {"compression: zstd:23\n", "'level' must be from 1 to 22, not '23'"},
      {"compression: {level: 0}\n", "'level' must be from 1 to 22, not '0'"},
      {"host: example.org\n", "a.yaml:1:7: 'host': 'example.org' is not an address to listen on"},
      {"host: 1.2.3\n", "is not an address to listen on"},
      {"tls: {cert: a.pem}\n", "tls.cert is set and tls.key is not"},
      {"tls: {client_ca: a.pem}\n", "tls.client_ca needs tls.cert and tls.key"},
      {"allowed_hosts: [http://a]\n", "is not the name of a host"},
      {"allowed_origins: [a.example]\n", "is not an origin"},
      {"url: ftp://x\n", "'url': 'ftp://x' is not the address of a server; write http://"},
      {"url: http://\n", "is not the address of a server"},
      {"memory_limit: 1\n", "'memory_limit' must be from 67108864 to"},
      {"log_level: loud\n", "'log_level' must be one of error|warning|info|debug, not 'loud'"},
      {"streams: {x: {target_table: a.b.c.d}}\n",
       "'target_table': 'a.b.c.d': a table name has more than"},
      {"streams: {a..b: {}}\n",
       "a.yaml:1:11: stream 'a..b' needs a target_table, because its name cannot be one: a part"},
      {"streams: {'': {}}\n", "a name in 'streams' has 0 bytes; 1 to 255 are taken"},
      {"streams: {x: {chunk_size: 0}}\n", "'chunk_size' must be from 1 to 1073741824 rows"},
      {"streams: {x: {storage_backend: Delta Lake}}\n", "'Delta Lake' is not a name made of"},
      {"- a\n- b\n", "a.yaml:1:1: a configuration is made of lines `key: value`; this is none"},
      {"just text\n", "a configuration is made of lines `key: value`"},
      {"? [a]\n: b\n", "a.yaml:1:3: a key must be one word"},
      {"? {a: b}\n: c\n", "a key must be one word"},
      {"port: 1\n---\nport: 2\n", "a.yaml:2:1: a second document begins here"},
      {"port: 1\n...\nport: 2\n", "a.yaml:3:1: did not find expected <document start>"},
      {"port: &x 1\n", "a.yaml:1:7: anchors (&x) are not taken"},
      {"http: &x {}\n", "anchors (&x) are not taken"},
      {"duckdb_extensions: &x []\n", "anchors (&x) are not taken"},
      {"port: *x\n", "aliases (*x) are not taken"},
      {"*x : 1\n", "aliases (*x) are not taken"},
      {"port: !!int 1\n", "tags (tag:yaml.org,2002:int) are not taken"},
      {"http: !x {}\n", "tags (!x) are not taken"},
      {"<<: {port: 1}\n", "unknown key '<<'"},
      {"port: 1\n\tb: 2\n", "a tab stands where YAML wants spaces; indent with spaces"},
      {"# \xC3\xA9\xC3\xA9\n\tport: 1\n", "a.yaml:2:1: a tab stands where"},
      {"port: 1\nthreads: 1: 2\n", "a.yaml:2:11: mapping values are not allowed in this context"},
      {"port: 'x\n", "found unexpected end of stream, while scanning a quoted scalar that began in "
                     "line 1"},
      {"port: {a\n", "a.yaml:"},
      {"port: \x01\n", "a.yaml:1:7: a control character (byte 0x01) is in the file; remove it"},
      {"port: 1\nhost: \x7F\n", "a.yaml:2:7: a control character (byte 0x7f)"},
      {"host: \xC2\x85\n", "a.yaml:1:7: a control character (byte 0xc2)"},
      {"host: \xFF\n", "a.yaml:1:7: the file is not UTF-8 from here on; save it as UTF-8"},
      {"host: \xED\xA0\x80\n", "the file is not UTF-8 from here on"},
      {"host: \"\\0\"\n", "a control character or a line break in it"},
      {"streams: {\"a\\nb\": {}}\n", "a control character or a line break in it"},
      {"db_path: |\n  a\n  b\n", "a control character or a line break in it"},
      {"db_path: ''\n", "a.yaml:1:10: 'db_path': an empty text is no path"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct server_config *config = NULL;
    struct error error = {0};
    assert_int_equal(
        server_config_parse(cases[i].yaml, strlen(cases[i].yaml), "a.yaml", &config, &error),
        STATUS_INVALID);
    if (strstr(error.text, cases[i].want) == NULL)
      fail_msg("%s\n  gives '%s'\n  not   '%s'", cases[i].yaml, error.text, cases[i].want);
    assert_null(config);
  }
}

static void a_nul_byte_is_refused_wherever_it_stands(void **state) {
  (void)state;
  static const char yaml[] = "port: 1\n# a\n";
  for (size_t at = 0; at < sizeof yaml; at++) {
    char bytes[sizeof yaml];
    memcpy(bytes, yaml, sizeof yaml);
    bytes[at] = '\0';
    struct server_config *config = NULL;
    struct error error = {0};
    assert_int_equal(server_config_parse(bytes, sizeof bytes, "a.yaml", &config, &error),
                     STATUS_INVALID);
    assert_non_null(strstr(error.text, "a control character (byte 0x00)"));
  }
}

static void size_depth_and_number_are_limited(void **state) {
  (void)state;
  enum { BYTES = (1 << 20) + 1 };
  char *yaml = malloc(BYTES + 1);
  assert_non_null(yaml);
  struct server_config *config = NULL;
  struct error error = {0};

  memset(yaml, ' ', BYTES);
  assert_int_equal(server_config_parse(yaml, BYTES, "a.yaml", &config, &error), STATUS_TOO_LARGE);
  assert_string_equal(error.text,
                      "a.yaml: the file has more than 1048576 bytes; is it a configuration?");
  yaml[0] = '#';
  assert_int_equal(server_config_parse(yaml, BYTES - 1, "a.yaml", &config, &error), STATUS_OK);
  server_config_free(config);
  config = NULL;

  static const char openings[] = {'[', '{', '-'};
  for (size_t i = 0; i < sizeof openings; i++) {
    memset(yaml, openings[i], BYTES);
    if (openings[i] == '-')
      for (int at = 1; at < BYTES; at += 2) yaml[at] = ' ';
    assert_int_equal(server_config_parse(yaml, BYTES - 1, "a.yaml", &config, &error),
                     STATUS_INVALID);
    memcpy(yaml, "streams: ", 9);
    assert_int_equal(server_config_parse(yaml, BYTES - 1, "a.yaml", &config, &error),
                     STATUS_INVALID);
  }

  int used = snprintf(yaml, BYTES, "streams:\n");
  for (int i = 0; i <= 10000; i++)
    used += snprintf(yaml + used, (size_t)(BYTES - used), " s%d:\n", i);
  assert_int_equal(server_config_parse(yaml, (size_t)used, "a.yaml", &config, &error),
                   STATUS_TOO_LARGE);
  assert_non_null(strstr(error.text, "more than 10000 entries in 'streams'"));
  free(yaml);
}

/* ---- files, environment, flags -------------------------------------------------- */

struct place {
  char folder[64];
  char before[4096];
};

static int enter_folder(void **state) {
  static struct place place;
  strcpy(place.folder, "/tmp/arrowport-test-XXXXXX");
  if (getcwd(place.before, sizeof place.before) == NULL) return -1;
  if (mkdtemp(place.folder) == NULL || chdir(place.folder) != 0) return -1;
  *state = &place;
  return 0;
}

static int leave_folder(void **state) {
  struct place *place = *state;
  static const char *const names[] = {"arrowport.yaml", "other.yaml", "streams.yaml"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unlink(names[i]);
  return chdir(place->before) == 0 && rmdir(place->folder) == 0 ? 0 : -1;
}

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static enum status load(const char *path, const struct server_config_flag *flags, size_t count,
                        struct server_config **config, struct error *error) {
  struct server_config_options options = {.path = path, .flags = flags, .flag_count = count};
  *config = NULL;
  return server_config_load(&options, config, error);
}

static enum config_origin origin_of_port(const struct server_config *config) {
  struct text text = TEXT_EMPTY;
  assert_int_equal(server_config_show(config, false, &text, NULL), STATUS_OK);
  const char *line = strstr(text_get(&text), "\nport ");
  assert_non_null(line);
  char value[32];
  char origin[32];
  assert_int_equal(sscanf(line, " port %31s %31s", value, origin), 2);
  assert_int_equal(atol(value), config->port);
  text_release(&text);
  for (int i = CONFIG_DEFAULT; i <= CONFIG_FLAG; i++)
    if (strcmp(config_origin_name((enum config_origin)i), origin) == 0)
      return (enum config_origin)i;
  fail_msg("no origin '%s'", origin);
  return CONFIG_DEFAULT;
}

static void flag_wins_over_environment_over_file_over_default(void **state) {
  (void)state;
  static const struct server_config_flag flag = {"port", "4", "--port"};
  static const struct {
    bool file, environment, flag;
    int want;
    enum config_origin origin;
  } cases[] = {
      {false, false, false, 8888, CONFIG_DEFAULT}, {true, false, false, 2, CONFIG_FILE},
      {false, true, false, 3, CONFIG_ENVIRONMENT}, {true, true, false, 3, CONFIG_ENVIRONMENT},
      {false, false, true, 4, CONFIG_FLAG},        {true, true, true, 4, CONFIG_FLAG},
      {true, false, true, 4, CONFIG_FLAG},         {false, true, true, 4, CONFIG_FLAG},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct server_config *config;
    struct error error = {0};
    unlink("arrowport.yaml");
    unsetenv("ARROWPORT_PORT");
    if (cases[i].file) write_file("arrowport.yaml", "port: 2\n");
    if (cases[i].environment) setenv("ARROWPORT_PORT", "3", 1);
    if (load(NULL, &flag, cases[i].flag ? 1 : 0, &config, &error) != STATUS_OK)
      fail_msg("%s", error.text);
    assert_int_equal(config->port, cases[i].want);
    assert_int_equal(origin_of_port(config), cases[i].origin);
    if (cases[i].file)
      assert_string_equal(config->path, "arrowport.yaml");
    else
      assert_null(config->path);
    server_config_free(config);
  }
  unsetenv("ARROWPORT_PORT");
}

static void each_variable_reaches_its_setting(void **state) {
  (void)state;
  struct server_config *config;
  struct error error = {0};
  write_file("streams.yaml", "streams: {a: {target_table: b}}\n");
  setenv("ARROWPORT_DB", ":memory:", 1);
  setenv("ARROWPORT_PORT", "0", 1);
  setenv("ARROWPORT_STREAMS_PATH", "streams.yaml", 1);
  setenv("ARROWPORT_COMPRESSION", "zstd:22", 1);
  setenv("ARROWPORT_STORAGE_BACKEND", "null", 1);
  setenv("ARROWPORT_MEMORY_LIMIT", "64MiB", 1);
  setenv("ARROWPORT_HTTP_CONNECTIONS_MAX", "3", 1);
  setenv("ARROWPORT_URL", "http://127.0.0.1:9", 1);
  enum status status = load(NULL, NULL, 0, &config, &error);
  if (status != STATUS_OK) fail_msg("%s", error.text);
  assert_string_equal(config->db_path, ":memory:");
  assert_int_equal(config->port, 0);
  assert_string_equal(config->streams[0].table.table, "b");
  assert_string_equal(config->streams[0].backend, "null");
  assert_int_equal(config->streams[0].compression.level, 22);
  assert_int_equal(config->memory_limit_bytes, 64 << 20);
  assert_int_equal(config->http.connections_max, 3);
  assert_string_equal(config->url, "http://127.0.0.1:9");
  server_config_free(config);

  static const struct {
    const char *value;
    enum ipc_compression compression;
    int level;
  } cases[] = {{"zstd", IPC_COMPRESSION_ZSTD, 3},
               {"zstd:1", IPC_COMPRESSION_ZSTD, 1},
               {"lz4", IPC_COMPRESSION_LZ4, 0},
               {"none", IPC_COMPRESSION_NONE, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    setenv("ARROWPORT_COMPRESSION", cases[i].value, 1);
    assert_int_equal(load(NULL, NULL, 0, &config, &error), STATUS_OK);
    assert_int_equal(config->compression.compression, cases[i].compression);
    assert_int_equal(config->compression.level, cases[i].level);
    server_config_free(config);
  }
  setenv("ARROWPORT_COMPRESSION", "zip", 1);
  assert_int_equal(load(NULL, NULL, 0, &config, &error), STATUS_INVALID);
  assert_string_equal(error.text, "environment variable ARROWPORT_COMPRESSION: 'zip' is not a "
                                  "compression; write zstd, zstd:LEVEL (1 to 22), lz4 or none");
  static const char *const names[] = {"DB",
                                      "PORT",
                                      "STREAMS_PATH",
                                      "COMPRESSION",
                                      "STORAGE_BACKEND",
                                      "MEMORY_LIMIT",
                                      "HTTP_CONNECTIONS_MAX",
                                      "URL"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char name[64];
    snprintf(name, sizeof name, "ARROWPORT_%s", names[i]);
    unsetenv(name);
  }
}

static void a_flag_that_is_wrong_is_named(void **state) {
  (void)state;
  static const struct {
    struct server_config_flag flag;
    const char *want;
  } cases[] = {
      {{"port", "x", "--port"}, "--port: 'port' must be a whole number, not 'x'"},
      {{"http.idle_timeout_ms", "0", "--set"}, "--set: 'idle_timeout_ms' must be from 1 to"},
      {{"http.idle_timeout", "1", "--set"}, "--set: there is no setting 'idle_timeout'"},
      {{"http", "1", "--set"}, "--set: 'http' is a section: name a setting in it"},
      {{"compression", "1", "--set"}, "--set: '1' is not a compression"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct server_config *config;
    struct error error = {0};
    assert_int_equal(load(NULL, &cases[i].flag, 1, &config, &error), STATUS_INVALID);
    if (strstr(error.text, cases[i].want) == NULL) fail_msg("%s", error.text);
  }
}

static void a_file_that_cannot_be_read_is_told(void **state) {
  (void)state;
  struct server_config *config;
  struct error error = {0};
  assert_int_equal(load("other.yaml", NULL, 0, &config, &error), STATUS_NOT_FOUND);
  assert_string_equal(error.text, "there is no configuration file 'other.yaml'");
  assert_int_equal(load("/tmp", NULL, 0, &config, &error), STATUS_INVALID);
  assert_string_equal(error.text, "'/tmp' is a directory; name the configuration file in it");
  assert_int_equal(load("/dev/zero", NULL, 0, &config, &error), STATUS_TOO_LARGE);
  assert_int_equal(load("/dev/null", NULL, 0, &config, &error), STATUS_OK);
  server_config_free(config);
  write_file("other.yaml", "port: 1\n");
  assert_int_equal(chmod("other.yaml", 0), 0);
  if (geteuid() != 0) { /* root may read everything */
    assert_int_equal(load("other.yaml", NULL, 0, &config, &error), STATUS_DENIED);
    assert_non_null(strstr(error.text, "may not be read"));
  }
  static const struct server_config_flag flag = {"streams_path", "missing.yaml", "--streams"};
  assert_int_equal(load("/dev/null", &flag, 1, &config, &error), STATUS_NOT_FOUND);
  assert_string_equal(error.text, "streams_path: there is no configuration file 'missing.yaml'");
}

static void the_streams_file_holds_only_streams(void **state) {
  (void)state;
  struct server_config *config;
  struct error error = {0};
  write_file("arrowport.yaml", "streams_path: streams.yaml\nstreams: {a: {target_table: x}}\n");
  write_file("streams.yaml", "streams: {b: {target_table: y}}\n");
  assert_int_equal(load(NULL, NULL, 0, &config, &error), STATUS_OK);
  assert_int_equal(config->stream_count, 2);
  assert_string_equal(config->streams[1].where, "streams.yaml:1:11");
  server_config_free(config);
  write_file("streams.yaml", "port: 1\n");
  assert_int_equal(load(NULL, NULL, 0, &config, &error), STATUS_INVALID);
  assert_string_equal(error.text, "streams.yaml:1:1: this file may hold only 'streams:'; move "
                                  "'port' to the configuration file");
  write_file("streams.yaml", "streams:\n  a: {target_table: y}\n");
  assert_int_equal(load(NULL, NULL, 0, &config, &error), STATUS_INVALID);
  assert_non_null(strstr(error.text, "'a' is configured twice under 'streams', at "));
  assert_non_null(strstr(error.text, "arrowport.yaml:2:11"));
  assert_non_null(strstr(error.text, "streams.yaml:2:3"));
}

/* ---- what is printed -------------------------------------------------------------- */

static void effective_values_are_shown_with_their_origin(void **state) {
  (void)state;
  struct server_config *config = parsed("streams: {s: {compression: lz4}}\nthreads: 2\n");
  struct text text = TEXT_EMPTY;
  assert_int_equal(server_config_show(config, true, &text, NULL), STATUS_OK);
  static const char *const parts[] = {
      "{\"key\": \"host\", \"value\": \"0.0.0.0\", \"origin\": \"default\"}",
      "{\"key\": \"threads\", \"value\": 2, \"origin\": \"file\"}",
      "{\"key\": \"streams_path\", \"value\": null, \"origin\": \"default\"}",
      "{\"key\": \"delta_config.enable_cdc\", \"value\": false, \"origin\": \"default\"}",
      "{\"key\": \"streams.s.target_table\", \"value\": \"s\", \"origin\": \"default\"}",
      "{\"key\": \"streams.s.storage_backend\", \"value\": \"duckdb\", \"origin\": \"default\"}",
      "{\"key\": \"streams.s.compression.algorithm\", \"value\": \"lz4\", \"origin\": \"file\"}"};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    if (strstr(text_get(&text), parts[i]) == NULL)
      fail_msg("no %s in\n%s", parts[i], text_get(&text));
  text_release(&text);
  server_config_free(config);
}

/* Cuts the last word, the origin, off each line. */
static void cut_origins(char *text) {
  char *to = text;
  for (char *line = text; *line != '\0';) {
    char *end = strchr(line, '\n');
    char *origin = end;
    while (origin > line && origin[-1] != ' ') origin--;
    memmove(to, line, (size_t)(origin - line));
    to += origin - line;
    *to++ = '\n';
    line = end + 1;
  }
  *to = '\0';
}

static void the_printed_defaults_are_the_defaults(void **state) {
  (void)state;
  struct text yaml = TEXT_EMPTY;
  struct text of_yaml = TEXT_EMPTY;
  struct text of_nothing = TEXT_EMPTY;
  assert_int_equal(server_config_defaults(&yaml, NULL), STATUS_OK);
  struct server_config *config = parsed(text_get(&yaml));
  struct server_config *nothing = parsed("");
  assert_int_equal(server_config_show(config, false, &of_yaml, NULL), STATUS_OK);
  assert_int_equal(server_config_show(nothing, false, &of_nothing, NULL), STATUS_OK);
  assert_string_not_equal(of_yaml.data, of_nothing.data);
  cut_origins(of_yaml.data);
  cut_origins(of_nothing.data);
  assert_string_equal(of_yaml.data, of_nothing.data);
  text_release(&yaml);
  text_release(&of_yaml);
  text_release(&of_nothing);
  server_config_free(config);
  server_config_free(nothing);
}

/* A file of the project. */
static char *project_file(const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/../../%s", ARROWPORT_TEST_DATA, name);
  FILE *file = fopen(path, "r");
  if (file == NULL) fail_msg("%s is missing", path);
  char *text = calloc(1, 1 << 20);
  assert_non_null(text);
  assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
  fclose(file);
  return text;
}

static void the_reference_is_up_to_date(void **state) {
  (void)state;
  char *page = project_file("docs/configuration.md");
  struct text reference = TEXT_EMPTY;
  assert_int_equal(server_config_reference(&reference, NULL), STATUS_OK);
  char *begin = strstr(page, "<!-- generated -->\n");
  char *end = strstr(page, "<!-- end of what is generated -->");
  assert_non_null(begin);
  assert_non_null(end);
  begin += strlen("<!-- generated -->\n");
  *end = '\0';
  if (strcmp(begin, text_get(&reference)) != 0)
    fail_msg("docs/configuration.md is stale: put what `arrowport config reference` prints between "
             "its two markers");
  text_release(&reference);
  free(page);
}

static void the_example_file_is_read(void **state) {
  (void)state;
  char *yaml = project_file("arrowport.example.yaml");
  struct server_config *config = parsed(yaml);
  struct error error = {0};
  if (server_config_startable(config, &error) != STATUS_OK) fail_msg("%s", error.text);
  assert_true(config->stream_count > 0);
  server_config_free(config);
  free(yaml);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_file_is_all_defaults),
      cmocka_unit_test(http_limits_default_to_those_of_the_network),
      cmocka_unit_test(the_example_is_read_as_it_stands),
      cmocka_unit_test(half_a_file_is_refused_with_a_place_or_read),
      cmocka_unit_test(every_setting_is_listed_once),
      cmocka_unit_test(delta_options_are_kept),
      cmocka_unit_test(a_backend_that_is_not_built_in_is_refused_at_start_by_name),
      cmocka_unit_test(a_stream_takes_what_it_leaves_open_from_above),
      cmocka_unit_test(what_is_wrong_is_told_with_its_place),
      cmocka_unit_test(a_nul_byte_is_refused_wherever_it_stands),
      cmocka_unit_test(size_depth_and_number_are_limited),
      cmocka_unit_test_setup_teardown(flag_wins_over_environment_over_file_over_default,
                                      enter_folder, leave_folder),
      cmocka_unit_test_setup_teardown(each_variable_reaches_its_setting, enter_folder,
                                      leave_folder),
      cmocka_unit_test_setup_teardown(a_flag_that_is_wrong_is_named, enter_folder, leave_folder),
      cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_told, enter_folder,
                                      leave_folder),
      cmocka_unit_test_setup_teardown(the_streams_file_holds_only_streams, enter_folder,
                                      leave_folder),
      cmocka_unit_test(effective_values_are_shown_with_their_origin),
      cmocka_unit_test(the_printed_defaults_are_the_defaults),
      cmocka_unit_test(the_reference_is_up_to_date),
      cmocka_unit_test(the_example_file_is_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
