/* flights/ and sources/: what a process that serves content is doing just now. Rows of the table of pages. */
#ifndef SLUICE_API_ACTIVITY_H
#define SLUICE_API_ACTIVITY_H

#include "api/api_priv.h"

extern api_action_fn api_page_flights, api_page_sources;

#define API_TEXT "{\"type\":\"string\"}"
#define API_TEXT_NULL "{\"type\":\"string\",\"nullable\":true}"
#define API_INTEGER "{\"type\":\"integer\"}"
#define API_INTEGER_NULL "{\"type\":\"integer\",\"nullable\":true}"
#define API_NUMBER "{\"type\":\"number\"}"
#define API_NUMBER_NULL "{\"type\":\"number\",\"nullable\":true}"
#define API_MOMENT_NULL "{\"type\":\"string\",\"format\":\"date-time\",\"nullable\":true}"
#define API_LIST_OF(members)                                                                                     \
	"{\"type\":\"object\",\"required\":[\"count\",\"results\"],\"properties\":{\"count\":" API_INTEGER       \
	",\"next\":" API_TEXT_NULL ",\"previous\":" API_TEXT_NULL ",\"results\":{\"type\":\"array\",\"items\":{" \
	"\"type\":\"object\",\"properties\":{" members "}}}}}"

#define API_FLIGHTS_SCHEMA                                                                                          \
	API_LIST_OF(                                                                                                \
		"\"id\":" API_INTEGER ",\"artifact\":" API_TEXT ",\"state\":" API_TEXT ",\"source\":" API_TEXT_NULL \
		",\"remote\":" API_TEXT_NULL ",\"remote_name\":" API_TEXT_NULL ",\"size\":" API_INTEGER_NULL        \
		",\"bytes\":" API_INTEGER ",\"rate\":" API_INTEGER ",\"readers\":" API_INTEGER                      \
		",\"ranges\":" API_INTEGER ",\"resumes\":" API_INTEGER ",\"age\":" API_NUMBER)
#define API_SOURCES_SCHEMA                                                                                     \
	API_LIST_OF(                                                                                           \
		"\"remote\":" API_TEXT_NULL ",\"remote_name\":" API_TEXT_NULL ",\"origin\":" API_TEXT          \
		",\"state\":" API_TEXT ",\"open_requests\":" API_INTEGER ",\"waiting_requests\":" API_INTEGER  \
		",\"answers\":" API_INTEGER ",\"failures\":" API_INTEGER ",\"backoff_until\":" API_MOMENT_NULL \
		",\"last_error\":" API_TEXT_NULL ",\"first_byte_ms\":" API_NUMBER_NULL ",\"hedge_ms\":" API_NUMBER)

#endif
