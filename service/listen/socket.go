package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// family is that of a listener's addresses, in words for errors.
type family string

const (
	familyTCP  family = "TCP"
	familyUnix family = "unix"
)

// streamSocket makes a socket. It has O_NONBLOCK from the beginning: [os.NewFile] then gives a file that leaves the flag
// alone (see the package's comment).
func streamSocket(domain int) (int, error) {
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	return fd, os.NewSyscallError("socket", err)
}

// inspect tells the address of a socket of a family and whether it listens.
func inspect(file *os.File, want family) (addr net.Addr, listens bool, err error) {
	err = control(file, func(fd int) error {
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil || kind != unix.SOCK_STREAM {
			return fmt.Errorf("descriptor %d is no stream socket", fd)
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			return os.NewSyscallError("getsockname", err)
		}
		var found family
		if addr, found = address(name); found != want {
			return fmt.Errorf("descriptor %d is no %s socket", fd, want)
		}
		state, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		listens = state != 0
		if err == nil && want == familyUnix && !listens { // of TCP, it may be a reservation
			return fmt.Errorf("descriptor %d does not listen", fd)
		}
		return os.NewSyscallError("getsockopt", err)
	})
	return addr, listens, err
}

// control runs f with a file's descriptor.
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Control(func(fd uintptr) { result = f(int(fd)) })
	return errors.Join(err, result)
}

func address(name unix.Sockaddr) (net.Addr, family) {
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: name.Addr[:], Port: name.Port}, familyTCP
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: name.Addr[:], Port: name.Port, Zone: zone(name.ZoneId)}, familyTCP
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: name.Name, Net: "unix"}, familyUnix
	default:
		return nil, ""
	}
}

func zone(id uint32) string {
	if id == 0 {
		return ""
	}
	if link, err := net.InterfaceByIndex(int(id)); err == nil {
		return link.Name
	}
	return strconv.FormatUint(uint64(id), 10)
}
