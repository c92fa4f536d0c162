package memory_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport/memory"
)

func TestRawConsumerTakesMessagesAsTheyAre(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := memory.NewBroker(memory.Config{})
		c := b.Consume("q")
		publish := func(p memory.Publishing) {
			t.Helper()
			if err := b.Publish("", "q", p); err != nil {
				t.Fatal(err)
			}
		}
		next := func() (memory.Publishing, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return c.Next(ctx)
		}
		publish(memory.Publishing{Body: []byte("expired"), Expiration: -1})
		want := memory.Publishing{ContentType: "text/plain", Compression: "none", Body: []byte("no JSON")}
		publish(want)
		if got, err := next(); err != nil || !cmp.Equal(got, want) {
			t.Errorf("Next = %+v, %v; want %+v", got, err, want)
		}
		_, err := next()
		mustMatch(t, "Next without a message", err, context.DeadlineExceeded)

		publish(want)
		c.Close()
		c.Close()
		if got := b.Stats(); got.Queues["q"] != (memory.QueueStats{Waiting: 1, Bytes: 7}) || got.Acknowledged != 1 || got.Expired != 1 {
			t.Errorf("Stats() = %+v; want one message acknowledged, one expired, one back on its queue", got)
		}
		c = b.Consume("q")
		if got, err := next(); err != nil || !cmp.Equal(got, want) {
			t.Errorf("from the same queue: Next = %+v, %v; want %+v", got, err, want)
		}
	})
}
