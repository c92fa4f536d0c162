package service

import (
	"errors"

	"golang.org/x/sys/unix"
)

// isDaemon tells whether a SIGHUP means a reload: standard output is no terminal, or another process group has it in the
// foreground. Other errors mean no daemon, in particular that of a terminal which was hung up (oslo.service: service.py,
// _is_daemon).
func isDaemon() bool {
	foreground, err := unix.IoctlGetInt(unix.Stdout, unix.TIOCGPGRP)
	if err != nil {
		return errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EBADF) || errors.Is(err, unix.ENODEV)
	}
	return foreground != unix.Getpgrp()
}
