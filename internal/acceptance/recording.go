// Package acceptance holds what oslo.messaging servers and clients of three releases did with hand-made messages,
// and the list of what goslo does otherwise on purpose. Tests at every level play the recordings: wire, the
// drivers, servers and clients.
//
// testdata holds the recordings as they were made; the description in each says how.
package acceptance

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"testing"

	"github.com/goslo/goslo/internal/wire"
)

//go:embed testdata/*.json
var testdata embed.FS

// The releases that were recorded.
const (
	Oslo14 = "oslo.messaging 14.0.3"
	Oslo16 = "oslo.messaging 16.1.0"
	Oslo18 = "oslo.messaging 18.1.0"
)

// files are the recordings by release.
var files = map[string]string{Oslo14: "", Oslo16: "_v16", Oslo18: "_v18"}

// Releases are the releases that were recorded, oldest first.
func Releases() []string { return []string{Oslo14, Oslo16, Oslo18} }

// Message is a message as it is published.
type Message struct {
	Properties struct {
		ContentType     string `json:"content_type"`
		ContentEncoding string `json:"content_encoding"`
		DeliveryMode    uint8  `json:"delivery_mode"`
		Priority        uint8  `json:"priority"`
	}
	Headers      map[string]string
	Body         string
	BodyEncoding string `json:"body_encoding"`
}

// Bytes is the body as it goes over the wire.
func (m *Message) Bytes() []byte {
	if m.BodyEncoding != "base64" {
		return []byte(m.Body)
	}
	body, err := base64.StdEncoding.DecodeString(m.Body)
	if err != nil {
		panic(err) // of a recording
	}
	return body
}

// Compression is the algorithm that the headers name; empty for none.
func (m *Message) Compression() string { return m.Headers[wire.CompressionHeader] }

// Text is the body after decompression.
func (m *Message) Text() ([]byte, error) { return wire.Decompress(m.Compression(), m.Bytes()) }

// load reads the recording of a release.
func load[Case any](tb testing.TB, kind, release string, count int) []*Case {
	tb.Helper()
	name := fmt.Sprintf("testdata/%s_acceptance%s.json", kind, files[release])
	data, err := testdata.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	var r struct {
		Producer string
		Cases    []*Case
	}
	if err := unmarshal(data, &r); err != nil || r.Producer != release || len(r.Cases) != count {
		tb.Fatalf("%s: %d cases of %s, error %v; want %d of %s", name, len(r.Cases), r.Producer, err, count, release)
	}
	return r.Cases
}

// nan is a NaN that is a value, not one in a text.
var nan = regexp.MustCompile(`([^\\]": )NaN`)

// unmarshal decodes JSON with numbers as they are written, NaN among them.
func unmarshal(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(nan.ReplaceAll(data, []byte(`${1}"not a number"`))))
	d.UseNumber()
	return d.Decode(to)
}
