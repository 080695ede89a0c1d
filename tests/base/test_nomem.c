/* Text, buffers, settings and threads when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "base/config.h"
#include "base/table_name.h"
#include "base/text.h"
#include "base/workers.h"
#include "nomem/nomem.h"

/* ---- text -------------------------------------------------------------------------------- */

/* Longer than a text's first room, so that each addition needs more. */
static const char LONG[] = "a sentence that is longer than what a text has room for at first, \"is "
                           "it\" not, and then 'some' more of it";

static enum status add(struct text *text, int step, struct error *error) {
  switch (step) {
  case 0: return text_add(text, LONG, error);
  case 1: return text_add_bytes(text, LONG, sizeof LONG - 1, error);
  case 2: return text_add_format(text, error, "%s-%d", LONG, 7);
  case 3: return text_add_identifier(text, LONG, error);
  case 4: return text_add_literal(text, LONG, error);
  case 5: return text_add_json(text, "\xFF\n\"text\"", 8, error);
  default: return text_add_json(text, LONG, sizeof LONG - 1, error);
  }
}

/* Each addition that fails leaves the text as it was, and can be repeated. */
static enum status write_text(void *context, struct error *error) {
  const struct text *wanted = context;
  struct text text = TEXT_EMPTY;
  enum status status = STATUS_OK;
  for (int step = 0; step < 7 && status == STATUS_OK; step++) {
    size_t before_bytes = text.size_bytes;
    do {
      status = add(&text, step, error);
      if (status != STATUS_OK) assert_int_equal(text.size_bytes, before_bytes);
      if (status != STATUS_OK && text.data != NULL) assert_int_equal(text.data[before_bytes], '\0');
    } while (nomem_again(status));
  }
  if (status == STATUS_OK && wanted->data != NULL)
    assert_string_equal(text_get(&text), text_get(wanted));
  text_release(&text);
  return status;
}

static void a_text_stays_as_it_was(void **state) {
  (void)state;
  struct text wanted = TEXT_EMPTY;
  for (int step = 0; step < 7; step++) assert_int_equal(add(&wanted, step, NULL), STATUS_OK);
  assert_true(nomem_run("a text", write_text, &wanted, 0) >= 4);
  text_release(&wanted);
}

/* ---- buffers ----------------------------------------------------------------------------- */

static void count_release(void *context) { ++*(int *)context; }

static enum status fill_buffer(void *context, struct error *error) {
  (void)context;
  struct buffer buffer = BUFFER_EMPTY;
  struct buffer wrapped = BUFFER_EMPTY;
  int releases = 0;
  enum status status;
  do status = buffer_reserve(&buffer, &nomem_budget, 100, error);
  while (nomem_again(status));
  for (int i = 0; i < 8 && status == STATUS_OK; i++) {
    do {
      status = buffer_append(&buffer, &nomem_budget, LONG, sizeof LONG, error);
      assert_int_equal(buffer.size_bytes, (i + (status == STATUS_OK)) * (int64_t)sizeof LONG);
    } while (nomem_again(status));
  }
  for (int64_t i = 0; i < buffer.size_bytes; i += (int64_t)sizeof LONG)
    assert_memory_equal(buffer.data + i, LONG, sizeof LONG);
  if (status == STATUS_OK) {
    do status = buffer_wrap(&wrapped, LONG, sizeof LONG, count_release, &releases, error);
    while (nomem_again(status));
  }
  assert_int_equal(releases, 0);
  buffer_release(&wrapped);
  assert_int_equal(releases, status == STATUS_OK);
  buffer_release(&buffer);
  return status;
}

static void a_buffer_stays_as_it_was(void **state) {
  (void)state;
  /* What cannot be doubled grows by what it takes. */
  assert_true(nomem_run("a buffer", fill_buffer, NULL, 8) >= 5);
}

/* ---- settings ---------------------------------------------------------------------------- */

static const struct config_field FIELDS[] = {
    {.name = "name", .type = CONFIG_STRING, .default_text = "nobody", .doc = "Who it is."},
    {.name = "folder", .type = CONFIG_PATH, .default_text = "~/data", .doc = "Where it is."},
    {.name = "port", .type = CONFIG_INTEGER, .default_text = "8888", .doc = "Where it listens."},
    {.name = "parts", .type = CONFIG_LIST, .default_text = "a, b", .doc = "What of."},
    CONFIG_FIELD_END};

static enum status use_config(void *context, struct error *error) {
  (void)context;
  struct config *config = NULL;
  struct text text = TEXT_EMPTY;
  enum status status = config_new(FIELDS, &config, error);
  if (status != STATUS_OK) assert_null(config);
  if (status == STATUS_OK) {
    do {
      status = config_set(config, "name", "somebody", CONFIG_FLAG, error);
      if (status != STATUS_OK) assert_string_equal(config_string(config, "name"), "nobody");
    } while (nomem_again(status));
  }
  if (status == STATUS_OK) {
    do status = config_set(config, "parts", "c,d,e", CONFIG_FILE, error);
    while (nomem_again(status));
  }
  if (status == STATUS_OK) {
    do status = config_add(config, "parts", "f", CONFIG_FLAG, error);
    while (nomem_again(status));
  }
  for (size_t i = 0; i < 4 && status == STATUS_OK; i++)
    status = config_print(config, FIELDS[i].name, &text, error);
  if (status == STATUS_OK) status = config_help(FIELDS, &text, error);
  config_free(config);
  text_release(&text);
  return status;
}

static void settings_say_that_there_is_no_memory(void **state) {
  (void)state;
  assert_true(nomem_run("settings", use_config, NULL, 0) > 10);
}

static enum status write_names(void *context, struct error *error) {
  (void)context;
  struct table_name name;
  struct text text = TEXT_EMPTY;
  static const char given[] = "\"a catalog of things, with a comma and a point.\".\"schema\".table";
  enum status status = table_name_parse(given, sizeof given - 1, &name, error);
  if (status == STATUS_OK) status = table_name_sql(&name, &text, error);
  if (status == STATUS_OK) status = table_name_print(&name, &text, error);
  text_release(&text);
  return status;
}

static void names_say_that_there_is_no_memory(void **state) {
  (void)state;
  assert_true(nomem_run("a table's name", write_names, NULL, 0) >= 2);
}

/* ---- threads ----------------------------------------------------------------------------- */

enum { CALLS = 20 };

static void call(void *context, int64_t index, int lane) {
  (void)lane;
  ((int *)context)[index]++;
}

/* workers_each never fails: without memory the calls are made here. */
static enum status start_workers(void *context, struct error *error) {
  (void)context;
  struct workers *workers = NULL;
  enum status status = workers_new(3, &workers, error);
  if (status != STATUS_OK) assert_null(workers);
  if (status == STATUS_OK) {
    int calls[CALLS] = {0};
    workers_each(workers, CALLS, call, calls);
    for (int i = 0; i < CALLS; i++) assert_int_equal(calls[i], 1);
  }
  workers_free(workers);
  return status;
}

static void threads_that_cannot_start_take_no_others_with_them(void **state) {
  (void)state;
  assert_int_equal(nomem_run("threads", start_workers, NULL, 1), 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_text_stays_as_it_was),
      cmocka_unit_test(a_buffer_stays_as_it_was),
      cmocka_unit_test(settings_say_that_there_is_no_memory),
      cmocka_unit_test(names_say_that_there_is_no_memory),
      cmocka_unit_test(threads_that_cannot_start_take_no_others_with_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
