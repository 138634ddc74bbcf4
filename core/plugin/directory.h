/* plugin/directory.h: asking directories, and for the router the resolver: each question once,
 * however many wait for it, and not for ever. */
#ifndef PLUGIN_DIRECTORY_H
#define PLUGIN_DIRECTORY_H

#include "plugin/host.h"
#include "route/answers.h"
#include "route/expand.h"

/* One who waits for an answer. */
struct directory_wait;

/* Asks. done is called once, from the loop and never before this has returned, when the answer, or
 * that there is none, is in route_answers_of the hosts' table; also when the hosts are freed. */
struct directory_wait *directory_ask(struct hosts *hs, const struct route_need *n,
                                     void (*done)(void *ctx), void *ctx);
void directory_forget(struct directory_wait **w); /* NULL is fine; clears *w */

/* Numbers for `postern status`: answers kept, and each directory's questions. New reference; NULL
 * when there are no directories. */
json_t *directory_status(struct hosts *hs);

#endif
