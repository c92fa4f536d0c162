package nova

import (
	"fmt"
	"regexp"

	"github.com/goslo/goslo/cmd/scheduler/internal/placement"
)

// amounts are the fields of a flavor that take resources: GiB, but for memory and swap in MiB.
type amounts struct{ vcpus, memoryMB, rootGB, ephemeralGB, swapMB int64 }

// readAmounts reads them from what lookup finds; absent ones count 0.
func readAmounts(lookup func(field string) value) (amounts, error) {
	var a amounts
	for _, f := range []struct {
		name string
		to   *int64
	}{
		{"vcpus", &a.vcpus},
		{"memory_mb", &a.memoryMB},
		{"root_gb", &a.rootGB},
		{"ephemeral_gb", &a.ephemeralGB},
		{"swap", &a.swapMB},
	} {
		n, err := lookup(f.name).number()
		if err != nil {
			return amounts{}, err
		}
		*f.to = n
	}
	return a, nil
}

// need is what placement counts. Swap is MiB and rounds the disk up to whole GiB
// (nova/scheduler/utils.py, ResourceRequest).
func (a amounts) need() placement.Resources {
	const mibPerGiB = 1024
	return placement.Resources{
		VCPUs:    a.vcpus,
		MemoryMB: a.memoryMB,
		DiskGB:   a.rootGB + a.ephemeralGB + (a.swapMB+mibPerGiB-1)/mibPerGiB,
	}
}

// ReadFlavor reads what one instance of a flavor needs: a Flavor of nova or a plain dict, as encoding/json has decoded it. It
// fails with an [*ArgumentError] that begins with path.
func ReadFlavor(path string, flavor any) (placement.Resources, error) {
	a, err := readFlavor(value{path, flavor})
	return a.need(), err
}

// ReadUUID reads a UUID that must be there. It fails with an [*ArgumentError] for path.
func ReadUUID(path string, uuid any) (string, error) {
	v := value{path, uuid}
	text, err := v.name()
	if err == nil && !uuidForm.MatchString(text) {
		err = &ArgumentError{Field: path, Problem: fmt.Sprintf("want a UUID, got %.40q", text)}
	}
	return text, err
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// readFlavor reads what one instance of a flavor needs. Without vcpus or memory_mb it is no flavor.
func readFlavor(v value) (amounts, error) {
	if v.absent() {
		return amounts{}, v.missing()
	}
	flavor, err := v.object()
	if err != nil {
		return amounts{}, err
	}
	for _, field := range []string{"vcpus", "memory_mb"} {
		if flavor.get(field).absent() {
			return amounts{}, flavor.get(field).missing()
		}
	}
	return readAmounts(flavor.get)
}

// readInstances reads an InstanceList. What an instance takes is in fields of its own or, where those are
// absent, in its flavor.
func readInstances(v value) ([]placement.Instance, error) {
	objects, err := v.objects()
	if err != nil {
		return nil, err
	}
	instances := make([]placement.Instance, len(objects))
	for i, o := range objects {
		if instances[i], err = readInstance(o); err != nil {
			return nil, err
		}
	}
	return instances, nil
}

func readInstance(o object) (placement.Instance, error) {
	uuid, err := o.get("uuid").name()
	if err != nil {
		return placement.Instance{}, err
	}
	flavor, err := o.get("flavor").object()
	if err != nil {
		return placement.Instance{}, err
	}
	a, err := readAmounts(func(field string) value {
		if own := o.get(field); !own.absent() {
			return own
		}
		return flavor.get(field)
	})
	return placement.Instance{UUID: uuid, Need: a.need()}, err
}
