package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/serializer"
)

// instance has what the two codecs write differently.
type instance struct {
	Name    string         `json:"name"`
	Size    uint64         `json:"size"`
	Ratio   float64        `json:"ratio"`
	Image   []byte         `json:"image"`
	Created time.Time      `json:"created"`
	Tags    []string       `json:"tags"`
	Extra   map[string]any `json:"extra"`
	Parent  *instance      `json:"parent"`
}

func someInstance() instance {
	return instance{
		Name: "é\u2028\x7f", Size: 1<<64 - 1, Ratio: 1, Image: []byte("bits"), Created: time.Date(2026, 11, 22, 1, 2, 3, 4000, time.UTC),
		Tags: []string{"a", ""}, Extra: map[string]any{"on": true, "nothing": nil, "text": "b"}, Parent: &instance{Name: "parent"},
	}
}

// TestServerAnswersInTheCallersCodec has one server for callers of both.
func TestServerAnswersInTheCallersCodec(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := echo()
		messaging.HandleArg(ep, "same", "instance", func(_ context.Context, i instance) (instance, error) { return i, nil })
		messaging.HandleArg(ep, "kind", "value", func(_ context.Context, v any) (string, error) { return fmt.Sprintf("%T", v), nil })
		b.serve(t, []*messaging.Endpoint{ep})
		for name, c := range map[string]struct {
			client *messaging.Client
			bytes  string // what a []byte is in an interface
		}{
			"JSON":    {b.newClient(t), "string"},
			"msgpack": {b.newClient(t, messaging.WithSerializer(serializer.Msgpack)), "[]uint8"},
		} {
			want := someInstance()
			got, err := messaging.Call[instance](t.Context(), c.client, "same", map[string]any{"instance": want})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: came back otherwise (-want +got):\n%s", name, diff)
			}
			kind, err := messaging.Call[string](t.Context(), c.client, "kind", map[string]any{"value": []byte{1}})
			if err != nil || kind != c.bytes {
				t.Errorf("%s: the method sees bytes as %s, %v; want %s", name, kind, err, c.bytes)
			}
			var remote *messaging.RemoteError
			if err := c.client.Call(t.Context(), "nope", nil, nil); !errors.Is(err, messaging.ErrNoSuchMethod) ||
				!errors.As(err, &remote) || len(remote.Args) != 1 {
				t.Errorf("%s: Call = %v (%+v), want ErrNoSuchMethod with one argument", name, err, remote)
			}
			if err := c.client.Call(t.Context(), "echo", map[string]any{"valu": 1}, nil); !errors.As(err, &remote) || remote.Class != "TypeError" {
				t.Errorf("%s: Call with an unknown argument = %v, want TypeError", name, err)
			}
			if err := c.client.Call(t.Context(), "echo", "no object", nil); err == nil || errors.As(err, &remote) {
				t.Errorf("%s: Call with arguments that are no object = %v, want an error before anything is sent", name, err)
			}
			if err := c.client.Call(t.Context(), "echo", map[string]any{"value": nil}, nil); err != nil {
				t.Errorf("%s: Call without a result = %v", name, err)
			}
		}
	})
}

// TestRequestContextChangesItsCodecOnTheWay passes a context on through a server that was called in one codec and
// calls in the other.
func TestRequestContextChangesItsCodecOnTheWay(t *testing.T) {
	t.Parallel()
	want := messaging.RequestContext{"user_id": "u-1", "roles": []any{"admin", "member"}, "is_admin": true, "project_id": nil}
	for _, c := range []struct{ first, second serializer.Serializer }{
		{serializer.JSON, serializer.JSON},
		{serializer.JSON, serializer.Msgpack},
		{serializer.Msgpack, serializer.JSON},
		{serializer.Msgpack, serializer.Msgpack},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			ep := messaging.NewEndpoint()
			onward := b.newClient(t, messaging.WithSerializer(c.second))
			messaging.Handle(ep, "pass", func(ctx context.Context, _ struct{}) (any, error) {
				return messaging.Call[any](ctx, onward, "context", nil)
			})
			messaging.Handle(ep, "context", func(ctx context.Context, _ struct{}) (any, error) {
				return messaging.RequestContextFrom(ctx), nil
			})
			b.serve(t, []*messaging.Endpoint{ep})
			client := b.newClient(t, messaging.WithSerializer(c.first), messaging.WithCallMonitor(3*time.Second))
			got, err := messaging.Call[messaging.RequestContext](messaging.WithRequestContext(t.Context(), want), client, "pass", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got["client_timeout"] != nil {
				t.Errorf("%T to %T: the second server sees the first one's client_timeout %v", c.first, c.second, got["client_timeout"])
			}
			delete(got, "client_timeout")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%T to %T: the context arrived otherwise (-want +got):\n%s", c.first, c.second, diff)
			}
		})
	}
}

// shaping is JSON that renames a key of the request context.
type shaping struct{ serializer.Serializer }

func (shaping) SerializeContext(rc map[string]any) map[string]any {
	return map[string]any{"sent": rc["user_id"]}
}

func (shaping) DeserializeContext(rc map[string]any) map[string]any {
	return map[string]any{"user_id": fmt.Sprint("from ", rc["sent"])}
}

func TestSerializerCanShapeTheRequestContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := messaging.NewEndpoint()
		messaging.Handle(ep, "who", func(ctx context.Context, _ struct{}) (string, error) {
			return messaging.RequestContextFrom(ctx).UserID(), nil
		})
		shape := messaging.WithSerializer(shaping{serializer.JSON})
		b.serve(t, []*messaging.Endpoint{ep}, shape)
		ctx := messaging.WithRequestContext(t.Context(), messaging.RequestContext{"user_id": "u-1", "secret": "x"})
		if got, err := messaging.Call[string](ctx, b.newClient(t, shape), "who", nil); err != nil || got != "from u-1" {
			t.Errorf("Call = %q, %v; want both halves to have shaped it", got, err)
		}
	})
}

type foreignSerializer struct{ serializer.Serializer }

func (foreignSerializer) ContentType() string { return "application/xml" }

func TestSerializerMustHaveAContentTypeOfTheBus(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	for name, s := range map[string]serializer.Serializer{"nil": nil, "xml": foreignSerializer{serializer.JSON}} {
		opt := messaging.WithSerializer(s)
		if _, err := messaging.NewClient(b.client, messaging.Target{Topic: "t"}, opt); err == nil {
			t.Errorf("%s: NewClient took it", name)
		}
		if _, err := messaging.NewRPCServer(b.servers, messaging.Target{Topic: "t", Server: "s"}, []*messaging.Endpoint{echo()}, opt); err == nil {
			t.Errorf("%s: NewRPCServer took it", name)
		}
	}
}
