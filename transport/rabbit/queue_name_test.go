package rabbit

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goslo/goslo/target"
)

func TestQueueManagerCountsTheQueuesOfAProcess(t *testing.T) {
	t.Parallel()
	o, err := parse("rabbit://h/?use_queue_manager=1&hostname=node1.example.com&processname=nova-api")
	if err != nil {
		t.Fatal(err)
	}
	if got := o.managedSuffix(2); got != "node1.example.com:nova-api:2" {
		t.Errorf("suffix %s, want that of oslo.messaging", got)
	}
	other := o // another driver of this process
	seen := map[string]bool{}
	for _, q := range []queue{
		o.serverQueues(target.Target{Topic: "t", Server: "s"}, o.queueSuffix)[2], o.replyQueue(o.queueSuffix()), other.replyQueue(other.queueSuffix()),
	} {
		if !regexp.MustCompile(`^(reply|t_fanout)_node1\.example\.com:nova-api:[1-9]\d*$`).MatchString(q.name) || seen[q.name] {
			t.Errorf("queue %s, want a name and number that no other has", q.name)
		}
		seen[q.name] = true
		if q.private {
			t.Errorf("queue %s is deleted on stop, want it to stay", q.name)
		}
	}
}

func TestQueueManagerKnowsItsHostAndProgram(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	o := DefaultOptions()
	if got := o.managedSuffix(1); !strings.HasPrefix(got, host+":rabbit.test") || !strings.HasSuffix(got, ":1") {
		t.Errorf("suffix %s, want host, program and number", got)
	}
}
