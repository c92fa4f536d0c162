package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// ErrNoCluster is what [StartCluster] fails with where there is no Docker engine: the nodes need networks of their own.
var ErrNoCluster = errors.New("a cluster of brokers needs a Docker engine")

const (
	clusterSize = 3
	// clusterTimeout is how long the nodes may take to find each other: three start at once.
	clusterTimeout = 2 * startTimeout
)

// clusterSettings make the nodes find each other when they start. A minority of nodes pauses when it loses sight of the
// others, and closes its clients' connections then: of the ways that RabbitMQ knows to handle a partition it is the one
// that loses nothing, and with Khepri, on newer releases, the only one. A node takes those that are silent for lost after
// 6 to 10 s; by default that is 45 to 75 s, in which the minority neither serves its clients nor says so, and in which 4.0 may
// declare no queue on any node.
const clusterSettings = `cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = rabbit@n1
cluster_formation.classic_config.nodes.2 = rabbit@n2
cluster_formation.classic_config.nodes.3 = rabbit@n3
cluster_formation.discovery_retry_limit = 120
cluster_partition_handling = pause_minority
net_ticktime = 8
`

// Cluster is three RabbitMQ nodes in containers. Each is in two networks: one for clients, with its published port, and
// one where the nodes find each other, from which it can be cut off while its clients stay connected.
//
// What is said of the methods of a [Broker] goes for those of a cluster too.
type Cluster struct {
	// Nodes are rabbit@n1 to rabbit@n3. Each is a broker of its own to kill, start again or ask.
	Nodes []*Broker

	peers *peerNetwork
}

// StartCluster starts three nodes and returns when they have found each other, after 15 s or more. Options are those of
// [Start], but for [WithTLS]. It fails with [ErrNoControl] where RABBITMQ_URL is to be used, and with [ErrNoCluster]
// where there is no Docker engine or it may not be used.
func StartCluster(ctx context.Context, opts ...Option) (*Cluster, error) {
	cfg := config{settings: clusterSettings}
	for _, opt := range opts {
		opt(&cfg)
	}
	switch only := os.Getenv("GOSLO_BROKER"); {
	case os.Getenv("RABBITMQ_URL") != "" && (only == "" || only == KindURL):
		return nil, ErrNoControl
	case only != "" && only != KindDocker:
		return nil, ErrNoCluster
	}
	setUpOnce()
	engine, err := dockerEngine(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCluster, err)
	}
	defer engine.Close()
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	c, err := startCluster(ctx, engine, cfg)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return c, nil
}

func startCluster(ctx context.Context, engine *testcontainers.DockerClient, cfg config) (*Cluster, error) {
	sweepContainers(ctx, engine)
	sweepNetworks(ctx, engine)
	image, err := pickImage(ctx, engine, cfg)
	if err != nil {
		return nil, err
	}
	peers, err := newPeerNetwork(ctx, engine)
	if err != nil {
		return nil, err
	}
	c := &Cluster{peers: peers, Nodes: make([]*Broker, clusterSize)}
	errs := make([]error, clusterSize)
	cookie := rand.Text()
	var starting sync.WaitGroup
	for i := range c.Nodes {
		starting.Go(func() {
			of := cfg
			of.member = &member{peers: peers, name: fmt.Sprintf("n%d", i+1), cookie: cookie}
			c.Nodes[i], errs[i] = runOnFreePort(ctx, engine, image, of)
		})
	}
	starting.Wait()
	err = errors.Join(errs...)
	if err == nil {
		err = c.Await(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// ClusterForTest starts a cluster for a test and closes it when the test ends. It skips the test where there can be
// none, but fails it for want of an engine when GOSLO_REQUIRE_BROKER is 1 and GOSLO_BROKER does not ask for another kind.
func ClusterForTest(tb testing.TB, opts ...Option) *Cluster {
	tb.Helper()
	c, err := StartCluster(tb.Context(), opts...)
	switch {
	case errors.Is(err, ErrNoCluster) && (os.Getenv("GOSLO_REQUIRE_BROKER") != "1" || os.Getenv("GOSLO_BROKER") != ""):
		tb.Skip(err)
	case err != nil:
		refuse(tb, err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Errorf("close cluster: %v", err)
		}
	})
	return c
}

// URL is the transport URL that lists all nodes.
func (c *Cluster) URL() string {
	hosts := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		u, err := url.Parse(node.URL())
		if err != nil {
			panic("the broker's URL is one")
		}
		hosts[i] = u.User.String() + "@" + u.Host
	}
	return "rabbit://" + strings.Join(hosts, ",") + "/"
}

// Node is the node of a name such as rabbit@n2, as rabbitmqctl shows it; nil where there is none.
func (c *Cluster) Node(name string) *Broker {
	for _, node := range c.Nodes {
		if name == "rabbit@"+node.hostname() {
			return node
		}
	}
	return nil
}

// Await waits until all nodes run and see each other, for three minutes at most.
func (c *Cluster) Await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, node := range c.Nodes {
		if err := node.awaitOthers(ctx); err != nil {
			return fmt.Errorf("%s does not see the others: %w", node.hostname(), err)
		}
	}
	return nil
}

