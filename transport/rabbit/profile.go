package rabbit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Profiles are the values of the option profile, which is goslo's own, with the options of oslo.messaging that each
// stands for. An option that is given beside the profile wins over it.
//
//   - legacy: oslo.messaging's defaults. RabbitMQ 4.3 refuses the queues of topics.
//   - durable: amqp_durable_queues. Reply and fanout queues stay transient where the broker permits that.
//   - quorum: rabbit_quorum_queue and rabbit_transient_quorum_queue.
//
// With each of them rabbit_stream_fanout=true also sets rabbit_transient_quorum_queue, without which oslo.messaging has
// no stream, and needs no rabbit_qos_prefetch_count: the server's own prefetch has a limit.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

var profiles = map[string]func(o *Options){
	"legacy":  func(*Options) {},
	"durable": func(o *Options) { o.DurableQueues = true },
	"quorum":  func(o *Options) { o.QuorumQueue, o.TransientQuorumQueue = true, true },
}

func applyProfile(o *Options, name string) error {
	apply := profiles[name]
	if apply == nil {
		return fmt.Errorf("want one of %s, got %q", strings.Join(Profiles(), ", "), name)
	}
	apply(o)
	return nil
}

// completeProfile sets what a stream needs beside a profile, unless the query says otherwise.
func completeProfile(o *Options, query map[string]string) {
	if _, given := query["rabbit_transient_quorum_queue"]; query["profile"] != "" && o.StreamFanout && !given {
		o.TransientQuorumQueue = true
	}
}
