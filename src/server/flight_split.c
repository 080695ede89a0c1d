/* Results that are split: run once, at GetFlightInfo, and read in parts by whoever has the tickets.
 *
 * The rows are kept by the engine (engine_keep), so that all endpoints are of one snapshot and can be
 * read at once, in any order and again. They are let go when their handle ends: it is cancelled
 * (CancelFlightInfo), its session ends, or nobody has read from it for flight.handle_idle_s. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/flight_handle.h"

struct split {
  struct flight_handle handle;
  struct engine_kept *kept;
};

enum { PART_BYTES = FLIGHT_ID_CHARS + 48 }; /* "ID:OFFSET:ROWS" */

static void split_free(struct flight_handle *handle) {
  struct split *split = (struct split *)handle;
  engine_kept_close(split->kept);
  free(split);
}

/* ---- GetFlightInfo ----------------------------------------------------------------------------------- */

/* The command of an endpoint. */
static enum status add_part(struct flight_about *about, const struct split *split, int64_t offset,
                            int64_t rows, struct error *error) {
  Arrow__Flight__Protocol__Sql__TicketStatementQuery ticket =
      ARROW__FLIGHT__PROTOCOL__SQL__TICKET_STATEMENT_QUERY__INIT;
  char part[PART_BYTES];
  int bytes =
      snprintf(part, sizeof part, "%s:%" PRId64 ":%" PRId64, split->handle.id, offset, rows);
  ticket.statement_handle = (ProtobufCBinaryData){.data = (uint8_t *)part, .len = (size_t)bytes};
  return flight_command_pack(FLIGHT_SQL_TYPE_PREFIX "TicketStatementQuery", &ticket.base,
                             &about->endpoints[about->endpoint_count++], error);
}

static enum status tell(const struct split *split, int endpoints, struct flight_about *about,
                        struct error *error) {
  int64_t rows = engine_kept_rows(split->kept);
  int64_t count = rows < endpoints ? (rows == 0 ? 1 : rows) : endpoints;
  about->rows = rows;
  about->bytes = -1;
  about->ordered = true;
  about->shared = true; /* parallel readers have connections of their own */
  about->endpoints = calloc((size_t)count, sizeof *about->endpoints);
  if (about->endpoints == NULL) return error_set(error, STATUS_NOMEM, "no memory for endpoints");
  enum status status = arrow_schema_copy(engine_kept_schema(split->kept), &about->schema, error);
  for (int64_t i = 0; i < count && status == STATUS_OK; i++) {
    int64_t from = rows / count * i + (i < rows % count ? i : rows % count);
    status = add_part(about, split, from, rows / count + (i < rows % count), error);
  }
  return status;
}

/* Whether the statement does nothing but read, and has rows. */
static enum status look(struct flight_ask *ask, const struct flight_loan *loan, const char *sql,
                        bool *reads, struct error *error) {
  struct engine_query query;
  struct engine_statement *statement = NULL;
  flight_text_query(ask, loan, sql, &query);
  query.read_only = true;
  enum status status = engine_prepare(loan->session, &query, &statement, error);
  *reads = status == STATUS_OK && engine_statement_has_rows(statement);
  engine_statement_close(statement);
  /* What is wrong with it, or forbidden, is said by those who run it whole. */
  return status == STATUS_CANCELLED || status == STATUS_TIMEOUT ? status : STATUS_OK;
}

static enum status keep(struct flight_ask *ask, const char *sql, int endpoints,
                        struct flight_about *about, bool *done, struct error *error) {
  struct flight_loan loan;
  struct engine_query query;
  struct split *split = calloc(1, sizeof *split);
  if (split == NULL) return error_set(error, STATUS_NOMEM, "no memory for a result");
  enum status status = flight_hold_init(&split->handle, FLIGHT_SPLIT, ask, split_free, error);
  if (status == STATUS_OK) {
    status = flight_borrow(ask, NULL, FLIGHT_NEED_NOTHING, &loan, error);
    if (status == STATUS_OK) status = look(ask, &loan, sql, done, error);
    if (status == STATUS_OK && *done) {
      flight_text_query(ask, &loan, sql, &query);
      query.read_only = true;
      status = engine_keep(loan.session, &query, &split->kept, error);
    }
    status = flight_return(ask, &loan, status, error);
  }
  if (status == STATUS_OK && *done) status = flight_hold_list(ask, &split->handle, 0, error);
  if (status == STATUS_OK && *done) {
    status = tell(split, endpoints, about, error);
    if (status != STATUS_OK) flight_hold_drop(&split->handle);
  }
  flight_hold_release(&split->handle);
  return status;
}

