/* The settings of `auth`. */
#include <string.h>

#include "server/auth.h"
#include "server/auth_parts.h"

static enum status check_scope(const char *value, struct error *error) {
  static const char *const names[] = {"read", "write", "admin"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(value, names[i]) == 0) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "'%.40s' is no scope; those there are: read, write, admin", value);
}

static enum status check_name(const char *value, struct error *error) {
  if (value[0] != '\0') return STATUS_OK;
  return error_set(error, STATUS_INVALID, "an empty text names nothing");
}

static enum status check_pattern(const char *value, struct error *error) {
  if (value[0] != '\0' && strlen(value) <= SETTINGS_NAME_BYTES_MAX) return STATUS_OK;
  return error_set(error, STATUS_INVALID, "a pattern has 1 to %d bytes", SETTINGS_NAME_BYTES_MAX);
}

static enum status check_hex(const char *value, struct error *error) {
  if (strlen(value) == (size_t)2 * AUTH_SHA256_BYTES &&
      strspn(value, "0123456789abcdefABCDEF") == (size_t)2 * AUTH_SHA256_BYTES)
    return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "this is no SHA-256: 64 hexadecimal digits, as `printf %%s TOKEN | sha256sum` "
                   "prints them");
}

static enum status check_hash(const char *value, struct error *error) {
  struct auth_hash hash;
  return auth_hash_parse(value, &hash, error);
}

/* What both kinds of entries have. */
#define RIGHTS_FIELDS                                                                              \
  {.name = "scopes",                                                                               \
   .type = CONFIG_LIST,                                                                            \
   .default_text = "read",                                                                         \
   .check = check_scope,                                                                           \
   .doc = "What it may do: read (SQL that reads, lists), write (ingest; with read, SQL that "      \
          "writes), admin (everything)."},                                                         \
      {.name = "streams",                                                                          \
       .type = CONFIG_LIST,                                                                        \
       .check = check_pattern,                                                                     \
       .doc = "Patterns of the streams that it may use, '*' for any characters and '?' for one; "  \
              "unset, every one. The stream's table must be allowed too."},                        \
      {.name = "tables",                                                                           \
       .type = CONFIG_LIST,                                                                        \
       .check = auth_pattern_table_check,                                                          \
       .doc = "Patterns of the tables that it may use: `sensor_*`, `sales.*`, `*.*` (every "       \
              "schema), `*` (every table); unset, every one."},

static const struct config_field TOKEN_FIELDS[] = {
    {.name = "token",
     .type = CONFIG_STRING,
     .secret = true,
     .doc = "The token itself, 16 characters at least (`openssl rand -hex 32`)."},
    {.name = "token_env",
     .type = CONFIG_STRING,
     .check = check_name,
     .doc = "The environment variable that holds it."},
    {.name = "token_file",
     .type = CONFIG_PATH,
     .check = check_name,
     .doc = "The file that holds it; one line end at its end is not part of it."},
    {.name = "token_sha256",
     .type = CONFIG_STRING,
     .secret = true,
     .check = check_hex,
     .doc = "Its SHA-256 in hexadecimal, so that the token itself is nowhere on this machine."},
    RIGHTS_FIELDS CONFIG_FIELD_END};

static const struct config_field USER_FIELDS[] = {
    {.name = "password_hash",
     .type = CONFIG_STRING,
     .secret = true,
     .check = check_hash,
     .doc = "What `arrowport hash-password` prints."},
    {.name = "password_hash_env",
     .type = CONFIG_STRING,
     .check = check_name,
     .doc = "The environment variable that holds the hash."},
    {.name = "password_hash_file",
     .type = CONFIG_PATH,
     .check = check_name,
     .doc = "The file that holds the hash; one line end at its end is not part of it."},
    RIGHTS_FIELDS CONFIG_FIELD_END};

static const struct config_field NO_FIELDS[] = {CONFIG_FIELD_END};

static const struct settings_section TOKEN = {
    .key = "NAME",
    .doc = "One token. Exactly one of `token`, `token_env`, `token_file` and `token_sha256` is "
           "given.",
    .fields = TOKEN_FIELDS};

static const struct settings_section USER = {
    .key = "NAME",
    .doc = "One user. Exactly one of `password_hash`, `password_hash_env` and "
           "`password_hash_file` is given.",
    .fields = USER_FIELDS};

const struct settings_section SETTINGS_AUTH_SECTIONS[] = {
    {.key = "tokens",
     .doc = "Tokens by the names that the log has for them (`Authorization: Bearer TOKEN`).",
     .fields = NO_FIELDS,
     .entry = &TOKEN},
    {.key = "users",
     .doc = "Users by name (`Authorization: Basic`).",
     .fields = NO_FIELDS,
     .entry = &USER},
    {.key = NULL}};

const char SETTINGS_AUTH_EXAMPLE[] =
    "# auth:\n"
    "#   tokens:\n"
    "#     ci:                       # Authorization: Bearer ...\n"
    "#       token_env: CI_TOKEN     # or token_file, token_sha256, token\n"
    "#       scopes: [write]\n"
    "#       streams: ['sensor_*']\n"
    "#   users:\n"
    "#     anna:                     # Authorization: Basic ...\n"
    "#       password_hash_file: anna.hash   # of `arrowport hash-password`\n"
    "#       scopes: [read]\n"
    "#       tables: ['sales.*']\n";
