/* CommandStatementIngest: rows into a table, made, filled or replaced as its TableDefinitionOptions say,
 * in one transaction: the client's, or one that is committed when its stream is whole.
 *
 *   open --ask: prepare (borrow a session, begin, look at the table)--> intake over a sink that lands in
 *   that session --> settle --ask: conclude (commit or roll back, return the session)--> answered
 *
 * A session that was borrowed is returned by `conclude`, however the call ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/flight_put.h"
#include "sink/duckdb_session.h"

typedef Arrow__Flight__Protocol__Sql__CommandStatementIngest Command;

struct flight_ingest {
  Command *command;
  struct table_name table;
  bool create, must_be_new, replace;
  /* the worker's */
  struct flight_loan loan;
  struct turn alone; /* a table is made or dropped */
  struct sink *sink;
  bool borrowed, begun;
  /* what became of the rows */
  enum status status;
  struct error error;
  int64_t rows;
};

/* ---- what is asked for ---------------------------------------------------------------------------- */

static const char *catalog_of(const Command *command) {
  return command->optional_catalog_case ==
                 ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_INGEST__OPTIONAL_CATALOG_CATALOG
             ? command->catalog
             : "";
}

static const char *schema_of(const Command *command) {
  return command->optional_schema_case ==
                 ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_INGEST__OPTIONAL_SCHEMA_SCHEMA
             ? command->schema
             : "";
}

static const ProtobufCBinaryData *transaction_of(const Command *command) {
  return command->optional_transaction_id_case ==
                     ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_INGEST__OPTIONAL_TRANSACTION_ID_TRANSACTION_ID &&
                 command->transaction_id.len > 0
             ? &command->transaction_id
             : NULL;
}

static enum status copy_name(char to[TABLE_NAME_BYTES_MAX + 1], const char *from, const char *what,
                             struct error *error) {
  size_t bytes = strlen(from);
  if (bytes > TABLE_NAME_BYTES_MAX)
    return error_set(error, STATUS_INVALID, "the %s's name has %zu bytes; at most %d may be", what,
                     bytes, TABLE_NAME_BYTES_MAX);
  memcpy(to, from, bytes + 1);
  return STATUS_OK;
}

static enum status read_options(struct flight_ingest *into, struct error *error) {
#define OPTION(name)                                                                               \
  ARROW__FLIGHT__PROTOCOL__SQL__COMMAND_STATEMENT_INGEST__TABLE_DEFINITION_OPTIONS__##name
  const Command *command = into->command;
  into->create = true;
  if (command->table_definition_options == NULL) return STATUS_OK;
  switch (command->table_definition_options->if_not_exist) {
  case OPTION(TABLE_NOT_EXIST_OPTION__TABLE_NOT_EXIST_OPTION_UNSPECIFIED):
  case OPTION(TABLE_NOT_EXIST_OPTION__TABLE_NOT_EXIST_OPTION_CREATE): break;
  case OPTION(TABLE_NOT_EXIST_OPTION__TABLE_NOT_EXIST_OPTION_FAIL): into->create = false; break;
  default:
    return error_set(error, STATUS_INVALID, "if_not_exist is %d, which is not known",
                     (int)command->table_definition_options->if_not_exist);
  }
  switch (command->table_definition_options->if_exists) {
  case OPTION(TABLE_EXISTS_OPTION__TABLE_EXISTS_OPTION_UNSPECIFIED):
  case OPTION(TABLE_EXISTS_OPTION__TABLE_EXISTS_OPTION_APPEND): break;
  case OPTION(TABLE_EXISTS_OPTION__TABLE_EXISTS_OPTION_FAIL): into->must_be_new = true; break;
  case OPTION(TABLE_EXISTS_OPTION__TABLE_EXISTS_OPTION_REPLACE): into->replace = true; break;
  default:
    return error_set(error, STATUS_INVALID, "if_exists is %d, which is not known",
                     (int)command->table_definition_options->if_exists);
  }
#undef OPTION
  return STATUS_OK;
}

