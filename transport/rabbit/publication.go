package rabbit

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/wire"
)

// publication is one message on its way to the broker. settle learns how that ended, once: nil means that the
// broker confirmed it. writing, which may be nil, learns each time that the message is handed to the connection. Both
// run on the publisher's goroutines and must not block.
type publication struct {
	exchange  exchange
	declare   *queue // to be there before; nil for none
	key       string
	mandatory bool
	message   amqp091.Publishing
	uniqueID  string
	writing   func()
	settle    func(err error)

	state    atomic.Int32
	attempts int  // how often its exchange could not be declared; the lane's
	returned bool // set and read by the goroutine that reads confirms

	since   time.Time    // when it was written; under the lock of its inFlight, as what follows
	ahead   int64        // bytes that the broker had not confirmed then, its own included
	confirm confirmation // nil until the library has taken it
	early   bool         // it was settled before something older
}

// confirmation is what [amqp091.DeferredConfirmation] knows: other than the library's notifications, it is not put into order.
type confirmation interface{ Acked() bool }

// States of a publication. It can be withdrawn until it is written.
const (
	queued int32 = iota
	written
	withdrawn
)

func (p *publication) size() int64 { return int64(len(p.message.Body)) }

// withdraw takes the publication back. It reports false where it is too late: settle will be called, or was.
func (p *publication) withdraw() bool { return p.state.CompareAndSwap(queued, withdrawn) }

// newMessage makes the properties that every message has (WIRE: nothing else is ever set), with the body compressed
// as said.
func newMessage(contentType, compression string, body []byte) (amqp091.Publishing, error) {
	var headers amqp091.Table
	if compression != "" {
		packed, err := wire.Compress(compression, body)
		if err != nil {
			return amqp091.Publishing{}, fmt.Errorf("rabbit: %w", err)
		}
		headers, body = amqp091.Table{wire.CompressionHeader: compression}, packed
	}
	return amqp091.Publishing{
		Headers:         headers,
		ContentType:     cmp.Or(contentType, wire.ContentTypeJSON),
		ContentEncoding: wire.ContentEncoding,
		DeliveryMode:    amqp091.Persistent,
		Body:            body,
	}, nil
}

// inFlight are the publications of one channel that the broker has not confirmed, in the order they were
// written. The library puts confirms back into that order, so that each is for the oldest.
type inFlight struct {
	mu    sync.Mutex
	queue []*publication
	head  int
}

// push adds what is about to be written, after so many bytes, its own included, that the broker has not confirmed.
func (f *inFlight) push(p *publication, ahead int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.head > 64 && f.head*2 > len(f.queue) { // give up the space of those that are settled
		f.queue = append(f.queue[:0], f.queue[f.head:]...)
		f.head = 0
	}
	p.since, p.ahead = time.Now(), ahead
	f.queue = append(f.queue, p)
}

// taken notes what will know whether the broker has confirmed a publication.
func (f *inFlight) taken(p *publication, confirm confirmation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.confirm = confirm
}

// pop returns the oldest, nil where there is none.
func (f *inFlight) pop() *publication {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.head == len(f.queue) {
		return nil
	}
	p := f.queue[f.head]
	f.queue[f.head] = nil
	f.head++
	return p
}

// unpush takes the newest back, one that turned out not to be written.
func (f *inFlight) unpush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.head < len(f.queue) {
		f.queue = f.queue[:len(f.queue)-1]
	}
}

// overtaking returns those, not returned by it before, that the broker has confirmed ahead of something older. A negative
// answer is left to its turn: it may be the end of the channel as well.
func (f *inFlight) overtaking() (early []*publication) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := f.head + 1; i < len(f.queue); i++ {
		p := f.queue[i]
		if !p.early && p.confirm != nil && p.confirm.Acked() {
			p.early = true
			early = append(early, p)
		}
	}
	return early
}

// oldestRequest returns the request that waits longest, nil where none does.
func (f *inFlight) oldestRequest() *publication {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.queue[f.head:] {
		if p.isRequest() && !p.early {
			return p
		}
	}
	return nil
}

// markReturned notes that the broker sent a message back. Its confirm is still to come.
func (f *inFlight) markReturned(r *amqp091.Return) {
	algorithm, _ := r.Headers[wire.CompressionHeader].(string)
	body, err := wire.Decompress(algorithm, r.Body)
	if err != nil { // not of this side
		return
	}
	id := wire.UniqueID(r.ContentType, body)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.queue[f.head:] {
		if p.uniqueID == id && id != "" {
			p.returned = true
			return
		}
	}
}
