// Package api is the HTTP front of the schedulers, in the place of nova-api: it turns requests into calls and casts on the
// bus. What it serves is described in openapi.json (OpenAPI 3.1), which it serves itself under /v1/openapi.json.
//
// # Errors
//
// Every answer above 399 is a problem document (RFC 9457, application/problem+json) with title, status, detail, request_id
// and, where one field of the request is wrong, field:
//
//	400  the request is wrong, and will be as wrong the next time
//	409  no host has room: the request is right, and may succeed another time
//	413  the body is longer than 1 MiB, or what it becomes is longer than the bus carries
//	415  the body is not application/json
//	502  a scheduler failed, or answered what is no answer
//	503  the bus is not there, takes no messages, or nobody listens; Retry-After says when to come again
//	504  no scheduler answered in time: the request may run still
//
// # Request ids
//
// A request has the id in its header X-OpenStack-Request-ID, or else X-Request-ID, if that is req- and a UUID, and a new one if
// not. It travels with the calls on the bus, stands in every log line, and comes back in both headers.
package api
