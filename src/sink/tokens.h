/* The tokens of a database: which loads have landed, so that none lands twice.
 *
 * A token is recorded in the transaction that lands its rows, in the table _arrowport.tokens of the
 * same database; what is in that table has landed and nothing else has. A DuckDB file has one
 * writing process, so one look into this struct tells whether a token is there: it holds a hash of
 * every one, by age, and asks the table only when a hash is known. Room of the sinks on DuckDB.
 *
 * A commit goes
 *
 *   tokens_claim -> ... rows ... token_writer_put -> engine_commit -> tokens_settle
 *
 * so two commits of one token are never under way at the same time. Thread-safe. */
#ifndef ARROWPORT_SINK_TOKENS_H
#define ARROWPORT_SINK_TOKENS_H

#include "engine/engine.h"
#include "sink/sink.h"

struct tokens;       /* of one database */
struct token_writer; /* of one session, used by one thread at a time */

/* A record batch that commits by itself has the token of its request with a number behind it. */
enum { TOKEN_BYTES_MAX = SINK_TOKEN_BYTES_MAX };

struct tokens_options {
  const char *catalog; /* that the table is in, as DuckDB names it; NULL: the database itself */
  int64_t retention_s; /* at least so long is a token remembered */
  int64_t count_max;   /* so many at most, the oldest are forgotten first */
  bool read_only;      /* nothing is made or upgraded */
  /* For tests; NULL: those of base/clock.h. */
  int64_t (*wall_us)(void);
  int64_t (*monotonic_us)(void);
};

/* Reads what is there; makes nothing until the first token comes. STATUS_UNSUPPORTED names the
 * format of a database that a later version has written; an earlier one is upgraded. */
enum status tokens_open(struct engine *engine, const struct tokens_options *options,
                        struct tokens **tokens, struct error *error) WARN_UNUSED;
void tokens_close(struct tokens *tokens); /* every writer is closed; NULL is allowed */
/* Other limits from now on (the configuration was read anew). */
void tokens_limit(struct tokens *tokens, int64_t retention_s, int64_t count_max);

enum token_state {
  TOKEN_NEW,    /* claimed: until tokens_settle nobody else gets it */
  TOKEN_LANDED, /* nothing is claimed; `result` is what was answered, with `repeated` */
  TOKEN_BUSY    /* a commit of that token is under way; only with wait_ms 0 */
};
/* Waits up to `wait_ms` while another commit holds the token; then STATUS_CONFLICT with
 * retry_after_ms. `result` is to be released. The table's name is matched as DuckDB does, without
 * upper and lower case. */
enum status tokens_claim(struct tokens *tokens, const struct table_name *table, const char *token,
                         int wait_ms, enum token_state *state, struct load_result *result,
                         struct error *error) WARN_UNUSED;
/* The commit is over. `result`: it landed; NULL: it did not. */
void tokens_settle(struct tokens *tokens, const struct table_name *table, const char *token,
                   const struct load_result *result);

/* One that was claimed, and what its load comes to. */
struct token_record {
  const struct table_name *table;
  const char *token;
  int64_t rows, batches, version;
  const char *changes; /* NULL: none */
};
/* The table is made when it is not there, in a transaction of its own: the session is in none. */
enum status token_writer_open(struct tokens *tokens, struct engine_session *session,
                              struct token_writer **writer, struct error *error) WARN_UNUSED;
/* Records them in the transaction of the session. Errors as engine_insert_rows; STATUS_CONFLICT:
 * nothing but to roll back and try again. */
enum status token_writer_put(struct token_writer *writer, const struct token_record *records,
                             int64_t count, struct error *error) WARN_UNUSED;
void token_writer_close(struct token_writer *writer); /* NULL is allowed */

/* Forgets what is too old or too many, where it is time to: a look at the clock when it is not.
 * Blocks; call it when nobody waits. `*forgotten`: of them before their time. */
enum status tokens_sweep(struct tokens *tokens, int64_t *forgotten,
                         struct error *error) WARN_UNUSED;
/* How many are remembered, and the bytes of memory they take. */
void tokens_look(struct tokens *tokens, int64_t *count, int64_t *memory_bytes);

#endif
