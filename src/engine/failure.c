/* What DuckDB's messages mean. Its C interface gives prepared and pending statements'
 * errors as text alone, so the text's own prefix ("Parser Error: ") decides, here
 * and nowhere else. */
#include <stdio.h>
#include <ctype.h>
#include <string.h>

#include "engine/private.h"

enum { RETRY_MS = 1000 }; /* by then the database is opened anew, where it can be */

/* `contains` narrows a prefix down (NULL: any text); the first row that fits wins.
 * `whole`: what follows the first line helps the reader (the position in his SQL). */
static const struct failure_kind {
  const char *prefix;
  const char *contains;
  enum status status;
  bool whole;
} kinds[] = {
    {"FATAL Error: ", "has been invalidated", STATUS_UNAVAILABLE, false}, /* says why, too */
    {"FATAL Error: ", "No space left on device", STATUS_IO, false},
    {"FATAL Error: ", "Could not ", STATUS_IO, false}, /* write, fsync, truncate a file */
    {"FATAL Error: ", "fsync failed", STATUS_IO, false},
    {"FATAL Error: ", NULL, STATUS_INTERNAL, false},
    {"INTERNAL Error: ", NULL, STATUS_INTERNAL, false},
    {"TransactionContext Error: ", "has been invalidated", STATUS_UNAVAILABLE, false},
    {"TransactionContext Error: ", "No space left on device", STATUS_IO, false},
    {"TransactionContext Error: ", "Failed to commit: Could not ", STATUS_IO, false},
    {"TransactionContext Error: ", "read-only", STATUS_DENIED, false},
    {"TransactionContext Error: ", "unique constraint", STATUS_SCHEMA, false},
    {"TransactionContext Error: ", "PRIMARY KEY or UNIQUE", STATUS_SCHEMA, false},
    {"TransactionContext Error: ", "onflict", STATUS_CONFLICT, false},
    {"TransactionContext Error: ", "Current transaction is aborted", STATUS_INVALID, false},
    {"TransactionContext Error: ", "Failed to commit", STATUS_CONFLICT, false},
    {"TransactionContext Error: ", NULL, STATUS_CONFLICT, false},
    {"Constraint Error: ", NULL, STATUS_SCHEMA, false},
    {"Out of Memory Error: ", NULL, STATUS_BUDGET, false},
    {"Attempting to execute an unsuccessful", "Out of Memory Error", STATUS_BUDGET, true},
    {"IO Error: ", "onflicting lock", STATUS_CONFLICT, false},
    {"IO Error: ", "not a valid DuckDB database file", STATUS_INVALID, false},
    {"IO Error: ", "Trying to read a database file with version number", STATUS_UNSUPPORTED, false},
    {"IO Error: ", NULL, STATUS_IO, false},
    {"Permission Error: ", NULL, STATUS_DENIED, true},
    {"Invalid Input Error: ", "configuration has been locked", STATUS_DENIED, false},
    {"Invalid Input Error: ", "attached in read-only mode", STATUS_UNAVAILABLE, false},
    {"Invalid Input Error: ", "has been invalidated", STATUS_UNAVAILABLE, false},
    {"Catalog Error: ", "write-write conflict", STATUS_CONFLICT, false},
    {"Not implemented Error: ", NULL, STATUS_UNSUPPORTED, true},
    {"Serialization Error: ", NULL, STATUS_INTERNAL, false},
    {"Connection Error: ", NULL, STATUS_INTERNAL, false},
    {"", NULL, STATUS_INVALID, true},
};

/* Every engine of the process looks after its own database when it grows (reopen.c): the texts do
 * not say whose it was. */
static _Atomic int64_t suspicions;

int64_t failure_suspicions(void) { return atomic_load(&suspicions); }

static void suspect(const char *message) {
  if (strncmp(message, "FATAL Error: ", 13) == 0 || strncmp(message, "INTERNAL Error: ", 16) == 0 ||
      strstr(message, "has been invalidated") != NULL)
    atomic_fetch_add(&suspicions, 1);
}

static const struct failure_kind *kind_of(const char *message) {
  const struct failure_kind *kind = kinds;
  while (strncmp(message, kind->prefix, strlen(kind->prefix)) != 0 ||
         (kind->contains != NULL && strstr(message, kind->contains) == NULL))
    kind++;
  return kind; /* the last row fits everything */
}

/* How much of the message goes on: no stack traces, no advice to change settings
 * that are locked, no links. */
static size_t useful_bytes(const struct failure_kind *kind, const char *message) {
  static const char *const ends[] = {"\n\nStack Trace",      "\nPossible solutions",
                                     " See also http",       "\nFor more information",
                                     "\nThis error signals", "\n\nPlease try installing",
                                     " Restart DuckDB"};
  size_t bytes = kind->whole ? strlen(message) : strcspn(message, "\n");
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    const char *end = strstr(message, ends[i]);
    if (end != NULL && (size_t)(end - message) < bytes) bytes = (size_t)(end - message);
  }
  while (bytes > 0 && message[bytes - 1] == '\n') bytes--;
  return bytes;
}