static enum status read_command(struct flight_put *put, struct flight_ingest *into,
                                struct error *error) {
  into->command =
      FLIGHT_SQL(command_statement_ingest__unpack)(NULL, put->any->value.len, put->any->value.data);
  if (into->command == NULL)
    return error_set(error, STATUS_INVALID, "CommandStatementIngest is broken");
  const Command *command = into->command;
  if (command->table[0] == '\0')
    return error_set(error, STATUS_INVALID, "CommandStatementIngest names no table");
  if (command->temporary && (catalog_of(command)[0] != '\0' || schema_of(command)[0] != '\0'))
    return error_set(error, STATUS_INVALID,
                     "a temporary table has neither catalog nor schema; leave them out");
  for (size_t i = 0; i < command->n_options; i++)
    return error_set(error, STATUS_INVALID,
                     "the ingest option '%.60s' is not known; there are none",
                     command->options[i]->key);
  enum status status = copy_name(into->table.table, command->table, "table", error);
  if (status == STATUS_OK)
    status = copy_name(into->table.schema, schema_of(command), "schema", error);
  if (status == STATUS_OK)
    status = copy_name(into->table.catalog, catalog_of(command), "catalog", error);
  return status == STATUS_OK ? read_options(into, error) : status;
}

/* ---- the worker's side ------------------------------------------------------------------------------- */

/* A statement of ours, within the transaction. */
static enum status execute(struct flight_ingest *into, const char *sql, struct error *error) {
  struct engine_result *result = NULL;
  const struct engine_query query = {.sql = sql, .within = true, .own = true};
  enum status status = engine_query(into->loan.session, &query, &result, error);
  struct ArrowArray batch = {.release = NULL};
  if (status == STATUS_OK) status = engine_result_next(result, &batch, error);
  if (batch.release != NULL) arrow_array_release(&batch);
  engine_result_close(result);
  return status;
}

static enum status drop_table(struct flight_ingest *into, const struct table_name *table,
                              struct error *error) {
  struct text sql = TEXT_EMPTY;
  enum status status = text_add(&sql, "DROP TABLE ", error);
  if (status == STATUS_OK) status = table_name_print(table, &sql, error);
  if (status == STATUS_OK) status = execute(into, text_get(&sql), error);
  text_release(&sql);
  return status;
}

/* The table is as its options want it. */
static enum status ready_table(struct flight_ingest *into, struct error *error) {
  struct table_name name = into->table;
  if (into->command->temporary) { /* not another one of that name */
    snprintf(name.catalog, sizeof name.catalog, "temp");
    snprintf(name.schema, sizeof name.schema, "main");
  }
  struct engine_table table;
  enum status status = engine_table_info(into->loan.session, &name, &table, error);
  bool exists = status == STATUS_OK;
  if (exists) engine_table_release(&table);
  if (status != STATUS_OK && status != STATUS_NOT_FOUND) return status;
  if (exists && into->must_be_new)
    return error_set(error, STATUS_CONFLICT, "there is a table %s already, and it was to be made",
                     into->table.table);
  if (!exists && !into->create)
    return error_set(error, STATUS_NOT_FOUND, "there is no table %s, and it was not to be made",
                     into->table.table);
  return exists && into->replace ? drop_table(into, &name, error) : STATUS_OK;
}

/* At the table as a load; alone there while it is made or dropped. A transaction that takes part already
 * keeps the turn that it has, until it ends. */
static enum status take_turn(struct flight_ask *ask, struct flight_ingest *into,
                             struct error *error) {
  struct engine_table table;
  if (into->loan.alone->at != NULL) return STATUS_OK;
  enum status status = engine_table_info(into->loan.session, &into->table, &table, error);
  bool exists = status == STATUS_OK;
  if (exists) engine_table_release(&table);
  if (!exists && status != STATUS_NOT_FOUND) return status;
  return storage_turn(ask->server->storage, &into->table,
                      exists && !into->replace ? TURN_APPEND : TURN_ALONE, into->loan.alone, error);
}

static enum status prepare(void *context, struct flight_ask *ask, struct error *error) {
  struct flight_put *put = context;
  struct flight_ingest *into = put->into;
  enum flight_need need = into->command->temporary ? FLIGHT_NEED_SESSION : FLIGHT_NEED_NOTHING;
  into->borrowed = true; /* to be returned also after a failure */
  enum status status = flight_borrow(ask, transaction_of(into->command), need, &into->loan, error);
  if (status != STATUS_OK) return status;
  if (!into->command->temporary) status = take_turn(ask, into, error);
  if (status == STATUS_OK && !into->loan.within) {
    status = engine_begin_client(into->loan.session, false, error);
    into->begun = status == STATUS_OK;
  }
  if (status == STATUS_OK) status = ready_table(into, error);
  const struct sink_session_options options = {.within = true,
                                               .temporary = into->command->temporary};
  if (status == STATUS_OK)
    status = sink_session_open(into->loan.session, &options, &into->sink, error);
  return status;
}

