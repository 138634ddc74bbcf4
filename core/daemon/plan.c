/* daemon/plan.c: a configuration with everything that can be known of it before anything starts. */
#include <errno.h>

#include "daemon/daemon.h"

int plan_load(const void *snapshot, size_t len, enum plan_use use, struct plan *ret,
              struct config_errors *errors)
{
    *ret = (struct plan){ 0 };
    config_load_snapshot(snapshot, len, &ret->config, errors);
    if (!ret->config)
        return -EINVAL;
    if (use == PLAN_JUDGE)
        config_keep_files(ret->config);
    ret->catalog = plugin_catalog_new();
    plugin_resolve(ret->catalog, ret->config, errors);
    if (use == PLAN_JUDGE)
        route_compile(ret->config, &ret->routes, errors);
    else
        route_compile_again(ret->config, &ret->routes, errors);
    if (!errors->n) /* else it would repeat what config/verify.c has said with the better place */
        queue_check(ret->config, errors);
    return errors->n ? -EINVAL : 0;
}

void plan_done(struct plan *p)
{
    route_free(&p->routes);
    config_free(&p->config);
    plugin_catalog_free(&p->catalog);
}
