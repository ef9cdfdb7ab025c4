/* Which part of the server answers which path. On the loops; never blocks. */
#ifndef SLUICE_CMD_ROUTE_H
#define SLUICE_CMD_ROUTE_H

#include "http/http.h"

/* Constant while the loops run. */
struct route {
	const char *content_prefix;  /* begins and ends with '/' */
	http_handler *content, *api; /* NULL: this process does not have the role */
	http_handler *redirect;      /* of the role redirect; content's argument */
	void *content_arg, *api_arg;
};

/* An http_handler; arg is a struct route. */
void route_handler(struct http_x *x, const struct http_request *r, void *route);

#endif
