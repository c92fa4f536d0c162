package messaging_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goslo/goslo/messaging"
)

// waitForTheOtherShoe has a name that is found in a stack.
func waitForTheOtherShoe(d time.Duration) { <-time.After(d) }

func TestStuckMethodIsLoggedOnceWithItsStack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		ep := messaging.NewEndpoint()
		messaging.HandleArg(ep, "work", "seconds", func(_ context.Context, seconds int) (any, error) {
			waitForTheOtherShoe(time.Duration(seconds) * time.Second)
			return nil, nil
		})
		b.serve(t, []*messaging.Endpoint{ep}, messaging.WithStuckAfter(10*time.Second))
		client := b.newClient(t, messaging.WithTimeout(time.Hour))
		for _, seconds := range []int{9, 60} {
			if err := client.Call(t.Context(), "work", map[string]int{"seconds": seconds}, nil); err != nil {
				t.Fatal(err)
			}
		}
		const line = "the endpoint method is stuck"
		if got := b.count(line); got != 1 {
			t.Fatalf("%d lines about stuck methods, want one about that of a minute", got)
		}
		for _, entry := range b.logs.AllEntries() {
			if entry.Message != line {
				continue
			}
			if stack, _ := entry.Data["stack"].(string); !strings.Contains(stack, "waitForTheOtherShoe") || strings.Contains(stack, "\n\n") {
				t.Errorf("the stack is %q, want that of the method alone", stack)
			}
			if entry.Data["method"] != "work" || entry.Data["elapsed"] != 10*time.Second {
				t.Errorf("the line has %v, want the method and the time", entry.Data)
			}
		}
	})
}
