package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/api"
	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/config/logging"
	"github.com/goslo/goslo/messaging"
)

// schedulers answer what a test wants, and note what they were asked.
type schedulers struct {
	err      error
	answer   [][]nova.Selection
	hosts    []nova.HostState
	args     nova.SelectDestinationsArgs
	reported nova.HostEntry
	context  messaging.RequestContext
}

func (s *schedulers) SelectDestinations(ctx context.Context, args nova.SelectDestinationsArgs) ([][]nova.Selection, error) {
	s.args, s.context = args, messaging.RequestContextFrom(ctx)
	return s.answer, s.err
}

func (s *schedulers) ListHosts(ctx context.Context) ([]nova.HostState, error) {
	s.context = messaging.RequestContextFrom(ctx)
	return s.hosts, s.err
}

func (s *schedulers) ReportCapacity(ctx context.Context, host nova.HostEntry) error {
	s.reported, s.context = host, messaging.RequestContextFrom(ctx)
	return s.err
}

func (s *schedulers) Ping(context.Context) error { return s.err }

const (
	nodeUUID = "aaaaaaaa-0000-4000-8000-000000000001"
	cellUUID = "cccccccc-0000-4000-8000-000000000001"
)

func selection(host string) nova.Selection {
	return nova.Selection{Data: nova.SelectionData{ServiceHost: host, NodeName: host, ComputeNodeUUID: nodeUUID, CellUUID: cellUUID}}
}

func newSchedulers() *schedulers {
	return &schedulers{answer: [][]nova.Selection{{selection("a"), selection("b")}}, hosts: []nova.HostState{{
		HostEntry: nova.HostEntry{ServiceHost: "a", NodeName: "a", ComputeNodeUUID: nodeUUID, CellUUID: cellUUID, Amounts: nova.Amounts{VCPUs: 4}},
		Used:      nova.Amounts{VCPUs: 1},
	}}}
}

// quiet is a logger for handlers, whose lines look as those of the service do.
func quiet(t *testing.T, out io.Writer) logrus.FieldLogger {
	t.Helper()
	log := logrus.New()
	c := config.New("api", config.WithFiles(), config.WithDirs())
	err := errors.Join(logging.Register(c), c.Load())
	if err == nil {
		_, err = logging.Setup(c, "api", log, logging.WithStderr(out))
	}
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// exchange is one request and its answer.
type exchange struct {
	method, path, body string
	contentType        string // application/json where empty
}

// answer is what came back, beside the body.
type answer struct {
	StatusCode int
	Status     string
	Header     http.Header
}

func (e exchange) play(t *testing.T, s api.Schedulers) (*answer, string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), e.method, e.path, strings.NewReader(e.body))
	req.Header.Set("Content-Type", "application/json")
	if e.contentType != "" {
		req.Header.Set("Content-Type", e.contentType)
	}
	w := httptest.NewRecorder()
	api.NewHandler(s, quiet(t, io.Discard)).ServeHTTP(w, req)
	return &answer{w.Code, strconv.Itoa(w.Code), w.Header()}, w.Body.String()
}

const smallFlavor = `"flavor": {"vcpus": 1, "memory_mb": 512}`

func TestASelectionBecomesACallAndItsAnswer(t *testing.T) {
	t.Parallel()
	s := newSchedulers()
	resp, body := exchange{method: "POST", path: "/v1/select_destinations", body: `{
		"flavor": {"vcpus": 1, "memory_mb": 512, "root_gb": 2, "ephemeral_gb": 3, "swap": 4},
		"instance_uuids": ["` + nodeUUID + `"], "availability_zone": "az1", "force_hosts": ["a", "b"], "ignore_hosts": ["c"], "alternates": true}`}.play(t, s)
	want := `{"destinations":[{"instance_uuid":"` + nodeUUID + `","host":{"service_host":"a","nodename":"a","compute_node_uuid":"` + nodeUUID +
		`","cell_uuid":"` + cellUUID + `","availability_zone":""},"alternates":[{"service_host":"b","nodename":"b","compute_node_uuid":"` + nodeUUID +
		`","cell_uuid":"` + cellUUID + `","availability_zone":""}]}]}` + "\n"
	if resp.StatusCode != http.StatusOK || body != want {
		t.Errorf("answer = %s %s\nwant %s", resp.Status, body, want)
	}
	asked, err := json.Marshal(s.args)
	if err != nil {
		t.Fatal(err)
	}
	want = `{"spec_obj":{"availability_zone":"az1","flavor":{"vcpus":1,"memory_mb":512,"root_gb":2,"ephemeral_gb":3,"swap":4},"force_hosts":["a","b"],` +
		`"ignore_hosts":["c"],"num_instances":1},"instance_uuids":["` + nodeUUID + `"],"return_objects":true,"return_alternates":true}`
	if string(asked) != want {
		t.Errorf("asked %s\nwant  %s", asked, want)
	}
}

