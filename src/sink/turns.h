/* Whose turn it is at a table: loads go side by side, what changes the table's columns goes alone.
 *
 * DuckDB lets several transactions append to one table at once, but an ALTER or CREATE that commits
 * meanwhile ends every other transaction that writes there (docs/internals/landing.md). A database
 * file has one writing process, so loads take turns here instead of failing there:
 *
 *            | append | by key | alone
 *   append   |   yes  |   yes  |   no      may both hold the same table at the same time?
 *   by key   |   yes  |   no   |   no
 *   alone    |   no   |   no   |   no
 *
 * SQL from outside that alters a table is alone at every table: which one it means is not known before
 * it runs, and of rows that others insert beside an ALTER ... TYPE DuckDB loses some. What others have
 * updated and not committed such an ALTER takes up, also when they roll back; so SQL that changes rows
 * joins, without a table, and keeps those away who would be alone at all of them, until its
 * transaction has ended.
 *
 * Who wants to be alone lets others come and go for three quarters of its patience, so that a slow
 * load does not stop the others; then newcomers wait behind it, so that it comes to its turn. */
#ifndef ARROWPORT_SINK_TURNS_H
#define ARROWPORT_SINK_TURNS_H

#include "base/status.h"
#include "base/table_name.h"

enum turn_kind { TURN_APPEND, TURN_BY_KEY, TURN_ALONE };

struct turns; /* of one database; thread-safe */

/* That somebody has: `at` NULL: nobody's. */
struct turn {
  struct turns *turns;
  struct turn_table *at;
  enum turn_kind kind;
};
#define TURN_NONE ((struct turn){.at = NULL})

enum status turns_new(struct turns **turns, struct error *error) WARN_UNUSED;
void turns_free(struct turns *turns); /* every turn was given back; NULL is allowed */

/* Waits up to `wait_ms`, then STATUS_CONFLICT with retry_after_ms. Tables are told apart without
 * upper and lower case. Nobody takes a second turn at one table while it has one. */
enum status turn_take(struct turns *turns, const struct table_name *table, enum turn_kind kind,
                      int wait_ms, struct turn *turn, struct error *error) WARN_UNUSED;
/* Beside everybody but who is alone at all tables. Errors as above. */
enum status turn_join(struct turns *turns, int wait_ms, struct turn *turn,
                      struct error *error) WARN_UNUSED;
/* Alone at all tables. `turn` is TURN_NONE, or one of the others, which becomes that, and stays what it
 * is after a failure: two that have joined do not come to their turn while both wait. */
enum status turn_take_all(struct turns *turns, int wait_ms, struct turn *turn,
                          struct error *error) WARN_UNUSED;
void turn_give(struct turn *turn); /* TURN_NONE is allowed, and is what it becomes */

#endif
