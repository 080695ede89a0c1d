#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "server/metrics.h"
#include "server/metrics_store.h"

static struct metrics *make(void) {
  struct metrics *metrics;
  assert_int_equal(metrics_new(&metrics, NULL), STATUS_OK);
  return metrics;
}

static struct text print_now(struct metrics *metrics, const struct metrics_now *now) {
  struct text out = TEXT_EMPTY;
  assert_int_equal(metrics_print(metrics, now, &out, NULL), STATUS_OK);
  return out;
}

static struct text print(struct metrics *metrics) {
  struct metrics_now now = {.ingests = 0};
  return print_now(metrics, &now);
}

/* The line is there, whole. */
static bool says(const struct text *out, const char *line) {
  size_t bytes = strlen(line);
  for (const char *at = strstr(text_get(out), line); at != NULL; at = strstr(at + 1, line))
    if ((at == out->data || at[-1] == '\n') && at[bytes] == '\n') return true;
  return false;
}

static void check(struct metrics *metrics, const char *line, bool wanted) {
  struct text out = print(metrics);
  if (says(&out, line) != wanted) print_error("%s\nin\n%s", line, text_get(&out));
  assert_int_equal(says(&out, line), wanted);
  text_release(&out);
}

/* ---- form ----------------------------------------------------------------------------------- */

static bool is_name(const char *text, size_t bytes) {
  return bytes > 0 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") >= bytes;
}

/* Every sample's family was announced right before it, and no sample comes twice. */
static void check_form(const struct text *out) {
  char announced[100] = "";
  char *copy = strdup(text_get(out));
  for (char *line = copy; *line != '\0';) {
    char *end = strchr(line, '\n');
    assert_non_null(end);
    *end = '\0';
    if (strncmp(line, "# TYPE ", 7) == 0) {
      assert_int_equal(sscanf(line, "# TYPE %99s", announced), 1);
      assert_int_equal(strncmp(announced, "arrowport_", 10), 0);
    } else if (line[0] != '#') {
      size_t name = strcspn(line, "{ ");
      assert_true(is_name(line, name));
      assert_int_equal(strncmp(line, announced, strlen(announced)), 0);
      char *sample = strdup(line);
      *strrchr(sample, ' ') = '\0';
      char wanted[1200];
      snprintf(wanted, sizeof wanted, "\n%s ", sample);
      const char *first = strstr(text_get(out), wanted);
      assert_non_null(first);
      assert_null(strstr(first + 1, wanted));
      free(sample);
    }
    line = end + 1;
  }
  free(copy);
}

