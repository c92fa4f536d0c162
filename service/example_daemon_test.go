package service_test

import (
	"context"
	"fmt"
	"time"

	"github.com/goslo/goslo/service"
)

// mailer sends what is in its queue. At a stop it finishes the letter that it has begun.
type mailer struct {
	queue <-chan string
	tasks *service.ThreadGroup
}

func (m *mailer) Start(ctx context.Context) error {
	_, err := m.tasks.Go(ctx, m.work)
	return err
}

func (m *mailer) work(ctx context.Context) error {
	for {
		select {
		case letter := <-m.queue:
			fmt.Println("sent", letter)
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *mailer) Stop(ctx context.Context) error {
	m.tasks.Stop(ctx) // ends the context of work
	return m.tasks.Wait(ctx)
}

func (m *mailer) Wait(ctx context.Context) error { return m.tasks.Wait(ctx) }

func (m *mailer) Reset(context.Context) error { return nil } // it has no options

func launchMailer(queue <-chan string) (service.Launcher, error) {
	conf := service.DefaultConfig()
	conf.GracefulShutdownTimeout = 30 * time.Second
	tasks := service.NewThreadGroup(1, conf.Log)
	return service.Launch(conf, &mailer{queue, tasks}, service.WithWorkers(1), service.WithName("mailer"))
}

// A daemon in one process. With service.WithWorkers(4) the same program is a parent of four worker processes.
func Example_daemon() {
	queue := make(chan string)
	l, err := launchMailer(queue)
	if err != nil {
		fmt.Println(err) // and exit with status 1
		return
	}
	queue <- "good news"
	l.Stop()                             // or SIGTERM
	fmt.Println("exit status", l.Wait()) // and os.Exit with it
	// Output:
	// sent good news
	// exit status 0
}
