package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// ErrNoProgress is what a function made by [Moving] returns when its counter stands still.
var ErrNoProgress = errors.New("systemd: no progress since the last look")

// WatchdogInterval is how often this process must say WATCHDOG=1 at the least: WATCHDOG_USEC, unless WATCHDOG_PID
// means another process. 0 means that systemd does not watch this process. A value that is not a positive number
// is an error.
func WatchdogInterval() (time.Duration, error) {
	text := os.Getenv("WATCHDOG_USEC")
	if text == "" {
		return 0, nil
	}
	usec, err := strconv.ParseInt(text, 10, 64)
	if err != nil || usec <= 0 || usec > int64(maxInterval/time.Microsecond) {
		return 0, fmt.Errorf("systemd: WATCHDOG_USEC %q is not a number of microseconds", text)
	}
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" {
		meant, err := strconv.Atoi(pid)
		if err != nil || meant <= 0 {
			return 0, fmt.Errorf("systemd: WATCHDOG_PID %q is not a process id", pid)
		}
		if meant != os.Getpid() {
			return 0, nil
		}
	}
	return time.Duration(usec) * time.Microsecond, nil
}

// maxInterval is the longest Duration.
const maxInterval time.Duration = 1<<63 - 1

// Moving makes a progress function of a counter: it fails with [ErrNoProgress] when the counter is what it was at
// the look before. The first look always succeeds. The counter must move also when there is nothing to do, as that
// of a consume loop does which polls with a time limit: at least once in half of WATCHDOG_USEC.
//
// The returned function is not safe for concurrent use; a [Watchdog] calls it from one goroutine.
func Moving(counter func() uint64) func() error {
	var last uint64
	looked := false
	return func() error {
		now := counter()
		moved := !looked || now != last
		last, looked = now, true
		if !moved {
			return fmt.Errorf("%w: the counter stands at %d", ErrNoProgress, now)
		}
		return nil
	}
}

// WatchdogConfig says what a [Watchdog] watches.
type WatchdogConfig struct {
	// Interval is how long systemd waits before it restarts the service; half of it is the time between two looks.
	// 0 means that the watchdog does nothing. See [WatchdogInterval].
	Interval time.Duration
	// Progress is asked at every look; WATCHDOG=1 is sent only if it returns nil. An error, or a call that does not
	// return, means that systemd restarts the service once Interval is over. It is required: a watchdog that says
	// that all is well without looking is worse than none.
	Progress func() error
	// Notify sends. nil means [Notifier.Notify].
	Notify func(lines ...string) bool
	// Log gets a line when progress stops, and when it comes back. nil means logrus.StandardLogger().
	Log logrus.FieldLogger
}

// Watchdog tells systemd that the service makes progress, on a goroutine of its own that Stop ends. Its methods are
// safe for concurrent use.
type Watchdog struct {
	config WatchdogConfig

	mu     sync.Mutex
	cancel context.CancelFunc
	ended  chan struct{} // nil before the first Start
}

// ErrNoProgressFunc tells that a watchdog has nothing to look at.
var ErrNoProgressFunc = errors.New("systemd: a watchdog needs a progress function")

// NewWatchdog makes a watchdog, which Start starts. It fails with [ErrNoProgressFunc], and if the interval is
// negative.
func NewWatchdog(conf WatchdogConfig) (*Watchdog, error) {
	if conf.Progress == nil {
		return nil, ErrNoProgressFunc
	}
	if conf.Interval < 0 {
		return nil, fmt.Errorf("systemd: watchdog interval %s is negative", conf.Interval)
	}
	if conf.Log == nil {
		conf.Log = logrus.StandardLogger()
	}
	if conf.Notify == nil {
		conf.Notify = Notifier{Log: conf.Log}.Notify
	}
	return &Watchdog{config: conf}, nil
}

// Start looks at once and then at half of the interval, until Stop. It does nothing with an interval of 0 and
// until a watchdog that was started before has ended.
func (w *Watchdog) Start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.config.Interval == 0 || w.running() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.ended = cancel, make(chan struct{})
	go w.watch(ctx, w.ended)
}

// Stop ends the watchdog and waits for a look that is under way, until ctx ends; then it returns ctx's cause. It is
// harmless before Start and twice. While a service drains, keep the watchdog running, or systemd takes the drain
// for a hang.
func (w *Watchdog) Stop(ctx context.Context) error {
	w.mu.Lock()
	cancel, ended := w.cancel, w.ended
	w.mu.Unlock()
	if ended == nil {
		return nil
	}
	cancel()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("systemd: stop the watchdog: %w", context.Cause(ctx))
	}
}

func (w *Watchdog) running() bool {
	if w.ended == nil {
		return false
	}
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

func (w *Watchdog) watch(ctx context.Context, ended chan<- struct{}) {
	defer close(ended)
	ticker := time.NewTicker(max(w.config.Interval/2, 1))
	defer ticker.Stop()
	stuck := false
	for ctx.Err() == nil {
		stuck = w.look(stuck)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// look asks for progress once, and reports whether there was none. Only a change is logged.
func (w *Watchdog) look(stuck bool) bool {
	err := w.config.Progress()
	if err != nil {
		if !stuck {
			w.config.Log.WithError(err).WithField("interval", w.config.Interval).
				Warn("no progress: systemd will restart the service if this lasts")
		}
		return true
	}
	if stuck {
		w.config.Log.Info("progress again")
	}
	w.config.Notify(Alive)
	return false
}
