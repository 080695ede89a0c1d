/* The text of ARROW:schema, read back by our own decoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow/ipc.h"
#include "base/base64.h"
#include "parquet/field.h"
#include "parquet/schema.h"

#define F FIELD

static struct budget budget = {.limit_bytes = 1 << 24};

/* As readers do: base64, an encapsulated message, a schema. To be released. */
static struct ArrowSchema read_text(const char *text) {
  static uint8_t message[1 << 16];
  struct base64_decoder decoder = BASE64_START;
  const uint8_t *from = (const uint8_t *)text;
  uint8_t *end = message;
  assert_int_equal(
      base64_decode(&decoder, &from, from + strlen(text), &end, message + sizeof message),
      BASE64_INPUT);
  assert_true(base64_whole(&decoder));
  uint32_t mark, metadata_bytes;
  memcpy(&mark, message, sizeof mark);
  memcpy(&metadata_bytes, message + 4, sizeof metadata_bytes);
  assert_int_equal(mark, 0xFFFFFFFFU);
  assert_int_equal(end - message, 8 + metadata_bytes);
  struct ipc_message cut = {.metadata = BUFFER_EMPTY};
  assert_int_equal(buffer_append(&cut.metadata, &budget, message + 8, metadata_bytes, NULL),
                   STATUS_OK);
  struct ipc_limits limits = IPC_LIMITS_DEFAULT;
  struct ipc_decoder *reader = NULL;
  assert_int_equal(ipc_decoder_new(&limits, &budget, &reader, NULL), STATUS_OK);
  enum ipc_event event;
  struct ArrowArray batch = {.release = NULL};
  assert_int_equal(ipc_decoder_decode(reader, &cut, &event, &batch, NULL), STATUS_OK);
  struct ArrowSchema schema = {.release = NULL};
  assert_int_equal(arrow_schema_copy(ipc_decoder_schema(reader), &schema, NULL), STATUS_OK);
  ipc_decoder_free(reader);
  return schema;
}

static const struct {
  const struct field *written, *read;
} cases[] = {
    {F("tss:UTC", "c"), F("tss:UTC", "c")},
    {F("c", "c", .dictionary = F("U")), F("c", "c", .dictionary = F("U"))},
    {F("+vl", "c", {F("vu", "item", .is_required = true)}),
     F("+vl", "c", {F("vu", "item", .is_required = true)})},
    {F("tDs", "c", .is_required = true), F("tDs", "c", .is_required = true)},
    {F("+r", "c", {F("i", "run_ends"), F("u", "values")}, .is_required = true),
     F("u", "c", .is_required = true)},
    {F("+l", "c", {F("+r", "item", {F("s", "run_ends"), F("+s", "values", {F("i", "a")})})}),
     F("+l", "c", {F("+s", "item", {F("i", "a")})})},
    {F("+r", "c", {F("i", "run_ends"), F("+r", "values", {F("i", "r"), F("g", "v")})}),
     F("g", "c")},
    {F("+r", "c", {F("i", "run_ends"), F("c", "values", .dictionary = F("u"))}),
     F("c", "c", .dictionary = F("u"))},
};

static void schemas_come_back_but_for_runs(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct ArrowSchema written = field_batch_schema(cases[i].written);
    struct ArrowSchema wanted = field_batch_schema(cases[i].read);
    char *text = NULL;
    struct error error = {.text = ""};
    if (parquet_arrow_schema(&written, &budget, &text, &error) != STATUS_OK)
      fail_msg("%s", error.text);
    struct ArrowSchema read = read_text(text);
    if (!arrow_schema_equal(&read, &wanted, &error)) fail_msg("case %zu: %s", i, error.text);
    arrow_schema_release(&read);
    arrow_schema_release(&wanted);
    arrow_schema_release(&written);
    free(text);
  }
}

static void metadata_of_a_run_end_encoded_field_stays(void **state) {
  (void)state;
  struct ArrowSchema written = field_batch_schema(
      F("+r", "c", {F("i", "run_ends"), F("u", "values", .key = "of", .value = "values")},
        .key = "of", .value = "field"));
  char *text = NULL;
  assert_int_equal(parquet_arrow_schema(&written, &budget, &text, NULL), STATUS_OK);
  struct ArrowSchema read = read_text(text);
  const char *metadata = read.children[0]->metadata;
  assert_non_null(metadata);
  assert_memory_equal(metadata + 4 + 4 + 2 + 4, "field", 5);
  assert_string_equal(written.children[0]->format, "+r");
  arrow_schema_release(&read);
  arrow_schema_release(&written);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(schemas_come_back_but_for_runs),
      cmocka_unit_test(metadata_of_a_run_end_encoded_field_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
