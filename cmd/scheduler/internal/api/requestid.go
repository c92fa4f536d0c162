package api

import (
	"context"
	"net/http"
	"regexp"

	"github.com/goslo/goslo/messaging"
)

// Headers with a request's id: OpenStack's own, which goes first, and what proxies send.
const (
	requestIDHeader      = "X-Openstack-Request-Id"
	plainRequestIDHeader = "X-Request-Id"
)

// requestID is the form of ids that are taken (oslo_context's generate_request_id makes such); others could be anything, and
// go into logs.
var requestID = regexp.MustCompile(`^req-[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// withRequestID gives a request its id: on the context with which calls are made and lines are logged, and in the answer.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if id, _ := messaging.RequestIDs(req.Context()); id == "" {
			req = req.WithContext(RequestContext(req))
		}
		tellRequestID(w, req)
		next.ServeHTTP(w, req)
	})
}

func tellRequestID(w http.ResponseWriter, req *http.Request) {
	id, _ := messaging.RequestIDs(req.Context())
	w.Header().Set(requestIDHeader, id)
	w.Header().Set(plainRequestIDHeader, id)
}

// RequestContext is the context of a request with its id, for a server that logs by it before and after the handler.
func RequestContext(req *http.Request) context.Context {
	given := givenRequestID(req.Header)
	rc := messaging.Identity{RequestID: given, GlobalRequestID: given}.RequestContext()
	return messaging.WithRequestContext(req.Context(), rc)
}

// givenRequestID is the id that the client has given, empty where it has given none that is one.
func givenRequestID(h http.Header) string {
	for _, name := range []string{requestIDHeader, plainRequestIDHeader} {
		if id := h.Get(name); requestID.MatchString(id) {
			return id
		}
	}
	return ""
}
