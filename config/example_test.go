package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goslo/goslo/config"
)

var (
	workers = &config.Option[int]{
		Group: "scheduler", Name: "workers", Type: config.Int(config.AtLeast(1)), Default: 1, Help: "How many processes serve.", CLI: true,
	}
	interval = &config.Option[time.Duration]{
		Name: "report_interval", Type: config.Seconds(), Default: 10 * time.Second, Help: "Seconds between reports.", Mutable: true,
	}
)

func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "nova.conf")
	if err := os.WriteFile(file, []byte("[DEFAULT]\nreport_interval = 5\n[scheduler]\nworkers = 2\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	c := config.New("nova-scheduler", config.WithProject("nova"))
	if err := c.Register(workers, interval); err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Parse([]string{"--config-file", file, "--scheduler-workers", "4"}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(workers.Get(c), "workers, by", workers.Source(c))
	fmt.Println("a report every", interval.Get(c))
	// Output:
	// 4 workers, by --scheduler-workers
	// a report every 5s
}

func ExampleConfig_Sample() {
	c := config.New("nova-scheduler")
	if err := c.Register(workers); err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Sample(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [scheduler]
	//
	// # How many processes serve. (integer value)
	// # Minimum value: 1
	// #workers = 1
}
