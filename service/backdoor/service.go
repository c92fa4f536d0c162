package backdoor

import (
	"context"
	"sync"
)

// Service is a backdoor with the life of a service of package service: it is open from Start to Stop. Where several
// processes run a service, each has one. Its methods are safe for concurrent use.
type Service struct {
	config func() Config

	mu     sync.Mutex
	server *Server // nil while it is closed
}

// NewService makes a service, which asks for its configuration at each Start.
func NewService(config func() Config) *Service { return &Service{config: config} }

// Start opens the backdoor, if the configuration has one. It fails as [Open] does. One that is open stays as it is.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return nil
	}
	server, err := Open(ctx, s.config())
	if err != nil {
		return err
	}
	s.server = server
	return nil
}

// Stop closes the backdoor; see [Server.Close].
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	return server.Close(ctx)
}

// Wait returns at once: Stop waits.
func (s *Service) Wait(context.Context) error { return nil }

// Reset changes nothing: the address is the same until the next Start.
func (s *Service) Reset(context.Context) error { return nil }

// Port is what [Server.Port] is; 0 while the backdoor is closed.
func (s *Service) Port() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return 0
	}
	return s.server.Port()
}

// Address is what [Server.Address] is; empty while the backdoor is closed.
func (s *Service) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return ""
	}
	return s.server.Address()
}
