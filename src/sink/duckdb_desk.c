/* Sessions that are kept between one transaction and the next: to open one and to prepare its INSERT
 * costs more than a small transaction does.
 *
 * A desk is kept for a table; the longest unused one gives way. Nothing that is kept is believed: the
 * table is looked at again in each transaction (engine_insert_renew), and what was prepared on an
 * engine that was opened anew since is dropped. */
#include <stdlib.h>
#include <string.h>

#include "sink/duckdb_private.h"

/* Until so many are left, the oldest first. */
static void drop_inserts(struct desk *desk, int left) {
  int gone = desk->insert_count - left;
  if (gone <= 0) return;
  for (int i = 0; i < gone; i++) {
    engine_insert_close(desk->inserts[i].insert);
    arrow_schema_release(&desk->inserts[i].schema);
  }
  desk->insert_count = left;
  memmove(desk->inserts, desk->inserts + gone, (size_t)left * sizeof *desk->inserts);
}

static void desk_free(struct desk *desk) {
  drop_inserts(desk, 0);
  free(desk->inserts);
  token_writer_close(desk->writer);
  engine_session_close(desk->session);
  free(desk);
}

/* Takes an idle one out of the drawer: the table's, or NULL. One of a dead engine goes to `*old`. */
static struct desk *find(struct duckdb_sink *sink, const struct table_name *table,
                         struct desk **old) {
  int64_t generation = engine_generation(sink->engine);
  *old = NULL;
  pthread_mutex_lock(&sink->desk_lock);
  struct desk *found = NULL;
  for (int i = 0; i < DESKS_MAX && found == NULL; i++) {
    struct desk *desk = sink->desks[i];
    if (desk == NULL || desk->busy || !table_name_same(&desk->table, table)) continue;
    if (desk->generation == generation) {
      found = desk;
      found->busy = true;
    } else {
      *old = desk;
      sink->desks[i] = NULL;
    }
  }
  pthread_mutex_unlock(&sink->desk_lock);
  return found;
}

enum status desk_take(struct duckdb_sink *sink, const struct table_name *table, struct desk **out,
                      struct error *error) {
  struct desk *old;
  *out = find(sink, table, &old);
  if (old != NULL) desk_free(old);
  if (*out != NULL) return STATUS_OK;
  struct desk *desk = calloc(1, sizeof *desk);
  if (desk == NULL) return error_set(error, STATUS_NOMEM, "no memory for a session");
  desk->table = *table;
  desk->busy = true;
  desk->generation = engine_generation(sink->engine);
  enum status status = engine_session_open(sink->engine, &desk->session, error);
  if (status != STATUS_OK) {
    free(desk);
    return status;
  }
  *out = desk;
  return STATUS_OK;
}

/* The place of `desk`, or one to put it in: free, or the longest unused one's. -1: none. */
static int place_of(const struct duckdb_sink *sink, const struct desk *desk) {
  int best = -1;
  for (int i = 0; i < DESKS_MAX; i++)
    if (sink->desks[i] == desk) return i;
  for (int i = 0; i < DESKS_MAX; i++) {
    const struct desk *there = sink->desks[i];
    if (there == NULL) return i;
    if (!there->busy && (best < 0 || there->used < sink->desks[best]->used)) best = i;
  }
  return best;
}

void desk_give(struct duckdb_sink *sink, struct desk *desk, bool broken) {
  if (desk == NULL) return;
  struct desk *gone = desk;
  drop_inserts(desk, DESK_INSERTS_MAX);
  broken |= desk->generation != engine_generation(sink->engine);
  pthread_mutex_lock(&sink->desk_lock);
  int at = place_of(sink, desk);
  if (broken) {
    if (at >= 0 && sink->desks[at] == desk) sink->desks[at] = NULL;
  } else if (at >= 0) {
    gone = sink->desks[at] == desk ? NULL : sink->desks[at];
    sink->desks[at] = desk;
    desk->busy = false;
    desk->used = ++sink->desk_clock;
  }
  pthread_mutex_unlock(&sink->desk_lock);
  if (gone != NULL) desk_free(gone);
}

void desk_close_all(struct duckdb_sink *sink) {
  for (int i = 0; i < DESKS_MAX; i++)
    if (sink->desks[i] != NULL) desk_free(sink->desks[i]);
}

void desk_close_idle(void *context) {
  struct duckdb_sink *sink = context;
  struct desk *idle[DESKS_MAX];
  int count = 0;
  pthread_mutex_lock(&sink->desk_lock);
  for (int i = 0; i < DESKS_MAX; i++)
    if (sink->desks[i] != NULL && !sink->desks[i]->busy) {
      idle[count++] = sink->desks[i];
      sink->desks[i] = NULL;
    }
  pthread_mutex_unlock(&sink->desk_lock);
  for (int i = 0; i < count; i++) desk_free(idle[i]);
}

/* ---- inserts --------------------------------------------------------------------------------- */

struct engine_insert *desk_insert_find(const struct desk *desk, const struct ArrowSchema *schema) {
  for (int i = 0; i < desk->insert_count; i++)
    if (arrow_schema_equal(&desk->inserts[i].schema, schema, NULL)) return desk->inserts[i].insert;
  return NULL;
}

void desk_insert_drop(struct desk *desk, const struct engine_insert *insert) {
  int at = 0;
  while (at < desk->insert_count && desk->inserts[at].insert != insert) at++;
  if (at == desk->insert_count) return;
  engine_insert_close(desk->inserts[at].insert);
  arrow_schema_release(&desk->inserts[at].schema);
  for (desk->insert_count--; at < desk->insert_count; at++)
    desk->inserts[at] = desk->inserts[at + 1];
}

enum status desk_insert_keep(struct desk *desk, const struct ArrowSchema *schema,
                             struct engine_insert *insert, struct error *error) {
  struct ArrowSchema copy;
  enum status status = arrow_schema_copy(schema, &copy, error);
  if (status != STATUS_OK) {
    engine_insert_close(insert);
    return status;
  }
  if (desk->insert_count == desk->insert_capacity) {
    int capacity = desk->insert_capacity == 0 ? DESK_INSERTS_MAX : desk->insert_capacity * 2;
    struct desk_insert *grown = realloc(desk->inserts, (size_t)capacity * sizeof *grown);
    if (grown == NULL) {
      arrow_schema_release(&copy);
      engine_insert_close(insert);
      return error_set(error, STATUS_NOMEM, "no memory for a schema");
    }
    desk->inserts = grown;
    desk->insert_capacity = capacity;
  }
  desk->inserts[desk->insert_count++] = (struct desk_insert){.schema = copy, .insert = insert};
  return STATUS_OK;
}
