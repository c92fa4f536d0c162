package transporttest

import (
	"testing"

	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

var countTests = []test{
	{"the listeners of a topic and of a server are counted", countListeners},
	{"what waits for nobody counts for none", countNobody},
	{"a fanout has no number of listeners", countFanout},
}

// wantListeners counts with the client's driver. It waits: a broker may tell of what has just come or gone a moment later.
func (b *bus) wantListeners(t *testing.T, on target.Target, want int) {
	t.Helper()
	ctx := patient(t)
	for {
		got, err := b.client.(transport.ConsumerCounter).Consumers(ctx, on)
		if err != nil {
			t.Fatalf("listeners of %s: %v, want %d", on, err, want)
		}
		if got == want {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("listeners of %s: %d, want %d", on, got, want)
		}
		pass(t, moment/10)
	}
}

func countListeners(t *testing.T, b *bus) {
	b.wantListeners(t, b.topic, 0)
	first := b.listen(t, "host1", 4)
	b.wantListeners(t, b.topic, 1)
	b.listenOn(t, b.driver(t), b.onServer("host1"), 4)
	b.listen(t, "host2", 4)
	b.wantListeners(t, b.topic, 3)
	b.wantListeners(t, b.onServer("host1"), 2)
	b.wantListeners(t, b.onServer("host3"), 0)
	report(t, "stop", first.Stop(patient(t)))
	b.wantListeners(t, b.topic, 2)
	b.wantListeners(t, b.onServer("host1"), 1)
}

func countNobody(t *testing.T, b *bus) {
	report(t, "close", b.listen(t, "host", 4).Close(patient(t)))
	b.wantListeners(t, b.topic, 0)
	b.cast(t, "waits")
	b.wantListeners(t, b.topic, 0)
	take(t, b.listen(t, "host", 4), "waits")
	b.wantListeners(t, b.topic, 1)
}

func countFanout(t *testing.T, b *bus) {
	on := b.topic
	on.Fanout = true
	if n, err := b.client.(transport.ConsumerCounter).Consumers(patient(t), on); err == nil {
		t.Errorf("listeners of a fanout: %d, want an error", n)
	}
}