enum status flight_split_about(struct flight_ask *ask, const char *sql, int endpoints,
                               struct flight_about *about, bool *done, struct error *error) {
  *done = false;
  return keep(ask, sql, endpoints, about, done, error);
}

/* ---- DoGet --------------------------------------------------------------------------------------------- */

/* A part that is being read. */
struct reading {
  struct flight_ask *ask;
  struct split *split;
  struct flight_loan loan;
};

static void reading_end(void *context) {
  struct reading *reading = context;
  struct error ignored;
  enum status status = flight_return(reading->ask, &reading->loan, STATUS_OK, &ignored);
  (void)status; /* nothing was made there */
  flight_hold_release(&reading->split->handle);
  free(reading);
}

/* The ":NUMBER" that `text` begins with, and what is behind it; -1: something else is there. */
static int64_t read_number(const char *text, const char **rest) {
  char *end = NULL;
  *rest = text;
  if (text[0] != ':' || text[1] < '0' || text[1] > '9') return -1;
  int64_t number = strtoll(text + 1, &end, 10);
  *rest = end;
  return number;
}

/* The handle and the rows that a part's command names. */
static enum status part_read(struct flight_ask *ask, const ProtobufCBinaryData *value,
                             struct split **split, int64_t *offset, int64_t *rows,
                             struct error *error) {
  struct flight_handle *handle = NULL;
  char part[PART_BYTES] = {0};
  const char *rest = part + FLIGHT_ID_CHARS;
  Arrow__Flight__Protocol__Sql__TicketStatementQuery *ticket =
      FLIGHT_SQL(ticket_statement_query__unpack)(NULL, value->len, value->data);
  bool good = ticket != NULL && ticket->statement_handle.len > FLIGHT_ID_CHARS &&
              ticket->statement_handle.len < sizeof part;
  if (good) memcpy(part, ticket->statement_handle.data, ticket->statement_handle.len);
  if (ticket != NULL) FLIGHT_SQL(ticket_statement_query__free_unpacked)(ticket, NULL);
  *offset = read_number(rest, &rest);
  *rows = read_number(rest, &rest);
  if (!good || *offset < 0 || *rows < 0 || *rest != '\0')
    return error_set(error, STATUS_INVALID, "the TicketStatementQuery is none of this server's");
  enum status status = flight_hold_find(ask, FLIGHT_SPLIT, part, FLIGHT_ID_CHARS, &handle, error);
  *split = (struct split *)handle;
  return status;
}

enum status flight_split_get(struct flight_ask *ask, const ProtobufCBinaryData *value,
                             struct source **rows, struct error *error) {
  int64_t offset = 0, count = 0;
  struct engine_result *result = NULL;
  struct reading *reading = calloc(1, sizeof *reading);
  if (reading == NULL) return error_set(error, STATUS_NOMEM, "no memory for a result");
  reading->ask = ask;
  enum status status = part_read(ask, value, &reading->split, &offset, &count, error);
  if (status != STATUS_OK) {
    free(reading);
    return status;
  }
  struct engine_query query = {.sql = NULL};
  reading->loan = (struct flight_loan){.own = TURN_NONE};
  reading->loan.alone = &reading->loan.own;
  flight_query_rights(ask, reading->loan.alone, &query);
  status = flight_open_session(ask, &reading->loan.session, &reading->loan.generation,
                               &(int64_t){0}, error);
  if (status == STATUS_OK) status = flight_guard(ask, reading->loan.session, NULL, error);
  if (status == STATUS_OK)
    status = engine_kept_read(reading->loan.session, reading->split->kept, offset, count, &query,
                              &result, error);
  if (status == STATUS_OK) return flight_result_rows(result, reading_end, reading, rows, error);
  reading_end(reading);
  return status;
}

enum status flight_split_cancel(struct flight_ask *ask, const ProtobufCBinaryData *value,
                                struct error *error) {
  int64_t offset, rows;
  struct split *split = NULL;
  enum status status = part_read(ask, value, &split, &offset, &rows, error);
  if (status != STATUS_OK) return status;
  flight_hold_drop(&split->handle);
  flight_hold_release(&split->handle);
  return STATUS_OK;
}
