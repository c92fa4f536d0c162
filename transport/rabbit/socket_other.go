//go:build !linux

package rabbit

import (
	"net"
	"time"
)

// setUserTimeout is for Linux; elsewhere the write deadline and the read guard do without it.
func setUserTimeout(net.Conn, time.Duration) {}
