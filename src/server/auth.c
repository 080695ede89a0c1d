/* Tokens and users, and what they may do.
 *
 * 1. A token is kept as its SHA-256 only, and every look compares with all of them, in constant
 *    time: how long it takes says neither which one was nearly right nor how nearly.
 * 2. An entry whose secret is not there yet (auth_resolve) is nobody's.
 * 3. What is not said to be allowed is refused; a pattern list that is empty is an error, since it
 *    could be meant as "nothing" or as "everything". */
#include "server/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "server/auth_parts.h"

enum {
  TOKEN_BYTES_MIN = 16,
  SECRET_FILE_BYTES_MAX = 64 << 10,
};

const struct identity IDENTITY_LOCAL = {.name = "local",
                                        .scopes = AUTH_READ | AUTH_WRITE | AUTH_ADMIN};
const struct identity IDENTITY_CERTIFICATE = {.name = "certificate",
                                              .scopes = AUTH_READ | AUTH_WRITE | AUTH_ADMIN};

struct entry {
  struct identity identity;
  const char *name;  /* "ci" */
  const char *where; /* "arrowport.yaml:14:3" */
  struct config *values;
  const char *source;                /* the field that says where the secret is */
  bool known;                        /* the secret is here */
  uint8_t digest[AUTH_SHA256_BYTES]; /* of a token */
  struct auth_hash hash;             /* of a password */
};

/* One kind of entries. */
struct entries {
  const char *kind;    /* "token": before a name in the log */
  const char *section; /* "auth.tokens": before a name in messages */
  struct entry *items;
  size_t count;
};

struct auth {
  struct entries tokens, users;
  struct auth_cache *cache;
};

static enum status no_memory(struct error *error) {
  return error_set(error, STATUS_NOMEM, "no memory for the configuration");
}

static void name_entry(const struct entries *entries, const struct entry *entry,
                       struct error *error) {
  error_at(error, "%s: %s.%s", entry->where, entries->section, entry->name);
}

/* ---- secrets ------------------------------------------------------------------------- */

static enum status take_token(struct entry *entry, const char *token, struct error *error) {
  for (const char *at = token; *at != '\0'; at++)
    if (*at <= ' ' || *at > '~' || *at == ',' || *at == '"')
      return error_set(error, STATUS_INVALID,
                       "a token is made of visible ASCII characters without commas and double "
                       "quotes; `openssl rand -hex 32` makes a good one");
  if (strlen(token) < TOKEN_BYTES_MIN)
    return error_set(error, STATUS_INVALID,
                     "the token is shorter than %d characters and could be guessed; `openssl rand "
                     "-hex 32` makes a good one",
                     TOKEN_BYTES_MIN);
  if (!auth_sha256(token, strlen(token), entry->digest)) return no_memory(error);
  return STATUS_OK;
}

static void take_digest(struct entry *entry, const char *hex) {
  for (size_t i = 0; i < AUTH_SHA256_BYTES; i++) {
    char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
    entry->digest[i] = (uint8_t)strtoul(byte, NULL, 16);
  }
}

/* `text`: what was found where the entry's source says. */
static enum status take_secret(struct entry *entry, const char *text, struct error *error) {
  enum status status = STATUS_OK;
  if (strncmp(entry->source, "password_hash", strlen("password_hash")) == 0)
    status = auth_hash_parse(text, &entry->hash, error);
  else if (strcmp(entry->source, "token_sha256") == 0)
    take_digest(entry, text);
  else
    status = take_token(entry, text, error);
  entry->known = status == STATUS_OK;
  return status;
}

static enum status read_secret(int file, const char *path, char *data, struct error *error) {
  struct stat about;
  size_t bytes = 0;
  if (file < 0 || fstat(file, &about) != 0) return file_failed(errno, error);
  /* Whatever else can be opened (a pipe, a device) might never end. */
  if (!S_ISREG(about.st_mode)) return error_set(error, STATUS_INVALID, "it is no ordinary file");
  if ((about.st_mode & S_IROTH) != 0)
    log_warning("auth", "the secret in '%s' may be read by every user of this machine; chmod 600",
                path);
  for (size_t got = 1; got > 0 && bytes <= SECRET_FILE_BYTES_MAX; bytes += got) {
    enum status status =
        file_read(file, data + bytes, SECRET_FILE_BYTES_MAX + 1 - bytes, &got, error);
    if (status != STATUS_OK) return status;
  }
  if (bytes > SECRET_FILE_BYTES_MAX)
    return error_set(error, STATUS_TOO_LARGE, "it has more than %d bytes; is it a secret?",
                     SECRET_FILE_BYTES_MAX);
  if (bytes > 0 && data[bytes - 1] == '\n') bytes--;
  if (bytes > 0 && data[bytes - 1] == '\r') bytes--;
  data[bytes] = '\0';
  if (strlen(data) != bytes) return error_set(error, STATUS_INVALID, "it has a NUL byte in it");
  return STATUS_OK;
}

