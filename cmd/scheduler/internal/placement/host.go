package placement

import (
	"errors"
	"fmt"
)

// Host is one host as a selection sees it.
//
// A host out of a snapshot is shared between goroutines and must not be changed; copy it first.
type Host struct {
	// Name is the name that reports and forced or ignored hosts use (service_host in a hosts file).
	Name string
	// Node is the hypervisor's name; often the host's with a domain. Empty means the same as Name.
	Node string
	// NodeUUID identifies the node in allocations.
	NodeUUID string
	// CellUUID is the cell of the host. Alternates come from the cell of the chosen host.
	CellUUID string
	// Zone is the availability zone; empty for none. In a snapshot an aggregate's zone has replaced the
	// host's own.
	Zone string
	// Total is what the host has.
	Total Resources
	// Used is what its instances take. Only the inventory and a running selection set it.
	Used Resources
}

// Free is what is left; negative where the host is overcommitted.
func (h *Host) Free() Resources { return h.Total.Sub(h.Used) }

// check names the first field that cannot be, in the words of the hosts file.
func (h *Host) check() error {
	if h.Name == "" {
		return errors.New("service_host: missing")
	}
	for _, f := range []struct{ field, uuid string }{
		{"compute_node_uuid", h.NodeUUID},
		{"cell_uuid", h.CellUUID},
	} {
		if err := checkUUID(f.uuid); err != nil {
			return fmt.Errorf("%s: %w", f.field, err)
		}
	}
	for _, f := range []struct {
		field  string
		amount int64
	}{
		{"vcpus", h.Total.VCPUs},
		{"memory_mb", h.Total.MemoryMB},
		{"disk_gb", h.Total.DiskGB},
	} {
		if f.amount < 0 || f.amount > MaxAmount {
			return fmt.Errorf("%s: want 0 to %d, got %d", f.field, int64(MaxAmount), f.amount)
		}
	}
	return nil
}

// checkUUID wants the form with four dashes. Both UUIDs of a host go into texts that other programs parse.
func checkUUID(s string) error {
	if s == "" {
		return errors.New("missing")
	}
	if len(s) != 36 {
		return fmt.Errorf("want a UUID, got %q", clip(s))
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !isHex(s[i]) {
			return fmt.Errorf("want a UUID, got %q", s)
		}
	}
	return nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// clip keeps a foreign text short enough for an error of one line.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
