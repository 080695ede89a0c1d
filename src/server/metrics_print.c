/* The exposition: one function a group of families. A printer remembers the first failure, so that
 * only its end is looked at. Every family is there from the start with its HELP and TYPE, so that
 * what a dashboard asks for exists before it has happened. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "arrowport_version.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/metrics_store.h"

struct printer {
  struct text *out;
  struct error *error;
  enum status status;
};

#define PRINT(printer, ...)                                                                        \
  do {                                                                                             \
    if ((printer)->status == STATUS_OK)                                                            \
      (printer)->status = text_add_format((printer)->out, (printer)->error, __VA_ARGS__);          \
  } while (0)

static void family(struct printer *printer, const char *name, const char *type, const char *help) {
  PRINT(printer, "# HELP arrowport_%s %s\n# TYPE arrowport_%s %s\n", name, help, name, type);
}

static void number(struct printer *printer, const char *name, const char *type, const char *help,
                   int64_t value) {
  family(printer, name, type, help);
  PRINT(printer, "arrowport_%s %" PRId64 "\n", name, value);
}

static void seconds(struct printer *printer, const char *name, const char *type, const char *help,
                    double value) {
  family(printer, name, type, help);
  PRINT(printer, "arrowport_%s %.6f\n", name, value);
}

/* One that the system may not tell. */
static void known(struct printer *printer, const char *name, const char *type, const char *help,
                  int64_t value) {
  family(printer, name, type, help);
  if (value >= 0) PRINT(printer, "arrowport_%s %" PRId64 "\n", name, value);
}

/* A label's value; names that are kept hold no control characters. */
static void escaped(struct printer *printer, const char *value) {
  while (*value != '\0' && printer->status == STATUS_OK) {
    size_t plain = strcspn(value, "\\\"\n");
    printer->status = text_add_bytes(printer->out, value, plain, printer->error);
    value += plain;
    if (*value == '\0') return;
    PRINT(printer, "%s", *value == '\n' ? "\\n" : *value == '"' ? "\\\"" : "\\\\");
    value++;
  }
}

