/* What `config check` looks at beyond what a file says: the files that it names, and what is
 * allowed but risky. */
#include <string.h>
#include <sys/stat.h>

#include "net/tls.h"
#include "server/auth.h"
#include "server/config.h"
#include "server/settings.h"

enum status server_config_files(const struct server_config *config, struct error *error) {
  struct tls_context *tls = NULL;
  enum status status = server_config_startable(config, error);
  if (status == STATUS_OK && config->tls.cert_path != NULL) {
    status = tls_context_new(&config->tls, &tls, error);
    tls_context_free(tls);
    if (status != STATUS_OK) error_at(error, "tls");
  }
  return status;
}

/* ---- what is risky ------------------------------------------------------------------------- */

static bool listens_near(const struct server_config *config) {
  return strncmp(config->host, "127.", 4) == 0 || strcmp(config->host, "::1") == 0;
}

static bool others_can_read(const char *path) {
  struct stat about;
  return path != NULL && stat(path, &about) == 0 && S_ISREG(about.st_mode) &&
         (about.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

/* Whether the file itself holds a secret. */
static bool holds_secret(const struct settings *settings) {
  const struct config_field *field = settings->section->fields;
  for (; field->name != NULL; field++)
    if (field->secret && config_origin(settings->values, field->name) == CONFIG_FILE) return true;
  for (size_t i = 0; i < settings->section_count; i++)
    if (holds_secret(&settings->sections[i])) return true;
  for (size_t i = 0; i < settings->entry_count; i++)
    if (holds_secret(&settings->entries[i].settings)) return true;
  return false;
}

static bool takes_every_host(const struct server_config *config) {
  for (size_t i = 0; i < config->allowed_host_count; i++)
    if (strcmp(config->allowed_hosts[i], "*") == 0) return true;
  return false;
}

size_t server_config_warnings(const struct server_config *config,
                              const char *warnings[SERVER_WARNINGS_MAX]) {
  size_t count = 0;
  bool guarded = auth_configured(config->auth) || config->tls.client_ca_path != NULL;
  bool tls = config->tls.cert_path != NULL;
  if (!listens_near(config) && guarded && !tls)
    warnings[count++] = "host: it listens to other machines without tls.cert and tls.key: tokens, "
                        "passwords and data cross the network unencrypted";
  if (!listens_near(config) && !guarded)
    warnings[count++] =
        "host: it listens to other machines, but serves only this one: there is no token, no user "
        "and no tls.client_ca. Behind a proxy on this machine everybody looks like this machine";
  if (takes_every_host(config))
    warnings[count++] = "allowed_hosts: '*' takes every name: a web page can reach this server "
                        "by DNS rebinding";
  if (tls && others_can_read(config->tls.key_path))
    warnings[count++] = "tls.key: other users of this machine can read the private key; chmod 600";
  if (others_can_read(config->path) && holds_secret(config->settings))
    warnings[count++] = "auth: other users of this machine can read this file, which holds "
                        "secrets; chmod 600, or name them by token_env or token_file";
  if (config->memory_warning[0] != '\0') warnings[count++] = config->memory_warning;
  return count;
}
