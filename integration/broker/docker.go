package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"
	tclog "github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/modules/rabbitmq"
	"github.com/testcontainers/testcontainers-go/wait"
)

const (
	// DefaultImage is the image of a container when GOSLO_RABBITMQ_IMAGE is not set.
	DefaultImage = "rabbitmq:4-management"

	// builtImage is what scripts/rabbitmq-image.sh makes where no registry is reached.
	builtImage = "goslo-test/rabbitmq:trixie"

	// label marks our containers, for the sweep.
	label = "goslo.test-broker"
)

// setUpOnce tells testcontainers what it reads once a process.
var setUpOnce = sync.OnceFunc(func() {
	tclog.SetDefault(tclog.NewNoopLogger())
	// Its clean-up container comes from a registry; outlive and sweep do that work here.
	if os.Getenv("TESTCONTAINERS_RYUK_DISABLED") == "" {
		_ = os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	}
})

// dockerNode is a broker in a container, with its port bound to one fixed port of the host.
type dockerNode struct {
	ctr     *rabbitmq.RabbitMQContainer
	member  *member // nil outside of a cluster
	engine  *testcontainers.DockerClient
	release func()
}

func startDocker(ctx context.Context, cfg config) (*Broker, error) {
	setUpOnce()
	engine, err := dockerEngine(ctx)
	if err != nil {
		return nil, err
	}
	// Here and below: the client stays usable, only its idle connections go, which a test's leak check would find.
	defer engine.Close()
	sweepContainers(ctx, engine)
	image, err := pickImage(ctx, engine, cfg)
	if err != nil {
		return nil, err
	}
	return runOnFreePort(ctx, engine, image, cfg)
}

// runOnFreePort starts a container, also where somebody else takes its port between the choice and the use.
func runOnFreePort(ctx context.Context, engine *testcontainers.DockerClient, image string, cfg config) (*Broker, error) {
	for attempt := 1; ; attempt++ {
		b, err := runContainer(ctx, engine, image, cfg)
		if err == nil || attempt == 3 || !strings.Contains(err.Error(), "already") {
			return b, err
		}
	}
}