func TestAReportGoesOutWithTheHostOfThePath(t *testing.T) {
	t.Parallel()
	s := newSchedulers()
	resp, body := exchange{method: "POST", path: "/v1/hosts/cmp-a/report", body: report(`"vcpus": 8`)}.play(t, s)
	want := nova.HostEntry{
		ServiceHost: "cmp-a", ComputeNodeUUID: nodeUUID, CellUUID: cellUUID, Amounts: nova.Amounts{VCPUs: 8, MemoryMB: 1, DiskGB: 1},
	}
	if resp.StatusCode != http.StatusAccepted || s.reported != want {
		t.Errorf("answer %s %s; reported %+v, want %+v", resp.Status, body, s.reported, want)
	}
}

// report is the body of a report with one field of one's own.
func report(vcpus string) string {
	return `{"compute_node_uuid": "` + nodeUUID + `", "cell_uuid": "` + cellUUID + `", ` + vcpus + `, "memory_mb": 1, "disk_gb": 1}`
}

func TestWrongRequestsAreRefusedByNameOfTheField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, field, detail string }{
		{``, "", "the body ends too early"},
		{`{` + smallFlavor, "", "the body ends too early"},
		{`nonsense`, "", "the body is not JSON: invalid character 'o' in literal null (expecting 'u')"},
		{`[]`, "", "want an object, got a list"},
		{`null`, "", "want an object, got null"},
		{`{` + smallFlavor + `} {}`, "", "the body has something behind its end"},
		{"{\"availability_zone\": \"\xff\"}", "", "the body is not UTF-8"},
		{`{}`, "flavor", "missing"},
		{`{"flavor": []}`, "flavor", "want an object, got a list"},
		{`{"flavor": {}}`, "flavor.vcpus", "missing"},
		{`{"flavor": {"vcpus": 1}}`, "flavor.memory_mb", "missing"},
		{`{"flavor": {"vcpus": null, "memory_mb": 1}}`, "flavor.vcpus", "want a number, got null"},
		{`{"flavor": {"vcpus": "1", "memory_mb": 1}}`, "flavor.vcpus", "want a number, got a string"},
		{`{"flavor": {"vcpus": -1, "memory_mb": 1}}`, "flavor.vcpus", "want a whole number from 0 to 1099511627776, got -1"},
		{`{"flavor": {"vcpus": 1.5, "memory_mb": 1}}`, "flavor.vcpus", "want a whole number from 0 to 1099511627776, got 1.5"},
		{`{"flavor": {"vcpus": 1e400, "memory_mb": 1}}`, "flavor.vcpus", "want a whole number from 0 to 1099511627776, got 1e400"},
		{
			`{"flavor": {"vcpus": 1, "memory_mb": ` + strings.Repeat("9", 60) + `}}`, "flavor.memory_mb",
			"want a whole number from 0 to 1099511627776, got " + strings.Repeat("9", 40) + "...",
		},
		{`{"flavor": {"vcpus": 1, "memory_mb": 1, "Vcpus": 1}}`, "flavor.Vcpus", "unknown field"},
		{`{"flavor": {"vcpus": 1, "memory_mb": 1, "vcpus": 2}}`, "flavor.vcpus", "given twice"},
		{`{` + smallFlavor + `, "flavour": 1}`, "flavour", "unknown field"},
		{`{` + smallFlavor + `, "num_instances": 0}`, "num_instances", "want a whole number from 1 to 10000, got 0"},
		{`{` + smallFlavor + `, "num_instances": 2, "instance_uuids": ["` + nodeUUID + `"]}`, "num_instances", "want 1, as many as instance_uuids, got 2"},
		{`{` + smallFlavor + `, "instance_uuids": ["x"]}`, "instance_uuids[0]", `want a UUID, got "x"`},
		{`{` + smallFlavor + `, "instance_uuids": [null]}`, "instance_uuids[0]", "want a UUID, got null"},
		{`{` + smallFlavor + `, "instance_uuids": {}}`, "instance_uuids", "want a list, got an object"},
		{`{` + smallFlavor + `, "instance_uuids": [` + strings.Repeat("1,", 10000) + `1]}`, "instance_uuids", "want at most 10000, got 10001"},
		{`{` + smallFlavor + `, "availability_zone": ""}`, "availability_zone", `want a name of 1 to 255 characters, got ""`},
		{`{` + smallFlavor + `, "ignore_hosts": ["a b"]}`, "ignore_hosts[0]", `want a name of letters, digits, dots, dashes and underscores, got "a b"`},
		{`{` + smallFlavor + `, "alternates": 1}`, "alternates", "want true or false, got a number"},
		{`{"x": ` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, "x[0][0][0][0][0][0][0][0]", "nested too deep"},
	} {
		s := newSchedulers()
		resp, body := exchange{method: "POST", path: "/v1/select_destinations", body: c.body}.play(t, s)
		wantProblem(t, c.body, resp, body, http.StatusBadRequest, c.field, c.detail)
		if s.context != nil {
			t.Errorf("%.60s: a scheduler was asked", c.body)
		}
	}
	for _, c := range []struct{ path, body, field, detail string }{
		{"/v1/hosts/a%20b/report", report(`"vcpus": 1`), "host", `want a name of letters, digits, dots, dashes and underscores, got "a b"`},
		{"/v1/hosts/a/report", `{}`, "vcpus", "missing"},
		{"/v1/hosts/a/report", report(`"vcpus": -1`), "vcpus", "want a whole number from 0 to 1099511627776, got -1"},
		{"/v1/hosts/a/report", report(`"vcpus": 1, "service_host": "b"`), "service_host", "unknown field"},
		{"/v1/hosts/a/report", `{"vcpus": 1, "memory_mb": 1, "disk_gb": 1, "cell_uuid": "` + cellUUID + `"}`, "compute_node_uuid", "missing"},
	} {
		resp, body := exchange{method: "POST", path: c.path, body: c.body}.play(t, newSchedulers())
		wantProblem(t, c.path+" "+c.body, resp, body, http.StatusBadRequest, c.field, c.detail)
	}
}

