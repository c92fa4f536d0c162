package placement

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
)

// LoadHosts reads the hosts file at path; see [ParseHosts]. Its errors are one line and name the file.
func LoadHosts(path string) ([]Host, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("hosts file: %w", err) // names the path itself
	}
	hosts, err := ParseHosts(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("hosts file %s: %w", path, err)
	}
	return hosts, nil
}

// ParseHosts reads a hosts file: a JSON list with one object for each host, as [ParseHost] reads it. Unknown
// fields are tolerated. An error is one line and names the entry, counted from 1, and the field; no host at
// all, and one name or node UUID twice, are errors too.
func ParseHosts(r io.Reader) ([]Host, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("empty")
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, explain(err)
	}
	if len(entries) == 0 {
		return nil, errors.New("no host in it")
	}
	return parseEntries(entries)
}

func parseEntries(entries []json.RawMessage) ([]Host, error) {
	hosts := make([]Host, 0, len(entries))
	seen := make(map[string]int, 2*len(entries)) // field and value -> entry
	for i, raw := range entries {
		host, err := parseHost(raw)
		if err == nil {
			err = once(seen, "service_host", host.Name, i)
		}
		if err == nil {
			err = once(seen, "compute_node_uuid", host.NodeUUID, i)
		}
		if err != nil {
			return nil, fmt.Errorf("entry %d%s: %w", i+1, named(host.Name), err)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// ParseHost reads one entry of a hosts file: service_host, nodename (service_host where missing),
// compute_node_uuid, cell_uuid, availability_zone (may be missing), vcpus, memory_mb (MiB) and disk_gb (GiB).
// Its errors are one line and name the field.
func ParseHost(text []byte) (Host, error) {
	host, err := parseHost(text)
	if err != nil {
		return Host{}, err
	}
	return host, nil
}

// parseHost returns what it could read with an error, so that the caller can name the host.
func parseHost(text []byte) (Host, error) {
	var entry struct {
		ServiceHost string `json:"service_host"`
		NodeName    string `json:"nodename"`
		NodeUUID    string `json:"compute_node_uuid"`
		CellUUID    string `json:"cell_uuid"`
		Zone        string `json:"availability_zone"`
		VCPUs       *int64 `json:"vcpus"`
		MemoryMB    *int64 `json:"memory_mb"`
		DiskGB      *int64 `json:"disk_gb"`
	}
	if err := json.Unmarshal(text, &entry); err != nil {
		return Host{Name: entry.ServiceHost}, explain(err)
	}
	host := Host{
		Name: entry.ServiceHost, Node: entry.NodeName,
		NodeUUID: entry.NodeUUID, CellUUID: entry.CellUUID, Zone: entry.Zone,
	}
	if host.Node == "" {
		host.Node = host.Name
	}
	for _, f := range []struct {
		field string
		from  *int64
		to    *int64
	}{
		{"vcpus", entry.VCPUs, &host.Total.VCPUs},
		{"memory_mb", entry.MemoryMB, &host.Total.MemoryMB},
		{"disk_gb", entry.DiskGB, &host.Total.DiskGB},
	} {
		if f.from == nil {
			return host, fmt.Errorf("%s: missing", f.field)
		}
		*f.to = *f.from
	}
	return host, host.check()
}

func named(host string) string {
	if host == "" {
		return ""
	}
	return fmt.Sprintf(" (%q)", clip(host))
}

// once fails if an entry before this one had the same value in field.
func once(seen map[string]int, field, value string, entry int) error {
	key := field + "=" + value
	if before, ok := seen[key]; ok {
		return fmt.Errorf("%s: %q is in entry %d too", field, clip(value), before+1)
	}
	seen[key] = entry
	return nil
}

// explain says what encoding/json found in words for whoever wrote the file.
func explain(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("not JSON: %w", err)
	}
	want := map[reflect.Kind]string{
		reflect.Slice:  "a list of hosts",
		reflect.Struct: "an object",
		reflect.String: "a string",
		reflect.Int64:  "a whole number",
	}[wrong.Type.Kind()]
	text := fmt.Sprintf("want %s, got %s", want, clip(wrong.Value))
	if wrong.Field != "" {
		text = wrong.Field + ": " + text
	}
	return errors.New(text)
}
