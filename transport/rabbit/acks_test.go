package rabbit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rabbitmq/amqp091-go"
)

// modelBroker knows of each delivery of a channel whether it is settled, and refuses what RabbitMQ closes the
// channel for: to settle a delivery that is not outstanding (rabbit_channel.erl, collect_acks; the tag of a
// multiple acknowledgement must be outstanding, too).
type modelBroker struct {
	outstanding map[uint64]bool
	decided     map[uint64]bool // by the client; true for those it accepted
	acked       map[uint64]bool
	frames      int
}

func newModelBroker() *modelBroker {
	return &modelBroker{outstanding: map[uint64]bool{}, decided: map[uint64]bool{}, acked: map[uint64]bool{}}
}

func (m *modelBroker) Ack(tag uint64, multiple bool) error {
	m.frames++
	if !m.outstanding[tag] {
		return fmt.Errorf("unknown delivery tag %d", tag)
	}
	for t := range m.outstanding {
		if t != tag && (!multiple || t > tag) {
			continue
		}
		if accepted, decided := m.decided[t]; !accepted {
			return fmt.Errorf("ack of %d, multiple=%v, takes %d, which is decided %v but not accepted", tag, multiple, t, decided)
		}
		delete(m.outstanding, t)
		m.acked[t] = true
	}
	return nil
}

// returned is a nack or reject.
func (m *modelBroker) returned(tag uint64) error {
	if !m.outstanding[tag] {
		return fmt.Errorf("unknown delivery tag %d", tag)
	}
	delete(m.outstanding, tag)
	return nil
}

// unheard counts the accepted deliveries that the broker has not heard of.
func (m *modelBroker) unheard() int {
	n := 0
	for tag, accepted := range m.decided {
		if accepted && !m.acked[tag] {
			n++
		}
	}
	return n
}