static void everything_is_announced_from_the_start(void **state) {
  (void)state;
  struct metrics *metrics = make();
  struct text out = print(metrics);
  check_form(&out);
  assert_non_null(strstr(text_get(&out), "# TYPE arrowport_request_duration_seconds histogram\n"));
  assert_non_null(strstr(text_get(&out), "# TYPE arrowport_ingest_rows_total counter\n"));
  assert_true(says(&out, "arrowport_ingest_compression_ratio NaN"));
  assert_true(says(&out, "arrowport_refused_total{reason=\"credentials\"} 0"));
  assert_true(says(&out, "arrowport_config_last_reload_successful 1"));
  text_release(&out);
  metrics_free(metrics);
  metrics_free(NULL);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void requests_are_counted_by_outcome(void **state) {
  (void)state;
  static const struct {
    int code;
    const char *outcome;
  } cases[] = {{200, "ok"},           {304, "ok"},           {400, "client_error"},
               {429, "client_error"}, {499, "cancelled"},    {500, "server_error"},
               {507, "server_error"}, {599, "server_error"}, {0, "ok"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct metrics *metrics = make();
    metrics_request(metrics, "/query", "", "HTTP/2", cases[i].code, 1);
    char line[200];
    snprintf(line, sizeof line,
             "arrowport_requests_total{endpoint=\"/query\",stream=\"\",outcome=\"%s\"} 1",
             cases[i].outcome);
    check(metrics, line, true);
    snprintf(line, sizeof line, "arrowport_responses_total{protocol=\"HTTP/2\",code=\"%d\"} 1",
             cases[i].code);
    check(metrics, line, cases[i].code != 0);
    metrics_free(metrics);
  }
}

static void durations_fall_into_their_buckets(void **state) {
  (void)state;
  struct metrics *metrics = make();
  const int64_t durations_us[] = {-5, 0, 1000, 1001, 300000000, 300000001};
  for (size_t i = 0; i < 6; i++)
    metrics_request(metrics, "/ingest/", "", "HTTP/1.1", 200, durations_us[i]);
  struct text out = print(metrics);
  check_form(&out);
#define BUCKET "arrowport_request_duration_seconds_bucket{endpoint=\"/ingest/{stream}\",le="
  assert_true(says(&out, BUCKET "\"0.001\"} 3"));
  assert_true(says(&out, BUCKET "\"0.0025\"} 4"));
  assert_true(says(&out, BUCKET "\"60\"} 4"));
  assert_true(says(&out, BUCKET "\"300\"} 5"));
  assert_true(says(&out, BUCKET "\"+Inf\"} 6"));
#undef BUCKET
  assert_true(
      says(&out, "arrowport_request_duration_seconds_count{endpoint=\"/ingest/{stream}\"} 6"));
  assert_true(says(&out, "arrowport_request_duration_seconds_sum{endpoint=\"/ingest/{stream}\"} "
                         "600.002002"));
  text_release(&out);
  metrics_free(metrics);
}

/* ---- streams -------------------------------------------------------------------------------- */

#define REQUEST(stream, outcome)                                                                   \
  "arrowport_requests_total{endpoint=\"/ingest/{stream}\",stream=\"" stream                        \
  "\",outcome=\"" outcome "\"} 1"

static void only_streams_that_landed_or_are_configured_have_a_label(void **state) {
  (void)state;
  struct metrics *metrics = make();
  metrics_request(metrics, "/ingest/", "typo", "HTTP/1.1", 422, 1);
  metrics_schema_mismatch(metrics, "typo");
  check(metrics, REQUEST("", "client_error"), true);
  check(metrics, "arrowport_schema_mismatches_total{stream=\"\"} 1", true);
  metrics_stream(metrics, "configured");
  metrics_request(metrics, "/ingest/", "configured", "HTTP/1.1", 422, 1);
  metrics_schema_mismatch(metrics, "configured");
  check(metrics, REQUEST("configured", "client_error"), true);
  check(metrics, "arrowport_schema_mismatches_total{stream=\"configured\"} 1", true);
  metrics_landed(metrics, "landed", "duckdb", 3, 2, 100, 250);
  metrics_landed(metrics, "landed", "null", 1, 1, 0, 0);
  metrics_request(metrics, "/ingest/", "landed", "HTTP/1.1", 200, 1);
  check(metrics, REQUEST("landed", "ok"), true);
  check(metrics, "arrowport_ingest_loads_total{stream=\"landed\",backend=\"duckdb\"} 1", true);
  check(metrics, "arrowport_ingest_rows_total{stream=\"landed\",backend=\"duckdb\"} 3", true);
  check(metrics, "arrowport_ingest_rows_total{stream=\"landed\",backend=\"null\"} 1", true);
  check(metrics, "arrowport_ingest_batches_total{stream=\"landed\",backend=\"duckdb\"} 2", true);
  check(metrics, "arrowport_ingest_wire_bytes_total{stream=\"landed\",backend=\"duckdb\"} 100",
        true);
  check(metrics, "arrowport_ingest_memory_bytes_total{stream=\"landed\",backend=\"duckdb\"} 250",
        true);
  check(metrics, "arrowport_ingest_compression_ratio 2.5000", true);
  struct text out = print(metrics);
  assert_null(strstr(text_get(&out), "typo"));
  text_release(&out);
  metrics_free(metrics);
}

static void names_are_escaped_and_hostile_ones_are_others(void **state) {
  (void)state;
  static const struct {
    const char *name, *label;
  } cases[] = {
      {"a\"b", "a\\\"b"},  {"a\\b", "a\\\\b"},      {"a{b}", "a{b}"},  {"\xC3\xA9", "\xC3\xA9"},
      {"a\nb", "other"},   {"a\x7f", "other"},      {"\xFF", "other"}, {"other", "other"},
      {"a\rb 1", "other"}, {"le\"} 7\n#", "other"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct metrics *metrics = make();
    metrics_landed(metrics, cases[i].name, "null", 7, 1, 1, 1);
    metrics_request(metrics, "/ingest/", cases[i].name, "HTTP/1.1", 200, 1);
    char line[200];
    snprintf(line, sizeof line, "arrowport_ingest_rows_total{stream=\"%s\",backend=\"null\"} 7",
             cases[i].label);
    check(metrics, line, true);
    snprintf(line, sizeof line,
             "arrowport_requests_total{endpoint=\"/ingest/{stream}\",stream=\"%s\",outcome=\"ok\"} "
             "1",
             cases[i].label);
    check(metrics, line, true);
    struct text out = print(metrics);
    check_form(&out);
    text_release(&out);
    metrics_free(metrics);
  }
}

static void streams_beyond_the_limit_are_others(void **state) {
  (void)state;
  struct metrics *metrics = make();
  char name[32];
  for (int i = 0; i < METRICS_STREAMS_MAX + 50; i++) {
    snprintf(name, sizeof name, "stream%d", i);
    metrics_landed(metrics, name, "null", 1, 1, 1, 1);
    metrics_request(metrics, "/ingest/", name, "HTTP/1.1", 200, 1);
  }
  assert_int_equal(metrics->stream_count, STREAM_FIRST + METRICS_STREAMS_MAX);
  check(metrics, "arrowport_ingest_rows_total{stream=\"stream999\",backend=\"null\"} 1", true);
  check(metrics, "arrowport_ingest_rows_total{stream=\"stream1000\",backend=\"null\"} 1", false);
  check(metrics, "arrowport_ingest_rows_total{stream=\"other\",backend=\"null\"} 50", true);
  check(metrics,
        "arrowport_requests_total{endpoint=\"/ingest/{stream}\",stream=\"other\",outcome=\"ok\"} "
        "50",
        true);
  metrics_free(metrics);
}

static void fixed_sets_that_overflow_are_others(void **state) {
  (void)state;
  struct metrics *metrics = make();
  char name[32];
  for (int i = 0; i < 3 * METRICS_NAMES_MAX; i++) {
    snprintf(name, sizeof name, "n%d", i);
    metrics_request(metrics, name, "", "HTTP/1.1", 200, 1);
    metrics_transaction(metrics, name, true, 1);
    metrics_query(metrics, name, 1, 1);
  }
  char line[200];
  snprintf(line, sizeof line, "arrowport_query_rows_total{format=\"other\"} %d",
           2 * METRICS_NAMES_MAX + 1);
  check(metrics, line, true);
  struct text out = print(metrics);
  check_form(&out);
  text_release(&out);
  metrics_free(metrics);
}

/* ---- the rest ------------------------------------------------------------------------------- */

static void the_ratio_is_of_the_last_minutes(void **state) {
  (void)state;
  struct metrics *metrics = make();
  metrics_landed(metrics, "s", "null", 1, 1, 10, 40);
  metrics_landed(metrics, "s", "null", 1, 1, 10, 20);
  int64_t now_us = clock_now_us();
  assert_true(fabs(metrics_ratio_now(metrics, now_us) - 3.0) < 1e-9);
  assert_true(isnan(metrics_ratio_now(metrics, now_us + (METRICS_MINUTES + 1) * 60000000LL)));
  metrics_free(metrics);
}

static void transactions_queries_refusals_and_reloads_are_counted(void **state) {
  (void)state;
  struct metrics *metrics = make();
  metrics_transaction(metrics, "duckdb", true, 5000);
  metrics_transaction(metrics, "duckdb", false, 2000000);
  metrics_query(metrics, "arrow", 10, 1000);
  metrics_query(metrics, "arrow", 5, 500);
  metrics_refused(metrics, METRICS_SCOPE);
  metrics_refused(metrics, METRICS_MEMORY);
  metrics_reload(metrics, NULL);
  metrics_reload(metrics, "/etc/a.yaml:3:15: 'x' is no number");
  struct metrics_now now = {
      .budget_used_bytes = 5,
      .budget_limit_bytes = 7,
      .ingests = 2,
      .ingest_queued_bytes = 3,
      .queries_running = 4,
      .requests = 6,
      .tasks_waiting = 8,
      .draining = true,
      .network = {.connections_accepted = 10,
                  .connections_open = 9,
                  .http2_connections_open = 4,
                  .received_bytes = 11,
                  .sent_bytes = 12,
                  .refused_connections = 21,
                  .refused_tls = 22,
                  .refused_broken = 23,
                  .refused_limits = 24,
                  .refused_slow = 25,
                  .refused_floods = 26},
      .process = {.resident_bytes = 31,
                  .open_files = 32,
                  .open_files_max = -1,
                  .threads = 33,
                  .cpu_us = 1500000},
  };
  struct text out = print_now(metrics, &now);
  check_form(&out);
  static const char *const lines[] = {
      "arrowport_transactions_total{backend=\"duckdb\",outcome=\"committed\"} 1",
      "arrowport_transactions_total{backend=\"duckdb\",outcome=\"failed\"} 1",
      "arrowport_transaction_duration_seconds_bucket{backend=\"duckdb\",le=\"0.005\"} 1",
      "arrowport_transaction_duration_seconds_count{backend=\"duckdb\"} 2",
      "arrowport_query_answers_total{format=\"arrow\"} 2",
      "arrowport_query_rows_total{format=\"arrow\"} 15",
      "arrowport_query_bytes_total{format=\"arrow\"} 1500",
      "arrowport_refused_total{reason=\"scope\"} 1",
      "arrowport_refused_total{reason=\"memory\"} 1",
      "arrowport_refused_total{reason=\"connections\"} 21",
      "arrowport_refused_total{reason=\"tls\"} 22",
      "arrowport_refused_total{reason=\"malformed\"} 23",
      "arrowport_refused_total{reason=\"limits\"} 24",
      "arrowport_refused_total{reason=\"slow\"} 25",
      "arrowport_refused_total{reason=\"flood\"} 26",
      "arrowport_config_reloads_total{outcome=\"ok\"} 1",
      "arrowport_config_reloads_total{outcome=\"refused\"} 1",
      "arrowport_config_last_reload_successful 0",
      "arrowport_config_refused{file=\"a.yaml\",line=\"3\",column=\"15\"} 1",
      "arrowport_memory_budget_used_bytes 5",
      "arrowport_memory_budget_limit_bytes 7",
      "arrowport_ingests_in_flight 2",
      "arrowport_ingest_queued_bytes 3",
      "arrowport_queries_running 4",
      "arrowport_requests_in_flight 6",
      "arrowport_worker_tasks_waiting 8",
      "arrowport_draining 1",
      "arrowport_connections{protocol=\"HTTP/1.1\"} 5",
      "arrowport_connections{protocol=\"HTTP/2\"} 4",
      "arrowport_connections_accepted_total 10",
      "arrowport_received_bytes_total 11",
      "arrowport_sent_bytes_total 12",
      "arrowport_process_resident_memory_bytes 31",
      "arrowport_process_open_fds 32",
      "arrowport_process_threads 33",
      "arrowport_process_cpu_seconds_total 1.500000",
  };
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    if (!says(&out, lines[i])) print_error("no line %s\n", lines[i]);
    assert_true(says(&out, lines[i]));
  }
  assert_null(strstr(text_get(&out), "\narrowport_process_max_fds ")); /* not known */
  text_release(&out);
  metrics_free(metrics);
}

static void a_refused_file_whose_name_is_no_label_is_other(void **state) {
  (void)state;
  struct metrics *metrics = make();
  metrics_reload(metrics, "/etc/\xFF.yaml:1:2: broken");
  check(metrics, "arrowport_config_refused{file=\"other\",line=\"1\",column=\"2\"} 1", true);
  metrics_reload(metrics, "/etc/a\"b.yaml:1:2: broken");
  check(metrics, "arrowport_config_refused{file=\"a\\\"b.yaml\",line=\"1\",column=\"2\"} 1", true);
  metrics_free(metrics);
}

static void the_process_is_told_of(void **state) {
  (void)state;
  struct metrics_process process;
  metrics_process_read(&process);
  assert_true(process.resident_bytes > 100000);
  assert_true(process.open_files >= 3 && process.open_files < 1000);
  assert_true(process.threads >= 1);
  assert_true(process.cpu_us >= 0);
}

static void *count_many(void *context) {
  for (int i = 0; i < 5000; i++) {
    metrics_landed(context, "s", "null", 1, 1, 1, 1);
    metrics_request(context, "/ingest/", "s", "HTTP/1.1", 200, i);
    if (i % 1000 == 0) {
      struct text out = print(context);
      text_release(&out);
    }
  }
  return NULL;
}

static void several_threads_count_right(void **state) {
  (void)state;
  struct metrics *metrics = make();
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, count_many, metrics);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  check(metrics, "arrowport_ingest_rows_total{stream=\"s\",backend=\"null\"} 20000", true);
  check(metrics,
        "arrowport_requests_total{endpoint=\"/ingest/{stream}\",stream=\"s\",outcome=\"ok\"} 20000",
        true);
  metrics_free(metrics);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything_is_announced_from_the_start),
      cmocka_unit_test(requests_are_counted_by_outcome),
      cmocka_unit_test(durations_fall_into_their_buckets),
      cmocka_unit_test(only_streams_that_landed_or_are_configured_have_a_label),
      cmocka_unit_test(names_are_escaped_and_hostile_ones_are_others),
      cmocka_unit_test(streams_beyond_the_limit_are_others),
      cmocka_unit_test(fixed_sets_that_overflow_are_others),
      cmocka_unit_test(the_ratio_is_of_the_last_minutes),
      cmocka_unit_test(transactions_queries_refusals_and_reloads_are_counted),
      cmocka_unit_test(a_refused_file_whose_name_is_no_label_is_other),
      cmocka_unit_test(the_process_is_told_of),
      cmocka_unit_test(several_threads_count_right),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
