/* A job is run once by a worker, then answered on the loop. The struct lives until
 * both are over, the work and the exchange, whichever is last: both ends meet on the
 * loop's thread. */
#include "server/private.h"

#include <stdlib.h>

static void job_free(struct job *job) {
  request_end(&job->request);
  text_release(&job->body);
  free(job);
}

static void job_run(void *context) {
  struct job *job = context;
  job->status = job->work(job, &job->error);
  task_retire(&job->task);
  net_loop_post(job->request.server->loop, &job->post);
}

static void job_answer(void *context) {
  struct job *job = context;
  job->done = true;
  if (job->request.exchange == NULL) {
    job_free(job);
    return;
  }
  if (job->status == STATUS_OK)
    respond_json(job->request.exchange, &job->body);
  else
    respond_problem(job->request.exchange, job->status, &job->error);
}

static void job_finished(struct request *request) {
  struct job *job = (struct job *)request;
  if (job->done) job_free(job);
}

void job_start(struct call *call, const struct table_name *name,
               enum status (*work)(struct job *job, struct error *error)) {
  job_start_at(call, name, -1, -1, work);
}

void job_start_at(struct call *call, const struct table_name *name, int64_t version, int64_t limit,
                  enum status (*work)(struct job *job, struct error *error)) {
  struct job *job = calloc(1, sizeof *job);
  if (job == NULL) {
    struct error error;
    error_set(&error, STATUS_NOMEM, "no memory for a request");
    respond_problem(call->exchange, STATUS_NOMEM, &error);
    return;
  }
  request_begin(&job->request, call, job_finished);
  job->work = work;
  job->version = version;
  job->limit = limit;
  if (name != NULL) job->name = *name;
  job->post.run = job_answer;
  job->post.context = job;
  task_init(&job->task, call->server->workers, job_run, job);
  task_wake(&job->task);
}