static enum status add_result(struct flight_ask *ask, int64_t rows, struct error *error) {
  Arrow__Flight__Protocol__Sql__DoPutUpdateResult count;
  FLIGHT_SQL(do_put_update_result__init)(&count);
  count.record_count = rows;
  uint8_t packed[32];
  Arrow__Flight__Protocol__PutResult result;
  FLIGHT(put_result__init)(&result);
  result.app_metadata.data = packed;
  result.app_metadata.len = FLIGHT_SQL(do_put_update_result__pack)(&count, packed);
  return flight_answer(ask, &result.base, error);
}

/* Commits or rolls back, and returns the session. */
static enum status conclude(void *context, struct flight_ask *ask, struct error *error) {
  struct flight_put *put = context;
  struct flight_ingest *into = put->into;
  enum status status = into->status;
  if (status != STATUS_OK) *error = into->error;
  sink_close(into->sink);
  into->sink = NULL;
  if (into->begun && status == STATUS_OK)
    status = engine_commit(into->loan.session, error);
  else if (into->begun)
    engine_rollback(into->loan.session);
  into->begun = false;
  if (into->borrowed) status = flight_return(ask, &into->loan, status, error);
  into->borrowed = false;
  return status == STATUS_OK ? add_result(ask, into->rows, error) : status;
}

/* ---- the loop's side ------------------------------------------------------------------------------------ */

static void concluded(void *context, enum status status, const struct error *error) {
  struct flight_put *put = context;
  if (!put->ingest.answered || put->concluding_answers) {
    put->concluding_answers = false;
    flight_put_finish(put, status, error);
  }
  ingest_let_go(&put->ingest);
}

/* The hold is taken already. */
static void start_conclude(struct flight_put *put, enum status status, const struct error *error) {
  put->into->status = status;
  if (status != STATUS_OK && error != NULL) put->into->error = *error;
  flight_ask_must(put->ask);
  flight_ask_run(put->ask, conclude, concluded, put);
}

static void prepared(void *context, enum status status, const struct error *error) {
  struct flight_put *put = context;
  struct flight_ingest *into = put->into;
  struct ingest *ingest = &put->ingest;
  struct error why = {.status = STATUS_OK};
  if (status != STATUS_OK) why = *error;
  if (status == STATUS_OK && (ingest->request.exchange == NULL || ingest->answered))
    status = error_set(&why, STATUS_CANCELLED, "the client is gone");
  if (status == STATUS_OK) {
    struct ingest_target target = {.backend = "duckdb",
                                   .table = into->table,
                                   .mode = SINK_APPEND,
                                   .landing = ingest->request.config->landing,
                                   .sink = into->sink};
    target.landing.each_batch = false;
    status = ingest_open(ingest, &target, &why);
  }
  if (status != STATUS_OK) {
    start_conclude(put, status, &why);
    return;
  }
  put->kind = FLIGHT_PUT_INGEST;
  flight_ask_clock(put->ask, false); /* it is the client who is waited for */
  flight_put_go_on(put);
  ingest_let_go(ingest); /* the intake keeps it from here on */
}

enum status flight_ingest_open(struct flight_put *put, struct error *error) {
  put->into = calloc(1, sizeof *put->into);
  if (put->into == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  enum status status = read_command(put, put->into, error);
  if (status == STATUS_OK) status = ingest_name(&put->ingest, put->into->table.table, error);
  if (status == STATUS_OK)
    status = auth_allow_table(put->ingest.request.who, AUTH_WRITE, &put->into->table, error);
  if (status != STATUS_OK) return status;
  put->kind = FLIGHT_PUT_OPENING;
  ingest_hold(&put->ingest);
  flight_ask_run(put->ask, prepare, prepared, put);
  return STATUS_OK;
}

void flight_ingest_settle(struct flight_put *put, enum status status,
                          const struct load_result *result, const struct error *error) {
  put->into->rows = result->rows;
  put->concluding_answers = !put->ingest.answered;
  ingest_hold(&put->ingest);
  start_conclude(put, status, error);
}

void flight_ingest_release(struct flight_put *put) {
  struct flight_ingest *into = put->into;
  if (into == NULL) return;
  if (into->command != NULL)
    FLIGHT_SQL(command_statement_ingest__free_unpacked)(into->command, NULL);
  free(into);
  put->into = NULL;
}
