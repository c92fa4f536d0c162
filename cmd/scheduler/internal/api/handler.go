package api

import (
	"context"
	_ "embed"
	"net/http"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/messaging"
)

// Schedulers are those on the bus; [rpcapi.Scheduler] calls them. Errors are those of package messaging.
type Schedulers interface {
	SelectDestinations(ctx context.Context, args nova.SelectDestinationsArgs) ([][]nova.Selection, error)
	ListHosts(ctx context.Context) ([]nova.HostState, error)
	ReportCapacity(ctx context.Context, host nova.HostEntry) error
	Ping(ctx context.Context) error
}

// description is what the front serves, in OpenAPI 3.1.
//
//go:embed openapi.json
var description []byte

// front is the handler of requests.
type front struct {
	schedulers Schedulers
	log        logrus.FieldLogger
}

// endpoint answers one kind of request: with a status and a body, which is encoded as JSON, or with an error.
type endpoint func(*http.Request) (status int, body any, err error)

// NewHandler makes the front. The log gets an error for each request that failed on this side; an access log is the server's.
func NewHandler(s Schedulers, log logrus.FieldLogger) http.Handler {
	f := &front{schedulers: s, log: log}
	mux := http.NewServeMux()
	for path, methods := range f.endpoints() {
		var allowed []string
		for method, e := range methods {
			mux.Handle(method+" "+path, f.serve(e))
			allowed = append(allowed, method)
		}
		mux.Handle(path, f.serve(notAllowed(allowed)))
	}
	mux.Handle("/", f.serve(notFound))
	return withRequestID(mux)
}

func (f *front) endpoints() map[string]map[string]endpoint {
	return map[string]map[string]endpoint{
		"/v1/select_destinations": {http.MethodPost: f.selectDestinations},
		"/v1/hosts":               {http.MethodGet: f.listHosts},
		"/v1/hosts/{host}/report": {http.MethodPost: f.reportHost},
		"/v1/openapi.json":        {http.MethodGet: describe},
		"/healthz":                {http.MethodGet: f.health},
	}
}

func notFound(*http.Request) (int, any, error) {
	return 0, nil, &Problem{Status: http.StatusNotFound, Detail: "there is nothing at this path"}
}

func notAllowed(methods []string) endpoint {
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	allow := strings.Join(methods, ", ")
	return func(*http.Request) (int, any, error) {
		return 0, nil, &Problem{Status: http.StatusMethodNotAllowed, Detail: "want " + allow, allow: allow}
	}
}

func describe(*http.Request) (int, any, error) { return http.StatusOK, rawJSON(description), nil }

// serve answers by an endpoint.
func (f *front) serve(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		status, body, err := e(req)
		if err != nil {
			f.fail(w, req, err)
			return
		}
		writeJSON(w, "application/json", status, body)
	})
}

// logOf is the log with the request's id.
func (f *front) logOf(req *http.Request) logrus.FieldLogger {
	id, global := messaging.RequestIDs(req.Context())
	if global == "" {
		return f.log.WithField("request_id", id)
	}
	return f.log.WithFields(logrus.Fields{"request_id": id, "global_request_id": global})
}

// fail answers with what an error is to the client.
func (f *front) fail(w http.ResponseWriter, req *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		f.logOf(req).WithError(err).WithField("status", p.Status).Error("a request failed")
	}
	p.write(w, req)
}
