/* A dictionary is kept as it was planned: nodes, counts and lengths (its shape), and the
 * pieces one behind the other. As a rule what a batch brings has the same bytes, and comparing
 * them is all that happens.
 *
 * An array of our own is not copied but held: a share of it keeps its memory, so that the next
 * batch's dictionary is the same when it lies there too. Its content is copied out when another
 * one is to be compared with it.
 *
 * Where deltas are sent, bytes that differ may still be the same values: views reach into
 * other buffers, what lies under a null is anything. Then the values are compared.
 *
 * Invariant: what is pending was written by the call that is running, and is in force for the
 * rest of it; settling makes it what was sent, or drops it. */
#include "arrow/ipc_dictionaries.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/array.h"
#include "arrow/ipc_kept.h"
#include "arrow/tree.h"

enum change { SAME, GROWN, OTHER };

struct dictionary {
  const struct layout *values;
  struct ipc_kept sent; /* `is_there` when something was */
  struct ipc_kept pending;
  /* Arrays that have the values of `sent` and `pending`, which may then lack content; NULL
   * when they are not ours to hold. */
  struct arrow_shared *sent_from;
  struct arrow_shared *pending_from;
};

/* Of a node of the layout. */
struct place {
  int32_t dictionary; /* of a dictionary's values: which; else -1 */
  bool leads;         /* it or a node below it has a dictionary */
};

struct ipc_dictionaries {
  struct budget *budget;
  struct ipc_dictionary_rules rules;
  const struct layout *layout;
  struct place *places;
  struct dictionary *list;
  int64_t count;
  struct buffer scratch;
};

struct update {
  struct ipc_dictionaries *dictionaries;
  struct ipc_plan *plan;
  ipc_dictionary_send send;
  void *context;
};

static void hold(struct arrow_shared **place, struct arrow_shared *shared) {
  struct arrow_shared *before = *place;
  *place = shared == NULL ? NULL : arrow_shared_share(shared);
  arrow_shared_release(before);
}

/* ---- making and freeing -------------------------------------------------------------- */

static int64_t count_dictionaries(const struct layout *layout) {
  int64_t count = 0;
  for (int64_t i = 0; i < layout->child_count; i++)
    count += count_dictionaries(&layout->children[i]);
  return layout->dictionary == NULL ? count : count + 1 + count_dictionaries(layout->dictionary);
}

static bool assign(struct ipc_dictionaries *made, const struct layout *layout) {
  struct place *place = &made->places[layout->index];
  place->leads = layout->dictionary != NULL;
  for (int64_t i = 0; i < layout->child_count; i++)
    if (assign(made, &layout->children[i])) place->leads = true;
  if (layout->dictionary == NULL) return place->leads;
  assign(made, layout->dictionary);
  made->places[layout->dictionary->index].dictionary = (int32_t)made->count;
  made->list[made->count++].values = layout->dictionary;
  return true;
}

enum status ipc_dictionaries_new(const struct layout *layout, int64_t node_count,
                                 const struct ipc_dictionary_rules *rules, struct budget *budget,
                                 struct ipc_dictionaries **dictionaries, struct error *error) {
  *dictionaries = NULL;
  int64_t count = count_dictionaries(layout);
  if (count == 0) return STATUS_OK;
  struct ipc_dictionaries *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for dictionaries");
  made->budget = budget;
  made->rules = *rules;
  made->layout = layout;
  made->places = calloc((size_t)node_count, sizeof *made->places);
  made->list = calloc((size_t)count, sizeof *made->list);
  if (made->places == NULL || made->list == NULL) {
    ipc_dictionaries_free(made);
    return error_set(error, STATUS_NOMEM, "no memory for dictionaries");
  }
  for (int64_t i = 0; i < node_count; i++) made->places[i].dictionary = -1;
  assign(made, layout);
  *dictionaries = made;
  return STATUS_OK;
}

void ipc_dictionaries_free(struct ipc_dictionaries *dictionaries) {
  if (dictionaries == NULL) return;
  for (int64_t i = 0; i < dictionaries->count; i++) {
    ipc_kept_release(&dictionaries->list[i].sent);
    ipc_kept_release(&dictionaries->list[i].pending);
    arrow_shared_release(dictionaries->list[i].sent_from);
    arrow_shared_release(dictionaries->list[i].pending_from);
  }
  buffer_release(&dictionaries->scratch);
  free(dictionaries->list);
  free(dictionaries->places);
  free(dictionaries);
}

/* ---- keeping --------------------------------------------------------------------------- */

