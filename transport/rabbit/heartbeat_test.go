package rabbit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// handshakePeer plays the broker of a handshake and of the end of a connection.
type handshakePeer struct {
	socket    net.Conn
	heartbeat uint16 // the broker's own, in seconds
	agreed    int    // what the client says, -1 before
	beats     int    // frames of the client that are heartbeats
}

// Methods of class connection, with the parts of their arguments that matter here (AMQP 0-9-1, 1.4).
const (
	connectionStart   = 10<<16 | 10
	connectionStartOK = 10<<16 | 11
	connectionTune    = 10<<16 | 30
	connectionTuneOK  = 10<<16 | 31
	connectionOpen    = 10<<16 | 40
	connectionOpenOK  = 10<<16 | 41
	connectionClose   = 10<<16 | 50
	connectionCloseOK = 10<<16 | 51

	methodFrame    = 1
	heartbeatFrame = 8
	frameEnd       = 0xce
)

// serve answers until the connection is closed.
func (p *handshakePeer) serve() error {
	defer p.socket.Close()
	p.agreed = -1
	if _, err := io.ReadFull(p.socket, make([]byte, len("AMQP\x00\x00\x09\x01"))); err != nil {
		return err
	}
	start := append([]byte{0, 9, 0, 0, 0, 0}, longString("AMQPLAIN PLAIN")...)
	if err := p.say(connectionStart, append(start, longString("en_US")...)); err != nil {
		return err
	}
	for {
		kind, payload, err := p.frame()
		if err != nil {
			return err
		}
		if kind == heartbeatFrame {
			p.beats++
			continue
		}
		switch binary.BigEndian.Uint32(payload) {
		case connectionStartOK:
			err = p.say(connectionTune, binary.BigEndian.AppendUint16([]byte{7, 0xff, 0, 2, 0, 0}, p.heartbeat))
		case connectionTuneOK:
			p.agreed = int(binary.BigEndian.Uint16(payload[len(payload)-2:]))
		case connectionOpen:
			err = p.say(connectionOpenOK, []byte{0})
		case connectionClose:
			return p.say(connectionCloseOK, nil)
		}
		if err != nil {
			return err
		}
	}
}

func longString(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

func (p *handshakePeer) say(method uint32, arguments []byte) error {
	frame := binary.BigEndian.AppendUint32([]byte{methodFrame, 0, 0}, uint32(len(arguments)+4))
	frame = append(binary.BigEndian.AppendUint32(frame, method), arguments...)
	_, err := p.socket.Write(append(frame, frameEnd))
	return err
}

func (p *handshakePeer) frame() (kind byte, payload []byte, err error) {
	head := make([]byte, 7)
	if _, err := io.ReadFull(p.socket, head); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, binary.BigEndian.Uint32(head[3:])+1)
	if _, err := io.ReadFull(p.socket, payload); err != nil {
		return 0, nil, err
	}
	if payload[len(payload)-1] != frameEnd {
		return 0, nil, errors.New("a frame without its end")
	}
	return head[0], payload[:len(payload)-1], nil
}

func TestHeartbeatIsAgreedOnWithTheBroker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query  string
		broker uint16
		agreed int
		guard  time.Duration
	}{
		{"", 60, 60, 90 * time.Second},
		{"", 0, 60, 90 * time.Second},
		{"?heartbeat_timeout_threshold=10", 60, 10, 15 * time.Second},
		{"?heartbeat_timeout_threshold=100", 60, 60, 90 * time.Second},
		{"?heartbeat_timeout_threshold=0", 60, 0, 0},
		{"?heartbeat_timeout_threshold=0", 1, 0, 0},
		{"?heartbeat_timeout_threshold=0", 65535, 0, 0},
		{"?heartbeat_timeout_threshold=0", 0, 0, 0},
		{"?heartbeat_timeout_threshold=70000", 60, 60, 90 * time.Second},
		{"?heartbeat_timeout_threshold=70000", 0, 65535, 65535 * time.Second * 3 / 2},
	} {
		t.Run(fmt.Sprint(c.query, " and the broker's ", c.broker), func(t *testing.T) {
			t.Parallel()
			options, err := parse("rabbit://h/" + c.query)
			if err != nil {
				t.Fatal(err)
			}
			agreed, guard := dialled(t, &options, c.broker)
			if agreed != c.agreed || max(guard, 0) != c.guard {
				t.Errorf("the broker is told %d s, and silence is allowed for %s; want %d s, %s", agreed, guard, c.agreed, c.guard)
			}
		})
	}
}

// dialled makes a session with a broker and ends it. It returns what the broker was told, and how long it may be silent.
func dialled(t *testing.T, o *Options, heartbeat uint16) (agreed int, guard time.Duration) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	broker := &handshakePeer{heartbeat: heartbeat}
	served := make(chan error, 1)
	go func() {
		var err error
		if broker.socket, err = l.Accept(); err == nil {
			err = broker.serve()
		}
		served <- err
	}()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("listening on %v", l.Addr())
	}
	s, err := dial(t.Context(), transport.Host{Name: "127.0.0.1", Port: address.Port, User: "u", Password: "p"}, "/", "test", o)
	if err != nil {
		l.Close()
		t.Fatalf("dial = %v; the broker: %v", err, <-served)
	}
	guard = time.Duration(s.conn.guard.Load())
	s.close()
	if err := <-served; err != nil {
		t.Errorf("the broker: %v", err)
	}
	return broker.agreed, guard
}

// TestHeartbeatThatIsOffIsOffOnBothSides keeps a connection silent for a day.
func TestHeartbeatThatIsOffIsOffOnBothSides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		seconds time.Duration
		beats   bool
	}{"off": {0, false}, "on": {10, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conn, socket := pipe(handshakeTimeout)
				broker := &handshakePeer{socket: socket, heartbeat: 60}
				var err error
				var served sync.WaitGroup
				served.Go(func() { err = broker.serve() })
				o := Options{Heartbeat: c.seconds * time.Second}
				connection, openErr := amqp091.Open(conn, amqp091.Config{
					SASL: []amqp091.Authentication{&amqp091.PlainAuth{}}, Vhost: "/", Heartbeat: o.askedHeartbeat(), Locale: "en_US",
				})
				if openErr != nil {
					t.Fatal(openErr)
				}
				conn.setGuard(0) // this broker sends no heartbeats
				<-time.After(20 * time.Second)
				if !c.beats {
					<-time.After(24 * time.Hour)
				}
				if connection.IsClosed() {
					t.Error("the connection has ended")
				}
				if closeErr := connection.Close(); closeErr != nil {
					t.Errorf("Close = %v", closeErr)
				}
				_ = conn.Close() // the library has closed it
				served.Wait()
				if err != nil {
					t.Errorf("the broker: %v", err)
				}
				if (broker.beats > 0) != c.beats {
					t.Errorf("%d heartbeats were sent, want some: %t", broker.beats, c.beats)
				}
			})
		})
	}
}
