package nova

import (
	"fmt"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// MaxInstances is how many instances one request may ask for. nova has no such bound, but its quotas are far
// below; without one a single number in a message could fill the memory.
const MaxInstances = 10_000

// maxAlternates is one less than the builds nova tries (its option scheduler.max_attempts is 3 by default):
// every failed build takes an alternate.
const maxAlternates = 2

// question is what a caller of select_destinations asks.
type question struct {
	placement.Request
	objects bool // answer with Selections
}

// read finds out which of the three generations of callers asks, and what.
func (a *SelectDestinationsArgs) read() (*question, error) {
	q := new(question)
	var err error
	if a.SpecObj != nil {
		err = q.readSpec(value{"spec_obj", a.SpecObj})
	} else {
		err = q.readLegacy(value{"request_spec", a.RequestSpec}, value{"filter_properties", a.FilterProperties})
	}
	if err != nil {
		return nil, err
	}
	if err := q.readUUIDs(value{"instance_uuids", a.InstanceUUIDs}); err != nil {
		return nil, err
	}
	return q, q.readReturn(value{"return_objects", a.ReturnObjects}, value{"return_alternates", a.ReturnAlternates})
}

// readSpec reads a RequestSpec (since 4.3).
func (q *question) readSpec(v value) error {
	spec, err := v.object()
	if err != nil {
		return err
	}
	flavor, err := readFlavor(spec.get("flavor"))
	if err != nil {
		return err
	}
	volumeBacked, err := spec.get("is_bfv").flag()
	if err != nil {
		return err
	}
	if volumeBacked { // the root disk is a volume and takes nothing of the host
		flavor.rootGB = 0
	}
	q.Need = flavor.need()
	if q.Instances, err = readCount(spec.get("num_instances")); err != nil {
		return err
	}
	if q.Zone, err = spec.get(zoneKey).text(); err != nil {
		return err
	}
	return q.readHosts(spec)
}

// readLegacy reads the two dicts of 4.0 to 4.2 as nova turns them into a RequestSpec
// (nova/objects/request_spec.py, from_primitives).
func (q *question) readLegacy(request, filters value) error {
	if request.absent() {
		return value{path: "spec_obj"}.missing() // the one that a caller of today forgot
	}
	spec, err := request.object()
	if err != nil {
		return err
	}
	flavor, err := readFlavor(spec.get("instance_type"))
	if err != nil {
		return err
	}
	q.Need = flavor.need()
	if q.Instances, err = readCount(spec.get("num_instances")); err != nil {
		return err
	}
	properties, err := spec.get("instance_properties").object()
	if err != nil {
		return err
	}
	if q.Zone, err = properties.get(zoneKey).text(); err != nil {
		return err
	}
	hosts, err := filters.object()
	if err != nil {
		return err
	}
	return q.readHosts(hosts)
}

// readHosts reads what names hosts; RequestSpec and filter_properties use the same words.
func (q *question) readHosts(from object) error {
	for _, f := range []struct {
		field string
		to    *placement.Names
	}{
		{"force_hosts", &q.ForceHosts},
		{"force_nodes", &q.ForceNodes},
		{"ignore_hosts", &q.IgnoreHosts},
	} {
		names, err := from.get(f.field).names()
		if err != nil {
			return err
		}
		*f.to = names
	}
	hints, err := from.get("scheduler_hints").object()
	q.Hints = hints.fields
	return err
}

// readUUIDs lets the instances that are named count: num_instances is what the first request for the spec
// asked, not what a move of one instance asks (nova/scheduler/manager.py, _schedule).
func (q *question) readUUIDs(v value) error {
	uuids, err := v.texts()
	if err != nil || len(uuids) == 0 {
		return err
	}
	q.Instances = len(uuids)
	return checkCount(v.path, int64(len(uuids)))
}

// readReturn reads the form of the answer. Dicts have no room for alternates
// (nova/scheduler/manager.py, select_destinations).
func (q *question) readReturn(objects, alternates value) error {
	var err error
	if q.objects, err = objects.flag(); err != nil {
		return err
	}
	wanted, err := alternates.flag()
	if wanted && q.objects {
		q.Alternates = maxAlternates
	}
	return err
}

// readCount reads num_instances; absent means one.
func readCount(v value) (int, error) {
	if v.absent() {
		return 1, nil
	}
	n, err := v.number()
	if err != nil {
		return 0, err
	}
	return int(n), checkCount(v.path, n)
}

func checkCount(path string, n int64) error {
	if n > MaxInstances {
		return &ArgumentError{Field: path, Problem: fmt.Sprintf("want at most %d instances, got %d", MaxInstances, n)}
	}
	return nil
}
