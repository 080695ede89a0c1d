#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "server/server.h"

static const struct cli_option OPTIONS[] = {
    {"port", 'p', "N", "port", "port to listen on (default 8888; 0: any free one)"},
    {"host", 0, "ADDRESS", "host", "address to listen on (default 0.0.0.0: every one)"},
    {"db", 0, "FILE", "db_path", "the DuckDB file (default data/arrowport.duckdb; :memory: none)"},
    {"storage-backend", 0, "NAME", "storage_backend", "where streams land (default duckdb)"},
    {"streams", 0, "FILE", "streams_path", "one more file, which holds only `streams:`"},
    {"compression", 0, "CODEC", "compression", "of Arrow answers: zstd[:LEVEL], lz4, none"},
    {"memory-limit", 0, "BYTES", "memory_limit",
     "such as 512MiB (default 1GB, or half of what there is)"},
    {"threads", 0, "N", "threads", "threads that work (default: one for each processor)"},
    {"log-level", 0, "error|warning|info|debug", "log_level", "how much is logged (default info)"},
    {"quiet", 'q', NULL, NULL, "do not print where it listens and how to use it"},
    {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "Starts the server and runs until it is stopped (Ctrl-C, or SIGTERM): requests in flight\n"
    "are then finished. What it serves is described in docs/openapi.yaml, every setting in\n"
    "docs/configuration.md. Every setting is an option, too: --help-all shows them.\n"
    "\n"
    "Examples\n"
    "  arrowport serve\n"
    "  arrowport serve --port 9000 --db warehouse.duckdb\n"
    "  arrowport serve --config arrowport.yaml --set http.connections_max=50\n";

struct started {
  const struct cli *cli;
  const struct server_config *config;
};

/* Three lines to paste; each sends rows and asks about them, with what is there on any
 * machine of its kind. */
static enum status add_lines(struct text *out, const char *program, const char *host, int port,
                             struct error *error) {
  enum status status = text_add_format(
      out, error,
      "\nSend rows and ask about them. With curl (rows that SQL makes are sent back in as a "
      "stream):\n"
      "  curl -s http://%s:%d/query -H 'content-type: application/sql' -H 'accept: "
      "application/vnd.apache.arrow.stream' -d 'SELECT range AS id, sqrt(range) AS value FROM "
      "range(1000)' | curl -s http://%s:%d/ingest/demo -H 'content-type: "
      "application/vnd.apache.arrow.stream' --data-binary @-\n",
      host, port, host, port);
  if (status == STATUS_OK)
    status = text_add_format(
        out, error,
        "With Python (pip install pyarrow):\n"
        "  python3 -c \"import pyarrow as pa, urllib.request as u; t = pa.table({'id': [1, 2, 3], "
        "'name': ['a', 'b', 'c']}); s = pa.BufferOutputStream(); w = pa.ipc.new_stream(s, "
        "t.schema); w.write(t); w.close(); ask = lambda path, body, kind: "
        "u.urlopen(u.Request('http://%s:%d' + path, body, {'content-type': 'application/' + kind, "
        "'accept': '*/*'})).read().decode(); print(ask('/ingest/people', "
        "s.getvalue().to_pybytes(), 'vnd.apache.arrow.stream'), ask('/query', b'FROM people', "
        "'sql'))\"\n",
        host, port);
  if (status == STATUS_OK)
    status = text_add_format(out, error,
                             "With the command line:\n"
                             "  %s query --url http://%s:%d \"SELECT 'sensor' AS name, now() AS "
                             "at\" --format arrow | %s ingest --url http://%s:%d readings - && %s "
                             "query --url http://%s:%d 'FROM readings'\n\n",
                             program, host, port, program, host, port, program, host, port);
  return status;
}

static void on_ready(void *context, const char *host, int port) {
  const struct started *started = context;
  if (cli_has(started->cli, "quiet")) return;
  const char *path = started->config->db_path;
  struct text text = TEXT_EMPTY;
  bool tls = started->config->tls.cert_path != NULL;
  enum status status = text_add_format(&text, NULL, "Arrowport is listening on %s://%s:%d\n",
                                       tls ? "https" : "http", host, port);
  if (status == STATUS_OK)
    status = strcmp(path, ":memory:") == 0
                 ? text_add(&text, "Data is kept in memory only (db_path :memory:)\n", NULL)
                 : text_add_format(&text, NULL, "Data is kept in %s\n", path);
  bool every = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
  const char *near = every ? "127.0.0.1" : host;
  /* With TLS they would have to know the certificate's host name and who signed it. */
  if (status == STATUS_OK && !tls)
    status = add_lines(&text, started->cli->program, near, port, NULL);
  /* A greeting that nobody can read is no reason not to serve. */
  if (status != STATUS_OK || cli_print(&text, NULL) != STATUS_OK)
    log_warning("cli", "how to use the server could not be printed");
  text_release(&text);
}

/* The same file, environment and flags, read again. */
static enum status on_load(void *context, struct server_config **config, struct error *error) {
  const struct started *started = context;
  return cli_config(started->cli, config, error);
}

/* Whoever cannot listen wants to know what says where to; below this room nobody does. */
static void name_setting(struct error *error) {
  if (strstr(error->text, "cannot listen on") == NULL) return;
  size_t used = strlen(error->text);
  snprintf(error->text + used, sizeof error->text - used,
           " (--port N, ARROWPORT_PORT, or `port:` in the configuration)");
}

static enum status run(const struct cli *cli, struct error *error) {
  struct server_config *config = NULL;
  enum status status = cli_config(cli, &config, error);
  if (status == STATUS_OK) {
    struct started started = {.cli = cli, .config = config};
    struct server_hooks hooks = {.ready = on_ready, .load = on_load, .context = &started};
    status = server_run(config, &hooks, error);
    if (status != STATUS_OK) name_setting(error);
  }
  server_config_free(config);
  return status;
}

const struct cli_command COMMAND_SERVE = {.name = "serve",
                                          .summary = "start the server",
                                          .usage = "",
                                          .text = TEXT,
                                          .options = OPTIONS,
                                          .arguments_max = 0,
                                          .run = run};
