/* Rows that arrive by a request: what POST /ingest (ingest_post.c) and POST /stream (stream.c)
 * share, from the bytes of an Arrow stream to the answer. Everything is called on the loop's
 * thread. */
#ifndef ARROWPORT_SERVER_INGEST_H
#define ARROWPORT_SERVER_INGEST_H

#include "arrow/ipc.h"
#include "pipeline/pipeline.h"
#include "server/private.h"

struct ingest;

/* What the doors do each in their way. */
struct ingest_door {
  /* The rows are committed: answers 200. */
  void (*answer)(struct ingest *ingest, const struct load_result *result);
  /* There may be room or memory again, after ingest_window or ingest_push said STATUS_BUDGET. */
  void (*resume)(struct ingest *ingest);
  /* Frees what is the door's own; the struct itself is freed behind it. */
  void (*release)(struct ingest *ingest);
  /* What follows is NULL for those who take an Arrow stream over HTTP. */
  /* Answers an error; `figures` NULL: nothing was begun. */
  void (*fail)(struct ingest *ingest, enum status status, const struct error *error,
               const struct intake_figures *figures);
  /* Room for what comes next, what it would take from the budget, and what is held of it. */
  enum status (*window)(struct ingest *ingest, uint8_t **data, int64_t *bytes, struct error *error);
  int64_t (*wants)(const struct ingest *ingest);
  int64_t (*held)(const struct ingest *ingest);
  /* Not now: `resume` follows. */
  void (*pause)(struct ingest *ingest);
  /* The intake has got on (on a worker, to be passed on): see struct intake_options. */
  void (*offset)(struct ingest *ingest, const struct intake_offset *offset);
  /* The exchange is over; the struct may live on until the intake is done. */
  void (*over)(struct ingest *ingest);
  /* The intake is done: true when the door goes on from here, holding the ingest (ingest_hold). */
  bool (*settle)(struct ingest *ingest, enum status status, const struct load_result *result,
                 const struct error *error);
};

/* Where the rows go. */
struct ingest_target {
  const char *backend; /* a sink's name; lives as long as the ingest */
  struct table_name table;
  enum sink_mode mode;
  int64_t chunk_rows;
  char *const *keys; /* live as long as the ingest */
  size_t key_count;
  bool refuse_duplicates;
  struct landing_config landing;
  struct intake_watermark watermark; /* as in struct intake_options */
  bool resume;
  struct sink *sink; /* the caller may write there; NULL: that of the backend, by its name */
};

/* A door's struct begins with it. */
struct ingest {
  struct request request;
  const struct ingest_door *door;
  struct ingest *next; /* in server->ingests */
  struct ingest **previous;

  char *stream;
  char *token; /* Idempotency-Key; NULL: none */
  struct ingest_target target;
  struct ipc_limits limits;
  struct ipc_framer *framer;
  struct intake *intake; /* NULL until ingest_open */
  struct net_post space_post;
  struct net_post done_post;
  struct net_timer *held_timer;
  int64_t number;           /* in the order in which they came */
  int64_t starved_since_ms; /* 0: not starved (server/starving.c) */
  bool in_line;             /* of those that wait for memory: oldest first */
  struct ingest *line_next, *line_previous;

  struct error
      *refusal;   /* of a request whose batches are committed one by one: told when it is known
                          * how many were */
  bool body_over; /* the stream is whole: the intake was told to commit */
  bool answered;
  bool done;          /* the intake is */
  bool held;          /* the intake waits until it is whole, for a while */
  int holds;          /* of its door, that keep it alive */
  int64_t body_bytes; /* after Content-Encoding */
  int64_t started_us;
};

/* The target of a stream as the configuration routes it: the route's table, or the one of the
 * stream's name. Appends. STATUS_INVALID for a name that cannot be a table's. */
enum status ingest_route(const struct server_config *config, const char *stream,
                         struct ingest_target *target, struct error *error) WARN_UNUSED;

/* Begins: `ingest` is a door's struct of `bytes` bytes to be allocated, for the stream of the call's
 * name, or, where it has none, that of ingest_name. NULL: it was answered. */
struct ingest *ingest_new(struct call *call, size_t bytes, const struct ingest_door *door);
/* The stream's name, where it comes with the body. */
enum status ingest_name(struct ingest *ingest, const char *stream, struct error *error) WARN_UNUSED;
/* What the next message may take of the budget. */
struct ipc_limits ingest_limits(const struct server *server);
/* Gives up before the body is accepted: frees the ingest and answers. */
void ingest_fail(struct ingest *ingest, enum status status, const struct error *error);

/* The token of the request, from its header or its body: STATUS_INVALID unless it is 1 to
 * 255 visible characters, and the same where it is given twice. */
enum status ingest_set_token(struct ingest *ingest, const char *token,
                             struct error *error) WARN_UNUSED;

/* The target is known: checks that the caller may write there, and readies the intake. */
enum status ingest_open(struct ingest *ingest, const struct ingest_target *target,
                        struct error *error) WARN_UNUSED;

/* Where the next bytes of the Arrow stream go. STATUS_BUDGET: not now, and the body is paused;
 * `resume` is called. Any other failure: the request is refused. */
enum status ingest_window(struct ingest *ingest, uint8_t **data, int64_t *bytes);
/* Hands a message on to the intake, which takes it. */
void ingest_push(struct ingest *ingest, struct ipc_message *message);
/* So many were written there. Otherwise as ipc_framer_filled; a failure has refused the request. */
enum status ingest_filled(struct ingest *ingest, int64_t bytes, enum ipc_frame *frame);
/* The Arrow stream is whole: commit, unless it is not whole after all. */
void ingest_end(struct ingest *ingest, bool eos_optional);
/* Tries again what stopped for want of room or memory. */
void ingest_resume(struct ingest *ingest);
/* Refuses the request: nothing of it will remain. */
void ingest_refuse(struct ingest *ingest, enum status status, struct error *error);
/* What an answer of 200 says besides its door's own, as JSON members with a comma before each. */
enum status ingest_add_members(const struct ingest *ingest, const struct load_result *result,
                               struct text *body, struct error *error) WARN_UNUSED;
/* The lines of `changes` (struct load_result) as the member "schema_changes", a comma before it. */
enum status ingest_add_changes(const char *changes, struct text *body,
                               struct error *error) WARN_UNUSED;
/* Answers 200. */
void ingest_respond(struct ingest *ingest, const struct load_result *result,
                    const struct text *body);
/* The Arrow stream is whole, and has no end that would say so itself. */
void ingest_complete(struct ingest *ingest);
/* Keeps it alive beyond exchange and intake, until it is let go: then it may be freed. */
void ingest_hold(struct ingest *ingest);
void ingest_let_go(struct ingest *ingest);
/* Memory that the request holds for what has come. */
int64_t ingest_held(const struct ingest *ingest);
int64_t ingest_wants(const struct ingest *ingest);
void ingest_pause(struct ingest *ingest);
/* For http_body_handler.gone. */
void ingest_gone(void *context, const struct error *why);

#endif
