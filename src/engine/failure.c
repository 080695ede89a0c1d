/* What DuckDB's messages mean. Its C interface gives prepared and pending statements'
 * errors as text alone, so the text's own prefix ("Parser Error: ") decides, here
 * and nowhere else. */
#include <string.h>

#include "engine/private.h"

/* `contains` narrows a prefix down (NULL: any text); the first row that fits wins.
 * `whole`: what follows the first line helps the reader (the position in his SQL). */
static const struct failure_kind {
  const char *prefix;
  const char *contains;
  enum status status;
  bool whole;
} kinds[] = {
    {"FATAL Error: ", "No space left on device", STATUS_IO, false},
    {"FATAL Error: ", "has been invalidated", STATUS_UNAVAILABLE, false},
    {"FATAL Error: ", NULL, STATUS_INTERNAL, false},
    {"INTERNAL Error: ", NULL, STATUS_INTERNAL, false},
    {"TransactionContext Error: ", "has been invalidated", STATUS_UNAVAILABLE, false},
    {"TransactionContext Error: ", "No space left on device", STATUS_IO, false},
    {"TransactionContext Error: ", "read-only", STATUS_DENIED, false},
    {"TransactionContext Error: ", "unique constraint", STATUS_SCHEMA, false},
    {"TransactionContext Error: ", "PRIMARY KEY or UNIQUE", STATUS_SCHEMA, false},
    {"TransactionContext Error: ", "onflict", STATUS_CONFLICT, false},
    {"TransactionContext Error: ", "Current transaction is aborted", STATUS_INVALID, false},
    {"TransactionContext Error: ", "Failed to commit", STATUS_CONFLICT, false},
    {"TransactionContext Error: ", NULL, STATUS_CONFLICT, false},
    {"Constraint Error: ", NULL, STATUS_SCHEMA, false},
    {"Out of Memory Error: ", NULL, STATUS_BUDGET, false},
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

enum status failure_set(struct engine_session *session, struct error *error, const char *message) {
  int reason = session == NULL ? STATUS_OK : atomic_load(&session->interrupt);
  if (reason != STATUS_OK)
    return error_set(error, (enum status)reason,
                     reason == STATUS_TIMEOUT
                         ? "the statement did not end within the time allowed and was stopped"
                         : "the statement was cancelled");
  if (message == NULL) message = "INTERNAL Error: DuckDB gave no message";
  const struct failure_kind *kind = kind_of(message);
  if (strncmp(message, "INTERRUPT Error", 15) == 0)
    return error_set(error, STATUS_CANCELLED, "the statement was cancelled");
  enum status status =
      error_set(error, kind->status, "%.*s", (int)useful_bytes(kind, message), message);
  if (kind->status == STATUS_UNAVAILABLE && strstr(message, "has been invalidated") != NULL)
    error_at(error, "the database is out of use until it is opened again");
  return status;
}
