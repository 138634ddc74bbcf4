/* route/shadow.h: rows that can never match. Private to core/route/. */
#ifndef ROUTE_SHADOW_H
#define ROUTE_SHADOW_H

#include "route/table.h"

/* The row that takes all that this one would, before it; NULL: none certainly does. */
const struct route_row *route_shadow(const struct route_table *t, const struct route_row *row);

#endif
