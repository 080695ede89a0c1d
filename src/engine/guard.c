/* Functions that SQL from outside must not call.
 *
 * Files: with external access off DuckDB still opens the files of the database that is open, its
 * write-ahead log included, for any function that reads files (read_blob('data.duckdb') gives all
 * that anybody ever wrote), and FROM 'name' stands for such a function. So the functions are
 * refused by name, and so is the database file's name.
 *
 * Most of what reaches out of the database is stopped by the lock-down (database.c)
 * or by its kind of statement (query.c). What is left are functions that a SELECT may
 * call and that change the whole database: logging and profiling, which no setting
 * locks (a log file that cannot be written makes every later statement fail, a log in
 * memory shows one client's SQL to another). Views and macros cannot hide them,
 * because they come through here when they are created; text that becomes SQL only
 * inside DuckDB could, so the functions that run such text are refused as well.
 *
 * The text is not parsed: a name counts wherever it stands, in strings and comments
 * too. That refuses some harmless statements, and a difference between this reading
 * and DuckDB's cannot let anything through. Only `query` and `glob` are too common words for
 * that: they count where they may be the name of a table function that is called. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "engine/kept.h"

/* Counted anywhere. */
static const char *const names[] = {
    "enable_logging",    "disable_logging",      "enable_profiling",
    "disable_profiling", "truncate_duckdb_logs", "json_execute_serialized_sql",
    "enable_profile",    "disable_profile",      "write_log",
    KEPT_CATALOG,
};

/* As these, where no file may be read. */
static const char *const file_names[] = {
    "read_blob",    "read_text", "read_csv",  "read_json",   "read_ndjson",
    "read_parquet", "parquet_",  "sniff_csv", "read_duckdb",
};

/* Common words, which count where they may be the name of a table function that is called. */
static const char *const called_names[] = {"query", "glob"};

/* The words after which the grammar takes a table function. */
static const char *const table_words[] = {
    "from",        "join",         "lateral", "using",     "pivot",    "unpivot",
    "pivot_wider", "pivot_longer", "call",    "summarize", "describe", "show",
};

static bool is_word(char byte) {
  return isalnum((unsigned char)byte) || byte == '_' || byte == '$';
}

/* Is what follows the name, or may be taken for, the start of its arguments? */
static bool is_called(const char *after) {
  while (isspace((unsigned char)*after) || *after == '"' || (unsigned char)*after >= 0x80) after++;
  return *after == '(' || strncmp(after, "--", 2) == 0 || strncmp(after, "/*", 2) == 0;
}

/* May a table stand behind the text that ends before `at`? It may behind anything but
 * a word that is none of those above; `1FROM` is a number and one of them. */
static bool is_table_place(const char *sql, const char *at) {
  while (at > sql && isspace((unsigned char)at[-1])) at--;
  const char *end = at;
  while (at > sql && is_word(at[-1])) at--;
  if (at == end || (at > sql && (unsigned char)at[-1] >= 0x80)) return true;
  for (size_t i = 0; i < sizeof table_words / sizeof table_words[0]; i++) {
    size_t bytes = strlen(table_words[i]);
    if ((size_t)(end - at) >= bytes && strncasecmp(end - bytes, table_words[i], bytes) == 0)
      return true;
  }
  return false;
}

static bool calls(const char *sql, const char *name) {
  for (const char *at = sql; (at = strcasestr(at, name)) != NULL; at++)
    if ((at == sql || !is_word(at[-1])) && is_called(at + strlen(name)) && is_table_place(sql, at))
      return true;
  return false;
}

static const char *find_any(const char *sql, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcasestr(sql, list[i]) != NULL) return list[i];
  return NULL;
}

enum status guard_check(const struct engine *engine, const char *sql, struct error *error) {
  enum { CALLED = sizeof called_names / sizeof called_names[0] };
  const char *found = find_any(sql, names, sizeof names / sizeof names[0]);
  for (size_t i = 0; i < CALLED && found == NULL; i++)
    if (calls(sql, called_names[i])) found = called_names[i];
  if (found == NULL && !engine->local_files)
    found = find_any(sql, file_names, sizeof file_names / sizeof file_names[0]);
  if (found != NULL)
    return error_set(error, STATUS_DENIED,
                     "%s is not available here, wherever it stands in a statement (a value that "
                     "holds this text can be given as a parameter)",
                     found);
  /* Only a name with a dot in it can stand for a file. */
  if (engine->file_name != NULL && strchr(engine->file_name, '.') != NULL &&
      strcasestr(sql, engine->file_name) != NULL)
    return error_set(error, STATUS_DENIED,
                     "the database's own file cannot be read by SQL, and its name may not stand in "
                     "a statement (a value that holds it can be given as a parameter)");
  return STATUS_OK;
}

/* ---- words ----------------------------------------------------------------------- */

/* Behind a literal, a quoted name or a comment that begins at `at`; `at` where none does. */
static const char *skip_quoted(const char *at) {
  const char *end = NULL;
  if (*at == '\'' || *at == '"') {
    end = strchr(at + 1, *at); /* a doubled quote begins the next one */
    return end == NULL ? at + strlen(at) : end + 1;
  }
  if (strncmp(at, "--", 2) == 0) return at + strcspn(at, "\n");
  if (strncmp(at, "/*", 2) != 0) return at;
  end = strstr(at + 2, "*/");
  return end == NULL ? at + strlen(at) : end + 2;
}

bool guard_says(const char *sql, const char *word) {
  size_t bytes = strlen(word);
  for (const char *at = sql; *at != '\0';) {
    const char *behind = skip_quoted(at);
    if (behind != at) {
      at = behind;
    } else if (is_word(*at)) {
      const char *end = at;
      while (is_word(*end)) end++;
      if ((size_t)(end - at) == bytes && strncasecmp(at, word, bytes) == 0) return true;
      at = end;
    } else {
      at++;
    }
  }
  return false;
}

/* ---- secrets --------------------------------------------------------------------- */

static bool is_word_at(const char *sql, const char *at, size_t bytes) {
  return (at == sql || !is_word(at[-1])) && !is_word(at[bytes]);
}

/* Is the word before `at` one after which the grammar takes SECRET as what is made? */
static bool is_secret_place(const char *sql, const char *at) {
  static const char *const words[] = {"create", "replace", "persistent", "temporary",
                                      "temp",   "drop",    "or"};
  while (at > sql && (isspace((unsigned char)at[-1]) || (unsigned char)at[-1] >= 0x80)) at--;
  const char *end = at;
  while (at > sql && is_word(at[-1])) at--;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if ((size_t)(end - at) == strlen(words[i]) &&
        strncasecmp(at, words[i], (size_t)(end - at)) == 0)
      return true;
  return false;
}

enum status guard_check_secret(const char *sql, struct error *error) {
  static const char word[] = "secret";
  bool comments = strstr(sql, "--") != NULL || strstr(sql, "/*") != NULL;
  for (const char *at = sql; (at = strcasestr(at, word)) != NULL; at++)
    if (is_word_at(sql, at, sizeof word - 1) && (comments || is_secret_place(sql, at)))
      return error_set(error, STATUS_DENIED,
                       "secrets cannot be made or dropped here: no file system uses them (a table "
                       "of that name can: leave out comments)");
  return STATUS_OK;
}
