#include "evolving.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void ok(enum status status, const struct error *error) {
  if (status != STATUS_OK) fail_msg("%s: %s", status_name(status), error->text);
}

struct ArrowSchema schema_by_sql(const char *sql) {
  struct error error = {0};
  struct engine_result *result = NULL;
  struct ArrowSchema schema = {0};
  struct engine_query query = {.sql = sql};
  enum status status = engine_query(fixture_session, &query, &result, &error);
  if (status == STATUS_OK)
    status = arrow_schema_copy(engine_result_schema(result), &schema, &error);
  engine_result_close(result);
  if (status != STATUS_OK) fail_msg("%s: %s", sql, error.text);
  return schema;
}
