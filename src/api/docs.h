/* The page that shows the API's description, embedded by embed-docs.py. Constant. */
#ifndef SLUICE_API_DOCS_H
#define SLUICE_API_DOCS_H

#include <stddef.h>

extern const unsigned char api_docs_page[], api_docs_page_gzip[]; /* docs.html, and the same compressed */
extern const size_t api_docs_page_size, api_docs_page_gzip_size;
extern const char
	api_docs_policy[]; /* Content-Security-Policy: its own script and style, and requests to the same server */
extern const char api_docs_digest[]; /* 32 hex digits of what the page is */

#endif