static enum status resolve_file(struct entry *entry, const char *path, struct error *error) {
  char *data = calloc(1, SECRET_FILE_BYTES_MAX + 2);
  if (data == NULL) return no_memory(error);
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  enum status status = read_secret(file, path, data, error);
  if (status == STATUS_OK) status = take_secret(entry, data, error);
  if (status != STATUS_OK) error_at(error, "the file '%.200s'", path);
  if (file >= 0) close(file);
  OPENSSL_cleanse(data, SECRET_FILE_BYTES_MAX + 2);
  free(data);
  return status;
}

static enum status resolve_variable(struct entry *entry, const char *variable,
                                    struct error *error) {
  const char *text = getenv(variable);
  enum status status = text == NULL ? error_set(error, STATUS_INVALID, "it is not set") : STATUS_OK;
  if (status == STATUS_OK) status = take_secret(entry, text, error);
  if (status != STATUS_OK) error_at(error, "the environment variable %.200s", variable);
  return status;
}

static bool ends_in(const char *text, const char *end) {
  size_t text_bytes = strlen(text);
  size_t end_bytes = strlen(end);
  return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

static enum status resolve_entries(struct entries *entries, struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < entries->count && status == STATUS_OK; i++) {
    struct entry *entry = &entries->items[i];
    const struct identity *who = &entry->identity;
    if (who->stream_count > 0 && who->table_count == 0 && (who->scopes & AUTH_READ) != 0)
      log_warning("auth",
                  "%s: %s.%s: `streams` are limited and `tables` are not: SQL reaches every table",
                  entry->where, entries->section, entry->name);
    if (entry->known) continue;
    const char *place = config_string(entry->values, entry->source);
    status = ends_in(entry->source, "_file") ? resolve_file(entry, place, error)
                                             : resolve_variable(entry, place, error);
    if (status != STATUS_OK) name_entry(entries, entry, error);
  }
  return status;
}

static int by_digest(const void *left, const void *right) {
  const struct entry *const *a = left;
  const struct entry *const *b = right;
  return memcmp((*a)->digest, (*b)->digest, AUTH_SHA256_BYTES);
}

/* Two names for one token: nobody could say who asked, or with which rights. */
static enum status check_duplicates(const struct entries *tokens, struct error *error) {
  size_t count = 0;
  enum status status = STATUS_OK;
  if (tokens->count == 0) return STATUS_OK;
  const struct entry **sorted = calloc(tokens->count, sizeof *sorted);
  if (sorted == NULL) return no_memory(error);
  for (size_t i = 0; i < tokens->count; i++)
    if (tokens->items[i].known) sorted[count++] = &tokens->items[i];
  qsort((void *)sorted, count, sizeof *sorted, by_digest);
  for (size_t i = 1; i < count && status == STATUS_OK; i++)
    if (by_digest(&sorted[i - 1], &sorted[i]) == 0)
      status =
          error_set(error, STATUS_INVALID,
                    "auth.tokens: '%s' (%s) and '%s' (%s) have the same token; give each its "
                    "own",
                    sorted[i - 1]->name, sorted[i - 1]->where, sorted[i]->name, sorted[i]->where);
  free((void *)sorted);
  return status;
}

enum status auth_resolve(struct auth *auth, struct error *error) {
  enum status status = resolve_entries(&auth->tokens, error);
  if (status == STATUS_OK) status = resolve_entries(&auth->users, error);
  if (status == STATUS_OK) status = check_duplicates(&auth->tokens, error);
  return status;
}

/* ---- the section ------------------------------------------------------------------------ */

/* The one field of `sources` that is given. */
static enum status find_source(struct entry *entry, const char *const *sources,
                               struct error *error) {
  entry->source = NULL;
  for (const char *const *source = sources; *source != NULL; source++) {
    if (!config_has(entry->values, *source)) continue;
    if (entry->source != NULL)
      return error_set(error, STATUS_INVALID, "both %s and %s are given; keep one of them",
                       entry->source, *source);
    entry->source = *source;
  }
  if (entry->source != NULL) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "it has no secret: give one of %s, %s and %s", sources[0],
                   sources[1], sources[2]);
}

static enum status take_list(const struct config *values, const char *name,
                             const char *const **items, size_t *count, struct error *error) {
  *count = config_list(values, name, items);
  if (*count > 0 || !config_has(values, name)) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "'%s' is an empty list; leave the line out for %s", name,
                   strcmp(name, "scopes") == 0 ? "the default" : "every one");
}

