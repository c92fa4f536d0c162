package rabbit

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
)

// UnusedOptions are options of oslo.messaging for what a driver here does not have. They are read and held against their
// bounds, so that a URL that serves Python serves Go as well, and change nothing; a driver that is opened with one of them
// says so in one line of its log.
type UnusedOptions struct {
	// PoolSize is how many connections oslo.messaging may have for sending, at least 1, default 30
	// (rpc_conn_pool_size). A driver has one connection that publishes and one that consumes, whatever the number of
	// callers; MaxSenders bounds those.
	PoolSize int
	// PoolMinSize is how many of them it keeps when they are idle, at most PoolSize, default 2 (conn_pool_min_size).
	PoolMinSize int
	// PoolTTL is after how long without use it closes the others, in whole seconds, default 1200 s (conn_pool_ttl).
	PoolTTL time.Duration
	// HeartbeatRate is how often it looks after heartbeats within their interval, at least once, default 3
	// (heartbeat_rate). Here the AMQP library sends two in each interval, and silence of one and a half intervals
	// ends a connection the moment it has lasted so long: there is nothing to look after.
	HeartbeatRate int
	// HeartbeatInPthread has it send heartbeats on a native thread, default false (heartbeat_in_pthread, gone in 18.1).
	// Here a goroutine does, which nothing else keeps waiting.
	HeartbeatInPthread bool
}

func defaultUnusedOptions() UnusedOptions {
	return UnusedOptions{PoolSize: 30, PoolMinSize: 2, PoolTTL: 1200 * time.Second, HeartbeatRate: 3}
}

// unusedParsers fill one option each.
var unusedParsers = map[string]func(o *Options, value string) error{
	"rpc_conn_pool_size":   func(o *Options, v string) error { return parseMost(&o.Unused.PoolSize, v) },
	"conn_pool_min_size":   func(o *Options, v string) error { return parseLeast(&o.Unused.PoolMinSize, v) },
	"conn_pool_ttl":        func(o *Options, v string) error { return parseSeconds(&o.Unused.PoolTTL, v) },
	"heartbeat_rate":       func(o *Options, v string) error { return parseMost(&o.Unused.HeartbeatRate, v) },
	"heartbeat_in_pthread": func(o *Options, v string) error { return parseBool(&o.Unused.HeartbeatInPthread, v) },
}

// parseLeast reads how many of something are kept.
func parseLeast(to *int, value string) error {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return fmt.Errorf("want a number from 0 on, got %q", value)
	}
	*to = int(n)
	return nil
}

// validate refuses a pool that keeps more than it may have, as oslo.messaging does.
func (o *UnusedOptions) validate() error {
	if o.PoolMinSize > o.PoolSize {
		return fmt.Errorf("option conn_pool_min_size: want at most rpc_conn_pool_size, %d, got %d", o.PoolSize, o.PoolMinSize)
	}
	return nil
}

// tellUnused logs, when a driver is opened, which options of its URL change nothing.
func tellUnused(query map[string]string, log logrus.FieldLogger) {
	var given []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if unusedParsers[name] != nil {
			given = append(given, name)
		}
	}
	if len(given) > 0 {
		log.WithField("options", strings.Join(given, ", ")).
			Info("options without effect: two connections serve a transport, and heartbeats have a goroutine")
	}
}
