package messaging

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/serializer"
	"github.com/goslo/goslo/transport"
)

// RequestContext is what travels with a request beside its arguments: who asks, for which project, under
// which request id. Values are what JSON holds; a peer sees integers as numbers of any size. Its methods read
// oslo.context's well-known keys; an [Identity] makes one with them.
type RequestContext map[string]any

type contextKey int

const (
	requestContextKey contextKey = iota
	insideKey
	rpcKey
)

// carried is a request context inside a context.Context: given by the user, or received and decoded when
// somebody asks for it.
type carried struct {
	given RequestContext

	entries    []transport.ContextEntry
	timeout    wire.Value
	serializer serializer.Serializer
	once       sync.Once
}

// WithRequestContext returns a context whose calls and casts carry rc. rc must not change afterwards.
func WithRequestContext(ctx context.Context, rc RequestContext) context.Context {
	return context.WithValue(ctx, requestContextKey, &carried{given: rc})
}

// RequestContextFrom returns the request context that ctx carries: in an endpoint method, what its caller sent,
// with the additional key client_timeout that oslo.messaging puts in (the caller's monitor timeout or nil). It is
// nil where there is none. The map must not be changed.
func RequestContextFrom(ctx context.Context) RequestContext {
	c, _ := ctx.Value(requestContextKey).(*carried)
	if c == nil {
		return nil
	}
	c.once.Do(c.decode)
	return c.given
}

// withReceived is a context with what came with a request.
func withReceived(ctx context.Context, req *transport.Request, s serializer.Serializer) context.Context {
	return context.WithValue(ctx, requestContextKey, &carried{entries: req.Context, timeout: req.MonitorTimeout, serializer: s})
}

func (c *carried) decode() {
	if c.serializer == nil {
		return
	}
	c.given = make(RequestContext, len(c.entries)+1)
	for _, entry := range c.entries {
		switch entry.Key {
		case "msg_id", "reply_q": // lost on the way in oslo.messaging
			continue
		}
		c.given[entry.Key] = decoded(entry.Value, c.serializer)
	}
	c.given["client_timeout"] = decoded(c.timeout, serializer.JSON)
	if cs, ok := c.serializer.(serializer.ContextSerializer); ok {
		c.given = cs.DeserializeContext(c.given)
	}
}

// decoded never fails for what has come over the wire, where all text was checked.
func decoded(v wire.Value, s serializer.Serializer) any {
	if v == nil {
		return nil
	}
	var value any
	if err := s.Decode(v, &value); err != nil {
		return nil
	}
	return value
}

// contextEntries are the entries that a request sent with ctx carries, sorted by key.
func contextEntries(ctx context.Context, s serializer.Serializer) ([]transport.ContextEntry, error) {
	c, _ := ctx.Value(requestContextKey).(*carried)
	if c == nil {
		return nil, nil
	}
	contexts, shaped := s.(serializer.ContextSerializer)
	if c.serializer != nil && c.serializer.ContentType() == s.ContentType() && !shaped {
		return c.entries, nil // received and passed on as it came
	}
	given := RequestContextFrom(ctx)
	if c.serializer != nil { // what a server adds for its methods is not the sender's
		given = maps.Clone(given)
		delete(given, "client_timeout")
	}
	if shaped {
		given = contexts.SerializeContext(given)
	}
	entries := make([]transport.ContextEntry, 0, len(given))
	for key, value := range given {
		encoded, err := s.Append(nil, value)
		if err != nil {
			return nil, err
		}
		entries = append(entries, transport.ContextEntry{Key: key, Value: encoded})
	}
	slices.SortFunc(entries, func(a, b transport.ContextEntry) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return entries, nil
}

// RequestIDs are the ids of the request that ctx belongs to, for what logs with a context: request_id and
// global_request_id, empty where there are none.
func RequestIDs(ctx context.Context) (id, globalID string) {
	rc := RequestContextFrom(ctx)
	return rc.RequestID(), rc.GlobalRequestID()
}
