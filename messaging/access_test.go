package messaging_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/goslo/goslo/messaging"
)

// TestAccessPoliciesDecideByTheName is the table of oslo_messaging/rpc/dispatcher.py: a method that is not
// allowed looks like one that does not exist, and a later endpoint may have it.
func TestAccessPoliciesDecideByTheName(t *testing.T) {
	t.Parallel()
	const no = "NoSuchMethod"
	for _, c := range []struct {
		name                       string
		policy                     messaging.AccessPolicy
		public, private            string
		exposed, exposedAndPrivate string
	}{
		{"default", messaging.DefaultAccessPolicy, "1", no, "1", no},
		{"legacy", messaging.LegacyAccessPolicy, "1", "1", "1", "1"},
		{"explicit", messaging.ExplicitAccessPolicy, no, no, "1", "1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t)
			ep := messaging.NewEndpoint()
			one := func(context.Context, struct{}) (string, error) { return "1", nil }
			messaging.Handle(ep, "public", one)
			messaging.Handle(ep, "_private", one)
			messaging.Handle(ep, "exposed", one, messaging.Exposed())
			messaging.Handle(ep, "_exposed", one, messaging.Exposed())
			b.serve(t, []*messaging.Endpoint{ep}, messaging.WithAccessPolicy(c.policy))
			client := b.newClient(t)
			for method, want := range map[string]string{
				"public": c.public, "_private": c.private, "exposed": c.exposed, "_exposed": c.exposedAndPrivate,
			} {
				got, err := messaging.Call[string](t.Context(), client, method, nil)
				var remote *messaging.RemoteError
				if errors.As(err, &remote) {
					got = remote.Class
				}
				if got != want {
					t.Errorf("%s policy: %s gives %s (%v), want %s", c.name, method, got, err, want)
				}
			}
		})
	}
}

func TestMethodThatThePolicyRefusesIsLookedForInLaterEndpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		hidden, shown := messaging.NewEndpoint(), messaging.NewEndpoint()
		messaging.Handle(hidden, "who", func(context.Context, struct{}) (string, error) { return "hidden", nil })
		messaging.Handle(shown, "who", func(context.Context, struct{}) (string, error) { return "shown", nil }, messaging.Exposed())
		b.serve(t, []*messaging.Endpoint{hidden, shown}, messaging.WithAccessPolicy(messaging.ExplicitAccessPolicy))
		if got, err := messaging.Call[string](t.Context(), b.newClient(t), "who", nil); got != "shown" {
			t.Errorf("Call = %q, %v; want the endpoint that exposes the method", got, err)
		}
	})
}

func TestAuthorizerSeesTheRequestAndRefusesBeforeTheMethodRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := messaging.NewEndpoint(messaging.WithNamespace("admin"))
		ran := 0
		messaging.HandleCast(ep, "drop", func(context.Context, struct{}) error { ran++; return nil })
		chosen := &messaging.RemoteError{Module: "nova.exception", Class: "Forbidden", Message: "no"}
		b.serve(t, []*messaging.Endpoint{ep}, messaging.WithAuthorizer(func(_ context.Context, a messaging.Access) error {
			if a.Method != "drop" || a.Namespace != "admin" || a.UserID != "" {
				t.Errorf("the authorizer sees %+v", a)
			}
			switch a.Context["user_id"] {
			case "root":
				return nil
			case "guest":
				return chosen
			}
			return errors.New("who are you?")
		}))
		client := b.newClient(t, messaging.ToNamespace("admin"))
		for user, want := range map[string]string{
			"root": "", "guest": "remote nova.exception.Forbidden: no", "nobody": "remote PermissionError: who are you?",
		} {
			ctx := messaging.WithRequestContext(t.Context(), messaging.RequestContext{"user_id": user})
			err := client.Call(ctx, "drop", nil, nil)
			if got := text(err); got != want {
				t.Errorf("%s: Call = %s, want %q", user, got, want)
			}
		}
		if ran != 1 {
			t.Errorf("the method ran %d times, want once, for root", ran)
		}
	})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestAuthorizerIsNotAskedForWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		server := b.serve(t, []*messaging.Endpoint{echo()}, messaging.WithAuthorizer(func(context.Context, messaging.Access) error {
			return errors.New("asked")
		}))
		client := b.newClient(t)
		var remote *messaging.RemoteError
		if err := client.Call(t.Context(), "nope", nil, nil); !errors.As(err, &remote) || remote.Class != "NoSuchMethod" {
			t.Errorf("Call of an unknown method = %v, want NoSuchMethod", err)
		}
		if err := client.Call(t.Context(), "echo", nil, nil); !errors.As(err, &remote) || remote.Class != "PermissionError" {
			t.Errorf("Call = %v, want PermissionError", err)
		}
		if stats := server.Stats(); stats.Refused != 2 || stats.Failed != 0 {
			t.Errorf("stats = %+v, want two refused", stats)
		}
	})
}

// TestPolicyThatPanicsCostsNoMessage: the policy is asked before the request is acknowledged.
func TestPolicyThatPanicsCostsNoMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		policy := policyFunc(func(method string, _ bool) bool {
			if method == "panic" {
				panic("undecided")
			}
			return true
		})
		b.serve(t, []*messaging.Endpoint{echo()}, messaging.WithAccessPolicy(policy))
		client := b.newClient(t)
		var remote *messaging.RemoteError
		if err := client.Call(t.Context(), "panic", nil, nil); !errors.As(err, &remote) || remote.Class != "RuntimeError" {
			t.Errorf("Call = %v, want a RuntimeError", err)
		}
		if err := client.Call(t.Context(), "echo", map[string]int{"value": 1}, nil); err != nil {
			t.Errorf("the next call = %v", err)
		}
		if queue := b.broker.Stats().Queues["t"]; queue.Unacknowledged != 0 {
			t.Errorf("the queue has %+v, want nothing unacknowledged", queue)
		}
	})
}

type policyFunc func(method string, exposed bool) bool

func (f policyFunc) Allowed(method string, exposed bool) bool { return f(method, exposed) }
