package agent

import (
	"context"
	"time"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
	"github.com/goslo/goslo/messaging"
)

// ClaimArgs are the arguments of build and resize. An any holds what encoding/json made of the value.
type ClaimArgs struct {
	InstanceUUID any `json:"instance_uuid"`
	// Flavor is a Flavor of nova or a plain dict: vcpus, memory_mb, root_gb, ephemeral_gb, swap.
	Flavor any `json:"flavor"`
}

// DeleteArgs are the arguments of delete.
type DeleteArgs struct {
	InstanceUUID any `json:"instance_uuid"`
}

// Claim is the answer of all three.
type Claim struct {
	Host         string `json:"host"`
	InstanceUUID string `json:"instance_uuid"`
	// Changed tells that the call made a difference: it was not a repetition.
	Changed bool `json:"changed"`
}

// ClaimList is the answer of list.
type ClaimList struct {
	Host      string         `json:"host"`
	Free      nova.Amounts   `json:"free"`
	Instances []InstanceInfo `json:"instances"`
}

// InstanceInfo is one claim.
type InstanceInfo struct {
	InstanceUUID string `json:"instance_uuid"`
	nova.Amounts
}

// endpoint registers the methods that calls and casts reach.
func (m *manager) endpoint() *messaging.Endpoint {
	ep := messaging.NewEndpoint(messaging.WithNamespace("claims"), messaging.WithVersion("1.0"))
	messaging.Handle(ep, "build", m.build)
	messaging.Handle(ep, "resize", m.resize)
	messaging.Handle(ep, "delete", m.delete)
	messaging.Handle(ep, "list", m.list)
	messaging.HandleCast(ep, "report", func(context.Context, struct{}) error { m.reporter.reportSoon(); return nil })
	return ep
}

// build claims at once, and then takes the time that a build takes. Where nobody waits for it to the end, the claim is given
// back. A repetition does not wait for the first call.
func (m *manager) build(ctx context.Context, args ClaimArgs) (Claim, error) {
	uuid, need, err := args.read()
	if err != nil {
		return Claim{}, messaging.Expected(err)
	}
	created, err := m.claims.Build(uuid, need)
	if err != nil {
		return Claim{}, messaging.Expected(err)
	}
	if created {
		if err := wait(ctx, m.config.BuildTime); err != nil {
			m.claims.Delete(uuid)
			return Claim{}, err
		}
		m.reporter.changed(uuid)
	}
	return m.claim(uuid, created), nil
}

func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (m *manager) resize(_ context.Context, args ClaimArgs) (Claim, error) {
	uuid, need, err := args.read()
	if err != nil {
		return Claim{}, messaging.Expected(err)
	}
	changed, err := m.claims.Resize(uuid, need)
	if err != nil {
		return Claim{}, messaging.Expected(err)
	}
	if changed {
		m.reporter.changed(uuid)
	}
	return m.claim(uuid, changed), nil
}

func (m *manager) delete(_ context.Context, args DeleteArgs) (Claim, error) {
	uuid, err := nova.ReadUUID("instance_uuid", args.InstanceUUID)
	if err != nil {
		return Claim{}, messaging.Expected(err)
	}
	deleted := m.claims.Delete(uuid)
	if deleted {
		m.reporter.changed(uuid)
	}
	return m.claim(uuid, deleted), nil
}

func (m *manager) list(context.Context, struct{}) (ClaimList, error) {
	list := ClaimList{Host: m.config.Host.ServiceHost, Free: nova.AmountsOf(m.claims.Free()), Instances: []InstanceInfo{}}
	for _, in := range m.claims.Instances() {
		list.Instances = append(list.Instances, InstanceInfo{in.UUID, nova.AmountsOf(in.Need)})
	}
	return list, nil
}

func (m *manager) claim(uuid string, changed bool) Claim {
	return Claim{Host: m.config.Host.ServiceHost, InstanceUUID: uuid, Changed: changed}
}

func (a *ClaimArgs) read() (uuid string, need placement.Resources, err error) {
	if uuid, err = nova.ReadUUID("instance_uuid", a.InstanceUUID); err != nil {
		return "", need, err
	}
	need, err = nova.ReadFlavor("flavor", a.Flavor)
	return uuid, need, err
}
