package listen

import (
	"errors"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// TCP opens a listener on an address, which is a host and a port as for [net.Listen]: port 0 lets the kernel choose one,
// no host is all addresses of both families, and of a name's addresses the first decides, IPv4 first. The socket has
// SO_REUSEADDR, SO_KEEPALIVE and TCP_KEEPIDLE.
//
// Errors are one line with the listener's name and address; those of the kernel can be told by [errors.Is], as EADDRINUSE.
func TCP(name, addr string, opts ...TCPOption) (*Listener, error) {
	c := defaultConfig()
	for _, opt := range opts {
		opt.applyTCP(&c)
	}
	return open(name, addr, c, familyTCP, func() (socket, error) {
		resolved, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			return socket{}, short(err)
		}
		file, err := c.bindTCP(resolved, !c.reusePort)
		return socket{file: file}, err
	})
}

// short takes from an error the address that the listener's own error says already.
func short(err error) error {
	var address *net.AddrError
	if errors.As(err, &address) {
		return errors.New(address.Err)
	}
	return err
}

// bindTCP makes a socket; without listening it only reserves its address.
func (c *config) bindTCP(addr *net.TCPAddr, listening bool) (*os.File, error) {
	if addr.IP == nil {
		file, err := c.bindTCP(&net.TCPAddr{IP: net.IPv6unspecified, Port: addr.Port}, listening)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) { // a machine without IPv6
			return c.bindTCP(&net.TCPAddr{IP: net.IPv4zero, Port: addr.Port}, listening)
		}
		return file, err
	}
	domain, name, err := sockaddr(addr)
	if err != nil {
		return nil, err
	}
	fd, err := streamSocket(domain)
	if err != nil {
		return nil, err
	}
	if err := c.bindTo(fd, domain, name, listening); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), addr.String()), nil
}

func (c *config) bindTo(fd, domain int, name unix.Sockaddr, listening bool) error {
	var options []sockopt
	if listening { // on an address of which only a former socket's connections are left
		options = append(options, sockopt{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1})
	}
	// A reservation goes without: while it does not listen, anybody else with SO_REUSEADDR could take the address.
	if c.reusePort {
		options = append(options, sockopt{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}
	if domain == unix.AF_INET6 {
		options = append(options, sockopt{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0})
	}
	if err := set(fd, append(options, c.keepAlive()...)...); err != nil {
		return err
	}
	if err := unix.Bind(fd, name); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if !listening {
		return nil
	}
	return os.NewSyscallError("listen", unix.Listen(fd, c.backlog))
}

// tune sets what a socket of somebody else may not have.
func (c *config) tune(file *os.File) error {
	return control(file, func(fd int) error { return set(fd, c.keepAlive()...) })
}

func (c *config) keepAlive() []sockopt {
	options := []sockopt{{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}}
	if c.keepIdle > 0 {
		seconds := int((c.keepIdle + time.Second - 1) / time.Second)
		options = append(options, sockopt{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds})
	}
	return options
}

type sockopt struct{ level, name, value int }

func set(fd int, options ...sockopt) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

func sockaddr(addr *net.TCPAddr) (domain int, name unix.Sockaddr, err error) {
	if ip := addr.IP.To4(); ip != nil {
		return unix.AF_INET, &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(ip)}, nil
	}
	id, err := zoneID(addr.Zone)
	if err != nil {
		return 0, nil, err
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: addr.Port, Addr: [16]byte(addr.IP.To16()), ZoneId: id}, nil
}

func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if id, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(id), nil
	}
	link, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, err
	}
	return uint32(link.Index), nil
}

// keptAlive gives the connections the times of the listening socket. By itself package net sets its own, 15 s, on each.
type keptAlive struct {
	*net.TCPListener
	times net.KeepAliveConfig
}

func newKeptAlive(l *net.TCPListener, file *os.File) (net.Listener, error) {
	k := &keptAlive{TCPListener: l, times: net.KeepAliveConfig{Enable: true}}
	err := control(file, func(fd int) error {
		idle, err1 := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
		interval, err2 := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
		count, err3 := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
		k.times.Idle, k.times.Interval = time.Duration(idle)*time.Second, time.Duration(interval)*time.Second
		k.times.Count = count
		return os.NewSyscallError("getsockopt", errors.Join(err1, err2, err3))
	})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return k, nil
}

// Accept waits for a connection.
func (k *keptAlive) Accept() (net.Conn, error) {
	conn, err := k.AcceptTCP()
	if err != nil {
		return nil, err
	}
	// A connection that is broken already says so when it is read, and is no reason to stop accepting.
	_ = conn.SetKeepAliveConfig(k.times)
	return conn, nil
}
