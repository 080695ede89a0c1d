/* What strangers send to be let in, and what is compared with it. The first byte says which:
 * 0 the header Authorization, 1 a password's hash, 2 a pattern and a name (with a NUL between
 * them), 3 wrong and right tries of many addresses. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/auth.h"
#include "server/auth_parts.h"
#include "server/throttle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A NUL-terminated copy in memory of just its size, so that a step too far is seen. */
static char *text_of(const uint8_t *data, size_t bytes) {
  char *text = malloc(bytes + 1);
  if (text == NULL) abort();
  if (bytes > 0) memcpy(text, data, bytes);
  text[bytes] = '\0';
  return text;
}

static void try_header(const char *value) {
  struct auth_header header;
  if (auth_header_parse(value, &header, NULL) != STATUS_OK) abort();
  switch (header.scheme) {
  case AUTH_SCHEME_BEARER:
    if (header.token[0] == '\0' || strpbrk(header.token, " ,\"\r\n") != NULL) abort();
    break;
  case AUTH_SCHEME_BASIC:
    if (strchr(header.name, ':') != NULL) abort();
    if (strlen(header.name) + strlen(header.password) >= strlen(value)) abort();
    break;
  case AUTH_SCHEME_NONE: abort();
  case AUTH_SCHEME_BROKEN: break;
  }
  auth_header_release(&header);
}

static void try_hash(const char *value) {
  struct auth_hash hash;
  struct error error = {0};
  if (auth_hash_parse(value, &hash, &error) == STATUS_OK) {
    if (hash.ln < 10 || hash.ln > 20 || hash.salt_bytes < 8 || hash.hash_bytes < 16) abort();
    if ((INT64_C(128) << hash.ln) * hash.r > INT64_C(256) << 20) abort();
  } else if (error.text[0] == '\0') {
    abort();
  }
}

/* The same question answered the slow way: row by row, which prefixes match. */
static bool slowly(const char *pattern, const char *text) {
  size_t text_bytes = strlen(text);
  bool *now = calloc(text_bytes + 1, 1);
  bool *next = calloc(text_bytes + 1, 1);
  if (now == NULL || next == NULL) abort();
  now[0] = true;
  for (; *pattern != '\0'; pattern++) {
    memset(next, 0, text_bytes + 1);
    for (size_t i = 0; i <= text_bytes; i++) {
      if (*pattern == '*')
        next[i] = now[i] || (i > 0 && next[i - 1]);
      else if (i > 0)
        next[i] = now[i - 1] && (*pattern == '?' || *pattern == text[i - 1]);
    }
    bool *swap = now;
    now = next;
    next = swap;
  }
  bool matches = now[text_bytes];
  free(now);
  free(next);
  return matches;
}

static void try_pattern(const char *pattern, const char *text) {
  bool matches = auth_pattern_matches(pattern, text, false);
  /* Beyond ASCII '?' is more than a byte, which the slow way does not know. */
  if (strlen(pattern) < 512 && strlen(text) < 512 &&
      utf8_is_ascii((const uint8_t *)text, strlen(text)) && matches != slowly(pattern, text))
    abort();
  if (matches && !auth_pattern_matches(pattern, text, true)) abort();
  struct table_name name;
  if (table_name_parse(text, strlen(text), &name, NULL) == STATUS_OK) {
    if (!auth_pattern_table("*", &name)) abort();
    if (auth_pattern_table(pattern, &name) && auth_pattern_table_check(pattern, NULL) != STATUS_OK)
      abort();
  }
}

/* Two bytes a try: who, and what happens. */
static void try_throttle(const uint8_t *data, size_t bytes) {
  struct throttle *throttle = NULL;
  if (throttle_new(&throttle, NULL) != STATUS_OK) abort();
  int64_t now_ms = 0;
  for (size_t i = 0; i + 1 < bytes; i += 2) {
    char address[32];
    snprintf(address, sizeof address, data[i] % 2 == 0 ? "10.0.0.%d" : "2001:db8:0:%x::1", data[i]);
    int64_t wait_ms = throttle_wait_ms(throttle, address, now_ms);
    if (wait_ms < 0 || wait_ms > THROTTLE_WAIT_MS_MAX) abort();
    if (data[i + 1] < 8) {
      throttle_succeeded(throttle, address);
      if (throttle_wait_ms(throttle, address, now_ms) != 0) abort();
    } else if (data[i + 1] < 128) {
      throttle_failed(throttle, address, now_ms);
    } else {
      now_ms += (int64_t)(data[i + 1] - 127) * 1000;
    }
  }
  throttle_free(throttle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes == 0) return 0;
  char *text = text_of(data + 1, bytes - 1);
  size_t first_bytes = strlen(text);
  switch (data[0] % 4) {
  case 0: try_header(text); break;
  case 1: try_hash(text); break;
  case 2: try_pattern(text, first_bytes < bytes - 1 ? text + first_bytes + 1 : ""); break;
  default: try_throttle(data + 1, bytes - 1); break;
  }
  free(text);
  return 0;
}
