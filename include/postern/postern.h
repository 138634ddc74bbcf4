/* postern/postern.h: everything a plugin may use. */
#ifndef POSTERN_H
#define POSTERN_H

#include <postern/abi.h>
#include <postern/delivery.h>
#include <postern/directory.h>
#include <postern/mail.h>
#include <postern/option.h>
#include <postern/plugin.h>
#include <postern/services.h>
#include <postern/stream.h>
#include <postern/types.h>

#endif
