//go:build integration

package main

import (
	"context"
	"crypto/rand"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// childrenOf are the processes that pid has started.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var children []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			children = append(children, child)
		}
	}
	slices.Sort(children)
	return children
}

// On RabbitMQ each of the three services has workers of its own under one parent.
func TestAllRunsThreePoolsOnRabbitMQ(t *testing.T) {
	name := "goslo-it-" + strings.ToLower(rand.Text()[:10])
	c := startChild(t, "main", "all", "--transport-url", broker.Shared(t).URL(), "--control-exchange", name, "--topic", name,
		"--oslo-messaging-rabbit-amqp-auto-delete", "--listen", "127.0.0.1:0", "--host", "box-"+name, "--workers", "2", "--api-workers", "2")
	c.stdout.await(t, "READY\n")
	c.stderr.await(t, "serving address=")
	base := "http://" + servingAt.FindStringSubmatch(c.stderr.String())[1]
	awaitHosts(t, base, "box-"+name)
	if status, answer := request(t, "POST", base+"/v1/select_destinations", question); status != http.StatusOK {
		t.Errorf("select: %d %s, want 200", status, answer)
	}
	workers := childrenOf(t, c.cmd.Process.Pid)
	if len(workers) != 5 {
		t.Errorf("the parent has workers %v, want 2 schedulers, 2 fronts and an agent", workers)
	}
	c.signal(t, syscall.SIGTERM)
	c.end(t, 0)
	if got := c.stdout.String(); got != "READY\n" {
		t.Errorf("standard output = %q, want READY once", got)
	}
}

// newTopic is the flags of a bus with an exchange and a topic of the test's own, and a client of that topic.
func newTopic(t *testing.T) (flags []string, client *messaging.Client) {
	t.Helper()
	url, name := broker.Shared(t).URL(), "goslo-it-"+strings.ToLower(rand.Text()[:10])
	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	bus, err := messaging.Open(url, messaging.WithControlExchange(name), messaging.WithLogger(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client, err = messaging.NewClient(bus, messaging.Target{Topic: name}, messaging.WithMandatory(), messaging.WithTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--transport-url", url, "--control-exchange", name, "--topic", name}, client
}

// Who asks a service on the bus for its backdoor gets that of whichever worker answers.
func TestEachWorkerTellsThePortOfItsOwnBackdoor(t *testing.T) {
	flags, client := newTopic(t)
	c := startChild(t, "main", slices.Concat([]string{"serve", "--workers", "3", "--backdoor-port", "0", "--oslo-messaging-rabbit-amqp-auto-delete"}, flags)...)
	c.stdout.await(t, "READY\n")
	want := make(map[int]bool)
	for _, address := range awaitDoors(t, &c.stderr, 3) {
		_, port, _ := net.SplitHostPort(address)
		number, _ := strconv.Atoi(port)
		want[number] = true
	}
	told := make(map[int]bool)
	base := client.Prepare(messaging.ToNamespace("baseapi"), messaging.ToVersion("1.1"))
	for deadline := time.Now().Add(patience); len(told) < len(want) && time.Now().Before(deadline); {
		port, err := messaging.Call[int](t.Context(), base, "get_backdoor_port", nil)
		if err != nil {
			t.Fatal(err)
		}
		told[port] = true
	}
	if len(want) != 3 || !maps.Equal(told, want) {
		t.Errorf("told the ports %v, want those of the log: %v", told, want)
	}
	c.signal(t, syscall.SIGTERM)
	c.end(t, 0)
}

// The topic's queue outlives the schedulers: a question would wait in it for whoever asks.
func TestASchedulerAsksAnotherOnlyWhereOneIs(t *testing.T) {
	flags, client := newTopic(t)
	serve := func(args ...string) *child {
		c := startChild(t, "main", slices.Concat([]string{"serve"}, args, flags)...)
		c.stdout.await(t, "READY\n")
		return c
	}
	stop := func(c *child, hosts string) {
		t.Helper()
		c.signal(t, syscall.SIGTERM)
		c.end(t, 0)
		said := c.stderr.String()
		if strings.Contains(said, "no other scheduler") || !strings.Contains(said, "the scheduler knows its first hosts hosts="+hosts+" ") {
			t.Errorf("want %s hosts and no complaint:\n%s", hosts, said)
		}
	}
	first := serve("--hosts", "internal/nova/testdata/hosts.json")
	second := serve()
	stop(first, "4")
	stop(second, "4")
	if err := client.Prepare(messaging.ToNamespace("capacity"), messaging.ToVersion("1.0")).Cast(t.Context(), "report_capacity", nil); err != nil {
		t.Fatalf("nothing waits in the queue, which should be there: %v", err)
	}
	stop(serve("--oslo-messaging-rabbit-amqp-auto-delete"), "0")
}
