/* Standard error is a file or a pipe of the test's own while lines are logged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

enum { OUTPUT_BYTES_MAX = 8 << 20 };

static int kept_stderr = -1;

static void stderr_to(int fd) {
  kept_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
  assert_true(dup2(fd, STDERR_FILENO) >= 0);
}

static void stderr_back(void) {
  dup2(kept_stderr, STDERR_FILENO);
  close(kept_stderr);
}

static char *read_all(int fd) {
  char *output = malloc(OUTPUT_BYTES_MAX);
  size_t used = 0;
  ssize_t bytes;
  while ((bytes = read(fd, output + used, OUTPUT_BYTES_MAX - 1 - used)) > 0) used += (size_t)bytes;
  output[used] = '\0';
  return output;
}

static size_t count_lines(const char *output) {
  size_t lines = 0;
  for (const char *at = strchr(output, '\n'); at != NULL; at = strchr(at + 1, '\n')) lines++;
  return lines;
}

/* What one line says, by whatever way it is written; to be freed. */
static char *logged(enum log_format format, bool queued, const char *message,
                    const struct log_field *fields, size_t count) {
  FILE *file = tmpfile();
  assert_non_null(file);
  log_format_set(format);
  stderr_to(fileno(file));
  if (queued) assert_int_equal(log_start(NULL), STATUS_OK);
  log_fields(LOG_INFO, "test", message, fields, count);
  if (queued) log_stop();
  stderr_back();
  lseek(fileno(file), 0, SEEK_SET);
  char *output = read_all(fileno(file));
  fclose(file);
  return output;
}

static void a_line_has_its_fields(void **state) {
  (void)state;
  static const struct log_field fields[] = {{"path", "/a b", false},
                                            {"status", "200", true},
                                            {"word", "x", false},
                                            {"empty", "", false},
                                            {"none", NULL, false}};
  for (int queued = 0; queued < 2; queued++) {
    char *line = logged(LOG_FORMAT_JSON, queued, "said \"so\"", fields, 5);
    assert_int_equal(strncmp(line, "{\"time\":\"20", 11), 0);
    assert_string_equal(strstr(line, "\",\"level\":"),
                        "\",\"level\":\"info\",\"area\":\"test\",\"message\":\"said \\\"so\\\"\","
                        "\"path\":\"/a b\",\"status\":200,\"word\":\"x\",\"empty\":\"\","
                        "\"none\":\"\"}\n");
    free(line);
    line = logged(LOG_FORMAT_TEXT, queued, "said \"so\"", fields, 5);
    assert_string_equal(strstr(line, "Z info"),
                        "Z info    test: said \"so\" path=\"/a b\" status=200 word=x empty=\"\" "
                        "none=\"\"\n");
    free(line);
    line = logged(LOG_FORMAT_AUTO, queued, "to a file", NULL, 0); /* which is no terminal */
    assert_int_equal(line[0], '{');
    free(line);
  }
}

static void nothing_that_is_logged_makes_a_line_or_moves_a_cursor(void **state) {
  (void)state;
  static const char *const hostile[] = {
      "a\nb",
      "a\r\n{\"level\":\"error\"}",
      "\x1b[2J",
      "\x7f\x01\x02",
      "\xC2\x9B[31m" /* CSI */,
      "\xE2\x80\xAE" /* right to left */,
      "\xE2\x80\xA8" /* line separator */,
      "\xFF\xFE\xC3(",
      "\",\"level\":\"",
      "\\",
      "a=b \"c\"",
      "\xEF\xBB\xBF",
  };
  for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
    for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
      struct log_field field = {"value", hostile[i], false};
      char *line = logged((enum log_format)format, false, hostile[i], &field, 1);
      size_t bytes = strlen(line);
      assert_int_equal(count_lines(line), 1);
      assert_int_equal(line[bytes - 1], '\n');
      for (size_t at = 0; at + 1 < bytes; at++) {
        assert_true((unsigned char)line[at] >= 0x20 && line[at] != 0x7f);
        assert_false((unsigned char)line[at] == 0xC2 && (unsigned char)line[at + 1] < 0xA0);
      }
      assert_null(strstr(line, "\xE2\x80"));
      assert_null(strstr(line, "\xEF\xBB\xBF"));
      assert_int_equal(utf8_valid_bytes((const uint8_t *)line, bytes), bytes);
      if (format == LOG_FORMAT_JSON) assert_null(strstr(line, "\"level\":\"\""));
      free(line);
    }
}