static enum status take_rights(struct entry *entry, struct error *error) {
  struct identity *who = &entry->identity;
  const char *const *scopes = NULL;
  size_t scope_count = 0;
  enum status status = take_list(entry->values, "scopes", &scopes, &scope_count, error);
  if (status == STATUS_OK)
    status = take_list(entry->values, "streams", &who->streams, &who->stream_count, error);
  if (status == STATUS_OK)
    status = take_list(entry->values, "tables", &who->tables, &who->table_count, error);
  for (size_t i = 0; i < scope_count; i++) {
    if (strcmp(scopes[i], "read") == 0) who->scopes |= AUTH_READ;
    if (strcmp(scopes[i], "write") == 0) who->scopes |= AUTH_WRITE;
    if (strcmp(scopes[i], "admin") == 0) who->scopes |= AUTH_READ | AUTH_WRITE | AUTH_ADMIN;
  }
  return status;
}

static enum status take_entry(struct entries *entries, struct settings_entry *from,
                              struct entry *entry, const char *const *sources,
                              struct error *error) {
  struct text name = TEXT_EMPTY;
  *entry =
      (struct entry){.name = from->name, .where = from->where, .values = from->settings.values};
  enum status status = text_add_format(&name, error, "%s:%s", entries->kind, from->name);
  if (status != STATUS_OK) return status;
  entry->identity.name = name.data;
  if (strchr(from->name, ':') != NULL)
    status = error_set(error, STATUS_INVALID, "a name here has no colon in it");
  if (status == STATUS_OK) status = find_source(entry, sources, error);
  if (status == STATUS_OK) status = take_rights(entry, error);
  if (status == STATUS_OK && !ends_in(entry->source, "_env") && !ends_in(entry->source, "_file")) {
    status = take_secret(entry, config_string(entry->values, entry->source), error);
    config_wipe(entry->values, entry->source);
  }
  if (status != STATUS_OK) name_entry(entries, entry, error);
  return status;
}

static enum status take_entries(struct entries *entries, struct settings *section,
                                const char *const *sources, struct error *error) {
  enum status status = settings_sort_entries(section, error);
  if (status != STATUS_OK || section->entry_count == 0) return status;
  entries->items = calloc(section->entry_count, sizeof entries->items[0]);
  if (entries->items == NULL) return no_memory(error);
  for (size_t i = 0; i < section->entry_count && status == STATUS_OK; i++)
    status = take_entry(entries, &section->entries[i], &entries->items[entries->count++], sources,
                        error);
  return status;
}

enum status auth_new(struct settings *section, struct auth **auth, struct error *error) {
  static const char *const of_tokens[] = {"token", "token_env", "token_file", "token_sha256", NULL};
  static const char *const of_users[] = {"password_hash", "password_hash_env", "password_hash_file",
                                         NULL};
  struct auth *made = calloc(1, sizeof *made);
  *auth = NULL;
  if (made == NULL) return no_memory(error);
  made->tokens = (struct entries){.kind = "token", .section = "auth.tokens"};
  made->users = (struct entries){.kind = "user", .section = "auth.users"};
  enum status status =
      take_entries(&made->tokens, settings_section(section, "tokens"), of_tokens, error);
  if (status == STATUS_OK)
    status = take_entries(&made->users, settings_section(section, "users"), of_users, error);
  if (status == STATUS_OK) status = check_duplicates(&made->tokens, error);
  if (status == STATUS_OK && made->users.count > 0) {
    made->cache = auth_cache_new();
    if (made->cache == NULL) status = no_memory(error);
  }
  if (status == STATUS_OK)
    *auth = made;
  else
    auth_free(made);
  return status;
}

static void free_entries(struct entries *entries) {
  for (size_t i = 0; i < entries->count; i++) free((void *)entries->items[i].identity.name);
  if (entries->items != NULL)
    OPENSSL_cleanse(entries->items, entries->count * sizeof entries->items[0]);
  free(entries->items);
}

void auth_free(struct auth *auth) {
  if (auth == NULL) return;
  free_entries(&auth->tokens);
  free_entries(&auth->users);
  auth_cache_free(auth->cache);
  free(auth);
}

bool auth_has_tokens(const struct auth *auth) { return auth->tokens.count > 0; }
bool auth_has_users(const struct auth *auth) { return auth->users.count > 0; }

bool auth_configured(const struct auth *auth) {
  return auth_has_tokens(auth) || auth_has_users(auth);
}

/* ---- who it is ------------------------------------------------------------------------- */

const struct identity *auth_token(const struct auth *auth, const char *token) {
  uint8_t digest[AUTH_SHA256_BYTES];
  const struct identity *found = NULL;
  if (!auth_sha256(token, strlen(token), digest)) return NULL;
  for (size_t i = 0; i < auth->tokens.count; i++) {
    const struct entry *entry = &auth->tokens.items[i];
    bool same = CRYPTO_memcmp(entry->digest, digest, sizeof digest) == 0;
    if (same && entry->known) found = &entry->identity;
  }
  return found;
}

