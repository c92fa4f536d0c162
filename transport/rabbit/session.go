package rabbit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/wire"
	"github.com/goslo/goslo/transport"
)

const (
	defaultPort = 5672
	// schemeTLS is the URL scheme that turns TLS on, with a default port of its own.
	schemeTLS      = "amqps"
	defaultPortTLS = 5671

	dialTimeout      = 5 * time.Second
	handshakeTimeout = 10 * time.Second
	// closeTimeout is how long the broker may take to answer the end of a session before the socket is closed.
	closeTimeout = 2 * time.Second

	channelMax = 2047
	frameSize  = 131072
)

// session is one connection to the broker, from its handshake to its end. Nothing of it outlives that end:
// what is left over from a session, such as an acknowledgement, is void in the next. The library's own
// recovery stays off: with it, a late acknowledgement of one message was seen to acknowledge another.
type session struct {
	connection *amqp091.Connection
	conn       *conn
	host       transport.Host

	barrier barrier       // shut while the broker takes no messages on this connection
	load    atomic.Int64  // bytes of the messages that were written and not confirmed
	takes   atomic.Int64  // when the broker last confirmed a request, in nanoseconds of Unix time
	ended   chan struct{} // closed when the connection is gone
	mu      sync.Mutex
	err     error // why, nil after a close by this side

	watcher sync.WaitGroup
	once    sync.Once // guards close
}

// dial makes a session with a host. ctx ends the attempt, whatever state it is in.
func dial(ctx context.Context, host transport.Host, virtualHost, purpose string, o *Options) (*session, error) {
	login, err := credentials(host, o)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	socket, err := dialSocket(ctx, host, o)
	if err != nil {
		return nil, err
	}
	c := newConn(socket, handshakeTimeout)
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	connection, err := amqp091.Open(c, amqp091.Config{
		SASL:       []amqp091.Authentication{login},
		Vhost:      orDefault(virtualHost, "/"),
		Heartbeat:  o.askedHeartbeat(),
		ChannelMax: channelMax,
		FrameSize:  frameSize,
		Locale:     "en_US",
		Properties: clientProperties(purpose),
	})
	if err != nil {
		_ = c.Close() // what matters is why the handshake failed
		return nil, handshakeError(ctx, o, err)
	}
	s := &session{connection: connection, conn: c, host: host, ended: make(chan struct{})}
	// The broker sends heartbeats twice in each interval: silence of one and a half is no delay any more.
	c.setGuard(connection.Config.Heartbeat * 3 / 2)
	closed := connection.NotifyClose(make(chan *amqp091.Error, 1))
	blocked := connection.NotifyBlocked(make(chan amqp091.Blocking))
	s.watcher.Go(func() { s.watch(closed) })
	s.watcher.Go(func() { s.barrier.watch(blocked) })
	return s, nil
}

// dialSocket connects to a host, encrypted where that is asked for.
func dialSocket(ctx context.Context, host transport.Host, o *Options) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	socket, err := dialer.DialContext(ctx, "tcp", addressOf(host))
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	setUserTimeout(socket, writeTimeout)
	if !o.TLS.Enabled {
		return socket, nil
	}
	socket, err = o.TLS.secure(ctx, socket, nameOf(host))
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return socket, nil
}

func handshakeError(ctx context.Context, o *Options, err error) error {
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, amqp091.ErrSASL):
		err = fmt.Errorf("the broker does not offer the login method %s", o.LoginMethod)
	default:
		err = brokerError(err)
	}
	return fmt.Errorf("handshake: %w", err)
}

func orDefault(s, value string) string {
	if s == "" {
		return value
	}
	return s
}

func nameOf(host transport.Host) string { return orDefault(host.Name, "localhost") }

// addressOf is what is dialled.
func addressOf(host transport.Host) string {
	return net.JoinHostPort(nameOf(host), strconv.Itoa(portOf(host)))
}

func portOf(host transport.Host) int {
	if host.Port == 0 {
		return defaultPort
	}
	return host.Port
}

// clientProperties are what operators see of a connection; its name is made as oslo.messaging makes it.
func clientProperties(purpose string) amqp091.Table {
	program := filepath.Base(os.Args[0])
	return amqp091.Table{
		"product":         "goslo",
		"platform":        "Go",
		"connection_name": fmt.Sprintf("%s:%d:%s %s", program, os.Getpid(), wire.NewID(), purpose),
	}
}

// watch notes the end of the connection. The channel is closed by the library in any case.
func (s *session) watch(closed <-chan *amqp091.Error) {
	if err := <-closed; err != nil {
		s.note(brokerError(err))
	}
	s.conn.kill()
	close(s.ended)
}

// note notes why the session ends, unless that is known.
func (s *session) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// giveUp ends the session, whatever is under way on it.
func (s *session) giveUp(reason error) {
	s.note(reason)
	s.conn.kill()
}

func (s *session) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// cause is why the session ended.
func (s *session) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return transport.ErrClosed
	}
	return s.err
}

// close ends the session and returns when it is gone: by the book where the broker answers in time, else by
// closing the socket. It can be called at any time, from several goroutines, and wakes all that wait for the
// broker on this session.
func (s *session) close() {
	s.once.Do(func() {
		s.bounded(func() { _ = s.connection.Close() }) // its error is that the connection is closed
		_ = s.conn.Close()
		s.watcher.Wait()
	})
}

// consumersOf counts the consumers of a queue, on a throw-away channel: to look at a queue that is not there costs the channel.
func (s *session) consumersOf(queue string) (int, error) {
	ch, err := s.connection.Channel()
	if err != nil {
		return 0, fmt.Errorf("open channel: %w", brokerError(err))
	}
	found, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	if err = brokerError(err); vanished(err) {
		return 0, nil
	}
	s.closeChannel(ch)
	return found.Consumers, err
}

// closeChannel closes a channel. A broker that does not answer costs the session, not more time.
func (s *session) closeChannel(ch *amqp091.Channel) {
	s.bounded(func() { _ = ch.Close() }) // its error is that the channel is closed
}

// bounded closes the socket when f, which talks to the broker, takes too long, and returns when f has.
func (s *session) bounded(f func()) {
	timer := time.AfterFunc(closeTimeout, s.conn.kill)
	defer timer.Stop()
	f()
}