static void what_is_too_long_is_cut(void **state) {
  (void)state;
  char longest[20000];
  for (int hostile = 0; hostile < 2; hostile++) {
    memset(longest, hostile ? '\x01' : 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct log_field field = {"value", longest, false};
    for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
      char *line = logged((enum log_format)format, false, longest, &field, 1);
      assert_true(strlen(line) <
                  (LOG_TEXT_BYTES_MAX + LOG_VALUE_BYTES_MAX) * (hostile ? 6 : 1) + 200);
      assert_non_null(strstr(line, "..."));
      assert_string_equal(line + strlen(line) - (format == LOG_FORMAT_JSON ? 3 : 2),
                          format == LOG_FORMAT_JSON ? "\"}\n" : "\"\n");
      free(line);
    }
  }
}

static void lines_above_the_level_are_dropped(void **state) {
  (void)state;
  log_level_set(LOG_WARNING);
  assert_true(log_wanted(LOG_ERROR) && log_wanted(LOG_WARNING) && !log_wanted(LOG_INFO));
  char *line = logged(LOG_FORMAT_JSON, false, "info", NULL, 0);
  assert_string_equal(line, "");
  free(line);
  log_level_set(LOG_INFO);
  line = logged(LOG_FORMAT_JSON, false, "info", NULL, 0);
  assert_int_equal(count_lines(line), 1);
  free(line);
}

/* ---- the queue ------------------------------------------------------------------------------ */

enum { THREADS = 4, LINES_EACH = 500 };

static void *log_many(void *context) {
  for (int i = 0; i < LINES_EACH; i++) log_info("test", "thread %d line %d.", *(int *)context, i);
  return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state) {
  (void)state;
  log_format_set(LOG_FORMAT_TEXT);
  FILE *file = tmpfile();
  assert_non_null(file);
  int64_t dropped = log_dropped_lines();
  stderr_to(fileno(file));
  assert_int_equal(log_start(NULL), STATUS_OK);
  pthread_t threads[THREADS];
  int numbers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = i;
    pthread_create(&threads[i], NULL, log_many, &numbers[i]);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  log_stop();
  stderr_back();
  lseek(fileno(file), 0, SEEK_SET);
  char *output = read_all(fileno(file));
  fclose(file);
  assert_int_equal(count_lines(output), THREADS * LINES_EACH);
  assert_int_equal(log_dropped_lines(), dropped);
  /* Each thread's lines are whole and in their order. */
  int next[THREADS] = {0};
  for (char *line = output; *line != '\0'; line = strchr(line, '\n') + 1) {
    int thread;
    int number;
    int end = 0;
    char *said = strstr(line, "test: ");
    assert_non_null(said);
    assert_int_equal(sscanf(said, "test: thread %d line %d.%n", &thread, &number, &end), 2);
    assert_int_equal(said[end], '\n');
    assert_int_equal(number, next[thread]++);
  }
  free(output);
}

static void make_pipe(int ends[2]) { assert_int_equal(pipe2(ends, O_CLOEXEC), 0); }

struct reader {
  int fd;
  char *output;
};
static void *read_main(void *context) {
  struct reader *reader = context;
  reader->output = read_all(reader->fd);
  return NULL;
}