// TestEachDeliveryIsAcknowledgedOnceInWhateverOrderItIsSettled delivers, settles and flushes at random, with
// some deliveries that take much longer than others.
func TestEachDeliveryIsAcknowledgedOnceInWhateverOrderItIsSettled(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		if err := randomAcks(rand.New(rand.NewPCG(seed, 0))); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func randomAcks(random *rand.Rand) error {
	var (
		b        ackBatch
		broker   = newModelBroker()
		held     []uint64 // delivered and undecided
		newest   uint64
		prefetch = 1 + random.IntN(200)
		total    = uint64(1 + random.IntN(600))
		disorder = random.IntN(3) // 0: in order; 1: nearly; 2: any order
		undone   = random.IntN(3) // how many are held still when the channel ends
	)
	for newest < total || len(held) > undone {
		for newest < total && len(broker.outstanding) < prefetch && random.IntN(4) > 0 {
			newest++
			broker.outstanding[newest] = true
			held = append(held, newest)
		}
		if len(held) > 0 {
			if err := decide(random, &b, broker, &held, disorder); err != nil {
				return err
			}
		}
		if len(b.due) != broker.unheard() {
			return fmt.Errorf("%d are due with %d unheard", len(b.due), broker.unheard())
		}
		if random.IntN(8) == 0 {
			if err := b.flush(broker); err != nil {
				return err
			}
			if n := broker.unheard(); n > 0 { // whatever its place, an accepted delivery goes out with the next flush
				return fmt.Errorf("%d deliveries are unheard of after a flush", n)
			}
		}
	}
	if err := b.flush(broker); err != nil {
		return err
	}
	if len(broker.outstanding) != len(held) || broker.unheard() > 0 {
		return fmt.Errorf("%d outstanding, %d held, %d unheard at the end", len(broker.outstanding), len(held), broker.unheard())
	}
	if len(held) == 0 && len(b.ahead) > 0 {
		return fmt.Errorf("%d deliveries are remembered at the end", len(b.ahead))
	}
	return nil
}

// decide settles one of the deliveries that are held, as attachment.settle does.
func decide(random *rand.Rand, b *ackBatch, broker *modelBroker, held *[]uint64, disorder int) error {
	i := 0
	switch disorder {
	case 1:
		i = min(random.IntN(3), len(*held)-1)
	case 2:
		i = random.IntN(len(*held))
	}
	tag := (*held)[i]
	*held = slices.Delete(*held, i, i+1)
	accepted := random.IntN(5) > 0
	broker.decided[tag] = accepted
	if !accepted {
		if err := broker.returned(tag); err != nil {
			return err
		}
	}
	b.settled(tag, accepted)
	return nil
}

// ackLog is a channel that notes what it is asked.
type ackLog struct {
	acks []string
	err  error
}

func (l *ackLog) Ack(tag uint64, multiple bool) error {
	l.acks = append(l.acks, fmt.Sprintf("%d %v", tag, multiple))
	return l.err
}

func wantAcks(tb testing.TB, l *ackLog, want ...string) {
	tb.Helper()
	slices.Sort(l.acks) // those that are sent singly have no order
	slices.Sort(want)
	if diff := cmp.Diff(want, l.acks, cmp.Transformer("empty", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
		tb.Errorf("acknowledged otherwise (-want +got):\n%s", diff)
	}
	l.acks = nil
}

func mustFlush(tb testing.TB, b *ackBatch, l *ackLog) {
	tb.Helper()
	if err := b.flush(l); err != nil {
		tb.Fatal(err)
	}
}

func TestAcknowledgementsInARowAreOneFrame(t *testing.T) {
	t.Parallel()
	var b ackBatch
	var l ackLog
	for tag := uint64(1); tag <= 100; tag++ {
		b.settled(tag, true)
	}
	mustFlush(t, &b, &l)
	wantAcks(t, &l, "100 true")
	mustFlush(t, &b, &l) // there is nothing to do
	wantAcks(t, &l)
}

func TestSlowDeliveryDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	var b ackBatch
	var l ackLog
	for tag := uint64(2); tag <= 4; tag++ { // 1 takes its time
		b.settled(tag, true)
	}
	mustFlush(t, &b, &l)
	wantAcks(t, &l, "2 false", "3 false", "4 false")
	b.settled(5, true)
	b.settled(1, true)
	mustFlush(t, &b, &l)
	wantAcks(t, &l, "5 true") // 2 to 4 are acknowledged already, which is no harm
}

func TestAcknowledgementEndsAtATagThatIsOutstanding(t *testing.T) {
	t.Parallel()
	var b ackBatch
	var l ackLog
	b.settled(2, true)
	b.settled(3, true)
	mustFlush(t, &b, &l)
	wantAcks(t, &l, "2 false", "3 false")
	b.settled(1, true) // the prefix is 3 now, but 3 is acknowledged
	mustFlush(t, &b, &l)
	wantAcks(t, &l, "1 true")
	b.settled(4, true)
	b.settled(5, false) // handed back
	mustFlush(t, &b, &l)
	wantAcks(t, &l, "4 true")
	b.settled(6, false)
	mustFlush(t, &b, &l)
	wantAcks(t, &l)
}

func TestFailedAcknowledgementIsTold(t *testing.T) {
	t.Parallel()
	closed := &ackLog{err: amqp091.ErrClosed}
	for name, tag := range map[string]uint64{"all up to a tag": 1, "a single one": 2} {
		var b ackBatch
		b.settled(tag, true)
		err := b.flush(closed)
		wantError(t, name, err, errConnClosed)
	}
}

func TestRememberedTagsDoNotGrow(t *testing.T) {
	t.Parallel()
	var b ackBatch
	broker := newModelBroker()
	for tag := uint64(1); tag <= 5000; tag++ {
		broker.outstanding[tag], broker.decided[tag] = true, true
	}
	for tag := uint64(2); tag <= 5000; tag += 2 { // in pairs the other way round
		b.settled(tag, true)
		b.settled(tag-1, true)
		if len(b.ahead) != 0 {
			t.Fatalf("%d tags are remembered: %v", len(b.ahead), b.ahead)
		}
		if len(b.due) == ackQueue {
			if err := b.flush(broker); err != nil {
				t.Fatal(err)
			}
		}
	}
	if most := 5000/ackQueue + 1; broker.frames > most {
		t.Errorf("%d acknowledgements were sent, want at most %d", broker.frames, most)
	}
}

// TestOneSlowDeliveryCostsNoMemory lets many deliveries come and go while one is held.
func TestOneSlowDeliveryCostsNoMemory(t *testing.T) {
	t.Parallel()
	const total = 100_000
	var b ackBatch
	broker := newModelBroker()
	broker.outstanding[1] = true
	for tag := uint64(2); tag <= total; tag++ {
		broker.outstanding[tag], broker.decided[tag] = true, true
		b.settled(tag, true)
		if len(b.due) == ackQueue {
			if err := b.flush(broker); err != nil {
				t.Fatal(err)
			}
		}
		if len(b.ahead) != 1 || len(b.due) > ackQueue {
			t.Fatalf("after %d: %d spans and %d tags are remembered", tag, len(b.ahead), len(b.due))
		}
	}
	broker.decided[1] = true
	b.settled(1, true)
	if err := b.flush(broker); err != nil {
		t.Fatal(err)
	}
	if b.prefix != total || len(b.ahead) != 0 || len(broker.outstanding) != 0 {
		t.Errorf("prefix %d, %d spans, %d outstanding at the end", b.prefix, len(b.ahead), len(broker.outstanding))
	}
}
