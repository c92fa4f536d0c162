package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// nativePrefix begins the names of our nodes' folders in the temporary directory.
const nativePrefix = "goslo-broker-"

// nativeNode is a node of the rabbitmq-server package that lives in one folder.
type nativeNode struct {
	script  string
	dir     string
	release func()
}

func startNative(ctx context.Context, cfg config) (*Broker, error) {
	script, err := findScript("rabbitmq-native.sh")
	if err != nil {
		return nil, err
	}
	sweepNodes(ctx, script)
	dir, err := os.MkdirTemp("", nativePrefix)
	if err != nil {
		return nil, err
	}
	listener, err := listenTLS(ctx, cfg.tls, dir, "")
	if err == nil {
		err = listener.save(dir)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "extra.conf"), []byte(cfg.settings+listener.settings), 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	n := &nativeNode{script: script, dir: dir, release: outlive(nil, script, "destroy", dir)}
	b := &Broker{kind: KindNative, node: n, tlsPort: listener.hostPort}
	out, err := n.run(ctx, "start")
	if err == nil {
		b.url, err = awaitAMQP(ctx, strings.TrimSpace(out))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("native node: %w", err), b.Close())
	}
	return b, nil
}

// findScript looks for scripts/name upwards from the working directory, which in a test is its package.
func findScript(name string) (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		script := filepath.Join(dir, "scripts", name)
		if _, err := os.Stat(script); err == nil {
			return script, nil
		}
		if filepath.Dir(dir) == dir {
			err = fmt.Errorf("native node: %w: no scripts/%s above the working directory", errAbsent, name)
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

func (n *nativeNode) start(ctx context.Context) error  { return n.just(ctx, "start") }
func (n *nativeNode) stop(ctx context.Context) error   { return n.just(ctx, "stop") }
func (n *nativeNode) kill(ctx context.Context) error   { return n.just(ctx, "kill") }
func (n *nativeNode) pause(ctx context.Context) error  { return n.just(ctx, "pause") }
func (n *nativeNode) resume(ctx context.Context) error { return n.just(ctx, "resume") }

func (n *nativeNode) ctl(ctx context.Context, args ...string) (string, error) {
	return n.run(ctx, "ctl", args...)
}

func (n *nativeNode) configure(_ context.Context, settings string) error {
	return os.WriteFile(filepath.Join(n.dir, "conf.d", laterSettings), []byte(settings), 0o600)
}

func (n *nativeNode) remove(ctx context.Context) error {
	defer n.release()
	if _, err := os.Stat(filepath.Join(n.dir, "ports")); err != nil {
		return os.RemoveAll(n.dir) // it never came as far as a node
	}
	return n.just(ctx, "destroy")
}

func (n *nativeNode) just(ctx context.Context, verb string) error {
	_, err := n.run(ctx, verb)
	return err
}

func (n *nativeNode) run(ctx context.Context, verb string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, n.script, append([]string{verb, n.dir}, args...)...)
	// Our node, whatever the environment says about another one.
	cmd.Env = append(os.Environ(), "RABBITMQ_DEFAULT_USER=guest", "RABBITMQ_DEFAULT_PASS=guest", "RABBITMQ_DEFAULT_VHOST=/")
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if cmd.ProcessState.ExitCode() == 3 { // the script's word for "no rabbitmq-server here"
		return "", errAbsent
	}
	if err != nil {
		return "", fmt.Errorf("%w: %s%s", err, out, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// sweepNodes destroys nodes that test runs left behind which were killed with their watcher. Best effort.
func sweepNodes(ctx context.Context, script string) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), nativePrefix+"*"))
	for _, dir := range dirs {
		// The settings are written once, when the node is made.
		made, err := os.Stat(filepath.Join(dir, "extra.conf"))
		if err == nil && time.Since(made.ModTime()) > staleAfter {
			_ = (&nativeNode{script: script, dir: dir, release: func() {}}).remove(ctx)
		}
	}
}
