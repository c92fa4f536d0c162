package demo

import (
	"io"
	"os"
	"strconv"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"
)

// screen is the terminal of a run: a progress bar, where it is a terminal, and lines of the log above it.
type screen struct {
	out io.Writer

	mu       sync.Mutex
	progress *mpb.Progress // nil while there is no bar
	bar      *mpb.Bar
}

// begin shows the bar where somebody may look at it.
func (s *screen) begin(total int) {
	if isTerminal(s.out) {
		s.show(total)
	}
}

// show draws, whatever the output is: a terminal needs no WithAutoRefresh, a test does.
func (s *screen) show(total int) {
	progress := mpb.New(mpb.WithOutput(s.out), mpb.WithWidth(barWidth), mpb.WithAutoRefresh())
	digits := len(strconv.Itoa(total))
	bar := progress.AddBar(int64(total),
		mpb.PrependDecorators(decor.Name("placing "), decor.CountersNoUnit("%d/%d", decor.WC{W: 2*digits + 1})),
		mpb.AppendDecorators(decor.NewPercentage("%d", decor.WC{W: 5}), decor.AverageSpeed(0, "%.0f/s", decor.WC{W: 10})),
	)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress, s.bar = progress, bar
}

// barWidth leaves room for the numbers in 80 columns.
const barWidth = 40

// step counts one instance. It is for callers between begin and end.
func (s *screen) step() {
	if s.bar != nil {
		s.bar.Increment()
	}
}

// end leaves the bar as it is and waits for its goroutines.
func (s *screen) end() {
	s.mu.Lock()
	progress, bar := s.progress, s.bar
	s.progress = nil
	s.mu.Unlock()
	if progress != nil {
		bar.Abort(false) // does nothing to a full one
		progress.Wait()
	}
}

// Write writes lines of the log.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress != nil {
		return s.progress.Write(p)
	}
	return s.out.Write(p)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && cwriter.IsTerminal(int(f.Fd()))
}
