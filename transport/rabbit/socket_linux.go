package rabbit

import (
	"net"
	"syscall"
	"time"
)

// tcpUserTimeout is Linux's TCP_USER_TIMEOUT (tcp(7)), which package syscall does not name.
const tcpUserTimeout = 18

// setUserTimeout makes the kernel give up a connection whose data is not acknowledged for d. It is a help, not
// a need: an error is not reported.
func setUserTimeout(socket net.Conn, d time.Duration) {
	tcp, ok := socket.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(d/time.Millisecond))
	})
}
