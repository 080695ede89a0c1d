/* The member `config` of a body of POST /stream/{stream}: text in, where the rows go out. Its
 * names, ranges and defaults are those of an entry of `streams:` in the configuration. No I/O. */
#ifndef ARROWPORT_SERVER_STREAM_CONFIG_H
#define ARROWPORT_SERVER_STREAM_CONFIG_H

#include "base/status.h"
#include "base/text.h"
#include "server/settings.h"

/* Reads an object with `target_table` and perhaps `storage_backend`, `chunk_size`, `compression`,
 * `delta_options` and `idempotency_key`, which `*token` gets (malloc'd, also after a failure; NULL
 * without it); null is as good as absent. `settings` is one section (SETTINGS_STREAM),
 * safe to release whatever happens. STATUS_INVALID names the member and what is wrong with it. */
enum status stream_config_read(struct settings *settings, const struct text *json, char **token,
                               struct error *error) WARN_UNUSED;

#endif