// awaitOthers asks again and again: a node that pauses, or starts, refuses to answer.
func (b *Broker) awaitOthers(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := b.Ctl(ctx, "await_online_nodes", strconv.Itoa(clusterSize), "--timeout", "60")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// Cut parts a node from the others: nothing that they send each other arrives. Its clients stay connected until the
// node notices that it is alone.
func (c *Cluster) Cut(ctx context.Context, node *Broker) error {
	return c.peers.disconnect(ctx, node.container())
}

// Mend ends what Cut began. The node comes back by itself; see [Cluster.Await].
func (c *Cluster) Mend(ctx context.Context, node *Broker) error {
	return c.peers.connect(ctx, node.container(), node.hostname())
}

// Close removes the nodes and their network. Close twice is harmless.
func (c *Cluster) Close() error {
	var errs []error
	for _, node := range c.Nodes {
		if node != nil {
			errs = append(errs, node.Close())
		}
	}
	return errors.Join(append(errs, c.peers.remove())...)
}

// hostname of a cluster's node, empty for other brokers.
func (b *Broker) hostname() string {
	if n, ok := b.node.(*dockerNode); ok && n.member != nil {
		return n.member.name
	}
	return ""
}

// container of a cluster's node.
func (b *Broker) container() string {
	if n, ok := b.node.(*dockerNode); ok {
		return n.ctr.GetContainerID()
	}
	return ""
}

// member is what a node of a cluster has beyond a broker of its own.
type member struct {
	peers  *peerNetwork
	name   string // of its host, by which the others find it
	cookie string // of all nodes
}

// customize makes a container the member. It is in the network for clients, the engine's default, first, and has to be
// in the other before it starts.
func (m *member) customize(req *testcontainers.GenericContainerRequest) error {
	modify := req.ConfigModifier
	req.ConfigModifier = func(c *container.Config) {
		if modify != nil {
			modify(c)
		}
		c.Hostname = m.name
	}
	return errors.Join(
		testcontainers.WithEnv(map[string]string{
			"RABBITMQ_NODENAME": "rabbit@" + m.name, "RABBITMQ_ERLANG_COOKIE": m.cookie,
		}).Customize(req),
		testcontainers.WithAdditionalLifecycleHooks(testcontainers.ContainerLifecycleHooks{
			PostCreates: []testcontainers.ContainerHook{func(ctx context.Context, ctr testcontainers.Container) error {
				return m.peers.connect(ctx, ctr.GetContainerID(), m.name)
			}},
		}).Customize(req),
	)
}

// peerNetwork is where the nodes of a cluster find each other by their names. It leads nowhere else, so that it is never
// the one by which clients come.
type peerNetwork struct {
	engine  *testcontainers.DockerClient
	name    string
	release func()
}

func newPeerNetwork(ctx context.Context, engine *testcontainers.DockerClient) (*peerNetwork, error) {
	n := &peerNetwork{engine: engine, name: "goslo-test-" + strings.ToLower(rand.Text()[:10])}
	_, err := engine.NetworkCreate(ctx, n.name, client.NetworkCreateOptions{
		Internal: true, Labels: map[string]string{label: strconv.Itoa(os.Getpid())},
	})
	if err != nil {
		return nil, fmt.Errorf("create a network: %w", err)
	}
	// Those of the containers do their work at the same time.
	const script = `for try in 1 2 3 4 5 6 7 8 9 10; do docker network rm "$1" && break; sleep 1; done`
	n.release = outlive([]string{"DOCKER_HOST=" + engine.DaemonHost()}, "sh", "-c", script, "sh", n.name)
	return n, nil
}

func (n *peerNetwork) connect(ctx context.Context, container, alias string) error {
	defer n.engine.Close()
	_, err := n.engine.NetworkConnect(ctx, n.name, client.NetworkConnectOptions{
		Container: container, EndpointConfig: &network.EndpointSettings{Aliases: []string{alias}},
	})
	return err
}

func (n *peerNetwork) disconnect(ctx context.Context, container string) error {
	defer n.engine.Close()
	_, err := n.engine.NetworkDisconnect(ctx, n.name, client.NetworkDisconnectOptions{Container: container, Force: true})
	return err
}

func (n *peerNetwork) remove() error {
	defer n.engine.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := n.engine.NetworkInspect(ctx, n.name, client.NetworkInspectOptions{}); err != nil {
		n.release()
		return nil // it is gone
	}
	_, err := n.engine.NetworkRemove(ctx, n.name, client.NetworkRemoveOptions{})
	if err == nil {
		n.release()
	}
	return err
}

// sweepNetworks is sweepContainers for what the containers were in.
func sweepNetworks(ctx context.Context, engine *testcontainers.DockerClient) {
	list, err := engine.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", label)})
	if err != nil {
		return
	}
	for _, n := range list.Items {
		if time.Since(n.Created) > staleAfter {
			_, _ = engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}) // fails while it is used
		}
	}
}
