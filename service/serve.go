package service

import (
	"sync"

	"github.com/sirupsen/logrus"
)

// program is the one launcher of Serve and Wait.
var program struct {
	mu       sync.Mutex
	launcher Launcher
}

// Serve launches a service as [Launch] does, once in a program (nova's and Karbor's service.serve): another call fails with
// [ErrServeTwice], even when the launcher has ended. [Wait] waits for it.
func Serve(conf Config, svc Service, opts ...Option) error {
	program.mu.Lock()
	defer program.mu.Unlock()
	if program.launcher != nil {
		return ErrServeTwice
	}
	l, err := Launch(conf, svc, opts...)
	if err != nil {
		return err
	}
	program.launcher = l
	return nil
}

// Wait waits for what [Serve] has launched and returns the exit status, which is for main to exit with. Without Serve it is 1 at
// once.
func Wait() int {
	program.mu.Lock()
	l := program.launcher
	program.mu.Unlock()
	if l == nil {
		logrus.StandardLogger().Error("service: Wait was called without Serve")
		return exitFailed
	}
	return l.Wait()
}
