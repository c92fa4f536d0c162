//go:build integration

package integration_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// tap is a proxy in front of a broker that notes what its clients send, frame by frame: what no consumer can
// see, such as the mandatory flag, it can.
type tap struct {
	url string // of the transport, through the tap

	mu      sync.Mutex // protects what follows
	methods []method
	problem error
}

// method is an AMQP method that a client sent, with the content that follows it.
type method struct {
	Connection, Channel int
	Name                string
	Fields              map[string]any
	Properties          map[string]any // of basic.publish, only those that are set
	Body                string
}

// newTap makes a tap in front of the broker of a transport URL.
func newTap(tb testing.TB, transportURL string) *tap {
	tb.Helper()
	t := &tap{}
	tb.Cleanup(func() { // behind the relay's: the clients have gone by then, and with them the connections
		if t.problem != nil {
			tb.Errorf("tap: %v", t.problem)
		}
	})
	t.url = relay(tb, transportURL, t.pass, nil)
	if _, options, ok := strings.Cut(transportURL, "?"); ok {
		t.url += "?" + options
	}
	return t
}

// pass connects a client with the broker, and notes what it sends, until one of them closes.
func (t *tap) pass(number int, client net.Conn, behind string) {
	server, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	noted, note := io.Pipe()
	var both sync.WaitGroup
	both.Go(func() { t.note(number, noted) })
	both.Go(func() { // until the client closes
		_, _ = io.Copy(io.MultiWriter(server, note), client)
		_ = note.Close()
		_ = server.Close()
	})
	_, _ = io.Copy(client, server) // until the broker does
	_ = client.Close()
	both.Wait()
}

// sent returns what was sent so far by methods of that name; of any if it is empty.
func (t *tap) sent(name string) []method {
	t.mu.Lock()
	defer t.mu.Unlock()
	var sent []method
	for _, m := range t.methods {
		if name == "" || m.Name == name {
			sent = append(sent, m)
		}
	}
	return sent
}

// AMQP 0-9-1, section 4.2.3 of the specification.
const (
	frameMethod = 1
	frameHeader = 2
	frameBody   = 3
	frameEnd    = 0xce
)

// note reads what one client sends. A publication is noted when its body is complete.
func (t *tap) note(number int, from *io.PipeReader) {
	r := bufio.NewReader(from)
	defer func() { _, _ = io.Copy(io.Discard, r) }() // whatever happens, the client must not wait for us
	if _, err := io.ReadFull(r, make([]byte, len("AMQP\x00\x00\x09\x01"))); err != nil {
		return
	}
	open := map[int]*method{} // publications that lack a part
	missing := map[int]uint64{}
	for {
		kind, channel, payload, err := readFrame(r)
		if err != nil {
			t.fail(number, err)
			return
		}
		switch kind {
		case frameMethod:
			m, err := parseMethod(payload)
			if err != nil {
				t.fail(number, err)
				return
			}
			if m == nil {
				continue
			}
			m.Connection, m.Channel = number, channel
			if m.Name == "basic.publish" {
				open[channel] = m
				continue
			}
			t.add(m)
		case frameHeader:
			m := open[channel]
			if m == nil {
				t.fail(number, errors.New("a content header without a method"))
				return
			}
			missing[channel], m.Properties, err = parseHeader(payload)
			if err != nil {
				t.fail(number, err)
				return
			}
			if missing[channel] == 0 {
				t.add(m)
			}
		case frameBody:
			m := open[channel]
			m.Body += string(payload)
			if missing[channel] -= uint64(len(payload)); missing[channel] == 0 {
				t.add(m)
			}
		}
	}
}

func (t *tap) add(m *method) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.methods = append(t.methods, *m)
}

func (t *tap) fail(number int, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problem = errors.Join(t.problem, fmt.Errorf("connection %d: %w", number, err))
}

func readFrame(r io.Reader) (kind, channel int, payload []byte, err error) {
	var head [7]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, nil, err
	}
	payload = make([]byte, binary.BigEndian.Uint32(head[3:])+1)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, 0, nil, err
	}
	if payload[len(payload)-1] != frameEnd {
		return 0, 0, nil, errors.New("a frame without its end")
	}
	return int(head[0]), int(binary.BigEndian.Uint16(head[1:])), payload[:len(payload)-1], nil
}

