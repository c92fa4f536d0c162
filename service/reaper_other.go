//go:build !linux

package service

import "github.com/sirupsen/logrus"

// reaper does nothing where no process is init of a container.
type reaper struct{}

func newReaper(logrus.FieldLogger) *reaper { return nil }

func (*reaper) close() {}
