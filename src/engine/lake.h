/* What the other files of the engine need of lake.c. */
#ifndef ARROWPORT_ENGINE_LAKE_H
#define ARROWPORT_ENGINE_LAKE_H

#include "engine/private.h"

/* A lake that the engine has attached. */
struct lake {
  char *name;             /* the catalog's */
  char *path;             /* of the catalog file, absolute */
  char *folder;           /* where its data files are, absolute, ending in '/' */
  char *folder_mark;      /* how the folder may be said in SQL: "lake.ducklake.files/" */
  int folder_fd;          /* open on the folder, for syncfs; -1: not yet */
  pthread_mutex_t commit; /* held for a COMMIT, and until its snapshot's number is read */
};

/* Takes names and paths over from the options; attaches nothing. */
enum status lakes_new(struct engine *engine, const struct engine_options *options,
                      struct error *error) WARN_UNUSED;
/* Attaches them: after extensions were loaded, before the lock. Once for every opening of the
 * engine's database. */
enum status lakes_attach(struct engine *engine, bool read_only, struct error *error) WARN_UNUSED;
/* Appends the setting that allows their data folders, and nothing else, to DuckDB. */
enum status lakes_allow_sql(const struct engine *engine, struct text *sql,
                            struct error *error) WARN_UNUSED;
void lakes_free(struct engine *engine);

/* The lake of that catalog; NULL: there is none. */
struct lake *lake_find(const struct engine *engine, const char *catalog);
/* The session writes to the table's database: its commit syncs the data files of a lake. */
void lake_enter(struct engine_session *session, const struct table_name *table);

/* COMMIT, for whatever the session has written to: data files are synced before, so that a
 * snapshot never names one that a power cut takes away, and the snapshot's number is read after. */
enum status lake_commit(struct engine_session *session, struct error *error) WARN_UNUSED;

/* STATUS_UNSUPPORTED names a column whose values a lake would change, or whose type it cannot
 * hold: `landing` on its way into a column of the DuckDB type `column` (NULL: of its own). */
enum status lake_check(const struct landing *landing, const char *column,
                       struct error *error) WARN_UNUSED;

/* STATUS_DENIED names what is in `query` and must not be where lakes are attached; `*changes` is
 * set when it calls a function that changes a lake although it looks like a SELECT. */
enum status lake_guard(const struct engine_session *session, const struct engine_query *query,
                       bool *changes, struct error *error) WARN_UNUSED;

#endif
