/* What the files of DoPut share: see flight_put.c. */
#ifndef ARROWPORT_SERVER_FLIGHT_PUT_H
#define ARROWPORT_SERVER_FLIGHT_PUT_H

#include "flight/data.h"
#include "server/flight.h"
#include "server/flight_rows.h"
#include "server/ingest.h"

enum flight_put_kind {
  FLIGHT_PUT_NEW,     /* nothing has come */
  FLIGHT_PUT_ROWS,    /* into a stream's table */
  FLIGHT_PUT_OPENING, /* CommandStatementIngest: the table is being readied; nothing is read */
  FLIGHT_PUT_INGEST,  /* and is */
  FLIGHT_PUT_CHANGE,  /* DoExchange: the rows are what a statement reads */
  FLIGHT_PUT_FEW      /* parameters of a statement, or none */
};

struct flight_put {
  struct ingest ingest;   /* first */
  struct grpc_call *grpc; /* NULL once the exchange is over */
  struct flight_data_reader *reader;
  enum flight_put_kind kind;
  bool exchange; /* DoExchange: what is answered is FlightData */
  bool ended;    /* the client has sent all */
  /* ROWS */
  struct flight_rows rows;
  struct text table; /* its full name */
  bool durable;
  int64_t batches; /* that came */
  struct flight_acks *acks;
  struct net_post offset_post;
  bool held_back; /* acknowledgements wait until the client reads */
  struct net_timer *commit_timer;
  bool clock_runs;
  /* commands of Flight SQL */
  Google__Protobuf__Any *any;
  const struct flight_command *command;
  struct flight_ask *ask;
  struct ipc_message first; /* the schema, while the table is being readied */
  struct flight_few *few;
  struct flight_ingest *into;
  struct flight_change *change;
  bool concluding_answers; /* what conclude says is the answer */
};

/* Ends the call; nothing more of it is listened to. */
void flight_put_finish(struct flight_put *put, enum status status, const struct error *error);
/* The intake is there: what waited goes on. */
void flight_put_go_on(struct flight_put *put);

/* ---- flight_few.c: commands whose batches are few ------------------------------------------------ */

enum status flight_few_open(struct flight_put *put, struct error *error) WARN_UNUSED;
/* Takes the message. */
enum status flight_few_take(struct flight_put *put, struct ipc_message *message,
                            struct error *error) WARN_UNUSED;
void flight_few_end(struct flight_put *put);
void flight_few_release(struct flight_put *put);

/* ---- flight_ingest.c: CommandStatementIngest ------------------------------------------------------- */

enum status flight_ingest_open(struct flight_put *put, struct error *error) WARN_UNUSED;
/* The intake is done: commits or rolls back, and answers. */
void flight_ingest_settle(struct flight_put *put, enum status status,
                          const struct load_result *result, const struct error *error);
void flight_ingest_release(struct flight_put *put);

/* ---- flight_exchange.c: rows through a statement --------------------------------------------------- */

enum status flight_change_open(struct flight_put *put, struct error *error) WARN_UNUSED;
/* All rows have come: runs the statement, and answers with its rows. */
void flight_change_settle(struct flight_put *put, enum status status, const struct error *error);
/* The exchange is over. */
void flight_change_gone(struct flight_put *put);
void flight_change_release(struct flight_put *put);

/* Takes the call over (DoPut, DoExchange). */
void flight_put_begin(struct call *call, bool exchange);

#endif
