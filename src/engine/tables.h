/* Which tables a statement touches, for callers who may touch only some. */
#ifndef ARROWPORT_ENGINE_TABLES_H
#define ARROWPORT_ENGINE_TABLES_H

#include "engine/private.h"

/* Asks query->may_read and may_write about every table that the one statement query->sql reads
 * or changes. STATUS_DENIED names the first that is refused, or says that it cannot be told
 * which they are. The statement is to run in the transaction that is open, with `values` (NULL: those
 * of the query) as its parameters, which may say which tables they are. */
enum status tables_check(struct engine_session *session, const struct engine_query *query,
                         const struct query_values *values, struct error *error) WARN_UNUSED;

/* Steps through a statement's first words: behind white space; behind `word` and the white space after
 * it, behind an identifier, plain or quoted (NULL when it does not stand there). */
const char *tables_skip_space(const char *at);
const char *tables_skip_word(const char *at, const char *word);
const char *tables_skip_identifier(const char *at);

#endif