// layouts name the fields of methods in their order, with their types: s short string, w 16 bits, l 32 bits,
// t table, b bits (named together).
var layouts = map[uint32]struct {
	name   string
	fields string
}{
	10<<16 | 11:  {"connection.start-ok", "t:client s:mechanism L:response s:locale"},
	10<<16 | 31:  {"connection.tune-ok", "w:channel_max l:frame_max w:heartbeat"},
	40<<16 | 10:  {"exchange.declare", "w: s:exchange s:type b:passive,durable,auto_delete,internal,nowait t:arguments"},
	50<<16 | 10:  {"queue.declare", "w: s:queue b:passive,durable,exclusive,auto_delete,nowait t:arguments"},
	50<<16 | 20:  {"queue.bind", "w: s:queue s:exchange s:routing_key b:nowait t:arguments"},
	50<<16 | 40:  {"queue.delete", "w: s:queue b:if_unused,if_empty,nowait"},
	60<<16 | 10:  {"basic.qos", "l:prefetch_size w:prefetch_count b:global"},
	60<<16 | 20:  {"basic.consume", "w: s:queue s:consumer_tag b:no_local,no_ack,exclusive,nowait t:arguments"},
	60<<16 | 40:  {"basic.publish", "w: s:exchange s:routing_key b:mandatory,immediate"},
	85<<16 | 10:  {"confirm.select", "b:nowait"},
	60<<16 | 80:  {"basic.ack", "q:tag b:multiple"},
	60<<16 | 90:  {"basic.reject", "q:tag b:requeue"},
	60<<16 | 120: {"basic.nack", "q:tag b:multiple,requeue"},
}

// parseMethod returns nil for methods that no test looks at.
func parseMethod(payload []byte) (*method, error) {
	r := &wireReader{rest: payload}
	layout, known := layouts[r.long()]
	if !known {
		return nil, r.err
	}
	m := &method{Name: layout.name, Fields: map[string]any{}}
	for field := range strings.FieldsSeq(layout.fields) {
		kind, name, _ := strings.Cut(field, ":")
		if kind == "b" {
			bits := r.octet()
			for i, name := range strings.Split(name, ",") {
				m.Fields[name] = bits>>i&1 == 1
			}
			continue
		}
		if value := r.value(kind); name != "" {
			m.Fields[name] = value
		}
	}
	return m, r.err
}

// headerProperties are the properties of class basic, from the highest bit of the flags downwards.
var headerProperties = strings.Fields("s:content_type s:content_encoding t:headers o:delivery_mode o:priority " +
	"s:correlation_id s:reply_to s:expiration s:message_id q:timestamp s:type s:user_id s:app_id s:cluster_id")

func parseHeader(payload []byte) (size uint64, properties map[string]any, err error) {
	r := &wireReader{rest: payload}
	r.long() // class and weight
	size = r.longlong()
	flags := r.word()
	properties = map[string]any{}
	for i, property := range headerProperties {
		if flags>>(15-i)&1 == 1 {
			kind, name, _ := strings.Cut(property, ":")
			properties[name] = r.value(kind)
		}
	}
	return size, properties, r.err
}

// wireReader reads AMQP's types. After an error it reads zeros.
type wireReader struct {
	rest []byte
	err  error
}

func (r *wireReader) take(n int) []byte {
	if len(r.rest) < n {
		r.err = errors.New("a frame that is too short")
		return make([]byte, n)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *wireReader) octet() byte      { return r.take(1)[0] }
func (r *wireReader) word() uint16     { return binary.BigEndian.Uint16(r.take(2)) }
func (r *wireReader) long() uint32     { return binary.BigEndian.Uint32(r.take(4)) }
func (r *wireReader) longlong() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
func (r *wireReader) shortstr() string { return string(r.take(int(r.octet()))) }
func (r *wireReader) longstr() string  { return string(r.take(int(min(r.long(), 1<<24)))) }
func (r *wireReader) signed32() any    { return int32(r.long()) }
func (r *wireReader) signed64() any    { return int64(r.longlong()) }
func (r *wireReader) boolean() any     { return r.octet() != 0 }

func (r *wireReader) value(kind string) any {
	switch kind {
	case "s":
		return r.shortstr()
	case "L":
		return r.longstr()
	case "o":
		return int(r.octet())
	case "w":
		return int(r.word())
	case "l":
		return int(r.long())
	case "q":
		return int(r.longlong())
	}
	return r.table()
}

// table reads a field table: the names with the letters of their types and the values.
func (r *wireReader) table() map[string]any {
	inner := &wireReader{rest: r.take(int(min(r.long(), 1<<24)))}
	table := map[string]any{}
	for len(inner.rest) > 0 && inner.err == nil {
		name := inner.shortstr()
		letter := string(inner.octet())
		var value any
		switch letter {
		case "t":
			value = inner.boolean()
		case "I":
			value = inner.signed32()
		case "l", "L":
			value = inner.signed64()
		case "s":
			value = inner.word()
		case "S":
			value = inner.longstr()
		case "F":
			value = inner.table()
		default:
			inner.err = fmt.Errorf("a field of type %q", letter)
		}
		table[name] = fmt.Sprintf("%s %v", letter, value)
	}
	r.err = errors.Join(r.err, inner.err)
	return table
}
