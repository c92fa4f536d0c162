package main

import (
	"crypto/sha1" //nolint:gosec // what version 5 of UUIDs is made with; nothing is kept secret
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/cmd/scheduler/internal/agent"
	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/rpcservice"
)

const agentHelp = `Be a compute host: claim resources for instances, and tell the schedulers what
there is.

Serves topic compute under the host's name (namespace claims: build, resize, delete,
list), and reports capacity and instances to all schedulers every 10 seconds and
after each change. Claims are kept in memory.

Prints READY on standard output once it receives messages. Logs go to standard
error.` + signalHelp

var agentFlags = append([]flag{
	{name: "host", usage: "`name` of the host (default the machine's)"},
	{name: "vcpus", option: "scheduler-agent-vcpus", usage: "`number` of virtual CPUs (default 8)"},
	{name: "memory-mb", option: "scheduler-agent-memory-mb", usage: "`MiB` of memory (default 16384)"},
	{name: "disk-gb", option: "scheduler-agent-disk-gb", usage: "`GiB` of disk (default 200)"},
	{name: "build-time", option: "scheduler-agent-build-time", usage: "`seconds` that a build takes (default 0)"},
}, busFlags...)

func (p *program) newAgent() *cobra.Command {
	return p.daemonCommand(daemon{
		use: "agent --transport-url URL", short: "Be a compute host", long: agentHelp, logs: "scheduler-agent",
		options: agentOptions(), flags: agentFlags,
		run: func(s *settings) error {
			if err := s.checkBus(); err != nil {
				return err
			}
			pool, err := s.agents()
			if err != nil {
				return err
			}
			return s.launch(p.signals, p.stdout, false, pool)
		},
	})
}

// agents is the pool of one agent: a host has one book.
func (s *settings) agents() (pool, error) {
	var claims claimsOnce
	return s.newPool("agent", 1, func() (*rpcservice.RPCService, *messaging.Transport, error) { return s.newAgent(&claims) })
}

// claimsOnce keeps the book of a host from life to life.
type claimsOnce struct {
	mu     sync.Mutex
	claims *agent.Claims
}

func (s *settings) newAgent(kept *claimsOnce) (*rpcservice.RPCService, *messaging.Transport, error) {
	host, err := s.computeHost()
	if err != nil {
		return nil, nil, err
	}
	return s.onBus(func(t *messaging.Transport) (*rpcservice.RPCService, error) {
		kept.mu.Lock()
		defer kept.mu.Unlock()
		a, err := agent.New(t, agent.Config{
			Host: host, SchedulerTopic: topicOption.Get(s.Config), ReportInterval: reportIntervalOption.Get(s.Config),
			BuildTime: buildTimeOption.Get(s.Config), Service: s.service(), Claims: kept.claims, Log: s.log,
		})
		if err != nil {
			return nil, &usageError{err: err}
		}
		kept.claims = a.Claims()
		return a.RPCService, nil
	})
}

func (s *settings) computeHost() (nova.HostEntry, error) {
	name, err := s.host()
	if err != nil {
		return nova.HostEntry{}, err
	}
	uuid := nodeUUIDOption.Get(s.Config)
	if uuid == "" {
		uuid = uuidOf(name)
	}
	return nova.HostEntry{
		ServiceHost: name, NodeName: name, ComputeNodeUUID: uuid, CellUUID: cellUUIDOption.Get(s.Config), Zone: zoneOption.Get(s.Config),
		Amounts: nova.Amounts{
			VCPUs: int64(vcpusOption.Get(s.Config)), MemoryMB: int64(memoryOption.Get(s.Config)), DiskGB: int64(diskOption.Get(s.Config)),
		},
	}, nil
}

// uuidOf is the same UUID for the same name each time (RFC 9562, version 5, in the name space of DNS).
func uuidOf(name string) string {
	dns := []byte("\x6b\xa7\xb8\x10\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8")
	sum := sha1.Sum(append(dns, name...)) //nolint:gosec // as above
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x50, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
