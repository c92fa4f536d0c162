//go:build integration

package integration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/messaging"
)

// manyInstances is how many instances a long selection is for: with their alternates 4 MiB of reply, and a
// tenth of a second of work.
const manyInstances = 4000

// hugeHosts writes a file of hosts with room for many instances, named after the worker that knows them.
func hugeHosts(t *testing.T, worker string) string {
	t.Helper()
	hosts := make([]map[string]any, 2000)
	for i := range hosts {
		hosts[i] = map[string]any{
			"service_host": fmt.Sprintf("%s-%d", worker, i), "nodename": fmt.Sprintf("%s-%d.example", worker, i),
			"compute_node_uuid": fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", i),
			"cell_uuid":         "cccccccc-0000-4000-8000-000000000001",
			"availability_zone": "az1", "vcpus": 1 << 20, "memory_mb": 1 << 30, "disk_gb": 1 << 20,
		}
	}
	text, err := json.Marshal(hosts)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "hosts.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// longSelection is a recorded selection, made to be for many instances, with its own message id.
func longSelection(t *testing.T) frame {
	t.Helper()
	f := readFrameFile(t, "03_select_destinations.json")
	ids := make([]string, manyInstances)
	for i := range ids {
		ids[i] = fmt.Sprintf(`"11111111-1111-4111-8111-%012d"`, i)
	}
	before, after, found := strings.Cut(string(f.Body), `"instance_uuids": [`)
	_, after, closed := strings.Cut(after, "]")
	if !found || !closed {
		t.Fatal("the recorded selection has no instance_uuids")
	}
	f.Body = json.RawMessage(before + `"instance_uuids": [` + strings.Join(ids, ", ") + "]" + after)
	id := strings.ReplaceAll(unique("id"), "-", "")
	return fresh(f.replace(f.request(t).MsgID, id, `"num_instances": 1`, fmt.Sprintf(`"num_instances": %d`, manyInstances)))
}

// answeredBy tells by the text of a reply, which is too long to be decoded for that, which worker it is from, and
// the id of its call.
func answeredBy(t *testing.T, d amqp.Delivery) (worker, msgID string) {
	t.Helper()
	hosts := regexp.MustCompile(`\\"service_host\\": \\"(\w+)-\d+\\"`).FindSubmatch(d.Body)
	id := regexp.MustCompile(`\\"ending\\": true, \\"_msg_id\\": \\"(\w+)\\"`).FindSubmatch(d.Body[max(0, len(d.Body)-300):])
	if hosts == nil || id == nil {
		t.Fatalf("a reply without hosts or id: %s", clip(string(d.Body)))
	}
	return string(hosts[1]), string(id[1])
}

// startBusyWorker starts a worker that runs one method at a time, publishes long selections for it, and returns
// when the first of them runs and the others lie with the worker.
func startBusyWorker(t *testing.T, r *replay, selections int) (*worker, *tap) {
	t.Helper()
	messages := make([]amqp.Publishing, selections)
	for i := range messages {
		f := longSelection(t)
		messages[i] = f.replace(f.request(t).ReplyQ, r.queue).message(t)
	}
	tap := newTap(t, r.url)
	w := startWorker(t, tap.url, "--control-exchange", r.exchange, "--topic", r.topic, "--host", "first",
		"--hosts", hugeHosts(t, "first"), "--executor-thread-pool-size", "1")
	w.signal(t, syscall.SIGSTOP) // else it may be done with all before they are known to lie with it
	for _, message := range messages {
		rawPublish(t, r.conn, r.exchange, r.topic, message)
	}
	eventually(t, "the worker holds all selections", func() bool { return r.left(t) == 0 })
	w.signal(t, syscall.SIGCONT)
	eventually(t, "the first selection runs", func() bool { return begun(tap) > 0 })
	return w, tap
}

// begun counts the messages that were acknowledged: those that a method was run for.
func begun(tap *tap) int {
	n := 0
	for _, m := range tap.sent("basic.ack") {
		if tag := m.Fields["tag"].(int); m.Fields["multiple"] == true && tag > n {
			n = tag
		} else {
			n++
		}
	}
	return n
}

func TestStoppedWorkerAnswersWhatItRunsAndLeavesTheRestToAnother(t *testing.T) {
	t.Parallel()
	const selections = 6
	r := newReplay(t, novaBus(t))
	first, tap := startBusyWorker(t, r, selections)
	first.signal(t, syscall.SIGTERM)
	if status := first.status(t); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	startWorker(t, r.url, "--control-exchange", r.exchange, "--topic", r.topic, "--host", "second", "--hosts", hugeHosts(t, "second"))
	from, answered := map[string]int{}, map[string]bool{}
	for range selections {
		worker, id := answeredBy(t, receive(t, r.replies))
		from[worker]++
		answered[id] = true
	}
	if ran := begun(tap); from["first"] != ran || from["second"] != selections-ran || ran == selections {
		t.Errorf("answers by worker: %v; the first one began %d of %d", from, ran, selections)
	}
	if len(answered) != selections {
		t.Errorf("%d different calls were answered, want %d", len(answered), selections)
	}
	receiveNothing(t, r.replies)
	if n := r.left(t); n != 0 {
		t.Errorf("%d messages are left on the queue", n)
	}
}

func TestAnInterruptEndsAStoppingWorkerAtOnce(t *testing.T) {
	t.Parallel()
	const selections = 6
	r := newReplay(t, novaBus(t))
	w, tap := startBusyWorker(t, r, selections)
	w.signal(t, syscall.SIGTERM)
	eventually(t, "the worker has seen the first signal", func() bool { return strings.Contains(w.stderr.String(), "stopping") })
	w.signal(t, os.Interrupt)
	if status := w.status(t); status != 1 { // 0 is that of a worker which has finished
		t.Errorf("exit status %d, want 1", status)
	}
	eventually(t, "what was not begun is back on the queue", func() bool { return r.left(t) == selections-begun(tap) })
}

// TestNoCallIsLostWhenOneOfTwoWorkersIsStopped calls without a pause while a worker ends.
func TestNoCallIsLostWhenOneOfTwoWorkersIsStopped(t *testing.T) {
	t.Parallel()
	b := novaBus(t)
	flags := []string{"--control-exchange", b.exchange, "--topic", b.topic, "--host"}
	first := startWorker(t, b.url, append(flags, "host1")...)
	startWorker(t, b.url, append(flags, "host2")...)
	client := join(t, b.url).client(t, b, messaging.ToNamespace("baseapi"), messaging.WithTimeout(patience))

	var answered atomic.Int64
	var calling sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		calling.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := client.Call(t.Context(), "ping", args{"arg": n}, nil); err != nil {
					t.Errorf("call: %v", err)
					return
				}
				answered.Add(1)
			}
		})
	}
	answers := func(n int64) {
		t.Helper()
		end := answered.Load() + n
		eventually(t, fmt.Sprintf("%d more calls are answered", n), func() bool { return answered.Load() > end || t.Failed() })
	}
	answers(200)
	first.signal(t, syscall.SIGTERM)
	if status := first.status(t); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	answers(200)
	close(stop)
	calling.Wait()
}

