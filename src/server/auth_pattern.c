/* Patterns of stream and table names. They are allow lists: what does not match is refused, so a
 * doubt is decided by not matching. */
#include <string.h>

#include "server/auth_parts.h"

static char folded(char byte, bool fold_case) {
  return fold_case && byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

/* Past one UTF-8 character; text that is no UTF-8 goes on byte by byte. */
static const char *past_character(const char *at) {
  at++;
  while (((unsigned char)*at & 0xC0) == 0x80) at++;
  return at;
}

bool auth_pattern_matches(const char *pattern, const char *text, bool fold_case) {
  /* Only the last '*' is ever gone back to: if what follows it fits later, what came before it
   * still fits. That keeps it from trying every combination. */
  const char *star = NULL;
  const char *star_text = NULL;
  while (*text != '\0') {
    if (*pattern == '*') {
      star = ++pattern;
      star_text = text;
    } else if (*pattern == '?') {
      pattern++;
      text = past_character(text);
    } else if (*pattern != '\0' && folded(*pattern, fold_case) == folded(*text, fold_case)) {
      pattern++;
      text++;
    } else if (star != NULL) {
      star_text = past_character(star_text);
      pattern = star;
      text = star_text;
    } else {
      return false;
    }
  }
  while (*pattern == '*') pattern++;
  return *pattern == '\0';
}

/* The parts of a name; what is not given is the default. */
static bool part_matches(const char *pattern, const char *name, const char *fallback) {
  if (pattern[0] == '\0') pattern = fallback;
  if (name[0] == '\0') name = fallback;
  /* The catalog has no name to fall back to: "" is the database itself, and no pattern but the
   * absent one means it. */
  if (pattern[0] == '\0' || name[0] == '\0') return pattern[0] == name[0];
  return auth_pattern_matches(pattern, name, true);
}

bool auth_pattern_table(const char *pattern, const struct table_name *name) {
  struct table_name parts;
  if (strcmp(pattern, "*") == 0) return true;
  if (table_name_parse(pattern, strlen(pattern), &parts, NULL) != STATUS_OK) return false;
  return part_matches(parts.catalog, name->catalog, "") &&
         part_matches(parts.schema, name->schema, "main") &&
         part_matches(parts.table, name->table, "");
}

enum status auth_pattern_table_check(const char *pattern, struct error *error) {
  struct table_name parts;
  enum status status = table_name_parse(pattern, strlen(pattern), &parts, error);
  if (status != STATUS_OK) error_at(error, "'%.100s'", pattern);
  return status;
}
