/* What the files of this room share with each other and with nobody else. */
#ifndef ARROWPORT_SERVER_PRIVATE_H
#define ARROWPORT_SERVER_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/text.h"
#include "base/workers.h"
#include "net/net.h"
#include "server/config.h"
#include "server/storage.h"

struct server {
  const struct server_config *config;
  struct net_loop *loop;
  struct workers *workers;
  struct http_server *http;
  struct net_timer *drain_timer;
  struct storage *storage;
  struct budget budget;    /* for what is on its way between network and storage */
  struct ingest *ingests;  /* those in flight */
  int64_t active_requests; /* request structs that are alive, answered or not */
  bool draining;
};

/* Every request that takes more than one step is a struct that begins with this. */
struct request {
  struct server *server;
  struct http_exchange *exchange;            /* NULL once it has finished */
  void (*finished)(struct request *request); /* the exchange is over */
};

/* Counts a request in, and ties it to its exchange. */
void request_begin(struct request *request, struct server *server, struct http_exchange *exchange,
                   void (*finished)(struct request *request));
/* Counts it out, just before its memory is freed. */
void request_end(struct request *request);

/* ---- endpoints: each answers the exchange now or later ------------------------- */

/* `name` is what follows the prefix in the path, percent-decoded; the endpoint may
 * keep no pointer to it. */
void ingest_start(struct server *server, struct http_exchange *exchange, const char *name);
void query_start(struct server *server, struct http_exchange *exchange, const char *name);
void catalog_streams(struct server *server, struct http_exchange *exchange, const char *name);
void catalog_tables(struct server *server, struct http_exchange *exchange, const char *name);
void catalog_table(struct server *server, struct http_exchange *exchange, const char *name);
void service_health(struct server *server, struct http_exchange *exchange, const char *name);
void service_version(struct server *server, struct http_exchange *exchange, const char *name);

/* Asks every ingest in flight to give memory back. */
void ingest_relieve_all(struct server *server);

/* ---- jobs: a question that a worker answers in one go --------------------------- */

struct job {
  struct request request;
  struct task task;
  struct net_post post;
  /* Runs on a worker; appends the JSON answer to `body`. */
  enum status (*work)(struct job *job, struct error *error);
  struct table_name name;
  struct text body;
  enum status status;
  struct error error;
  bool done;
};

void job_start(struct server *server, struct http_exchange *exchange, const struct table_name *name,
               enum status (*work)(struct job *job, struct error *error));

/* ---- answers ------------------------------------------------------------------- */

/* A header of every answer: a browser must not take rows for a script or a page. */
#define RESPOND_NOSNIFF                                                                            \
  { "x-content-type-options", "nosniff" }

void respond_json(struct http_exchange *exchange, const struct text *body);

/* An error as application/problem+json (RFC 9457). Messages of STATUS_INTERNAL are
 * logged and not told. */
void respond_problem(struct http_exchange *exchange, enum status status, const struct error *error);
/* The same with an HTTP code that says more than the status's own (405, 406, 415),
 * and perhaps one header more. */
void respond_problem_code(struct http_exchange *exchange, int code, enum status status,
                          const struct http_header *header, const char *format, ...)
    PRINTF_LIKE(5, 6);

/* ---- who may ask ---------------------------------------------------------------- */

/* STATUS_DENIED for a Host that is not this machine's loopback name, or an Origin
 * that is not this server: no web page may reach it through somebody's browser. */
enum status access_check(const struct http_request *request, int port,
                         struct error *error) WARN_UNUSED;

/* True when the value of a Content-Type header is `type`, parameters aside. */
bool media_type_is(const char *header, const char *type);

#endif
