package nova

import "github.com/goslo/goslo/cmd/scheduler/internal/placement"

// zoneKey is the aggregate metadata that puts its hosts into a zone.
const zoneKey = "availability_zone"

// readAggregates reads aggregates; every one needs an id.
func readAggregates(v value) ([]placement.Aggregate, error) {
	objects, err := v.objects()
	if err != nil {
		return nil, err
	}
	aggregates := make([]placement.Aggregate, len(objects))
	for i, o := range objects {
		if aggregates[i], err = readAggregate(o); err != nil {
			return nil, err
		}
	}
	return aggregates, nil
}

func readAggregate(o object) (placement.Aggregate, error) {
	id, err := readID(o)
	if err != nil {
		return placement.Aggregate{}, err
	}
	hosts, err := o.get("hosts").texts()
	if err != nil {
		return placement.Aggregate{}, err
	}
	metadata, err := o.get("metadata").object()
	if err != nil {
		return placement.Aggregate{}, err
	}
	zone, err := metadata.get(zoneKey).text()
	return placement.Aggregate{ID: id, Hosts: hosts, Zone: zone}, err
}

func readID(o object) (int64, error) {
	if o.get("id").absent() {
		return 0, o.get("id").missing()
	}
	return o.get("id").number()
}
