package service

import "syscall"

// endsWithParent has the kernel end a worker whose parent dies before the worker can watch it: in the program's loader, or
// where a package hangs as it is initialised. Package identity takes it back.
//
// The kernel counts the end of the thread that has started the worker as that of the parent: parent.run stays on one.
func endsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
