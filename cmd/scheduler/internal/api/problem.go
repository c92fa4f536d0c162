package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/messaging"
)

// retryAfter is in how many seconds a client may come again when the bus is not there.
const retryAfter = 5

// Problem is why a request was not served (RFC 9457).
type Problem struct {
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Field     string `json:"field,omitempty"` // that is wrong: flavor.vcpus
	RequestID string `json:"request_id"`

	allow string // for the header Allow
	err   error  // for the log
}

func (p *Problem) Error() string {
	if p.err != nil {
		return p.err.Error()
	}
	return p.Detail
}

// Unwrap is what happened on the bus, if that was the reason.
func (p *Problem) Unwrap() error { return p.err }

// wrongField tells that a field of the request is not what it must be.
func wrongField(field, format string, args ...any) error {
	return &Problem{Status: http.StatusBadRequest, Field: field, Detail: fmt.Sprintf(field+": "+format, args...)}
}

func badRequest(format string, args ...any) error {
	return &Problem{Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...)}
}

// problemOf is what an error is to the client. Texts of errors that are not about its own request stay on this side: they tell
// of the inside.
func problemOf(err error) *Problem {
	var (
		p      *Problem
		none   *nova.NoValidHostError
		remote *messaging.RemoteError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &none):
		return &Problem{Status: http.StatusConflict, Detail: none.Error(), err: err}
	case errors.As(err, &remote):
		return &Problem{Status: http.StatusBadGateway, Detail: "the scheduler failed", err: err}
	}
	return problemOfBus(err)
}

// problemOfBus asks first what a timeout was about: one for want of a broker or of a scheduler means that nothing runs, and
// that the request may be sent again.
func problemOfBus(err error) *Problem {
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	switch {
	case is(messaging.ErrUndeliverable):
		return unavailable("no scheduler is there", err)
	case is(messaging.ErrBlocked, messaging.ErrRejected):
		return unavailable("the bus takes no messages for now", err)
	case is(messaging.ErrTooManySenders):
		return unavailable("too many requests are under way", err)
	case is(messaging.ErrNotConnected, messaging.ErrClosed):
		return unavailable("the bus is not there", err)
	case is(messaging.ErrConnectionLost, messaging.ErrReplyPathLost):
		return unavailable("the connection to the bus was lost; the request may have run", err)
	case is(messaging.ErrTimeout, messaging.ErrUnconfirmed, context.DeadlineExceeded):
		return &Problem{Status: http.StatusGatewayTimeout, Detail: "no scheduler answered in time; the request may run still", err: err}
	case is(messaging.ErrTooLarge):
		return &Problem{Status: http.StatusRequestEntityTooLarge, Detail: "the request is longer than the bus carries", err: err}
	case is(errNoAnswer):
		return &Problem{Status: http.StatusBadGateway, Detail: "the scheduler's answer is none", err: err}
	}
	return &Problem{Status: http.StatusInternalServerError, Detail: "the request failed", err: err}
}

// errNoAnswer tells that a scheduler answered what does not fit the question.
var errNoAnswer = errors.New("the answer does not fit the question")

func unavailable(detail string, err error) *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Detail: detail, err: err}
}

// write sends a copy: a problem may be that of many requests.
func (p *Problem) write(w http.ResponseWriter, req *http.Request) {
	sent := *p
	sent.Title = http.StatusText(p.Status)
	sent.RequestID, _ = messaging.RequestIDs(req.Context())
	if p.allow != "" {
		w.Header().Set("Allow", p.allow)
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	writeJSON(w, "application/problem+json", p.Status, sent)
}

// Refuse answers what the server does not hand to the handler of [NewHandler], or takes from it, with a problem as well: a
// request with the context of [RequestContext] that exceeds a limit, or whose handler has panicked.
func Refuse(w http.ResponseWriter, req *http.Request, status int) {
	p := &Problem{Status: status, Detail: "the request failed"}
	switch status {
	case http.StatusRequestURITooLong:
		p.Detail = "the URL is too long"
	case http.StatusRequestHeaderFieldsTooLarge:
		p.Detail = "a line of the header is too long"
	}
	tellRequestID(w, req)
	p.write(w, req)
}

// rawJSON is encoded already.
type rawJSON []byte

func writeJSON(w http.ResponseWriter, contentType string, status int, body any) {
	text, raw := body.(rawJSON)
	if !raw {
		var err error
		if text, err = json.Marshal(body); err != nil {
			panic("the answers of this package are always JSON: " + err.Error())
		}
		text = append(text, '\n')
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that is gone is none of ours
}