static void histogram(struct printer *printer, const char *name, const char *label,
                      const char *value, const struct metrics_histogram *histogram) {
  int64_t count = 0;
  for (size_t i = 0; i < METRICS_BUCKETS; i++) {
    count += histogram->buckets[i];
    PRINT(printer, "arrowport_%s_bucket{%s=\"%s\",le=\"", name, label, value);
    if (i < METRICS_BUCKETS - 1)
      PRINT(printer, "%g\"} %" PRId64 "\n", (double)METRICS_BOUNDS_US[i] / 1e6, count);
    else
      PRINT(printer, "+Inf\"} %" PRId64 "\n", count);
  }
  PRINT(printer, "arrowport_%s_sum{%s=\"%s\"} %.6f\n", name, label, value,
        (double)histogram->sum_us / 1e6);
  PRINT(printer, "arrowport_%s_count{%s=\"%s\"} %" PRId64 "\n", name, label, value, count);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* As docs/openapi.yaml writes it. */
static const char *endpoint_name(const char *path) {
  if (strcmp(path, "/ingest/") == 0) return "/ingest/{stream}";
  if (strcmp(path, "/stream/") == 0) return "/stream/{stream}";
  if (strcmp(path, "/tables/") == 0) return "/tables/{table}";
  return path;
}

static void stream_requests(struct printer *printer, const struct metrics *metrics,
                            const struct metrics_stream_counts *stream) {
  static const char *const outcomes[] = {"ok", "client_error", "server_error", "cancelled"};
  for (size_t i = 0; i < metrics->endpoints.count; i++)
    for (size_t outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
      if (stream->requests[i][outcome] == 0) continue;
      PRINT(printer, "arrowport_requests_total{endpoint=\"%s\",stream=\"",
            endpoint_name(metrics->endpoints.names[i]));
      escaped(printer, stream->name);
      PRINT(printer, "\",outcome=\"%s\"} %" PRId64 "\n", outcomes[outcome],
            stream->requests[i][outcome]);
    }
}

static void print_requests(struct printer *printer, const struct metrics *metrics) {
  family(printer, "requests_total", "counter",
         "Requests that are over, by endpoint, stream and outcome.");
  for (size_t i = 0; i < metrics->stream_count; i++)
    stream_requests(printer, metrics, metrics->streams[i]);

  family(printer, "responses_total", "counter", "Requests that are over, by protocol and code.");
  static const char *const protocols[] = {"HTTP/1.1", "HTTP/2"};
  for (size_t protocol = 0; protocol < METRICS_PROTOCOLS; protocol++)
    for (int i = 0; i < METRICS_CODES; i++)
      if (metrics->responses[protocol][i] > 0)
        PRINT(printer, "arrowport_responses_total{protocol=\"%s\",code=\"%d\"} %" PRId64 "\n",
              protocols[protocol], METRICS_CODE_MIN + i, metrics->responses[protocol][i]);

  family(printer, "request_duration_seconds", "histogram",
         "From the last header of a request to the end of its answer, by endpoint.");
  for (size_t i = 0; i < metrics->endpoints.count; i++)
    histogram(printer, "request_duration_seconds", "endpoint",
              endpoint_name(metrics->endpoints.names[i]), &metrics->requests[i]);
}

/* ---- rows in -------------------------------------------------------------------------------- */

enum landed { LANDED_LOADS, LANDED_ROWS, LANDED_BATCHES, LANDED_WIRE, LANDED_MEMORY, LANDED_COUNT };

static int64_t landed_value(const struct metrics_landed_counts *counts, enum landed which) {
  switch (which) {
  case LANDED_LOADS: return counts->loads;
  case LANDED_ROWS: return counts->rows;
  case LANDED_BATCHES: return counts->batches;
  case LANDED_WIRE: return counts->wire_bytes;
  case LANDED_MEMORY: return counts->memory_bytes;
  case LANDED_COUNT: break;
  }
  return 0;
}

static void print_landed(struct printer *printer, const struct metrics *metrics) {
  static const struct {
    const char *name, *help;
  } families[LANDED_COUNT] = {
      [LANDED_LOADS] = {"ingest_loads_total", "Loads that have landed."},
      [LANDED_ROWS] = {"ingest_rows_total", "Rows that have landed."},
      [LANDED_BATCHES] = {"ingest_batches_total", "Record batches that have landed."},
      [LANDED_WIRE] = {"ingest_wire_bytes_total", "Bytes of landed loads as they came."},
      [LANDED_MEMORY] = {"ingest_memory_bytes_total",
                         "Bytes of landed record batches in memory, expanded."},
  };
  for (int which = 0; which < LANDED_COUNT; which++) {
    family(printer, families[which].name, "counter", families[which].help);
    for (size_t i = 0; i < metrics->stream_count; i++)
      for (size_t backend = 0; backend < metrics->backends.count; backend++) {
        const struct metrics_landed_counts *counts = &metrics->streams[i]->landed[backend];
        if (counts->loads == 0) continue;
        PRINT(printer, "arrowport_%s{stream=\"", families[which].name);
        escaped(printer, metrics->streams[i]->name);
        PRINT(printer, "\",backend=\"%s\"} %" PRId64 "\n", metrics->backends.names[backend],
              landed_value(counts, (enum landed)which));
      }
  }
}

static void print_ingest(struct printer *printer, const struct metrics *metrics) {
  print_landed(printer, metrics);
  family(printer, "ingest_compression_ratio", "gauge",
         "Memory bytes for each wire byte of what landed in the last five minutes; NaN: nothing "
         "did.");
  double ratio = metrics_ratio_now(metrics, clock_now_us());
  if (isnan(ratio))
    PRINT(printer, "arrowport_ingest_compression_ratio NaN\n");
  else
    PRINT(printer, "arrowport_ingest_compression_ratio %.4f\n", ratio);

  family(printer, "schema_mismatches_total", "counter",
         "Loads that were refused because they do not fit their table.");
  for (size_t i = 0; i < metrics->stream_count; i++) {
    const struct metrics_stream_counts *stream = metrics->streams[i];
    if (stream->schema_mismatches == 0 && i != STREAM_NONE) continue;
    PRINT(printer, "arrowport_schema_mismatches_total{stream=\"");
    escaped(printer, stream->name);
    PRINT(printer, "\"} %" PRId64 "\n", stream->schema_mismatches);
  }

  family(printer, "transactions_total", "counter", "Transactions of loads, by backend.");
  for (size_t i = 0; i < metrics->backends.count; i++)
    PRINT(printer,
          "arrowport_transactions_total{backend=\"%s\",outcome=\"committed\"} %" PRId64
          "\narrowport_transactions_total{backend=\"%s\",outcome=\"failed\"} %" PRId64 "\n",
          metrics->backends.names[i], metrics->transactions_ok[i], metrics->backends.names[i],
          metrics->transactions_failed[i]);
  family(printer, "transaction_duration_seconds", "histogram",
         "From a load's schema to its commit or its end without one, by backend.");
  for (size_t i = 0; i < metrics->backends.count; i++)
    histogram(printer, "transaction_duration_seconds", "backend", metrics->backends.names[i],
              &metrics->transactions[i]);
}

static void print_storage(struct printer *printer, const struct engine_figures *engine) {
  number(printer, "wal_bytes", "gauge",
         "Bytes of the write-ahead log that are not folded into the database's file.",
         engine->wal_bytes);
  family(printer, "checkpoints_total", "counter",
         "Times the write-ahead log was folded in, by outcome; a failed one is repeated later.");
  PRINT(printer,
        "arrowport_checkpoints_total{outcome=\"ok\"} %" PRId64
        "\narrowport_checkpoints_total{outcome=\"failed\"} %" PRId64 "\n",
        engine->checkpoints, engine->checkpoints_failed);
  family(printer, "checkpoint_seconds_total", "counter",
         "What they took together: commits waited meanwhile.");
  PRINT(printer, "arrowport_checkpoint_seconds_total %.6f\n", (double)engine->checkpoint_us / 1e6);
  number(printer, "database_reopened_total", "counter",
         "Times the database was opened anew after a failure of its disk.", engine->reopened);
}

/* ---- rows out ------------------------------------------------------------------------------- */

static void print_queries(struct printer *printer, const struct metrics *metrics,
                          const struct metrics_now *now) {
  static const char *const names[] = {"query_answers_total", "query_rows_total",
                                      "query_bytes_total"};
  static const char *const help[] = {"Answers of /query that were whole, by format.",
                                     "Rows that /query has answered, by format.",
                                     "Bytes that /query has answered, by format."};
  for (size_t which = 0; which < 3; which++) {
    family(printer, names[which], "counter", help[which]);
    for (size_t i = 0; i < metrics->formats.count; i++) {
      const struct metrics_query_counts *counts = &metrics->queries[i];
      PRINT(printer, "arrowport_%s{format=\"%s\"} %" PRId64 "\n", names[which],
            metrics->formats.names[i],
            which == 0   ? counts->queries
            : which == 1 ? counts->rows
                         : counts->bytes);
    }
  }
  number(printer, "queries_running", "gauge", "Statements of /query that run now.",
         now->queries_running);
}

/* ---- what is under way, memory, network -------------------------------------------------------- */

static void print_load(struct printer *printer, const struct metrics_now *now) {
  number(printer, "memory_budget_used_bytes", "gauge",
         "Memory of what is between network and storage.", now->budget_used_bytes);
  number(printer, "memory_budget_limit_bytes", "gauge", "What it may be.", now->budget_limit_bytes);
  number(printer, "ingests_in_flight", "gauge", "Loads that are under way.", now->ingests);
  number(printer, "ingest_queued_bytes", "gauge",
         "Bytes of loads that have come and wait to be decoded.", now->ingest_queued_bytes);
  number(printer, "group_commits_total", "counter", "Commits that small loads have shared.",
         now->group_commits);
  number(printer, "group_requests_total", "counter", "Small loads that were in them.",
         now->group_loads);
  number(printer, "tokens", "gauge", "Idempotency keys that are remembered.", now->tokens);
  number(printer, "requests_in_flight", "gauge",
         "Requests that have begun and whose work is not over.", now->requests);
  number(printer, "worker_tasks_waiting", "gauge", "Tasks that wait for a thread.",
         now->tasks_waiting);
  number(printer, "draining", "gauge", "1: the server is about to end.", now->draining ? 1 : 0);
}

static void print_refused(struct printer *printer, const struct metrics *metrics,
                          const struct http_server_stats *network) {
  static const char *const reasons[METRICS_REASONS] = {
      [METRICS_PROTECTED] = "protected_mode", [METRICS_HOST] = "host_or_origin",
      [METRICS_CREDENTIALS] = "credentials",  [METRICS_SCOPE] = "scope",
      [METRICS_THROTTLED] = "throttled",      [METRICS_MEMORY] = "memory",
  };
  const struct {
    const char *reason;
    int64_t count;
  } refused[] = {
      {"connections", network->refused_connections},
      {"tls", network->refused_tls},
      {"malformed", network->refused_broken},
      {"limits", network->refused_limits},
      {"slow", network->refused_slow},
      {"flood", network->refused_floods},
  };
  family(printer, "refused_total", "counter",
         "Requests and connections that were refused, by reason.");
  for (size_t i = 0; i < METRICS_REASONS; i++)
    PRINT(printer, "arrowport_refused_total{reason=\"%s\"} %" PRId64 "\n", reasons[i],
          metrics->refused[i]);
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
    PRINT(printer, "arrowport_refused_total{reason=\"%s\"} %" PRId64 "\n", refused[i].reason,
          refused[i].count);
}

static void print_network(struct printer *printer, const struct metrics *metrics,
                          const struct http_server_stats *network) {
  family(printer, "connections", "gauge", "Connections that are open, by protocol.");
  PRINT(printer,
        "arrowport_connections{protocol=\"HTTP/1.1\"} %" PRId64
        "\narrowport_connections{protocol=\"HTTP/2\"} %" PRId64 "\n",
        network->connections_open - network->http2_connections_open,
        network->http2_connections_open);
  number(printer, "connections_accepted_total", "counter", "Connections since the start.",
         network->connections_accepted);
  number(printer, "received_bytes_total", "counter", "Bytes of requests' bodies.",
         network->received_bytes);
  number(printer, "sent_bytes_total", "counter", "Bytes of answers' bodies.", network->sent_bytes);
  print_refused(printer, metrics, network);
}

/* ---- the process ---------------------------------------------------------------------------- */

static void print_config(struct printer *printer, const struct metrics *metrics) {
  family(printer, "config_reloads_total", "counter",
         "Configurations that were read anew, by outcome; a refused one changes nothing.");
  PRINT(printer,
        "arrowport_config_reloads_total{outcome=\"ok\"} %" PRId64
        "\narrowport_config_reloads_total{outcome=\"refused\"} %" PRId64 "\n",
        metrics->reloads_ok, metrics->reloads_refused);
  number(printer, "config_last_reload_successful", "gauge",
         "0: the configuration file holds something that was refused.",
         metrics->last_reload_ok ? 1 : 0);
  family(printer, "config_refused", "gauge",
         "1: the configuration was refused because of what stands there.");
  if (metrics->refused_file[0] != '\0') {
    PRINT(printer, "arrowport_config_refused{file=\"");
    escaped(printer, metrics->refused_file);
    PRINT(printer, "\",line=\"%d\",column=\"%d\"} 1\n", metrics->refused_line,
          metrics->refused_column);
  }
  seconds(printer, "config_last_reload_success_timestamp_seconds", "gauge",
          "When the configuration in use was read.", metrics->reloaded_s);
}

static void print_process(struct printer *printer, const struct metrics *metrics,
                          const struct metrics_process *process) {
  family(printer, "build_info", "gauge", "1; what runs is in the labels.");
  PRINT(printer, "arrowport_build_info{version=\"%s\"} 1\n", ARROWPORT_VERSION);
  number(printer, "log_dropped_lines_total", "counter",
         "Lines of the log that standard error had no room for.", log_dropped_lines());
  seconds(printer, "process_start_time_seconds", "gauge", "When the server started.",
          metrics->started_s);
  family(printer, "process_cpu_seconds_total", "counter", "User and system time.");
  if (process->cpu_us >= 0)
    PRINT(printer, "arrowport_process_cpu_seconds_total %.6f\n", (double)process->cpu_us / 1e6);
  known(printer, "process_resident_memory_bytes", "gauge",
        "Memory of the process, engine included.", process->resident_bytes);
  known(printer, "process_open_fds", "gauge", "Descriptors that are open.", process->open_files);
  known(printer, "process_max_fds", "gauge", "How many may be.", process->open_files_max);
  known(printer, "process_threads", "gauge", "Threads of the process, the engine's included.",
        process->threads);
}

enum status metrics_print(struct metrics *metrics, const struct metrics_now *now, struct text *out,
                          struct error *error) {
  struct printer printer = {.out = out, .error = error, .status = STATUS_OK};
  pthread_mutex_lock(&metrics->lock);
  print_requests(&printer, metrics);
  print_ingest(&printer, metrics);
  print_storage(&printer, &now->engine);
  print_queries(&printer, metrics, now);
  print_load(&printer, now);
  print_network(&printer, metrics, &now->network);
  print_config(&printer, metrics);
  print_process(&printer, metrics, &now->process);
  pthread_mutex_unlock(&metrics->lock);
  return printer.status;
}
