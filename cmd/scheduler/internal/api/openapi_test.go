package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/cmd/scheduler/internal/api"
	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/messaging"
)

// document is as much of OpenAPI as the description needs.
type document struct {
	OpenAPI    string
	Paths      map[string]map[string]operation
	Components struct {
		Schemas map[string]*schema
	}
}

type operation struct {
	OperationID string
	RequestBody *struct{ Content map[string]media }
	Responses   map[string]struct {
		Headers map[string]any
		Content map[string]media
	}
}

type media struct{ Schema *schema }

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 string
	Properties           map[string]*schema
	Required             []string
	AdditionalProperties *bool
	Items                *schema
	Enum                 []any
	Pattern              string
	Minimum, Maximum     *float64
}

func described(t *testing.T) *document {
	t.Helper()
	resp, body := exchange{method: "GET", path: "/v1/openapi.json"}.play(t, newSchedulers())
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("GET /v1/openapi.json = %s %s", resp.Status, body)
	}
	d := new(document)
	if err := json.Unmarshal([]byte(body), d); err != nil {
		t.Fatal(err)
	}
	if d.OpenAPI != "3.1.0" {
		t.Errorf("openapi = %q", d.OpenAPI)
	}
	return d
}

// fits says how v is not what a schema describes; empty where it is.
func (d *document) fits(s *schema, v any, path string) string {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		target := d.Components.Schemas[name]
		if target == nil {
			return path + ": no schema " + name
		}
		return d.fits(target, v, path)
	}
	switch v := v.(type) {
	case map[string]any:
		return d.objectFits(s, v, path)
	case []any:
		for i, item := range v {
			if s.Type != "array" || s.Items == nil {
				return path + ": a list"
			} else if wrong := d.fits(s.Items, item, fmt.Sprintf("%s[%d]", path, i)); wrong != "" {
				return wrong
			}
		}
	case string:
		if s.Type != "string" || s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) || s.Enum != nil && !slices.Contains(s.Enum, any(v)) {
			return path + ": " + v
		}
	case float64:
		if s.Type != "integer" || s.Minimum != nil && v < *s.Minimum || s.Maximum != nil && v > *s.Maximum {
			return fmt.Sprint(path, ": ", v)
		}
	case bool:
		if s.Type != "boolean" {
			return path + ": a boolean"
		}
	default:
		return fmt.Sprintf("%s: %v", path, v)
	}
	return ""
}

func (d *document) objectFits(s *schema, v map[string]any, path string) string {
	if s.Type != "object" {
		return path + ": an object"
	}
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			return path + "." + name + ": missing"
		}
	}
	for name, value := range v {
		property := s.Properties[name]
		switch {
		case property != nil:
			if wrong := d.fits(property, value, path+"."+name); wrong != "" {
				return wrong
			}
		case s.AdditionalProperties != nil && !*s.AdditionalProperties:
			return path + "." + name + ": not described"
		}
	}
	return ""
}