// wantProblem checks a problem document; the detail begins with the field.
func wantProblem(t *testing.T, about string, resp *answer, body string, status int, field, detail string) {
	t.Helper()
	if field != "" {
		detail = field + ": " + detail
	}
	var got api.Problem
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%.60s: %v in %q", about, err, body)
	}
	want := api.Problem{
		Title: http.StatusText(status), Status: status, Detail: detail, Field: field, RequestID: resp.Header.Get("X-Openstack-Request-Id"),
	}
	if got != want || resp.StatusCode != status || resp.Header.Get("Content-Type") != "application/problem+json" || want.RequestID == "" {
		t.Errorf("%.60s: %s %s\nwant %+v", about, resp.Status, body, want)
	}
}

func TestRequestsThatAreNotServedSayWhy(t *testing.T) {
	t.Parallel()
	post := exchange{method: "POST", path: "/v1/select_destinations", body: `{` + smallFlavor + `}`}
	with := func(change func(*exchange)) exchange { e := post; change(&e); return e }
	for _, c := range []struct {
		exchange
		status int
		detail string
		allow  string
	}{
		{with(func(e *exchange) { e.contentType = "text/plain" }), 415, "want a body of Content-Type application/json", ""},
		{with(func(e *exchange) { e.contentType = "application/json; charset=latin1" }), 415, "want a body of Content-Type application/json", ""},
		{with(func(e *exchange) { e.contentType = "application/json;;" }), 415, "want a body of Content-Type application/json", ""},
		{with(func(e *exchange) { e.body = `{"x": "` + strings.Repeat("x", 1<<20) + `"}` }), 413, "the body is longer than 1 MiB", ""},
		{with(func(e *exchange) { e.method = "GET" }), 405, "want POST", "POST"},
		{with(func(e *exchange) { e.method, e.path = "DELETE", "/v1/hosts" }), 405, "want GET, HEAD", "GET, HEAD"},
		{with(func(e *exchange) { e.path = "/v2" }), 404, "there is nothing at this path", ""},
	} {
		resp, body := c.play(t, newSchedulers())
		wantProblem(t, c.method+" "+c.path, resp, body, c.status, "", c.detail)
		if got := resp.Header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow = %q, want %q", c.method, c.path, got, c.allow)
		}
	}
}

