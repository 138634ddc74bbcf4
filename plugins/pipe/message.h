/* message.h: the message as a command gets it: a file, which it reads as its standard input or by
 * name. So a command that does not read, or stops reading, holds nobody up. Blocks: for threads. */
#ifndef PIPE_MESSAGE_H
#define PIPE_MESSAGE_H

#include "run.h"

/* Makes run->in. 0 or -errno, with run->problem set. */
int message_make(struct run *run);
/* Takes away the file that a command was given by name, if it is still there. */
void message_remove(struct run *run);
/* Takes away what workers that were killed have left in the folder. */
void message_sweep(const char *folder, uid_t command_uid);
/* A new file's name. */
int message_name(const char *folder, char *buf, size_t size);

#endif