// Every answer that the description promises is played, and no other answer is given; bodies are as described.
func TestTheDescriptionIsTrue(t *testing.T) {
	t.Parallel()
	d := described(t)
	failing := func(err error) *schedulers { return &schedulers{err: err} }
	remote, none := &messaging.RemoteError{Class: "E"}, &nova.NoValidHostError{Reason: "full"}
	body := map[string]string{
		"/v1/select_destinations": `{` + smallFlavor + `, "instance_uuids": ["` + nodeUUID + `"], "alternates": true}`,
		"/v1/hosts/{host}/report": report(`"vcpus": 1`),
	}
	played := make(map[string][]string)
	play := func(status int, s *schedulers, change func(*exchange), paths ...string) {
		t.Helper()
		for _, path := range paths {
			for method := range d.Paths[path] {
				e := exchange{method: strings.ToUpper(method), path: strings.ReplaceAll(path, "{host}", "a"), body: body[path]}
				if change != nil {
					change(&e)
				}
				resp, got := e.play(t, s)
				if resp.StatusCode != status {
					t.Errorf("%s = %s %s, want %d", path, resp.Status, got, status)
				}
				d.check(t, path, d.Paths[path][method], resp, got)
				played[path] = append(played[path], strconv.Itoa(status))
			}
		}
	}
	const selecting, hosts, reporting, describing, health = "/v1/select_destinations", "/v1/hosts", "/v1/hosts/{host}/report", "/v1/openapi.json", "/healthz"
	play(200, newSchedulers(), nil, selecting, hosts, describing, health)
	play(202, newSchedulers(), nil, reporting)
	play(400, newSchedulers(), func(e *exchange) { e.body = "{}" }, selecting, reporting)
	play(409, failing(none), nil, selecting)
	play(413, newSchedulers(), func(e *exchange) { e.body = strings.Repeat(" ", 1<<20+1) }, selecting, reporting)
	play(415, newSchedulers(), func(e *exchange) { e.contentType = "text/html" }, selecting, reporting)
	play(500, failing(errors.New("x")), nil, selecting, hosts, reporting)
	play(502, failing(remote), nil, selecting, hosts)
	play(503, failing(messaging.ErrNotConnected), nil, selecting, hosts, reporting, health)
	play(504, failing(messaging.ErrTimeout), nil, selecting, hosts, reporting)

	promised := make(map[string][]string)
	for path, operations := range d.Paths {
		for _, o := range operations {
			promised[path] = slices.Sorted(maps.Keys(o.Responses))
		}
	}
	if diff := cmp.Diff(promised, played); diff != "" {
		t.Errorf("answers (-promised +played):\n%s", diff)
	}
}

// check holds an answer against its description.
func (d *document) check(t *testing.T, path string, o operation, resp *answer, body string) {
	t.Helper()
	promise, ok := o.Responses[strconv.Itoa(resp.StatusCode)]
	if !ok {
		t.Errorf("%s: status %s is not described", path, resp.Status)
		return
	}
	for name := range promise.Headers {
		if resp.Header.Get(name) == "" {
			t.Errorf("%s %s: no header %s", path, resp.Status, name)
		}
	}
	content, ok := promise.Content[resp.Header.Get("Content-Type")]
	if !ok {
		t.Errorf("%s %s: the content type %s is not described", path, resp.Status, resp.Header.Get("Content-Type"))
		return
	}
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Errorf("%s %s: %v", path, resp.Status, err)
	}
	if wrong := d.fits(content.Schema, v, "body"); wrong != "" {
		t.Errorf("%s %s: the body is not as described: %s in %s", path, resp.Status, wrong, body)
	}
}

// A body that has every field which is described is taken, and so each of them is read; one more is not.
func TestDescribedRequestsAreTaken(t *testing.T) {
	t.Parallel()
	d := described(t)
	for path, full := range map[string]any{
		"/v1/select_destinations": api.SelectRequest{
			Flavor: api.Flavor{VCPUs: 1, MemoryMB: 1, RootGB: 1, EphemeralGB: 1, SwapMB: 1}, NumInstances: 1, InstanceUUIDs: []string{nodeUUID},
			Zone: "z", ForceHosts: []string{"a"}, IgnoreHosts: []string{"b"}, Alternates: true,
		},
		"/v1/hosts/{host}/report": map[string]any{
			"nodename": "a", "compute_node_uuid": nodeUUID, "cell_uuid": cellUUID, "availability_zone": "z", "vcpus": 1, "memory_mb": 1, "disk_gb": 1,
		},
	} {
		text, err := json.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		s := d.Paths[path]["post"].RequestBody.Content["application/json"].Schema
		if wrong := d.fits(s, v, "body"); wrong != "" {
			t.Errorf("%s: %s", path, wrong)
		}
		target := d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
		if diff := cmp.Diff(slices.Sorted(maps.Keys(target.Properties)), slices.Sorted(maps.Keys(v))); diff != "" {
			t.Errorf("%s: fields (-described +given):\n%s", path, diff)
		}
		resp, body := exchange{method: "POST", path: strings.ReplaceAll(path, "{host}", "a"), body: string(text)}.play(t, newSchedulers())
		if resp.StatusCode >= 300 {
			t.Errorf("%s = %s %s", path, resp.Status, body)
		}
	}
}
