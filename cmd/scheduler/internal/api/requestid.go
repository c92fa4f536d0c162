package api

import (
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
func (f *front) withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		given := givenRequestID(req.Header)
		rc := messaging.Identity{RequestID: given, GlobalRequestID: given}.RequestContext()
		w.Header().Set(requestIDHeader, rc.RequestID())
		w.Header().Set(plainRequestIDHeader, rc.RequestID())
		next.ServeHTTP(w, req.WithContext(messaging.WithRequestContext(req.Context(), rc)))
	})
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