enum status failure_set_reason(enum status reason, struct error *error) {
  return error_set(error, reason, "%s",
                   reason == STATUS_TIMEOUT
                       ? "the statement did not end within the time allowed and was stopped"
                   : reason == STATUS_UNAVAILABLE
                       ? "the database has to be opened anew after a failure: ask again"
                       : "the statement was cancelled");
}

enum status failure_set(struct engine_session *session, struct error *error, const char *message) {
  if (message != NULL) suspect(message);
  int reason = session == NULL ? STATUS_OK : atomic_load(&session->interrupt);
  if (reason != STATUS_OK) return failure_set_reason((enum status)reason, error);
  if (message == NULL) message = "INTERNAL Error: DuckDB gave no message";
  const struct failure_kind *kind = kind_of(message);
  if (strncmp(message, "INTERRUPT Error", 15) == 0)
    /* Nobody asked for it: one thread failed, and what the others say came first. */
    return error_set(
        error, STATUS_INVALID,
        "the statement failed on one of DuckDB's threads, and the others say only that "
        "they were stopped; ask again for the reason");
  enum status status =
      error_set(error, kind->status, "%.*s", (int)useful_bytes(kind, message), message);
  if (kind->status != STATUS_UNAVAILABLE || strstr(message, "has been invalidated") == NULL)
    return status;
  error_at(error, "the database is out of use until it is opened again");
  if (error != NULL) error->retry_after_ms = RETRY_MS;
  return status;
}

/* DuckDB undoes a commit whose write failed, and says "Failed to commit". What is fatal left it in
 * the middle: before the log was synced, or behind it, in a checkpoint. */
enum status failure_of_commit(enum status status, struct error *error) {
  if (error == NULL || strncmp(error->text, "FATAL Error: ", 13) != 0) return status;
  error->status = STATUS_UNKNOWN;
  error_at(error, "it is not known whether this was committed, look it up before sending it again");
  return STATUS_UNKNOWN;
}

/* ---- what must not be told ------------------------------------------------------- */

static bool holds(const char *text, const char *part, size_t bytes) {
  return memmem(text, strlen(text), part, bytes) != NULL;
}

/* Where a path that begins at `path` ends: at the quote before it, or at what no name has in
 * a sentence. */
static size_t path_bytes(const char *path, char before) {
  const char *end = before == '"' || before == '\'' ? strchr(path, before) : NULL;
  return end != NULL ? (size_t)(end - path) : strcspn(path, " \t\n\"',;)]");
}

static void conceal_paths(struct error *error, const char *sql) {
  static const char instead[] = "(a path)";
  char *text = error->text;
  for (char *at = text; *at != '\0'; at++) {
    bool begins = at == text || strchr(" \"'(=[:,", at[-1]) != NULL;
    if (*at != '/' || !begins || at[1] == ' ' || at[1] == '\0') continue;
    size_t bytes = path_bytes(at, at == text ? '\0' : at[-1]);
    if (memchr(at + 1, '/', bytes - 1) == NULL || holds(sql, at, bytes)) continue;
    size_t kept = strlen(at + bytes), room = ERROR_TEXT_BYTES - 1 - (size_t)(at - text);
    size_t put = sizeof instead - 1 < room ? sizeof instead - 1 : room;
    if (put + kept > room) kept = room - put;
    memmove(at + put, at + bytes, kept);
    memcpy(at, instead, put);
    at[put + kept] = '\0';
    at += put - 1;
  }
}

/* What follows the first line, up to the position in the SQL, is what DuckDB suggests. */
static void conceal_names(struct error *error) {
  char *line_end = strchr(error->text, '\n');
  if (line_end == NULL) return;
  const char *position = strstr(line_end, "\n\nLINE ");
  if (position == NULL)
    *line_end = '\0';
  else
    memmove(line_end, position, strlen(position) + 1);
}

enum status failure_no_table(struct error *error, const char *name) {
  char lower[TABLE_NAME_BYTES_MAX + 1]; /* DuckDB spells what is there as its maker did */
  size_t bytes = 0;
  for (; name[bytes] != '\0' && bytes < sizeof lower - 1; bytes++)
    lower[bytes] = (char)tolower((unsigned char)name[bytes]);
  lower[bytes] = '\0';
  return error_set(error, STATUS_DENIED,
                   "you may not read the table \"%s\", or there is none of that name", lower);
}

/* "Catalog Error: Table with name NAME does not exist! ..." */
static void conceal_absence(struct error *error) {
  static const char before[] = "Table with name ", after[] = " does not exist";
  const char *name = strstr(error->text, before);
  const char *end = name == NULL ? NULL : strstr(name, after);
  if (end == NULL || error->status != STATUS_INVALID) return;
  char copy[ERROR_TEXT_BYTES];
  name += sizeof before - 1;
  snprintf(copy, sizeof copy, "%.*s", (int)(end - name), name);
  (void)failure_no_table(error, copy);
}

enum status failure_conceal(struct error *error, const char *sql, bool names) {
  if (names) conceal_names(error);
  if (names) conceal_absence(error);
  conceal_paths(error, sql);
  return error->status;
}
