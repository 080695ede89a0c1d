/* What CommandGetSqlInfo answers: the values of enum SqlInfo, as they are true of this server and of
 * DuckDB's SQL in it. I/O-free: what has to be asked of the database, or depends on the configuration
 * and on who asks, comes in as facts. tests/flight/test_sql_info.c proves the claims about SQL. */
#ifndef ARROWPORT_FLIGHT_SQL_INFO_H
#define ARROWPORT_FLIGHT_SQL_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "base/buffer.h"
#include "base/status.h"

/* Lists that the database is asked for. */
enum sql_info_list {
  SQL_INFO_KEYWORDS,
  SQL_INFO_NUMERIC_FUNCTIONS,
  SQL_INFO_STRING_FUNCTIONS,
  SQL_INFO_SYSTEM_FUNCTIONS,
  SQL_INFO_DATETIME_FUNCTIONS,
  SQL_INFO_LISTS
};

/* A statement that answers with the list, one column of text, sorted. */
const char *sql_info_list_sql(enum sql_info_list list);

struct sql_info_facts {
  const char *version;  /* the server's */
  bool may_write;       /* the caller may change rows, and ingest */
  bool may_define;      /* and make and drop schemas and tables */
  bool sees_everything; /* and read every table by SQL */
  int64_t handle_idle_ms, transaction_idle_ms;
  int64_t statement_bytes_max, statements_max; /* 0: no limit */
  /* By sql_info_list; not looked at when they were not asked for. */
  struct sql_info_strings {
    char **items;
    size_t count;
  } lists[SQL_INFO_LISTS];
};

/* Whether the list is asked for by `ids` (none: everything is). */
bool sql_info_wants(enum sql_info_list list, const uint32_t *ids, size_t count);

/* The rows, of SQL_RESULT_INFO's schema: one for each of `ids` (none: for all there are) in ascending
 * order; ids that nobody knows are left out, those that come twice count once. STATUS_BUDGET,
 * STATUS_NOMEM. */
enum status sql_info_batch(const struct sql_info_facts *facts, const uint32_t *ids, size_t count,
                           struct budget *budget, struct ArrowArray *out,
                           struct error *error) WARN_UNUSED;

/* Which types the one of that number of enum SqlSupportsConvert is cast to, as a bit for each. */
uint32_t sql_info_converts(int from);
enum { SQL_INFO_CONVERT_TYPES = 20 };

#endif