func TestErrorsOfTheBusBecomeStatuses(t *testing.T) {
	t.Parallel()
	timeout := func(reason error) error { return fmt.Errorf("%w: %w", messaging.ErrTimeout, reason) }
	for _, c := range []struct {
		err    error
		status int
		detail string
	}{
		{&messaging.RemoteError{Class: "KeyError", Message: "s3cret"}, 502, "the scheduler failed"},
		{messaging.ErrUndeliverable, 503, "no scheduler is there"},
		{timeout(messaging.ErrUndeliverable), 503, "no scheduler is there"},
		{timeout(messaging.ErrNotConnected), 503, "the bus is not there"},
		{timeout(messaging.ErrBlocked), 503, "the bus takes no messages for now"},
		{messaging.ErrRejected, 503, "the bus takes no messages for now"},
		{messaging.ErrTooManySenders, 503, "too many requests are under way"},
		{messaging.ErrClosed, 503, "the bus is not there"},
		{messaging.ErrConnectionLost, 503, "the connection to the bus was lost; the request may have run"},
		{messaging.ErrReplyPathLost, 503, "the connection to the bus was lost; the request may have run"},
		{messaging.ErrTimeout, 504, "no scheduler answered in time; the request may run still"},
		{messaging.ErrMonitorTimeout, 504, "no scheduler answered in time; the request may run still"},
		{timeout(messaging.ErrUnconfirmed), 504, "no scheduler answered in time; the request may run still"},
		{messaging.ErrTooLarge, 413, "the request is longer than the bus carries"},
		{errors.New("s3cret"), 500, "the request failed"},
	} {
		for _, e := range []exchange{
			{method: "POST", path: "/v1/select_destinations", body: `{` + smallFlavor + `}`},
			{method: "GET", path: "/v1/hosts"},
			{method: "POST", path: "/v1/hosts/a/report", body: report(`"vcpus": 1`)},
		} {
			resp, body := e.play(t, &schedulers{err: fmt.Errorf("call: %w", c.err)})
			wantProblem(t, c.err.Error(), resp, body, c.status, "", c.detail)
			if got := resp.Header.Get("Retry-After"); (got != "") != (c.status == 503) {
				t.Errorf("%v: Retry-After = %q", c.err, got)
			}
		}
	}
	none := &nova.NoValidHostError{Reason: "There are not enough hosts available."}
	resp, body := exchange{method: "POST", path: "/v1/select_destinations", body: `{` + smallFlavor + `}`}.play(t, &schedulers{err: none})
	wantProblem(t, "no host", resp, body, http.StatusConflict, "", "No valid host was found. There are not enough hosts available.")
	for _, answer := range [][][]nova.Selection{nil, {{}}, {{selection("a")}, {selection("a")}}} {
		resp, body := exchange{method: "POST", path: "/v1/select_destinations", body: `{` + smallFlavor + `}`}.play(t, &schedulers{answer: answer})
		wantProblem(t, "a wrong answer", resp, body, http.StatusBadGateway, "", "the scheduler's answer is none")
	}
}

func TestTheRequestIDTravelsFromHeaderToContextLogAndAnswer(t *testing.T) {
	t.Parallel()
	const given, other = "req-11111111-2222-4333-8444-555555555555", "req-aaaaaaaa-2222-4333-8444-555555555555"
	for _, c := range []struct{ openstack, plain, want string }{
		{given, "", given},
		{"", given, given},
		{given, other, given},
		{"req-1", other, other},
		{"", "", ""},
		{"11111111-2222-4333-8444-555555555555", "", ""},
		{given + "\tforged=1", "", ""},
		{strings.ToUpper(given), "", ""},
	} {
		s := newSchedulers()
		s.err = errors.New("boom") // which is logged
		var logged bytes.Buffer
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/hosts", nil)
		req.Header.Set("X-Openstack-Request-Id", c.openstack)
		req.Header.Set("X-Request-ID", c.plain)
		w := httptest.NewRecorder()
		api.NewHandler(s, quiet(t, &logged)).ServeHTTP(w, req)
		id := s.context.RequestID()
		if c.want != "" && id != c.want || !regexp.MustCompile(`^req-[0-9a-f-]{36}$`).MatchString(id) {
			t.Errorf("%+v: the id on the bus is %q", c, id)
		}
		if got := s.context.GlobalRequestID(); got != c.want {
			t.Errorf("%+v: the global id on the bus is %q", c, got)
		}
		for _, name := range []string{"X-Openstack-Request-Id", "X-Request-Id"} {
			if got := w.Header().Get(name); got != id {
				t.Errorf("%+v: %s = %q, want %q", c, name, got, id)
			}
		}
		for line := range strings.Lines(logged.String()) {
			if !strings.Contains(line, " "+id+" -] ") {
				t.Errorf("%+v: the log has %s", c, line)
			}
		}
		if logged.Len() == 0 {
			t.Errorf("%+v: nothing was logged", c)
		}
	}
}

func TestWhatTheHandlerDoesNotSeeIsAProblemToo(t *testing.T) {
	t.Parallel()
	for status, detail := range map[int]string{
		http.StatusRequestURITooLong:           "the URL is too long",
		http.StatusRequestHeaderFieldsTooLarge: "a line of the header is too long",
		http.StatusInternalServerError:         "the request failed",
	} {
		req := httptest.NewRequest(http.MethodGet, "/v1/hosts", http.NoBody)
		req = req.WithContext(api.RequestContext(req))
		id, _ := messaging.RequestIDs(req.Context())
		w := httptest.NewRecorder()
		api.Refuse(w, req, status)
		var got api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		want := api.Problem{Title: http.StatusText(status), Status: status, Detail: detail, RequestID: id}
		if got != want || w.Code != status || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("X-Openstack-Request-Id") != id {
			t.Errorf("answer = %d %v %+v, want %+v", w.Code, w.Header(), got, want)
		}
	}
}
