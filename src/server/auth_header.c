/* The header Authorization. What it says is hostile, and secret: nothing of it is ever put into
 * a message. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "server/auth_parts.h"

/* What follows the scheme's name and its spaces, or NULL. */
static const char *after_scheme(const char *value, const char *scheme) {
  size_t bytes = strlen(scheme);
  if (strncasecmp(value, scheme, bytes) != 0 || value[bytes] != ' ') return NULL;
  return value + bytes + strspn(value + bytes, " ");
}

/* b64token of RFC 6750: visible ASCII without what separates. */
static bool is_token(const char *text) {
  for (const char *at = text; *at != '\0'; at++)
    if (*at <= ' ' || *at > '~' || *at == ',' || *at == '"') return false;
  return *text != '\0';
}

static enum auth_scheme parse_bearer(const char *text, struct auth_header *header) {
  if (!is_token(text)) return AUTH_SCHEME_BROKEN;
  memcpy(header->memory, text, strlen(text) + 1);
  header->token = header->memory;
  return AUTH_SCHEME_BEARER;
}

static enum auth_scheme parse_basic(const char *text, struct auth_header *header) {
  size_t text_bytes = strlen(text), bytes = 0;
  /* Flight's Go library sends it without padding. */
  bool padded = text_bytes % 4 == 0;
  if (!auth_base64_decode(text, text_bytes, padded, (uint8_t *)header->memory,
                          header->memory_bytes - 1, &bytes))
    return AUTH_SCHEME_BROKEN;
  header->memory[bytes] = '\0';
  if (memchr(header->memory, '\0', bytes) != NULL) return AUTH_SCHEME_BROKEN;
  char *colon = strchr(header->memory, ':'); /* a name has none, a password may */
  if (colon == NULL) return AUTH_SCHEME_BROKEN;
  *colon = '\0';
  header->name = header->memory;
  header->password = colon + 1;
  return AUTH_SCHEME_BASIC;
}

enum status auth_header_parse(const char *value, struct auth_header *header, struct error *error) {
  *header = (struct auth_header){.scheme = AUTH_SCHEME_NONE};
  if (value == NULL) return STATUS_OK;
  header->memory_bytes = strlen(value) + 1;
  header->memory = calloc(1, header->memory_bytes);
  if (header->memory == NULL) return error_set(error, STATUS_NOMEM, "no memory for a request");
  header->scheme = AUTH_SCHEME_BROKEN;
  const char *rest = after_scheme(value, "bearer");
  if (rest != NULL) header->scheme = parse_bearer(rest, header);
  rest = after_scheme(value, "basic");
  if (rest != NULL) header->scheme = parse_basic(rest, header);
  return STATUS_OK;
}

void auth_header_release(struct auth_header *header) {
  if (header->memory != NULL) OPENSSL_cleanse(header->memory, header->memory_bytes);
  free(header->memory);
  *header = (struct auth_header){.scheme = AUTH_SCHEME_NONE};
}
