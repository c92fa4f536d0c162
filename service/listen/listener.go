package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
)

// Listener is a socket of this process under a name. It is made by [TCP] or [Unix] and stays open until Close, also
// while nobody accepts. All methods are safe for concurrent use.
type Listener struct {
	name   string
	where  string // the address that was asked for
	config config

	mu   sync.Mutex
	file *os.File // nil before the socket is open and after Close
	addr net.Addr
	// reserves tells that the socket is bound and does not listen: whoever accepts makes one of his own.
	reserves bool
	remove   func() error // takes away what binding left in the file system; nil for nothing
}

// socket is what a source gives.
type socket struct {
	file   *os.File
	remove func() error
}

// open makes a listener and finds a socket for it: that which was left for it under its name, or else what bind makes.
func open(name, where string, c config, family family, bind func() (socket, error)) (*Listener, error) {
	l := &Listener{name: name, where: where, config: c}
	if err := l.open(family, bind); err != nil {
		return nil, l.wrap(err)
	}
	return l, nil
}

func (l *Listener) open(family family, bind func() (socket, error)) error {
	if l.name == "" {
		return errors.New("a listener needs a name")
	}
	if err := l.config.check(); err != nil {
		return err
	}
	if err := all.add(l); err != nil {
		return err
	}
	if err := l.attach(family, bind); err != nil {
		all.drop(l)
		return err
	}
	return nil
}

func (l *Listener) attach(family family, bind func() (socket, error)) error {
	var s socket
	var err error
	if s.file, err = adopt(l.name); err != nil {
		return err
	}
	if s.file == nil {
		if s, err = bind(); err != nil {
			return err
		}
	}
	addr, listens, err := inspect(s.file, family)
	if err == nil && family == familyTCP {
		err = l.config.tune(s.file)
	}
	// What the socket is decides, not the option: a worker may read newer options than its parent has.
	l.config.reusePort = !listens
	if err != nil {
		return errors.Join(err, s.close())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file, l.remove, l.addr, l.reserves = s.file, s.remove, addr, !listens
	return nil
}

func (s socket) close() error {
	var err error
	if s.remove != nil {
		err = s.remove()
	}
	return errors.Join(err, s.file.Close())
}

// Name is that under which the listener was made.
func (l *Listener) Name() string { return l.name }

// Addr is the address of the socket, with the port that the kernel has chosen where none was asked for.
func (l *Listener) Addr() net.Addr { return l.addr }

// Port is the port of the socket, which is known from the beginning; 0 for a unix socket.
func (l *Listener) Port() int {
	if addr, ok := l.addr.(*net.TCPAddr); ok {
		return addr.Port
	}
	return 0
}

// Accepting makes something to accept connections with: a duplicate, which the caller closes, and which can be closed
// and made anew as often as a server is restarted. It fails with [net.ErrClosed] after Close, and where the process has
// no descriptors left.
func (l *Listener) Accepting() (net.Listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	accepting, err := l.accepting()
	if err != nil {
		return nil, l.wrap(err)
	}
	return accepting, nil
}

func (l *Listener) accepting() (net.Listener, error) {
	file := l.file
	if file == nil {
		return nil, net.ErrClosed
	}
	if l.reserves {
		own, err := l.config.bindTCP(l.addr.(*net.TCPAddr), true)
		if err != nil {
			return nil, err
		}
		defer own.Close()
		file = own
	}
	accepting, err := net.FileListener(file) // has a descriptor of its own
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return nil, op.Err // without what the listener's own error says already
	case err != nil:
		return nil, err
	}
	switch accepting := accepting.(type) {
	case *net.UnixListener:
		accepting.SetUnlinkOnClose(false) // the path belongs to the listener, not to one who accepts
	case *net.TCPListener:
		return newKeptAlive(accepting, file)
	}
	return accepting, nil
}

// Close closes the socket; a unix socket's path is removed by the process that bound it and by no other. What accepts on
// duplicates goes on. Close twice is harmless.
func (l *Listener) Close() error {
	all.drop(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	s := socket{file: l.file, remove: l.remove}
	l.file = nil
	if err := s.close(); err != nil {
		return l.wrap(err)
	}
	return nil
}

func (l *Listener) wrap(err error) error {
	return fmt.Errorf("listener %q on %s: %w", l.name, l.where, err)
}
