//go:build !linux

package service

import "syscall"

func endsWithParent() *syscall.SysProcAttr { return nil }
