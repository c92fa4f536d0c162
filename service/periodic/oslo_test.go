package periodic_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/service/periodic"
)

// recordedCase is what oslo.service did with some tasks, by testdata/record.py. All times are in seconds.
type recordedCase struct {
	Name     string
	Tasks    []recordedTask
	Visits   []any // a number, or "idle" for as long as the last visit said
	Jitter   []float64
	Raises   bool
	External *bool

	Runs [][2]any   // name and time
	Idle []*float64 // of each visit; nil for one that raised
}

// recordedTask has the arguments of oslo.service's decorator, with their names.
type recordedTask struct {
	Name              string
	Spacing, Took     float64
	Fails             bool
	RunImmediately    bool `json:"run_immediately"`
	Enabled           *bool
	ExternalProcessOK bool `json:"external_process_ok"`
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func TestTasksRunWhenThoseOfOsloDo(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/oslo.json")
	if err != nil {
		t.Fatal(err)
	}
	var recording struct{ Cases []recordedCase }
	if err := json.Unmarshal(text, &recording); err != nil {
		t.Fatal(err)
	}
	if len(recording.Cases) == 0 {
		t.Fatal("the recording is empty")
	}
	for _, c := range recording.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, c.replay)
		})
	}
}

func (c recordedCase) replay(t *testing.T) {
	begin := time.Now()
	runs := [][2]any{}
	tasks := c.tasks()
	for _, r := range c.Tasks {
		add(t, tasks, r.Name, inSeconds(r.Spacing), func(context.Context) error {
			runs = append(runs, [2]any{r.Name, time.Since(begin).Seconds()})
			pass(inSeconds(r.Took))
			if r.Fails {
				return errBoom
			}
			return nil
		}, r.options()...)
	}
	idle := c.visit(t, tasks)
	if diff := cmp.Diff(c.Runs, runs); diff != "" {
		t.Errorf("runs (-oslo +goslo):\n%s", diff)
	}
	if diff := cmp.Diff(c.Idle, idle); diff != "" {
		t.Errorf("idle times (-oslo +goslo):\n%s", diff)
	}
}

func (c recordedCase) tasks() *periodic.Tasks {
	log, _ := test.NewNullLogger()
	draws := 0
	return &periodic.Tasks{
		Log: log, SkipExternal: c.External != nil && !*c.External,
		Jitter: func() float64 { draws++; return c.Jitter[(draws-1)%len(c.Jitter)] },
	}
}

func (r recordedTask) options() []periodic.TaskOption {
	var opts []periodic.TaskOption
	if r.RunImmediately {
		opts = append(opts, periodic.RunImmediately())
	}
	if r.ExternalProcessOK {
		opts = append(opts, periodic.ExternalProcessOK())
	}
	return append(opts, periodic.Enabled(r.Enabled == nil || *r.Enabled))
}

// visit runs the tasks at each visit and returns the idle times.
func (c recordedCase) visit(t *testing.T, tasks *periodic.Tasks) []*float64 {
	t.Helper()
	var opts []periodic.RunOption
	if c.Raises {
		opts = append(opts, periodic.RaiseOnError())
	}
	var all []*float64
	last := time.Duration(0)
	for _, wait := range c.Visits {
		if d, given := wait.(float64); given {
			last = inSeconds(d)
		}
		pass(last)
		idle, err := tasks.RunPeriodicTasks(t.Context(), opts...)
		if err != nil {
			all = append(all, nil)
			continue
		}
		last = idle
		seconds := idle.Seconds()
		all = append(all, &seconds)
	}
	return all
}