static void a_pipe_that_nobody_reads_stops_nobody_and_the_lost_lines_are_counted(void **state) {
  (void)state;
  enum { LINES = 20000 };
  log_format_set(LOG_FORMAT_JSON);
  int64_t before = log_dropped_lines();
  int ends[2];
  make_pipe(ends);
  stderr_to(ends[1]);
  close(ends[1]);
  assert_int_equal(log_start(NULL), STATUS_OK);
  for (int i = 0; i < LINES; i++) log_info("test", "line %d of many that nobody reads", i);
  int64_t dropped = log_dropped_lines() - before;
  assert_true(dropped > 0 && dropped < LINES);
  /* Somebody reads at last. */
  struct reader reader = {.fd = ends[0]};
  pthread_t thread;
  pthread_create(&thread, NULL, read_main, &reader);
  log_stop();
  stderr_back();
  pthread_join(thread, NULL);
  close(ends[0]);
  char notice[64];
  snprintf(notice, sizeof notice, "\"message\":\"%lld lines were dropped", (long long)dropped);
  assert_non_null(strstr(reader.output, notice));
  assert_int_equal(count_lines(reader.output), LINES - dropped + 1);
  free(reader.output);
}

/* A pipe of packets keeps each write apart (up to 4 KiB of it). */
static void many_lines_are_few_writes(void **state) {
  (void)state;
  enum { LINES = 300, PACKET_BYTES = 4096 };
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC | O_DIRECT), 0);
  stderr_to(ends[1]);
  close(ends[1]);
  assert_int_equal(log_start(NULL), STATUS_OK);
  char packet[PACKET_BYTES + 1];
  log_info("test", "the first is written at once");
  ssize_t bytes = read(ends[0], packet, PACKET_BYTES);
  assert_true(bytes > 0);
  packet[bytes] = '\0';
  assert_int_equal(count_lines(packet), 1);
  for (int i = 0; i < LINES; i++) log_info("test", "line %d", i);
  log_stop();
  stderr_back();
  size_t lines = 0, writes = 0;
  for (; (bytes = read(ends[0], packet, PACKET_BYTES)) > 0; writes++) {
    packet[bytes] = '\0';
    lines += count_lines(packet);
  }
  close(ends[0]);
  assert_int_equal(lines, LINES);
  assert_in_range(writes, 1, LINES / 3);
}

static void the_end_does_not_wait_for_ever(void **state) {
  (void)state;
  int ends[2];
  make_pipe(ends);
  stderr_to(ends[1]);
  close(ends[1]);
  assert_int_equal(log_start(NULL), STATUS_OK);
  for (int i = 0; i < 3000; i++) log_info("test", "line %d of many that nobody reads", i);
  int64_t began_ms = clock_now_ms();
  log_stop();
  assert_true(clock_now_ms() - began_ms < 30000);
  stderr_back();
  close(ends[0]);
}

static void a_reader_that_is_gone_and_a_pipe_that_does_not_block_do_no_harm(void **state) {
  (void)state;
  signal(SIGPIPE, SIG_IGN);
  for (int gone = 0; gone < 2; gone++) {
    int ends[2];
    make_pipe(ends);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    stderr_to(ends[1]);
    close(ends[1]);
    if (gone) close(ends[0]);
    assert_int_equal(log_start(NULL), STATUS_OK);
    for (int i = 0; i < 3000; i++) log_info("test", "line %d", i);
    struct reader reader = {.fd = ends[0]};
    pthread_t thread;
    if (!gone) pthread_create(&thread, NULL, read_main, &reader);
    log_stop();
    stderr_back();
    if (gone) continue;
    pthread_join(thread, NULL);
    assert_int_equal(count_lines(reader.output), 3000);
    free(reader.output);
    close(ends[0]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_line_has_its_fields),
      cmocka_unit_test(nothing_that_is_logged_makes_a_line_or_moves_a_cursor),
      cmocka_unit_test(what_is_too_long_is_cut),
      cmocka_unit_test(lines_above_the_level_are_dropped),
      cmocka_unit_test(lines_of_several_threads_do_not_mix),
      cmocka_unit_test(a_pipe_that_nobody_reads_stops_nobody_and_the_lost_lines_are_counted),
      cmocka_unit_test(many_lines_are_few_writes),
      cmocka_unit_test(the_end_does_not_wait_for_ever),
      cmocka_unit_test(a_reader_that_is_gone_and_a_pipe_that_does_not_block_do_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