func TestIdleWorkerEndsInOrderAndTakesItsFanoutQueueAlong(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	t.Run("with a broker", func(t *testing.T) {
		tap := newTap(t, b.url)
		w := startWorker(t, tap.url, "--control-exchange", b.exchange, "--topic", b.topic, "--host", "host1")
		fanout := declared(t, tap, "^"+b.topic+"_fanout_[0-9a-f]{32}$")
		w.signal(t, syscall.SIGTERM)
		if status := w.status(t); status != 0 {
			t.Errorf("exit status %d, want 0", status)
		}
		if _, err := channel(t, b.url).QueueDeclarePassive(fanout, false, false, false, false, nil); err == nil {
			t.Errorf("the queue %s is still there", fanout)
		}
	})
	t.Run("without a broker", func(t *testing.T) {
		w := runWorker(t, unreachableURL(t))
		eventually(t, "the worker has tried", func() bool { return strings.Contains(w.stderr.String(), "cannot connect") })
		w.signal(t, syscall.SIGTERM)
		if status := w.status(t); status != 0 {
			t.Errorf("exit status %d, want 0", status)
		}
	})
}

// TestKilledWorkerLosesWhatItHadBegunAlone is what "at most once" means: a request that was acknowledged is not run
// again, its caller times out, and the others are.
func TestKilledWorkerLosesWhatItHadBegunAlone(t *testing.T) {
	t.Parallel()
	const selections = 6
	r := newReplay(t, novaBus(t))
	first, tap := startBusyWorker(t, r, selections)
	first.signal(t, syscall.SIGKILL)
	first.status(t)
	ran := begun(tap)
	if ran == 0 || ran == selections {
		t.Fatalf("the worker had begun %d of %d", ran, selections)
	}
	startWorker(t, r.url, "--control-exchange", r.exchange, "--topic", r.topic, "--host", "second", "--hosts", hugeHosts(t, "second"))
	from, answered := map[string]int{}, map[string]bool{}
	for from["second"] < selections-ran { // the first one may have answered some of what it had begun
		worker, id := answeredBy(t, receive(t, r.replies))
		if answered[id] {
			t.Errorf("%s is answered again, by the %s worker", id, worker)
		}
		answered[id] = true
		from[worker]++
	}
	if from["first"] > ran {
		t.Errorf("the killed worker answered %d, and had begun %d", from["first"], ran)
	}
	receiveNothing(t, r.replies)
	if n := r.left(t); n != 0 {
		t.Errorf("%d messages are left on the queue", n)
	}
}
