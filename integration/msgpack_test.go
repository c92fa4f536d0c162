//go:build integration

package integration_test

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/goslo/goslo/serializer"
)

// packer is a Python process that packs and unpacks with msgpackutils; see testdata/peer_msgpack.py.
type packer struct {
	questions *json.Encoder
	answers   *bufio.Scanner
}

type packerAnswer struct {
	Hex, Got, Error string
	Same            bool
}

func newPacker(t *testing.T, py *python) *packer {
	t.Helper()
	cmd, err := py.start(t.Context(), "peer_msgpack.py")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
		cmd.end()
	})
	return &packer{json.NewEncoder(stdin), bufio.NewScanner(stdout)}
}

func (p *packer) ask(t *testing.T, question map[string]string) (answer packerAnswer) {
	t.Helper()
	if err := p.questions.Encode(question); err != nil {
		t.Fatal(err)
	}
	if !p.answers.Scan() {
		t.Fatalf("no answer to %v: %v", question, p.answers.Err())
	}
	if err := json.Unmarshal(p.answers.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// loads checks that Python reads what Go has written as the value of an expression.
func (p *packer) loads(t *testing.T, v any, expression string) {
	t.Helper()
	data, err := serializer.Msgpack.Append(nil, v)
	if err != nil {
		t.Errorf("%#v: %v", v, err)
		return
	}
	if got := p.ask(t, map[string]string{"load": hex.EncodeToString(data), "want": expression}); !got.Same {
		t.Errorf("%#v is read as %s %s, want %s", v, got.Got, got.Error, expression)
	}
}

// TestMsgpackExtensionsTravelBothWays has Python write the recorded values, which makes sure that the
// recording is true, and read what Go writes for them.
func TestMsgpackExtensionsTravelBothWays(t *testing.T) {
	t.Parallel()
	withEachPython(t, msgpackExtensionsTravelBothWays)
}

func msgpackExtensionsTravelBothWays(t *testing.T, py *python) {
	p := newPacker(t, py)
	file, err := os.ReadFile("../serializer/testdata/msgpack.json")
	if err != nil {
		t.Fatal(err)
	}
	var recording struct {
		Values []struct{ Name, Python, Hex, Error string }
	}
	if err := json.Unmarshal(file, &recording); err != nil || len(recording.Values) < 60 {
		t.Fatalf("%d values, error %v, want at least 60", len(recording.Values), err)
	}
	const naive, timestamp = "pytz.UTC.localize(%s)", "%s.to_datetime()"
	comesBack := map[string]string{ // what Python sees instead, where Go has one type for several of Python's
		"datetime_naive": naive, "xmlrpc_datetime": "pytz.UTC.localize(datetime.datetime(*%s.timetuple()[:6]))",
		"timestamp": timestamp, "timestamp_32": timestamp, "timestamp_96": timestamp, "ipv6_short": "str(%s)", "tuple": "list(%s)", "bytearray": "bytes(%s)",
	}
	for _, row := range recording.Values {
		live := p.ask(t, map[string]string{"dump": row.Python})
		if live.Hex != row.Hex || (live.Error == "") != (row.Error == "") {
			t.Errorf("%s: Python writes %s %s, recorded is %s %s", row.Name, live.Hex, live.Error, row.Hex, row.Error)
		}
		data, err := hex.DecodeString(live.Hex)
		if err != nil || live.Error != "" {
			continue
		}
		var v any
		if err := serializer.Msgpack.Decode(data, &v); err != nil {
			t.Errorf("%s: %v", row.Name, err)
			continue
		}
		p.loads(t, v, fmt.Sprintf(cmp.Or(comesBack[row.Name], "%s"), row.Python))
	}
}

// TestMsgpackStructsReachPython sends Go types that no decoding gives.
func TestMsgpackStructsReachPython(t *testing.T) {
	t.Parallel()
	withEachPython(t, msgpackStructsReachPython)
}

func msgpackStructsReachPython(t *testing.T, py *python) {
	p := newPacker(t, py)
	type server struct {
		ID    serializer.UUID              `json:"id"`
		Addr  *netip.Addr                  `json:"addr"`
		IPv6  netip.Addr                   `json:"ipv6"`
		Birth serializer.Date              `json:"birth"`
		Tags  serializer.Set[string]       `json:"tags"`
		Ports serializer.FrozenSet[uint16] `json:"ports"`
		Next  serializer.Count             `json:"next"`
		At    time.Time                    `json:"at"`
		Ratio float32                      `json:"ratio"`
		Limit *int                         `json:"limit"`
		Empty string                       `json:"empty,omitempty"`
	}
	addr := netip.MustParseAddr("192.0.2.1")
	in := server{
		ID: serializer.UUID{15: 7}, Addr: &addr, IPv6: netip.MustParseAddr("2001:db8::1"), Birth: serializer.Date{Year: 1969, Month: 7, Day: 20},
		Tags: serializer.Set[string]{"b", "a"}, Ports: serializer.FrozenSet[uint16]{65535}, Next: serializer.Count{Start: 1, Step: 1},
		At: time.Date(2024, 6, 1, 2, 0, 0, 1999, time.FixedZone("", 2*60*60)), Ratio: 1.5,
	}
	p.loads(t, in, `{"id": uuid.UUID(int=7), "addr": netaddr.IPAddress("192.0.2.1"), "ipv6": "2001:db8::1", "birth": datetime.date(1969, 7, 20), `+
		`"tags": {"a", "b"}, "ports": frozenset([65535]), "next": itertools.count(1), "at": datetime.datetime(2024, 6, 1, 0, 0, 0, 1, tzinfo=pytz.UTC), "ratio": 1.5, "limit": None}`)
	answer := p.ask(t, map[string]string{"dump": `{"id": uuid.UUID(int=7), "addr": netaddr.IPAddress("192.0.2.1"), "ipv6": "2001:db8::1", "birth": datetime.date(1969, 7, 20), ` +
		`"tags": {"b"}, "ports": frozenset([65535]), "next": itertools.count(1), "at": datetime.datetime(2024, 6, 1, 0, 0, 0, 1), "ratio": 1.5, "limit": None}`})
	data, err := hex.DecodeString(answer.Hex)
	if err != nil || answer.Error != "" {
		t.Fatal(err, answer.Error)
	}
	var out server
	if err := serializer.Msgpack.Decode(data, &out); err != nil {
		t.Fatal(err)
	}
	want := in
	want.Tags, want.At = serializer.Set[string]{"b"}, time.Date(2024, 6, 1, 0, 0, 0, 1000, time.UTC)
	if !reflect.DeepEqual(out, want) {
		t.Errorf("Python's value is read as %+v, want %+v", out, want)
	}
}
