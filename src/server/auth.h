/* Who may do what: tokens and users of the configuration (`auth:`), their scopes and patterns.
 * No I/O but reading the files that the configuration names; no sockets. */
#ifndef ARROWPORT_SERVER_AUTH_H
#define ARROWPORT_SERVER_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/table_name.h"
#include "server/settings.h"

/* What a request needs, and what an identity has. Admin has the others too. */
enum auth_scope { AUTH_READ = 1, AUTH_WRITE = 2, AUTH_ADMIN = 4 };

/* Somebody who may ask. Belongs to the auth, and so to the configuration. */
struct identity {
  const char *name; /* for the log: "token:ci", "user:anna", "local" (protected mode) */
  unsigned scopes;
  const char *const *streams; /* patterns with '*' for any characters; NULL: every stream */
  size_t stream_count;
  const char *const *tables; /* of table names as table_name_print writes them; NULL: every one */
  size_t table_count;
};

struct auth;

/* Reads the section `auth`: secrets from the value, its environment variable or its file.
 * STATUS_INVALID names the entry and what is wrong, never the secret. */
enum status auth_new(struct settings *section, struct auth **auth, struct error *error) WARN_UNUSED;
void auth_free(struct auth *auth); /* NULL is allowed */

/* False: no token and no user, so that only this machine is served. */
bool auth_configured(const struct auth *auth);
/* Everything is allowed to it; what a loopback client is while nothing is configured. */
extern const struct identity IDENTITY_LOCAL;

/* Whose bearer token it is; NULL: nobody's. Takes the same time for every wrong token. */
const struct identity *auth_token(const struct auth *auth, const char *token);
/* Whose name and password they are; NULL: nobody's. Takes as long for an unknown name as for a
 * wrong password: some 100 ms, so call it on a worker. */
const struct identity *auth_password(const struct auth *auth, const char *name,
                                     const char *password);

/* A hash for the configuration, with a salt of its own: "scrypt$...". */
enum status auth_hash(const char *password, struct text *out, struct error *error) WARN_UNUSED;

/* STATUS_DENIED says which scope is missing, or which pattern does not hold. */
enum status auth_allow(const struct identity *who, unsigned scope, struct error *error) WARN_UNUSED;
enum status auth_allow_stream(const struct identity *who, unsigned scope, const char *stream,
                              const struct table_name *table, struct error *error) WARN_UNUSED;
enum status auth_allow_table(const struct identity *who, unsigned scope,
                             const struct table_name *table, struct error *error) WARN_UNUSED;

/* True when it may see every table, so that SQL need not be looked through. */
bool auth_sees_everything(const struct identity *who);

/* The section's fields (auth_tables.c). */
extern const struct settings_section SETTINGS_AUTH;

#endif