/* Copies what `array` holds, unless a share of it can be held instead. */
static enum status keep(struct update *update, struct dictionary *dictionary,
                        const struct ArrowArray *array, struct error *error) {
  struct arrow_shared *from = array_tree_shared(array);
  hold(&dictionary->pending_from, from);
  if (from == NULL)
    return ipc_kept_take(&dictionary->pending, update->plan, update->dictionaries->budget, error);
  ipc_kept_release(&dictionary->pending);
  dictionary->pending.is_there = true;
  dictionary->pending.length = array->length;
  return STATUS_OK;
}

/* Copies the content of what is only held. */
static enum status copy_content(struct update *update, const struct dictionary *dictionary,
                                struct ipc_kept *kept, const struct arrow_shared *from,
                                struct error *error) {
  if (!kept->is_there || kept->values.data != NULL) return STATUS_OK;
  const struct ArrowArray *array = arrow_shared_array(from);
  struct ipc_kept content = {.is_there = false};
  enum status status =
      ipc_plan_column(update->plan, dictionary->values, array, 0, array->length, error);
  if (status == STATUS_OK)
    status = ipc_kept_take(&content, update->plan, update->dictionaries->budget, error);
  if (status == STATUS_OK) *kept = content;
  return status;
}

/* All dictionaries': one may have others in its values. */
static enum status copy_all(struct update *update, struct error *error) {
  struct ipc_dictionaries *dictionaries = update->dictionaries;
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < dictionaries->count && status == STATUS_OK; i++) {
    struct dictionary *dictionary = &dictionaries->list[i];
    status = copy_content(update, dictionary, &dictionary->sent, dictionary->sent_from, error);
    if (status == STATUS_OK)
      status =
          copy_content(update, dictionary, &dictionary->pending, dictionary->pending_from, error);
  }
  return status;
}

/* ---- comparing ------------------------------------------------------------------------- */

static const struct ipc_kept *in_force(const struct dictionary *dictionary) {
  return dictionary->pending.is_there ? &dictionary->pending : &dictionary->sent;
}

/* What is in force of a dictionary inside a dictionary's values. */
static const struct ipc_kept *find_kept(const void *context, const struct layout *values) {
  const struct ipc_dictionaries *dictionaries = context;
  return in_force(&dictionaries->list[dictionaries->places[values->index].dictionary]);
}

static struct ArrowArray first_slots(const struct ArrowArray *array, int64_t length) {
  struct ArrowArray cut = *array;
  if (length < array->length) cut.null_count = -1;
  cut.length = length;
  return cut;
}

/* Whether the two begin with the same values, as many as the shorter one has. */
static enum status compare_values(const struct ipc_dictionaries *dictionaries,
                                  const struct layout *layout, const struct ipc_kept *kept,
                                  const struct ArrowArray *array, enum change *change,
                                  struct error *error) {
  struct ArrowArray before = {.release = NULL};
  struct error where = {.status = STATUS_OK};
  int64_t length = array->length < kept->length ? array->length : kept->length;
  enum status status = arrow_array_check(layout->schema, array, ARRAY_CHECK_FULL, error);
  if (status == STATUS_OK)
    status = ipc_kept_array(kept, layout, find_kept, dictionaries, &before, error);
  if (status != STATUS_OK) return status;
  struct ArrowArray left = first_slots(&before, length);
  struct ArrowArray right = first_slots(array, length);
  bool same = arrow_array_equal(layout->schema, &left, &right, &where);
  arrow_array_release(&before);
  if (!same && where.status == STATUS_NOMEM)
    return error_set(error, STATUS_NOMEM, "no memory for comparing dictionaries");
  if (same) *change = array->length > kept->length ? GROWN : SAME;
  return STATUS_OK;
}

/* The plan may hold anything afterwards. */
static enum status compare_content(struct update *update, const struct dictionary *dictionary,
                                   const struct ArrowArray *array, enum change *change,
                                   struct error *error) {
  struct ipc_dictionaries *dictionaries = update->dictionaries;
  const struct ipc_kept *kept = &dictionary->sent;
  bool same = false;
  *change = OTHER;
  enum status status =
      ipc_plan_column(update->plan, dictionary->values, array, 0, array->length, error);
  if (status == STATUS_OK)
    status = ipc_kept_same(kept, update->plan, &dictionaries->scratch, &same, error);
  if (same) *change = SAME;
  if (status != STATUS_OK || same || !dictionaries->rules.deltas) return status;
  if (array->length > kept->length) {
    status = ipc_plan_column(update->plan, dictionary->values, array, 0, kept->length, error);
    if (status == STATUS_OK)
      status = ipc_kept_same(kept, update->plan, &dictionaries->scratch, &same, error);
    if (same) *change = GROWN;
  }
  if (status == STATUS_OK && !same) status = copy_all(update, error);
  if (status != STATUS_OK || same) return status;
  return compare_values(dictionaries, dictionary->values, kept, array, change, error);
}