// dockerEngine is a client of the engine, if one answers within 10 s.
func dockerEngine(ctx context.Context) (*testcontainers.DockerClient, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err == nil {
		_, err = engine.Ping(ctx, client.PingOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("docker engine: %w: %w", errAbsent, err)
	}
	return engine, nil
}

// pickImage names an image that the engine has. The one pull it tries is its own: testcontainers would repeat
// a hopeless one for a quarter of an hour.
func pickImage(ctx context.Context, engine *testcontainers.DockerClient, cfg config) (string, error) {
	candidates := []string{DefaultImage, builtImage}
	if image := os.Getenv("GOSLO_RABBITMQ_IMAGE"); image != "" {
		candidates = []string{image}
	}
	if cfg.image != "" {
		candidates = []string{cfg.image}
	}
	for _, image := range candidates {
		if _, err := engine.ImageInspect(ctx, image); err == nil {
			return image, nil
		}
	}
	pull, err := engine.ImagePull(ctx, candidates[0], client.ImagePullOptions{})
	if err == nil {
		err = pull.Wait(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("docker: image %s is not here and cannot be pulled (scripts/broker-image.sh may build one): %w",
			candidates[0], err)
	}
	return candidates[0], nil
}

func runContainer(ctx context.Context, engine *testcontainers.DockerClient, image string, cfg config) (*Broker, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := listenTLS(ctx, cfg.tls, "/etc/rabbitmq", tlsPort)
	if err != nil {
		return nil, err
	}
	hosts := hostsOf(ctx)
	name := fmt.Sprintf("goslo-test-%d-%d", os.Getpid(), port)
	n := &dockerNode{engine: engine, member: cfg.member}
	n.release = outlive([]string{"DOCKER_HOST=" + engine.DaemonHost()}, "docker", "rm", "--force", "--volumes", name)
	custom := []testcontainers.ContainerCustomizer{
		testcontainers.WithName(name),
		testcontainers.WithLabels(map[string]string{label: strconv.Itoa(os.Getpid())}),
		testcontainers.CustomizeRequestOption(onlyAMQP(cfg.tls != nil)),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) { bindPorts(h, port, listener.hostPort, hosts) }),
		testcontainers.WithFiles(containerFiles(cfg.settings, listener)...),
		testcontainers.WithWaitStrategyAndDeadline(startTimeout,
			wait.ForLog("Server startup complete").WithStartupTimeout(startTimeout)),
	}
	if cfg.member != nil {
		custom = append(custom, testcontainers.CustomizeRequestOption(cfg.member.customize))
	}
	n.ctr, err = rabbitmq.Run(ctx, image, custom...)
	b := &Broker{kind: KindDocker, node: n, tlsPort: listener.hostPort}
	if err == nil {
		b.url, err = awaitAMQP(ctx, guestURLs(hosts, port)...)
	}
	if err != nil {
		err = fmt.Errorf("docker: run %s: %w%s", image, err, n.lastWords())
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// hostsOf lists where a published port may answer. testcontainers takes itself to be inside a container
// wherever /.dockerenv exists and then names the network's gateway, which is wrong when the engine runs here.
func hostsOf(ctx context.Context) []string {
	hosts := []string{"127.0.0.1"}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return hosts
	}
	defer provider.Close()
	if host, err := provider.DaemonHost(ctx); err == nil && host != "localhost" && host != hosts[0] {
		hosts = append(hosts, host)
	}
	return hosts
}

// containerFiles are the settings of a container's broker, and what they name.
func containerFiles(settings string, listener tlsListener) []testcontainers.ContainerFile {
	files := []testcontainers.ContainerFile{{
		Reader:            strings.NewReader("# for one test\n" + settings + listener.settings),
		ContainerFilePath: "/etc/rabbitmq/conf.d/90-test.conf",
		FileMode:          0o644,
	}}
	for name, text := range listener.files {
		files = append(files, testcontainers.ContainerFile{
			Reader: strings.NewReader(text), ContainerFilePath: "/etc/rabbitmq/" + name, FileMode: 0o644,
		})
	}
	return files
}

// tlsPort is where the broker in a container listens for TLS, if it does.
const tlsPort = "5671"

// onlyAMQP keeps the management port from being published, and that for TLS where nothing listens.
func onlyAMQP(withTLS bool) func(req *testcontainers.GenericContainerRequest) error {
	return func(req *testcontainers.GenericContainerRequest) error {
		req.ExposedPorts = []string{rabbitmq.DefaultAMQPPort}
		if withTLS {
			req.ExposedPorts = append(req.ExposedPorts, tlsPort+"/tcp")
		}
		return nil
	}
}

// bindPorts fixes the host's ports, so that they are the same after a restart; that for TLS may be 0, which is none. The
// broker of guest and guest is for this machine alone, unless the engine is another machine's.
func bindPorts(h *container.HostConfig, amqp, tls int, hosts []string) {
	h.PortBindings = network.PortMap{}
	for inside, outside := range map[string]int{rabbitmq.DefaultAMQPPort: amqp, tlsPort + "/tcp": tls} {
		if outside == 0 {
			continue
		}
		binding := network.PortBinding{HostPort: strconv.Itoa(outside)}
		if len(hosts) == 1 {
			binding.HostIP = netip.MustParseAddr(hosts[0])
		}
		h.PortBindings[network.MustParsePort(inside)] = []network.PortBinding{binding}
	}
}

func guestURLs(hosts []string, port int) []string {
	var urls []string
	for _, host := range hosts {
		urls = append(urls, "amqp://guest:guest@"+net.JoinHostPort(host, strconv.Itoa(port))+"/")
	}
	return urls
}

func (n *dockerNode) start(ctx context.Context) error { return n.ctr.Start(ctx) }

func (n *dockerNode) stop(ctx context.Context) error {
	patience := 30 * time.Second // then the engine kills it
	return n.ctr.Stop(ctx, &patience)
}

func (n *dockerNode) kill(ctx context.Context) error {
	defer n.engine.Close()
	_, err := n.engine.ContainerKill(ctx, n.ctr.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"})
	return err
}

func (n *dockerNode) pause(ctx context.Context) error {
	defer n.engine.Close()
	_, err := n.engine.ContainerPause(ctx, n.ctr.GetContainerID(), client.ContainerPauseOptions{})
	return err
}

func (n *dockerNode) resume(ctx context.Context) error {
	defer n.engine.Close()
	_, err := n.engine.ContainerUnpause(ctx, n.ctr.GetContainerID(), client.ContainerUnpauseOptions{})
	return err
}

func (n *dockerNode) configure(ctx context.Context, settings string) error {
	return n.ctr.CopyToContainer(ctx, []byte(settings), "/etc/rabbitmq/conf.d/"+laterSettings, 0o644)
}

func (n *dockerNode) ctl(ctx context.Context, args ...string) (string, error) {
	code, out, err := n.ctr.Exec(ctx, append([]string{"rabbitmqctl"}, args...), tcexec.Multiplexed())
	_, _ = n.ctr.State(ctx) // unlike Exec, this closes the idle connection
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(out)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d: %s", code, bytes.TrimSpace(text))
	}
	return string(text), err
}

func (n *dockerNode) remove(ctx context.Context) error {
	if n.ctr == nil {
		n.release()
		return nil
	}
	_ = n.resume(ctx) // older engines do not remove a paused container
	err := testcontainers.TerminateContainer(n.ctr, testcontainers.StopContext(ctx), testcontainers.StopTimeout(0))
	if err == nil {
		n.release()
	}
	return err
}

// lastWords is the end of the container's log, for the error of one that did not start.
func (n *dockerNode) lastWords() string {
	if n.ctr == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	log, err := n.ctr.Logs(ctx)
	if err != nil {
		return ""
	}
	defer log.Close()
	text, _ := io.ReadAll(log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "\n" + strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// sweepContainers removes what test runs left behind that were killed together with their watcher. Best effort.
func sweepContainers(ctx context.Context, engine *testcontainers.DockerClient) {
	list, err := engine.ContainerList(ctx, client.ContainerListOptions{
		All:     true,
		Filters: make(client.Filters).Add("label", label),
	})
	if err != nil {
		return
	}
	for _, c := range list.Items {
		if time.Since(time.Unix(c.Created, 0)) > staleAfter {
			_, _ = engine.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		}
	}
}

// staleAfter is the age at which a container or a node's folder belongs to no living test run.
const staleAfter = time.Hour

// outlive starts a shell that runs the command when this process ends, in whatever way: only we hold the other
// end of the pipe that it reads. The function it returns calls that off. Without a shell or the command's
// program nothing happens, and the sweep is left to clean up.
func outlive(env []string, command ...string) (release func()) {
	const script = `trap "" HUP INT QUIT TERM; read -r word; [ "$word" = done ] || exec "$@"`
	if _, err := exec.LookPath(command[0]); err != nil {
		return func() {}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return func() {}
	}
	defer r.Close()
	// Not CommandContext: it has to outlive every context.
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, command...)...)
	cmd.Stdin, cmd.Env = r, append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		_ = w.Close()
		return func() {}
	}
	return sync.OnceFunc(func() {
		_, _ = io.WriteString(w, "done\n")
		_ = w.Close()
		_ = cmd.Wait()
	})
}
