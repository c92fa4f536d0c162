package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
)

// errFull is how a host refuses an instance.
var errFull = errors.New("the host is full")

// host is a simulated compute host. Its book is the truth about what runs on it; schedulers have copies.
type host struct {
	name, node, nodeUUID string
	units                int           // what it holds at most
	refusal              chan struct{} // holds a token after a refusal: the schedulers had better know

	mu      sync.Mutex
	book    map[string]*instance // by UUID
	used    int                  // units
	refused int
	unheard []*instance // landed since the last report
}

// instance is one to place.
type instance struct {
	uuid   string
	flavor flavor
}

const (
	cellUUID = "cccccccc-0000-4000-8000-000000000001"
	zone     = "nova"
)

func newHost(number, units int) *host {
	name := fmt.Sprintf("host-%02d", number)
	return &host{
		name: name, node: name + ".example", nodeUUID: fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", number),
		units: units, refusal: make(chan struct{}, 1), book: make(map[string]*instance),
	}
}

// newInstance is the n-th instance of a run.
func newInstance(n int) *instance {
	return &instance{uuid: fmt.Sprintf("11111111-1111-4111-8111-%012d", n), flavor: flavorOf(n)}
}

// land starts an instance. It fails with errFull where there is no room.
func (h *host) land(in *instance) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.book[in.uuid] != nil {
		return fmt.Errorf("it runs on %s already", h.name)
	}
	if h.used+in.flavor.units > h.units {
		h.refused++
		select {
		case h.refusal <- struct{}{}:
		default:
		}
		return errFull
	}
	h.book[in.uuid] = in
	h.used += in.flavor.units
	h.unheard = append(h.unheard, in)
	return nil
}

// hasRoom reports whether an instance of that flavor fits. Nothing ever leaves a host: where there is room now,
// there was room at any time before, and every scheduler thought so.
func (h *host) hasRoom(f flavor) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.used+f.units <= h.units
}

// reportCapacity tells all schedulers what the host has.
func (h *host) reportCapacity(ctx context.Context, c *messaging.Client) error {
	c = c.Prepare(messaging.ToNamespace("capacity"), messaging.ToVersion("1.0"))
	return c.Fanout(ctx, "report_capacity", h.capacityReport())
}

// keepReporting tells all schedulers what landed, as long as ctx lasts: now and then, and after a refusal at once.
func (h *host) keepReporting(ctx context.Context, c *messaging.Client, log logrus.FieldLogger) {
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-h.refusal:
		case <-ctx.Done():
			return
		}
		if err := h.report(ctx, c); err != nil && ctx.Err() == nil {
			log.WithError(err).WithField("host", h.name).Warn("report not sent, will be sent again")
		}
	}
}

// report sends what landed since the last report that was sent. One of which the fate is not known is sent
// again: a scheduler that has it already is none the wiser.
func (h *host) report(ctx context.Context, c *messaging.Client) error {
	h.mu.Lock()
	landed := h.unheard
	h.mu.Unlock()
	if len(landed) == 0 {
		return nil
	}
	if err := c.Fanout(ctx, "update_instance_info", h.instanceReport(landed)); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unheard = h.unheard[len(landed):]
	return nil
}
