/* The tables that tokens are kept in: their format, and what is read of them and removed.
 *
 *   _arrowport.format (part VARCHAR, version INTEGER)     ('tokens', 1)
 *   _arrowport.tokens (id UBIGINT, table_name VARCHAR, token VARCHAR, rows BIGINT, batches BIGINT,
 *                      version BIGINT, changes VARCHAR, landed TIMESTAMP)
 *
 * Room of tokens.c; docs/internals/tokens.md. Every call is for one thread at a time. */
#ifndef ARROWPORT_SINK_TOKEN_TABLE_H
#define ARROWPORT_SINK_TOKEN_TABLE_H

#include "engine/engine.h"
#include "sink/token_index.h"
#include "sink/token_map.h"

enum { TOKEN_FORMAT_VERSION = 1 };

enum token_table_state {
  TOKEN_TABLE_NONE,    /* no token was ever recorded, or somebody dropped the table */
  TOKEN_TABLE_READY,   /* it is there and of this version */
  TOKEN_TABLE_FOREIGN, /* the schema is somebody else's: it is left alone */
};

struct token_table {
  struct table_name name;   /* of the table of tokens */
  struct text schema_sql;   /* in full */
  struct text database_sql; /* the catalog's name, a literal */
};

/* `catalog`: that the tables are in; NULL: the database itself. */
enum status token_table_init(struct token_table *table, struct engine_session *session,
                             const char *catalog, struct error *error) WARN_UNUSED;
void token_table_release(struct token_table *table);

/* Looks at what is there. An earlier format is upgraded, where `upgrade` is true; otherwise, and for
 * a later one, STATUS_UNSUPPORTED says which it is. */
enum status token_table_inspect(const struct token_table *table, struct engine_session *session,
                                bool upgrade, enum token_table_state *state,
                                struct error *error) WARN_UNUSED;
/* STATUS_UNSUPPORTED, and what to do about a schema that is somebody else's. */
enum status token_table_foreign(const struct token_table *table, struct error *error) WARN_UNUSED;
/* Makes what is missing, in a transaction of its own. */
enum status token_table_make(const struct token_table *table, struct engine_session *session,
                             struct error *error) WARN_UNUSED;

/* When the first and the last token landed, and how many there are; 0 of all where none is. */
struct token_table_extent {
  int64_t count, first_us, last_us;
};
enum status token_table_extent(const struct token_table *table, struct engine_session *session,
                               struct token_table_extent *extent, struct error *error) WARN_UNUSED;
struct token_table_span {
  int64_t from_us, to_us; /* of when they landed */
  int64_t part_us;        /* of one generation */
  int64_t count_max;      /* where there are more, the newest */
};
/* Puts those of the span into an index that holds nothing; may be more than `count_max` by those that
 * landed at one moment. */
enum status token_table_load(const struct token_table *table, struct engine_session *session,
                             const struct token_table_span *span, struct token_index *index,
                             struct error *error) WARN_UNUSED;
/* The token, where it landed within the times. `result` is to be released. */
enum status token_table_find(const struct token_table *table, struct engine_session *session,
                             const struct token_key *key, int64_t from_us, int64_t to_us,
                             bool *found, int64_t *landed_us, struct load_result *result,
                             struct error *error) WARN_UNUSED;
/* Removes those that landed before. */
enum status token_table_forget(const struct token_table *table, struct engine_session *session,
                               int64_t before_us, struct error *error) WARN_UNUSED;

#endif
