#include "sink/tokens.h"
#include <stdlib.h>
struct tokens {
  int x;
};
enum status tokens_open(struct engine *e, const struct tokens_options *o, struct tokens **t,
                        struct error *err) {
  (void)e;
  (void)o;
  (void)err;
  *t = calloc(1, sizeof **t);
  return STATUS_OK;
}
void tokens_close(struct tokens *t) { free(t); }
void tokens_limit(struct tokens *t, int64_t a, int64_t b) {
  (void)t;
  (void)a;
  (void)b;
}
enum status tokens_claim(struct tokens *t, const struct table_name *n, const char *k, int w,
                         enum token_state *s, struct load_result *r, struct error *e) {
  (void)t;
  (void)n;
  (void)k;
  (void)w;
  (void)e;
  *r = (struct load_result){.version = -1};
  *s = TOKEN_NEW;
  return STATUS_OK;
}
void tokens_settle(struct tokens *t, const struct table_name *n, const char *k,
                   const struct load_result *r) {
  (void)t;
  (void)n;
  (void)k;
  (void)r;
}
enum status token_writer_open(struct tokens *t, struct engine_session *s, struct token_writer **w,
                              struct error *e) {
  (void)t;
  (void)s;
  (void)e;
  *w = malloc(1);
  return STATUS_OK;
}
enum status token_writer_put(struct token_writer *w, const struct token_record *r, int64_t c,
                             struct error *e) {
  (void)w;
  (void)r;
  (void)c;
  (void)e;
  return STATUS_OK;
}
void token_writer_close(struct token_writer *w) { free(w); }
enum status tokens_sweep(struct tokens *t, int64_t *f, struct error *e) {
  (void)t;
  (void)e;
  *f = 0;
  return STATUS_OK;
}
void tokens_look(struct tokens *t, int64_t *c, int64_t *m) {
  (void)t;
  *c = *m = 0;
}
