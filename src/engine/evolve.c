#include "engine/engine.h"
enum status engine_evolution_plan(struct engine_session *s, const struct table_name *n,
                                  const struct ArrowSchema *c, const char *o,
                                  struct engine_evolution *v, struct error *e) {
  (void)s;
  (void)n;
  (void)c;
  (void)o;
  (void)v;
  (void)e;
  return STATUS_OK;
}
enum status engine_evolution_apply(struct engine_session *s, const struct engine_evolution *v,
                                   struct error *e) {
  (void)s;
  (void)v;
  (void)e;
  return STATUS_OK;
}
void engine_evolution_release(struct engine_evolution *v) {
  text_release(&v->sql);
  text_release(&v->changes);
}
enum status engine_check_same(struct engine_session *s, const struct table_name *n,
                              const struct ArrowSchema *c, struct error *e) {
  (void)s;
  (void)n;
  (void)c;
  (void)e;
  return STATUS_OK;
}
