/* Who may do what: tokens and users of the configuration (`auth:`), their scopes and patterns.
 * No I/O but reading the files that the configuration names; no sockets.
 *
 * All functions but auth_new, auth_resolve and auth_free may be called from any thread. */
#ifndef ARROWPORT_SERVER_AUTH_H
#define ARROWPORT_SERVER_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
  const char *const *tables; /* patterns of table names, part by part; NULL: every one */
  size_t table_count;
};

struct auth;

enum { AUTH_SECRET_BYTES = 32 };

/* Reads the section `auth`, which must outlive the auth. Secrets that stand in the file are taken
 * and wiped there; environment and files are not looked at. STATUS_INVALID names the entry, its
 * place and what is wrong, never the secret. */
enum status auth_new(struct settings *section, struct auth **auth, struct error *error) WARN_UNUSED;
/* Fetches the secrets that are in environment variables and files: what a server needs and a mere
 * reader of the configuration may not even be able to. Until then they are nobody's. Blocks for
 * the files. STATUS_INVALID, STATUS_NOT_FOUND, STATUS_DENIED, STATUS_IO name the entry. */
enum status auth_resolve(struct auth *auth, struct error *error) WARN_UNUSED;
void auth_free(struct auth *auth); /* NULL is allowed */

/* False: no token and no user, so that only this machine is served. */
bool auth_configured(const struct auth *auth);
/* Everything is allowed to them: clients on this machine while nothing is configured, and clients
 * with a certificate where one is required and nothing else is configured. */
extern const struct identity IDENTITY_LOCAL, IDENTITY_CERTIFICATE;
/* True when there are tokens, or users: what a client that gave no credentials is told of. */
bool auth_has_tokens(const struct auth *auth);
bool auth_has_users(const struct auth *auth);
/* True for the name of a user, which may then be logged; others may be anything, a password too. */
bool auth_knows(const struct auth *auth, const char *name);

/* Whose bearer token it is; NULL: nobody's. Takes the same time for every wrong token. */
const struct identity *auth_token(const struct auth *auth, const char *token);
/* Whose name and password they are; NULL: nobody's. Takes as long for an unknown name as for a
 * wrong password: some 100 ms and 32 MiB, so call it on a worker, and not too often at a time. */
const struct identity *auth_password(const struct auth *auth, const char *name,
                                     const char *password);
/* The same without the work, for what auth_password has found right in the last five minutes;
 * NULL: ask that. */
const struct identity *auth_password_known(const struct auth *auth, const char *name,
                                           const char *password);

/* The identity of that name ("user:anna"), and a digest of its secret that is another once the secret
 * is; NULL: there is none (any more). */
const struct identity *auth_identity(const struct auth *auth, const char *name,
                                     uint8_t secret[AUTH_SECRET_BYTES]);

/* A hash for the configuration, with a salt of its own: "$scrypt$ln=15,r=8,p=1$SALT$HASH". Takes
 * as long as auth_password. */
enum status auth_hash(const char *password, struct text *out, struct error *error) WARN_UNUSED;

/* STATUS_DENIED says which scope is missing, or that a name is outside what is allowed; never
 * whether there is such a table. A stream's table must be allowed as well as the stream. */
enum status auth_allow(const struct identity *who, unsigned scope, struct error *error) WARN_UNUSED;
enum status auth_allow_stream(const struct identity *who, unsigned scope, const char *stream,
                              const struct table_name *table, struct error *error) WARN_UNUSED;
/* `table`: without a catalog when it is in the database itself. */
enum status auth_allow_table(const struct identity *who, unsigned scope,
                             const struct table_name *table, struct error *error) WARN_UNUSED;

/* True when it may see every table, so that SQL need not be looked through. */
bool auth_sees_everything(const struct identity *who);

/* What stands in the section (auth_tables.c). */
extern const struct settings_section SETTINGS_AUTH_SECTIONS[];
extern const char SETTINGS_AUTH_EXAMPLE[];

#endif
