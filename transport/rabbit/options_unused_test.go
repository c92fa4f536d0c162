package rabbit

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/transport"
)

func TestUnusedOptionsAreReadAllTheSame(t *testing.T) {
	t.Parallel()
	for query, change := range map[string]func(o *UnusedOptions){
		"":                       func(*UnusedOptions) {},
		"rpc_conn_pool_size=2":   func(o *UnusedOptions) { o.PoolSize = 2 },
		"conn_pool_min_size=0":   func(o *UnusedOptions) { o.PoolMinSize = 0 },
		"conn_pool_min_size=30":  func(o *UnusedOptions) { o.PoolMinSize = 30 },
		"conn_pool_ttl=0":        func(o *UnusedOptions) { o.PoolTTL = 0 },
		"conn_pool_ttl=60":       func(o *UnusedOptions) { o.PoolTTL = time.Minute },
		"heartbeat_rate=2":       func(o *UnusedOptions) { o.HeartbeatRate = 2 },
		"heartbeat_in_pthread=1": func(o *UnusedOptions) { o.HeartbeatInPthread = true },
		"rpc_conn_pool_size=100&conn_pool_min_size=100": func(o *UnusedOptions) { o.PoolSize, o.PoolMinSize = 100, 100 },
	} {
		want := DefaultOptions()
		want.Unused = UnusedOptions{PoolSize: 30, PoolMinSize: 2, PoolTTL: 20 * time.Minute, HeartbeatRate: 3}
		change(&want.Unused)
		if diff := cmp.Diff(want, mustParse(t, query)); diff != "" {
			t.Errorf("%s is read otherwise (-want +got):\n%s", query, diff)
		}
	}
}

func TestPoolThatKeepsMoreThanItMayHaveIsRefused(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"rpc_conn_pool_size=1":                      "option conn_pool_min_size: want at most rpc_conn_pool_size, 1, got 2",
		"conn_pool_min_size=31":                     "option conn_pool_min_size: want at most rpc_conn_pool_size, 30, got 31",
		"conn_pool_min_size=6&rpc_conn_pool_size=5": "option conn_pool_min_size: want at most rpc_conn_pool_size, 5, got 6",
	} {
		if _, err := parse("rabbit://h/?" + query); !errors.Is(err, transport.ErrInvalidURL) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: error = %v, want %s", query, err, want)
		}
	}
}

func TestOpenSaysOnceWhichOptionsHaveNoEffect(t *testing.T) {
	t.Parallel()
	const all = "rpc_conn_pool_size=5&heartbeat_rate=2&conn_pool_ttl=1&conn_pool_min_size=1&heartbeat_in_pthread=0&ssl=0"
	const message = "options without effect: two connections serve a transport, and heartbeats have a goroutine"
	for query, want := range map[string]string{
		"":                     "",
		"max_senders=3":        "",
		"rpc_conn_pool_size=":  "", // no value
		"rpc_conn_pool_size=2": "rpc_conn_pool_size",
		"heartbeat_rate=3":     "heartbeat_rate", // the default, and given
		all:                    "conn_pool_min_size, conn_pool_ttl, heartbeat_in_pthread, heartbeat_rate, rpc_conn_pool_size",
	} {
		_, hook := open(t, "rabbit://h/?"+query)
		switch entries := hook.AllEntries(); {
		case want == "" && len(entries) > 0:
			t.Errorf("%s: %d lines logged, want none", query, len(entries))
		case want != "" && (len(entries) != 1 || entries[0].Message != message || entries[0].Data["options"] != want):
			t.Errorf("%s: logged %v, want one line about %s", query, messages(nil, hook), want)
		}
	}
}