static const struct entry *find_user(const struct auth *auth, const char *name) {
  for (size_t i = 0; i < auth->users.count; i++)
    if (strcmp(auth->users.items[i].name, name) == 0) return &auth->users.items[i];
  return NULL;
}

bool auth_knows(const struct auth *auth, const char *name) { return find_user(auth, name) != NULL; }

const struct identity *auth_password(const struct auth *auth, const char *name,
                                     const char *password) {
  if (!auth_has_users(auth)) return NULL; /* no name to find out */
  const struct entry *user = find_user(auth, name);
  if (user == NULL || !user->known) {
    struct auth_hash dummy;
    if (auth_hash_dummy(&auth->users.items[0].hash, &dummy)) auth_hash_matches(&dummy, password);
    return NULL;
  }
  if (!auth_hash_matches(&user->hash, password)) return NULL;
  auth_cache_put(auth->cache, name, password, &user->identity, clock_now_ms());
  return &user->identity;
}

const struct identity *auth_password_known(const struct auth *auth, const char *name,
                                           const char *password) {
  if (!auth_has_users(auth)) return NULL;
  return auth_cache_get(auth->cache, name, password, clock_now_ms());
}

static const struct entry *find_identity(const struct entries *entries, const char *name) {
  for (size_t i = 0; i < entries->count; i++)
    if (entries->items[i].known && strcmp(entries->items[i].identity.name, name) == 0)
      return &entries->items[i];
  return NULL;
}

const struct identity *auth_identity(const struct auth *auth, const char *name,
                                     uint8_t secret[AUTH_SECRET_BYTES]) {
  const struct entry *entry = find_identity(&auth->users, name);
  if (entry == NULL) entry = find_identity(&auth->tokens, name);
  if (entry == NULL) return NULL;
  uint8_t both[sizeof entry->digest + sizeof entry->hash.salt + sizeof entry->hash.hash];
  memcpy(both, entry->digest, sizeof entry->digest);
  memcpy(both + sizeof entry->digest, entry->hash.salt, sizeof entry->hash.salt);
  memcpy(both + sizeof entry->digest + sizeof entry->hash.salt, entry->hash.hash,
         sizeof entry->hash.hash);
  return auth_sha256(both, sizeof both, secret) ? &entry->identity : NULL;
}

/* ---- what it may ------------------------------------------------------------------------ */

enum status auth_allow(const struct identity *who, unsigned scope, struct error *error) {
  unsigned missing = scope & ~who->scopes;
  if (missing == 0) return STATUS_OK;
  const char *name = (missing & AUTH_ADMIN) != 0   ? "admin"
                     : (missing & AUTH_WRITE) != 0 ? "write"
                                                   : "read";
  return error_set(error, STATUS_DENIED,
                   "this needs the scope %s, which %s does not have (`scopes` in the server's "
                   "configuration)",
                   name, who->name);
}

static bool table_allowed(const struct identity *who, const struct table_name *table) {
  for (size_t i = 0; i < who->table_count; i++)
    if (auth_pattern_table(who->tables[i], table)) return true;
  return who->table_count == 0;
}

enum status auth_allow_table(const struct identity *who, unsigned scope,
                             const struct table_name *table, struct error *error) {
  enum status status = auth_allow(who, scope, error);
  if (status != STATUS_OK || table_allowed(who, table)) return status;
  struct text name = TEXT_EMPTY;
  status = table_name_print(table, &name, error);
  if (status == STATUS_OK)
    status = error_set(error, STATUS_DENIED,
                       "the table %.300s is not among those that %s may use (`tables` in the "
                       "server's configuration)",
                       text_get(&name), who->name);
  text_release(&name);
  return status;
}

enum status auth_allow_stream(const struct identity *who, unsigned scope, const char *stream,
                              const struct table_name *table, struct error *error) {
  enum status status = auth_allow(who, scope, error);
  if (status != STATUS_OK) return status;
  bool allowed = who->stream_count == 0;
  for (size_t i = 0; i < who->stream_count && !allowed; i++)
    allowed = auth_pattern_matches(who->streams[i], stream, false);
  if (!allowed)
    return error_set(error, STATUS_DENIED,
                     "the stream '%.300s' is not among those that %s may use (`streams` in the "
                     "server's configuration)",
                     stream, who->name);
  return auth_allow_table(who, scope, table, error);
}

bool auth_sees_everything(const struct identity *who) {
  for (size_t i = 0; i < who->table_count; i++)
    if (strcmp(who->tables[i], "*") == 0) return true;
  return who->table_count == 0;
}
