package messaging

import (
	"bytes"
	"fmt"
	"runtime"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/transport"
)

// maxStacks bounds the memory, in bytes, that the stacks of all goroutines may take when one is looked for.
const maxStacks = 16 << 20

// WithStuckAfter logs, once for each request, the stack of an endpoint method that has not returned after d. The
// default, 0, is never.
func WithStuckAfter(d time.Duration) ServerOption {
	return serverOption(func(c *serverConfig) { c.stuckAfter = d })
}

// watch begins to watch the method that the present goroutine is about to call; the function it returns ends that.
func (s *MessageHandlingServer) watch(req *transport.Request) (stop func()) {
	if s.config.stuckAfter <= 0 {
		return func() {}
	}
	header := goroutineHeader()
	timer := time.AfterFunc(s.config.stuckAfter, func() {
		s.requestLog(req).WithFields(logrus.Fields{
			"elapsed": s.config.stuckAfter, "stack": stackOf(header),
		}).Warn("the endpoint method is stuck")
	})
	return func() { timer.Stop() }
}

// goroutineHeader is how the stack of the present goroutine begins: "goroutine 7 [".
func goroutineHeader() []byte {
	var buffer [64]byte
	line := buffer[:runtime.Stack(buffer[:], false)]
	return bytes.Clone(line[:bytes.IndexByte(line, '[')+1])
}

// stackOf finds the stack of a goroutine among those of all, for which the runtime stops the process a moment.
func stackOf(header []byte) string {
	size := 64 << 10
	for {
		all := make([]byte, size)
		n := runtime.Stack(all, true)
		if n == size && size < maxStacks {
			size *= 2
			continue
		}
		for stack := range bytes.SplitSeq(all[:n], []byte("\n\n")) {
			if bytes.HasPrefix(stack, header) {
				return string(stack)
			}
		}
		return fmt.Sprintf("not among the first %d bytes of stacks", n)
	}
}