static enum status compare(struct update *update, struct dictionary *dictionary,
                           const struct ArrowArray *array, enum change *change,
                           struct error *error) {
  struct arrow_shared *from = array_tree_shared(array);
  *change = SAME;
  if (from != NULL && from == dictionary->sent_from) return STATUS_OK;
  enum status status =
      copy_content(update, dictionary, &dictionary->sent, dictionary->sent_from, error);
  if (status == STATUS_OK) status = compare_content(update, dictionary, array, change, error);
  if (status == STATUS_OK && *change == SAME) hold(&dictionary->sent_from, from);
  return status;
}

/* ---- sending --------------------------------------------------------------------------- */

static enum status refuse(const struct layout *layout, struct error *error) {
  return error_set(
      error, STATUS_UNSUPPORTED,
      "column \"%s\": its dictionary does not begin with the values of the one before, "
      "and a file cannot replace a dictionary; write a stream, or give all batches "
      "the same dictionary",
      layout_name(layout));
}

/* Keeps the dictionary as a whole, and sends it, or what it has grown by. */
static enum status send(struct update *update, struct dictionary *dictionary,
                        const struct ArrowArray *array, bool is_delta, struct error *error) {
  const struct layout *values = dictionary->values;
  int64_t sent = dictionary->sent.length;
  enum status status = ipc_plan_column(update->plan, values, array, 0, array->length, error);
  if (status == STATUS_OK) status = keep(update, dictionary, array, error);
  if (status == STATUS_OK && is_delta)
    status = ipc_plan_column(update->plan, values, array, sent, array->length - sent, error);
  return status == STATUS_OK ? update->send(update->context, values->index, is_delta, error)
                             : status;
}

/* `*replaced` tells that a dictionary inside this one's values became another, so that what
 * its indices meant is gone; and tells the same of this one afterwards. */
static enum status update_dictionary(struct update *update, const struct layout *layout,
                                     const struct ArrowArray *array, bool *replaced,
                                     struct error *error) {
  struct ipc_dictionaries *dictionaries = update->dictionaries;
  struct dictionary *dictionary =
      &dictionaries->list[dictionaries->places[layout->dictionary->index].dictionary];
  enum change change = OTHER;
  enum status status = STATUS_OK;
  if (dictionary->sent.is_there && !*replaced)
    status = compare(update, dictionary, array, &change, error);
  if (status != STATUS_OK || change == SAME) return status;
  /* Not every reader can append to values that have dictionaries themselves. */
  if (dictionaries->places[layout->dictionary->index].leads && !dictionaries->rules.no_replacements)
    change = OTHER;
  *replaced = dictionary->sent.is_there && change == OTHER;
  if (*replaced && dictionaries->rules.no_replacements) return refuse(layout, error);
  return send(update, dictionary, array, change == GROWN, error);
}

/* Recursion follows the layout, whose depth is bounded. */
static enum status update_below(struct update *update, const struct layout *layout,
                                const struct ArrowArray *array, bool *replaced,
                                struct error *error) {
  if (!update->dictionaries->places[layout->index].leads) return STATUS_OK;
  enum status status = layout_check(layout, array, 0, array->length, error);
  for (int64_t i = 0; i < layout->child_count && status == STATUS_OK; i++)
    status = update_below(update, &layout->children[i], array->children[i], replaced, error);
  if (status != STATUS_OK || layout->dictionary == NULL) return status;
  bool replaced_inside = false;
  status = update_below(update, layout->dictionary, array->dictionary, &replaced_inside, error);
  if (status == STATUS_OK)
    status = update_dictionary(update, layout, array->dictionary, &replaced_inside, error);
  *replaced = *replaced || replaced_inside;
  return status;
}

enum status ipc_dictionaries_update(struct ipc_dictionaries *dictionaries,
                                    const struct ArrowArray *batch, struct ipc_plan *plan,
                                    ipc_dictionary_send send_planned, void *context,
                                    struct error *error) {
  struct update update = {dictionaries, plan, send_planned, context};
  bool replaced = false;
  return update_below(&update, dictionaries->layout, batch, &replaced, error);
}

void ipc_dictionaries_settle(struct ipc_dictionaries *dictionaries, bool went_well) {
  for (int64_t i = 0; i < dictionaries->count; i++) {
    struct dictionary *dictionary = &dictionaries->list[i];
    if (!dictionary->pending.is_there) continue;
    if (went_well) {
      ipc_kept_release(&dictionary->sent);
      dictionary->sent = dictionary->pending;
      dictionary->pending = (struct ipc_kept){.is_there = false};
      hold(&dictionary->sent_from, dictionary->pending_from);
    }
    ipc_kept_release(&dictionary->pending);
    hold(&dictionary->pending_from, NULL);
  }
}
